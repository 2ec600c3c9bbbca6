"""Ids in chat apps, e-mail addresses, and licences that recruiters claim."""

import re
from collections.abc import Iterator

from ruthan.evidence.found import TRAILING, Found

# "LINE" alone is no cue: LINE MAN, LINE Pay and LINE TODAY are brands.
_LINE_CUE = re.compile(
    r"(?:(?:(?<![a-z])line|ไลน์|ไลน)[ ]{0,2}(?:(?:id|ไอดี)(?![a-z])|[:=])"
    r"|(?:แอด|ทัก|add)[ ]{0,2}(?:line|ไลน์|ไลน)|ไอดี(?:ไลน์)?)"
    r"[ ]{0,2}[:=]?[ ]{0,2}(@?[a-z0-9][a-z0-9._-]{2,19})(?![a-z0-9/])",
    re.IGNORECASE,
)
_LINE_OFFICIAL = re.compile(r"(?<![a-z0-9._@-])@[a-z0-9][a-z0-9._-]{2,19}(?![a-z0-9@])", re.IGNORECASE)
_TELEGRAM_CUE = re.compile(
    r"(?:telegram|เทเลแกรม|เทเล|(?<![a-z])tg)[ ]{0,2}(?:id)?[ ]{0,2}[:=]?[ ]{0,2}(@[a-z][a-z0-9_]{3,31})", re.IGNORECASE
)
_EMAIL = re.compile(
    r"(?<![a-z0-9._+-])[a-z0-9._+-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{2,24}){1,3}(?![a-z0-9-])", re.IGNORECASE
)
_LICENCE = re.compile(r"(?<![ก-๎])(ต|น|นจ)[ ]?\.?[ ]?(\d{1,4})[ ]?/[ ]?(25\d{2})(?!\d)")
_SCOPE = {"ต": "overseas", "น": "domestic", "นจ": "into Thailand"}


def find_line_ids(text: str) -> Iterator[Found]:
    """LINE ids behind a cue, and official accounts by their @. A shop behind a price ("120บ@CENTRAL") is none."""
    for pattern, group in ((_LINE_CUE, 1), (_LINE_OFFICIAL, 0)):
        for match in pattern.finditer(text):
            written = match[group].rstrip(TRAILING)
            if written.lower() in ("line", "official", "id") or (group == 0 and written == written.upper()):
                continue
            yield Found("line_id", match.start(group), match.start(group) + len(written), written.lower())


def find_telegram_ids(text: str) -> Iterator[Found]:
    """Telegram names behind a cue."""
    for match in _TELEGRAM_CUE.finditer(text):
        yield Found("telegram", *match.span(1), match[1].lower())


def find_emails(text: str) -> Iterator[Found]:
    """E-mail addresses."""
    for match in _EMAIL.finditer(text):
        yield Found("email", *match.span(), match[0].lower())


def find_licences(text: str) -> Iterator[Found]:
    """Licence numbers of the Department of Employment. Such a number is a claim: pages make them up."""
    for match in _LICENCE.finditer(text):
        value = f"{match[1]}.{match[2]}/{match[3]}"
        yield Found("recruitment_licence", *match.span(), value, {"claims": _SCOPE[match[1]]})
