"""Every reader, through the one entry that users reach them by."""

import csv
import io
import json
import os
import threading
import time
from pathlib import Path

import pytest

from ruthan.dumps.reading import Opened, check_readable, read_dump
from ruthan.dumps.rows import Notice, Unreadable
from ruthan.errors import DumpError
from ruthan.message import Message, Source


def rows(tmp_path: Path, name: str, content: str | bytes, column: str | None = None) -> list[tuple[int, str]]:
    """Line with text of each message, or with `!` and the reason of each unreadable row."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = []
    for row in read_dump(str(path), column):
        assert row.source is not None
        assert row.source.file == str(path)
        found.append((row.source.line, row.text if isinstance(row, Message) else f"! {row.reason}"))
    return found


def test_plain_text_is_one_message_a_line(tmp_path: Path) -> None:
    content = "หนึ่ง\r\n\r\n  \nสอง\rสาม\u2028ยังสาม"
    assert rows(tmp_path, "a.txt", content) == [(1, "หนึ่ง"), (4, "สอง"), (5, "สาม\u2028ยังสาม")]


GRID = ["สวัสดีครับ", "โอนเงิน, ด่วน", 'เขาว่า "ดี" มาก', "บรรทัดหนึ่ง\nสอง", "plain ascii", "หนึ่ง\tแท็บ", "x" * 50, "ก"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp874"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "txt"])
@pytest.mark.parametrize("last_line_ends", [True, False])
def test_no_message_is_lost_or_doubled(
    tmp_path: Path, encoding: str, line_end: str, form: str, last_line_ends: bool
) -> None:
    texts = [text.replace("\n", line_end) for text in GRID if form != "txt" or "\n" not in text]
    if form == "txt":
        content = "".join(text + line_end for text in texts)
    elif form == "jsonl":
        content = "".join(json.dumps({"text": text}, ensure_ascii=False) + line_end for text in texts)
    else:
        table = io.StringIO()
        writer = csv.writer(table, lineterminator=line_end, delimiter="\t" if form == "tsv" else ",")
        writer.writerows([["id", "text"], *enumerate(texts)])
        content = table.getvalue()
    if not last_line_ends:
        content = content.removesuffix(line_end)
    path = tmp_path / f"a.{form}"
    path.write_bytes(content.encode(encoding))
    assert [row.text if isinstance(row, Message) else row for row in read_dump(str(path))] == texts


def test_json_lines_give_text_and_what_is_known_besides(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "ก", "sender": "KBANK", "channel": "sms", "sent_at": 5, "id": 1}\n\n', encoding="utf-8")
    [message] = read_dump(str(path))
    assert isinstance(message, Message)
    assert (message.text, message.sender, message.channel, message.sent_at) == ("ก", "KBANK", "sms", None)


def test_bad_json_lines_are_reported_where_they_stand_and_the_rest_goes_on(tmp_path: Path) -> None:
    content = (
        b'{"text": "1"}\nnonsense\n[1]\n{"a": "x"}\n{"text": 5}\n{"text": "\xff"}\n{"text": "\\ud83d"}\n'
        + b"[" * 50_000
    )
    assert rows(tmp_path, "a.jsonl", content) == [
        (1, "1"),
        (2, "! not valid JSON"),
        (3, "! a JSON array where an object is expected"),
        (4, "! no field text, message, messagetext, body or the like; name it with --text-column"),
        (5, "! the field 'text' is a JSON number, not a string"),
        (6, "! bytes that are not valid in the file's encoding; save the file as UTF-8"),
        (7, "\ud83d"),
        (8, "! not valid JSON"),
    ]


def test_another_json_field_can_be_named(tmp_path: Path) -> None:
    assert rows(tmp_path, "a.jsonl", '{"note": "x", "text": "y"}', "note") == [(1, "x")]
    reason = "! no field 'note'; name the right one with --text-column"
    assert rows(tmp_path, "a.jsonl", '{"text": "y"}', "note") == [(1, reason)]


def test_the_json_field_of_the_message_is_found_by_its_name(tmp_path: Path) -> None:
    content = '{"Body": "a"}\n{"id": 1, "message": "b"}\n{"text": null, "content": "c"}\n{"ข้อความ": "d", "body": 5}\n'
    assert rows(tmp_path, "a.jsonl", content) == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


def test_the_messages_of_sms_import_export_are_read(tmp_path: Path) -> None:
    path = tmp_path / "messages.ndjson"
    sms = {"address": "KBank", "body": "เงินเข้า", "date": "1764294912345", "type": "1"}
    sent = sms | {"type": "2"}
    part = [{"ct": "application/smil", "text": "<smil>"}, {"ct": "text/plain", "text": "ดูรูป"}]
    mms = {"address": "0810005678", "date": 1764294912, "msg_box": "1", "__parts": part}
    picture = {"date": "1764294912", "msg_box": "1", "__parts": [{"ct": "image/jpeg"}]}
    path.write_text("\n".join(map(json.dumps, (sms, sent, mms, picture))), encoding="utf-8")
    first, second, third, last = read_dump(str(path))
    time = "2025-11-28T08:55:12+07:00"
    source = [Source(str(path), number) for number in range(1, 5)]
    assert first == Message("เงินเข้า", "sms", "KBank", time, "KBank", source[0])
    assert second == Message("เงินเข้า", "sms", None, time, "KBank", source[1])
    assert third == Message("ดูรูป", "sms", "0810005678", time, "0810005678", source[2])
    assert last == Notice(source[3], "photo")


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("Date,Type,Sender,Message", "2026-10-02,Received,KBank,สวัสดี", (None, "KBank", "2026-10-02", None)),
        (
            "Message Date,Service,Type,Sender ID,Sender Name,Text",
            "2026-10-02,SMS,Incoming,+66810005678,แม่,สวัสดี",
            ("SMS", "+66810005678", "2026-10-02", None),
        ),
        (
            "Chat Session,Message Date,Delivered Date,Read Date,Service,Type,Sender ID,Sender Name,Status,Subject,Text,"
            "Attachment",
            "แม่,2026-10-02,,,iMessage,Incoming,,แม่,Read,,สวัสดี,",
            ("iMessage", None, "2026-10-02", "แม่"),
        ),
        (
            '"AuthorID","Author","Date","Content","Attachments","Reactions"',
            '"5000","korn#0000","28-Nov-25 08:55 AM","สวัสดี","",""',
            (None, "korn#0000", "2025-11-28T08:55:00+07:00", None),
        ),
        ("ID,Timestamp,Contents,Attachments", "1,2026-10-02,สวัสดี,", (None, None, "2026-10-02", None)),
        ("เวลา;หมายเลข;ข้อความ", "08:54;0810005678;สวัสดี", (None, "0810005678", "08:54", None)),
    ],
)
def test_the_headers_of_usual_exports_are_known(
    tmp_path: Path, header: str, row: str, expected: tuple[str | None, ...]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n{row}\n", encoding="utf-8-sig")
    [message] = read_dump(str(path))
    assert isinstance(message, Message)
    assert message.text == "สวัสดี"
    assert (message.channel, message.sender, message.sent_at, message.thread) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp874"])
def test_a_csv_with_a_thai_header_is_read_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    content = 'วันที่,ผู้ส่ง,ข้อความ\n1/2/69,KBANK,"โอน 1,500 บาท\nสำเร็จ"\n2/2/69,แม่,ถึงบ้านยัง\n'.encode(encoding)
    assert rows(tmp_path, "a.csv", content) == [(2, "โอน 1,500 บาท\nสำเร็จ"), (4, "ถึงบ้านยัง")]


def test_the_other_columns_are_kept_too(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Date,From,Body\n1/2/69,KBANK,hi\n", encoding="utf-8")
    [message] = read_dump(str(path))
    assert isinstance(message, Message)
    assert (message.sent_at, message.sender, message.text) == ("2026-02-01", "KBANK", "hi")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "id;body\n1;hello there\n"),
        ("a.csv", "id|body\n1|hello there\n"),
        ("a.tsv", "id\tbody\n1\thello there\n"),
        ("a.tsv", 'id\tbody\n1\t"hello there"\n'),
    ],
)
def test_delimiters_are_found(tmp_path: Path, name: str, content: str) -> None:
    assert rows(tmp_path, name, content) == [(2, "hello there")]


def test_without_a_header_the_longest_column_is_the_text(tmp_path: Path) -> None:
    content = "1,ข้อความยาวกว่าช่องอื่นมาก,x\n2,อีกข้อความหนึ่งที่ยาว,y\n"
    assert rows(tmp_path, "a.csv", content) == [(1, "ข้อความยาวกว่าช่องอื่นมาก"), (2, "อีกข้อความหนึ่งที่ยาว")]


def test_a_column_can_be_named_or_numbered(tmp_path: Path) -> None:
    content = "a,b,text\nx1,y1,z1\nx2,y2,z2\n"
    assert rows(tmp_path, "a.csv", content, "b") == [(2, "y1"), (3, "y2")]
    assert rows(tmp_path, "a.csv", content, "1") == [(2, "x1"), (3, "x2")]


@pytest.mark.parametrize("column", ["nope", "9", "0"])
def test_a_column_that_does_not_exist_lists_those_that_do(tmp_path: Path, column: str) -> None:
    with pytest.raises(DumpError, match=r"no column .* its columns are: 'a', 'text'"):
        rows(tmp_path, "a.csv", "a,text\n1,2\n", column)


def test_a_quote_that_is_never_closed_costs_one_line_and_no_more(tmp_path: Path) -> None:
    content = 'id,text\n1,ดี\n2,"ไม่ปิด\n' + "".join(f"{number},ข้อความ\n" for number in range(3, 3_000))
    found = rows(tmp_path, "a.csv", content)
    assert found[1] == (3, "! broken quoting: unexpected end of data")
    assert [text for _, text in found].count("ข้อความ") == 2_997


def test_unquoted_commas_in_the_last_column_belong_to_the_text(tmp_path: Path) -> None:
    assert rows(tmp_path, "a.csv", "id,text\n1,a\n2,b, c,d\n") == [(2, "a"), (3, "b, c,d")]


def test_rows_of_the_wrong_width_are_reported(tmp_path: Path) -> None:
    assert rows(tmp_path, "a.csv", "text,id\nhello,1\nhi,there,2\n") == [
        (2, "hello"),
        (3, "! 3 columns where 2 are expected; is a quote missing?"),
    ]
    assert rows(tmp_path, "b.csv", "id,text\n1\n2,x\n") == [(2, "! 1 columns, but the text is in column 2"), (3, "x")]


def test_blank_rows_before_the_header_and_ragged_rows_do_no_harm(tmp_path: Path) -> None:
    assert rows(tmp_path, "a.csv", "\n\ntext,id\nhello,1\n") == [(4, "hello")]
    found = rows(tmp_path, "b.csv", "sender,date,note\na,b\nc,d\n")
    assert [line for line, _ in found] == [2, 3]


def test_null_bytes_and_very_long_cells_are_read(tmp_path: Path) -> None:
    content = f"id,text\n1,a\x00b\n2,{'ก' * 300_000}\n"
    assert rows(tmp_path, "a.csv", content) == [(2, "a\x00b"), (3, "ก" * 300_000)]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt"])
def test_a_line_without_end_is_reported_and_not_kept(tmp_path: Path, name: str) -> None:
    found = rows(tmp_path, name, b"text\n" * (name == "a.csv") + b"x" * 4_100_000 + b'\n{"text": "after"}\n')
    assert found[0][1] == "! line of over 4,000,000 characters"
    assert len(found) == 2


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.txt"])
def test_an_empty_file_holds_no_message(tmp_path: Path, name: str) -> None:
    assert rows(tmp_path, name, b"") == []


def test_an_unknown_ending_is_read_by_what_is_inside(tmp_path: Path) -> None:
    assert rows(tmp_path, "a.log", '{"text": "x"}\n') == [(1, "x")]
    assert rows(tmp_path, "b.log", "x\ny\n") == [(1, "x"), (2, "y")]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt"])
def test_every_line_ends_as_a_message_or_as_unreadable(tmp_path: Path, name: str) -> None:
    noise = bytes((7 * i * i + 13 * i) % 256 for i in range(20_000)).replace(b"\r", b"\n")
    path = tmp_path / name
    path.write_bytes(b"text\n" * (name == "a.csv") + noise)
    for row in read_dump(str(path)):
        assert isinstance(row, Message | Unreadable)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "big.csv"
    path.write_text("id,text\n" + f"1,{'ข้อความ ' * 15}\n" * 60_000, encoding="utf-8")
    tracemalloc.start()
    assert sum(1 for _ in read_dump(str(path))) == 60_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 16_000_000
    assert peak < 8_000_000


def test_a_missing_file_or_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match="cannot read .*nowhere"):
        check_readable(str(tmp_path / "nowhere"))
    with pytest.raises(DumpError, match="cannot read .*nowhere"):
        list(read_dump(str(tmp_path / "nowhere")))
    for read in (check_readable, lambda path: list(read_dump(path))):
        with pytest.raises(DumpError, match="is a folder without a file"):
            read(str(tmp_path))


def test_a_named_pipe_is_read_and_its_writer_not_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_text("หนึ่ง\nสอง\n", encoding="utf-8"))
    writer.start()
    check_readable(str(path))
    messages = list(read_dump(str(path)))
    writer.join()
    assert [message.text for message in messages if isinstance(message, Message)] == ["หนึ่ง", "สอง"]


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_text('{"text": "จากท่อ"}\n', encoding="utf-8")
    with path.open() as file:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(file.buffer))
        [message] = read_dump("-")
    assert isinstance(message, Message)
    assert (message.text, message.source.file if message.source else "") == ("จากท่อ", "-")


LINE = """[LINE] ประวัติการแชทกับ มิ้นท์
บันทึกเมื่อ 04/10/2569 07:48

ศ. 02/10/2569
08:55\tมิ้นท์\tสวัสดี
08:57\tมิ้นท์\t[สติกเกอร์]
"""
WHATSAPP = """[28/11/2568 08:55:02] แม่: เมื่อเช้ามีคนโทรมา
ให้แอดไลน์ไปคุย
[28/11/2568 08:57:11] มิ้นท์: อย่าแอดนะคะ
"""
TELEGRAM = """{"name": "ก", "type": "personal_chat", "id": 1, "messages": [
{"id": 1, "type": "message", "date": "2025-11-28T08:55:12", "date_unixtime": "1764294912", "from": "Mint",
 "from_id": "user1", "text": "สวัสดี", "text_entities": []}]}"""
META = """{"participants": [{"name": "Korn"}], "messages": [{"sender_name": "Korn", "timestamp_ms": 1764294912345,
"content": "hello"}], "title": "Korn", "thread_path": "inbox/korn_1", "magic_words": []}"""
DISCORD = """{"guild": {"id": "1", "name": "g", "iconUrl": ""}, "channel": {"id": "2", "type": "GuildTextChat",
"name": "c"}, "messages": [{"id": "4", "type": "Default", "timestamp": "2025-11-28T08:55:12.345+07:00",
"content": "hello",
"author": {"id": "5", "name": "korn"}, "attachments": [], "embeds": []}], "messageCount": 1}"""
SMS = '<smses count="1"><sms address="KBank" date="1764294912345" type="1" body="เงินเข้า"/></smses>'
MBOX = "From a@example.com Fri Oct  2 08:54:00 2026\nFrom: a@example.com\nSubject: s\n\nbody\n"
EML = "From: a@example.com\nTo: b@example.com\nSubject: s\n\nbody\n"

# Of each format a file, its messages and its notices.
FORMATS_READ = [
    ("line", LINE, 1, 1),
    ("whatsapp", WHATSAPP, 2, 0),
    ("telegram", TELEGRAM, 1, 0),
    ("meta", META, 1, 0),
    ("discord", DISCORD, 1, 0),
    ("sms-xml", SMS, 1, 0),
    ("mbox", MBOX, 1, 0),
    ("eml", EML, 1, 0),
    ("csv", "date,text\n1,a\n2,b\n", 2, 0),
    ("tsv", "date\ttext\n1\ta\n2\tb\n", 2, 0),
    ("jsonl", '{"text": "a"}\n{"text": "b"}\n', 2, 0),
    ("json", '["a", "b"]', 2, 0),
    ("text", "a\nb\n", 2, 0),
]


@pytest.mark.parametrize(("form", "content", "messages", "notices"), FORMATS_READ)
def test_every_format_is_found_and_read_through_a_pipe(
    monkeypatch: pytest.MonkeyPatch, form: str, content: str, messages: int, notices: int
) -> None:
    reading, writing = os.pipe()
    writer = threading.Thread(target=_trickle, args=(writing, content.encode()))
    writer.start()
    opened: list[Opened] = []
    with os.fdopen(reading) as pipe:
        monkeypatch.setattr("sys.stdin", pipe)
        found = list(read_dump("-", on_open=opened.append))
    writer.join()
    assert [each.form for each in opened] == [form]
    kinds = [type(row) for row in found]
    assert (kinds.count(Message), kinds.count(Notice), kinds.count(Unreadable)) == (messages, notices, 0)


def _trickle(writing: int, content: bytes) -> None:
    for at in range(0, len(content), 40):
        os.write(writing, content[at : at + 40])
    os.close(writing)


def test_the_format_can_be_told_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('{"text": "a"}\n', encoding="utf-8")
    [message] = read_dump(str(path), None, "jsonl")
    assert isinstance(message, Message)
    assert message.text == "a"
    with pytest.raises(DumpError, match="no format 'docx'; there are: line, whatsapp"):
        list(read_dump(str(path), form="docx"))


def test_format_and_encoding_are_told_with_their_reasons(tmp_path: Path) -> None:
    opened: list[Opened] = []
    for name, content in (
        ("a.csv", "text\nสวัสดี\n".encode("cp874")),
        ("b.csv", LINE.encode()),
        ("c", TELEGRAM.encode()),
    ):
        (tmp_path / name).write_bytes(content)
    list(read_dump(str(tmp_path), on_open=opened.append))
    assert [(each.file.removeprefix(f"{tmp_path}/"), each.form, each.encoding) for each in opened] == [
        ("a.csv", "csv", "cp874"),
        ("b.csv", "line", "utf-8"),
        ("c", "telegram", None),
    ]
    assert opened[0].because == "CSV, by its name; not UTF-8; bytes read as Thai cp874"
    assert opened[1].because == "LINE chat, by what is in it; valid UTF-8"
    assert opened[2].because == "Telegram export, by what is in it"


def test_a_column_that_one_file_of_several_lacks_is_one_unreadable_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("note,b\nx,1\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("text,b\nx,1\n", encoding="utf-8")
    first, second = read_dump(str(tmp_path), "note")
    assert isinstance(first, Message)
    assert isinstance(second, Unreadable)
    assert second.reason.startswith("no column 'note'; its columns are")


def test_the_order_of_day_and_month_in_a_table_follows_from_its_days(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Date,From,Body\n11/12/2025 8:55 AM,KBANK,hi\n11/28/2025 8:56 AM,KBANK,there\n", encoding="utf-8")
    times = [row.sent_at for row in read_dump(str(path)) if isinstance(row, Message)]
    assert times == ["2025-11-12T08:55:00+07:00", "2025-11-28T08:56:00+07:00"]


def test_a_table_of_open_quotes_takes_no_endless_time(tmp_path: Path) -> None:
    began = time.monotonic()
    found = rows(tmp_path, "a.csv", "text,a\n" + 'a","b\n' * 10_000)
    assert len(found) == 10_000
    assert time.monotonic() - began < 10
