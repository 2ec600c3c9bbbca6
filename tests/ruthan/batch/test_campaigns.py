import doctest
import json
import random
from dataclasses import replace

import pytest

from ruthan.batch import campaigns as module
from ruthan.batch import join_keys
from ruthan.batch.campaign_file import read_campaigns, write_campaigns
from ruthan.batch.campaigns import (
    HUB_GROUPS,
    INDICATORS,
    SENDER_KEYS,
    SENDERS,
    TEMPLATE_KEYS,
    TEXT_KEYS,
    Campaigns,
)
from ruthan.batch.near_duplicates import template_id
from ruthan.batch.results import ResultsError
from ruthan.errors import DataError
from ruthan.evidence.indicators import find_indicators
from ruthan.masking import mask, mask_evidence
from ruthan.text.normalize import normalize

# What both ways of reading two dumps must give alike.
STATED = (
    ("messages", "texts", "label", "labels", "risk", "actions", "needs_help", "first_seen", "last_seen", "channels")
    + ("senders", "indicators")
)  # fmt: skip
LOAN = "สินเชื่อด่วนอนุมัติไวภายในสิบนาที ไม่เช็คบูโร ไม่ต้องมีคนค้ำ สนใจแอดไลน์ @{} ได้เลย"
PARCEL = "พัสดุของท่านถูกตีกลับเพราะที่อยู่ไม่ครบ กรุณายืนยันภายในวันนี้ที่ {} มิฉะนั้นจะถูกส่งคืน"
JOB = "รับสมัครแอดมินตอบแชท ทำงานต่างประเทศ ที่พักฟรี อาหารฟรี มีรถรับถึงบ้าน โทร {}"
PRIZE = "ขอแสดงความยินดี คุณเป็นผู้โชคดีประจำเดือน รับของรางวัลมูลค่าสูงได้ที่ {} ด่วน"


def row(
    text, label="loan", action="block", risk=0.9, line=1, masked=False, with_text=False, needs_help=False, **message
):
    evidence = find_indicators(normalize(text), text)
    shown = mask(text) if masked else text
    if masked:
        evidence = mask_evidence(evidence, shown)
    entries = [
        {"kind": each.kind, "type": each.type, "value": each.value, "text": each.text, "details": each.details}
        for each in evidence
    ]
    held = {"text": shown} if with_text else {}
    return {
        "risk": risk,
        "label": label,
        "action": action,
        "evidence": entries,
        "needs_help": needs_help,
        "source": {"file": "chat.txt", "line": line},
        "message": {"id": f"{line:016x}", "template": template_id(text), **held, **message},
    }


def add_all(campaigns, texts, **common):
    for line, text in enumerate(texts, 1):
        campaigns.add(row(text, line=line, **common), text)
    return campaigns


def found(texts, **common):
    return add_all(Campaigns(), texts, **common).found()


def test_copies_of_a_text_are_one_campaign():
    [campaign] = found([LOAN.format("loan001"), LOAN.format("loan002"), LOAN.format("loan001")])
    assert campaign.messages == 3
    assert campaign.texts == 1
    assert [(each.value, each.messages) for each in campaign.indicators] == [("@loan001", 2), ("@loan002", 1)]


def test_near_duplicates_are_one_campaign_where_the_text_is_known():
    texts = [LOAN.format("loan001"), "สวัสดีค่ะ " + LOAN.format("loan002")]
    [campaign] = found(texts)
    assert (campaign.messages, campaign.texts) == (2, 2)
    unread = Campaigns()
    for text in texts:
        unread.add(row(text))
    assert unread.found() == []


def test_different_texts_with_one_contact_are_one_campaign():
    [campaign] = found([LOAN.format("boss99"), PRIZE.format("LINE @boss99")])
    assert campaign.texts == 2


def test_a_number_is_the_same_called_or_paid():
    [campaign] = found([JOB.format("081-000-5678"), "โอนค่ามัดจำก่อนทำงานมาที่ พร้อมเพย์ 0810005678 วันนี้เท่านั้น"])
    assert {each.type for each in campaign.indicators} == {"phone", "promptpay"}


def test_links_join_by_their_domain():
    [campaign] = found([PARCEL.format("https://a.thaipost-x.com/1"), PRIZE.format("http://b.thaipost-x.com/z")])
    assert ("domain", "thaipost-x.com", 2) in [(each.type, each.value, each.messages) for each in campaign.indicators]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://bit.ly/3abcde", "https://bit.ly/3fghij"),
        ("https://one.vercel.app/a", "https://two.vercel.app/a"),
        ("https://sites.google.com/view/one", "https://sites.google.com/view/two"),
        ("https://www.kasikornbank.com/a", "https://www.kasikornbank.com/a"),
        ("https://line.me/R/", "https://line.me/R/"),
        ("https://www.facebook.com/groups/1234567", "https://www.facebook.com/groups/7654321"),
        ("สายด่วน โทร 1441", "สายด่วน โทร 1441"),
    ],
)
def test_what_says_nothing_of_the_sender_joins_nothing(one, other):
    assert found([PARCEL.format(one), PRIZE.format(other)]) == []


@pytest.mark.parametrize("link", ["https://bit.ly/3abcde", "https://one.vercel.app/a", "https://forms.gle/AbCd12"])
def test_the_same_whole_link_joins_even_on_a_shortener_or_free_host(link):
    assert len(found([PARCEL.format(link), PRIZE.format(link)])) == 1


def test_allowed_rows_are_no_part_of_campaigns():
    campaigns = add_all(Campaigns(), [LOAN.format("loan001")] * 3, action="allow", label="benign")
    assert campaigns.found(smallest=1) == []


def test_small_campaigns_are_left_out_and_large_ones_come_first():
    texts = [LOAN.format("loan001")] * 2 + [JOB.format("081-000-5678")] * 5 + [PARCEL.format("http://x.example.com")]
    assert [each.messages for each in found(texts)] == [5, 2]
    assert [each.messages for each in add_all(Campaigns(), texts).found(smallest=1)] == [5, 2, 1]
    assert [each.messages for each in add_all(Campaigns(), texts).found(smallest=3)] == [5]


def test_all_fields_are_gathered():
    campaigns = Campaigns()
    text = JOB.format("081-000-5678")
    first = row(text, "trafficking", risk=0.7, line=5, with_text=True, channel="sms", sender="aaaaaaaaaaaa")
    first["message"]["sent_at"] = "2026-10-02T08:54:00+07:00"
    second = row(text, "task_job", "review", risk=0.95, line=9, with_text=True, needs_help=True, sender="bbbbbbbbbbbb")
    second["message"]["sent_at"] = "2026-10-01T23:00:00+00:00"
    third = row(text, "trafficking", "review", line=11, sender="aaaaaaaaaaaa", sent_at="no time at all")
    for each in (first, second, third):
        campaigns.add(each)
    [campaign] = campaigns.found()
    assert campaign.id.startswith("c-")
    assert campaign.label == "trafficking"
    assert campaign.labels == {"trafficking": 2, "task_job": 1}
    assert campaign.actions == {"review": 2, "block": 1}
    assert campaign.risk == 0.95
    assert campaign.needs_help == 1
    assert campaign.channels == {"sms": 1}
    assert campaign.senders == 2
    assert (campaign.first_seen, campaign.last_seen) == ("2026-10-02T06:00:00+07:00", "2026-10-02T08:54:00+07:00")
    assert campaign.exemplar == text
    assert campaign.exemplar_source == {"file": "chat.txt", "line": 9}
    assert [each["type"] for each in campaign.exemplar_evidence] == ["phone"]


def test_a_text_that_rows_do_not_hold_is_not_kept():
    [campaign] = found([LOAN.format("loan001")] * 2)
    assert campaign.exemplar is None
    assert "สินเชื่อ" not in json.dumps(campaign.keys)


def test_benign_is_the_label_only_where_there_is_no_other():
    campaigns = add_all(Campaigns(), [LOAN.format("a01")] * 3, label="benign", action="review")
    assert campaigns.found()[0].label == "benign"
    assert add_all(campaigns, [LOAN.format("a01")]).found()[0].label == "loan"


def mixed_texts():
    source = random.Random(7)
    texts = []
    for number in range(12):
        texts.append(LOAN.format(f"loan{number % 5:03}"))
        texts.append(f"สวัสดีค่ะ {LOAN.format(f'cash{number % 3:03}')}")
        texts.append(PARCEL.format(f"https://p{number % 4}.post{number % 2}-th.com/{number}"))
        texts.append(JOB.format(f"08100056{number % 6:02}"))
        texts.append(PRIZE.format(f"https://w{number}.post1-th.com"))
        texts.append(f"ข้อความที่ไม่เหมือนใครเลยสักข้อความเดียวหมายเลข {chr(0x0E01 + number) * 25} ติดต่อ 0810005600")
    source.shuffle(texts)
    return texts


def rows_of(texts):
    for line, text in enumerate(texts, 1):
        minute = line % 60
        yield (
            text,
            row(
                text,
                ("loan", "parcel", "prize")[line % 3],
                ("block", "review")[line % 2],
                risk=line % 7 / 7,
                line=line,
                with_text=True,
                channel=("sms", "chat")[line % 2],
                sender=f"{line % 9:012x}",
                sent_at=f"2026-10-02T08:{minute:02}:00+07:00",
            ),
        )


def test_campaigns_do_not_hang_on_the_order_of_rows():
    rows = list(rows_of(mixed_texts()))

    def all_found(order):
        campaigns = Campaigns()
        for text, each in order:
            campaigns.add(each, text)
        return campaigns.found(smallest=1)

    expected = all_found(rows)
    assert 1 < len(expected) < 12
    for seed in range(4):
        random.Random(seed).shuffle(rows)
        assert all_found(rows) == expected


@pytest.mark.parametrize("cut", [1, 20, 50])
def test_two_dumps_one_after_the_other_give_what_both_give_at_once(tmp_path, cut):
    rows = list(rows_of(mixed_texts()))
    whole, first = Campaigns(), Campaigns()
    for text, each in rows:
        whole.add(each, text)
    for text, each in rows[:cut]:
        first.add(each, text)
    write_campaigns(tmp_path / "known.jsonl", first.found(smallest=1))
    second = Campaigns(read_campaigns(tmp_path / "known.jsonl"))
    for text, each in rows[cut:]:
        second.add(each, text)

    def stated(campaigns):
        return sorted(
            (tuple(repr(getattr(each, name)) for name in STATED) for each in campaigns.found(smallest=1)), reverse=True
        )

    assert stated(second) == stated(whole)


@pytest.mark.parametrize(
    "again",
    [
        LOAN.format("someone.else1"),
        "ด่วนๆ " + LOAN.format("someone.else2"),
        PRIZE.format("LINE @loan001"),
    ],
    ids=["template", "near-duplicate", "indicator"],
)
def test_a_known_campaign_goes_on(again):
    [old] = found([LOAN.format("loan001")] * 2)
    [new] = add_all(Campaigns([old]), [again]).found()
    assert new.id == old.id
    assert new.messages == 3
    assert new.merged == ()


def test_known_campaigns_that_no_row_belongs_to_stay_unless_left_out():
    old = found([LOAN.format("loan001")] * 2 + [JOB.format("081-000-5678")] * 3)
    campaigns = add_all(Campaigns(old), [LOAN.format("loan001")] * 2)
    assert sorted(each.messages for each in campaigns.found()) == [3, 4]
    assert [each.messages for each in campaigns.found(seen_only=True)] == [4]
    assert Campaigns(old).found() == sorted(old, key=lambda each: (-each.messages, each.id))


def test_known_campaigns_that_become_one_keep_the_older_id():
    [loan] = found([LOAN.format("loan001")] * 2, sent_at="2026-10-02T08:00:00+07:00")
    [job] = found([JOB.format("081-000-5678")] * 2, sent_at="2026-09-30T08:00:00+07:00")
    joining = ["ติดต่อเราได้ทุกวันไม่มีวันหยุด แอดไลน์ @loan001 หรือโทร 081-000-5678"]
    [campaign] = add_all(Campaigns([loan, job]), joining).found()
    assert campaign.id == job.id
    assert campaign.merged == (loan.id,)
    assert campaign.messages == 5
    assert add_all(Campaigns([campaign]), [LOAN.format("other1")]).found()[0].merged == (loan.id,)
    [loan, job] = (replace(each, first_seen=None, last_seen=None) for each in (loan, job))
    [campaign] = add_all(Campaigns([loan, job]), joining).found()
    assert campaign.id == min(loan.id, job.id)


def unrelated(number):
    letters = random.Random(number)
    return "".join(chr(letters.randrange(0x0E01, 0x0E2E)) for _ in range(60))


def test_an_indicator_of_many_unrelated_texts_of_many_labels_joins_nothing():
    labels = ("loan", "parcel", "prize", "gambling")
    hub = Campaigns()
    for number in range(HUB_GROUPS + 4):
        text = f"{unrelated(number)} โทร 02-000-5678"
        hub.add(row(text, labels[number % 4]), text)
    assert hub.found() == []
    assert len(hub.found(smallest=1)) == HUB_GROUPS + 4


def test_an_indicator_of_many_texts_of_one_label_joins_them():
    gang = Campaigns()
    for number in range(HUB_GROUPS + 4):
        text = f"{unrelated(number)} โทร 02-000-5678"
        gang.add(row(text, "loan" if number % 4 else "parcel"), text)
    assert [each.messages for each in gang.found()] == [HUB_GROUPS + 4]


def test_masked_indicators_do_not_join_different_ones():
    texts = [
        "ติดต่อ 081-000-5678 นะ",
        "โทรเลย 081-999-9678",
        "ไอดีไลน์ boss77",
        "ไอดีไลน์ boat99",
        "https://bit.ly/3abcde ดูนี่",
        "https://bit.ly/3fghij ดูเลย",
        "เลขบัญชี 123-4-56789-0 กสิกร",
        "บัญชี 999-4-56789-9 กสิกร",
        "อีเมล amy@example.com",
        "ส่งมา aek@example.com",
    ]
    assert found(texts, masked=True) == []
    campaigns = add_all(Campaigns(), texts, masked=True).found(smallest=1)
    assert {each.type for campaign in campaigns for each in campaign.indicators} <= {"domain"}


def test_masked_links_join_by_their_domain():
    assert (
        len(found([PARCEL.format("https://a.post-x.com/1"), PRIZE.format("https://a.post-x.com/2")], masked=True)) == 1
    )


def test_ids_do_not_change_from_version_to_version():
    [campaign] = found([LOAN.format("loan001")] * 2)
    assert campaign.id == "c-" + module.sha256(f"campaign {template_id(LOAN.format('x9'))}".encode()).hexdigest()[:12]


def test_senders_are_exact_up_to_a_bound_and_estimated_beyond():
    text = LOAN.format("loan001")
    common = row(text)
    for count, fits in ((SENDERS, 0), (20 * SENDERS, 0.1)):
        one, other = Campaigns(), Campaigns()
        senders = [f"sender {number}" for number in range(count)]
        for campaigns in (one, other):
            for sender in senders:
                campaigns.add({**common, "message": {**common["message"], "sender": sender}})
            random.Random(count).shuffle(senders)
        [campaign] = one.found()
        assert abs(campaign.senders - count) <= fits * count
        assert other.found() == [campaign]
        assert len(campaign.sender_keys) == SENDER_KEYS


def test_a_sender_is_one_by_name_or_pseudonym():
    campaigns = Campaigns()
    campaigns.add(row(LOAN.format("a1"), sender="+66810005678"))
    campaigns.add(row(LOAN.format("a1"), sender=module.sha256(b"+66810005678").hexdigest()[:12]))
    assert campaigns.found()[0].senders == 1


def test_what_is_held_does_not_grow_with_messages():
    campaigns = Campaigns()
    text = LOAN.format("loan001")
    common = row(text)
    for number in range(5_000):
        message = {**common["message"], "sender": f"sender {number}"}
        campaigns.add({**common, "message": message, "source": {"file": "chat.txt", "line": number}})
    assert len(campaigns._seen) == 1
    assert len(campaigns._numbers) == 1
    [seen] = campaigns._seen.values()
    assert len(seen.senders) <= SENDERS * 5 // 4
    assert campaigns.found()[0].messages == 5_000


def test_what_a_campaign_carries_is_bounded():
    campaigns = Campaigns()
    for number in range(300):
        text = f"{unrelated(number)} โทร 02-000-5678 https://a.example{number}.com"
        campaigns.add(row(text), text)
    [campaign] = campaigns.found()
    assert campaign.texts == 300
    assert len([key for key in campaign.keys if key.startswith("t:")]) == TEMPLATE_KEYS
    assert len([key for key in campaign.keys if key.startswith("n:")]) == TEXT_KEYS
    [again] = add_all(Campaigns([campaign]), ["ถามได้ที่ โทร 02-000-5678 ตลอดทั้งวันทั้งคืนเลยนะคะ"]).found()
    assert again.texts >= 300
    codes = (module.CampaignIndicator("ussd", f"*{number}#", 999) for number in range(2_000))
    many = replace(campaign, indicators=(*codes, *campaign.indicators[:2]))
    [again] = add_all(Campaigns([many]), [f"{unrelated(1)} โทร 02-000-5678"]).found()
    assert len(again.indicators) == INDICATORS
    assert "phone" in {each.type for each in again.indicators}


WRONG = {
    "no object": ["a"],
    "no action": {"action": None},
    "action of another kind": {"action": ["block"]},
    "unknown action": {"action": "delete"},
    "no label": {"label": None},
    "risk as text": {"risk": "0.9"},
    "risk above 1": {"risk": 1.5},
    "no number": {"risk": float("nan")},
    "true for a risk": {"risk": True},
    "message as text": {"message": "text"},
    "no template": {"message": {}},
    "template of another form": {"message": {"template": "../etc"}},
    "text as number": {"message": {"template": "0" * 16, "text": 5}},
    "sender as list": {"message": {"template": "0" * 16, "sender": []}},
    "time as number": {"message": {"template": "0" * 16, "sent_at": 1790000000}},
    "channel as number": {"message": {"template": "0" * 16, "channel": 1}},
    "evidence as text": {"evidence": "phone"},
    "evidence of texts": {"evidence": ["phone"]},
    "value as number": {"evidence": [{"kind": "indicator", "type": "phone", "value": 5}]},
    "details as list": {"evidence": [{"kind": "indicator", "type": "phone", "value": "5", "details": []}]},
    "what JSON cannot hold": {"evidence": [{"kind": object()}]},
    "help as text": {"needs_help": "no"},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_row_of_the_wrong_kind_is_named_and_counts_nothing(wrong):
    campaigns = add_all(Campaigns(), [LOAN.format("secret1")])
    before = campaigns.found(smallest=1)
    whole = row(LOAN.format("secret1"), line=77)
    bad = {**whole, **wrong} if isinstance(wrong, dict) else wrong
    with pytest.raises(DataError, match="row 2 of the results") as error:
        campaigns.add(bad)
    assert "secret" not in str(error.value)
    if isinstance(bad, dict):
        assert "chat.txt, line 77" in str(error.value)
    assert campaigns.found(smallest=1) == before


def test_what_json_cannot_hold_is_refused():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    for more in ({1, 2}, deep):
        with pytest.raises(DataError, match="row 1 of the results.*what JSON cannot"):
            Campaigns().add({**row(LOAN.format("a1")), "evidence": [{"kind": "signal", "more": more}]})


def test_a_source_of_the_wrong_kind_is_refused():
    for source in ("chat.txt", {"file": 1, "line": 1}, {"file": "chat.txt"}, {"file": "chat.txt", "line": "1"}):
        with pytest.raises(DataError, match="row 1 of the results: `source`"):
            Campaigns().add({**row(LOAN.format("a1")), "source": source})


def test_hostile_values_do_no_harm():
    campaigns = Campaigns()
    values = [
        "",
        "x",
        "://",
        "https://",
        "http://[::1",
        "http://" + "a." * 900,
        "\ud83d",
        "http://\ud83d.com/x",
        "@" * 99,
    ]
    for kind in ("url", "domain", "email", "line_id", "telegram", "whatsapp", "phone", "crypto", "promptpay_qr"):
        for value in values:
            each = row("ข้อความ")
            each["evidence"] = [{"kind": "indicator", "type": kind, "value": value, "text": value}]
            each["message"]["text"] = "\ud83d" * 20
            campaigns.add(each)
    assert sum(each.messages for each in campaigns.found(smallest=1)) == 9 * len(values)


def test_a_file_holds_what_was_written(tmp_path):
    campaigns = Campaigns()
    for text, each in rows_of([*mixed_texts(), LOAN.format("a1") + "\ud83d"]):
        campaigns.add(each, text)
    path = tmp_path / "campaigns.jsonl"
    write_campaigns(path, campaigns.found(smallest=1))
    first = path.read_bytes()
    assert read_campaigns(path) == campaigns.found(smallest=1)
    write_campaigns(path, read_campaigns(path))
    assert path.read_bytes() == first
    assert [each.name for each in tmp_path.iterdir()] == ["campaigns.jsonl"]


def test_an_aborted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "campaigns.jsonl"
    write_campaigns(path, found([LOAN.format("loan001")] * 2))
    before = path.read_bytes()

    def breaks_off():
        yield from found([JOB.format("081-000-5678")] * 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_campaigns(path, breaks_off())
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["campaigns.jsonl"]
    with pytest.raises(ResultsError, match="cannot write"):
        write_campaigns(tmp_path / "no folder" / "campaigns.jsonl", [])


DAMAGED = {
    "half a line": (lambda line: line[: len(line) // 2], "no JSON"),
    "no text": (lambda line: b"\xff\xfe", "no JSON"),
    "a list": (lambda line: b"[]", "no object"),
    "deep": (lambda line: b"[" * 100_000, "no JSON"),
    "long number": (lambda line: b'{"messages": ' + b"9" * 9_999 + b"}", "no JSON"),
    "a field missing": (lambda line: line.replace(b'"label"', b'"lable"'), "`label` is missing"),
    "a text for a number": (lambda line: line.replace(b'"messages": 2', b'"messages": "2"'), "`messages` must be"),
    "a number below 0": (lambda line: line.replace(b'"messages": 2', b'"messages": -2'), "`messages` must be"),
    "a risk above 1": (lambda line: line.replace(b'"risk": 0.9', b'"risk": 9'), "`risk` must be"),
    "no number": (lambda line: line.replace(b'"risk": 0.9', b'"risk": NaN'), "`risk` must be"),
    "no time": (lambda line: line.replace(b'"first_seen": null', b'"first_seen": "soon"'), "`first_seen` must be"),
    "no zone": (
        lambda line: line.replace(b'"first_seen": null', b'"first_seen": "2026-10-02"'),
        "`first_seen` must be",
    ),
    "another key": (lambda line: line.replace(b'"t:', b'"z:'), "`keys` must be"),
    "indicators": (lambda line: line.replace(b'"value": "@loan001"', b'"value": 1'), "`indicators` must be"),
    "an id of another form": (lambda line: line.replace(b'"id": "c-', b'"id": "../'), "`id` must be"),
    "twice": (lambda line: line + line, "an earlier campaign"),
}


@pytest.mark.parametrize(("damage", "said"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused_with_line_and_reason(tmp_path, damage, said):
    path = tmp_path / "known.jsonl"
    write_campaigns(path, found([LOAN.format("loan001")] * 2))
    line = path.read_bytes()
    other = tmp_path / "other.jsonl"
    write_campaigns(other, found([JOB.format("081-000-5678")] * 2))
    path.write_bytes(other.read_bytes() + damage(line))
    with pytest.raises(DataError, match=said) as error:
        read_campaigns(path)
    assert f"{path}, line " in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="cannot read .*known.jsonl"):
        read_campaigns(tmp_path / "known.jsonl")


def test_examples_of_the_rules_of_joining_hold():
    assert doctest.testmod(join_keys).failed == 0
