"""Phone numbers: mobile, fixed, foreign and official short ones."""

import re
from collections.abc import Iterator

from ruthan.evidence.found import Found
from ruthan.evidence.reference import hotlines

# Digits with blanks, dots and hyphens between; the library judges whether that is a number.
_CANDIDATE = re.compile(r"(?<![\d+*#])(?<!\d[.,-])(?:\+\d|0)[ .()-]{0,2}\d(?:[ .()-]{0,2}\d){6,13}(?!\d|[.,-]\d|[ ]?#)")
_SHORT = re.compile(
    r"(?<![\d*#.,/-])(1\d{2,3})(?![\d#,/:%-]|\.\d|\s{0,2}(?:บาท|บ\.|คน|วัน|ครั้ง|ปี|ชั่วโมง|ชม|นาที|เดือน|ข้อความ|คะแนน|บ(?![ก-ฮ])))"
)
_CALL = re.compile(r"(?:โทร|สายด่วน|เบอร์|hotline|call|dial|tel)[^\d\n]{0,12}$", re.IGNORECASE)


def find_phones(text: str) -> Iterator[Found]:
    """Valid numbers in E.164; official hotlines where something says to call them."""
    for match in _CANDIDATE.finditer(text):
        number = canonical(match[0])
        if number is not None:
            yield Found("phone", *match.span(), number[0], {"line": number[1]})
    for match in _SHORT.finditer(text):
        if match[1] in hotlines() and _CALL.search(text[max(0, match.start() - 24) : match.start()]):
            yield Found("hotline", *match.span(1), match[1], {"official": hotlines()[match[1]]})


def canonical(written: str) -> tuple[str, str] | None:
    """E.164 form, and `mobile`, `fixed` or `foreign`, of a number as Thais write it; None if it is none.

    +697 and +698 mark calls that come from abroad (NBTC); no number plan knows them.
    """
    import phonenumbers

    digits = re.sub(r"[^\d+]", "", written)
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
