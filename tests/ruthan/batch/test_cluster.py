"""Ray is asked for in earnest: a cluster of two nodes on this machine, and workers that are killed."""

import contextlib
import json
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ruthan.batch.columns import flat
from ruthan.batch.memory import open_memory
from ruthan.batch.results import ResultsError
from ruthan.batch.scan import RowScanner
from ruthan.batch.stored import read_results
from ruthan.dumps.reading import read_dump
from ruthan.errors import DumpError
from ruthan.message import Message
from ruthan.scanner import Scanner

ray = pytest.importorskip("ray", reason="needs the extra cluster")

from ruthan.batch.cluster import ClusterError, expand, scan_on_cluster  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two nodes of one core each."""
    from ray.cluster_utils import Cluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        yield cluster.address
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six files of two formats, with repeats, a half character, an entry that cannot be read and a broken file."""
    folder = tmp_path_factory.mktemp("dumps")
    for number in range(5):
        lines: list[dict[str, Any] | str] = [
            {"text": f"พัสดุตกค้าง {line % 40} จ่าย 15 บาท แอดไลน์ @parcel-help0{number}", "sender": f"0810005{line:03}"}
            for line in range(120)
        ]
        lines.append({"text": "โอน\ud83dด่วน", "channel": "sms"})
        lines.append("no JSON")
        (folder / f"part-{number}.jsonl").write_text(
            "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8"
        )
    (folder / "table.csv").write_text("ข้อความ,ผู้ส่ง\nประชุมเก้าโมง,ลุงเดช\nรับเงินกู้ทันที,มิ้นท์\n", encoding="cp874")
    (folder / "broken.xlsx").write_bytes(b"PK\x03\x04 no workbook")
    return folder


def locally(folder: Path, scanner: Scanner) -> list[list[Any]]:
    with open_memory(None, scanner.classifier.info) as memory:
        messages = [row for row in read_dump(str(folder)) if isinstance(row, Message)]
        return sorted((flat(each.row, False) for each in RowScanner(scanner, memory).scan(messages)), key=repr)


def from_parquet(folder: Path) -> list[list[Any]]:
    rows = [row for path in sorted(folder.glob("*.parquet")) for row in read_results(path)]
    from pyarrow import parquet

    cells = [
        list(row.values()) for path in sorted(folder.glob("*.parquet")) for row in parquet.read_table(path).to_pylist()
    ]
    assert len(cells) == len(rows)
    return sorted(cells, key=repr)


def workers() -> list[int]:
    """The processes that scan; Ray names them after what they do."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().startswith(b"ray::MapWorker"):
                found.append(int(path.parent.name))
    return found


def test_a_cluster_gives_what_one_machine_gives(address: str, dumps: Path, tmp_path: Path, scanner: Scanner) -> None:
    outcome = scan_on_cluster([str(dumps)], str(tmp_path / "out"), address=address)
    assert from_parquet(tmp_path / "out" / "verdicts") == locally(dumps, scanner)
    assert outcome.messages == 5 * 121 + 2
    assert outcome.not_read == 5 + 1
    assert sum(outcome.actions.values()) == outcome.messages


def test_a_worker_that_is_killed_midway_loses_and_doubles_nothing(
    address: str, dumps: Path, tmp_path: Path, scanner: Scanner
) -> None:
    killed: list[int] = []

    def kill() -> None:
        until = time.monotonic() + 60
        while not killed and time.monotonic() < until:
            for pid in workers():
                time.sleep(0.3)  # into its work
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                break
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    killer.start()
    outcome = scan_on_cluster([str(dumps)], str(tmp_path / "out"), address=address)
    killer.join()
    assert len(killed) == 1
    assert from_parquet(tmp_path / "out" / "verdicts") == locally(dumps, scanner)
    assert outcome.not_read == 6


def test_an_object_store_is_read_and_written_to(address: str, dumps: Path, tmp_path: Path, scanner: Scanner) -> None:
    outcome = scan_on_cluster([f"file://{dumps}/part-*.jsonl"], f"file://{tmp_path}/out", address=address)
    assert outcome.messages == 5 * 121
    row = next(read_results(next((tmp_path / "out/verdicts").glob("*.parquet"))))
    assert row["source"]["file"].startswith("file:///")


def test_a_folder_that_holds_something_is_left_alone(address: str, dumps: Path, tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ClusterError, match="not empty"):
        scan_on_cluster([str(dumps)], str(tmp_path), address=address)
    assert (tmp_path / "old.txt").read_text(encoding="utf-8") == "mine"


def test_nothing_to_read_is_said_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match="no such file"):
        scan_on_cluster([str(tmp_path / "*.csv")], str(tmp_path / "out"))


def test_files_are_found_once_and_in_order(dumps: Path) -> None:
    found = expand([str(dumps / "part-1.jsonl"), str(dumps / "part-*.jsonl")])
    assert [Path(path).name for path in found] == ["part-1.jsonl", *(f"part-{n}.jsonl" for n in (0, 2, 3, 4))]


def test_a_cluster_reads_the_files_that_one_machine_reads(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    for name in ("[LINE]a.txt", "p.jpg", ".git/x.txt"):
        (tmp_path / name).touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    assert expand([str(tmp_path / "[LINE]a.txt")]) == [str(tmp_path / "[LINE]a.txt")]
    assert expand([str(tmp_path)]) == [str(tmp_path / "[LINE]a.txt"), str(tmp_path / "loop")]


def test_without_ray_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, dumps: Path, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ResultsError, match=r"ruthan\[cluster\]"):
        scan_on_cluster([str(dumps)], str(tmp_path / "out"))
