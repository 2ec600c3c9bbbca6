import builtins
import io
import struct
import zipfile
from typing import Any
from xml.sax.saxutils import escape

import pytest

from ruthan.dumps import tables
from ruthan.dumps.rows import Notice, Row, Unreadable
from ruthan.dumps.tables import read_parquet, read_workbook
from ruthan.errors import DumpError
from ruthan.message import Message

Cells = list[list[Any]]
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MANIFEST = '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
DAY = ("date", 46297.371)  # 2026-10-02 08:54 as a spreadsheet counts days


def zipped(members: dict[str, str]) -> bytes:
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return result.getvalue()


def xlsx(more: dict[str, str] | None = None, /, **sheets: Cells) -> bytes:
    def cell(value: Any) -> str:
        if isinstance(value, tuple) and value[0] == "shared":
            return f'<c t="s"><v>{value[1]}</v></c>'
        if isinstance(value, tuple):
            return f'<c s="1"><v>{value[1]}</v></c>'
        if isinstance(value, bool):
            return f'<c t="b"><v>{int(value)}</v></c>'
        if isinstance(value, int | float):
            return f"<c><v>{value}</v></c>"
        return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>' if value else "<c/>"

    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    members = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs>'
        "</styleSheet>",
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
        + "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets, 1))
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        + "".join(
            f'<Relationship Id="r{n}" Type="{kind}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        + f'<Relationship Id="s" Type="{kind}/styles" Target="styles.xml"/></Relationships>',
    }
    members["_rels/.rels"] = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="r" Type="{kind}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    )
    for number, rows in enumerate(sheets.values(), 1):
        data = "".join("<row>" + "".join(map(cell, row)) + "</row>" for row in rows)
        members[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{MAIN}"><sheetData>{data}</sheetData></worksheet>'
        )
    return zipped(members | (more or {}))


def ods(rows: Cells, more: str = "") -> bytes:
    def cell(value: Any) -> str:
        if isinstance(value, tuple):
            return '<table:table-cell office:value-type="date" office:date-value="2026-10-02T08:54:00"/>'
        return f'<table:table-cell office:value-type="string"><text:p>{escape(str(value))}</text:p></table:table-cell>'

    data = "".join("<table:table-row>" + "".join(map(cell, row)) + "</table:table-row>" for row in rows)
    names = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    content = f"""<?xml version="1.0"?><office:document-content {names}><office:body><office:spreadsheet>
        <table:table table:name="A">{data}{more}</table:table>
        </office:spreadsheet></office:body></office:document-content>"""
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "content.xml": content,
            "META-INF/manifest.xml": MANIFEST,
        }
    )


def xls(rows: Cells) -> bytes:
    def record(kind: int, body: bytes) -> bytes:
        return struct.pack("<HH", kind, len(body)) + body

    begin = record(0x809, struct.pack("<HHHHII", 0x600, 5, 0, 0, 0, 0))
    end = record(0x0A, b"")
    sheet = record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 0))
    for y, row in enumerate(rows):
        for x, value in enumerate(row):
            text = str(value).encode("utf-16-le")
            sheet += record(0x204, struct.pack("<HHHHB", y, x, 0, len(text) // 2, 1) + text)
    place = len(begin) + 4 + 8 + 1 + len(end)
    book = begin + record(0x85, struct.pack("<IHBB", place, 0, 1, 0) + b"A") + end + sheet + end
    book += b"\0" * (8 * 512 - len(book))
    sectors = len(book) // 512

    def entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
        raw = name.encode("utf-16-le") + b"\0\0"
        head = raw.ljust(64, b"\0") + struct.pack("<HBBIII", len(raw), kind, 1, 0xFFFFFFFF, 0xFFFFFFFF, child)
        return head + b"\0" * 36 + struct.pack("<IQ", start, size)

    folder = entry("Root Entry", 5, 1, 0xFFFFFFFE, 0) + entry("Workbook", 2, 0xFFFFFFFF, 2, len(book)) + b"\0" * 256
    table = [0xFFFFFFFD, 0xFFFFFFFE, *range(3, 2 + sectors), 0xFFFFFFFE]
    fat = struct.pack("<128I", *(table + [0xFFFFFFFF] * (128 - len(table))))
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16 + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + b"\0" * 6
    head += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0) + struct.pack(
        "<109I", 0, *[0xFFFFFFFF] * 108
    )
    return head + fat + folder + book


def read(content: bytes, column: str | None = None) -> list[Row]:
    return list(read_workbook(io.BytesIO(content), "a.xlsx", column))


def texts(rows: list[Row]) -> list[str]:
    return [row.text if isinstance(row, Message) else "!" for row in rows]


TABLE: Cells = [["Date", "From", "ข้อความ"], [DAY, "KBank", "เงินเข้า 500 บาท"], ["", "", ""], ["x", "แม่", "ถึงบ้านยัง\nลูก"]]


@pytest.mark.parametrize("make", [lambda rows: xlsx(A=rows), ods, xls])
def test_a_workbook_is_read_by_its_header(make: Any) -> None:
    first, second = read(make(TABLE))
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    assert (first.text, first.sender) == ("เงินเข้า 500 บาท", "KBank")
    assert (second.text, second.sender, second.sent_at) == ("ถึงบ้านยัง\nลูก", "แม่", "x")
    assert [row.source.line for row in (first, second) if row.source] == [1, 2]


@pytest.mark.parametrize("make", [lambda rows: xlsx(A=rows), ods])
def test_a_time_in_a_cell_is_bangkok_time(make: Any) -> None:
    first, _ = read(make(TABLE))
    assert isinstance(first, Message)
    assert first.sent_at is not None
    assert first.sent_at.startswith("2026-10-02T08:5")
    assert first.sent_at.endswith("+07:00")


def test_numbers_dates_and_truths_become_text_as_written() -> None:
    rows: Cells = [["text"], [812345678], [1.5], ["8.12E+08"], [True], [DAY], ["0812345678"], [6.68e10]]
    found = texts(read(xlsx(A=rows)))
    assert found[:4] == ["812345678", "1.5", "8.12E+08", "TRUE"]
    assert found[4].startswith("2026-10-02 08:5")
    assert found[5:] == ["0812345678", "66800000000"]


def test_all_sheets_are_read_and_named() -> None:
    rows = read(xlsx(One=TABLE, Empty=[], Two=[["body", "id"], ["สวัสดี", 1]]))
    assert texts(rows) == ["เงินเข้า 500 บาท", "ถึงบ้านยัง\nลูก", "สวัสดี"]
    assert [(row.source.file, row.source.line) for row in rows if row.source] == [
        ("a.xlsx!One", 1),
        ("a.xlsx!One", 2),
        ("a.xlsx!Two", 1),
    ]


def test_a_column_can_be_named_and_a_sheet_without_it_is_reported_row_by_row() -> None:
    assert texts(read(xlsx(A=TABLE), "From")) == ["KBank", "แม่"]
    assert texts(read(xlsx(A=TABLE), "2")) == ["KBank", "แม่"]
    rows = read(xlsx(A=TABLE, B=[["text"], ["x"], ["y"]]), "From")
    assert texts(rows) == ["KBank", "แม่", "!", "!"]
    with pytest.raises(DumpError, match="no column 'nope'; its columns are: 'Date', 'From'"):
        read(xlsx(A=TABLE), "nope")


def test_without_a_header_the_longest_column_is_the_text() -> None:
    assert texts(read(xlsx(A=[[1, "ข้อความที่ยาวกว่าช่องอื่น"], [2, "อีกข้อความหนึ่งที่ยาว"]]))) == [
        "ข้อความที่ยาวกว่าช่องอื่น",
        "อีกข้อความหนึ่งที่ยาว",
    ]


def test_a_damaged_sheet_is_one_unreadable_row_and_the_others_are_read() -> None:
    broken = {"xl/worksheets/sheet2.xml": "<worksheet><sheetData><row><c><v></row>"}
    found = read(xlsx(broken, A=TABLE, B=TABLE, C=TABLE))
    assert texts(found) == ["เงินเข้า 500 บาท", "ถึงบ้านยัง\nลูก", "!", "เงินเข้า 500 บาท", "ถึงบ้านยัง\nลูก"]


def test_an_empty_workbook_holds_no_message() -> None:
    assert read(xlsx(A=[])) == []
    assert read(ods([])) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"PK\x03\x04" + b"\0" * 100,
        xlsx(A=TABLE)[:-200],
        xls(TABLE)[:900],
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\xff" * 4_000,
        zipped({"a.txt": "x"}),
        zipped({"xl/workbook.xml": "<workbook", "[Content_Types].xml": ""}),
    ],
)
def test_what_is_damaged_or_no_workbook_is_refused(content: bytes) -> None:
    with pytest.raises(DumpError, match="a.xlsx: "):
        read(content)


def sparse_xls() -> bytes:
    content = xls([["text"], ["abc"]])
    return content.replace(struct.pack("<HHHHB", 1, 0, 0, 3, 1), struct.pack("<HHHHB", 65_535, 65_535, 0, 3, 1))


BOMBS = {
    "a cell at the far end": sparse_xls(),
    "a long text in very many cells": xlsx(
        {"xl/sharedStrings.xml": f'<sst xmlns="{MAIN}"><si><t>{"x" * 32_000}</t></si></sst>'},
        A=[["text"], *[[("shared", 0)] * 100] * 2_000],
    ),
    "a row without end": ods(
        [["text"]],
        '<table:table-row table:number-rows-repeated="1000000"><table:table-cell office:value-type="string"'
        ' table:number-columns-repeated="16384"><text:p>x</text:p></table:table-cell></table:table-row>',
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_workbook_that_would_fill_memory_is_refused(bomb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "WORKBOOK_MEMORY", 500 << 20)
    with pytest.raises(DumpError, match="too large to be opened|damaged"):
        read(BOMBS[bomb])


def test_reading_can_stop_at_any_time() -> None:
    rows = read_workbook(io.BytesIO(xlsx(A=[["text"], *[["x" * 100]] * 20_000])), "a.xlsx")
    assert isinstance(next(rows), Message)
    rows.close()  # type: ignore[attr-defined]


def test_the_empty_rows_and_columns_that_office_programs_write_do_no_harm() -> None:
    more = (
        '<table:table-row table:number-rows-repeated="1048570">'
        '<table:table-cell table:number-columns-repeated="16384"/>'
        "</table:table-row>"
    )
    assert texts(read(ods(TABLE, more))) == ["เงินเข้า 500 บาท", "ถึงบ้านยัง\nลูก"]


def parquet(**columns: list[Any]) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    result = io.BytesIO()
    write_table(pyarrow.table(columns), result, row_group_size=700)
    return result.getvalue()


def test_parquet_is_read_by_its_names() -> None:
    from datetime import UTC, datetime

    content = parquet(
        id=[1, 2], Body=["สวัสดี", None], sender=["KBank", None], sent_at=[datetime(2026, 10, 2, 1, 54, tzinfo=UTC), None]
    )
    message, notice = read_parquet(io.BytesIO(content), "a.parquet")
    assert isinstance(message, Message)
    assert (message.text, message.sender, message.sent_at) == ("สวัสดี", "KBank", "2026-10-02T08:54:00+07:00")
    assert isinstance(notice, Notice)
    assert notice.source.line == 2


def test_parquet_without_known_names_gives_its_longest_column_or_the_one_named() -> None:
    content = parquet(a=["x", "y"], b=["ข้อความที่ยาว", "อีกข้อความ"])
    assert texts(list(read_parquet(io.BytesIO(content), "a"))) == ["ข้อความที่ยาว", "อีกข้อความ"]
    assert texts(list(read_parquet(io.BytesIO(content), "a", "a"))) == ["x", "y"]
    with pytest.raises(DumpError, match="no column 'nope'"):
        list(read_parquet(io.BytesIO(content), "a", "nope"))


def test_parquet_is_read_to_its_end_and_an_empty_one_holds_nothing() -> None:
    rows = list(read_parquet(io.BytesIO(parquet(text=[str(number) for number in range(3_000)])), "a"))
    assert texts(rows) == [str(number) for number in range(3_000)]
    assert list(read_parquet(io.BytesIO(parquet(text=[])), "a")) == []


def test_damaged_parquet_gives_what_can_be_read_or_is_refused() -> None:
    content = parquet(text=[f"message {number}" for number in range(2_000)])
    for broken in (b"", b"PAR1", content[:-50], b"PAR1" + b"\0" * 100 + b"PAR1"):
        with pytest.raises(DumpError, match="no Parquet file"):
            list(read_parquet(io.BytesIO(broken), "a"))
    middle = content[:4] + b"\xff" * 200 + content[204:]
    try:
        rows = list(read_parquet(io.BytesIO(middle), "a"))
    except DumpError:
        return
    assert isinstance(rows[-1], Unreadable)


def test_without_pyarrow_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DumpError, match=r"pip install 'ruthan\[dumps\]'"):
        list(read_parquet(io.BytesIO(), "a.parquet"))
