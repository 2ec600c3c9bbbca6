"""Money: amounts, crypto addresses, USSD codes with their price."""

import re
from collections.abc import Iterator
from decimal import Decimal

from ruthan.evidence.found import Found

_UNITS = {"พัน": 1_000, "หมื่น": 10_000, "แสน": 100_000, "ล้าน": 1_000_000, "k": 1_000, "m": 1_000_000}
_CURRENCIES = {
    "บาท": "THB",
    "บ.": "THB",
    "บ": "THB",
    "฿": "THB",
    "thb": "THB",
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
}
_NUMBER = r"\d{1,3}(?:,\d{3}){1,4}(?:\.\d{1,2})?|\d{1,9}(?:\.\d{1,2})?"
_AMOUNT = re.compile(
    rf"(?<![\d.,])(?:(?P<before>[฿$])[ ]?)?(?P<number>{_NUMBER})(?![\d])[ ]?"
    r"(?P<unit>พัน|หมื่น|แสน|ล้าน|[kKmM](?![a-zA-Z]))?[ ]?"
    r"(?P<after>บาท|บ\.|บ(?![ก-๎])|฿|(?:thb|baht|usdt?)(?![a-z])|ดอลลาร์|ดอล|หยวน|กีบ|ກີບ|จ๊าด|ริงกิต|วอน|เยน)?",
    re.IGNORECASE,
)
_USSD = re.compile(r"\*\d{2,7}(?:\*\d{1,6}){0,4}\*?#|\*\d{3,7}(?![\d.,:])")
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
        if currency is None:
            continue
        value = Decimal(match["number"].replace(",", "")) * _UNITS.get((match["unit"] or "").lower(), 1)
        plain = f"{value:f}"
        plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
        yield Found("money", match.start(), match.end(), f"{currency} {plain}", {"currency": currency, "amount": plain})


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
