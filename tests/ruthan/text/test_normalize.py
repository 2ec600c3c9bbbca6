import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruthan.text import foreign_letters
from ruthan.text.normalize import DISGUISES, STEPS, normalize
from ruthan.text.normalized import NormalizedText, apply

# Pieces that steps look for, so that they meet each other: marks, separators, look-alikes, controls, numbers, links.
PIECES = (
    *"กขคงนมรลสอเแโไาะำํัิี่้๊็์ๆ",
    *"\u200b\u200c\u200d\u202e\u202c\u2066\ufeff\x00\xad \t\r\n\u3000ＡＢ０①𝐀🅰๑໑ກລເ\ud83d😀🔥\ufe0f\u20e3",
    *"abcouUnl0138O.:/@-_*|'%[]()",
    *("สมัคร", "โบนัส", "สล็อต", "แอดไลน์", "โuนัa", "สล๊ot", "ส.มั.ค.ร", "แ อ ด ไ ล น์", "สมั🔥คร", "rab samak", "aed line"),
    *(
        "hxxps://a[.]cc/x",
        "bit . ly / ab",
        "https//",
        "1oo'/.",
        "5,ooo",
        "พ.ศ. 2567",
        "น.ส.มาลี",
        "ดไ้",
        "ไ่ม",
        "มากกกก",
        "เเ",
    ),
)
ANY_TEXT = st.lists(st.one_of(st.sampled_from(PIECES), st.characters()), max_size=40).map("".join)


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
        ("\u202e5678-000-180\u202c ด่วน", "081-000-8765 ด่วน"),
        ("①②③ ⑩ 𝐋𝐈𝐍𝐄 🅛🅘🅝🅔 1️⃣", "123 10 LINE LINE 1"),
        ("เครดิตฟรี ເครດิต", "เครดิตฟรี เครดิต"),
        ("LІNE оtp", "LINE otp"),  # Cyrillic І and о
        ("มา่ก น้้ำ กี๋ี๋ ่ีก", "ม่าก น้ำ กี๋ ี่ก"),
        ("ไ่ม ดไ้", "ไม่ ได้"),
        ("ด่วนนนน มากกก ค่าาา ๆๆๆ", "ด่วน มาก ค่า ๆ"),
        ("โuนัa สล๊ot แจ้งรัU ไม๋ต้oง 8ลิ๊ก", "โบนัส สล็อต แจ้งรับ ไม่ต้อง คลิ๊ก"),
        ("ฟร๊ สม๊คร แอดลาย ทักไน์", "ฟรี สมัคร แอดไลน์ ทักไลน์"),
        ("แ อ ด ไ ล น์ นะ", "แอดไลน์ นะ"),
        ("ส ล็ อ ต-ฝาก 200", "สล็อต-ฝาก 200"),
        ("ส.มั.ค.ร.รั.บ.เ.ค.ร.ดิ.ต.ฟ.รี", "สมัครรับเครดิตฟรี"),
        ("โอ-น เงิ_น", "โอ-น เงิน"),
        ("สมั🔥คร โอ💰นเงิน", "สมัคร โอนเงิน"),
        ("1oo% 5,ooo บาท 18O,OOO o81-000-5678 loo'/.", "100% 5,000 บาท 180,000 081-000-5678 100%"),
        ("Rab samak ngan, aed line", "รับสมัครงาน, แอดไลน์"),
        ("hxxps://kbank[.]go-line000[.]cc/a", "https://kbank.go-line000.cc/a"),
        ("https//abc.com bit. ly / abc abc(dot)com", "https://abc.com bit.ly/abc abc.com"),
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
        "พ.ศ. 2567 น.ส.มาลี จ.ชลบุรี ต.ค. ธ.ก.ส. พล.อ. เดือนเม.ย. อ.เมือง",
        "รับ100บาท แอดLINE โปรiPhone ห้องA4 5บาท 18ล้อ 1กม. K-BANK ซีอาร์-วี",
        "ขอบคุณค่ะ🙏วันนี้ ว้าว❤ดีจัง",
        "จู่ ๆ ก็ ณ ที่ นี่ บีอาร์ วี ใหม่",
        "ภาษาລາວ สบายดี",
        "สบายดีบ่ ສະບາຍດີ привет, Ελλάδα",
        "เบอร์ 555555 โทร 02-000-1234 H2O A50 o365",
        "Please add line 3 of the form. See no. 5 . Thanks",
        "user@example.com @rab_samak www.abc.comสมัคร",
    ],
)
def test_clean_text_passes_unchanged(text: str) -> None:
    assert normalize(text).text == text
    assert normalize(text).changes == ()


@settings(max_examples=400)
@given(ANY_TEXT)
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalize(text).text
    assert normalize(once).text == once


@settings(max_examples=400)
@given(ANY_TEXT)
def test_nothing_is_changed_unless_a_change_is_reported(text: str) -> None:
    result = normalize(text)
    assert (result.text == text) == (not result.changes) or result.text == text
    touched = {at for change in result.changes for at in range(change.start, change.end)}
    kept = [at for at in range(len(text)) if at not in touched]
    mapped = {result.to_original(at, at + 1) for at in range(len(result.text))}
    for at in kept:
        assert (at, at + 1) in mapped
    for change in result.changes:
        assert 0 <= change.start < change.end <= len(text)
        assert change.step in {step.name for step in STEPS}


@settings(max_examples=400)
@given(ANY_TEXT)
def test_what_is_left_alone_maps_to_itself_and_every_span_lies_inside_the_original(text: str) -> None:
    result = normalize(text)
    touched = {at for change in result.changes for at in range(change.start, change.end)}
    for at, character in enumerate(result.text):
        start, end = result.to_original(at, at + 1)
        assert 0 <= start < end <= len(text)
        if touched.isdisjoint(range(start, end)):
            assert text[start:end] == character


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
@settings(max_examples=60)
@given(text=ANY_TEXT)
def test_a_step_that_lacks_its_triggers_finds_nothing(step: object, text: str) -> None:
    from ruthan.text.normalized import Step

    assert isinstance(step, Step)
    if step.triggers is not None and step.triggers.isdisjoint(text):
        assert apply(step, NormalizedText(text)).changes == ()


def test_a_change_says_which_characters_were_disguised_and_what_they_read() -> None:
    text = "รับ โuนัa ที่ ส.มั.ค.ร"
    found = [(change.step, text[change.start : change.end], change.result) for change in normalize(text).changes]
    assert found == [("letters_in_words", "โuนัa", "โบนัส"), ("dotted_words", "ส.มั.ค.ร", "สมัคร")]
    assert {"letters_in_words", "dotted_words"} <= DISGUISES


def test_a_kept_character_maps_to_itself() -> None:
    text = "เเอดไลน์\u200b ＠hr"
    result = normalize(text)
    start = result.text.index("hr")
    assert text[slice(*result.to_original(start, start + 2))] == "hr"


def test_a_word_taken_apart_maps_to_the_whole_of_it() -> None:
    text = "กด แ อ ด ไ ล น์ เลย"
    result = normalize(text)
    start = result.text.index("แอดไลน์")
    assert text[slice(*result.to_original(start, start + 7))] == "แ อ ด ไ ล น์"


def test_a_reversed_run_maps_to_where_it_stands() -> None:
    text = "โทร \u202e5678-000-180\u202c"
    result = normalize(text)
    start = result.text.index("081")
    assert text[slice(*result.to_original(start, start + 3))] == "180"


def test_a_span_outside_the_text_is_refused() -> None:
    with pytest.raises(ValueError, match="no span 3:9"):
        normalize("abc").to_original(3, 9)


def test_hostile_text_never_raises(hostile: str) -> None:
    normalize(hostile)


@pytest.mark.parametrize(
    "text",
    ["ก " * 20_000, "ก." * 20_000, "ก🔥" * 20_000, "กa" * 20_000, "a." * 20_000, "a . " * 20_000, "ก" * 60_000]
    + ["่ี" * 20_000, "เ" * 60_000, "\u202e" * 60_000, "\u202eก" * 20_000, "1o" * 20_000, "1," * 20_000, "h" * 60_000]
    + ["hxxp" * 20_000, "[.]" * 20_000, "กລ" * 20_000, "aА" * 20_000, "rab samak " * 6_000, "สมัค" * 10_000]
    + [
        "สม๊ค" * 10_000,
        "โuนัa" * 4_000,
        "ส.มั.ค.ร " * 5_000,
        "www." * 10_000,
        "a. " * 20_000,
        "'/." * 20_000,
        " " * 60_000,
    ],
    ids=lambda text: re.sub(r"\W", "", text[:6]) or "blank",
)
def test_no_text_stalls_the_steps(text: str) -> None:
    began = time.perf_counter()
    normalize(text)
    assert time.perf_counter() - began < 20


def test_a_text_full_of_foreign_letters_is_not_respelled_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr(foreign_letters, "_respelled", tried.append)
    normalize(
        "".join(f"{first}{letter}{last} " for first in "กขคงจฉชซ" for letter in "aosunw" for last in "ดตถทธนบปมยรลว")
    )
    assert 100 < len(tried) == len(set(tried)) <= 300
    tried.clear()
    normalize("กaข " * 5_000)
    assert len(tried) == 1
