"""Numbers of people and their money: bank accounts, PromptPay, citizen ids."""

import binascii
import re
from collections.abc import Iterator

from ruthan.evidence.found import Found
from ruthan.evidence.phones import canonical
from ruthan.evidence.reference import banks

_DIGITS = re.compile(r"(?<![\d.,*#/+-])\d(?:[ -]?\d){8,14}(?![\d]|[.,-]\d)")
_ACCOUNT_CUE = re.compile(r"เลขที่?บัญชี|เลขบัญชี|บัญชี|บช\.?|บ/ช|ธนาคาร|ธ\.|โอน|acc(?:oun)?t|a/c|account", re.IGNORECASE)
_PROMPTPAY_CUE = re.compile(r"พร้อมเพย์|พร้อมเพ|prompt ?pay|\bpp\b", re.IGNORECASE)
_CITIZEN_CUE = re.compile(
    r"บัตร\s?ปชช|ประชาชน|เลขบัตร|บัตรเดิม|ผู้เสียภาษี|เลขประจำตัว|citizen|national id|id card|tax id", re.IGNORECASE
)
_OTHER_CUE = re.compile(r"ลูกค้า|พัสดุ|เลขแทร็?ก|tracking|อ้างอิง|ref|ออเดอร์|order|เลขที่สัญญา|กรมธรรม์|ใบเสร็จ", re.IGNORECASE)
_CALL_CUE = re.compile(r"(?:โทร|tel|call|ติดต่อ|เบอร์|ทรูมันนี่|วอลเล็ต|wallet)[^\d\n]{0,6}$", re.IGNORECASE)
_BEFORE, _AFTER = 40, 24  # characters around a number in which a cue counts
_QR = re.compile(r"000201[0-9A-Za-z .:/+*$%-]{20,480}?6304[0-9A-Fa-f]{4}")


def find_accounts(text: str) -> Iterator[Found]:
    """Accounts, PromptPay ids and citizen ids, each by its form and a cue beside it; payment QR payloads by their sum.

    Ten digits may be a mobile number: without a cue none is an account.
    """
    for match in _QR.finditer(text):
        if qr_checksum_fits(match[0]):
            yield Found("promptpay_qr", *match.span(), match[0], _qr_details(match[0]))
    for match in _DIGITS.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        before = text[max(0, match.start() - _BEFORE) : match.start()]
        around = before + " " + text[match.end() : match.end() + _AFTER]
        bank = _bank(around)
        if len(digits) == 13 and citizen_checksum_fits(digits) and _CITIZEN_CUE.search(around):
            yield Found("citizen_id", *match.span(), digits)
        elif _PROMPTPAY_CUE.search(around) and (len(digits) in (13, 15) or canonical(digits)):
            number = canonical(digits)
            yield Found("promptpay", *match.span(), number[0] if number else digits)
        elif len(digits) in (10, 12) and (bank or _ACCOUNT_CUE.search(before)) and not _OTHER_CUE.search(before[-16:]):
            as_phone = re.fullmatch(r"0\d\d-\d{3}-\d{4}", match[0]) or _CALL_CUE.search(before)
            if canonical(digits) and as_phone:
                continue
            if canonical(digits) and not bank and not re.search(r"บัญชี|บช|บ/ช|account", before[-16:], re.IGNORECASE):
                continue
            yield Found("bank_account", *match.span(), digits, {"bank": bank} if bank else {})


def _bank(around: str) -> str | None:
    """The code of the bank that is named nearest to the number's left, else right."""
    lowered = around.lower()
    best: tuple[int, str] | None = None
    for bank in banks():
        for name in bank.names:
            at = lowered.rfind(name)
            bare = name.isascii() and name.isalpha()
            if at < 0 or (
                bare and re.search(r"[a-z]", lowered[at - 1 : at] + lowered[at + len(name) : at + len(name) + 1])
            ):
                continue
            if best is None or at + len(name) > best[0]:
                best = (at + len(name), bank.code)
    return best[1] if best else None


def citizen_checksum_fits(digits: str) -> bool:
    """Whether 13 digits are a Thai citizen id or juristic tax id by their check digit.

    (11 - sum of digit i times 14 - i, modulo 11) modulo 10. Not python-stdnum, which refuses a leading 0 or 9.
    """
    total = sum(int(digit) * (13 - at) for at, digit in enumerate(digits[:12]))
    return (11 - total % 11) % 10 == int(digits[12])


def qr_checksum_fits(payload: str) -> bool:
    """Whether an EMV QR payload ends in the CRC-16/CCITT-FALSE of what stands before it."""
    return f"{binascii.crc_hqx(payload[:-4].encode('ascii'), 0xFFFF):04X}" == payload[-4:].upper()


def _qr_details(payload: str) -> dict[str, str]:
    """To whom a payload pays: the mobile number or id of tag 29, or the biller of tag 30."""
    match = re.search(r"A000000677010111(?:01130066(\d{9})|0213(\d{13})|0315(\d{15}))", payload)
    if match:
        return {"to": f"+66{match[1]}" if match[1] else match[2] or match[3]}
    biller = re.search(r"A0000006770101120115(\d{15})", payload)
    return {"biller": biller[1]} if biller else {}
