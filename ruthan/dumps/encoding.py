"""Find out how a dump is encoded, and open it so that a bad byte never stops the reading.

Real dumps come as UTF-8 with and without a byte order mark, UTF-16 and cp874 (Windows' TIS-620), and some as a mixture:
UTF-8 with a few lines in cp874 or the reverse, after files were joined.
"""

import codecs
import io
import re
from dataclasses import dataclass
from typing import BinaryIO, TextIO, cast

SAMPLE_BYTES = 1 << 20

# Stands in the text for each byte that the encoding does not allow. A lone surrogate, so that nothing that was
# decoded can be mistaken for it.
UNDECODABLE = "\udcff"
_HANDLER = "ruthan-undecodable"


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNDECODABLE * (error.end - error.start), error.end


codecs.register_error(_HANDLER, _mark)


@dataclass(frozen=True)
class Encoding:
    """A codec's name and why it was chosen, in a few words for the user."""

    name: str
    because: str


def detect_encoding(sample: bytes) -> Encoding:
    """The encoding of a dump, judged by its first bytes (`SAMPLE_BYTES` are enough).

    A byte order mark decides. Without one: UTF-16 if every other byte of many is zero or a Thai page number, UTF-8 if
    it is valid or nearly so or most of its lines beyond ASCII are, else cp874, which gives any byte run some Thai
    reading.
    """
    if sample.startswith(codecs.BOM_UTF8):
        return Encoding("utf-8-sig", "UTF-8 byte order mark")
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Encoding("utf-16", "UTF-16 byte order mark")
    for name, high in (("utf-16-le", sample[1::2]), ("utf-16-be", sample[0::2])):
        # The high bytes of Thai (U+0E00) and ASCII text in UTF-16 are 0x0E and 0x00; both are rare in other encodings.
        if len(high) >= 4 and sum(byte in (0x00, 0x0E) for byte in high) > 0.9 * len(high):
            return Encoding(name, "looks like UTF-16 without a byte order mark")
    text = codecs.getincrementaldecoder("utf-8")(_HANDLER).decode(sample)
    bad = text.count(UNDECODABLE)
    beyond_ascii = sum(character > "\x7f" for character in text) - bad
    if bad == 0:
        return Encoding("utf-8", "valid UTF-8")
    lines = [_alone(line) for line in _LINE_END.split(sample) if not line.isascii()]
    utf8, cp874 = lines.count("utf-8"), lines.count("cp874")
    # A broken byte here and there among many valid characters is damage, not another encoding.
    if utf8 > cp874 or (bad < 0.1 * beyond_ascii and not cp874):
        damaged = len(lines) - utf8 - cp874
        return Encoding("utf-8", f"UTF-8{_some(cp874, 'in cp874')}{_some(damaged, 'with damaged bytes')}")
    return Encoding("cp874", f"not UTF-8; bytes read as Thai cp874{_some(utf8, 'in UTF-8')}")


def _some(lines: int, how: str) -> str:
    return f", {lines} line{'s' * (lines > 1)} {how}" if lines else ""


_LINE_END = re.compile(rb"[\r\n]+")
_THAI_IN_UTF8 = re.compile(rb"\xe0[\xb8\xb9][\x80-\xbf]")
# A Thai consonant with another Thai letter: what cp874 makes of Latin letters with accents stands alone.
_THAI_WORD = re.compile("[\u0e01-\u0e2e][\u0e01-\u0e3a\u0e40-\u0e4e]|[\u0e40-\u0e44][\u0e01-\u0e2e]")


def _alone(line: bytes) -> str | None:
    """The one of `utf-8` and `cp874` in which a line beyond ASCII can be read for itself, if there is one."""
    try:
        line.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        pass
    if _is_damaged_utf8(line):
        return None
    try:
        return "cp874" if _THAI_WORD.search(line.decode("cp874")) else None
    except UnicodeDecodeError:
        return None


def _is_damaged_utf8(line: bytes) -> bool:
    """Whether most of a line is Thai in UTF-8, whose reading in cp874 would be gibberish in Thai letters."""
    thai = 3 * len(_THAI_IN_UTF8.findall(line))
    return thai >= 6 and 2 * thai > sum(byte >= 0x80 for byte in line)  # one such may be cp874, as in "เนปาล"


def read_ahead(binary: BinaryIO, size: int = SAMPLE_BYTES) -> tuple[bytes, BinaryIO]:
    """The first bytes of a stream, fewer than `size` only if it has no more, and a stream that begins with them again.

    A pipe gives what has been written so far, so that one look is not enough.
    """
    head = bytearray()
    while len(head) < size and (piece := binary.read(size - len(head))):
        head += piece
    if binary.seekable():
        binary.seek(-len(head), io.SEEK_CUR)
        return bytes(head), binary
    return bytes(head), cast(BinaryIO, io.BufferedReader(_Joined(bytes(head), binary), 1 << 16))


class _Joined(io.RawIOBase):
    """Bytes that were taken from a stream, and the stream after them."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = memoryview(head)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        piece = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)


def open_text(binary: BinaryIO) -> tuple[TextIO, Encoding]:
    """Wrap a binary stream as text.

    Line ends are kept as they are. Bytes that cannot be decoded become `UNDECODABLE`; a line of UTF-8 that can be read
    in cp874 only, and the reverse, is read so.
    """
    head, binary = read_ahead(binary)
    encoding = detect_encoding(head)
    if encoding.name.startswith("utf-16"):
        return io.TextIOWrapper(binary, encoding.name, errors=_HANDLER, newline=""), encoding
    return cast(TextIO, _Lines(binary, encoding.name)), encoding


class _Lines(io.TextIOBase):
    """Text whose lines are decoded one by one."""

    def __init__(self, binary: BinaryIO, encoding: str) -> None:
        self._encoding = encoding
        # Both carriers give the bytes back: UTF-8 by its escapes, and in place of cp874 Latin-1 as it has all bytes.
        carrier, errors = ("latin-1", "strict") if encoding == "cp874" else (encoding, "surrogateescape")
        self._carrier = io.TextIOWrapper(binary, carrier, errors=errors, newline="")
        self._decode = _from_cp874 if encoding == "cp874" else _from_utf8

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._carrier.close()
        super().close()

    def readline(self, size: int = -1) -> str:  # type: ignore[override]
        line = self._carrier.readline(size)
        return line if line.isascii() else self._decode(line)

    def read(self, size: int | None = -1) -> str:
        """The rest, or from one line only, at most `size` characters."""
        return "".join(self) if size is None or size < 0 else self.readline(size)


_ESCAPED = re.compile("[\udc80-\udcff]")


def _from_utf8(line: str) -> str:
    if not _ESCAPED.search(line):
        return line
    raw = line.encode("utf-8", "surrogateescape")
    return raw.decode("cp874") if _alone(raw) == "cp874" else _ESCAPED.sub(UNDECODABLE, line)


def _from_cp874(line: str) -> str:
    raw = line.encode("latin-1")
    if _THAI_IN_UTF8.search(raw) or not _is_cp874(raw):
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            pass
        if _is_damaged_utf8(raw):
            return raw.decode("utf-8", _HANDLER)
    return raw.decode("cp874", _HANDLER)


def _is_cp874(raw: bytes) -> bool:
    try:
        raw.decode("cp874")
        return True
    except UnicodeDecodeError:
        return False
