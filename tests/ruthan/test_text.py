import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruthan.text import normalize

THAI_TEXT = st.text(
    alphabet=st.one_of(
        st.characters(min_codepoint=0x0E00, max_codepoint=0x0E7F),
        st.sampled_from("\u200b\u200c\u200d\u202e\ufeff\x00 \t\r\n\u3000ＡＢ０１๑໑abc12.:/@\ud83d😀"),
    ),
    max_size=60,
)


@pytest.mark.parametrize(
    ("disguised", "plain"),
    [
        ("เเจ้งเตือน", "แจ้งเตือน"),
        ("นํ้าท่วม", "น้ำท่วม"),
        ("น้ํา", "น้ำ"),
        ("ทํางาน", "ทำงาน"),
        ("โอ\u200bน\u2060เ\ufeffงิน", "โอนเงิน"),
        ("แอ\u200cดไลน์", "แอดไลน์"),
        ("โทร ๐๘๑", "โทร 081"),
        ("ໂທ ໑໒໓", "ໂທ 123"),
        ("＠ＨＲ：１", "@HR:1"),
        ("ก\t\tข\xa0ค", "ก ข ค"),
        ("ก\r\nข\rค\u2028ง", "ก\nข\nค\nง"),
        ("a\x00b\x1bc", "abc"),
        ("\ud83d", "\ufffd"),
    ],
)
def test_a_disguise_is_undone(disguised: str, plain: str) -> None:
    assert normalize(disguised).text == plain


@pytest.mark.parametrize(
    "text",
    [
        "โอนเงิน 500 บาท ทำรายการสำเร็จ",
        "ประชุม 9.00 น. https://example.com/a?b=1",
        "👨\u200d👩\u200d👧 ครอบครัว",
        "က\u200cာ",  # Burmese may write a joiner between letters
        "hello\nworld",
        "",
    ],
)
def test_clean_text_passes_unchanged(text: str) -> None:
    assert normalize(text).text == text


@given(THAI_TEXT)
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalize(text).text
    assert normalize(once).text == once


@given(THAI_TEXT)
def test_every_span_maps_back_inside_the_original_and_in_order(text: str) -> None:
    result = normalize(text)
    assert len(result.offsets) == len(result.text) + 1
    assert result.offsets[-1] == len(text)
    assert result.offsets == sorted(result.offsets)
    for index in range(len(result.text)):
        start, end = result.to_original(index, index + 1)
        assert 0 <= start <= end <= len(text)


def test_a_kept_character_maps_to_itself() -> None:
    text = "เเอดไลน์\u200b ＠hr"
    result = normalize(text)
    start = result.text.index("hr")
    assert text[slice(*result.to_original(start, start + 2))] == "hr"


def test_a_span_outside_the_text_is_refused() -> None:
    with pytest.raises(ValueError, match="no span 3:9"):
        normalize("abc").to_original(3, 9)


def test_hostile_text_never_raises(hostile: str) -> None:
    normalize(hostile)
