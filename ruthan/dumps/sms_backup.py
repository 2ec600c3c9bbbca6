"""Android's "SMS Backup & Restore": XML with an element for each message, read as a stream.

The app writes what strict parsers refuse (emoji as two surrogate references, control characters) and pictures of any
size as base64, so the text passes through a filter first, which lets through nothing but tags, without pictures.
"""

import codecs
import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from ruthan.dumps.dates import from_epoch
from ruthan.dumps.encoding import UNDECODABLE, detect_encoding
from ruthan.dumps.lines import MAX_LINE
from ruthan.dumps.rows import NOT_IN_ENCODING, Notice, Row, Unreadable
from ruthan.errors import DumpError
from ruthan.message import Message, Source

CHUNK = 1 << 16  # bytes
MAX_DEPTH = 16  # of elements; a backup has 4
MAX_TAG = 4 * MAX_LINE  # characters of one tag without its pictures
MAX_PARTS = 1_000  # of one MMS

# Stand in attributes for what could not be kept. Noncharacters, which no text holds and the parser accepts.
_NOT_DECODED = "\ufdd0"
_CUT = "\ufdd1"

_ROOTS = ("smses", "calls")
_RECEIVED = "1"  # `type` of an SMS and `msg_box` of an MMS; others are drafts or go out
_FROM = "137"  # `type` of an address of an MMS


def read_sms_backup(stream: BinaryIO, file: str) -> Iterator[Row]:
    """One row for each SMS, MMS and call of a backup, numbered from 1. What was sent has no sender.

    :raises DumpError: it is no such XML at all, or it has a document type, which could hold a bomb.
    """
    backup = _Backup(file)
    parser = DefusedXMLParser(target=backup, forbid_dtd=True)
    fault = None
    try:
        for tags in _tags(stream):
            parser.feed(tags)
            yield from backup.rows()
        parser.close()
    except DefusedXmlException:
        raise DumpError(f"{file}: the XML has a document type (DTD), which no SMS backup has; it is not read") from None
    except _TooMuch as error:
        fault = str(error)
    except (ParseError, ValueError) as error:  # ValueError: an encoding in the XML that is none
        code = getattr(error, "code", None)
        broken = code in (None, 3, 5)  # expat's "no element found" and "unclosed token"
        fault = "the file ends in the middle of the backup" if broken else "the XML is broken from here on"
    yield from backup.rows()
    if fault and not backup.opened:
        raise DumpError(f"{file}: no SMS backup: {fault}")
    if fault:
        yield Unreadable(Source(file, backup.entries + 1), fault)


class _TooMuch(Exception):
    pass


class _Backup:
    """Makes rows of the elements as the parser meets them."""

    def __init__(self, file: str) -> None:
        self.opened = False
        self.entries = 0
        self._file = file
        self._depth = 0
        self._ready: list[Row] = []
        self._entry: Mapping[str, str] = {}
        self._parts: list[Mapping[str, str]] = []
        self._senders: list[str] = []

    def rows(self) -> list[Row]:
        """What is complete since the last call."""
        rows, self._ready = self._ready, []
        return rows

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.opened = True
        self._depth += 1
        if self._depth == 1 and tag not in _ROOTS:
            raise DumpError(f"{self._file}: an XML file, but no SMS backup: its outermost element is not <smses>")
        if self._depth > MAX_DEPTH:
            raise _TooMuch("its elements are too deeply nested")
        if self._depth == 2:
            self._entry, self._parts, self._senders = attributes, [], []
        elif tag == "part" and len(self._parts) < MAX_PARTS:
            self._parts.append(attributes)
        elif tag == "addr" and attributes.get("type") == _FROM and len(self._senders) < MAX_PARTS:
            self._senders.append(attributes.get("address", ""))

    def end(self, tag: str) -> None:
        self._depth -= 1
        if self._depth == 1:
            self.entries += 1
            self._ready.append(self._row(tag, Source(self._file, self.entries)))

    def close(self) -> None:
        pass

    def _row(self, tag: str, source: Source) -> Row:
        if tag == "call":
            return Notice(source, "call")
        if tag == "sms":
            subject, words, nothing = "subject", [_value(self._entry, "body")], "empty"
        elif tag == "mms":
            texts = [part for part in self._parts if part.get("ct", "").startswith("text/plain")]
            subject, words, nothing = "sub", [_value(part, "text") for part in texts], _kind(self._parts)
        else:
            return Unreadable(source, "an entry of an unknown kind")
        title = _value(self._entry, subject)
        if title and title.startswith("proto:"):  # a mark of chat messages (RCS), no words
            title = None
        text = "\n".join(each for each in (title, *words) if each)
        if not text:
            return Notice(source, nothing)
        if _NOT_DECODED in text:
            return Unreadable(source, NOT_IN_ENCODING)
        if _CUT in text:
            return Unreadable(source, f"a text of over {MAX_LINE:,} characters")
        thread = _value(self._entry, "address")
        sender = None
        if self._entry.get("type" if tag == "sms" else "msg_box", _RECEIVED) == _RECEIVED:
            sender = next((each for each in self._senders if each and "insert-address" not in each), thread)
        sent_at = _time(self._entry.get("date", ""))
        return Message(text, channel="sms", sender=sender, sent_at=sent_at, thread=thread, source=source)


def _value(attributes: Mapping[str, str], name: str) -> str | None:
    value = attributes.get(name)
    return None if value == "null" else value or None


def _time(milliseconds: str) -> str | None:
    return from_epoch(int(milliseconds) / 1000) if re.fullmatch(r"[0-9]{1,15}", milliseconds) else None


def _kind(parts: list[Mapping[str, str]]) -> str:
    """What an MMS without words holds."""
    kinds = {"image": "photo", "video": "video", "audio": "voice", "application": "file", "text": "file"}
    types = [part.get("ct", "") for part in parts]
    return next((kinds.get(each.split("/")[0], "file") for each in types if each != "application/smil"), "empty")


def _tags(stream: BinaryIO) -> Iterator[str]:
    """The tags of an XML stream in pieces, without comments, without what stands between the tags, and without the
    values of `data`; the values of other attributes made such that no parser stumbles over them.
    """
    tokens = _Filter()
    head = stream.read(CHUNK)
    decoder = codecs.getincrementaldecoder(detect_encoding(head).name)("ruthan-undecodable")
    while head:
        yield tokens.feed(decoder.decode(head))
        head = stream.read(CHUNK)


class _Filter:
    """A machine that knows where in the XML it stands, so that pieces may be cut anywhere."""

    def __init__(self) -> None:
        self._state = self._between
        self._rest = ""  # not yet looked at, a few characters
        self._out: list[str] = []
        self._tag = ""  # the last characters of the tag so far, in which an attribute's name stands
        self._size = 0  # of the tag
        self._quote = ""
        self._until = ""
        self._value: list[str] = []
        self._value_size = 0

    def feed(self, text: str) -> str:
        """What passes of this piece.

        :raises _TooMuch: a tag is too long to be one.
        """
        text, position = self._rest + text, 0
        self._rest = ""
        while position < len(text):
            position = self._state(text, position)
        out = "".join(self._out)
        self._out.clear()
        return out

    def _between(self, text: str, position: int) -> int:
        start = text.find("<", position)
        if start < 0:
            return len(text)
        if len(text) < start + 4 and ">" not in text[start:]:  # it may become "<!--"
            self._rest = text[start:]
            return len(text)
        for opening, closing in (("<!--", "-->"), ("<?", "?>"), ("<![CDATA[", "]]>")):
            if text.startswith(opening, start):
                self._state, self._until = self._skip, closing
                return start + len(opening)
        self._state, self._tag, self._size = self._in_tag, "", 0
        self._out.append("<")
        return start + 1

    def _skip(self, text: str, position: int) -> int:
        end = text.find(self._until, position)
        if end >= 0:
            self._state = self._between
            return end + len(self._until)
        self._rest = text[max(position, len(text) - len(self._until) + 1) :]
        return len(text)

    def _in_tag(self, text: str, position: int) -> int:
        found = _TAG_END.search(text, position)
        end = found.start() if found else len(text)
        self._emit(_clean_tag(text[position:end]))
        self._tag = (self._tag + text[position:end])[-64:]
        if not found:
            return end
        if found[0] == ">":
            self._out.append(">")
            self._state = self._between
        else:
            self._quote, self._value_size = found[0], 0
            self._state = self._dropped if _ATTRIBUTE_DATA.search(self._tag) else self._kept
            self._out.append(self._quote)
        return end + 1

    def _dropped(self, text: str, position: int) -> int:
        end = text.find(self._quote, position)
        return len(text) if end < 0 else self._end_value(end)

    def _kept(self, text: str, position: int) -> int:
        end = text.find(self._quote, position)
        piece = text[position : len(text) if end < 0 else end]
        if self._value_size < MAX_LINE:
            self._value.append(piece)
        self._value_size += len(piece)
        if end < 0:
            return len(text)
        self._emit(_clean_value("".join(self._value)) if self._value_size <= MAX_LINE else _CUT)
        self._value.clear()
        return self._end_value(end)

    def _end_value(self, end: int) -> int:
        self._out.append(self._quote)
        self._state, self._tag = self._in_tag, ""
        return end + 1

    def _emit(self, text: str) -> None:
        self._size += len(text)
        if self._size > MAX_TAG:
            raise _TooMuch(f"a tag of over {MAX_TAG:,} characters")
        self._out.append(text)


_TAG_END = re.compile("[\"'>]")
_ATTRIBUTE_DATA = re.compile(r"\sdata\s{0,9}=\s{0,9}\Z")
# References, also several in a row; an ampersand that begins none; "<"; and
# breaks, which a parser would make blanks of.
_SPECIAL = re.compile(r"(?:&#(?:x[0-9A-Fa-f]{1,8}|[0-9]{1,10});)+|&(?!(?:amp|lt|gt|quot|apos);)|<|\r\n|[\r\n\t]")
_REFERENCE = re.compile(r"&#(?:x([0-9A-Fa-f]+)|([0-9]+));")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_FORBIDDEN_OR_NOT_DECODED = {UNDECODABLE: _NOT_DECODED}


def _clean_tag(text: str) -> str:
    return _FORBIDDEN.sub("", text)


def _clean_value(value: str) -> str:
    value = _FORBIDDEN.sub(lambda found: _FORBIDDEN_OR_NOT_DECODED.get(found[0], ""), value)
    return _SPECIAL.sub(_special, value)


_SPECIAL_AS = {"<": "&lt;", "&": "&amp;", "\r\n": "&#10;", "\r": "&#10;", "\n": "&#10;", "\t": "&#9;"}


def _special(found: re.Match[str]) -> str:
    if found[0] in _SPECIAL_AS:
        return _SPECIAL_AS[found[0]]
    codes = [int(each[1], 16) if each[1] else int(each[2]) for each in _REFERENCE.finditer(found[0])]
    # UTF-16 joins the halves of a pair; a half that stands alone is dropped.
    text = "".join(chr(code) for code in codes if code <= 0x10FFFF)
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return "".join(f"&#{ord(character)};" for character in _FORBIDDEN.sub("", text))
