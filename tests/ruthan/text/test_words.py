import pytest

from ruthan.text.words import words


def test_thai_is_divided_into_words_and_the_rest_stays() -> None:
    assert words("สมัครงานออนไลน์ 1,500 บาท/วัน add line") == [
        "สมัครงาน",
        "ออนไลน์",
        " 1,500 ",
        "บาท",
        "/",
        "วัน",
        " add line",
    ]


def test_the_words_are_the_text(hostile: str) -> None:
    assert "".join(words(hostile[:5_000])) == hostile[:5_000]


@pytest.mark.parametrize("text", ["", " "])
def test_nothing_is_nothing(text: str) -> None:
    assert "".join(words(text)) == text
