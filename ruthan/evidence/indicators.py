"""Find identifiers that a message pushes: links, phone numbers, chat ids, accounts, sums, codes.

Patterns run on the normalised text and have bounded repeats only, so that no text can stall them; what is found is
reported on the text as received.
"""

from collections.abc import Callable, Iterator

from ruthan.evidence.accounts import find_accounts
from ruthan.evidence.contacts import (
    find_emails,
    find_facebook_names,
    find_licences,
    find_line_ids,
    find_telegram_ids,
    find_whatsapp_numbers,
)
from ruthan.evidence.found import Found
from ruthan.evidence.links import find_links
from ruthan.evidence.payments import find_amounts, find_crypto, find_ussd
from ruthan.evidence.phones import find_phones
from ruthan.text.normalized import NormalizedText
from ruthan.verdict import Evidence

# Where two overlap, the earlier detector wins.
DETECTORS: tuple[Callable[[str], Iterator[Found]], ...] = (
    find_emails,
    find_links,
    find_crypto,
    find_accounts,
    find_ussd,
    find_whatsapp_numbers,
    find_phones,
    find_licences,
    find_telegram_ids,
    find_facebook_names,
    find_line_ids,
    find_amounts,
)


def find_indicators(text: NormalizedText, original: str) -> tuple[Evidence, ...]:
    """All indicators in order of position, none inside another. `original` is what `text` was made from."""
    found: list[Evidence] = []
    taken = bytearray(len(text.text))  # 1 where a character already belongs to an indicator
    for detector in DETECTORS:
        for each in detector(text.text):
            if any(taken[each.start : each.end]):
                continue
            taken[each.start : each.end] = b"\1" * (each.end - each.start)
            first, last = text.to_original(each.start, each.end)
            found.append(Evidence("indicator", each.type, each.value, original[first:last], first, last, each.details))
    return tuple(sorted(found, key=lambda evidence: evidence.start))
