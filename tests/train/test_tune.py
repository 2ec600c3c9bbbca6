import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from train import tune as tuning
from train.__main__ import main
from train.config import TrainConfig, read_config
from train.corpus.records import Record, record_line
from train.errors import BackboneError, ConfigError, CorpusError
from train.parts import Parts, read_parts
from train.tune import read_space, tune

SPACE = """
dropout: {low: 0.0, high: 0.3}
head_learning_rate: {low: 1e-4, high: 1e-2, log: true}
layers: {choices: [1, 2, null]}
"""
Trained = Callable[[Parts, TrainConfig, Any, Path], float]


def space_file(folder: Path, content: str = SPACE) -> Path:
    path = folder / "space.yaml"
    path.write_text(content, encoding="utf-8")
    return path


@pytest.fixture
def config(tmp_path: Path, records: list[Record]) -> TrainConfig:
    """A run over a small corpus, from a backbone that nobody loads."""
    some = [replace(record, pair=None) for record in records[:: len(records) // 150]]
    path = tmp_path / "c.jsonl"
    path.write_text("".join(map(record_line, some)), encoding="utf-8")
    return TrainConfig(name="small", corpus=(str(path),), challenge=None, backbone="nowhere", variants=1, limit=16)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Callable[[Trained], list[TrainConfig]]:
    """Puts a function in the place of training and returns the list of what it is asked to train."""

    def install(function: Trained) -> list[TrainConfig]:
        asked: list[TrainConfig] = []

        def noted(parts: Parts, config: TrainConfig, backbone: Any, folder: Path) -> float:
            asked.append(config)
            return function(parts, config, backbone, folder)

        monkeypatch.setattr(tuning, "_trained_auc", noted)
        return asked

    return install


def quality(parts: Parts, config: TrainConfig, backbone: Any, folder: Path) -> float:
    print("a curve")
    return 1 - config.dropout


def values(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open(encoding="utf-8", newline="") as file:
        return [{key: cell for key, cell in row.items() if key != "minutes"} for row in csv.DictReader(file)]


def test_the_best_trial_becomes_a_config_that_can_be_run(
    tmp_path: Path, config: TrainConfig, trained: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = trained(quality)
    lines: list[str] = []
    best = read_config(tune(config, read_space(space_file(tmp_path)), 12, tmp_path / "study", lines.append))
    winner = min(asked, key=lambda each: each.dropout)
    assert best == replace(winner, name="small-tuned")
    assert best.split == config.split
    assert (len(asked), len(lines)) == (12, 12)
    assert lines[0].startswith("trial 1 of 12: auc 0.")
    assert all(0 <= each.dropout <= 0.3 and 1e-4 <= each.head_learning_rate <= 1e-2 for each in asked)
    assert {each.layers for each in asked} == {1, 2, None}
    assert capsys.readouterr().out == ""
    assert (tmp_path / "study" / "training.log").read_text(encoding="utf-8") == "a curve\n" * 12
    assert not list((tmp_path / "study").glob("*.partial"))


def test_a_study_that_was_killed_goes_on_as_if_it_had_not_been(
    tmp_path: Path, config: TrainConfig, trained: Any
) -> None:
    space = read_space(space_file(tmp_path))
    trained(quality)
    tune(config, space, 13, tmp_path / "whole", lambda _: None)

    def killed(parts: Parts, config: TrainConfig, backbone: Any, folder: Path) -> float:
        if len(asked) == 12:
            raise KeyboardInterrupt
        return quality(parts, config, backbone, folder)

    asked = trained(killed)
    with pytest.raises(KeyboardInterrupt):
        tune(config, space, 13, tmp_path / "study", lambda _: None)
    assert not (tmp_path / "study" / "best.yaml").exists()
    again = trained(quality)
    tune(config, space, 13, tmp_path / "study", lambda _: None)
    assert again[0] == asked[-1]
    assert len(again) == 2
    assert values(tmp_path / "study") == values(tmp_path / "whole")
    third = trained(quality)
    tune(config, space, 13, tmp_path / "study", lambda _: None)
    assert third == []


def test_values_that_do_not_go_together_are_left_out_with_the_reason(
    tmp_path: Path, config: TrainConfig, trained: Any
) -> None:
    trained(quality)
    lines: list[str] = []
    space = read_space(space_file(tmp_path, "dropout: {low: 0.5, high: 2}\n"))
    tune(config, space, 8, tmp_path / "study", lines.append)
    rows = values(tmp_path / "study")
    refused = [row for row in rows if float(row["dropout"]) >= 1]
    assert 0 < len(refused) < 8
    assert all(row["auc"] == "" and row["reason"].startswith("dropout is 1.") for row in refused)
    assert all(row["auc"] and not row["reason"] for row in rows if row not in refused)
    assert any("left out: dropout is 1." in line for line in lines)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (tuning._CameApart(), "the network came apart"),
        (ValueError("Input contains NaN."), "the network came apart"),
        (BackboneError("layers: 40 is more"), "layers: 40 is more"),
    ],
)
def test_when_no_trial_can_be_trained_there_is_no_best(
    tmp_path: Path, config: TrainConfig, trained: Any, error: Exception, reason: str
) -> None:
    def apart(*_: Any) -> float:
        raise error

    trained(apart)
    with pytest.raises(ConfigError, match="none of 2 trials could be trained, the first because: " + reason):
        tune(config, read_space(space_file(tmp_path)), 2, tmp_path / "study", lambda _: None)
    assert not (tmp_path / "study" / "best.yaml").exists()


def test_test_texts_are_never_seen(tmp_path: Path, config: TrainConfig, trained: Any) -> None:
    test = {record.id for record in read_parts(config).test}
    seen: list[Parts] = []
    trained(lambda parts, *_: float(seen.append(parts) or 0.5))
    space = read_space(space_file(tmp_path, "variants: {low: 1, high: 3}\n"))
    tune(config, space, 2, tmp_path / "study", lambda _: None)
    for parts in seen:
        assert parts.test == []
        assert not test & {record.id for record in (*parts.corpus, *parts.trained_on(), *parts.calibration)}
    assert test


@pytest.mark.parametrize(
    ("change", "space", "complaint"),
    [
        ({"seed": 3}, SPACE, "holds a study of another config and texts; give another --out"),
        ({"batch_size": 8}, SPACE, "holds a study of another config; give another --out"),
        ({}, "dropout: {low: 0.0, high: 0.2}", "holds a study of another space; give another --out"),
    ],
)
def test_another_study_in_the_same_folder_is_refused(
    tmp_path: Path, config: TrainConfig, trained: Any, change: dict[str, Any], space: str, complaint: str
) -> None:
    asked = trained(quality)
    tune(config, read_space(space_file(tmp_path)), 1, tmp_path / "study", lambda _: None)
    with pytest.raises(ConfigError, match=complaint):
        tune(replace(config, **change), read_space(space_file(tmp_path, space)), 1, tmp_path / "study", lambda _: None)
    assert len(asked) == 1


@pytest.mark.parametrize(("file", "content"), [("study.db", b"no database" * 99), ("study.json", b"{"), (".", b"")])
def test_a_folder_that_is_no_study_is_refused_in_one_line(
    tmp_path: Path, config: TrainConfig, trained: Any, file: str, content: bytes
) -> None:
    trained(quality)
    folder = tmp_path / "study"
    if file == ".":
        folder.write_text("a file", encoding="utf-8")
    else:
        folder.mkdir()
        (folder / file).write_bytes(content)
    with pytest.raises(ConfigError, match=r"is no study|cannot use .* for a study") as raised:
        tune(config, read_space(space_file(tmp_path)), 1, folder, lambda _: None)
    assert "\n" not in str(raised.value)


def test_a_calibration_part_of_one_side_and_no_trial_are_refused(tmp_path: Path, config: TrainConfig) -> None:
    path = Path(config.corpus[0])
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line for line in lines if json.loads(line)["label"] == "benign"), encoding="utf-8")
    with pytest.raises(CorpusError, match="needs harmful and honest texts"):
        tune(config, read_space(space_file(tmp_path)), 1, tmp_path / "study", lambda _: None)
    with pytest.raises(ConfigError, match="--trials is 0"):
        tune(config, read_space(space_file(tmp_path)), 0, tmp_path / "study", lambda _: None)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("drop: {low: 0, high: 1}", "unknown field 'drop'; known are: name, corpus"),
        ("seed: {low: 0, high: 9}", "seed cannot vary"),
        ("dropout: {low: 0.3, high: 0.3}", r"low 0\.3 and high 0\.3; low must be below high"),
        ("dropout: {low: 0, high: .inf}", "low must be below high"),
        ("dropout: {low: 0, high: 0.1, log: true}", "it must be above 0"),
        ("dropout: {low: 0, high: 0.1, log: 1}", "log of dropout is 1; expected true or false"),
        ("dropout: {low: 0, high: many}", "dropout is 'many'; expected float"),
        ("variants: {low: 1.5, high: 3}", r"variants is 1\.5; expected int"),
        ("variants: {choices: [1, two]}", "variants is 'two'; expected int"),
        ("variants: {choices: [2]}", "needs two choices or more"),
        ("variants: {choices: [2, 2, 3]}", "none of them twice"),
        ("variants: {choices: 2}", "must be a list"),
        ("teachers: {choices: [[a], [b]]}", "must be a list of numbers, words"),
        ("bf16: {low: 0, high: 1}", "bf16 is no number"),
        ("dropout: {low: 0, high: 1, step: 2}", "dropout must be {low, high}"),
        ("dropout: 0.1", "dropout must be {low, high}"),
        ("", "must hold `field: value` lines"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as raised:
        read_space(space_file(tmp_path, content))
    assert "\n" not in str(raised.value)


def test_the_space_that_ships_can_be_searched() -> None:
    space = read_space(Path(__file__).parents[2] / "train/configs/space.yaml")
    assert set(space) < set(TrainConfig.__dataclass_fields__)


def test_an_error_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    smoke = str(Path(__file__).parents[2] / "train/configs/smoke.yaml")
    assert main(["tune", smoke, "--space", str(tmp_path / "nowhere.yaml")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: cannot read")
    assert error.count("\n") == 1


def test_a_trial_is_really_trained_and_leaves_no_checkpoints(
    tmp_path: Path, config: TrainConfig, smoke_run: Path
) -> None:
    real = replace(config, backbone=str(smoke_run / "backbone"), layers=1, max_length=32)
    space = read_space(space_file(tmp_path, "dropout: {low: 0.0, high: 0.3}"))
    tune(real, space, 1, tmp_path / "study", lambda _: None)
    [row] = values(tmp_path / "study")
    assert 0 < float(row["auc"]) <= 1
    assert not (tmp_path / "study" / "trainer").exists()
