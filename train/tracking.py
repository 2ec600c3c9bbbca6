"""Log a run to MLflow: to a database in a folder of its own, or to the server that MLflow's environment variables name.

MLFLOW_TRACKING_URI=https://… python -m train run CONFIG.yaml --set tracking=true
"""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from train.errors import ConfigError

EXPERIMENT = "ruthan"

_log = logging.getLogger(__name__)


class Tracker:
    """Takes the settings, curves and figures of one run. This one drops them: tracking is off."""

    def settings(self, values: Mapping[str, Any]) -> None:
        """What the run was asked to do."""

    def figures(self, values: Mapping[str, float], step: int | None = None) -> None:
        """What was measured, at a step of training or at the end."""


class _MLflowTracker(Tracker):
    """A server that is lost on the way costs its log, not the training."""

    def __init__(self, mlflow: Any) -> None:
        self._mlflow = mlflow

    def settings(self, values: Mapping[str, Any]) -> None:
        self._try(self._mlflow.log_params, {key: str(value)[:500] for key, value in values.items()})

    def figures(self, values: Mapping[str, float], step: int | None = None) -> None:
        self._try(self._mlflow.log_metrics, {key: float(value) for key, value in values.items()}, step=step)

    def _try(self, log: Callable[..., None], *arguments: Any, **options: Any) -> None:
        try:
            log(*arguments, **options)
        except Exception as error:  # MLflow and what it stands on raise many kinds
            _log.warning("not logged to MLflow: %s", type(error).__name__)


@contextmanager
def tracked(wanted: bool, name: str, folder: Path) -> Iterator[Tracker]:
    """A tracker for the run `name`. Without a server in the environment it writes to `folder`/mlflow.db.

    No text is logged, only settings and figures.

    :raises ConfigError: MLflow is not installed, or its server cannot be reached.
    """
    if not wanted:
        yield Tracker()
        return
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, about the libraries that it uses
        try:
            import mlflow
        except ImportError as error:
            raise ConfigError(
                "tracking needs MLflow; run: pip install 'ruthan[train]', or set tracking=false"
            ) from error
        try:
            server = os.environ.get("MLFLOW_TRACKING_URI")
            mlflow.set_tracking_uri(server or f"sqlite:///{folder.resolve()}/mlflow.db")
            if server is None:
                folder.mkdir(parents=True, exist_ok=True)
                if mlflow.get_experiment_by_name(EXPERIMENT) is None:
                    mlflow.create_experiment(EXPERIMENT, artifact_location=(folder.resolve() / "artifacts").as_uri())
            mlflow.set_experiment(EXPERIMENT)
            active = mlflow.start_run(run_name=name)
        except Exception as error:  # MLflow and what it stands on raise many kinds
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ConfigError(
                f"cannot log to MLflow: {reason}; mend MLFLOW_TRACKING_URI, or set tracking=false"
            ) from error
    with active:
        yield _MLflowTracker(mlflow)
