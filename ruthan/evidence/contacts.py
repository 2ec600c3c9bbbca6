"""Ids in chat apps, e-mail addresses, and licences that recruiters claim."""

import re
from collections.abc import Iterator

from ruthan.evidence.found import TRAILING, Found
from ruthan.evidence.phones import canonical

# "LINE" alone is no cue: LINE MAN, LINE Pay and LINE TODAY are brands. The Thai word is one, before what only an id is.
_LINE = r"(?:(?<![a-z])l ?i ?n ?e(?![a-z])|(?<!ออน)ไลน์|(?<!ออน)ไลน)"
_ID = r"(@?[ ]?[a-z0-9][a-z0-9._-]{2,19})(?![a-z0-9/@])"
_LINE_CUE = re.compile(
    rf"(?:(?:{_LINE}|(?<!ออน)ไลน์[^\s:]{{0,12}})[ ]{{0,2}}(?:(?:id|ไอดี)(?![a-z])|[:=])|(?:แอด|ทัก|add)[ ]{{0,2}}{_LINE}"
    rf"|ไอดี(?:ไลน์)?)[ ]{{0,2}}[:=]?[ ]{{0,2}}{_ID}",
    re.IGNORECASE,
)
_ADD_CUE = re.compile(
    rf"(?:แอดเฟรนด์|(?:แอดไลน์|ทักไลน์)[^\s:a-z0-9@]{{1,16}}[ ]?(?:id)?)[ ]{{0,2}}[:=]?[ ]{{0,2}}{_ID}", re.I
)
# Behind or before the bare word, an id is told from a word by what no English word has: a digit, a dot, a low line.
_LINE_THAI_WORD = re.compile(
    rf"(?:(?<!ออน)ไลน์|(?<!ออน)ไลน|แอด|(?<![a-z])line)(?:เจ๊|พี่|คุณ|หมอ|เจ้าหน้าที่)?[ ]{{0,2}}{_ID}", re.IGNORECASE
)
_BEFORE_LINE = re.compile(r"(?<![a-z0-9._@/-])([a-z0-9][a-z0-9._-]{3,19})[ ]?(?:\(line\)|\(ไลน์\)|ไลน์)", re.IGNORECASE)
_ONLY_AN_ID = re.compile(r"[a-z].*[0-9._]|[0-9._].*[a-z]", re.IGNORECASE)
_LINE_OFFICIAL = re.compile(r"(?<![a-z0-9._@-])@[ ]?[a-z0-9][a-z0-9._-]{2,19}(?![a-z0-9@])", re.IGNORECASE)
_TELEGRAM = r"(?:telegram|เทเลแกรม|เทเล|(?<![a-z])tg(?![a-z]))"
_TELEGRAM_CUE = re.compile(
    rf"{_TELEGRAM}[ ]{{0,2}}(?:id)?[ ]{{0,2}}[:=]?[ ]{{0,2}}"
    rf"(@[a-z][a-z0-9_]{{3,31}}|(?<=[:=] )[a-z][a-z0-9_]{{4,31}}(?![a-z0-9]))"
    rf"|(@[a-z][a-z0-9_]{{3,31}})[ ]?(?:\(|ใน|ทาง|on|in)[ ]?{_TELEGRAM}",
    re.IGNORECASE,
)
_FACEBOOK_CUE = re.compile(
    r"(?:(?<![a-z])(?:fb|facebook)|เฟ[ซส](?:บุ๊?[กค])?)[ ]{0,2}[:=][ ]{0,2}([a-z0-9][a-z0-9.]{4,49})(?![a-z0-9/])", re.I
)
_WHATSAPP_CUE = re.compile(
    r"(?:what'?s ?app|วอ[ทต]ส์?แอ[ปพ])[^\d+\n]{0,6}(\+\d[\d -]{7,16}\d|0[689](?:[ -]?\d){8})(?!\d)", re.IGNORECASE
)
_EMAIL = re.compile(
    r"(?<![a-z0-9._+-])[a-z0-9._+-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{2,24}){1,3}(?![a-z0-9-])", re.IGNORECASE
)
_LICENCE = re.compile(r"(?<![ก-๎])(?:เลขที่|ใบอนุญาต)?[ ]?(ต|น|นจ)[ ]?\.?[ ]?(\d{1,4})[ ]?/[ ]?(25\d{2})(?!\d)")
_SCOPE = {"ต": "overseas", "น": "domestic", "นจ": "into Thailand"}


def find_line_ids(text: str) -> Iterator[Found]:
    """LINE ids behind a cue, and official accounts by their @. A shop behind a price ("120บ@CENTRAL") is none."""
    for pattern in (_LINE_CUE, _LINE_OFFICIAL, _ADD_CUE, _LINE_THAI_WORD, _BEFORE_LINE):
        for match in pattern.finditer(text):
            group = 0 if pattern is _LINE_OFFICIAL else 1
            written = match[group].rstrip(TRAILING)
            name = written.replace(" ", "").lower()
            if name.lstrip("@") in ("line", "official", "id") or (
                pattern is _LINE_OFFICIAL and written == written.upper()
            ):
                continue
            if pattern in (_LINE_THAI_WORD, _BEFORE_LINE, _ADD_CUE) and not _ONLY_AN_ID.search(written):
                continue
            yield Found("line_id", match.start(group), match.start(group) + len(written), name)


def find_telegram_ids(text: str) -> Iterator[Found]:
    """Telegram names beside a cue, without their @."""
    for match in _TELEGRAM_CUE.finditer(text):
        group = 1 if match[1] else 2
        yield Found("telegram", *match.span(group), match[group].lower().lstrip("@"))


def find_facebook_names(text: str) -> Iterator[Found]:
    """Facebook names behind a cue and a colon."""
    for match in _FACEBOOK_CUE.finditer(text):
        name = match[1].rstrip(TRAILING)
        yield Found("facebook", match.start(1), match.start(1) + len(name), name.lower())


def find_whatsapp_numbers(text: str) -> Iterator[Found]:
    """International numbers behind the word WhatsApp."""
    for match in _WHATSAPP_CUE.finditer(text):
        number = canonical(match[1])
        yield Found("whatsapp", *match.span(1), number[0] if number else re.sub(r"[ -]", "", match[1]))


def find_emails(text: str) -> Iterator[Found]:
    """E-mail addresses."""
    for match in _EMAIL.finditer(text):
        yield Found("email", *match.span(), match[0].lower())


def find_licences(text: str) -> Iterator[Found]:
    """Licence numbers of the Department of Employment. Such a number is a claim: pages make them up."""
    for match in _LICENCE.finditer(text):
        value = f"{match[1]}.{match[2]}/{match[3]}"
        yield Found("recruitment_licence", match.start(1), match.end(), value, {"claims": _SCOPE[match[1]]})
