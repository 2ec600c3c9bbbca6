import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from serve.jobs.files import DAY, JobFiles, safe_name
from serve.problems import Problem


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("dump.csv", "dump.csv"),
        ("[LINE]แชทกับพี่.txt", "[LINE]แชทกับพี่.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\ข้อความ.xlsx", "ข้อความ.xlsx"),
        ("-", "dump"),
        ("--out.csv", "out.csv"),
        ("..", "dump"),
        ("", "dump"),
        (".hidden.zip", "hidden.zip"),
        ("a\x00b\nc\u202ed.csv", "a_b_c_d.csv"),
        ("half\ud83d.csv", "half_.csv"),
        ("*.jsonl.gz", "_.jsonl.gz".lstrip("_.")),
    ],
)
def test_a_name_leads_nowhere_else(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_a_long_name_keeps_its_ending_and_fits() -> None:
    name = safe_name("ก" * 500 + ".jsonl")
    assert name.endswith("ก.jsonl")
    assert len(name.encode()) <= 160


async def chunks(*given: bytes | Exception) -> AsyncIterator[bytes]:
    for each in given:
        if isinstance(each, Exception):
            raise each
        yield each


def test_a_dump_is_written_as_it_arrives(tmp_path: Path) -> None:
    files = JobFiles(tmp_path)
    assert anyio.run(files.receive, "1", "a.txt", chunks(b"one ", b"", b"two")) == 7
    assert (files.upload("1") / "a.txt").read_bytes() == b"one two"
    assert files.present("1")
    files.drop_upload("1")
    assert not files.present("1")


@pytest.mark.parametrize("error", [ConnectionError("gone"), OSError(28, "No space left on device")])
def test_of_a_dump_that_breaks_off_nothing_is_left(tmp_path: Path, error: OSError) -> None:
    files = JobFiles(tmp_path)
    with pytest.raises((ConnectionError, Problem)) as raised:
        anyio.run(files.receive, "1", "a.txt", chunks(b"x" * 1_000, error))
    assert not files.folder("1").exists()
    if error.errno == 28:
        assert isinstance(raised.value, Problem)
        assert raised.value.kind == "storage-full"


def test_what_was_left_over_is_found_after_a_day(tmp_path: Path) -> None:
    files = JobFiles(tmp_path)
    assert files.left_over() == []
    anyio.run(files.receive, "1", "a.txt", chunks(b"x"))
    assert files.left_over() == []
    assert files.left_over(time.time() + 1.1 * DAY) == ["1"]
