import asyncio
import json
import resource
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ruthan.batch.run import Job, Watch, run
from ruthan.batch.stored import read_results
from ruthan.scanner import Scanner
from serve.jobs.results import FORMS, Conversions
from serve.problems import Problem

SAMPLE = Path(__file__).parents[3] / "data/samples/chats.jsonl"
MADE = [form for form in FORMS if FORMS[form].made]


@pytest.fixture(scope="session")
def scanned(tmp_path_factory: pytest.TempPathFactory, scanner: Scanner) -> Path:
    folder = tmp_path_factory.mktemp("scanned") / "results"
    run(scanner, Job(paths=[str(SAMPLE)], out=folder), Watch())
    return folder


@pytest.fixture
def folder(scanned: Path, tmp_path: Path) -> Path:
    """Results of a job."""
    return Path(shutil.copytree(scanned, tmp_path / "results"))


def fetch(folder: Path, *forms: str) -> list[Path]:
    conversions = Conversions()

    async def all_at_once() -> list[Path]:
        return await asyncio.gather(*(conversions.file(folder, form, False) for form in forms))

    return asyncio.run(all_at_once())


@pytest.mark.parametrize("form", MADE)
def test_each_form_holds_the_same_verdicts(folder: Path, form: str) -> None:
    [path] = fetch(folder, form)
    made, rows = list(read_results(path)), list(read_results(folder / "verdicts.jsonl"))
    assert [(row["label"], row["action"], row["source"]["line"]) for row in made] == [
        (row["label"], row["action"], row["source"]["line"]) for row in rows
    ]
    assert len(rows) == 16


def test_a_form_is_made_once_and_kept(folder: Path) -> None:
    paths = fetch(folder, "csv", "sqlite", "csv", "csv")
    assert paths[0] == paths[2] == paths[3]
    assert [path.name for path in folder.glob("made-*")] == []
    made = paths[0].stat()
    fetch(folder, "csv")
    assert paths[0].stat().st_mtime_ns == made.st_mtime_ns


def test_a_form_that_needs_a_missing_package_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(Problem, match="does not write duckdb") as refused:
        fetch(folder, "duckdb")
    assert refused.value.kind == "not-allowed"
    assert fetch(folder, "csv")


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """Files cannot grow beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("form", MADE)
def test_on_a_full_disk_nothing_half_is_left(folder: Path, form: str) -> None:
    before = sorted(folder.iterdir())
    with small_disk(200), pytest.raises(Problem) as full:
        fetch(folder, form)
    assert full.value.kind == "storage-full"
    assert sorted(folder.iterdir()) == before
    assert fetch(folder, form)  # there is room again


def test_results_that_are_gone_are_told(folder: Path) -> None:
    shutil.rmtree(folder)
    for form in ("jsonl", "csv", "report"):
        with pytest.raises(Problem) as gone:
            fetch(folder, form)
        assert gone.value.kind == "not-found"


def test_a_job_deleted_while_its_results_are_made_is_gone(folder: Path) -> None:
    row = (folder / "verdicts.jsonl").read_bytes()
    (folder / "verdicts.jsonl").write_bytes(row * 500)

    async def fetch_and_delete() -> None:
        fetching = asyncio.create_task(Conversions().file(folder, "csv", False))
        while not list(folder.glob("made-*/*")):
            await asyncio.sleep(0.01)
        shutil.rmtree(folder)
        await fetching

    with pytest.raises(Problem) as gone:
        asyncio.run(fetch_and_delete())
    assert gone.value.kind == "not-found"


def test_a_conversion_ends_with_whoever_waits_for_it(folder: Path) -> None:
    row = (folder / "verdicts.jsonl").read_bytes()
    (folder / "verdicts.jsonl").write_bytes(row * 2_000)

    async def begin_and_stop() -> None:
        fetching = asyncio.create_task(Conversions().file(folder, "csv", False))
        while not list(folder.glob("made-*/*")):
            await asyncio.sleep(0.01)
        fetching.cancel()
        await asyncio.gather(fetching, return_exceptions=True)

    asyncio.run(begin_and_stop())
    assert not (folder / "verdicts.csv").exists()
    assert not list(folder.glob("made-*"))
    assert json.loads((folder / "verdicts.jsonl").read_text("utf-8").splitlines()[0])
