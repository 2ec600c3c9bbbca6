from pathlib import Path

import pytest

from train.config import OFFLINE, TrainConfig, read_config
from train.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "train" / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_is_valid(path: Path) -> None:
    assert read_config(path).backbone == OFFLINE


def test_a_config_survives_being_saved() -> None:
    config = TrainConfig(name="x", limit=5, split=(0.5, 0.25, 0.25))
    assert TrainConfig.from_dict(config.to_dict()) == config


def test_overrides_win_and_are_typed(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("name: x\nseed: 1\n", encoding="utf-8")
    config = read_config(path, ["seed=5", "encoder_learning_rate=1e-4", "limit=null", "corpus=[a, b]"])
    assert (config.seed, config.encoder_learning_rate, config.limit, config.corpus) == (5, 1e-4, None, ("a", "b"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("name: x\nlearning_rate: 1", "unknown field 'learning_rate'; known are: name, corpus"),
        ("name: x\nseed: many", "seed is 'many'; expected int"),
        ("name: x\nbf16: 1", "bf16 is 1; expected bool"),
        ("name: x\nmax_length: 9999", "max_length is 9999; expected: 16 to 510"),
        ("name: x\nsplit: [0.5, 0.5, 0.5]", "split is .*; expected: three shares"),
        ("name: ../x", "name is '../x'"),
        ("name: x\nsources: [{path: a.jsonl, weight: 99}]", r"source a\.jsonl: weight is 99"),
        ("name: x\nsources: a.jsonl", "sources is 'a.jsonl'"),
        ("name: x\ndisguised: 1.5", "disguised is 1.5; expected: 0 up to"),
        ("seed: 1", "name"),
        ("[]", "must hold `field: value` lines"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_config_that_cannot_be_used_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=complaint):
        read_config(path)


def test_a_missing_file_and_a_wrong_override_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_config(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="--set takes key=value"):
        read_config(CONFIGS / "smoke.yaml", ["seed"])
    with pytest.raises(ConfigError, match="--set 'seed=\\[': the value is not valid YAML"):
        read_config(CONFIGS / "smoke.yaml", ["seed=["])
