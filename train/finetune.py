"""Fine-tune the network on records with `transformers.Trainer`, length-grouped and seeded, on the CPU or better."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from accelerate import PartialState
from datasets import Dataset, concatenate_datasets
from sklearn.linear_model import LogisticRegression
from torch import nn
from transformers import (
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from ruthan.model.classifier import softmax
from train.batches import NO_LABEL, in_batches, tokenized
from train.config import TrainConfig
from train.corpus.records import Record
from train.distil import Lessons
from train.errors import CorpusError
from train.metrics import summary
from train.network import MessageClassifier, keep_layers, load_backbone, round_activations, set_dropout
from train.parts import Parts
from train.restore import restore
from train.tracking import Tracker

PROBE_STRENGTH = 0.02  # inverse regularisation of the probe; weak, as it is fitted to far more features than it needs
SAMPLE = 2_000  # texts that show how the features of a network with fewer layers spread
CURVE_TEXTS = 2_000  # that are judged at the end of each pass
ABSENT_CLASS_BIAS = -5.0  # logit of a class that no training text has

_TOKENS = ("input_ids", "attention_mask", "labels")

Floats = npt.NDArray[Any]


def has_bf16() -> bool:
    """Whether this machine computes in bfloat16; a processor that only imitates it is twenty times slower with it."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def training_order(lengths: Sequence[int], batch_size: int, seed: int) -> list[int]:
    """The order in which rows are trained on: batches of rows of about one length, otherwise by lot.

    Fixed beforehand, so that a run that was killed goes on with the rows that it has not seen.
    """
    shuffled = Random(seed).sample(range(len(lengths)), len(lengths))
    pool = batch_size * 50
    batches = []
    for start in range(0, len(shuffled), pool):
        chunk = sorted(shuffled[start : start + pool], key=lambda index: lengths[index])
        pieces = [chunk[at : at + batch_size] for at in range(0, len(chunk), batch_size)]
        batches += Random(f"{seed}:{start}").sample(pieces, len(pieces))
    batches.sort(key=len, reverse=True)  # a short one last: before others it would shift where they begin
    return [index for batch in batches for index in batch]


class _Collator:
    """Pads a batch and adds what the teachers say of its rows."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, lessons: Lessons | None) -> None:
        self._pad = DataCollatorWithPadding(tokenizer)
        self._lessons = lessons

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        batch: dict[str, torch.Tensor] = dict(self._pad([{key: row[key] for key in _TOKENS} for row in rows]))
        if self._lessons is not None and "lesson" in rows[0]:
            chosen = [row["lesson"] for row in rows]
            batch["teacher_logits"] = torch.from_numpy(self._lessons.logits[chosen])
            batch["teacher_features"] = torch.from_numpy(self._lessons.features[chosen])
        return batch


class _Curves(TrainerCallback):
    """Hands what is measured on the way to the tracker, and keeps all of it in a file, with the minutes so far."""

    def __init__(self, tracker: Tracker, path: Path, minutes_before: float) -> None:
        self._tracker, self._path, self._before, self._began = tracker, path, minutes_before, time.monotonic()

    @property
    def minutes(self) -> float:
        """Since training began, those before a kill included as far as they were logged."""
        return round(self._before + (time.monotonic() - self._began) / 60, 3)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any
    ) -> None:
        if not state.is_world_process_zero:
            return
        figures = {key: value for key, value in (logs or {}).items() if isinstance(value, int | float)}
        self._tracker.figures(figures, state.global_step)
        content = {"minutes": self.minutes, "points": state.log_history}
        partial = self._path.with_name(f"{self._path.name}.partial")
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        partial.replace(self._path)


def _minutes_before(path: Path) -> float:
    """The minutes that a run which was killed had taken."""
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["minutes"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


class _Trainer(Trainer):
    """`Trainer` with our loss, and with one learning rate for the head and others for the layers of the encoder."""

    def __init__(self, *args: Any, config: TrainConfig, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.config = config
        self.model_accepts_loss_kwargs = False

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        network: Any = self.model
        groups: dict[float, list[nn.Parameter]] = {}
        layers = network.encoder.config.num_hidden_layers
        for name, weight in network.encoder.named_parameters():
            if weight.requires_grad:
                found = re.search(r"\blayers?\.(\d+)\.", name)
                depth = layers - int(found[1]) - 1 if found else layers  # embeddings lie below all layers
                rate = self.config.encoder_learning_rate * self.config.layer_decay**depth
                groups.setdefault(rate, []).append(weight)
        parts = [{"params": weights, "lr": rate} for rate, weights in groups.items()]
        parts.append({"params": list(network.head.parameters()), "lr": self.config.head_learning_rate})
        self.optimizer = torch.optim.AdamW(parts, weight_decay=self.config.weight_decay)
        return self.optimizer

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, **_: Any
    ) -> torch.Tensor | tuple[torch.Tensor, dict[str, torch.Tensor]]:
        outputs = model(inputs["input_ids"], inputs["attention_mask"])
        loss = training_loss(outputs, inputs, self.config)
        return (loss, {"logits": outputs["logits"]}) if return_outputs else loss


def training_loss(outputs: Mapping[str, torch.Tensor], inputs: Mapping[str, Any], config: TrainConfig) -> torch.Tensor:
    """Cross entropy against the labels; with teachers, mixed with the distance from what they say.

    The distance is the divergence of the softened probabilities, times the temperature squared (Hinton et al., 2015),
    and, where the widths agree, the mean squared difference of the standardised features.
    """
    logits, labels = outputs["logits"].float(), inputs["labels"]
    labelled = (labels != NO_LABEL).sum().clamp(min=1)
    hard = nn.functional.cross_entropy(
        logits, labels, ignore_index=NO_LABEL, label_smoothing=config.label_smoothing, reduction="sum"
    )
    if "teacher_logits" not in inputs:
        return hard / labelled
    temperature = config.soft_temperature
    soft = temperature**2 * nn.functional.kl_div(
        (logits / temperature).log_softmax(-1),
        (inputs["teacher_logits"] / temperature).log_softmax(-1),
        reduction="batchmean",
        log_target=True,
    )
    features, theirs = outputs["features"].float(), inputs["teacher_features"]
    if config.feature_weight and features.shape == theirs.shape:
        soft = soft + config.feature_weight * nn.functional.mse_loss(features, theirs)
    return (1 - config.soft_share) * hard / labelled + config.soft_share * soft


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end, or None."""
    states = folder.glob("checkpoint-*/trainer_state.json")  # which is written last
    complete = [path.parent for path in states if _is_whole(path)]
    return max(complete, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _is_whole(path: Path) -> bool:
    """Whether a file of JSON was written to its end."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def finetune(
    parts: Parts,
    labels: Sequence[str],
    config: TrainConfig,
    backbone: str | Path,
    folder: Path,
    lessons: Lessons | None = None,
    tracker: Tracker | None = None,
) -> tuple[MessageClassifier, PreTrainedTokenizerBase, float]:
    """Train on the records of all passes and return the network, in evaluation mode, its tokenizer, and the minutes.

    `lessons` are what the teachers say of those records. The first pass also fits the head of a network that starts
    anew. `folder` takes checkpoints, from the last of
    which a killed run goes on, and the log. With the same records, config and machine the result is the same.
    """
    set_seed(config.seed)
    network, tokenizer = starting_network(config, len(labels), backbone)
    tables = [
        tokenized(
            records,
            labels,
            tokenizer,
            config.max_length,
            config.seed,
            variant,
            True,
            config.disguised,
            lessons.row if lessons else None,
        )
        for variant, records in enumerate(parts.passes)
    ]
    checkpoint = last_checkpoint(folder)
    if checkpoint is None and (config.start is None or config.layers is not None):
        fit_start(network, tables[0], tokenizer, anew=config.start is None)
    rows = concatenate_datasets(tables)
    rows = rows.select(training_order(rows["length"], config.batch_size, config.seed))
    processes = PartialState().num_processes  # a batch is divided among them
    share = -(-config.batch_size // processes)
    steps = -(-len(rows) // (share * processes))
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,  # the passes are the epochs
        per_device_train_batch_size=share,
        per_device_eval_batch_size=share,
        warmup_steps=int(steps * config.warmup_share),
        lr_scheduler_type="linear",
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        label_names=["labels"],
        bf16=config.bf16 and has_bf16(),
        use_cpu=not torch.cuda.is_available(),
        seed=config.seed,
        logging_steps=max(1, steps // 40),
        eval_strategy="steps",
        eval_steps=max(1, -(-steps // config.variants)),
        save_strategy="steps",
        save_steps=config.checkpoint_steps,
        save_total_limit=2,
        report_to=[],
        ddp_find_unused_parameters=False,
    )
    curves = folder.parent / "curves.json"
    clock = _Curves(tracker or Tracker(), curves, _minutes_before(curves) if checkpoint else 0.0)
    trainer = _Trainer(
        model=network,
        args=arguments,
        train_dataset=rows,
        eval_dataset=_on_the_way(parts.calibration, labels, tokenizer, config),
        compute_metrics=lambda answers: curve_point(answers, labels),
        data_collator=_Collator(tokenizer, lessons),
        config=config,
        callbacks=[clock],
    )
    rounding = round_activations(network.encoder) if config.round_activations else []
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    for handle in rounding:
        handle.remove()
    # Drops the autocast that the trainer wrapped around `forward`: what is exported and compared is float32.
    trained: MessageClassifier = trainer.accelerator.unwrap_model(network, keep_fp32_wrapper=False)
    return trained.cpu().eval(), tokenizer, clock.minutes


def _on_the_way(
    calibration: Sequence[Record], labels: Sequence[str], tokenizer: PreTrainedTokenizerBase, config: TrainConfig
) -> Dataset:
    """Calibration texts for the curves: some of them if they are many, the short ones first to save padding."""
    some = Random(config.seed).sample(list(calibration), min(CURVE_TEXTS, len(calibration)))
    rows = tokenized(some, labels, tokenizer, config.max_length, config.seed)
    return rows.select(np.argsort(rows["length"], kind="stable"))


def starting_network(
    config: TrainConfig, classes: int, backbone: str | Path
) -> tuple[MessageClassifier, PreTrainedTokenizerBase]:
    """The network before its first step: of the bundle to start from, or the backbone with a new head."""
    if config.start is not None:
        network, tokenizer = restore(Path(config.start), config.dropout)
        if config.layers is not None:
            keep_layers(network.encoder, config.layers)
    else:
        encoder, tokenizer = load_backbone(backbone, config.layers)
        network = MessageClassifier(encoder, classes, config.dropout)
    set_dropout(network.encoder, config.encoder_dropout)
    if config.freeze_embeddings:
        network.encoder.get_input_embeddings().requires_grad_(False)
    return network.eval(), tokenizer


def curve_point(answers: EvalPrediction, labels: Sequence[str]) -> dict[str, float]:
    """How well the calibration texts are told apart in the middle of a run."""
    logits = answers.predictions[0] if isinstance(answers.predictions, tuple) else answers.predictions
    found = summary([labels[index] for index in answers.label_ids], softmax(logits, 1.0), labels)
    return {"auc": found["auc"] or 0.0, "f1_macro": found["f1_macro"] or 0.0}


def fit_start(network: MessageClassifier, rows: Dataset, tokenizer: PreTrainedTokenizerBase, anew: bool) -> None:
    """Set the standardisation from the untouched encoder's features of `rows` and, `anew`, the linear layer too: a
    logistic regression.

    Fine-tuning from there and not from a random layer (Kumar et al., 2022, "LP-FT") reached in a tenth of the steps
    what a random start reached in all.

    :raises CorpusError: the rows have labels of one class only, or none.
    """
    classes = np.array(rows["labels"])
    labelled = classes != NO_LABEL
    if anew and len(np.unique(classes[labelled])) < 2:
        raise CorpusError(
            "the first pass has no texts of two classes to tell apart; give more records or a higher limit"
        )
    if not anew and len(rows) > SAMPLE:  # mean and spread need no more
        rows = rows.select(Random(0).sample(range(len(rows)), SAMPLE))
    features = in_batches(rows, tokenizer, network.encoder.config.hidden_size, network.features)
    mean, scale = features.mean(0), features.std(0) + 1e-6
    with torch.no_grad():
        network.feature_mean.copy_(torch.from_numpy(mean))
        network.feature_scale.copy_(torch.from_numpy(scale))
    if not anew:
        return
    features, classes = features[labelled], classes[labelled]
    fitted = LogisticRegression(C=PROBE_STRENGTH, max_iter=500).fit((features - mean) / scale, classes)
    weight = np.zeros((network.head.out_features, features.shape[1]), np.float32)
    bias = np.full(network.head.out_features, ABSENT_CLASS_BIAS, np.float32)
    if len(fitted.classes_) == 2:  # scikit-learn then gives one row, for the second class
        weight[fitted.classes_] = np.concatenate([-fitted.coef_, fitted.coef_]) / 2
        bias[fitted.classes_] = np.concatenate([-fitted.intercept_, fitted.intercept_]) / 2
    else:
        weight[fitted.classes_], bias[fitted.classes_] = fitted.coef_, fitted.intercept_
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(weight))
        network.head.bias.copy_(torch.from_numpy(bias))
