from pathlib import Path

import pytest
import yaml

from train.config import OFFLINE, TrainConfig, read_config
from train.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "train" / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_is_valid(path: Path) -> None:
    if path.stem != "space":  # what `train tune` varies, see test_tune
        assert read_config(path).name


@pytest.mark.parametrize("name", ["default", "smoke", "teacher", "student"])
def test_what_a_laptop_trains_needs_no_network(name: str) -> None:
    assert read_config(CONFIGS / f"{name}.yaml").backbone == OFFLINE


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
        ("name: x\nteachers: a", "teachers is 'a'; expected a list"),
        ("name: x\nteachers: [1]", "teachers is 1; expected str"),
        ("name: x\nteachers: [null]", "teachers is None; expected str"),
        ("name: x\ncorpus: [[a]]", "corpus is \\['a'\\]; expected str"),
        ("name: x\nsplit: [a, b, c]", "split is 'a'; expected float"),
        ("name: x\nsources: [a.jsonl]", "a source is a mapping with at least a path, not 'a.jsonl'"),
        ("name: x\nsources: null", "sources is None; expected a list"),
        ("name: x\nstart: [a]", "start is \\['a'\\]; expected str | None"),
        ("name: x\nstart: 1", "start is 1; expected str | None"),
        ("name: x\nsoft_share: 1.1", "soft_share is 1.1; expected: 0 to 1"),
        ("name: x\nsoft_share: .nan", "soft_share is nan; expected: 0 to 1"),
        ("name: x\nsoft_share: much", "soft_share is 'much'; expected float"),
        ("name: x\nsoft_temperature: 0", "soft_temperature is 0.0; expected: above 0"),
        ("name: x\nsoft_temperature: .inf", "soft_temperature is inf; expected: above 0"),
        ("name: x\nfeature_weight: -1", "feature_weight is -1.0; expected: 0 to 100"),
        ("name: x\nlayer_decay: 1.5", "layer_decay is 1.5; expected: above 0 and at most 1"),
        ("name: x\nlayers: 0", "layers is 0; expected: at least 1, or null"),
        ("name: x\nlayers: 2.5", r"layers is 2.5; expected int \| None"),
        ("name: x\nlayers: true", r"layers is True; expected int \| None"),
        ("name: x\ncheckpoint_steps: 0", "checkpoint_steps is 0; expected: at least 1"),
        ("name: x\nround_activations: 8", "round_activations is 8; expected bool"),
        ("name: x\nseed: -1", "seed is -1; expected: 0 up to"),
        (f"name: x\ndropout: 1{'0' * 400}", "dropout is 10*; expected float"),
        ("name: 2026-13-41", "not valid YAML"),
        ("seed: 1", "name"),
        ("[]", "must hold `field: value` lines"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_config_that_cannot_be_used_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=complaint) as raised:
        read_config(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_a_missing_file_and_a_wrong_override_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_config(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="--set takes key=value"):
        read_config(CONFIGS / "smoke.yaml", ["seed"])
    with pytest.raises(ConfigError, match="--set 'seed=\\[': the value is not valid YAML"):
        read_config(CONFIGS / "smoke.yaml", ["seed=["])
    with pytest.raises(ConfigError, match="--set 'name=2026-13-41': the value is not valid YAML"):
        read_config(CONFIGS / "smoke.yaml", ["name=2026-13-41"])
    with pytest.raises(ConfigError, match="unknown field 'extends'"):
        read_config(CONFIGS / "smoke.yaml", ["extends=default.yaml"])


def write(folder: Path, **files: str) -> Path:
    """Writes configuration files and returns the folder."""
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(content, encoding="utf-8")
    return folder


def test_a_file_takes_over_what_the_one_it_extends_says_and_it_does_not(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        first="name: first\nseed: 1\nvariants: 9\nlimit: 5\ncorpus: [a, b]",
        second="extends: first.yaml\nname: second\nseed: 2\nlimit: null",
        third="extends: second.yaml\nname: third\ncorpus: [c]",
    )
    config = read_config(folder / "third.yaml", ["seed=3"])
    assert config == TrainConfig(name="third", seed=3, variants=9, limit=None, corpus=("c",))
    assert read_config(folder / "second.yaml") == TrainConfig(name="second", seed=2, variants=9, corpus=("a", "b"))


def test_what_is_extended_is_looked_for_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    write(tmp_path, base="name: base\nseed: 4")
    write(tmp_path / "inner", top="extends: ../base.yaml\nname: top")
    assert read_config(tmp_path / "inner" / "top.yaml").seed == 4


@pytest.mark.parametrize(
    "files",
    [
        {"a": "extends: a.yaml\nname: a"},
        {"a": "extends: b.yaml\nname: a", "b": "extends: a.yaml"},
        {"a": "extends: b.yaml\nname: a", "b": "extends: c.yaml", "c": "extends: ./b.yaml"},
        {"a": "extends: inner/../b.yaml\nname: a", "b": "extends: inner/../a.yaml"},
    ],
)
def test_files_that_extend_each_other_are_an_error(tmp_path: Path, files: dict[str, str]) -> None:
    (tmp_path / "inner").mkdir()
    with pytest.raises(ConfigError, match="extends itself by way of .*; take one `extends` out"):
        read_config(write(tmp_path, **files) / "a.yaml")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("learning_rate: 1", "base.yaml: unknown field 'learning_rate'"),
        ("seed: many", "base.yaml: seed is 'many'; expected int"),
        ("a: [", "base.yaml is not valid YAML"),
        ("", "base.yaml must hold"),
        ("extends: nowhere.yaml", "cannot read .*nowhere.yaml"),
        ("extends: [top.yaml]", r"base.yaml: extends is \['top.yaml'\]; the name of a file beside it"),
        ("extends: null", "base.yaml: extends is None"),
        ("extends: ''", "cannot read "),
    ],
)
def test_a_fault_in_what_is_extended_names_that_file(tmp_path: Path, content: str, complaint: str) -> None:
    folder = write(tmp_path, base=content, top="extends: base.yaml\nname: top\nseed: 1")
    with pytest.raises(ConfigError, match=complaint):
        read_config(folder / "top.yaml")


def test_teachers_are_a_list_and_survive_being_saved(tmp_path: Path) -> None:
    folder = write(tmp_path, c="name: x\nteachers: [runs/a/bundle, runs/b/bundle]\nstart: runs/a/bundle\nsoft_share: 1")
    config = read_config(folder / "c.yaml")
    assert config.teachers == ("runs/a/bundle", "runs/b/bundle")
    assert config.soft_share == 1.0
    assert config.to_dict()["teachers"] == ["runs/a/bundle", "runs/b/bundle"]
    saved = folder / "saved.yaml"
    saved.write_text(yaml.safe_dump(config.to_dict()), encoding="utf-8")
    assert read_config(saved) == TrainConfig.from_dict(config.to_dict()) == config
    assert read_config(saved, ["teachers=[]"]).teachers == ()


def test_sources_survive_being_saved(tmp_path: Path) -> None:
    source = "{path: a.jsonl, label: benign, kinds: {x: other}, unlabelled: true, calibration: l.txt}"
    config = read_config(write(tmp_path, c=f"name: x\nsources: [{source}]") / "c.yaml")
    assert config.sources[0].unlabelled
    assert config.sources[0].calibration == "l.txt"
    (tmp_path / "saved.yaml").write_text(yaml.safe_dump(config.to_dict()), encoding="utf-8")
    assert read_config(tmp_path / "saved.yaml") == config
