"""Find out how a dump is encoded, and open it so that a bad byte never stops the reading.

Real dumps come as UTF-8 with and without a byte order mark, UTF-16 and cp874 (Windows' TIS-620).
"""

import codecs
import io
from dataclasses import dataclass
from typing import TextIO

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
    it is valid or nearly so, else cp874, which gives any byte run some Thai reading.
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
    # A broken byte here and there among many valid characters is damage, not another encoding.
    if bad < 0.1 * beyond_ascii:
        return Encoding("utf-8", f"UTF-8 with {bad} damaged bytes")
    return Encoding("cp874", "not UTF-8; bytes read as Thai cp874")


def open_text(binary: "io.BufferedReader[io.FileIO]") -> tuple[TextIO, Encoding]:
    """Wrap a binary stream, buffered for at least `SAMPLE_BYTES`, as text.

    Line ends are kept as they are. Bytes that cannot be decoded become `UNDECODABLE`.
    """
    encoding = detect_encoding(binary.peek(SAMPLE_BYTES))
    return io.TextIOWrapper(binary, encoding.name, errors=_HANDLER, newline=""), encoding
