import io
from pathlib import Path

import pytest

from ruthan.dumps.encoding import UNDECODABLE, detect_encoding, open_text

THAI = "สวัสดีครับ โอนเงินแล้ว 500 บาท\nวันนี้อากาศดี\n"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (THAI.encode(), "utf-8"),
        (THAI.encode("utf-8-sig"), "utf-8-sig"),
        (THAI.encode("utf-16"), "utf-16"),
        (THAI.encode("utf-16-le"), "utf-16-le"),
        (THAI.encode("utf-16-be"), "utf-16-be"),
        (THAI.encode("cp874"), "cp874"),
        (THAI.encode("tis-620"), "cp874"),
        ("plain English\n".encode("utf-16-le"), "utf-16-le"),
        (b"plain English\n", "utf-8"),
        (b"", "utf-8"),
        ("😀🎉".encode(), "utf-8"),
    ],
)
def test_the_encoding_is_found_and_the_text_comes_back(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / "dump"
    path.write_bytes(content)
    with io.BufferedReader(io.FileIO(path), 1 << 20) as binary:
        stream, encoding = open_text(binary)
        assert encoding.name == name
        assert encoding.because
        assert stream.read() == content.decode(name)


def test_a_character_cut_at_the_end_of_the_sample_is_no_damage() -> None:
    assert detect_encoding(THAI.encode()[:-2]).name == "utf-8"


def test_a_damaged_byte_marks_its_place_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes(THAI.encode() + b"bad \xff byte\n" + THAI.encode())
    with io.BufferedReader(io.FileIO(path), 1 << 20) as binary:
        stream, encoding = open_text(binary)
        assert encoding.name == "utf-8"
        assert stream.read() == f"{THAI}bad {UNDECODABLE} byte\n{THAI}"
