"""The model and the policy that answer, and their exchange while the service runs."""

import hashlib
import logging
import math
import os
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ruthan.errors import BundleError, RuthanError
from ruthan.model.bundle import INFO, default_bundle
from ruthan.policy import default_policy
from ruthan.scanner import Scanner
from serve import memory
from serve.problems import Problem
from serve.settings import Settings
from serve.storage.database import Database, alone
from serve.storage.tables import ActiveModel
from serve.telemetry.metrics import Metrics

# Every usable model tells these two apart; one that does not was trained on something else, or is damaged.
LURE = "คุณได้รับอนุมัติวงเงินกู้ 80,000 บาท ไม่เช็กบูโร โอนค่าค้ำประกัน 1,500 บาทก่อนรับเงิน แอดไลน์ @easyloan-th"
EVERYDAY = "ประชุมพรุ่งนี้เก้าโมงที่ห้องเดิมนะครับ"

LOOKS = 3  # whoever still reads with the old one is at an end by then

_NAME = re.compile(r"\w[\w.-]{0,99}")  # of a folder or file, never a path
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model and a policy in memory.

    :param model_digest: 12 hexadecimal digits of the SHA-256 of `bundle.json`, which holds those of the other files.
    :param policy_digest: 12 of the policy file's.
    """

    scanner: Scanner
    model_path: Path
    policy_path: Path
    model_digest: str
    policy_digest: str

    @property
    def window_tokens(self) -> int:
        """How many tokens the model reads at once."""
        return self.scanner.classifier.info.window_tokens

    @property
    def model_version(self) -> str:
        """Name and digest of the model."""
        return f"{self.scanner.model}@{self.model_digest}"

    @property
    def policy_version(self) -> str:
        """Name and digest of the policy."""
        return f"{self.scanner.policy.name}@{self.policy_digest}"


class Models:
    """Holds what answers. An exchange is one assignment: whoever has read `current` goes on with what he read."""

    def __init__(self, settings: Settings, database: Database, metrics: Metrics) -> None:
        """Load what the settings name, or what an administrator put in its place since.

        :raises RuthanError: the model or the policy of the settings cannot be used.
        """
        self._settings, self._database, self._metrics = settings, database, metrics
        self._changing = threading.Lock()
        self._generation = 0
        self._left_behind = 0  # times yet to look for memory of a model that was given up
        self._current = self._started()
        self._tell()

    @property
    def current(self) -> Loaded:
        """What answers now."""
        return self._current

    def swap(self, model: str | None, policy: str | None, by: str) -> Loaded:
        """Go over to another bundle of `models_dir`, another policy of `policies_dir`, or both, by their names.

        It is loaded beside what answers, and tried; what answers changes only if that went well.

        :param by: id of the key that asked for it.
        :raises Problem: `not-found`, or `conflict` if it cannot be used.
        """
        with self._changing:
            row = self._stored()
            seen = row.generation if row else 0
            # What is not named stays as it is by the database: this worker may not have followed yet.
            theirs = row if row is not None and row.configured == self._configured else None
            model_path = Path(theirs.model) if theirs else self._current.model_path
            policy_path = Path(theirs.policy) if theirs else self._current.policy_path
            if model is not None:
                model_path = _named(self._settings.models_dir, model, "")
            if policy is not None:
                policy_path = _named(self._settings.policies_dir, policy, ".yaml")
            try:
                loaded = self._load(model_path, policy_path)
            except RuthanError as error:
                self._metrics.swap("failed")
                _log.error("exchange refused: %s", error)
                raise Problem(
                    "conflict", f"nothing was changed: {_without_folders(error, model_path, policy_path)}"
                ) from error
            with self._database.session() as session:
                alone(session, "model")
                row = session.get(ActiveModel, 1) or ActiveModel(id=1, generation=0)
                if row.generation != seen:
                    raise Problem("conflict", "nothing was changed: another exchange came in between; send it again")
                row.configured, row.model, row.policy = self._configured, str(model_path), str(policy_path)
                row.generation, row.changed_at, row.changed_by = seen + 1, time.time(), by
                session.add(row)
            self._generation = seen + 1
            self._replace(loaded)
        return loaded

    def reload(self) -> Loaded:
        """Read what answers again from where it lies.

        :raises RuthanError: it cannot be used; what answered before goes on.
        """
        with self._changing:
            try:
                loaded = self._load(self._current.model_path, self._current.policy_path)
            except RuthanError:
                self._metrics.swap("failed")
                raise
            self._replace(loaded)
        return loaded

    def follow(self) -> bool:
        """Go over to what another worker or replica was told to go over to; whether there was something to do. To be
        called every few seconds.

        What cannot be loaded here is logged, and tried again only when it changes.
        """
        if self._left_behind:
            self._left_behind -= 1
            memory.give_back()
        try:
            row = self._row()
        except Problem:  # the database is away: next time
            return False
        if row is None or row.generation == self._generation:
            return False
        with self._changing:
            if row.generation <= self._generation:  # this process was asked itself, meanwhile
                return False
            self._generation = row.generation
            try:
                self._replace(self._load(Path(row.model), Path(row.policy)))
            except RuthanError as error:
                self._metrics.swap("failed")
                _log.error("cannot follow an exchange: %s", error)
                return False
        return True

    @property
    def _configured(self) -> str:
        """What the settings say: an exchange holds only as long as they still say the same."""
        return f"{self._settings.model or 'default'}\n{self._settings.policy or 'default'}"

    def _row(self) -> ActiveModel | None:
        row = self._stored()
        return row if row is not None and row.configured == self._configured else None

    def _stored(self) -> ActiveModel | None:
        with self._database.session() as session:
            return session.get(ActiveModel, 1)

    def _started(self) -> Loaded:
        try:
            row = self._row()
        except Problem:
            row = None
        if row is not None:
            self._generation = row.generation
            try:
                return self._load(Path(row.model), Path(row.policy))
            except RuthanError as error:
                _log.error("cannot go on with what was exchanged, the settings hold: %s", error)
        return self._load(self._settings.model or default_bundle(), self._settings.policy or default_policy())

    def _load(self, model: Path, policy: Path) -> Loaded:
        threads = self._settings.threads or max(1, (os.cpu_count() or 1) // self._settings.workers)
        scanner = Scanner(model, policy, threads)
        _try_out(scanner, model)
        return Loaded(scanner, model, policy, _digest(model / INFO), _digest(policy))

    def _replace(self, loaded: Loaded) -> None:
        self._current = loaded
        self._left_behind = LOOKS
        self._tell()
        self._metrics.swap("done")
        _log.info("exchanged", extra={"model": loaded.model_version, "policy": loaded.policy_version})

    def _tell(self) -> None:
        self._metrics.model(self._current.model_version, self._current.policy_version)


def _try_out(scanner: Scanner, model: Path) -> None:
    """:raises BundleError: the model does not tell a well-known lure from an everyday message."""
    lure, everyday = (scanner.scan(text).risk for text in (LURE, EVERYDAY))
    if not math.isfinite(lure + everyday) or not everyday < 0.5 <= lure:
        raise BundleError(
            f"{model}: the model gives a well-known lure the risk {lure:g} and an everyday message {everyday:g}; "
            "it was damaged, or trained on something else"
        )


def _named(folder: Path, name: str, ending: str) -> Path:
    path = folder / f"{name}{ending}"
    if not _NAME.fullmatch(name) or not path.exists():
        there = ", ".join(sorted(each.name.removesuffix(ending) for each in folder.glob(f"*{ending or '/'}"))[:20])
        raise Problem("not-found", f"there is none of this name; there are: {there}")
    return path


def _without_folders(error: RuthanError, *paths: Path) -> str:
    """What an error says, without telling callers where the files of the service lie."""
    said = str(error)
    for path in paths:
        said = said.replace(f"{path.parent}{os.sep}", "")
    return said


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from error
