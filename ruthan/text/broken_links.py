"""A step for links that were broken so that they are no longer seen as such: hxxp, [.], (dot), blanks, a lost colon."""

import re
from collections.abc import Iterator

from ruthan.text.normalized import Edit, Step, without_overlap

_HOST = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ENDINGS = (
    "com|net|org|info|biz|co|io|ly|me|cc|top|xyz|vip|shop|site|online|club|live|app|asia|link|click|icu|win|bet|life|"
    "store|fun|pro|work|world|today|space|website|tech|th|la|kh|mm|vn|cn|us|uk|in|to|tv|gg|ee|be|ai|id|sg"
)
_SCHEME = re.compile(
    r"[hH](?<![A-Za-z0-9].)(?:[xX]{2}|[tT]{2}|\*\*)[pP]([sS]?)(?: ?: ?/ ?/ ?| ?/ ?/ ?|\[:\]//|: ?/(?!/)|:\\\\)"
    "(?=[A-Za-z0-9])"
)
_DOT = re.compile(rf"(?<=[a-z0-9])(?: ?[\[({{] ?(?:\.|dot|จุด) ?[\])}}] ?| (?:dot|จุด) )(?={_HOST}(?![a-z0-9]))", re.I)
_SPACED_LINK = re.compile(
    rf"(?<![a-z0-9.@-])(?:www\s?\.\s?)?(?:{_HOST}(?: \.|\. | \. |\.)){{1,3}}(?:{_ENDINGS})"
    rf"(?:(?: /|/ | / |/)[a-z0-9_~?=&%-]{{1,60}}(?:/[a-z0-9_~?=&%-]{{1,60}}){{0,3}}|(?![a-z0-9]))",
    re.IGNORECASE,
)
_GAP = re.compile(r" (?:[./] ?[A-Za-z0-9]|(?<=[A-Za-z0-9][./] )[A-Za-z0-9])")
_SURE_ENDING = re.compile(r" \. ?(?:com|net|org|cc|xyz|top|vip|me|ly|co|win|bet|shop|club)\b", re.IGNORECASE)


def _mended(text: str) -> Iterator[Edit]:
    found = [Edit(match.start(), match.end(), f"http{match[1].lower()}://") for match in _SCHEME.finditer(text)]
    found = [edit for edit in found if text[edit.start : edit.end].lower() != edit.result]
    if "[" in text or "(" in text or "{" in text or " dot " in text.lower() or " จุด " in text:
        found += [Edit(match.start(), match.end(), ".") for match in _DOT.finditer(text)]
    if _GAP.search(text):
        for match in _SPACED_LINK.finditer(text):
            link = match[0]
            if " " in link and ("/" in link or link.lower().startswith("www") or _SURE_ENDING.search(link)):
                found.append(Edit(match.start(), match.end(), link.replace(" ", "")))
    yield from without_overlap(found)


STEPS = (Step("broken_links", _mended, disguise=True, triggers=frozenset("./[({")),)
