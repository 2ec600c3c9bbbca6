import contextlib

import pytest

from ruthan.dumps.detect import ENDINGS, FORMATS, detect_format
from ruthan.errors import DumpError

LINE = "[LINE] Chat history with Mint\nSaved on: 2026/10/04 07:48\n\n2026/10/02(Fri)\n08:55\tMint\tสวัสดี\n"
LINE_DOTS = "2026.10.02 วันศุกร์\n08:35 Korn สวัสดีค่ะ\n08:36 Korn สนใจไหม\n"
IPHONE = "[28/11/2568 08:55:02] แม่: สวัสดี\n[28/11/2568 08:57:11] มิ้นท์: ค่ะ\n"
ANDROID = "28/11/2568 08:55 - แม่: สวัสดี\n28/11/2568 08:57 - มิ้นท์: ค่ะ\n"
TELEGRAM = '{"name": "ก", "type": "personal_chat", "id": 1, "messages": [{"id": 1, "type": "message", "text": "x"}]}'
META = (
    '{"participants": [{"name": "K"}], "messages": [{"sender_name": "K", "timestamp_ms": 1764294912345, "content": '
    '"x"}]}'
)
META_NEW = (
    '{"participants": ["a", "b"], "threadName": "b_7", "messages": [{"isUnsent": false, "senderName": "b", "text": '
    '"x"}]}'
)
DISCORD = '{"guild": {"id": "1", "name": "g"}, "channel": {"id": "2", "name": "c"}, "messages": []}'
SMS = "<?xml version='1.0' encoding='UTF-8'?>\n<!-- made by an app -->\n<smses count=\"0\"></smses>"
MBOX = "From 17@xxx Fri Oct 02 08:54:00 +0000 2026\nFrom: a@example.com\n\nx\n"
EML = "Return-Path: <a@example.com>\nReceived: by x\n\tfor y\nSubject: s\nFrom: a@example.com\n\nx\n"


@pytest.mark.parametrize("name", ["-", "chat.txt", "dump", "a.csv", "a.log"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    ("content", "form"),
    [
        (LINE, "line"),
        (LINE_DOTS, "line"),
        (IPHONE, "whatsapp"),
        (ANDROID, "whatsapp"),
        (SMS, "sms-xml"),
        ("<calls count='0'></calls>", "sms-xml"),
    ],
)
def test_a_chat_is_known_by_what_is_in_it_whatever_its_name(content: str, form: str, encoding: str, name: str) -> None:
    assert detect_format(content.encode(encoding), name) == form


@pytest.mark.parametrize("name", ["-", "result.json", "dump.txt", "a"])
@pytest.mark.parametrize(
    ("content", "form"),
    [
        (TELEGRAM, "telegram"),
        (META, "meta"),
        (META_NEW, "meta"),
        (DISCORD, "discord"),
        ('["a", "b"]', "json"),
        ('[\n  {"text": "a"}\n]', "json"),
        ('{\n"rows": [{"text": "a"}]}', "json"),
        ('{"rows": [{"text": "a"}]}', "json"),
        ('{"text": "a"}\n{"text": "b"}\n', "jsonl"),
        ('{"text": "a"}\r\n{"text": "b', "jsonl"),
    ],
)
def test_json_is_told_apart(content: str, form: str, name: str) -> None:
    assert detect_format(content.encode(), name) == form


def test_one_object_on_one_line_is_a_line_unless_the_ending_says_otherwise() -> None:
    assert detect_format(b'{"text": "a"}\n', "-") == "jsonl"
    assert detect_format(b'{"text": "a"}\n', "a.jsonl") == "jsonl"
    assert detect_format(b'{"text": "a"}\n', "a.json") == "json"
    assert detect_format(b'{"text": "' + b"a" * 70_000, "a.jsonl") == "jsonl"


@pytest.mark.parametrize(
    ("content", "name", "form"),
    [
        (MBOX, "-", "mbox"),
        (MBOX, "Inbox", "mbox"),
        (EML, "-", "eml"),
        (EML, "a.eml", "eml"),
        ("Subject: s\n\nx", "a.eml", "eml"),
        ("Subject: s\n\nx", "a.txt", "text"),
        ("From now on 10:00 is ours\n", "a.txt", "text"),
    ],
)
def test_mail_is_known_by_its_headers(content: str, name: str, form: str) -> None:
    assert detect_format(content.encode(), name) == form


@pytest.mark.parametrize(
    ("content", "name", "form"),
    [
        ("a\nb\n", "a.csv", "csv"),
        ("a\tb\n", "a.tsv", "tsv"),
        ("a,b\n", "a.txt", "text"),
        ("date,sender,text\n1,KBank,hello\n", "-", "csv"),
        ("date,sender,text\n1,KBank,hello\n", "a.txt", "csv"),
        ("date\tข้อความ\n1\thello\n", "-", "tsv"),
        ("AuthorID,Author,Date,Content,Attachments,Reactions\n", "a.csv", "csv"),
        ('"AuthorID","Author","Date","Content"\n"1","k","2025","รับ\n', "-", "csv"),
        ("hello, this is a message\nand one more\n", "-", "text"),
        ("สวัสดี\n", "a.txt", "text"),
        ("[โปรโมชั่น] กดเลย\n{ลด 50%}\n", "a.txt", "text"),
        ("<#> รหัส OTP คือ 123456\n", "-", "text"),
        ("", "a.csv", "csv"),
        ("", "-", "text"),
        ("x\n", "a.xlsx", "text"),
        ("BZh is how it begins\n", "a.txt", "text"),
    ],
)
def test_tables_and_text_are_known_by_their_ending_or_a_header(content: str, name: str, form: str) -> None:
    assert detect_format(content.encode(), name) == form


def test_a_table_whose_texts_hold_a_chat_stays_a_table() -> None:
    assert detect_format(f'date,text\n1,"{LINE}"\n2,"{IPHONE}"\n'.encode(), "a.csv") == "csv"


@pytest.mark.parametrize(
    ("head", "form"),
    [
        (b"PAR1\x15\x04", "parquet"),
        (b"PK\x03\x04\x14\x00", "xlsx"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "xlsx"),
    ],
)
def test_binary_formats_are_known_by_their_first_bytes(head: bytes, form: str) -> None:
    assert detect_format(head, "a.csv") == form


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"<!DOCTYPE html>\n<html>", "a web page; export the chat again as JSON"),
        (b"<html lang='th'>", "a web page"),
        (b"<?xml version='1.0'?><rss/>", "XML of an unknown kind"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "a picture"),
        (b"SQLite format 3\x00", "a database"),
        (b"a" * 257 + b"ustar", "a tar archive"),
        (b"7z\xbc\xaf\x27\x1c\x00", "a 7z archive"),
    ],
)
def test_what_is_never_read_is_refused_with_what_to_do(head: bytes, what: str) -> None:
    with pytest.raises(DumpError, match=what):
        detect_format(head, "a")


def test_no_bytes_make_it_fail() -> None:
    for seed in range(60):
        noise = bytes((seed * i * i + 13 * i + seed) % 256 for i in range(3_000))
        for name in ("a.csv", "a.txt", "a.json", "a.xlsx"):
            assert detect_format(noise, name) in FORMATS
        with contextlib.suppress(DumpError):  # where nothing says that it is text, noise may be refused
            assert detect_format(noise, "-") in FORMATS


def test_every_ending_leads_to_a_known_format() -> None:
    assert set(ENDINGS.values()) <= set(FORMATS)


def test_a_program_is_no_text() -> None:
    with pytest.raises(DumpError, match="no text"):
        detect_format(b"\x7fELF\x02\x01\x01" + b"\x00" * 9 + bytes(range(32)) * 40, "ruthan")


def test_a_few_control_characters_are_text() -> None:
    assert detect_format("\x00\x00สวัสดีครับทุกคน\x00 วันนี้มีนัด\n".encode(), "a.txt") == "text"
