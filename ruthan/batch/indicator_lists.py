"""Lists of indicators for those who block them: a table (CSV) and a bundle of STIX 2.1.

A list holds what identifies who sent harmful messages, and only what has support: see `listed`. Every line is to be
read by a person before anything is blocked or reported by it; numbers and accounts may be borrowed, sold or forged.

The bundle is written without the library stix2: that would weigh on every installation, names objects at random and
stamps them with the time of the run, while here one list gives the same bytes always. Tests read it with stix2.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from ruthan.batch.campaigns import Campaign
from ruthan.batch.join_keys import IDENTIFYING, is_masked, is_official, join_key, own_domain
from ruthan.batch.results import inert, replacing
from ruthan.taxonomy import BENIGN

LEAST_MESSAGES = 3
LEAST_RISK = 0.5


@dataclass(frozen=True)
class ListedIndicator:
    """One line of a list.

    :param type: one of `ruthan.batch.join_keys.IDENTIFYING`.
    :param domain: of a link, its registrable domain, if that says who sent it; else empty.
    :param label: of its campaign; `campaign` is the id, empty for an indicator that was counted without one.
    :param messages: how many of the campaign's messages hold it.
    :param first_seen: of the campaign, ISO 8601 with zone, or None; `last_seen` likewise.
    :param risk: the highest of the campaign, 0 to 1.
    """

    type: str
    value: str
    domain: str
    label: str
    campaign: str
    messages: int
    first_seen: str | None
    last_seen: str | None
    risk: float


def listed(
    campaigns: Sequence[Campaign], least_messages: int = LEAST_MESSAGES, least_risk: float = LEAST_RISK
) -> list[ListedIndicator]:
    """The indicators of campaigns that may go on a list, the most frequent first, ties by type and value.

    An indicator has support if it identifies a sender, stands in at least `least_messages` messages of its campaign,
    and the campaign is harmful by its label with a risk of at least `least_risk`. Left out is what could strike
    others: what `may_be_listed` refuses, and what stands in several campaigns without joining them (a hub, see
    `ruthan.batch.campaigns`), as a bank's own number does.

    :param campaigns: all that were found together, not some of them: which indicators are shared is seen from all.
    """
    shared = Counter((each.type, each.value) for campaign in campaigns for each in campaign.indicators)
    found = [
        ListedIndicator(
            type=each.type,
            value=each.value,
            domain=(own_domain(each.value) or "") if each.type in ("url", "domain") else "",
            label=campaign.label,
            campaign=campaign.id,
            messages=each.messages,
            first_seen=campaign.first_seen,
            last_seen=campaign.last_seen,
            risk=campaign.risk,
        )
        for campaign in campaigns
        if campaign.risk >= least_risk and campaign.label != BENIGN
        for each in campaign.indicators
        if each.messages >= least_messages
        and shared[each.type, each.value] == 1
        and may_be_listed(each.type, each.value)
    ]
    return sorted(found, key=lambda each: (-each.messages, each.type, each.value))


def may_be_listed(kind: str, value: str) -> bool:
    """Whether blocking an indicator can strike its holder only.

    Not so for official contacts and hotlines, domains of shorteners and platforms, the bare address of a site, citizen
    ids, codes and licences that many share, masked values, and names of chat apps that are none.
    """
    if kind not in IDENTIFYING or is_official(kind, value) or is_masked(kind, value) or not value.isprintable():
        return False
    return join_key(kind, value) is not None or (kind == "url" and own_domain(value) is not None)


def write_indicator_csv(path: Path, campaigns: Sequence[Campaign]) -> None:
    """A table of what is `listed` of campaigns, see `write_indicator_table`.

    :raises ResultsError: the file cannot be written.
    """
    write_indicator_table(path, listed(campaigns))


def write_stix(path: Path, campaigns: Sequence[Campaign], written: datetime | None = None) -> None:
    """A bundle of what is `listed` of campaigns, as JSON, see `stix_bundle`.

    :param written: with its zone; by default the time of the newest message of `campaigns`, so that equal campaigns
        give equal bytes whenever they are written.
    :raises ResultsError: the file cannot be written.
    """
    if written is None:
        written = max((time for each in campaigns if (time := _read(each.last_seen))), default=_read(_BEGINNING))
    assert written is not None
    bundle = stix_bundle(listed(campaigns), written)
    with replacing(path) as file:
        file.write(json.dumps(bundle, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace") + b"\n")


def write_indicator_table(path: Path, indicators: Iterable[ListedIndicator]) -> None:
    """A table with the fields of `ListedIndicator` as its columns; of what `may_be_listed` only.

    A value that a spreadsheet would take for a formula has an apostrophe before it, which is no part of it:
    `'+66810005678`, `'@shop`.

    :raises ResultsError: the file cannot be written.
    """
    indicators = [each for each in indicators if may_be_listed(each.type, each.value)]
    with replacing(path) as file:
        # The byte order mark is what makes Excel read Thai.
        text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="backslashreplace", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow([each.name for each in fields(ListedIndicator)])
        for each in indicators:
            cells = ("" if cell is None else cell for cell in astuple(each))
            writer.writerow([inert(cell) if isinstance(cell, str) else cell for cell in cells])
        text.detach()


# Names of objects are made from this; another number would make other objects of all that were ever sent out.
_OURS = UUID("5d1f5a0e-3f6e-4f43-9a57-0c1d8c1f7c1e")
_BEGINNING = "2026-11-01T00:00:00.000Z"  # when identity and extension were written down
_MARKING = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"  # TLP:AMBER: numbers and accounts are of people
_IDENTITY = f"identity--{uuid5(_OURS, 'ruthan')}"
_EXTENSION = f"extension-definition--{uuid5(_OURS, 'contacts and accounts')}"
# What STIX has no observable for is one of its user accounts, or of a type that the bundle's extension defines.
_PATTERNS = {
    "url": "url:value = {}",
    "domain": "domain-name:value = {}",
    "email": "email-addr:value = {}",
    "line_id": "user-account:account_type = 'line' AND user-account:account_login = {}",
    "telegram": "user-account:account_type = 'telegram' AND user-account:account_login = {}",
    "whatsapp": "user-account:account_type = 'whatsapp' AND user-account:account_login = {}",
    "facebook": "user-account:account_type = 'facebook' AND user-account:account_login = {}",
    "phone": "phone-number:value = {}",
    "bank_account": "bank-account:account_number = {}",
    "promptpay": "promptpay-id:value = {}",
    "promptpay_qr": "promptpay-qr:value = {}",
    "crypto": "cryptocurrency-wallet:value = {}",
}
_SCHEMA = (
    "New observables: phone-number (value: E.164), bank-account (account_number: digits), promptpay-id (value: mobile "
    "number in E.164, citizen or tax id, or wallet), promptpay-qr (value: EMVCo payload), cryptocurrency-wallet (value)"
)


def stix_bundle(indicators: Iterable[ListedIndicator], written: datetime) -> dict[str, Any]:
    """A bundle of STIX 2.1: an `indicator` for each line, a `campaign` for each campaign, `indicates` between them.

    Lines that `may_be_listed` refuses are left out. One list at one time gives the same bundle. An object keeps its id
    for good, made of type and value or of the campaign's id; `modified` tells versions apart.

    :param written: with its zone; stands for `modified`, and for times that are not known.
    """
    now = _time(written)
    objects: dict[str, dict[str, Any]] = {}
    campaigns: dict[str, dict[str, Any]] = {}
    for each in indicators:
        if not may_be_listed(each.type, each.value):
            continue
        name = f"indicator--{uuid5(_OURS, f'{each.type} {each.value}')}"
        objects[name] = _common("indicator", name, now) | {
            "name": f"{each.type} {each.value}",
            "indicator_types": ["malicious-activity"],
            "pattern": f"[{_PATTERNS[each.type].format(_quoted(each.value))}]",
            "pattern_type": "stix",
            "pattern_version": "2.1",
            "valid_from": _time(_read(each.first_seen) or written),
            "labels": [each.label],
            "confidence": round(each.risk * 100),
        }
        if not each.campaign:
            continue
        target = f"campaign--{uuid5(_OURS, each.campaign)}"
        campaigns.setdefault(target, _campaign(each, target, now))
        link = f"relationship--{uuid5(_OURS, f'{name} indicates {target}')}"
        ends = {"relationship_type": "indicates", "source_ref": name, "target_ref": target}
        objects[link] = _common("relationship", link, now) | ends
    every = [_IDENTITY_OBJECT, _EXTENSION_OBJECT, *campaigns.values(), *objects.values()]
    content = json.dumps(every, sort_keys=True)
    return {"type": "bundle", "id": f"bundle--{uuid5(_OURS, content)}", "objects": every}


def _common(kind: str, name: str, now: str) -> dict[str, Any]:
    return {
        "type": kind,
        "spec_version": "2.1",
        "id": name,
        "created_by_ref": _IDENTITY,
        "created": _BEGINNING,  # of all versions the same, as the standard asks
        "modified": max(now, _BEGINNING),
        "object_marking_refs": [_MARKING],
    }


def _campaign(each: ListedIndicator, name: str, now: str) -> dict[str, Any]:
    first, last = _read(each.first_seen), _read(each.last_seen)
    seen = {"first_seen": first, "last_seen": last}
    return (
        _common("campaign", name, now)
        | {"name": each.campaign, "description": f"Messages of the kind {each.label}", "labels": [each.label]}
        | {field: _time(time) for field, time in seen.items() if time is not None}
    )


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _read(time: str | None) -> datetime | None:
    return datetime.fromisoformat(time) if time else None


def _time(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_IDENTITY_OBJECT = {
    "type": "identity",
    "spec_version": "2.1",
    "id": _IDENTITY,
    "created": _BEGINNING,
    "modified": _BEGINNING,
    "name": "ruthan",
    "description": "A program that says which messages look like scams or trafficking recruitment",
    "identity_class": "system",
}
_EXTENSION_OBJECT = {
    "type": "extension-definition",
    "spec_version": "2.1",
    "id": _EXTENSION,
    "created_by_ref": _IDENTITY,
    "created": _BEGINNING,
    "modified": _BEGINNING,
    "name": "Contacts and accounts",
    "description": "Observables that patterns of ruthan name and STIX 2.1 does not define",
    "schema": _SCHEMA,
    "version": "1.0.0",
    "extension_types": ["new-sco"],
}
