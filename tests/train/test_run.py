import json
import os
import shutil
import subprocess
import sys
import time
from errno import ENOSPC
from pathlib import Path

import pytest
import yaml
from safetensors import safe_open

from ruthan.model.bundle import read_bundle
from ruthan.policy import read_policy
from ruthan.scanner import Scanner
from train.__main__ import main
from train.config import TrainConfig
from train.errors import CorpusError, ExportError
from train.finetune import last_checkpoint
from train.parts import read_parts
from train.run import run

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-5  # of a weight: what a run that was killed may differ by from one that was not


def test_a_run_leaves_bundle_weights_metrics_and_confusion(smoke_run: Path) -> None:
    bundle = read_bundle(smoke_run / "bundle")
    assert bundle.info.name == "smoke"
    assert bundle.info.training["trained_on"] == {"authored": 160}
    with safe_open(smoke_run / "model.safetensors", "numpy") as weights:
        assert "head.weight" in weights.keys()  # noqa: SIM118
    metrics = json.loads((smoke_run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["drift"]["texts"] > 100
    assert len((smoke_run / "confusion.csv").read_text(encoding="utf-8").splitlines()) == 17
    assert not (smoke_run / "bundle.partial").exists()


def test_a_run_leaves_what_tells_how_it_came_about(smoke_run: Path, smoke_config: TrainConfig) -> None:
    read = {name: json.loads((smoke_run / f"{name}.json").read_text("utf-8")) for name in ("data", "environment")}
    assert len(read["data"][str(Path(smoke_config.corpus[0]) / "short.jsonl")]) == 64
    assert read["environment"]["libraries"]["torch"].startswith("2.")
    curves = json.loads((smoke_run / "curves.json").read_text(encoding="utf-8"))
    assert {"loss", "eval_auc"} <= {key for point in curves["points"] for key in point}
    assert curves["minutes"] > 0
    assert read_policy(smoke_run / "policy.yaml").name == "smoke"
    assert read_bundle(smoke_run / "bundle-float").info.name == "smoke-float"


def test_the_bundle_of_a_run_scans(smoke_run: Path) -> None:
    verdict = Scanner(model=smoke_run / "bundle").scan("สวัสดีครับ")
    assert verdict.model == "smoke"


def test_even_a_smoke_run_has_learned_something(smoke_run: Path) -> None:
    metrics = json.loads((smoke_run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["test"]["auc"] > 0.55


def test_the_same_seed_gives_the_same_model(smoke_run: Path, smoke_config: TrainConfig, tmp_path: Path) -> None:
    run(smoke_config, tmp_path / "again")
    text = "คุณได้รับสิทธิ์กู้เงิน 50,000 บาท"
    first, second = (Scanner(model=folder / "bundle").scan(text) for folder in (smoke_run, tmp_path / "again"))
    assert first == second


def test_a_run_that_stopped_after_training_goes_on_from_there(
    smoke_run: Path, smoke_config: TrainConfig, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(smoke_run, tmp_path / "run"))
    shutil.rmtree(folder / "bundle")
    weights = (folder / "model.safetensors").stat().st_mtime_ns
    run(smoke_config, folder)
    assert (folder / "model.safetensors").stat().st_mtime_ns == weights
    text = "คุณได้รับสิทธิ์กู้เงิน 50,000 บาท"
    assert Scanner(model=folder / "bundle").scan(text) == Scanner(model=smoke_run / "bundle").scan(text)


def test_a_run_that_was_killed_ends_as_one_that_was_not(
    smoke_run: Path, smoke_config: TrainConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    path = tmp_path / "smoke.yaml"
    config = TrainConfig.from_dict({**smoke_config.to_dict(), "checkpoint_steps": 1})
    path.write_text(yaml.safe_dump(config.to_dict()), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "train", "run", str(path), "--out", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    while last_checkpoint(folder / "trainer") is None:
        assert process.poll() is None, "the run ended before its first checkpoint was seen"
        time.sleep(0.05)
    process.kill()
    process.wait()
    seen = last_checkpoint(folder / "trainer")
    assert seen is not None
    assert not (folder / "trained.json").exists()
    run(config, folder)
    steps = [point["step"] for point in json.loads((folder / "curves.json").read_text("utf-8"))["points"]]
    assert steps == sorted(steps)
    with (
        safe_open(smoke_run / "model.safetensors", "pt") as one,
        safe_open(folder / "model.safetensors", "pt") as other,
    ):
        for name in one.keys():  # noqa: SIM118
            assert (one.get_tensor(name) - other.get_tensor(name)).abs().max() < TOLERANCE


def test_a_bundle_that_drifts_is_not_written(tmp_path: Path, smoke_config: TrainConfig) -> None:
    strict = TrainConfig.from_dict({**smoke_config.to_dict(), "limit": 32, "max_drift": 1e-9})
    with pytest.raises(ExportError, match=r"largest difference 0\.\d+ \(bound 1e-09\).*no bundle was written"):
        run(strict, tmp_path)
    assert not (tmp_path / "bundle").exists()


def test_an_empty_part_stops_the_run_before_training(tmp_path: Path, smoke_config: TrainConfig) -> None:
    lines = (Path(smoke_config.corpus[0]) / "short.jsonl").read_text(encoding="utf-8").splitlines()
    corpus = tmp_path / "c.jsonl"
    corpus.write_text(json.dumps({**json.loads(lines[0]), "pair": None}), encoding="utf-8")
    config = TrainConfig.from_dict({**smoke_config.to_dict(), "corpus": [str(corpus)]})
    with pytest.raises(CorpusError, match="part is empty"):
        run(config, tmp_path / "run")


def test_a_class_without_a_training_text_stops_the_run_before_training(
    tmp_path: Path, smoke_config: TrainConfig
) -> None:
    lines = (Path(smoke_config.corpus[0]) / "short.jsonl").read_text(encoding="utf-8").splitlines()
    kept = [{**json.loads(line), "pair": None} for line in lines if '"label": "spam"' not in line]
    corpus = tmp_path / "c.jsonl"
    corpus.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
    config = TrainConfig.from_dict({**smoke_config.to_dict(), "corpus": [str(corpus)], "limit": None})
    with pytest.raises(CorpusError, match="no training text is labelled .*spam; add some"):
        run(config, tmp_path / "run")
    assert not (tmp_path / "run" / "begun.json").exists()


def test_real_texts_are_mixed_in_and_named(tmp_path: Path, smoke_config: TrainConfig) -> None:
    path = tmp_path / "real.jsonl"
    texts = [f"พัสดุหมายเลข 000123456789 ถึง{place}แล้ว" for place in ("บ้าน", "ร้าน", "ตึก", "วัด", "สวน", "ค่าย")]
    path.write_text("".join(json.dumps({"text": text, "kind": "otp"}) + "\n" for text in texts), encoding="utf-8")
    source = {"path": str(path), "weight": 0.5, "label": "benign", "attribution": "someone (MIT)"}
    config = TrainConfig.from_dict({**smoke_config.to_dict(), "limit": 32, "variants": 2, "sources": [source]})
    bundle = read_bundle(run(config, tmp_path / "run"))
    assert bundle.info.training["trained_on"] == {"authored": 32, "real": 3}
    assert bundle.info.attribution.endswith("Trained also on texts of someone (MIT).")
    first, second = read_parts(config).passes
    assert {record.id for record in first} != {record.id for record in second}


def test_a_training_text_near_a_challenge_stops_the_run_before_training(
    tmp_path: Path, smoke_config: TrainConfig
) -> None:
    challenge = Path(smoke_config.challenge or "") / "must_catch.jsonl"
    row = json.loads(challenge.read_text(encoding="utf-8").splitlines()[0])
    path = tmp_path / "real.jsonl"
    path.write_text(json.dumps({"text": row["text"], "label": row["label"]}), encoding="utf-8")
    config = TrainConfig.from_dict({**smoke_config.to_dict(), "sources": [{"path": str(path)}]})
    with pytest.raises(CorpusError, match="which must never be trained on"):
        run(config, tmp_path / "run")
    assert not (tmp_path / "run" / "trained.json").exists()


def test_an_error_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path / "nowhere.yaml")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: cannot read")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(ENOSPC, "No space left on device"), "the disk is full; free some space"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "the disk is full; free some space"),
        (MemoryError(), "too little memory; lower batch_size"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            "too little memory",
        ),
        (PermissionError(13, "Permission denied", "/runs"), "Permission denied: /runs; give another folder"),
        (KeyboardInterrupt(), "stopped; a run or a study goes on"),
    ],
)
def test_what_the_machine_lacks_is_one_line_and_a_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, reason: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("train.run.run", fail)
    assert main(["run", str(ROOT / "train/configs/smoke.yaml")]) in (2, 130)
    shown = capsys.readouterr().err
    assert reason in shown
    assert shown.count("\n") == 1


def test_a_fault_of_our_own_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr("train.run.run", fail)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        main(["run", str(ROOT / "train/configs/smoke.yaml")])


def test_a_disk_that_fills_while_the_bundle_is_written_leaves_the_one_before(
    smoke_run: Path, smoke_config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(smoke_run, tmp_path / "run"))

    def fail(*_: object, **__: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr("train.run.write_hub_folder", fail)
    with pytest.raises(OSError, match="No space left"):
        run(smoke_config, folder)
    assert read_bundle(folder / "bundle").info == read_bundle(smoke_run / "bundle").info


def test_a_mark_that_was_not_written_to_its_end_is_not_trusted(
    smoke_run: Path, smoke_config: TrainConfig, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(smoke_run, tmp_path / "run"))
    (folder / "trained.json").write_text("", encoding="utf-8")
    weights = (folder / "model.safetensors").stat().st_mtime_ns
    run(smoke_config, folder)
    assert (folder / "model.safetensors").stat().st_mtime_ns != weights


def test_what_trains_no_other_network_trains_none_anew(
    smoke_run: Path, smoke_config: TrainConfig, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(smoke_run, tmp_path / "run"))
    weights = (folder / "model.safetensors").stat().st_mtime_ns
    run(TrainConfig.from_dict({**smoke_config.to_dict(), "name": "renamed", "max_drift": 0.9}), folder)
    assert (folder / "model.safetensors").stat().st_mtime_ns == weights
    assert read_bundle(folder / "bundle").info.name == "renamed"


def test_two_processes_train_one_network_and_write_it_once(tmp_path: Path, smoke_config: TrainConfig) -> None:
    path = tmp_path / "two.yaml"
    corpus = [str(Path(smoke_config.corpus[0]) / name) for name in ("short.jsonl", "terse.jsonl")]
    config = TrainConfig.from_dict({**smoke_config.to_dict(), "limit": 64, "corpus": corpus, "challenge": None})
    path.write_text(yaml.safe_dump(config.to_dict()), encoding="utf-8")
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += ["-m", "train", "run", str(path), "--out", str(tmp_path / "run")]
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("bundle: ") == 1
    points = json.loads((tmp_path / "run" / "curves.json").read_text(encoding="utf-8"))["points"]
    assert points[-1]["step"] == 2  # 64 texts in batches of 32, each shared by both
    assert read_bundle(tmp_path / "run" / "bundle").info.name == "smoke"
