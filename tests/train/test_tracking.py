import sqlite3
from pathlib import Path

import pytest

from train.errors import ConfigError
from train.tracking import tracked


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_settings_and_figures_go_to_a_database_of_the_folder(tmp_path: Path) -> None:
    with tracked(True, "a-run", tmp_path / "mlflow") as tracker:
        tracker.settings({"seed": 17, "corpus": ["data/corpus"]})
        tracker.figures({"loss": 0.5}, step=10)
        tracker.figures({"loss": 0.25}, step=20)
    with sqlite3.connect(tmp_path / "mlflow" / "mlflow.db") as database:
        params = dict(database.execute("select key, value from params"))
        metrics = list(database.execute("select key, value, step from metrics order by step"))
        [status] = database.execute("select status from runs").fetchone()
    assert params == {"seed": "17", "corpus": "['data/corpus']"}
    assert metrics == [("loss", 0.5, 10), ("loss", 0.25, 20)]
    assert status == "FINISHED"


def test_switched_off_it_leaves_nothing(tmp_path: Path) -> None:
    with tracked(False, "a-run", tmp_path / "mlflow") as tracker:
        tracker.settings({"seed": 17})
        tracker.figures({"loss": 0.5})
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_cannot_be_reached_is_one_line_and_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")
    with pytest.raises(ConfigError, match="cannot log to MLflow: .*mend MLFLOW_TRACKING_URI, or set tracking=false"):  # noqa: SIM117
        with tracked(True, "a-run", tmp_path / "mlflow"):
            pass
