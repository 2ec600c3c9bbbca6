"""The commands in docs/ are real, and the files that they name exist."""

import re
import shlex
from pathlib import Path

import pytest

from ruthan import cli
from ruthan.batch.columns import columns
from ruthan.batch.results import WRITERS

ROOT = Path(__file__).parents[1]
GUIDES = sorted((ROOT / "docs").glob("*.md"))


def commands(guide: Path) -> list[tuple[str, str]]:
    """Module and arguments of every command shown, comments left out."""
    shown = re.findall(r"^\$ python -m (train(?:\.corpus)?) (.*?)(?:\s+#.*)?$", guide.read_text("utf-8"), re.MULTILINE)
    return [(module, arguments) for module, arguments in shown]


def scanning_commands(guide: Path) -> list[str]:
    """Arguments of every command of `ruthan` shown."""
    return re.findall(r"^\$ (?:.*\| )?ruthan (.*?)(?:\s+#.*)?$", guide.read_text("utf-8"), re.MULTILINE)


def test_the_training_guide_shows_commands() -> None:
    assert len(commands(ROOT / "docs/training.md")) >= 8


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_every_training_command_is_real(guide: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra train")
    from train.__main__ import parser as train
    from train.corpus.__main__ import parser as corpus

    parsers = {"train": train, "train.corpus": corpus}
    for module, arguments in commands(guide):
        assert parsers[module]().parse_args(shlex.split(arguments)).command in arguments


def test_the_scanning_guide_shows_commands() -> None:
    assert len(scanning_commands(ROOT / "docs/scanning.md")) >= 5


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_every_scanning_command_is_real(guide: Path) -> None:
    for arguments in scanning_commands(guide):
        assert cli.parser().parse_args(shlex.split(arguments)).command in arguments


def test_the_scanning_guide_describes_every_format_ending_and_column() -> None:
    text = (ROOT / "docs/scanning.md").read_text(encoding="utf-8")
    names = {*cli.FORMATS, *WRITERS, *columns(with_text=True)}
    assert {name for name in names if f"`{name}`" not in text} == set()


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_every_file_named_exists(guide: Path) -> None:
    text = guide.read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:train/configs|data/policies)/[\w./-]+\.yaml", text))
    named |= {f"docs/{name}" for name in re.findall(r"\]\(([\w-]+\.md)\)", text)}
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_every_configuration_is_in_the_training_guide() -> None:
    text = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    names = {path.name for path in (ROOT / "train/configs").glob("*.yaml")}
    assert {name for name in names if name not in text} == set()
