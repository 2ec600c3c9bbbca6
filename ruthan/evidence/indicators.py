"""Find identifiers that a message pushes: links, phone numbers, LINE ids.

Patterns run on the normalised text and have bounded repeats only, so that no text can stall them; what is found is
reported on the text as received.
"""

import re
from collections.abc import Callable, Iterator

from ruthan.text import NormalizedText
from ruthan.verdict import Evidence

# Endings that make a bare word with a dot a link. Longer ones first: the match must not stop at "co" of "com".
_ENDINGS = sorted(
    [
        "com",
        "net",
        "org",
        "info",
        "biz",
        "me",
        "ly",
        "cc",
        "co",
        "io",
        "app",
        "dev",
        "top",
        "xyz",
        "site",
        "online",
        "shop",
        "club",
        "vip",
        "live",
        "asia",
        "link",
        "in",
        "id",
        "gg",
        "bet",
        "fun",
        "store",
        "tech",
        "pro",
        "win",
        "click",
        "cloud",
        "world",
        "life",
        "team",
        "one",
        "today",
        "work",
        "th",
        "ee",
        "be",
        "la",
        "mm",
        "kh",
        "vn",
        "cn",
        "us",
        "uk",
    ],
    key=lambda ending: (-len(ending), ending),
)
_HOST = rf"(?:[a-z0-9-]{{1,63}}\.){{1,5}}(?:{'|'.join(_ENDINGS)})"
_URL = re.compile(
    rf"(?<![a-z0-9@._-])(?:https?://[^\s<>\"'\u0e00-\u0e7f\ufffd]{{1,2000}}"
    rf"|{_HOST}(?![a-z0-9-]|\.[a-z])(?::\d{{1,5}})?(?:/[^\s<>\"'\u0e00-\u0e7f\ufffd]{{0,2000}})?)",
    re.IGNORECASE,
)
_PHONE = re.compile(r"(?<![\d+])(?<!\d[.-])(?:\+66|0)[ .-]?\d(?:[ .-]?\d){7,8}(?![\d]|[.-]\d)")
# "LINE" alone is no cue: LINE MAN, LINE Pay and LINE TODAY are brands.
_LINE_CUE = re.compile(
    r"(?:(?:(?<![a-z])line|ไลน์|ไลน)[ ]{0,2}(?:(?:id|ไอดี)(?![a-z])|[:=])"
    r"|(?:แอด|ทัก|add)[ ]{0,2}(?:line|ไลน์|ไลน)|ไอดี(?:ไลน์)?)"
    r"[ ]{0,2}[:=]?[ ]{0,2}(@?[a-z0-9][a-z0-9._-]{2,19})(?![a-z0-9/])",
    re.IGNORECASE,
)
_LINE_OFFICIAL = re.compile(r"(?<![a-z0-9._@-])@[a-z0-9][a-z0-9._-]{2,19}(?![a-z0-9@])", re.IGNORECASE)


def find_indicators(text: NormalizedText, original: str) -> tuple[Evidence, ...]:
    """All indicators in order of position, none inside another. `original` is what `text` was made from."""
    found: list[Evidence] = []
    taken = bytearray(len(text.text))  # 1 where a character already belongs to an indicator
    for kind, start, end, value in _candidates(text.text):
        if any(taken[start:end]):
            continue
        taken[start:end] = b"\1" * (end - start)
        first, last = text.to_original(start, end)
        found.append(Evidence("indicator", kind, value, original[first:last], first, last))
    return tuple(sorted(found, key=lambda evidence: evidence.start))


def _candidates(text: str) -> Iterator[tuple[str, int, int, str]]:
    """Type, start, end and canonical value; an earlier type wins where two overlap."""
    patterns: tuple[tuple[str, re.Pattern[str], int, Callable[[str], str | None]], ...] = (
        ("url", _URL, 0, _url),
        ("phone", _PHONE, 0, _phone),
        ("line_id", _LINE_CUE, 1, _line_id),
        ("line_id", _LINE_OFFICIAL, 0, _line_id),
    )
    for kind, pattern, group, canonical in patterns:
        for match in pattern.finditer(text):
            start = match.start(group)
            written = match[group].rstrip(".,;:!?)]}…")
            value = canonical(written)
            if value is not None:
                yield kind, start, start + len(written), value


def _url(written: str) -> str | None:
    scheme, separator, rest = written.partition("://")
    if not separator:
        scheme, rest = "http", written
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return f"{scheme.lower()}://{host.lower()}{rest[len(host) :]}" if host else None


def _phone(written: str) -> str | None:
    digits = re.sub(r"\D", "", written)
    national = "0" + digits[2:] if written.startswith("+66") else digits
    if re.fullmatch(r"0[689]\d{8}|0[2-57]\d{7}", national):
        return f"+66{national[1:]}"
    return None


def _line_id(written: str) -> str | None:
    return None if written.lower() in ("line", "official", "id") else written.lower()
