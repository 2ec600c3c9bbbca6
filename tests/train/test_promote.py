import fcntl
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ruthan.errors import BundleError
from ruthan.model.bundle import CARD, INFO, MODEL, TOKENIZER, Bundle, default_bundle, read_bundle
from ruthan.scanner import Scanner
from train import gates as gates_module
from train import promote as module
from train.__main__ import main
from train.errors import ConfigError, ExportError
from train.export import finish_bundle
from train.gates import Gate
from train.promote import exchange, install, promote

CHALLENGE = Path(__file__).parents[2] / "data/challenge"


def small(folder: Path, name: str) -> Path:
    """A bundle that reads as whole, with next to nothing in its files."""
    folder.mkdir(parents=True)
    for file in (MODEL, TOKENIZER):
        (folder / file).write_text(name)
    info = read_bundle(default_bundle()).info
    metrics = {key: value for key, value in info.metrics.items() if key != "promoted"}
    finish_bundle(folder, replace(info, name=name, metrics=metrics))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run with a small bundle."""
    small(tmp_path / "runs/new/bundle", "new")
    return tmp_path / "runs/new"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where an old bundle stands."""
    return small(tmp_path / "models/shipped", "old")


def judge(monkeypatch: pytest.MonkeyPatch, *measured: int) -> None:
    """Have the gates measure these figures, of which 1 is too much."""
    found = [Gate(f"gate {at}", figure, 0, "do better") for at, figure in enumerate(measured)]
    monkeypatch.setattr(module, "gates", lambda *_: found)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_bundle_that_passes_takes_the_place_and_keeps_the_figures(
    monkeypatch: pytest.MonkeyPatch, run: Path, target: Path
) -> None:
    judge(monkeypatch, 0, 0)
    promotion = promote(run, target, CHALLENGE, 0.02)
    assert (promotion.done, promotion.compared, promotion.failed) == (True, True, [])
    info = read_bundle(target).info
    assert info.name == "new"
    assert info.metrics["promoted"] == {
        "gates": {f"gate {at}": {"measured": 0, "bound": 0, "passed": True} for at in (0, 1)}
    }
    assert (target / CARD).read_text(encoding="utf-8").startswith("# new")
    assert sorted(files(target)) == sorted([MODEL, TOKENIZER, CARD, INFO])
    assert [each.name for each in target.parent.iterdir()] == ["shipped"]
    assert "promoted" not in read_bundle(run / "bundle").info.metrics


def test_a_failed_gate_copies_nothing_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, run: Path, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(monkeypatch, 0, 1)
    before = files(target)
    assert main(["promote", str(run), "--to", str(target), "--challenge", str(CHALLENGE)]) == 1
    said = capsys.readouterr().out
    assert "do better" in said
    assert "1 of 2 gates failed; nothing was copied." in said
    assert files(target) == before
    assert [each.name for each in target.parent.iterdir()] == ["shipped"]


def test_force_copies_and_records_why(monkeypatch: pytest.MonkeyPatch, run: Path, target: Path) -> None:
    judge(monkeypatch, 1)
    command = ["promote", str(run), "--to", str(target), "--challenge", str(CHALLENGE), "--force", "new classes"]
    assert main(command) == 0
    promoted = read_bundle(target).info.metrics["promoted"]
    assert promoted["forced"] == "new classes"
    assert promoted["gates"]["gate 0"]["passed"] is False
    assert "Why it ships all the same: new classes" in (target / "README.md").read_text(encoding="utf-8")


def test_where_nothing_stands_the_comparison_is_skipped_and_said_so(
    monkeypatch: pytest.MonkeyPatch, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(monkeypatch, 0)
    place = tmp_path / "elsewhere/deep/new"
    assert main(["promote", str(run / "bundle"), "--to", str(place), "--challenge", str(CHALLENGE)]) == 0
    assert "No bundle that can be read stands at" in capsys.readouterr().out
    assert read_bundle(place).info.name == "new"


def test_a_link_to_the_bundle_stays_a_link(
    monkeypatch: pytest.MonkeyPatch, run: Path, target: Path, tmp_path: Path
) -> None:
    judge(monkeypatch, 0)
    link = tmp_path / "current"
    link.symlink_to(target)
    promote(run, link, CHALLENGE, 0.02)
    assert link.is_symlink()
    assert read_bundle(link).info.name == "new"


def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch, run: Path, target: Path, tmp_path: Path) -> None:
    judge(monkeypatch, 0)
    with pytest.raises(BundleError, match="no model bundle"):
        promote(tmp_path / "nowhere", target, CHALLENGE, 0.02)
    with pytest.raises(ConfigError, match="from 0 to 1"):
        promote(run, target, CHALLENGE, float("nan"))
    with pytest.raises(ConfigError, match="say why"):
        promote(run, target, CHALLENGE, 0.02, force=" ")
    with pytest.raises(ConfigError, match="name a run"):
        promote(target, target, CHALLENGE, 0.02)
    with pytest.raises(ConfigError, match="is a file"):
        promote(run, target / INFO, CHALLENGE, 0.02)
    with pytest.raises(ConfigError, match="holds more than a bundle"):
        promote(run, target.parent, CHALLENGE, 0.02, force="on purpose")
    assert read_bundle(target).info.name == "old"


def test_a_damaged_bundle_is_replaced_only_by_force(monkeypatch: pytest.MonkeyPatch, run: Path, target: Path) -> None:
    judge(monkeypatch, 0)
    (target / MODEL).write_text("damaged")
    with pytest.raises(ConfigError, match="nothing to compare with: .*is damaged.*--force"):
        promote(run, target, CHALLENGE, 0.02)
    assert not promote(run, target, CHALLENGE, 0.02, force="it was damaged").compared
    assert read_bundle(target).info.name == "new"


def test_a_second_promotion_at_the_same_time_is_refused(
    monkeypatch: pytest.MonkeyPatch, run: Path, target: Path
) -> None:
    judge(monkeypatch, 0)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with pytest.raises(ExportError, match="another promotion"):
            promote(run, target, CHALLENGE, 0.02)
    finally:
        os.close(folder)
    assert promote(run, target, CHALLENGE, 0.02).done


def test_a_copy_that_went_wrong_leaves_the_old_bundle(monkeypatch: pytest.MonkeyPatch, run: Path, target: Path) -> None:
    new = read_bundle(run / "bundle")
    with pytest.raises(ExportError, match="too large"):
        monkeypatch.setattr(gates_module, "LARGEST_BUNDLE", 1_000)
        install(new, target)
    (run / "bundle" / MODEL).write_text("something else")
    with pytest.raises(ExportError, match="changed while it was copied"):
        install(new, target, forced=True)
    (run / "bundle" / MODEL).unlink()
    with pytest.raises(ExportError, match="cannot write .*No such file"):
        install(new, target, forced=True)
    assert read_bundle(target).info.name == "old"
    assert [each.name for each in target.parent.iterdir()] == ["shipped"]


def test_a_bundle_whose_card_cannot_be_written_is_refused(run: Path, target: Path) -> None:
    new = read_bundle(run / "bundle")
    with pytest.raises(ExportError, match="records no 'held_out'"):
        install(Bundle(new.folder, replace(new.info, metrics={})), target)
    assert read_bundle(target).info.name == "old"


def test_a_system_that_cannot_exchange_folders_leaves_the_old_bundle(
    monkeypatch: pytest.MonkeyPatch, run: Path, target: Path
) -> None:
    monkeypatch.setattr(module.ctypes, "CDLL", lambda *_, **__: object())
    with pytest.raises(ExportError, match="cannot exchange two folders at one stroke"):
        install(read_bundle(run / "bundle"), target)
    assert read_bundle(target).info.name == "old"


def test_an_exchange_that_fails_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot be exchanged"):
        exchange(tmp_path / "one", tmp_path / "other")


def test_nobody_ever_sees_the_place_without_a_bundle(tmp_path: Path) -> None:
    one, other = small(tmp_path / "one", "one"), small(tmp_path / "other", "other")
    done, gaps = threading.Event(), []

    def watch() -> None:
        while not done.is_set():
            try:
                os.stat(one / INFO)
            except FileNotFoundError:
                gaps.append(1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(2_001):
        exchange(other, one)
    done.set()
    watcher.join()
    assert not gaps
    assert read_bundle(one).info.name == "other"


def _and_then_die(step: Callable[..., object]) -> Callable[..., None]:
    def killed(*arguments: object, **named: object) -> None:
        step(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    return killed


@pytest.mark.parametrize(
    ("owner", "step", "stands"),
    [
        (shutil, "rmtree", "old"),
        (shutil, "copyfile", "old"),
        (module, "read_bundle", "old"),
        (module, "exchange", "new"),
    ],
)
def test_a_promotion_that_is_killed_leaves_a_whole_bundle_and_no_trouble(
    monkeypatch: pytest.MonkeyPatch, run: Path, target: Path, owner: object, step: str, stands: str
) -> None:
    new = read_bundle(run / "bundle")
    child = os.fork()
    if not child:
        try:
            monkeypatch.setattr(owner, step, _and_then_die(getattr(owner, step)))
            install(new, target)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert read_bundle(target).info.name == stands
    install(new, target)
    assert read_bundle(target).info.name == "new"
    assert [each.name for each in target.parent.iterdir()] == ["shipped"]


def test_the_bundle_that_ships_passes_against_itself_on_texts_it_gets_right(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scanner: Scanner, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in CHALLENGE.glob("*.jsonl"):
        lines = path.read_text(encoding="utf-8").splitlines()
        alone = [line for line in lines if json.loads(line)["pair"] is None] or [
            json.dumps({**json.loads(line), "pair": None}) for line in lines
        ]
        (tmp_path / path.name).write_text(alone[0], encoding="utf-8")
    for name, right in (("must_catch", ("review", "block")), ("must_pass", ("allow", "review"))):
        [line] = (tmp_path / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        assert scanner.scan(json.loads(line)["text"]).action in right
    monkeypatch.setattr(gates_module, "speeds", lambda *_: [100.0, 100.0])
    place = tmp_path / "models/copy"
    command = ["promote", str(default_bundle()), "--to", str(place), "--challenge", str(tmp_path)]
    assert main(command) == 0
    assert main(command) == 0  # now there is one to compare with
    assert "messages a second" in capsys.readouterr().out
    assert len(read_bundle(place).info.metrics["promoted"]["gates"]) == 7
