"""Hide what identifies people in a text: numbers, ids, accounts, addresses, names behind titles.

>>> mask("โทร 081-234-5678 คุณสมชาย ใจดี LINE id: somchai99")
'โทร 081-xxx-x678 คุณxxxxx xxxx LINE id: soxxxxxxx'

A masked text is as long as the original, so that spans still fit. Official hotlines, sums, and hosts of links stay.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from pythainlp.corpus import thai_female_names, thai_male_names

from ruthan.evidence.indicators import find_indicators
from ruthan.text.normalize import normalize
from ruthan.verdict import Evidence

HIDDEN = "x"
# Which characters of an identifier stay, counted from its beginning and its end, letters and digits only.
_KEPT = {
    "phone": (3, 3),
    "promptpay": (3, 3),
    "citizen_id": (1, 1),
    "whatsapp": (3, 3),
    "line_id": (2, 0),
    "telegram": (2, 0),
    "facebook": (2, 0),
    "email": (1, 0),
    "crypto": (4, 4),
    "promptpay_qr": (6, 0),
}
_ACCOUNT_KEPT = slice(5, 9)  # of ten digits: xxx-x-x1234-x
_CERTAIN = (
    r"นางสาว|น\.ส\.|นส\.|ด\.ช\.|ด\.ญ\.|เด็กชาย|เด็กหญิง|ว่าที่ร้อยตรี|ร\.ต\.[อทต]\.|พ\.ต\.[อทต]\.|ด\.ต\.|จ\.ส\.ต\."
    r"|Mr\.|Mrs\.|Ms\.|Miss "
)
_TITLE = re.compile(rf"(?<![\u0e01-\u0e4ea-zA-Z])(?:{_CERTAIN}|นาย|นาง|คุณ|พี่|น้อง|ลุง|ป้า|หมอ|ครู)[ ]?", re.IGNORECASE)
_SURE = re.compile(_CERTAIN, re.IGNORECASE)
_WORD = re.compile(r"[\u0e01-\u0e4e]{2,24}|[A-Za-z]{2,24}")
_SURNAME = re.compile(r"[ ]([\u0e01-\u0e4e]{3,24}|[A-Z][a-z]{2,23})(?![\u0e01-\u0e4ea-z])")
_LINK_TAIL = re.compile(r"(?<=[^/:])/[^\s]+")


def mask(text: str) -> str:
    """`text` with identifiers and names hidden; as long as before."""
    return mask_with(text, find_indicators(normalize(text), text))


def mask_with(text: str, indicators: tuple[Evidence, ...]) -> str:
    """The same, where the indicators of `text` are known already."""
    characters = list(text)
    for each in indicators:
        if each.kind == "indicator":
            characters[each.start : each.end] = _hidden(each)
    for start, end in _names(text):
        characters[start:end] = [HIDDEN if _is_letter(character) else character for character in text[start:end]]
    return "".join(characters)


def mask_evidence(evidence: tuple[Evidence, ...], masked: str) -> tuple[Evidence, ...]:
    """Evidence on a text whose masked form is `masked`: spans as before, texts and values masked alike."""
    return tuple(
        replace(each, value=_value(each), text=masked[each.start : each.end], details=_details(each))
        for each in evidence
    )


def _value(each: Evidence) -> str:
    if each.kind == "disguise":
        return mask(each.value)
    if each.kind != "indicator" or (each.type != "url" and each.type not in _KEPT and each.type != "bank_account"):
        return each.value
    details = {name: value for name, value in each.details.items() if name != "link"}  # the bare id is no link
    return "".join(_hidden(replace(each, text=each.value, details=details)))


def _details(each: Evidence) -> dict[str, str]:
    return {name: value for name, value in each.details.items() if name not in ("link", "to", "biller")}


def _hidden(each: Evidence) -> list[str]:
    """The characters of an identifier, all but those that stay hidden."""
    characters = list(each.text)
    if each.type == "bank_account":
        places = [at for at, character in enumerate(characters) if character.isdigit()]
        for at in set(places) - set(places[_ACCOUNT_KEPT]):
            characters[at] = HIDDEN
    elif each.type == "url" or "link" in each.details:
        if "official" not in each.details:
            for match in _LINK_TAIL.finditer(each.text):
                for at in range(match.start() + 1, match.end()):
                    characters[at] = HIDDEN if characters[at].isalnum() else characters[at]
    elif each.type in _KEPT:
        head, tail = _KEPT[each.type]
        stop = each.text.index("@") if each.type == "email" else len(characters)
        places = [at for at, character in enumerate(characters[:stop]) if character.isalnum()]
        for at in places[head : len(places) - tail]:
            characters[at] = HIDDEN
    return characters


def _names(text: str) -> Iterator[tuple[int, int]]:
    """Names behind titles: any word behind a title that only people have; behind others, one that is a first name."""
    for match in _TITLE.finditer(text):
        word = _WORD.match(text, match.end())
        if word is None:
            continue
        start, end = word.span()
        if not _SURE.match(match[0]):
            known = _first_name(word[0])
            if known is None:
                continue
            end = start + known
        surname = _SURNAME.match(text, end)
        yield start, surname.end() if surname else end


def _first_name(word: str) -> int | None:
    """How long the first name is that a word begins with, if any; the whole run if little follows it."""
    for length in range(min(len(word), 16), 2, -1):
        if word[:length] in _first_names():
            return length
    return None


@cache
def _first_names() -> frozenset[str]:
    return frozenset(thai_male_names()) | frozenset(thai_female_names())


def _is_letter(character: str) -> bool:
    return character.isalnum() or "\u0e31" <= character <= "\u0e4e"  # or a Thai mark
