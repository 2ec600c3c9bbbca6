import gzip
import io
import json
import os
import zipfile
from pathlib import Path

import pytest
import zstandard

from ruthan.dumps import containers
from ruthan.dumps.containers import Once, Part, at_hand, find_files, open_parts
from ruthan.dumps.reading import check_readable, read_dump
from ruthan.dumps.rows import Unreadable
from ruthan.errors import DumpError
from ruthan.message import Message

LINES = "".join(json.dumps({"text": f"ข้อความ {number}"}, ensure_ascii=False) + "\n" for number in range(5)).encode()
TEXTS = [f"ข้อความ {number}" for number in range(5)]


def zipped(*members: tuple[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w", kind) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return result.getvalue()


def zst(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


def save(tmp_path: Path, name: str, content: bytes) -> str:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path)


def rows(path: str) -> list[tuple[str, int, str]]:
    """Where each row stands, relative to `path`, and its text, or `!` and the reason."""
    found = []
    for row in read_dump(path):
        assert row.source is not None
        text = row.text if isinstance(row, Message) else f"! {row.reason}" if isinstance(row, Unreadable) else "-"
        found.append((row.source.file.removeprefix(path), row.source.line, text))
    return found


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl.gz", gzip.compress(LINES)),
        ("a.jsonl.gz", gzip.compress(LINES[:40]) + gzip.compress(LINES[40:])),
        ("a.jsonl.zst", zst(LINES)),
        ("a.jsonl.zst", zst(LINES[:40]) + zst(LINES[40:])),
        ("a.zst.gz", gzip.compress(zst(LINES))),
        ("without ending", gzip.compress(LINES)),
    ],
)
def test_a_compressed_file_keeps_its_name(tmp_path: Path, name: str, content: bytes) -> None:
    assert rows(save(tmp_path, name, content)) == [("", number, text) for number, text in enumerate(TEXTS, 1)]


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_the_members_of_an_archive_are_named_behind_its_name(tmp_path: Path, kind: int) -> None:
    content = zipped(("inner/b.jsonl", LINES), ("inner/", b""), ("c.txt", "หนึ่ง\nสอง".encode()), kind=kind)
    found = rows(save(tmp_path, "a.zip", content))
    assert found[:5] == [("!inner/b.jsonl", number, text) for number, text in enumerate(TEXTS, 1)]
    assert found[5:] == [("!c.txt", 1, "หนึ่ง"), ("!c.txt", 2, "สอง")]


@pytest.mark.parametrize("inner", ["b.zip", "b.jsonl.gz", "b.jsonl.zst"])
def test_an_archive_in_an_archive_is_read_and_a_third_one_reported(tmp_path: Path, inner: str) -> None:
    def pack(content: bytes) -> bytes:
        if inner.endswith("zip"):
            return zipped(("c.jsonl", content))
        return gzip.compress(content) if inner.endswith("gz") else zst(content)

    name = f"!{inner}!c.jsonl" if inner == "b.zip" else f"!{inner}"
    found = rows(save(tmp_path, "a.zip", zipped((inner, pack(LINES)))))
    assert found == [(name, number, text) for number, text in enumerate(TEXTS, 1)]
    [(_, line, reason)] = rows(save(tmp_path, "d.zip", zipped((inner, pack(pack(LINES))))))
    assert line == 1
    assert reason == "! an archive in an archive in an archive; unpack the outer one first"


def test_pictures_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    content = zipped(
        ("_chat.jsonl", LINES),
        ("IMG-1.JPG", b"\xff"),
        (".DS_Store", b"\0"),
        ("__MACOSX/._chat.jsonl", b"\0"),
        ("x.opus", b""),
    )
    assert {name for name, _, _ in rows(save(tmp_path, "a.zip", content))} == {"!_chat.jsonl"}


def test_a_folder_is_read_by_name_without_hidden_files_and_pictures(tmp_path: Path) -> None:
    for name in ("b/z.txt", "a.txt", "b/.hidden.txt", ".git/x.txt", "b/p.jpeg", "b/a.txt.gz"):
        save(tmp_path, name, gzip.compress(b"x\n") if name.endswith("gz") else b"x\n")
    os.mkfifo(tmp_path / "pipe.txt")
    check_readable(str(tmp_path))
    assert [name for name, _, _ in rows(str(tmp_path))] == ["/a.txt", "/b/a.txt.gz", "/b/z.txt"]


def test_a_broken_file_among_good_ones_is_one_unreadable_row(tmp_path: Path) -> None:
    save(tmp_path, "a.txt", b"first\n")
    save(tmp_path, "b.zip", b"PK\x03\x04 broken")
    save(tmp_path, "c.parquet", b"PAR1")
    save(tmp_path, "d.html", b"<!DOCTYPE html><html>")
    (tmp_path / "e.txt").symlink_to(tmp_path / "nowhere")
    save(tmp_path, "f.txt", b"last\n")
    found = rows(str(tmp_path))
    assert [(name, line) for name, line, _ in found] == [(f"/{name}", 1) for name in (
        "a.txt", "b.zip", "c.parquet", "d.html", "e.txt", "f.txt"
    )]  # fmt: skip
    assert [text[0] == "!" for _, _, text in found] == [False, True, True, True, True, False]


def test_a_broken_member_does_not_stop_the_others(tmp_path: Path) -> None:
    content = bytearray(zipped(("a.txt", b"first\n"), ("b.json", b'{"x": 1}' * 500), ("c.txt", b"last\n")))
    at = content.index(b"b.json") + len("b.json")
    content[at : at + 12] = b"\xff" * 12
    found = rows(save(tmp_path, "a.zip", bytes(content)))
    assert [name for name, _, _ in found] == ["!a.txt", "!b.json", "!c.txt"]
    assert [text[0] == "!" for _, _, text in found] == [False, True, False]


def test_globs_that_the_shell_left_are_expanded(tmp_path: Path) -> None:
    for name in ("[LINE]a.txt", "[LINE]b.txt", "c.txt"):
        save(tmp_path, name, b"x\n")
    assert find_files(f"{tmp_path}/*.txt") == [
        f"{tmp_path}/[LINE]a.txt",
        f"{tmp_path}/[LINE]b.txt",
        f"{tmp_path}/c.txt",
    ]
    assert find_files(f"{tmp_path}/[LINE]*.txt") == [f"{tmp_path}/[LINE]a.txt", f"{tmp_path}/[LINE]b.txt"]
    assert find_files(f"{tmp_path}/[LINE]a.txt") == [f"{tmp_path}/[LINE]a.txt"]
    assert len(rows(f"{tmp_path}/*.txt")) == 3
    with pytest.raises(DumpError, match="there is no such file"):
        check_readable(f"{tmp_path}/*.csv")


@pytest.mark.parametrize("pack", [gzip.compress, zst])
@pytest.mark.parametrize("cut", [1, 5, 3_000])
def test_compressed_data_that_breaks_off_gives_what_stands_before_and_says_so(
    tmp_path: Path, pack: object, cut: int
) -> None:
    noise = os.urandom(400_000).hex()
    lines = [noise[at : at + 80] for at in range(0, 800_000, 80)]
    content = pack("\n".join(lines).encode())[:-cut]  # type: ignore[operator]
    found = rows(save(tmp_path, "a.txt.xx", content))
    *whole, (_, line, reason) = found
    assert reason == "! the packed data is damaged or breaks off here; copy or download it again"
    assert line == len(found)
    assert len(whole) > 5_000
    assert [text for _, _, text in whole[:-1]] == lines[: len(whole) - 1]


def test_an_entry_that_is_cut_is_not_reported_twice(tmp_path: Path) -> None:
    noise = "".join(json.dumps({"text": os.urandom(40).hex()}) + "\n" for _ in range(1_000)).encode()
    found = rows(save(tmp_path, "a.jsonl.gz", gzip.compress(noise)[:-2_000]))
    assert [text[0] == "!" for _, _, text in found].count(True) == 1
    assert "breaks off" in found[-1][2]


@pytest.mark.parametrize("content", [zipped(("a.txt", b"x\n"))[:-10], b"PK\x03\x04", b"PK\x05\x06"])
def test_a_truncated_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DumpError, match="cannot be opened"):
        rows(save(tmp_path, "a.zip", content))


def test_an_empty_archive_or_folder_is_refused_and_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match="without a file"):
        rows(save(tmp_path, "a.zip", zipped()))
    (tmp_path / "empty").mkdir()
    for read in (rows, check_readable):
        with pytest.raises(DumpError, match="without a file"):
            read(str(tmp_path / "empty"))
    assert rows(save(tmp_path, "b.zip", b"")) == []
    assert rows(save(tmp_path, "c.gz", gzip.compress(b""))) == []
    assert rows(save(tmp_path, "d.zip", zipped(("empty.csv", b""), ("b.txt", b"x")))) == [("!b.txt", 1, "x")]


def test_names_that_lead_out_of_the_archive_write_nothing_and_are_shown_safely(tmp_path: Path) -> None:
    found = rows(
        save(tmp_path, "in/a.zip", zipped(("../../evil.txt", b"x\n"), ("/etc/a.txt", b"y\n"), ("a\x1b[31m.txt", b"z")))
    )
    assert [name for name, _, _ in found] == ["!../../evil.txt", "!/etc/a.txt", "!a\ufffd[31m.txt"]
    assert os.listdir(tmp_path) == ["in"]


def test_names_in_thai_come_back_whatever_wrote_them(tmp_path: Path) -> None:
    content = zipped(("XXXXXXX.txt", b"x"), ("YYYYYYYYYYYY.txt", b"y"), ("แชท.txt", b"z"))
    content = content.replace(b"XXXXXXX", "แชทบ้าน".encode("cp874")).replace(b"YYYYYYYYYYYY", "แชทก".encode())
    assert [name for name, _, _ in rows(save(tmp_path, "a.zip", content))] == ["!แชทบ้าน.txt", "!แชทก.txt", "!แชท.txt"]


def locked(content: bytes) -> bytes:
    """Set the mark of a password on all members."""
    raw = bytearray(content)
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = raw.find(mark)
        while place >= 0:
            raw[place + at] |= 1
            place = raw.find(mark, place + 4)
    return bytes(raw)


def test_a_locked_archive_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match="locked with a password; unpack it"):
        rows(save(tmp_path, "a.zip", locked(zipped(("a.txt", b"x")))))
    found = rows(save(tmp_path, "b.zip", zipped(("a.txt", b"x\n"), ("b.zip", locked(zipped(("a.txt", b"x")))))))
    assert [(name, text[0]) for name, _, text in found] == [("!a.txt", "x"), ("!b.zip", "!")]


def test_a_bomb_is_cut_off_and_the_rest_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "RATIO_FROM", 1_000_000)
    monkeypatch.setattr(containers, "MAX_RATIO", 100)
    bomb = b"a" * 999 + b"\n"
    content = zipped(("a.txt", bomb * 3_000), ("b.txt", b"last\n"))
    found = rows(save(tmp_path, "a.zip", content))
    assert 500 < len(found) < 1_100
    assert "more than 100 times its size" in found[-2][2]
    assert found[-1] == ("!b.txt", 1, "last")
    for pack in (gzip.compress, zst):
        assert "more than 100 times" in rows(save(tmp_path, "b.txt.x", pack(bomb * 3_000)))[-1][2]
    assert "more than 100 times" in rows(save(tmp_path, "c.zip", zipped(("a.gz", gzip.compress(bomb * 3_000)))))[-1][2]


def test_the_total_and_the_number_of_members_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = [(f"{number}.txt", os.urandom(500).hex().encode()) for number in range(20)]
    path = save(tmp_path, "a.zip", zipped(*members))
    monkeypatch.setattr(containers, "MAX_MEMBERS", 8)
    found = rows(path)
    assert len(found) == 9
    assert found[-1] == ("", 1, "! over 8 files in it, of which the rest were not read")
    monkeypatch.setattr(containers, "MAX_MEMBERS", 10_000)
    monkeypatch.setattr(containers, "MAX_UNPACKED", 10_500)
    found = rows(path)
    assert [text[0] == "!" for _, _, text in found] == [False] * 10 + [True] * 2
    assert "unpacked; the rest was not read" in found[-1][2]


def test_what_has_to_be_at_hand_as_a_whole_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "SPOOL_BYTES", 10_000)
    reading, writing = os.pipe()
    os.write(writing, b"x" * 20_000)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, pytest.raises(DumpError, match="save it as a file first"):
        at_hand(pipe, "-")


def test_an_archive_comes_through_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (zipped(("b.jsonl", LINES)), gzip.compress(LINES), zst(LINES)):
        reading, writing = os.pipe()
        os.write(writing, content)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            monkeypatch.setattr("sys.stdin", pipe)
            assert [text for _, _, text in rows("-")] == TEXTS


def workbook(text: str) -> bytes:
    names = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    cells = "".join(
        f'<table:table-row><table:table-cell office:value-type="string"><text:p>{each}</text:p></table:table-cell>'
        "</table:table-row>"
        for each in ("text", text)
    )
    content = f"""<?xml version="1.0"?><office:document-content {names}><office:body><office:spreadsheet>
        <table:table table:name="A">{cells}</table:table></office:spreadsheet></office:body>
        </office:document-content>"""
    manifest = b'<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
    return zipped(
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
        ("content.xml", content.encode()),
        ("META-INF/manifest.xml", manifest),
    )


def test_what_needs_seeking_is_read_from_archives_and_pipes_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    table = io.BytesIO()
    write_table(pyarrow.table({"text": ["parquet"]}), table)
    path = save(
        tmp_path, "a.zip", zipped(("a.ods", workbook("ods")), ("b.ods", b"PK\x03\x04"), ("c.parquet", table.getvalue()))
    )
    found = rows(path)
    assert [(name, text) for name, _, text in found if text[0] != "!"] == [("!a.ods", "ods"), ("!c.parquet", "parquet")]
    assert [name for name, _, text in found if text[0] == "!"] == ["!b.ods"]
    assert rows(save(tmp_path, "a.ods", workbook("file"))) == [("", 1, "file")]
    assert rows(save(tmp_path, "a.ods.gz", gzip.compress(workbook("gzip")))) == [("", 1, "gzip")]
    for content, text in ((workbook("pipe"), "pipe"), (table.getvalue(), "parquet")):
        reading, writing = os.pipe()
        os.write(writing, content)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            monkeypatch.setattr("sys.stdin", pipe)
            assert rows("-") == [("", 1, text)]


def test_memory_does_not_grow_with_what_is_unpacked(tmp_path: Path) -> None:
    import tracemalloc

    text = "ข้อความ " * 30
    content = ("id,text\n" + "".join(f"{number},{text}{number * 7919}\n" for number in range(40_000))).encode()
    assert len(content) > 24_000_000
    path = save(tmp_path, "a.zip", zipped(("a.csv.gz", gzip.compress(content, 1))))
    tracemalloc.start()
    assert sum(1 for _ in read_dump(path)) == 40_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_part_knows_its_name_and_whether_it_stands_alone(tmp_path: Path) -> None:
    [part] = open_parts(save(tmp_path, "a.csv.gz", gzip.compress(b"x")))
    assert isinstance(part, Part)
    assert (part.name, part.alone) == ("a.csv", True)


def test_a_link_to_a_folder_is_said_and_not_followed(tmp_path: Path) -> None:
    save(tmp_path, "in/a.txt", b"x\n")
    save(tmp_path, "out/b.txt", b"y\n")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/other").symlink_to(tmp_path / "out")
    found = rows(str(tmp_path / "in"))
    assert [(name, text[:1] == "!") for name, _, text in found] == [
        ("/a.txt", False),
        ("/loop", True),
        ("/other", True),
    ]
    check_readable(str(tmp_path / "in"))


def test_a_file_is_taken_once_by_whatever_name_and_never_if_the_run_writes_it(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        save(tmp_path, name, b"x\n")
    (tmp_path / "c.txt").symlink_to(tmp_path / "a.txt")
    once = Once([tmp_path / "b.txt", tmp_path / "later.txt"])
    assert [part.file for part in open_parts(str(tmp_path), once=once)] == [f"{tmp_path}/a.txt"]
    assert once.again == 1
