import io
import tracemalloc
from collections.abc import Iterator

import pytest

from ruthan.dumps.rows import Notice, Row, Unreadable
from ruthan.dumps.sms_backup import read_sms_backup
from ruthan.errors import DumpError
from ruthan.message import Message

HEAD = (
    "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<!--It's made by \"SMS Backup\" <b> -->\n"
    '<?xml-stylesheet type="text/xsl" href="sms.xsl"?>\n'
)


class InPieces(io.BytesIO):
    """Gives a few bytes at a time, as a slow pipe does."""

    size = 7

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self.size)


def read(body: str | bytes, head: str = HEAD, root: str = "smses") -> list[Row]:
    content = body if isinstance(body, bytes) else f'{head}<{root} count="1">\n{body}\n</{root}>'.encode()
    whole = list(read_sms_backup(io.BytesIO(content), "a.xml"))
    assert list(read_sms_backup(InPieces(content), "a.xml")) == whole
    return whole


def sms(body: str, kind: int = 1, address: str = "KBank", more: str = "") -> str:
    known = f'address="{address}" date="1764294912345" type="{kind}" subject="null"'
    return f'<sms protocol="0" {known} body="{body}" {more}/>'


def texts(rows: list[Row]) -> list[str]:
    return [row.text if isinstance(row, Message) else f"! {row}" for row in rows]


def test_an_sms_gives_text_sender_thread_channel_and_time() -> None:
    [message] = read(sms("เงินเข้า 500.00&#10;คงเหลือ 1,250.75 &amp; &lt;b&gt;"))
    assert isinstance(message, Message)
    assert message.text == "เงินเข้า 500.00\nคงเหลือ 1,250.75 & <b>"
    assert (message.sender, message.thread, message.channel) == ("KBank", "KBank", "sms")
    assert message.sent_at == "2025-11-28T08:55:12+07:00"
    assert message.source is not None
    assert message.source.line == 1


@pytest.mark.parametrize("kind", [2, 3, 4, 5, 6])
def test_what_was_sent_or_drafted_is_a_message_without_a_sender(kind: int) -> None:
    [message] = read(sms("ถึงแล้ว", kind))
    assert isinstance(message, Message)
    assert (message.text, message.sender, message.thread) == ("ถึงแล้ว", None, "KBank")


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("&#55357;&#56832;", "😀"),
        ("ก&#55357;&#56832;&#55357;&#56833;ข", "ก😀😁ข"),
        ("&#xD83D;&#xde00;", "😀"),
        ("&#10;&#55357;&#56832;x", "\n😀x"),
        ("a&#55357;b", "ab"),
        ("a&#56832;&#55357;b", "ab"),
        ("a&#0;&#8;&#31;b\x01\x0b", "ab"),
        ("a&#99999999;&#x110000;b", "ab"),
        ("a & b &nbsp; &#; &#x; < c", "a & b &nbsp; &#; &#x; < c"),
        ("หนึ่ง\nสอง\r\nสาม\tx", "หนึ่ง\nสอง\nสาม\tx"),
        ("&#128512;", "😀"),
    ],
)
def test_references_and_characters_that_strict_parsers_refuse_are_mended(written: str, text: str) -> None:
    assert texts(read(sms(written))) == [text]


def test_a_body_in_single_quotes_may_hold_what_looks_like_an_attribute() -> None:
    assert texts(read("<sms address='a' body='see data=\"x\" > y' type='1'/>" + sms("b"))) == ['see data="x" > y', "b"]


def test_null_is_no_value() -> None:
    rows = read(sms("null") + sms("x", address="null") + "<sms body='y'/>" + "<sms/>")
    assert [type(row) for row in rows] == [Notice, Message, Message, Notice]
    assert isinstance(rows[1], Message)
    assert (rows[1].sender, rows[1].thread) == (None, None)


def mms(parts: str, box: int = 1, addresses: str = "", sub: str = "null") -> str:
    return (
        f'<mms date="1764295000000" msg_box="{box}" address="0810005678~0810005679" sub="{sub}">'
        f"<parts>{parts}</parts><addrs>{addresses}</addrs></mms>"
    )


SMIL = '<part seq="-1" ct="application/smil" name="null" text="&lt;smil&gt;" />'
PICTURE = '<part seq="0" ct="image/jpeg" name="a.jpg" text="null" data="QUJD" />'


def test_an_mms_gives_its_text_parts_and_the_one_who_sent_it() -> None:
    words = '<part ct="text/plain" chset="106" text="ดูรูปนี้สิ" /><part ct="text/plain" text="null"/>'
    words += "<part ct='text/plain' text='ลิงก์ https://example.com/a'/>"
    senders = '<addr address="0810005678" type="137"/><addr address="0810009999" type="151"/>'
    [message] = read(mms(SMIL + words + PICTURE, 1, senders))
    assert isinstance(message, Message)
    assert message.text == "ดูรูปนี้สิ\nลิงก์ https://example.com/a"
    assert (message.sender, message.thread) == ("0810005678", "0810005678~0810005679")
    assert message.sent_at == "2025-11-28T08:56:40+07:00"
    [sent] = read(mms(words, 2, '<addr address="insert-address-token" type="137"/>'))
    assert isinstance(sent, Message)
    assert sent.sender is None


def test_the_subject_of_an_mms_belongs_to_its_words_but_the_mark_of_a_chat_message_does_not() -> None:
    part = '<part ct="text/plain" text="ข้อความ"/>'
    assert texts(read(mms(part, sub="หัวข้อ") + mms(part, sub="proto:CpAJabc="))) == ["หัวข้อ\nข้อความ", "ข้อความ"]


@pytest.mark.parametrize(
    ("parts", "what"),
    [
        (SMIL + PICTURE, "photo"),
        ('<part ct="video/mp4"/>', "video"),
        ('<part ct="audio/amr"/>', "voice"),
        ('<part ct="text/x-vcard"/>', "file"),
        ("", "empty"),
    ],
)
def test_an_mms_without_words_is_a_notice(parts: str, what: str) -> None:
    [notice] = read(mms(parts))
    assert isinstance(notice, Notice)
    assert notice.what == what


def test_calls_are_notices() -> None:
    rows = read('<call number="0810005678" duration="0" date="1764294912345" type="3" />' * 2, root="calls")
    assert [row.what if isinstance(row, Notice) else "" for row in rows] == ["call", "call"]


def test_pictures_cost_no_memory() -> None:
    def chunks() -> Iterator[bytes]:
        yield b'<smses><mms msg_box="1"><parts><part ct="image/jpeg" data="'
        for _ in range(600):
            yield b"QUJD" * 16_384
        yield b'"/><part ct="text/plain" text="after"/></parts></mms></smses>'

    class Stream(io.RawIOBase):
        source = chunks()

        def read(self, size: int = -1) -> bytes:
            return next(self.source, b"")

    tracemalloc.start()
    assert texts(list(read_sms_backup(Stream(), "a.xml"))) == ["after"]  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000


def test_a_text_of_endless_length_is_reported_and_the_next_one_read() -> None:
    content = f"<smses>{sms('x' * 4_000_001)}{sms('b')}</smses>".encode()
    first, second = read_sms_backup(io.BytesIO(content), "a.xml")
    assert isinstance(first, Unreadable)
    assert isinstance(second, Message)


@pytest.mark.parametrize("cut", [1, 20, 60, 150])
def test_a_file_that_breaks_off_gives_what_was_whole_and_says_so(cut: int) -> None:
    content = f"{HEAD}<smses>{sms('หนึ่ง')}{sms('สอง')}{sms('สาม', more='x=' + repr('y' * 150))}".encode()[:-cut]
    rows = read(content)
    assert texts(rows[:2]) == ["หนึ่ง", "สอง"]
    [last] = rows[2:]
    assert isinstance(last, Unreadable)
    assert last.source.line == 3
    assert "the file ends in the middle" in last.reason


def test_broken_xml_is_reported_where_it_breaks() -> None:
    one, broken = read(f"<smses>{sms('หนึ่ง')}<a></b>{sms('สอง')}</smses>".encode())
    assert isinstance(one, Message)
    assert isinstance(broken, Unreadable)
    assert (broken.source.line, broken.reason) == (2, "the XML is broken from here on")


def test_bytes_that_are_no_utf_8_cost_their_message_only() -> None:
    content = f"<smses>{sms('ดี' * 300)}{sms('BAD')}{sms('ต่อ')}</smses>".encode().replace(b"BAD", b"\xff\xfe")
    assert [type(row) for row in read(content)] == [Message, Unreadable, Message]


LAUGHS = '<!DOCTYPE smses [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><smses><sms body="&b;"/></smses>'


@pytest.mark.parametrize(
    "content",
    [
        LAUGHS,
        '<!DOCTYPE smses SYSTEM "file:///etc/hostname"><smses/>',
        '<!DOCTYPE smses [<!ENTITY x SYSTEM "http://example.com/x">]><smses>&x;</smses>',
    ],
)
def test_document_types_and_entities_are_refused(content: str) -> None:
    with pytest.raises(DumpError, match="document type"):
        list(read_sms_backup(io.BytesIO(content.encode()), "a.xml"))


@pytest.mark.parametrize("content", ["", "hello", "<html><body/></html>", "<"])
def test_what_is_no_backup_is_refused(content: str) -> None:
    with pytest.raises(DumpError, match="no SMS backup"):
        list(read_sms_backup(io.BytesIO(content.encode()), "a.xml"))


def test_deeply_nested_elements_and_endless_tags_are_given_up() -> None:
    for content in ("<smses>" + "<a>" * 100_000, "<smses><sms " + "a" * 17_000_000):
        [row] = read_sms_backup(io.BytesIO(content.encode()), "a.xml")
        assert isinstance(row, Unreadable)


def test_every_entry_gives_one_row() -> None:
    body = sms("a") + mms(PICTURE) + "<sms/>" + "<call/>" + "<other><deep/></other>" + mms("", 2)
    rows = read(body)
    assert [row.source.line for row in rows if row.source] == [1, 2, 3, 4, 5, 6]
