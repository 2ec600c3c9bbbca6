"""The privacy rule of the corpus: whatever identifies a person, an account or a site is a slot.

Hotlines and domains of `data/public_contacts.yaml`, and the real domains of `data/brands.yaml`, may be written out.
"""

import re
from collections.abc import Iterator
from random import Random

from ruthan.evidence.indicators import find_indicators
from ruthan.evidence.reference import hotlines, official_domains
from ruthan.text.normalize import normalize
from train.slots import FILLERS, SLOT

# Nine digits and more, with blanks, hyphens, dashes and brackets between: phones, accounts, citizen ids, tracking
# numbers. Not sums ("1,234,567.89") and not USSD codes.
_LONG_NUMBER = re.compile(r"(?<!\d[.,])(?<![\d*#])\(?\d(?:[ ()\u2010-\u2015-]{0,3}\d){8,40}(?!\d|[.,]\d)")
# Hosts that everyone has a page on: they may be named, but not with a path.
_PLATFORMS = frozenset({"line.me", "facebook.com", "fb.com", "tiktok.com", "google.com", "lin.ee", "t.me", "wa.me"})
_HOTLINE = re.compile(
    r"(?:โทร\.?|สายด่วน|เบอร์|hotline|call|dial)[ :]{0,2}(?<![*#\d])(1\d{2,3}|19\d)(?![\d#,.:/%-]|\s*(?:บาท|บ\.|THB))",
    re.I,
)


def written_identifiers(text: str) -> Iterator[tuple[str, str]]:
    """Kind and wording of every identifier that stands in `text` outside of slots and is not public."""
    bare = SLOT.sub(" ", text)
    for kind, start, end in _spans(bare):
        written = bare[start:end]
        if kind == "link" and _is_public(written):
            continue
        yield kind, written
    for match in _HOTLINE.finditer(bare):
        if match[1] not in hotlines():
            yield "hotline", match[1]


def _is_public(link: str) -> bool:
    """Whether a link leads to a domain of the public and, on a platform, to no one's page."""
    host, _, path = re.sub(r"^[a-z]+://", "", link.lower()).partition("/")
    host = host.removeprefix("www.")
    return host in official_domains() and not (path.strip("/?#") and host in _PLATFORMS) and "?" not in link


def _spans(text: str) -> Iterator[tuple[str, int, int]]:
    """Kind and span of each identifier, in order; none inside another."""
    normalized = normalize(text)

    def matches(kind: str, pattern: re.Pattern[str]) -> list[tuple[str, int, int]]:
        spans = (match.span() for match in pattern.finditer(normalized.text))
        return [(kind, *normalized.to_original(start, end)) for start, end in spans]

    # "ไอดี rov" is a word behind a cue, no id.
    found = [
        (_KIND_OF[each.type], each.start, each.end)
        for each in find_indicators(normalized, text)
        if each.type in _KIND_OF and not (each.type == "line_id" and not re.search(r"[@\d._-]", each.text))
    ]
    found += matches("long number", _LONG_NUMBER)  # last: of two with the same span the first is taken
    end = 0
    for kind, first, last in sorted(found, key=lambda each: (each[1], -each[2])):
        if first >= end:
            yield kind, first, last
            end = last


# What stands for a person, an account or a site; sums, codes, hotlines and licences may stand.
_KIND_OF = {
    "url": "link",
    "telegram": "link",
    "whatsapp": "link",
    "facebook": "link",
    "phone": "phone number",
    "line_id": "LINE id",
    "email": "e-mail address",
    "bank_account": "long number",
    "promptpay": "long number",
    "promptpay_qr": "long number",
    "citizen_id": "long number",
    "crypto": "long number",
}
_SLOT_OF = {"link": "{link}", "phone number": "{phone}", "e-mail address": "{link}", "long number": "{account}"}


def slotted(text: str) -> tuple[str, int]:
    """`text` with a slot for every identifier that is not public, and how many there were.

    Braces that were there already become parentheses, but for slots.
    """
    result: list[str] = []
    count = at = 0
    for match in SLOT.finditer(text):
        if match[1] not in FILLERS:
            continue
        plain, found = _without_identifiers(text[at : match.start()])
        result += [plain, match[0]]
        count += found
        at = match.end()
    plain, found = _without_identifiers(text[at:])
    return "".join([*result, plain]), count + found


def _without_identifiers(text: str) -> tuple[str, int]:
    text = text.replace("{", "(").replace("}", ")")
    result: list[str] = []
    count = at = 0
    for kind, start, end in _spans(text):
        written = text[start:end]
        if kind == "link" and _is_public(written):
            continue
        slot = _SLOT_OF.get(kind) or ("{lineoa}" if written.startswith("@") else "{lineid}")
        result += [text[at:start], slot]
        count += 1
        at = end
    return "".join([*result, text[at:]]), count


_MASKED = re.compile(r"(?<!\d)000(?:[ -]?\d){6,13}(?!\d)")


def revive_numbers(text: str, random: Random) -> str:
    """Other invented digits for numbers that a publisher masked by a leading 000, so that no model learns the mask.

    Nine and ten digits begin like Thai phone numbers half of the time, the rest like accounts and tracking numbers.
    """

    def revived(match: re.Match[str]) -> str:
        count = sum(character.isdigit() for character in match[0])
        head = (
            random.choice(["06", "08", "08", "09"] if count == 10 else ["02", "03", "05"]) if count in (9, 10) else ""
        )
        if random.random() < 0.5:
            head = str(random.randint(1, 9))
        digits = iter(head + "".join(random.choices("0123456789", k=count)))
        return re.sub(r"\d", lambda _: next(digits), match[0])

    return _MASKED.sub(revived, text)
