import doctest
import random
import time

import pytest

from ruthan.batch import near_duplicates
from ruthan.batch.near_duplicates import (
    BANDS,
    group_near_duplicates,
    near_duplicate_keys,
    template,
    template_id,
    template_id_and_keys,
)
from ruthan.masking import mask
from ruthan.text.normalize import normalize

LOAN = (
    "สินเชื่อด่วนอนุมัติไวภายในสิบนาที ไม่เช็คบูโร ไม่ต้องมีคนค้ำ วงเงินสูงสุด 50,000 บาท "
    "สนใจแอดไลน์ @loan001 หรือกด https://loan.example.com/a1"
)
TEMPLATE = "3fa0f2709f02bd5e"
KEYS = ["aee25a1a95252e95", "b3e39fe1b265ab35", "6450304b564f3bcc"]
HOSTILE = {
    "empty": "",
    "blank": " \n\t",
    "half emoji": "\ud83d" * 40,
    "null": "\0" * 50,
    "endless": "ก" * 50_000,
    "endless latin": "a" * 50_000,
    "dots": "a." * 25_000,
    "numbers apart": "1 " * 25_000,
    "at signs": "a@" * 25_000,
    "marks alone": "\u0e48" * 1_000,
    "links": "https://" * 6_000,
    "hidden": "x-" * 25_000,
}


def test_examples_of_the_module_hold():
    assert doctest.testmod(near_duplicates).failed == 0


def test_copies_that_differ_in_numbers_links_and_ids_have_one_template():
    other = (
        LOAN.replace("50,000", "120,000")
        .replace("@loan001", "@easycash")
        .replace("loan.example.com/a1", "x.example.org")
    )
    assert template_id(other) == template_id(LOAN)
    assert near_duplicate_keys(other).tolist() == near_duplicate_keys(LOAN).tolist()


def test_an_id_without_a_digit_is_left_out_behind_its_cue():
    one, other = (f"สมัครงานรายได้ดีทำที่บ้านได้ แอดไลน์ {name} ด่วน" for name in ("somchai", "malee"))
    assert template_id(one) == template_id(other)


def test_phone_numbers_written_in_other_ways_make_no_difference():
    text = "รับสมัครพนักงานแพ็คสินค้า รายได้ดี โทร {} ได้ตลอดเวลา"
    written = ("081-000-5678", "0810005678", "081 000 5678", "+66 81 000 5678")
    assert len({template_id(text.format(number)) for number in written}) == 1


def test_different_texts_have_different_templates():
    assert template_id(LOAN) != template_id("พัสดุของคุณถูกตีกลับ กรุณายืนยันที่อยู่ที่ https://post.example.com/1")


def test_texts_with_hardly_a_word_keep_what_else_they_hold():
    assert template_id("https://a.example.com/1") != template_id("https://b.example.com/1")
    assert template_id("โทร 0810005678") != template_id("โทร 0810005679")
    assert len(near_duplicate_keys("โทร 0810005678")) == 0


def test_normalised_text_may_be_given():
    assert template_id(normalize(LOAN)) == template_id(LOAN)
    name, keys = template_id_and_keys(normalize(LOAN))
    assert name == template_id(LOAN)
    assert keys.tolist() == near_duplicate_keys(LOAN).tolist()


def test_a_masked_copy_is_a_near_duplicate():
    assert group_near_duplicates([LOAN, mask(LOAN)]) == [0, 0]


def test_keys_never_change():
    # They stand in files that earlier versions wrote.
    assert template_id(LOAN) == TEMPLATE
    assert [f"{key:016x}" for key in near_duplicate_keys(LOAN).tolist()[:3]] == KEYS
    assert len(near_duplicate_keys(LOAN)) == BANDS


def test_a_changed_word_leaves_a_near_duplicate():
    copies = [LOAN, LOAN.replace("สิบนาที", "หนึ่งชั่วโมง"), "ด่วนๆ!! " + LOAN.replace(" ", "  "), LOAN.upper()]
    assert group_near_duplicates(copies) == [0, 0, 0, 0]


def test_groups_do_not_hang_on_the_order_of_texts():
    words = [f"คำที่{chr(0x0E01 + number)}{chr(0x0E01 + number * 7 % 40)}ยาวพอ" for number in range(40)]
    source = random.Random(1)
    texts = []
    for _ in range(12):
        base = [source.choice(words) for _ in range(14)]
        for _ in range(4):
            texts.append("".join(base))
            base[source.randrange(14)] = source.choice(words)
    texts = list(dict.fromkeys(texts))

    def groups(order: list[str]) -> set[frozenset[str]]:
        by_group: dict[int, set[str]] = {}
        for text, group in zip(order, group_near_duplicates(order), strict=True):
            by_group.setdefault(group, set()).add(text)
        return {frozenset(group) for group in by_group.values()}

    expected = groups(texts)
    assert 5 < len(expected) < len(texts)
    for _ in range(5):
        source.shuffle(texts)
        assert groups(texts) == expected


def test_the_first_text_names_the_group():
    assert group_near_duplicates(["สวัสดีตอนเช้าครับทุกคน", LOAN, "ไปกินข้าวกันไหม", LOAN + "!"]) == [0, 1, 2, 1]
    assert group_near_duplicates([]) == []


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_take_no_long_time(text):
    begun = time.process_time()
    assert len(template_id(text)) == 16
    assert isinstance(template(text), str)
    assert len(near_duplicate_keys(text)) in (0, BANDS)
    assert time.process_time() - begun < 5
