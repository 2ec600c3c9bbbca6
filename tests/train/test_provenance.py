import json
import shutil
from pathlib import Path

import pytest

from train.config import TrainConfig
from train.errors import ConfigError
from train.parts import read_parts
from train.provenance import (
    attribution,
    check_lineage,
    data_digests,
    environment,
    learned_from,
    licence,
    training_state,
)


def further(smoke_config: TrainConfig, start: Path, **changes: object) -> TrainConfig:
    return TrainConfig.from_dict({**smoke_config.to_dict(), "name": "further", "start": str(start), **changes})


@pytest.mark.parametrize("kind", ["bundle", "hub"])
def test_a_run_names_what_it_learned_from_and_keeps_its_licence(
    smoke_run: Path, smoke_config: TrainConfig, kind: str
) -> None:
    config = further(smoke_config, smoke_run / kind)
    assert learned_from(config) == {str(smoke_run / kind): "smoke"}
    assert attribution(config).startswith("Learned from smoke. Fine-tuned from intfloat/multilingual-e5-small (MIT)")
    assert licence(config) == "Apache-2.0"


def test_a_run_may_not_replace_what_it_learns_from(smoke_run: Path, smoke_config: TrainConfig) -> None:
    with pytest.raises(ConfigError, match="lies in the folder of this run"):
        check_lineage(further(smoke_config, smoke_run / "hub"), smoke_run)


@pytest.mark.parametrize("change", [{"seed": 18}, {"split": [0.6, 0.2, 0.2]}])
def test_a_model_trained_on_what_this_run_would_judge_on_is_refused(
    smoke_run: Path, smoke_config: TrainConfig, tmp_path: Path, change: dict
) -> None:
    field = next(iter(change))
    with pytest.raises(ConfigError, match=f"was trained with {field}: .*taken for unseen"):
        check_lineage(further(smoke_config, smoke_run / "bundle", **change), tmp_path / "run")


def test_the_state_is_of_what_the_network_hangs_on(smoke_run: Path, smoke_config: TrainConfig, tmp_path: Path) -> None:
    config = further(smoke_config, smoke_run / "bundle")
    parts = read_parts(config)
    state = training_state(parts, config)
    assert training_state(parts, TrainConfig.from_dict({**config.to_dict(), "name": "b", "max_drift": 0.1})) == state
    assert training_state(parts, TrainConfig.from_dict({**config.to_dict(), "dropout": 0.2})) != state
    assert json.loads(json.dumps(state)) == state
    other = Path(shutil.copytree(smoke_run / "bundle", tmp_path / "bundle"))
    info = json.loads((other / "bundle.json").read_text(encoding="utf-8"))
    (other / "bundle.json").write_text(json.dumps({**info, "temperature": 2.0}), encoding="utf-8")
    assert training_state(parts, further(smoke_config, other))["models"] != state["models"]


def test_digests_and_environment_name_files_and_versions(smoke_config: TrainConfig) -> None:
    digests = data_digests(smoke_config)
    assert any(path.endswith("corpus/short.jsonl") for path in digests)
    assert any(path.endswith("challenge/must_catch.jsonl") for path in digests)
    assert set(environment()["libraries"]) >= {"torch", "transformers", "onnxruntime"}
