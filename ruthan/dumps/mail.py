"""Mail: mailboxes (mbox) and single mails (eml), one mail in memory at a time."""

import email
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.errors import MessageError as MailError
from email.header import decode_header
from email.message import Message as Mail
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from typing import BinaryIO

from ruthan.dumps.dates import BANGKOK
from ruthan.dumps.rows import Notice, Row, Unreadable
from ruthan.errors import DumpError
from ruthan.message import Message, Source

MAX_MAIL = 32 << 20  # bytes
MAX_LINES = 600_000  # of one mail: 32 MB of base64 have fewer, and the parser keeps each as an object
MAX_HTML = 2_000_000  # characters, pictures within not counted
MAX_HEADER = 100_000  # characters
MAX_NESTING = 32  # of parts within parts
_LINE = 1 << 20  # bytes read at once where a line does not end

# "From " begins a mail only where a time and a year follow, as in "From a@example.com Fri Oct  2 08:54:00 2026".
_BEGINS_MAIL = re.compile(rb"From [^\r\n]{0,200}?[0-9]:[0-9]{2}[^\r\n]{0,40}? [0-9]{4}")
_QUOTED_FROM = re.compile(rb"^>(>{0,50}From )", re.MULTILINE)


def read_mbox(stream: BinaryIO, file: str) -> Iterator[Row]:
    """One row for each mail, numbered from 1. What has no `From ` line before it is one unreadable entry.

    :raises DumpError: it is no mailbox at all.
    """
    number = 0
    mailbox = False
    for begins, content in _mails(stream):
        mailbox = mailbox or begins
        if not begins and not (content or b"x").strip():
            continue
        number += 1
        source = Source(file, number)
        if not begins:
            yield Unreadable(source, "what stands before the first mail is no mail")
        elif content is None:
            yield Unreadable(source, f"a mail of over {MAX_MAIL >> 20} MB")
        else:
            yield _mail(_QUOTED_FROM.sub(rb"\1", content), source)
    if number and not mailbox:
        raise DumpError(f"{file}: no mailbox: no line begins with 'From ', a sender and a time")


def read_eml(stream: BinaryIO, file: str) -> Iterator[Row]:
    """The one row of a file that is one mail; none of an empty file."""
    content = bytearray()
    while len(content) <= MAX_MAIL and (piece := stream.read(MAX_MAIL + 1 - len(content))):
        content += piece
    if len(content) > MAX_MAIL:
        yield Unreadable(Source(file, 1), f"a mail of over {MAX_MAIL >> 20} MB")
    elif content.strip():
        yield _mail(bytes(content).removeprefix(b"\xef\xbb\xbf"), Source(file, 1))


def _mails(stream: BinaryIO) -> Iterator[tuple[bool, bytes | None]]:
    """The mails without their "From " line, None for those that are too big; False before what stands ahead of them."""
    begins, size, content = False, 0, bytearray()
    at_line_start = after_blank = True
    while line := stream.readline(_LINE):
        if at_line_start and after_blank and _BEGINS_MAIL.match(line):
            if begins or size:
                yield begins, bytes(content) if size <= MAX_MAIL else None
            begins, size, content = True, 0, bytearray()
            # A blank line has to follow before another mail may begin.
            at_line_start, after_blank = line.endswith(b"\n"), False
            continue
        size += len(line)
        if size <= MAX_MAIL:
            content += line
        else:
            content.clear()
        after_blank = at_line_start and line in (b"\n", b"\r\n")
        at_line_start = line.endswith(b"\n")
    if begins or size:
        yield begins, bytes(content) if size <= MAX_MAIL else None


def _mail(content: bytes, source: Source) -> Row:
    if content.count(b"\n") > MAX_LINES:
        return Unreadable(source, f"a mail of over {MAX_LINES:,} lines")
    try:
        # The parser's older policy: the default one takes headers apart on every look, with errors and in quadratic
        # time where they are damaged.
        mail = email.message_from_bytes(content)
        if not _is_mail(mail):
            return Unreadable(source, "no mail: it has neither sender nor subject nor date")
        parts = list(_parts(mail))
        text = "\n".join(filter(None, (_text(part) for part in parts)))
        subject = _header(mail, "subject")
        sender, date = _header(mail, "from"), _header(mail, "date")
    except (_Unreadable, MailError, ValueError, LookupError, RecursionError) as error:
        return Unreadable(source, str(error) if isinstance(error, _Unreadable) else "the mail is damaged")
    words = "\n".join(each for each in (subject, text) if each)
    if not words.strip():
        return Notice(source, "file" if mail.is_multipart() or not parts else "empty")
    return Message(
        words, channel="email", sender=sender, sent_at=_time(date) if date else None, thread=subject, source=source
    )


class _Unreadable(Exception):
    pass


def _is_mail(mail: Mail) -> bool:
    return any(mail.get(name) is not None for name in ("from", "subject", "date", "to", "received", "content-type"))


def _parts(mail: Mail, depth: int = 0) -> Iterator[Mail]:
    """The parts with the mail's own words: of alternatives the plain one, else the HTML one; no attachments."""
    if depth > MAX_NESTING:
        raise _Unreadable("a mail of too many parts within parts")
    kind = mail.get_content_type()
    inner = mail.get_payload()
    if isinstance(inner, list):
        if mail.get_content_maintype() != "multipart":  # a mail that is attached to this one
            return
        found = [part for each in inner if isinstance(each, Mail) for part in _parts(each, depth + 1)]
        plain = [part for part in found if part.get_content_type() != "text/html" and _text(part)]
        yield from plain if kind == "multipart/alternative" and plain else found
    elif kind in ("text/plain", "text/html") and mail.get_content_disposition() != "attachment":
        yield mail


def _text(part: Mail) -> str:
    content = part.get_payload(decode=True)
    text = _decoded(content, str(part.get_content_charset() or "")) if isinstance(content, bytes) else ""
    text = text.replace("\r\n", "\n")
    return (_words_of_html(text) if part.get_content_type() == "text/html" else text).strip()


def _decoded(content: bytes, charset: str) -> str:
    """The text of bytes: by what the mail says where that is true, else as UTF-8 or cp874.

    :raises _Unreadable: none of them.
    """
    for name in (*_charsets(charset, content), "utf-8", "cp874"):
        try:
            return content.decode(name)
        except (UnicodeDecodeError, LookupError, ValueError):
            continue
    raise _Unreadable("a mail whose bytes are not valid in the encoding that it names")


_THAI_BYTES = re.compile(rb"[\xa1-\xda\xdf-\xfb]{4}")


def _charsets(charset: str, content: bytes) -> tuple[str, ...]:
    if any(mark in charset for mark in ("874", "tis", "8859-11")):
        return ("cp874",)  # holds all of TIS-620 and ISO 8859-11
    if any(mark in charset for mark in ("8859-1", "1252", "latin")) and _THAI_BYTES.search(content):
        return ("utf-8", "cp874")  # no word of a Western language has four such letters in a row
    try:
        "".encode(charset)  # says whether there is such a text encoding
    except (LookupError, ValueError):
        return ()
    return (charset,)


def _header(mail: Mail, name: str) -> str | None:
    """A header as text: unfolded, its coded words decoded."""
    raw = next((str(value) for key, value in mail.raw_items() if key.lower() == name), None)
    if raw is None:
        return None
    raw = re.sub(r"[\r\n]{1,4}[ \t]?", " ", raw[:MAX_HEADER])
    raw = _decoded(raw.encode("utf-8", "surrogateescape"), "")  # bytes beyond ASCII came as surrogates
    try:
        pieces = decode_header(raw) if "=?" in raw else [(raw, None)]
    except (MailError, ValueError):
        pieces = [(raw, None)]
    text = ""
    for piece, charset in pieces:
        # Between coded words the library gives the bytes of `raw` in an escaped form of its own.
        text += piece if isinstance(piece, str) else _piece(piece, charset)
    return text.strip() or None


def _piece(piece: bytes, charset: str | None) -> str:
    if charset is None:
        return piece.decode("raw-unicode-escape", "replace")
    return _decoded(piece, charset.lower())


def _time(date: str) -> str:
    try:
        time = parsedate_to_datetime(date)
        return _in_zone(time).astimezone(BANGKOK).isoformat(timespec="seconds")
    except (ValueError, TypeError, OverflowError, IndexError):
        return date


def _in_zone(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)  # "-0000": UTC, of an unknown place


_PICTURE = re.compile(r"data:[\w/+.-]{1,60};base64,[A-Za-z0-9+/=\s]{1,}")
_BLOCKS = frozenset("address article blockquote br dd div dl dt footer h1 h2 h3 h4 h5 h6 header hr li ol p pre".split())
_ROWS = frozenset("section table tr ul".split())
_UNSEEN = frozenset(("script", "style", "title", "head"))


def _words_of_html(html: str) -> str:
    html = _PICTURE.sub("", html)
    if len(html) > MAX_HTML:
        raise _Unreadable(f"HTML of over {MAX_HTML:,} characters")
    words = _Words()
    words.feed(html)
    if "<" in words.rawdata:
        words.feed("-->")  # ends what was left open, which the parser would look for again at every "<"
    words.close()
    lines = (" ".join(line.split()) for line in "".join(words.text).split("\n"))
    return "\n".join(line for line in lines if line)


class _Words(HTMLParser):
    """Collects what a reader sees, and where the links go where that is not to be seen."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self._unseen: str | None = None
        self._link: str | None = None
        self._link_begins = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS or tag in _ROWS:
            self.text.append("\n")
        elif tag in _UNSEEN:
            self._unseen = self._unseen or tag
        elif tag == "body":
            self._unseen = None
        elif tag == "a":
            self._end_link()
            self._link, self._link_begins = dict(attrs).get("href"), len(self.text)
        elif tag == "td":
            self.text.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._unseen:
            self._unseen = None
        elif tag == "a":
            self._end_link()
        elif tag in _BLOCKS or tag in _ROWS:
            self.text.append("\n")

    def handle_data(self, data: str) -> None:
        if self._unseen is None:
            self.text.append(data.replace("\n", " "))

    def close(self) -> None:
        super().close()
        self._end_link()

    def _end_link(self) -> None:
        shown = "".join(self.text[self._link_begins :]) if self._link else ""
        if self._link and self._link.strip() not in shown and not self._link.startswith("#"):
            self.text.append(f" {self._link.strip()} ")
        self._link = None
