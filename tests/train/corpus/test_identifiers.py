import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.corpus.identifiers import revive_numbers, slotted, written_identifiers
from train.slots import slot_errors


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("โทร 081-234-5678", "phone number"),
        ("โทร ๐๘๑๒๓๔๕๖๗๘", "phone number"),
        ("กด https://bit.ly/abc", "link"),
        ("ดู ruamjai-loan.cc/x", "link"),
        ("แอดไลน์ joy.2020", "LINE id"),
        ("ทัก @nongmai99", "LINE id"),
        ("เมล somchai.k@gmail.com", "e-mail address"),
        ("โอนเข้า 123-4-56789-0", "long number"),
        ("เลขบัตร 1 1037 02071 81 1", "long number"),
        ("โทร 1999 ด่วน", "hotline"),
        ("บช.1234567890", "long number"),
        ("เลขที่ 123\u20114\u201156789\u20110", "long number"),
        ("โทร (081) 234\u20135678", "long number"),
        ("123 - 4 - 56789 - 0", "long number"),
        ("somchai＠gmail.com", "e-mail address"),
        ("https://facebook.com/somchai.jaidee", "link"),
        ("line.me/ti/p/~somchai", "LINE id"),
    ],
)
def test_an_identifier_that_stands_written_out_is_found(text: str, kind: str) -> None:
    assert [found for found, _ in written_identifiers(text)] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "โทร {phone} หรือ {official:KBANK}",
        "สายด่วน 1441 แจ้งความ โทร 191",
        "ดู kasikornbank.com หรือ https://www.kasikornbank.com/promo",
        "ทักเพจใน facebook.com",
        "ยอด 1,234,567.89 บาท วันที่ 12/11/2568 เวลา 10.30",
        "ID rov ของกู",
        "กด *777*1234# เน็ต 30 วัน 199 บ.",
    ],
)
def test_slots_hotlines_official_domains_and_sums_may_stand(text: str) -> None:
    assert list(written_identifiers(text)) == []


def test_identifiers_become_slots_and_the_rest_stays() -> None:
    text, count = slotted("แอดไลน์ joy.2020 โทร 081-234-5678 {ref} หรือ https://a-b.cc/x, a@b.co {x} 1441")
    assert text == "แอดไลน์ {lineid} โทร {phone} {ref} หรือ {link}, {link} (x) 1441"
    assert count == 4
    assert slot_errors(text) == []
    assert list(written_identifiers(text)) == []


PIECES = st.sampled_from(
    [
        "โทร ",
        "081-234-5678",
        "1234567890123",
        "a@b.com",
        "@shop99",
        "https://a-b.cc/x",
        " ",
        "ก",
        "{phone}",
        "0",
        "-",
        "ไลน์ ",
    ]
)


@given(st.lists(PIECES, max_size=8).map("".join))
def test_what_slots_cannot_replace_is_still_seen(text: str) -> None:
    replaced, _ = slotted(text)
    again, _ = slotted(replaced)
    for _, written in written_identifiers(again):
        assert written in again  # `add` refuses such a text and says which kind it is
    assert slot_errors(replaced) == []


def test_masked_numbers_come_back_to_life_with_their_shape() -> None:
    seen = set()
    for seed in range(50):
        revived = revive_numbers("โทร 000-000-1234 เลขพัสดุ 0001234567890 รหัส 000123", Random(seed))
        match = re.fullmatch(r"โทร (\d{3}-\d{3}-\d{4}) เลขพัสดุ (\d{13}) รหัส 000123", revived)
        assert match
        seen.add(match[1])
    assert len(seen) == 50
    assert sum(bool(re.match("0[689]", number)) for number in seen) > 10
