"""Search for settings: train with each proposal, without export, and keep the one that does best on calibration texts.

python -m train tune train/configs/default.yaml --space train/configs/space.yaml --trials 20

What is sought is the AUC of harmful against honest texts on the calibration part. The test part and the texts that
lists in `data/splits/` hold out are NEVER touched: the test part is dropped as soon as it is read, held-out texts are
not read at all. They then judge the winner as they judge any run. What they cannot undo is that the calibration part
was looked at once a trial, so that its own figures flatter the winner a little.

Proposals come from a tree-structured Parzen estimator (Bergstra et al., 2011) by Optuna, seeded anew for each trial, so
that a study that was killed goes on as if it had not been. There is no pruner: under a learning rate that falls to 0 at
the end, a trial in its middle says little about itself, and trials of other lengths cannot be compared there.
"""

import contextlib
import csv
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import yaml
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from ruthan.model.classifier import softmax
from ruthan.taxonomy import BENIGN, default_taxonomy
from train.backbone import build_backbone
from train.batches import predict_logits, tokenized
from train.config import OFFLINE, TrainConfig, read_fields, typed_value
from train.corpus.records import corpus_digest
from train.distil import ask_teachers
from train.errors import BackboneError, ConfigError, CorpusError
from train.finetune import finetune
from train.metrics import risk_metrics
from train.parts import Parts, read_parts

Space = Mapping[str, BaseDistribution]

# They decide which texts are trained and judged on, or what the run is called: trials could not be compared.
FIXED = ("name", "corpus", "sources", "challenge", "split", "seed")
# They decide what a pass of training sees, so that the parts must be read again.
_READ_AGAIN = {"variants", "limit"}


def read_space(path: Path) -> dict[str, BaseDistribution]:
    """Read a YAML file of `TrainConfig` fields, each with a range `{low, high, log}` or with `{choices: [...]}`.

    :raises ConfigError: the file cannot be read, a field is unknown or may not vary, a value is of another type than
        the field, or low is not below high.
    """
    content = read_fields(path)
    known = {field.name: field.type for field in fields(TrainConfig)}
    space: dict[str, BaseDistribution] = {}
    for name, values in content.items():
        if name not in known:
            raise ConfigError(f"{path}: unknown field {name!r}; known are: {', '.join(known)}")
        if name in FIXED:
            raise ConfigError(f"{path}: {name} cannot vary: all trials must have the same texts to be compared")
        if isinstance(values, dict) and values.keys() == {"choices"}:
            space[name] = _choices(name, values["choices"], known[name], path)
        elif isinstance(values, dict) and {"low", "high"} <= values.keys() <= {"low", "high", "log"}:
            space[name] = _range(name, values, known[name], path)
        else:
            raise ConfigError(f"{path}: {name} must be {{low, high}}, {{low, high, log: true}} or {{choices: [...]}}")
    return space


def _choices(name: str, values: Any, annotation: Any, path: Path) -> BaseDistribution:
    if not isinstance(values, list) or any(isinstance(value, list | dict) for value in values):
        raise ConfigError(f"{path}: the choices of {name} must be a list of numbers, words, true, false or null")
    typed = [typed_value(name, value, annotation, path) for value in values]
    if len(set(typed)) < max(2, len(typed)):
        raise ConfigError(f"{path}: {name} needs two choices or more, none of them twice")
    return CategoricalDistribution(typed)


def _range(name: str, values: dict[str, Any], annotation: Any, path: Path) -> BaseDistribution:
    if annotation not in (int, float, int | None):
        raise ConfigError(f"{path}: {name} is no number; give it {{choices: [...]}}")
    number = float if annotation is float else int
    low, high = (typed_value(name, values[end], number, path) for end in ("low", "high"))
    log = values.get("log", False)
    if not isinstance(log, bool):
        raise ConfigError(f"{path}: log of {name} is {log!r}; expected true or false")
    if not (isfinite(low) and isfinite(high) and low < high):
        raise ConfigError(f"{path}: {name} has low {low} and high {high}; low must be below high")
    if log and low <= 0:
        raise ConfigError(f"{path}: {name} has low {low}; with log: true it must be above 0")
    return FloatDistribution(low, high, log=log) if number is float else IntDistribution(low, high, log=log)


def tune(config: TrainConfig, space: Space, trials: int, folder: Path, report: Callable[[str], None]) -> Path:
    """Run a study of so many `trials` in `folder` and return its `best.yaml`, which `train run` accepts.

    `trials.csv` there lists every trial, `training.log` has their curves. What an earlier call finished there is not
    done again; the trial that ran when it was killed is, with the same values. `report` gets one line a trial. A trial
    whose values do not go together, or whose training comes apart, is left out with the reason.

    :raises ConfigError: `folder` holds a study of another configuration, space or other texts, or no trial could be
        trained.
    :raises TrainError: as in `train.run.run`.
    """
    if trials < 1:
        raise ConfigError(f"--trials is {trials}; expected at least 1")
    parts = _without_test(read_parts(config))
    if len({record.label == BENIGN for record in parts.calibration}) < 2:
        raise CorpusError("the calibration part needs harmful and honest texts; give more records or another split")
    _begin(folder, config, space, parts)
    backbones = {config.backbone, *getattr(space.get("backbone"), "choices", ())}
    if OFFLINE in backbones and not (folder / "backbone").is_dir():
        partial = folder / "backbone.partial"
        shutil.rmtree(partial, ignore_errors=True)
        build_backbone(partial, (record.text for record in parts.corpus))
        partial.rename(folder / "backbone")

    def trained(drawn: TrainConfig) -> float:
        mine = parts if _READ_AGAIN.isdisjoint(space) else _without_test(read_parts(drawn))
        shutil.rmtree(folder / "trainer", ignore_errors=True)  # of a trial that was killed
        with (folder / "training.log").open("a", encoding="utf-8") as log, contextlib.redirect_stdout(log):
            auc = _trained_auc(
                mine, drawn, folder / "backbone" if drawn.backbone == OFFLINE else drawn.backbone, folder
            )
        shutil.rmtree(folder / "trainer", ignore_errors=True)
        return auc

    with _study(folder, config.name) as study:
        while (number := len(_done(study))) < trials:
            _run_trial(study, config, space, number, trained)
            _write_trials(folder / "trials.csv", _done(study), list(space))
            report(f"trial {number + 1} of {trials}: {_told(_done(study)[-1])}")
        return _write_best(folder / "best.yaml", config, _done(study))


def _without_test(parts: Parts) -> Parts:
    test = {record.id for record in parts.test}
    return replace(parts, corpus=[record for record in parts.corpus if record.id not in test], test=[])


def _begin(folder: Path, config: TrainConfig, space: Space, parts: Parts) -> None:
    """Mark the folder as this study's, or see that it is."""
    texts = corpus_digest([*parts.trained_on(), *parts.calibration])
    state = {
        "config": config.to_dict(),
        "space": {name: distribution_to_json(values) for name, values in space.items()},
        "texts": texts,
    }
    mark = folder / "study.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not mark.exists():
            _write(mark, json.dumps(state, ensure_ascii=False, indent=1))
        found = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot use {folder} for a study: {error}; give another --out") from error
    wrong = [name for name, value in json.loads(json.dumps(state)).items() if found.get(name) != value]
    if wrong:
        raise ConfigError(
            f"{folder} holds a study of another {' and '.join(wrong)}; give another --out, or remove it to begin anew"
        )


@contextlib.contextmanager
def _study(folder: Path, name: str) -> Iterator[optuna.Study]:
    """The study of a folder; a trial that nobody finished is counted as failed, so that it is run again."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        url = URL.create("sqlite", database=str(folder / "study.db")).render_as_string()
        storage = optuna.storages.RDBStorage(url)
        study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
        for trial in study.get_trials(states=[TrialState.RUNNING]):
            study.tell(trial.number, state=TrialState.FAIL)
    except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError) as error:
        raise ConfigError(f"{folder / 'study.db'} is no study that can be read; remove {folder}") from error
    try:
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _done(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED])


def _run_trial(
    study: optuna.Study, config: TrainConfig, space: Space, number: int, trained: Callable[[TrainConfig], float]
) -> None:
    # By the number of trials done and not by one sequence, which would begin anew when the study goes on.
    study.sampler = optuna.samplers.TPESampler(seed=_seed(config.seed, number))
    trial = study.ask(dict(space))
    began = time.monotonic()
    try:
        auc = trained(replace(config, tracking=False, **trial.params))
    except (ConfigError, BackboneError) as error:
        trial.set_user_attr("reason", str(error))
    except (_CameApart, ValueError) as error:
        if not isinstance(error, _CameApart) and "NaN" not in str(error):  # the trainer's own curve meets it first
            raise
        trial.set_user_attr("reason", "the network came apart in training (its logits are no numbers)")
    else:
        trial.set_user_attr("minutes", round((time.monotonic() - began) / 60, 2))
        study.tell(trial, auc)
        return
    study.tell(trial, state=TrialState.PRUNED)


def _seed(seed: int, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}".encode()).digest()[:4], "big")


class _CameApart(Exception):
    """A network gives logits that are no numbers."""


def _trained_auc(parts: Parts, config: TrainConfig, backbone: str | Path, folder: Path) -> float:
    """The AUC on the calibration part after training, at temperature 1, as on the curve of a run."""
    labels = default_taxonomy().labels
    lessons = (
        ask_teachers(config.teachers, parts.trained_on(), config.max_length, config.seed, folder.parent / "lessons.npz")
        if config.teachers
        else None
    )
    network, tokenizer, _ = finetune(parts, labels, config, backbone, folder / "trainer", lessons)
    rows = tokenized(parts.calibration, labels, tokenizer, config.max_length, config.seed)
    logits = predict_logits(network, rows, tokenizer)
    if not np.isfinite(logits).all():
        raise _CameApart
    risks = 1 - softmax(logits, 1.0)[:, labels.index(BENIGN)]
    auc = risk_metrics(risks, [record.label != BENIGN for record in parts.calibration]).auc
    return 0.0 if auc is None else auc  # None cannot be: both sides are there


def _told(trial: FrozenTrial) -> str:
    """What came of a trial, in one line."""
    values = " ".join(f"{name}={_short(value)}" for name, value in trial.params.items())
    if trial.value is None:
        return f"left out: {trial.user_attrs.get('reason', '')} | {values}"
    return f"auc {trial.value:.4f} in {trial.user_attrs.get('minutes')} min | {values}"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _write_trials(path: Path, trials: Sequence[FrozenTrial], names: Sequence[str]) -> None:
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", "auc", "minutes", *names, "reason"])
        for number, trial in enumerate(trials, start=1):
            about = trial.user_attrs
            values = [trial.params[name] for name in names]
            writer.writerow([number, trial.value, about.get("minutes"), *values, about.get("reason")])
    partial.replace(path)


def _write_best(path: Path, config: TrainConfig, trials: Sequence[FrozenTrial]) -> Path:
    """The whole configuration of the best trial; of equally good ones, of the first."""
    trained = [(number, trial) for number, trial in enumerate(trials, start=1) if trial.value is not None]
    if not trained:
        reason = trials[0].user_attrs.get("reason", "")
        raise ConfigError(f"none of {len(trials)} trials could be trained, the first because: {reason}")
    number, best = max(trained, key=lambda each: each[1].value or 0.0)
    tuned = replace(config, name=f"{config.name}-tuned", **best.params)
    about = f"# Trial {number} of {len(trials)}: AUC {best.value:.4f} on the calibration part.\n"
    _write(path, about + yaml.safe_dump(tuned.to_dict(), allow_unicode=True, sort_keys=False))
    return path


def _write(path: Path, content: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(content, encoding="utf-8")
    partial.replace(path)
