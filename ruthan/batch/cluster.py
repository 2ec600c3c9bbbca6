"""Scan on Ray Data: the same readers and the same scanner, on the cores of one machine or of a cluster.

Files are read one a task, rows scanned by as many actors as there are cores, and results written as Parquet, a file a
task. Ray repeats the task of a worker that died; the file that it then writes has the same name, so that nothing is
lost and nothing doubled.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruthan.batch.columns import clean, flat
from ruthan.batch.memory import open_memory
from ruthan.batch.results import arrow_batch, arrow_schema, needed
from ruthan.batch.scan import RowScanner
from ruthan.dumps.containers import Once, find_files, is_passed_over, reason_of, why_closed
from ruthan.dumps.reading import read_dump
from ruthan.dumps.rows import Notice, Row, Unreadable
from ruthan.errors import DumpError, RuthanError
from ruthan.message import Message, Source
from ruthan.scanner import Scanner

VERDICTS, NOT_READ = "verdicts", "not-read"
ROWS = 512  # that an actor is given at a time
_TOLD = ("channel", "sender", "sent_at", "thread")


class ClusterError(RuthanError):
    """The cluster cannot be reached, or gave up."""


@dataclass(frozen=True)
class ClusterOutcome:
    """How many messages were scanned, entries were none or could not be read, and how often each action was taken."""

    messages: int
    not_read: int
    actions: dict[str, int]


def scan_on_cluster(
    paths: Sequence[str],
    out: str,
    *,
    address: str | None = None,
    model: Path | None = None,
    policy: Path | None = None,
    mask: bool = False,
    with_text: bool = False,
    column: str | None = None,
    form: str | None = None,
) -> ClusterOutcome:
    """Scan files and write `out/verdicts/*.parquet` and `out/not-read/*.parquet`.

    :param paths: files, folders or patterns, local (on every node) or of an object store (`s3://…`, as fsspec reads).
    :param out: a folder, local (shared by all nodes) or of an object store; it must be empty or not be there.
    :param address: of a running cluster; None to start one on this machine.
    :raises ClusterError: Ray is not installed or cannot be reached, the folder is not empty, or the run failed.
    :raises DumpError: there are no files.
    """
    needed("ray", Path(out), "cluster")
    import fsspec
    import ray
    import ray.data
    import ray.exceptions

    files = expand(paths)
    store, place = fsspec.core.url_to_fs(out)
    if store.exists(place) and store.ls(place):
        raise ClusterError(f"{out} is not empty; give a folder that is not there yet")
    Scanner(model, policy, threads=1)  # fails here, with its own words, and not on a worker
    try:
        if not ray.is_initialized():
            ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        ray.data.DataContext.get_current().enable_progress_bars = False
        ray.data.DataContext.get_current().execution_options.preserve_order = True
        read = {"column": column, "form": form}
        source = ray.data.from_items([{"path": path} for path in files], override_num_blocks=len(files))
        cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        verdicts = source.flat_map(_messages, fn_kwargs=read).map_batches(
            _Actor,
            fn_constructor_args=(model, policy, mask, with_text),
            batch_format="pyarrow",
            batch_size=ROWS,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=cores),
            num_cpus=1,
        )
        verdicts.write_parquet(f"{place}/{VERDICTS}", filesystem=store)
        source.flat_map(_others, fn_kwargs=read).write_parquet(f"{place}/{NOT_READ}", filesystem=store)
    except ray.exceptions.RayError as error:
        raise ClusterError(f"the cluster gave up: {_reason(error.__cause__ or error)}") from error
    except (ConnectionError, RuntimeError) as error:
        raise ClusterError(
            f"the cluster {address or 'on this machine'} cannot be used: {_reason(error.__cause__ or error)}"
        ) from error
    return _count(f"{place}/{VERDICTS}", f"{place}/{NOT_READ}", store)


def expand(paths: Sequence[str]) -> list[str]:
    """Every file of files, folders and patterns, sorted, each once: on this machine those that `open_parts` reads.

    :raises DumpError: a path names no file.
    """
    import fsspec

    found: dict[str, None] = {}
    once = Once()
    for path in paths:
        if "://" not in path:
            found.update(dict.fromkeys(file for file in find_files(path) if once.takes(file)))
            continue
        store, place = fsspec.core.url_to_fs(path)
        if store.isdir(place):
            names = [name for name in store.find(place) if not is_passed_over(name.removeprefix(place))]
        else:
            names = store.glob(place) if any(mark in place for mark in "*?[") else [place] * store.isfile(place)
        if not names:
            raise DumpError(f"{path}: there is no such file, and nothing that fits the pattern")
        found.update(dict.fromkeys(store.unstrip_protocol(name) for name in sorted(names)))
    return list(found)


def _rows(path: str, column: str | None, form: str | None) -> Iterator[Row]:
    """The rows of one file; one that cannot be read at all is itself a row, so that it does not stop the others."""
    if "://" not in path and os.path.isdir(path):  # one that `find_files` names is not to be read
        yield Unreadable(Source(path, 1), why_closed(path))
        return
    try:
        with _on_this_machine(path) as local:
            for row in read_dump(local, column, form):
                yield _renamed(row, local, path) if local != path else row
    except DumpError as error:
        yield Unreadable(Source(path, 1), reason_of(error, path))


@contextmanager
def _on_this_machine(path: str) -> Iterator[str]:
    """A file's path; of one in an object store, that of a copy that is gone afterwards."""
    if "://" not in path:
        yield path
        return
    import fsspec

    store, place = fsspec.core.url_to_fs(path)
    with TemporaryDirectory(prefix="ruthan-") as folder:
        local = str(Path(folder) / Path(place).name)
        store.get_file(place, local)
        yield local


def _renamed(row: Row, local: str, path: str) -> Row:
    """A row of a copy, under the name of what it is a copy of."""
    if row.source is None:
        return row
    return replace(row, source=replace(row.source, file=path + row.source.file.removeprefix(local)))


def _messages(item: dict[str, Any], column: str | None, form: str | None) -> Iterator[dict[str, Any]]:
    for row in _rows(item["path"], column, form):
        if isinstance(row, Message):
            known = {name: _packed(getattr(row, name)) for name in _TOLD}
            source = row.source or Source(item["path"], 0)
            yield {"text": _packed(row.text), **known, "file": _packed(source.file), "line": source.line}


def _others(item: dict[str, Any], column: str | None, form: str | None) -> Iterator[dict[str, Any]]:
    for row in _rows(item["path"], column, form):
        if not isinstance(row, Message):
            notice = row.what if isinstance(row, Notice) else None
            reason = None if isinstance(row, Notice) else row.reason
            yield {"file": clean(row.source.file), "line": row.source.line, "notice": notice, "reason": reason}


def _packed(text: str | None) -> bytes | None:
    """A text as bytes: half characters, which Arrow's texts cannot hold, go through as they are."""
    return None if text is None else text.encode("utf-8", "surrogatepass")


def _unpacked(packed: bytes | None) -> str | None:
    return None if packed is None else packed.decode("utf-8", "surrogatepass")


class _Actor:
    """One scanner on one core, with what it has read so far."""

    def __init__(self, model: Path | None, policy: Path | None, mask: bool, with_text: bool) -> None:
        scanner = Scanner(model, policy, threads=1, mask=mask)
        self._with_text = with_text
        self._stack = ExitStack()  # its database ends with the process
        memory = self._stack.enter_context(open_memory(None, scanner.classifier.info))
        self._rows = RowScanner(scanner, memory, with_text)

    def __call__(self, table: Any) -> Any:
        import pyarrow

        messages = [
            Message(
                _unpacked(cells["text"]) or "",
                **{name: _unpacked(cells[name]) for name in _TOLD},
                source=Source(_unpacked(cells["file"]) or "", cells["line"]),
            )
            for cells in table.to_pylist()
        ]
        rows = [flat(scanned.row, self._with_text) for scanned in self._rows.scan(messages)]
        return pyarrow.Table.from_batches([arrow_batch(rows, arrow_schema(self._with_text))])


def _count(verdicts: str, not_read: str, store: Any) -> ClusterOutcome:
    """What was written, counted from the files themselves."""
    from pyarrow import dataset

    places: dict[str, int] = {}
    for folder in (verdicts, not_read):
        found = dataset.dataset(folder, filesystem=store, format="parquet") if store.exists(folder) else None
        places[folder] = found.count_rows() if found else 0
    actions: Counter[str] = Counter()
    if places[verdicts]:
        table = dataset.dataset(verdicts, filesystem=store, format="parquet")
        for batch in table.to_batches(columns=["action"]):
            actions.update(batch.column("action").to_pylist())
    return ClusterOutcome(places[verdicts], places[not_read], dict(actions))


def _reason(error: BaseException) -> str:
    """The last line of what Ray says, which names the error behind all others."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in str(error).splitlines()]
    return next((line for line in reversed(lines) if line), type(error).__name__)[:300]
