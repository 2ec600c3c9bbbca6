import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruthan.masking import mask
from ruthan.scanner import Scanner


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("โทร 081-234-5678", "โทร 081-xxx-x678"),
        ("บัตรประชาชน 1-1000-00000-12-1", "บัตรประชาชน 1-xxxx-xxxxx-xx-1"),
        ("บัญชีกสิกร 123-4-56789-0", "บัญชีกสิกร xxx-x-x6789-x"),
        ("แอดไลน์ somchai99", "แอดไลน์ soxxxxxxx"),
        ("เมล somchai@example.com", "เมล sxxxxxx@example.com"),
        ("คุณสมชาย ใจดี มาแล้ว", "คุณxxxxx xxxx มาแล้ว"),
        ("นางสาวมาลี ดอกไม้", "นางสาวxxxx xxxxxx"),
        ("น.ส.กอไก่ ขอไข่ โอนแล้ว", "น.ส.xxxxx xxxxx โอนแล้ว"),
        ("Mr. David Smith called", "Mr. xxxxx xxxxx called"),
        ("กด https://a.cc/abc?x=1", "กด https://a.cc/xxx?x=x"),
    ],
)
def test_what_identifies_people_is_hidden(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "โทรสายด่วน 1441 หรือ 1300",
        "โอน 5,000 บาท กด *900*1#",
        "นายจ้างจ่ายค่าแรง นายหน้าหักเงิน คุณได้รับสิทธิ์ คุณภาพดี นางแบบ",
        "https://www.kasikornbank.com/th/personal",
        "ประชุมพรุ่งนี้เก้าโมง",
        "",
    ],
)
def test_what_is_public_or_no_identifier_stays(text: str) -> None:
    assert mask(text) == text


@given(st.text(max_size=80))
def test_a_masked_text_is_as_long_as_before(text: str) -> None:
    assert len(mask(text)) == len(text)


def test_masking_twice_hides_nothing_more() -> None:
    once = mask("โทร 081-234-5678 คุณสมชาย ใจดี บัญชีกสิกร 123-4-56789-0")
    assert mask(once) == once


def test_hostile_text_is_no_trouble(hostile: str) -> None:
    assert len(mask(hostile)) == len(hostile)


@pytest.mark.parametrize(
    ("link", "named"),
    [
        ("line.me/ti/p/~somchai99", "somchai99"),
        ("https://wa.me/66810005678", "810005678"),
        ("t.me/somchai_99", "somchai_99"),
        ("facebook.com/somchai.jai", "somchai.jai"),
    ],
)
def test_an_id_that_a_link_holds_is_masked_in_the_evidence_too(link: str, named: str) -> None:
    verdict = Scanner(mask=True).scan(f"ทักมาที่ {link}")
    assert named not in repr(verdict)
