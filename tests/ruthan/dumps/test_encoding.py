import io
import os
import threading
from pathlib import Path

import pytest

from ruthan.dumps.encoding import SAMPLE_BYTES, UNDECODABLE, detect_encoding, open_text, read_ahead

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


def read(content: bytes) -> tuple[list[str], str]:
    """The lines of a dump, and why its encoding was taken."""
    stream, encoding = open_text(io.BytesIO(content))
    return [line.rstrip("\n") for line in stream], encoding.because


LINES = ["สวัสดีครับ โอนเงินแล้ว", "วันนี้อากาศดี", "plain English", "กดลิงก์ https://example.com/a 😀", "café", "เนปาล"]


def test_some_lines_in_cp874_among_utf_8_are_read_in_cp874() -> None:
    content = "\n".join(LINES * 5).encode()
    odd = ["โอนเงินด่วน 500 บาท", "เนปาล", "รับสมัคร"]
    lines, because = read(content + b"\n" + "\n".join(odd).encode("cp874"))
    assert lines == [*LINES * 5, *odd]
    assert because == "UTF-8, 3 lines in cp874"


def test_some_lines_in_utf_8_among_cp874_are_read_in_utf_8() -> None:
    usual = ["โอนเงินด่วน 500 บาท", "เนปาล เธอ", "plain", "รับสมัครแอดมิน"]
    odd = ["สวัสดีครับ", "😀"]
    lines, because = read("\n".join(usual * 5).encode("cp874") + b"\n" + "\n".join(odd).encode())
    assert lines == [*usual * 5, *odd]
    assert because == "not UTF-8; bytes read as Thai cp874, 2 lines in UTF-8"


def test_damage_is_not_taken_for_another_encoding() -> None:
    damaged = ["สวัสดี".encode()[:-1], b"caf\xe9 au lait", "โอน".encode() + b"\xff", b"na\xefve r\xe9sum\xe9"]
    lines, because = read(b"\n".join([*(THAI * 3).encode().split(b"\n"), *damaged]))
    assert [UNDECODABLE in line for line in lines[-4:]] == [True] * 4
    assert because == "UTF-8, 4 lines with damaged bytes"
    lines, _ = read((THAI * 9).encode("cp874") + "ก็ไปเที่ยวด้วยกันไหม".encode()[:-1])
    assert UNDECODABLE in lines[-1]


def test_a_cut_line_is_given_in_pieces_that_make_up_the_whole() -> None:
    stream, _ = open_text(io.BytesIO((THAI * 2).encode()))
    pieces = []
    while piece := stream.read(7):
        pieces.append(piece)
    assert "".join(pieces) == THAI * 2
    assert max(map(len, pieces)) <= 7


def test_the_encoding_of_a_pipe_is_judged_by_more_than_its_first_piece() -> None:
    reading, writing = os.pipe()

    def write() -> None:
        os.write(writing, b"date,text\n")
        for _ in range(40):
            os.write(writing, "1,โอนเงินแล้วครับ\n".encode("cp874"))
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reading, "rb") as pipe:
        stream, encoding = open_text(pipe)
        text = stream.read()
        stream.close()
    writer.join()
    assert encoding.name == "cp874"
    assert text == "date,text\n" + "1,โอนเงินแล้วครับ\n" * 40


@pytest.mark.parametrize("size", [0, 10, SAMPLE_BYTES, SAMPLE_BYTES + 5])
def test_reading_ahead_loses_nothing(size: int) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    content = bytes(index % 251 for index in range(size))
    for stream in (io.BytesIO(content), Pipe(content)):
        head, again = read_ahead(stream)
        assert head == content[:SAMPLE_BYTES]
        assert again.read() == content


def test_short_texts_are_read_right() -> None:
    for text in ("ด่วน", "โอนเงิน", "สวัสดีครับ", "OTP 1234 ห้ามบอก", "รหัส"):
        for encoding, name in (
            ("utf-8", "utf-8"),
            ("cp874", "cp874"),
            ("utf-16-le", "utf-16-le"),
            ("utf-16", "utf-16"),
        ):
            assert detect_encoding(text.encode(encoding)).name == name
