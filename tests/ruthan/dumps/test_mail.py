import base64
import io
import time
from email.message import EmailMessage

import pytest

from ruthan.dumps import mail
from ruthan.dumps.mail import read_eml, read_mbox
from ruthan.dumps.rows import Notice, Row, Unreadable
from ruthan.errors import DumpError
from ruthan.message import Message

FROM = b"From someone@example.com Fri Oct  2 08:54:00 2026\n"
HEADERS = b"From: Somchai <somchai@example.com>\nDate: Fri, 02 Oct 2026 01:54:00 +0000\n"


def eml(content: bytes) -> Row:
    [row] = read_eml(io.BytesIO(content), "a.eml")
    return row


def text(row: Row) -> str:
    assert isinstance(row, Message), row
    return row.text


def mbox(content: bytes) -> list[Row]:
    return list(read_mbox(io.BytesIO(content), "a.mbox"))


def test_a_mail_gives_subject_and_text_sender_time_and_thread() -> None:
    written = EmailMessage()
    written["From"], written["Subject"] = "ธนาคาร <bank@example.com>", "แจ้งเตือน บัญชีของท่าน"
    written["Date"] = "Fri, 02 Oct 2026 01:54:00 +0000"
    written.set_content("กดลิงก์ https://example.com/a\nด่วน")
    written.add_alternative("<p>other</p>", subtype="html")
    written.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="a.pdf")
    message = eml(written.as_bytes())
    assert isinstance(message, Message)
    assert message.text == "แจ้งเตือน บัญชีของท่าน\nกดลิงก์ https://example.com/a\nด่วน"
    assert message.sender == "ธนาคาร <bank@example.com>"
    assert (message.sent_at, message.thread) == ("2026-10-02T08:54:00+07:00", "แจ้งเตือน บัญชีของท่าน")
    assert message.channel == "email"


def test_html_becomes_text_and_its_links_are_kept() -> None:
    html = (
        "<html><head><title>t</title><style>p{}</style></head><body><h1>สวัสดี</h1>"
        "<p>กด <a href='https://example.com/x'>"
        "ที่นี่</a> &amp; <a href='https://example.com/y'>https://example.com/y</a><script>var a;</script><br>จบ"
        "</body></html>"
    )
    content = HEADERS + b"Content-Type: text/html; charset=utf-8\n\n" + html.encode()
    assert text(eml(content)) == "สวัสดี\nกด ที่นี่ https://example.com/x & https://example.com/y\nจบ"


@pytest.mark.parametrize(
    "charset", ["tis-620", "windows-874", "iso-8859-11", "iso-8859-1", "us-ascii", "nonsense", None]
)
def test_thai_in_cp874_is_read_whatever_the_mail_says(charset: str | None) -> None:
    kind = f"Content-Type: text/plain; charset={charset}\n".encode() if charset else b""
    content = HEADERS + "Subject: เรื่องด่วน\n".encode("cp874") + kind + b"\n" + "โอนเงินแล้วครับ".encode("cp874")
    assert text(eml(content)) == "เรื่องด่วน\nโอนเงินแล้วครับ"


@pytest.mark.parametrize("charset", ["utf-8", "us-ascii", "nonsense"])
def test_thai_in_utf_8_is_read_whatever_the_mail_says(charset: str) -> None:
    content = HEADERS + f"Content-Type: text/plain; charset={charset}\n\nโอนเงินแล้ว".encode()
    assert text(eml(content)) == "โอนเงินแล้ว"


def test_coded_headers_and_bodies_are_decoded() -> None:
    coded = base64.b64encode("เรื่องด่วน".encode("cp874")).decode()
    body = base64.b64encode("ข้อความ".encode())
    content = HEADERS + f"Subject: Re: =?windows-874?B?{coded}?=\n ok\n".encode()
    content += b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n" + body
    assert text(eml(content)) == "Re: เรื่องด่วน ok\nข้อความ"


def test_a_mail_of_attachments_only_is_a_notice() -> None:
    content = HEADERS + b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: image/png\n\nx\n--b--\n"
    row = eml(content)
    assert isinstance(row, Notice)
    assert row.what == "file"


def test_an_attached_mail_and_an_attached_text_are_not_the_mails_own_words() -> None:
    content = (
        HEADERS
        + b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nown words\n--b\nContent-Type: message/rfc822\n\n"
        b"Subject: inner\n\ninner words\n--b\nContent-Type: text/plain\nContent-Disposition: attachment\n\n"
        b"notes\n--b--\n"
    )
    assert text(eml(content)) == "own words"


def test_a_mailbox_gives_its_mails_one_by_one() -> None:
    content = b"".join(FROM + HEADERS + f"Subject: s{number}\n\nbody {number}\n\n".encode() for number in range(3))
    rows = mbox(content)
    assert [text(row) for row in rows] == ["s0\nbody 0", "s1\nbody 1", "s2\nbody 2"]
    assert [row.source.line for row in rows if row.source] == [1, 2, 3]
    assert [text(row) for row in mbox(content.replace(b"\n", b"\r\n"))] == ["s0\nbody 0", "s1\nbody 1", "s2\nbody 2"]


def test_lines_that_begin_with_from_are_unquoted_and_divide_nothing() -> None:
    body = b"\n>From the start\n>>From it\n\nFrom now on we meet at noon\nFrom a@example.com Fri Oct  2 08:54:00 2026\n"
    [row] = mbox(FROM + HEADERS + b"\n" + body)
    assert text(row).splitlines()[:2] == ["From the start", ">From it"]
    assert "From now on we meet at noon" in text(row)


def test_a_mail_that_is_too_big_is_reported_and_the_next_one_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "MAX_MAIL", 1 << 20)
    content = FROM + HEADERS + b"\n" + b"x" * 70 + b"\n" * (1 << 20) + FROM + HEADERS + b"\nsmall\n"
    big, small = mbox(content)
    assert isinstance(big, Unreadable)
    assert big.reason == "a mail of over 1 MB"
    assert text(small) == "small"
    assert isinstance(eml(HEADERS + b"\n" + b"x" * (1 << 20)), Unreadable)


def test_binary_in_a_mailbox_costs_its_mail_only() -> None:
    noise = bytes(range(256)) * 40
    rows = mbox(FROM + HEADERS + b"\nbefore\n\n" + FROM + noise + b"\n\n" + FROM + HEADERS + b"\nafter\n")
    assert [type(row) for row in rows] == [Message, Unreadable, Message]
    assert [text(rows[0]), text(rows[2])] == ["before", "after"]


def test_what_stands_before_the_first_mail_is_reported() -> None:
    rows = mbox(b"noise\n\n" + FROM + HEADERS + b"\nx\n")
    assert [type(row) for row in rows] == [Unreadable, Message]


def test_what_is_no_mailbox_is_refused_and_an_empty_one_holds_nothing() -> None:
    with pytest.raises(DumpError, match="no mailbox"):
        mbox(b"hello\nthere\n")
    assert mbox(b"") == mbox(b"\n\n") == []
    assert list(read_eml(io.BytesIO(b""), "a.eml")) == []


def test_a_file_without_headers_is_no_mail() -> None:
    assert isinstance(eml(b"hello there\n"), Unreadable)
    assert isinstance(eml(bytes(range(256))), Unreadable)


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: =?utf-8?B?!!!?= =?x?q?=zz?=\nContent-Type: ;;;===\n\nx",
        b"Subject: \nContent-Type: multipart/mixed\n\nx",
        b"Subject: x\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n!!!",
        b"Subject: x\nDate: Mon, 99 Foo 99999 99:99:99 +9999\nFrom: <<<@>>>\n\nx",
        b"Subject: x\n" + b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" * 2_000,
        b"Subject: x\nContent-Type: text/html\n\n" + b"<!" * 200_000,
        b"Subject: x\nContent-Type: text/html\n\n" + b"<a href='" * 20_000,
        b"Subject: x\nContent-Type: text/html\n\n" + b"<!--" * 100_000,
        b"Subject: " + b"=?utf-8?q?a?= " * 30_000 + b"\n\nx",
        b"Subject: x\nContent-Type: text/plain; " + b"a*0=b;" * 20_000 + b"\n\nx",
    ],
)
def test_damaged_and_hostile_mails_give_one_row_in_short_time(content: bytes) -> None:
    start = time.monotonic()
    eml(content)
    assert time.monotonic() - start < 5


def test_every_mail_gives_one_row() -> None:
    kinds = [b"\nwords\n\n", b"Content-Type: image/png\n\nx\n\n", b"\n\n", b"Subject: s\n\n\n"]
    rows = mbox(b"".join(FROM + HEADERS + kind for kind in kinds))
    assert [type(row) for row in rows] == [Message, Notice, Notice, Message]
