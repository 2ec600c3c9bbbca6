"""What the model said of each text, kept on disk while a run lasts: equal texts are read once, and a run that was
stopped, however, goes on where it was when the same command is given again.

A database of digests and probabilities; no text is in it.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

import numpy as np

from ruthan.batch.results import ResultsError
from ruthan.model.bundle import BundleInfo
from ruthan.model.classifier import Prediction
from ruthan.text.normalize import NORMALIZER_VERSION

SECONDS = 3.0  # between two times that what was learned is put on disk for good
_TABLES = """
    CREATE TABLE IF NOT EXISTS model (identity TEXT PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS predictions (
        text BLOB PRIMARY KEY, windows INTEGER NOT NULL, probabilities BLOB NOT NULL
    ) WITHOUT ROWID;
"""
_MOST = 500  # parameters of one query


class PredictionMemory:
    """Remembers predictions by the digest of the normalised text, in a database that `open_memory` opens."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._saved = time.monotonic()

    def recall(self, texts: Iterable[str]) -> dict[str, Prediction]:
        """What is known of these normalised texts."""
        by_digest = {_digest(text): text for text in texts}
        digests = list(by_digest)
        found: dict[str, Prediction] = {}
        for start in range(0, len(digests), _MOST):
            some = digests[start : start + _MOST]
            marks = ",".join("?" * len(some))
            query = f"SELECT text, windows, probabilities FROM predictions WHERE text IN ({marks})"  # noqa: S608
            for digest, windows, probabilities in self._database.execute(query, some):
                found[by_digest[digest]] = Prediction(np.frombuffer(probabilities, np.float64), windows)
        return found

    def keep(self, predictions: Mapping[str, Prediction]) -> None:
        """Remember what the model said, by normalised text."""
        self._database.executemany(
            "INSERT OR IGNORE INTO predictions VALUES (?, ?, ?)",
            [
                (_digest(text), each.windows, each.probabilities.astype(np.float64).tobytes())
                for text, each in predictions.items()
            ],
        )
        if time.monotonic() - self._saved > SECONDS:
            self._database.commit()
            self._saved = time.monotonic()


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def model_identity(info: BundleInfo) -> str:
    """What predictions hang on: the files of the bundle, its calibration, and how texts are normalised."""
    parts = [*sorted(info.files.values()), info.temperature, info.window_tokens, info.window_overlap]
    return blake2b(repr([*parts, NORMALIZER_VERSION]).encode(), digest_size=16).hexdigest()


@contextmanager
def open_memory(path: Path | None, info: BundleInfo) -> Iterator[PredictionMemory]:
    """A memory in the file `path`, which is there until it is removed; without a path, one that ends with the run.

    What another model said is forgotten. Memory does not grow with the number of texts.

    :raises ResultsError: the file cannot be written, is no such database, or another run is using it.
    """
    place = f"the progress file {path}" if path else "the progress of the run"
    try:
        # Used by one thread at a time, which in a cluster need not be the one that opened it.
        database = sqlite3.connect(path or "", timeout=1.0, check_same_thread=False)
        try:
            if path:
                database.execute("PRAGMA locking_mode = EXCLUSIVE")
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = NORMAL")
            database.executescript(_TABLES)
            identity = model_identity(info)
            if database.execute("SELECT identity FROM model").fetchall() != [(identity,)]:
                database.execute("DELETE FROM predictions")
                database.execute("DELETE FROM model")
                database.execute("INSERT INTO model VALUES (?)", (identity,))
            database.commit()
            memory = PredictionMemory(database)
            try:
                yield memory
            finally:
                database.commit()
        finally:
            database.close()
    except sqlite3.Error as error:
        # A file that is gone was taken away by a run that came to its end meanwhile.
        if "locked" in str(error) or (path and path.parent.is_dir() and not path.exists()):
            fault = f"{place} is in use: another run writes the same results; wait for it, or name another --out"
        elif isinstance(error, sqlite3.OperationalError):
            fault = f"{place} cannot be written: {error}; make room or mend it, then give the same command to go on"
        else:
            fault = f"{place} cannot be read: {error}; delete it to start anew"
        raise ResultsError(fault) from error
