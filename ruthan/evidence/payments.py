"""Money: amounts, crypto addresses, USSD codes with their price."""

import re
from collections.abc import Iterator
from decimal import Decimal

from ruthan.evidence.found import Found

_UNITS = {
    "พันล้าน": 1_000_000_000,
    "หมื่นล้าน": 10_000_000_000,
    "แสนล้าน": 100_000_000_000,
    "ร้อยล้าน": 100_000_000,
    "พัน": 1_000,
    "หมื่น": 10_000,
    "แสน": 100_000,
    "ล้าน": 1_000_000,
    "k": 1_000,
    "m": 1_000_000,
}
_CURRENCIES = {
    "บาท": "THB",
    "บ.": "THB",
    "บ": "THB",
    "฿": "THB",
    "thb": "THB",
    "bht": "THB",
    "baht": "THB",
    "usd": "USD",
    "usdt": "USDT",
    "ดอลลาร์": "USD",
    "ดอล": "USD",
    "$": "USD",
    "หยวน": "CNY",
    "กีบ": "LAK",
    "ກີບ": "LAK",
    "จ๊าด": "MMK",
    "ริงกิต": "MYR",
    "วอน": "KRW",
    "เยน": "JPY",
    ".-": "THB",
}
_NUMBER = r"\d{1,3}(?:,\d{3}){1,4}(?:\.\d{1,2})?|\d{1,9}(?:\.\d{1,2})?"
_AMOUNT = re.compile(
    rf"(?<![\d.,])(?:(?P<before>[฿$]|(?<![a-z])(?:thb|usdt?)(?![a-z]))[ ]?)?(?P<number>{_NUMBER})(?![\d])[ ]?"
    r"(?P<unit>(?:ร้อย|พัน|หมื่น|แสน)ล้าน|พัน|หมื่น|แสน|ล้าน|[kKmM](?![a-zA-Z]))?[ ]?"
    r"(?P<after>บาท|บ\.|บ(?![ก-๎])|฿|(?:thb|bht|baht|usdt?)(?![a-z])|ดอลลาร์|ดอล|หยวน|กีบ|ກີບ|จ๊าด|ริงกิต|วอน|เยน|(?<=\d)\.-)?",
    re.IGNORECASE,
)
# Words behind which so many ten thousands are baht; gold is weighed in a unit of that name; a price per message
# belongs to the code it is charged for.
_SUM_CUE = re.compile(r"(?:วงเงิน|เดือนละ|เงินเดือน|รายได้|กู้|สูงสุด|ยืม|โอน|จ่าย|ได้|ค่า[ก-๎]{0,12}|ราคา|กำไร|เงิน)[^\d\n]{0,8}$")
_GOLD = re.compile(r"ทอง(?:คำ|แท่ง|รูปพรรณ)?[ ]?(?:หนัก)?[ ]?$")
_RATE = re.compile(r"[ ]?/[ ]?(ขค|ข้อความ|\d{0,3}[ ]?วัน|ครั้ง|เดือน|สัปดาห์|sms)")
_USSD = re.compile(r"\*\d{2,7}(?:\*\d{1,10}){0,4}\*?#|\*\d{3,7}(?![\d.,:])")
_PRICE = re.compile(
    r"(\d{1,4}(?:\.\d{1,2})?)[ ]?(?:บาท|บ\.?|thb)[ ]?/[ ]?(ขค|ข้อความ|วัน|ครั้ง|เดือน|สัปดาห์|คลิป|นาที|\d{1,3} ?วัน|sms|day)",
    re.IGNORECASE,
)
_BITCOIN = re.compile(r"(?<![a-zA-Z0-9])(?:bc1[a-z0-9]{11,71}|[13][1-9A-HJ-NP-Za-km-z]{25,34})(?![a-zA-Z0-9])")
_TRON = re.compile(r"(?<![a-zA-Z0-9])T[1-9A-HJ-NP-Za-km-z]{33}(?![a-zA-Z0-9])")
_ETHEREUM = re.compile(r"(?<![a-zA-Z0-9])0x[0-9a-fA-F]{40}(?![a-zA-Z0-9])")


def find_amounts(text: str) -> Iterator[Found]:
    """Sums of money with a currency, as `THB 50000`."""
    for match in _AMOUNT.finditer(text):
        currency = _CURRENCIES.get((match["after"] or match["before"] or "").lower())
        before = text[max(0, match.start() - 24) : match.start()]
        if currency is None and (match["unit"] or "") in ("หมื่น", "แสน", "ล้าน") and _SUM_CUE.search(before):
            currency = "THB"
        if currency is None or _GOLD.search(before) or _charge(match, text):
            continue
        value = Decimal(match["number"].replace(",", "")) * _UNITS.get((match["unit"] or "").lower(), 1)
        plain = f"{value:f}"
        plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
        yield Found("money", match.start(), match.end(), f"{currency} {plain}", {"currency": currency, "amount": plain})


def _charge(match: re.Match[str], text: str) -> bool:
    """Whether a sum is the price of a message or of a day of a service, as in 3บ/ขค."""
    rate = _RATE.match(text, match.end())
    return bool(rate) and (match["after"] in ("บ", "บ.") or (rate is not None and rate[1] in ("ขค", "ข้อความ", "sms")))


def find_ussd(text: str) -> Iterator[Found]:
    """USSD codes, with the price per message or day that stands near them."""
    for match in _USSD.finditer(text):
        price = _PRICE.search(text, match.end(), match.end() + 40) or _PRICE.search(
            text, max(0, match.start() - 60), match.start()
        )
        details = {"price": f"THB {price[1]}", "per": price[2]} if price else {}
        yield Found("ussd", *match.span(), match[0], details)


def find_crypto(text: str) -> Iterator[Found]:
    """Bitcoin, Tron and Ethereum addresses whose checksum fits."""
    for match in _BITCOIN.finditer(text):
        from stdnum import bitcoin

        if bitcoin.is_valid(match[0]):
            yield Found("crypto", *match.span(), match[0], {"currency": "BTC"})
    for match in _TRON.finditer(text):
        import base58

        try:
            payload = base58.b58decode_check(match[0])
        except ValueError:
            continue
        if payload[:1] == b"\x41":
            yield Found("crypto", *match.span(), match[0], {"currency": "TRX"})
    for match in _ETHEREUM.finditer(text):
        if ethereum_checksum_fits(match[0]):
            yield Found("crypto", *match.span(), match[0], {"currency": "ETH"})


def ethereum_checksum_fits(address: str) -> bool:
    """Whether the capitals of an Ethereum address are its checksum (EIP-55); all small or all capital have none."""
    digits = address[2:]
    if digits in (digits.lower(), digits.upper()):
        return True
    from Crypto.Hash import keccak

    digest = keccak.new(digest_bits=256, data=digits.lower().encode()).hexdigest()
    return all(
        not letter.isalpha() or letter.isupper() == (int(nibble, 16) >= 8)
        for letter, nibble in zip(digits, digest, strict=False)
    )
