"""Put a run's bundle where another stands, if it passes every gate.

python -m train promote runs/default --to models/ruthan-e5s
"""

import ctypes
import errno
import fcntl
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruthan.errors import BundleError
from ruthan.model.bundle import CARD, INFO, MODEL, TOKENIZER, Bundle, file_digest, read_bundle
from train.errors import ConfigError, ExportError
from train.gates import Gate, gates, read_gate_texts, size_gate


@dataclass(frozen=True)
class Promotion:
    """What became of it: every gate, whether there was a bundle to compare with, and whether the new one stands."""

    gates: list[Gate]
    compared: bool
    done: bool

    @property
    def failed(self) -> list[Gate]:
        """The gates that failed."""
        return [gate for gate in self.gates if not gate.passed]


def promote(run: Path, target: Path, challenge: Path, margin: float, force: str | None = None) -> Promotion:
    """Judge the bundle of a run, or a bundle, and copy it to `target` if all gates pass or `force` says why not.

    What stands at `target` is at any moment the old bundle or the new one, whole. The gates' figures, and the reason
    if one is given, go into the copy's `bundle.json` under `metrics`, `promoted`.

    :param challenge: folder of the challenge sets.
    :param margin: of recall that a class may lose, 0 to 1.
    :raises BundleError: a bundle cannot be read.
    :raises ConfigError: the arguments do not fit each other.
    :raises ExportError: the copy cannot be written, or another promotion is under way.
    """
    if not 0 <= margin <= 1:
        raise ConfigError(f"--margin {margin}: a share of recall from 0 to 1 is needed")
    if force is not None and not force.strip():
        raise ConfigError("--force: say why, in a few words")
    folder = run / "bundle" if (run / "bundle").is_dir() else run
    target = target.resolve()  # a link keeps pointing where it does
    if folder.resolve() == target:
        raise ConfigError(f"{folder} is the bundle that stands at {target}; name a run")
    bundle, challenges = read_bundle(folder), read_gate_texts(challenge)
    with _alone(target):
        current = _current(target, force)
        measured = gates(bundle, current, challenges, margin)
        done = force is not None or all(gate.passed for gate in measured)
        if done:
            metrics = {**bundle.info.metrics, "promoted": _record(measured, force)}
            install(Bundle(folder, replace(bundle.info, metrics=metrics)), target, force is not None)
    return Promotion(measured, current is not None, done)


def _current(target: Path, force: str | None) -> Bundle | None:
    """The bundle at `target`, if there is one, and none where `force` replaces one that cannot be read."""
    if not target.exists():
        return None
    if not target.is_dir():
        raise ConfigError(f"{target} is a file; name the folder of a bundle, or one that does not exist yet")
    found = {path.name for path in target.iterdir()}
    if strange := sorted(found - {MODEL, TOKENIZER, CARD, INFO}):
        raise ConfigError(f"{target} holds more than a bundle ({strange[0]}); move that away, or give another --to")
    if not found:
        return None
    try:
        return read_bundle(target)
    except BundleError as error:
        if force is not None:
            return None
        raise ConfigError(f"nothing to compare with: {error}; or replace it unseen with --force") from error


def _record(measured: Sequence[Gate], force: str | None) -> dict[str, Any]:
    figures = {gate.name: {"measured": gate.measured, "bound": gate.bound, "passed": gate.passed} for gate in measured}
    return {**({"forced": force} if force is not None else {}), "gates": figures}


def install(bundle: Bundle, target: Path, forced: bool = False) -> None:
    """Write a copy of a bundle, with the info given and its card anew, beside `target`, check it, and let the two
    change places at one stroke; only then the old one is removed.

    :param forced: let a copy that is too large pass.
    :raises ExportError: it cannot be done; `target` is as it was.
    """
    from train.export import finish_bundle

    draft = target.with_name(f"{target.name}.partial")
    try:
        shutil.rmtree(draft, ignore_errors=True)  # of a promotion that was killed
        draft.mkdir()
        for name in (MODEL, TOKENIZER):
            shutil.copyfile(bundle.folder / name, draft / name)
            if file_digest(draft / name) != bundle.info.files[name]:
                raise ExportError(f"{bundle.folder / name} changed while it was copied; promote again")
        finish_bundle(draft, bundle.info)
        size = size_gate(read_bundle(draft))  # measured again: the gates' figures make it a little larger
        if not (size.passed or forced):
            raise ExportError(f"with the gates' figures in {INFO} the copy is too large: {size}")
        if target.exists():
            exchange(draft, target)
        else:
            draft.rename(target)
    except KeyError as error:
        raise ExportError(f"{bundle.folder / INFO} records no {error}, which the card needs; promote a run") from error
    except OSError as error:
        raise ExportError(f"cannot write {target}: {error.strerror}; it is as it was") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def exchange(one: Path, other: Path) -> None:
    """Let two folders of one file system change places, atomically: nobody ever sees either name without a folder.

    :raises OSError: the file system, or the C library, cannot do that.
    """
    library = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "darwin":
            failed = library.renamex_np(*paths, 2)  # RENAME_SWAP
        else:
            here = -100  # AT_FDCWD
            failed = library.renameat2(here, paths[0], here, paths[1], 2)  # RENAME_EXCHANGE
    except AttributeError:
        raise OSError(errno.ENOSYS, "this system cannot exchange two folders at one stroke") from None
    if failed:
        code = ctypes.get_errno()
        raise OSError(code, f"the two folders cannot be exchanged at one stroke ({os.strerror(code)})")


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Keep other promotions to the same place out; a process that dies lets go."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(target.parent, os.O_RDONLY)
    except OSError as error:
        raise ConfigError(f"cannot write to {target.parent}: {error.strerror}; give another --to") from error
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ExportError(f"another promotion into {target.parent} is under way; wait until it is done") from error
        yield
    finally:
        os.close(folder)
