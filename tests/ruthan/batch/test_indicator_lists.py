import csv
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ruthan.batch.campaigns import Campaign, CampaignIndicator
from ruthan.batch.indicator_lists import (
    LEAST_MESSAGES,
    ListedIndicator,
    listed,
    may_be_listed,
    stix_bundle,
    write_indicator_csv,
    write_indicator_table,
    write_stix,
)
from ruthan.batch.join_keys import IDENTIFYING
from ruthan.batch.results import ResultsError

WRITTEN = datetime(2026, 11, 20, 1, 2, 3, tzinfo=UTC)
EVERY_TYPE = {
    "url": "https://pay.loan-x.com/it's?a=\\1&b=[2]",
    "domain": "loan-x.com",
    "phone": "+66810005678",
    "whatsapp": "+66810005679",
    "line_id": "@loan001",
    "telegram": "loan_boss",
    "facebook": "loan.boss",
    "email": "o'brien@example.com",
    "bank_account": "1234567890",
    "promptpay": "1101700230705",
    "promptpay_qr": "00020101021129370016A000000677010111011300668100056785802TH53037646304ABCD",
    "crypto": "TJRabPrwbZy45sbavfcjinPJC18kjpRTv8",
}
NEVER = [
    ("hotline", "1441"),
    ("phone", "1441"),
    ("domain", "kasikornbank.com"),
    ("url", "https://www.kasikornbank.com/login"),
    ("domain", "bit.ly"),
    ("domain", "google.com"),
    ("url", "https://bit.ly"),
    ("url", "https://forms.gle/"),
    ("citizen_id", "1101700230705"),
    ("money", "THB 50000"),
    ("ussd", "*139#"),
    ("recruitment_licence", "ต.1234/2550"),
    ("phone", "+668xxxxx678"),
    ("line_id", "boxxxxxx"),
    ("url", "https://bit.ly/xxxxxx"),
    ("facebook", "facebook.com/profile.php"),
    ("domain", ""),
    ("url", "http://loan-x.com/\ud83d"),
    ("line_id", "a\nb"),
]


def campaign(name="c-000000000001", indicators=None, messages=5, **other):
    values = {
        "id": name,
        "messages": messages,
        "texts": 1,
        "label": "loan",
        "labels": {"loan": messages},
        "risk": 0.93,
        "actions": {"block": messages},
        "needs_help": 0,
        "first_seen": "2026-10-02T08:54:00+07:00",
        "last_seen": "2026-10-05T08:54:00+07:00",
        "channels": {"sms": messages},
        "senders": 1,
        "exemplar": None,
        "exemplar_evidence": (),
        "exemplar_source": None,
        "indicators": tuple(
            CampaignIndicator(kind, value, messages) for kind, value in indicators or EVERY_TYPE.items()
        ),
    }
    return Campaign(**{**values, **other})


def test_all_that_identifies_a_sender_may_be_listed():
    assert set(EVERY_TYPE) == IDENTIFYING
    lines = listed([campaign()])
    assert {(each.type, each.value) for each in lines} == set(EVERY_TYPE.items())
    [link] = [each for each in lines if each.type == "url"]
    assert link == ListedIndicator(
        "url",
        EVERY_TYPE["url"],
        "loan-x.com",
        "loan",
        "c-000000000001",
        5,
        "2026-10-02T08:54:00+07:00",
        "2026-10-05T08:54:00+07:00",
        0.93,
    )


@pytest.mark.parametrize(("kind", "value"), NEVER)
def test_what_could_strike_others_is_never_listed(tmp_path, kind, value):
    assert not may_be_listed(kind, value)
    assert listed([campaign(indicators=[(kind, value)])]) == []
    counted = [ListedIndicator(kind, value, "", "loan", "", 9, None, None, 0.9)]
    write_indicator_table(tmp_path / "list.csv", counted)
    assert len((tmp_path / "list.csv").read_text(encoding="utf-8-sig").splitlines()) == 1
    assert len(stix_bundle(counted, WRITTEN)["objects"]) == 2


def test_only_what_has_support_is_listed():
    few = campaign(messages=LEAST_MESSAGES - 1)
    assert listed([few]) == []
    assert listed([few], least_messages=2)
    assert listed([campaign(risk=0.4)]) == []
    assert listed([campaign(risk=0.4)], least_risk=0.3)
    assert listed([campaign(label="benign")]) == []


def test_what_stands_in_several_campaigns_is_not_listed():
    phone = [("phone", "+6620005678")]
    assert listed([campaign(indicators=phone), campaign("c-000000000002", phone, messages=1)]) == []


def test_a_list_does_not_hang_on_the_order_of_campaigns():
    one, other = campaign(), campaign("c-000000000002", [("phone", "+6620005678")], messages=9)
    assert listed([one, other]) == listed([other, one])
    assert listed([one, other])[0].value == "+6620005678"


def test_a_table_is_safe_in_a_spreadsheet(tmp_path):
    path = tmp_path / "list.csv"
    write_indicator_csv(path, [campaign(first_seen=None, label='=HYPERLINK("http://x.example.com")')])
    assert path.read_bytes().startswith(
        b"\xef\xbb\xbftype,value,domain,label,campaign,messages,first_seen,last_seen,risk"
    )
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(EVERY_TYPE)
    for each in rows:
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in each.values())
    by_type = {each["type"]: each for each in rows}
    assert by_type["phone"]["value"] == "'+66810005678"
    assert by_type["line_id"]["value"] == "'@loan001"
    assert by_type["url"]["value"] == EVERY_TYPE["url"]
    assert by_type["url"]["first_seen"] == ""


def test_an_empty_list_is_a_table_and_a_bundle_all_the_same(tmp_path):
    write_indicator_csv(tmp_path / "list.csv", [])
    write_stix(tmp_path / "list.json", [])
    assert (tmp_path / "list.csv").read_text(encoding="utf-8-sig").startswith("type,value")
    assert len(json.loads((tmp_path / "list.json").read_text(encoding="utf-8"))["objects"]) == 2
    assert len(list(tmp_path.iterdir())) == 2


def test_a_bundle_is_valid_stix(tmp_path):
    stix2 = pytest.importorskip("stix2")
    from stix2patterns.v21.pattern import Pattern

    write_stix(tmp_path / "list.json", [campaign()])
    bundle = stix2.parse((tmp_path / "list.json").read_text(encoding="utf-8"), allow_custom=False, version="2.1")
    by_type: dict[str, list] = {}
    for each in bundle.objects:
        by_type.setdefault(each.type, []).append(each)
    assert {kind: len(found) for kind, found in by_type.items()} == {
        "identity": 1,
        "extension-definition": 1,
        "campaign": 1,
        "indicator": len(EVERY_TYPE),
        "relationship": len(EVERY_TYPE),
    }
    names = {each.id for each in bundle.objects}
    assert len(names) == len(bundle.objects)
    for each in by_type["relationship"]:
        assert each.relationship_type == "indicates"
        assert {each.source_ref, each.target_ref} <= names
    read = {}
    for each in by_type["indicator"]:
        Pattern(each.pattern)
        assert each.created <= each.modified
        read[each.name.partition(" ")[0]] = each
    assert read["url"].pattern == r"[url:value = 'https://pay.loan-x.com/it\'s?a=\\1&b=[2]']"
    assert read["line_id"].pattern == "[user-account:account_type = 'line' AND user-account:account_login = '@loan001']"
    assert read["phone"].confidence == 93
    [whole] = by_type["campaign"]
    assert whole.name == "c-000000000001"
    assert whole.first_seen.isoformat() == "2026-10-02T01:54:00+00:00"


def test_values_cannot_break_out_of_their_pattern():
    stix2 = pytest.importorskip("stix2")
    value = "x' OR url:value LIKE '%"
    line = ListedIndicator("line_id", value, "", "loan", "", 9, None, None, 0.9)
    [*_, indicator] = stix2.parse(stix_bundle([line], WRITTEN), version="2.1").objects
    assert indicator.pattern.endswith(r"= 'x\' OR url:value LIKE \'%']")
    assert indicator.valid_from == WRITTEN


def test_one_list_gives_the_same_bytes(tmp_path):
    lines = listed([campaign()])
    for name in ("one.json", "other.json"):
        write_stix(tmp_path / name, [campaign()])
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()
    later = stix_bundle([replace(each, messages=9) for each in lines], WRITTEN.replace(day=21))
    ids = {each["id"] for each in later["objects"]}
    assert ids == {each["id"] for each in stix_bundle(lines, WRITTEN)["objects"]}
    assert later["id"] != stix_bundle(lines, WRITTEN)["id"]


def test_an_indicator_counted_twice_is_one_object():
    line = ListedIndicator("phone", "+66810005678", "", "loan", "", 9, None, None, 0.9)
    assert len(stix_bundle([line, line], WRITTEN)["objects"]) == 3


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(ResultsError, match="cannot write"):
        write_indicator_csv(tmp_path / "none" / "list.csv", [campaign()])
    with pytest.raises(ResultsError, match="cannot write"):
        write_stix(tmp_path / "none" / "list.json", [campaign()])
