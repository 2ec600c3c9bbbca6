"""Phone numbers: mobile, fixed, foreign and official short ones."""

import re
from collections.abc import Iterator

from ruthan.evidence.found import Found
from ruthan.evidence.reference import hotlines

# Digits with blanks, dots and hyphens between; the library judges whether that is a number.
_GAP = r"[ .()\-\u2010-\u2015]{0,3}"
_CANDIDATE = re.compile(rf"(?<![\d+*#])(?<!\d[.,-])(?:\+\d|0){_GAP}\d(?:{_GAP}\d){{6,13}}(?!\d|[.,-]\d|[ ]?#)")
_SHORT = re.compile(
    r"(?<![\d*#,/-])(?<!\d\.)(1\d{2,3})(?![\d#,/:%-]|\.[\d-]|\s?usd|\s{0,2}(?:บาท|บ\.|คน|วัน|ครั้ง|ปี|ชั่วโมง|ชม|นาที|เดือน|ข้อความ|คะแนน|องศา|กิโล|เมตร|บ(?![ก-ฮ])))"
)
_CALL = re.compile(
    r"(?:โทร|สายด่วน|เบอร์|hotline|call|dial|tel|แจ้ง|ติดต่อ|สอบถาม|ปรึกษา|ศูนย์|รายละเอียด|ผ่าน|หรือ|aoc|เหตุ"
    r"|ตำรวจ|ไฟ(?:ไหม้|ดับ|ฟ้า)|น้ำ|เจ็บป่วย|กด ?2|โทรศัพท์|จริงได้ที่|อายัดบัญชีที่)[^\d\n]{0,20}$",
    re.IGNORECASE,
)
_CALL_NOW = re.compile(
    r"(?:โทร\.?|สายด่วน|เบอร์|hotline|call|dial|tel|แจ้ง(?:เหตุ)?|ตำรวจ|เหตุด่วน|ไฟไหม้|ฉุกเฉิน|หรือ)[^\d\n]{0,8}$", re.IGNORECASE
)
_OTHER_NUMBER = re.compile(
    r"(?:ที่นั่งสอบ|เลขที่นั่ง|เลขที่สมาชิก|เลขคำขอ|รหัส(?:นักศึกษา|พนักงาน|สินค้า)|หมายเลขผู้(?:ใช้|สมัคร))[^\d\n]{0,6}$"
)


def find_phones(text: str) -> Iterator[Found]:
    """Valid numbers in E.164; official hotlines where something says to call them."""
    for match in _CANDIDATE.finditer(text):
        if _between_letters(text, *match.span()):
            continue
        number = canonical(match[0])
        if number is not None and not _OTHER_NUMBER.search(text[max(0, match.start() - 24) : match.start()]):
            yield Found("phone", *match.span(), number[0], {"line": number[1]})
    for match in _SHORT.finditer(text):
        cue = _CALL_NOW if len(match[1]) == 3 else _CALL  # numbers below 200 are seldom called, often counted
        if match[1] in hotlines() and cue.search(text[max(0, match.start() - 32) : match.start()]):
            yield Found("hotline", *match.span(1), match[1], {"official": hotlines()[match[1]]})


def _between_letters(text: str, start: int, end: int) -> bool:
    """Whether digits are the middle of a code such as a parcel's, OF076728111TH."""
    around = text[start - 1 : start] + text[end : end + 1] if start else ""
    return len(around) == 2 and around.isascii() and around.isalpha()


def canonical(written: str) -> tuple[str, str] | None:
    """E.164 form, and `mobile`, `fixed` or `foreign`, of a number as Thais write it; None if it is none.

    +697 and +698 mark calls that come from abroad (NBTC); no number plan knows them.
    """
    import phonenumbers

    digits = re.sub(r"[^\d+]", "", written)
    digits = re.sub(r"^00(?=66|85|86|95|1|44|60|65)", "+", digits)
    if re.fullmatch(r"\+69[78]\d{6,11}", digits):
        return digits, "foreign"
    try:
        number = phonenumbers.parse(digits, "TH")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    form = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if number.country_code != 66:
        return form, "foreign"
    mobile = phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.MOBILE
    return form, "mobile" if mobile else "fixed"
