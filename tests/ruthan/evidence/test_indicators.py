import time

import pytest

from ruthan.evidence.indicators import find_indicators
from ruthan.text import normalize
from ruthan.verdict import Evidence


def found(text: str) -> list[tuple[str, str, str]]:
    return [(each.type, each.value, each.text) for each in _indicators(text)]


def _indicators(text: str) -> tuple[Evidence, ...]:
    return find_indicators(normalize(text), text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("กดที่https://bit.ly/3abCDเลย", [("url", "https://bit.ly/3abCD", "https://bit.ly/3abCD")]),
        ("ดู Example-Line.go123.CC/x.", [("url", "http://example-line.go123.cc/x", "Example-Line.go123.CC/x")]),
        ("โทร 081-234-5678 ค่ะ", [("phone", "+66812345678", "081-234-5678")]),
        ("โทร.0812345678", [("phone", "+66812345678", "0812345678")]),
        ("Tel.02-123-4567", [("phone", "+6621234567", "02-123-4567")]),
        ("https://X.com?Ref=AbC", [("url", "https://x.com?Ref=AbC", "https://X.com?Ref=AbC")]),
        ("สั่งผ่าน LINE MAN จ่ายด้วย LINE Pay อ่านใน LINE TODAY", []),
        ("ทักไลน์ mayy.99 ได้เลย", [("line_id", "mayy.99", "mayy.99")]),
        ("โทร ๐๘๑ ๒๓๔ ๕๖๗๘", [("phone", "+66812345678", "๐๘๑ ๒๓๔ ๕๖๗๘")]),
        ("+66 81 234 5678", [("phone", "+66812345678", "+66 81 234 5678")]),
        ("สำนักงาน 02-123-4567", [("phone", "+6621234567", "02-123-4567")]),
        ("แอดไลน์ : ＠HR-poipet", [("line_id", "@hr-poipet", "＠HR-poipet")]),
        ("ไลน์ไอดี somchai.99 นะ", [("line_id", "somchai.99", "somchai.99")]),
        ("LINE ID: easy_loan", [("line_id", "easy_loan", "easy_loan")]),
        ("ทัก @shop2you ได้เลย", [("line_id", "@shop2you", "@shop2you")]),
        ("โอน 10,000.50 บาท วันที่ 05.11.2569", []),
        ("เลขพัสดุ 1234567890123", []),
        ("บัญชี 123-4-56789-0", []),
        ("ส่งที่ someone@example.com", []),
        ("ราคา 3.5 ล้าน อ.เมือง จ.ตาก", []),
    ],
)
def test_identifiers_are_found_and_numbers_left_alone(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert found(text) == expected


def test_offsets_slice_the_original_to_what_is_reported(hostile: str) -> None:
    text = f"{hostile} เเอดไลน์\u200b ＠hr-poipet หรือ ๐๘๑๒๓๔๕๖๗๘ www.example.com/ก"
    indicators = _indicators(text)
    assert {each.value for each in indicators} >= {"@hr-poipet", "+66812345678"}
    for each in indicators:
        assert text[each.start : each.end] == each.text


@pytest.mark.parametrize(
    "text",
    ["a." * 50_000, "0 " * 50_000, "@" * 100_000, "line" * 25_000, "https://" * 12_500, "a-" * 50_000, "08-1" * 25_000]
    + ["ไลน์ " * 20_000, "www." * 25_000, "a.me " * 20_000, "+66" * 33_000],
    ids=lambda text: text[:8],
)
def test_no_text_stalls_the_search(text: str) -> None:
    began = time.process_time()
    _indicators(text)
    assert time.process_time() - began < 5  # a pattern that backtracks would take hours; this is no speed figure
