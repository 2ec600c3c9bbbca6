import time

import pytest

from ruthan.evidence.accounts import citizen_checksum_fits, qr_checksum_fits
from ruthan.evidence.indicators import find_indicators
from ruthan.evidence.links import lookalike_of
from ruthan.evidence.payments import ethereum_checksum_fits
from ruthan.text.normalize import normalize
from ruthan.verdict import Evidence

QR = "00020101021129370016A000000677010111011300668123456785802TH53037646304"


def found(text: str) -> list[tuple[str, str, str]]:
    return [(each.type, each.value, each.text) for each in _indicators(text) if each.type != "money"]


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
        ("โทรมาจาก +697 1234 5678", [("phone", "+69712345678", "+697 1234 5678")]),
        ("+855 12 345 678", [("phone", "+85512345678", "+855 12 345 678")]),
        ("สำนักงาน 02-123-4567", [("phone", "+6621234567", "02-123-4567")]),
        ("โทรสายด่วน 1441", [("hotline", "1441", "1441")]),
        ("จ่าย 1441 บาท", []),
        ("โทรฟรี 100 ชั่วโมง", []),
        ("สูงสุด 600*24 พ.ย.", []),
        ("กด *137 โทรออก", [("ussd", "*137", "*137")]),
        ("แอดไลน์ : ＠HR-poipet", [("line_id", "@hr-poipet", "＠HR-poipet")]),
        ("ไลน์ไอดี somchai.99 นะ", [("line_id", "somchai.99", "somchai.99")]),
        ("LINE ID: easy_loan", [("line_id", "easy_loan", "easy_loan")]),
        ("ทัก @shop2you ได้เลย", [("line_id", "@shop2you", "@shop2you")]),
        ("ใช้จ่าย 120บ@CENTRAL RAMA2", []),
        ("line.me/ti/p/~somchai99", [("line_id", "somchai99", "line.me/ti/p/~somchai99")]),
        ("https://line.me/R/ti/p/%40easyloan", [("line_id", "@easyloan", "https://line.me/R/ti/p/%40easyloan")]),
        ("lin.ee/AbC12", [("line_id", "lin.ee/AbC12", "lin.ee/AbC12")]),
        ("t.me/jobs_th", [("telegram", "jobs_th", "t.me/jobs_th")]),
        ("เทเลแกรม @work_th", [("telegram", "work_th", "@work_th")]),
        ("wa.me/66812345678", [("whatsapp", "+66812345678", "wa.me/66812345678")]),
        ("m.me/somepage", [("facebook", "somepage", "m.me/somepage")]),
        ("ส่งที่ Someone@example.com", [("email", "someone@example.com", "Someone@example.com")]),
        ("โอนเข้า กสิกร 123-4-56789-0", [("bank_account", "1234567890", "123-4-56789-0")]),
        ("เลขบัญชี 081-2-34567-8", [("bank_account", "0812345678", "081-2-34567-8")]),
        (
            "เข้า กสิกร 123-4-56789-0 โทร 081-234-5678 หรือ 0898765432",
            [
                ("bank_account", "1234567890", "123-4-56789-0"),
                ("phone", "+66812345678", "081-234-5678"),
                ("phone", "+66898765432", "0898765432"),
            ],
        ),
        ("พร้อมเพย์ 0812345678", [("promptpay", "+66812345678", "0812345678")]),
        ("เลขบัตรประชาชน 1-1037-02071-81-1", [("citizen_id", "1103702071811", "1-1037-02071-81-1")]),
        ("กด *139*2# โทรออก", [("ussd", "*139*2#", "*139*2#")]),
        ("ใบอนุญาต ต. 1234/2560", [("recruitment_licence", "ต.1234/2560", "ต. 1234/2560")]),
        (
            "USDT: TJRabPrwbZy45sbavfcjinPJC18kjpRTv8",
            [("crypto", "TJRabPrwbZy45sbavfcjinPJC18kjpRTv8", "TJRabPrwbZy45sbavfcjinPJC18kjpRTv8")],
        ),
        ("โอน 10,000.50 บาท วันที่ 05.11.2569 เวลา 10.30", []),
        ("เลขพัสดุ 1234567890123", []),
        ("เลขบัตรประชาชน 1-1037-02071-81-2", []),
        ("ราคา 3.5 ล้าน อ.เมือง จ.ตาก พ.ศ.2569 บ.ก. No.1", []),
    ],
)
def test_identifiers_are_found_and_numbers_left_alone(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "details"),
    [
        ("kbank.go-line000.cc", {"domain": "go-line000.cc", "lookalike": "KBANK"}),
        ("https://flash.vr000.cc/a", {"domain": "vr000.cc", "lookalike": "FLASH"}),
        ("www.kasikornbank.com", {"domain": "kasikornbank.com", "official": "KBANK"}),
        ("bit.ly/x1", {"domain": "bit.ly", "shortener": "yes"}),
        ("https://a.b.co.th/x", {"domain": "b.co.th"}),
        ("โทร 081-234-5678", {"line": "mobile"}),
        ("โทร 191", {"official": "police emergency"}),
        ("SCB 123-4-56789-0", {"bank": "SCB"}),
        ("ออมสิน 123456789012", {"bank": "GSB"}),
        ("กด *139# 3บ/ขค", {"price": "THB 3", "per": "ขค"}),
        ("ต.1234/2560", {"claims": "overseas"}),
    ],
)
def test_what_is_known_of_an_identifier_stands_with_it(text: str, details: dict[str, str]) -> None:
    assert next(each.details for each in _indicators(text) if each.type != "money") == details


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("ได้ 50,000 บาท หรือ 3.5 ล้านบาท", ["THB 50000", "THB 3500000"]),
        ("เดือนละ 35k บาท ฿1,200 ค่าจ้าง 1,200 USDT", ["THB 35000", "THB 1200", "USDT 1200"]),
        ("อายุ 25 ปี 3 คน", []),
    ],
)
def test_sums_of_money_are_found_with_their_currency(text: str, values: list[str]) -> None:
    assert [each.value for each in _indicators(text) if each.type == "money"] == values


def test_a_payment_code_is_found_by_its_checksum() -> None:
    import binascii

    payload = QR + f"{binascii.crc_hqx(QR.encode(), 0xFFFF):04X}"
    [code] = [each for each in _indicators(f"สแกนจ่าย {payload} นะ") if each.type == "promptpay_qr"]
    assert (code.value, code.details) == (payload, {"to": "+66812345678"})
    assert not qr_checksum_fits(payload[:-1] + ("0" if payload[-1] != "0" else "1"))


def test_checksums_refuse_what_was_changed() -> None:
    assert citizen_checksum_fits("1103702071811")
    assert not citizen_checksum_fits("1103702071810")
    assert ethereum_checksum_fits("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")  # from EIP-55
    assert not ethereum_checksum_fits("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed")
    assert found("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb TJRabPrwbZy45sbavfcjinPJC18kjpRTv9") == []


@pytest.mark.parametrize(
    "host",
    [
        "discbrake.com",
        "m.ais.co.th",
        "expatvac.consular.go.th",
        "trueblue-cafe.com",
        "linear.app",
        "peanut.shop",
        "basis.co",
    ],
)
def test_a_short_name_inside_a_word_is_no_lookalike(host: str) -> None:
    assert lookalike_of(host) is None


def test_offsets_slice_the_original_to_what_is_reported(hostile: str) -> None:
    text = f"{hostile} เเอดไลน์\u200b ＠hr-poipet หรือ ๐๘๑๒๓๔๕๖๗๘ www.example.com/ก"
    indicators = _indicators(text)
    assert {each.value for each in indicators} >= {"@hr-poipet", "+66812345678"}
    for each in indicators:
        assert text[each.start : each.end] == each.text


@pytest.mark.parametrize(
    "text",
    ["a." * 50_000, "0 " * 50_000, "@" * 100_000, "line" * 25_000, "https://" * 12_500, "a-" * 50_000, "08-1" * 25_000]
    + ["ไลน์ " * 20_000, "www." * 25_000, "a.me " * 20_000, "+66" * 33_000, "1" * 100_000, "1 " * 50_000]
    + ["000201" * 16_000, "*1" * 50_000, "1," * 50_000, "a@a." * 25_000, "T" * 100_000, "0x" * 50_000]
    + ["โอน 1-" * 12_000],
    ids=lambda text: text[:8],
)
def test_no_text_stalls_the_search(text: str) -> None:
    began = time.perf_counter()
    find_indicators(normalize(text), text)
    assert time.perf_counter() - began < 20
