import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from ruthan import Message, Scanner
from ruthan.errors import MessageError
from ruthan.message import Source
from ruthan.taxonomy import BENIGN, default_taxonomy

LURE = "รับแอดมินตอบแชท เดือนละ 35,000 ไม่ดูวุฒิ มีรถรับถึงบ้าน พาข้ามฝั่งไปปอยเปต ไม่ต้องใช้พาสปอร์ต แอดไลน์ ＠HR-poipet"
ORDINARY = "ประชุมพรุ่งนี้เก้าโมงที่ห้องเดิมนะครับ อย่าลืมเอาเอกสารมาด้วย"


def test_a_lure_is_risky_and_ordinary_talk_is_not(scanner: Scanner) -> None:
    lure, ordinary = scanner.scan(LURE), scanner.scan(ORDINARY)
    assert lure.label == "trafficking"
    assert lure.risk > 0.9
    assert ordinary.label == BENIGN
    assert ordinary.risk < 0.3


def test_the_verdict_has_the_fields_of_the_contract(scanner: Scanner) -> None:
    verdict = scanner.scan(LURE).to_dict()
    assert list(verdict) == [
        "risk", "label", "action", "scores", "evidence", "reasons", "reasons_en", "advice", "advice_en", "needs_help",
        "recruitment", "model", "policy", "windows",
    ]  # fmt: skip
    assert 0 <= verdict["risk"] <= 1
    assert verdict["scores"] == dict(sorted(verdict["scores"].items(), key=lambda item: -item[1]))
    assert set(verdict["scores"]) <= set(default_taxonomy().labels)
    assert verdict["model"] == scanner.model
    assert verdict["policy"] == "default"
    [indicator] = [each for each in verdict["evidence"] if each["kind"] == "indicator"]
    assert indicator == {
        "kind": "indicator",
        "type": "line_id",
        "value": "@hr-poipet",
        "text": "＠HR-poipet",
        "start": LURE.index("＠"),
        "end": len(LURE),
    }
    crossing = next(each for each in verdict["evidence"] if each["type"] == "border_crossing")
    assert (crossing["kind"], crossing["details"]["strength"]) == ("signal", "strong")
    assert "value" not in crossing
    assert verdict["recruitment"]["strong"] >= 2
    assert "1694" in verdict["advice"][0]
    assert "1694" in verdict["advice_en"][0]


def test_evidence_is_in_order_and_slices_the_text_as_received(scanner: Scanner) -> None:
    text = "สล๊ot ส.มั.ค.ร ด่วน\u200b! " + LURE
    verdict = scanner.scan(text, explain=True)
    assert {each.kind for each in verdict.evidence} == {"indicator", "signal", "disguise"}
    assert [each.start for each in verdict.evidence] == sorted(each.start for each in verdict.evidence)
    for each in (*verdict.evidence, *(verdict.words or ())):
        assert text[each.start : each.end] == each.text


def test_a_sign_inside_an_identifier_is_only_part_of_it(scanner: Scanner) -> None:
    found = [each for each in scanner.scan(LURE).evidence if each.type == "border_place"]
    assert {each.text for each in found} == {"ปอยเปต"}


@pytest.mark.parametrize(
    "plea",
    [
        "แม่ หนูโดนหลอกมา อยู่ตึกอะไรไม่รู้ เขาไม่ให้ออก ช่วยหนูด้วย พาสปอร์ตเขาเก็บไปหมดแล้ว",
        "น้องชายไปทำงานที่ปอยเปต ขาดการติดต่อมาแล้ว 9 วัน ใครพบช่วยแจ้งด้วย",
        "Please help me, they took my passport and won't let me leave, I am in a building in Myawaddy",
    ],
)
def test_a_plea_goes_to_a_person_whatever_its_risk(scanner: Scanner, plea: str) -> None:
    verdict = scanner.scan(plea)
    assert verdict.needs_help
    assert verdict.action == "review"
    assert "1300" in verdict.advice[0]
    assert "ช่วยเหลือ" in verdict.reasons[0]


def test_a_warning_is_no_plea_and_says_that_it_quotes(scanner: Scanner) -> None:
    verdict = scanner.scan("ตำรวจเตือน อย่าหลงเชื่อ มิจฉาชีพอ้างว่าโดนกักตัว ขอให้โอนเงินไถ่ตัว ธนาคารไม่มีนโยบายขอรหัส OTP")
    assert not verdict.needs_help
    assert all("quoted" in each.details for each in verdict.evidence if each.kind == "signal")


def test_words_are_told_only_when_asked_for(scanner: Scanner) -> None:
    assert scanner.scan(LURE).words is None
    assert "words" not in scanner.scan(LURE).to_dict()
    words = scanner.scan(LURE, explain=True).words
    assert words
    assert [word.weight for word in words] == sorted((word.weight for word in words), reverse=True)
    assert scanner.scan(" ", explain=True).words == ()


def test_a_masking_scanner_shows_no_identifier_anywhere(scanner: Scanner) -> None:
    text = "กู้ง่าย โทร 081-234-5678 คุณสมชาย ใจดี แอดไลน์ somchai99 บัญชีกสิกร 123-4-56789-0 โอนค่าธรรมเนียมก่อน ด่วน"
    masked = Scanner(mask=True).scan(text, explain=True)
    plain = scanner.scan(text, explain=True)
    assert (masked.risk, masked.label) == (plain.risk, plain.label)
    assert [(each.type, each.start, each.end) for each in masked.evidence] == [
        (each.type, each.start, each.end) for each in plain.evidence
    ]
    written = str(masked.to_dict())
    for secret in ("234-5678", "812345678", "สมชาย", "ใจดี", "somchai99", "1234567890", "123-4-5"):
        assert secret in str(plain.to_dict()) or secret in ("ใจดี", "สมชาย"), secret
        assert secret not in written, secret


def test_the_action_follows_the_policy(scanner: Scanner) -> None:
    for text in (LURE, ORDINARY):
        verdict = scanner.scan(text)
        assert verdict.action == scanner.policy.action(verdict.risk, verdict.needs_help)


def test_hostile_text_gets_a_defined_verdict(scanner: Scanner, hostile: str) -> None:
    verdict = scanner.scan(hostile)
    assert 0 <= verdict.risk <= 1
    assert verdict.label in default_taxonomy().labels
    assert verdict.reasons
    for each in verdict.evidence:
        assert hostile[each.start : each.end] == each.text


@pytest.mark.parametrize("text", ["", "   ", "\u200b\n\u3000"])
def test_nothing_to_read_is_said_so(scanner: Scanner, text: str) -> None:
    verdict = scanner.scan(text)
    assert (verdict.risk, verdict.label, verdict.action, verdict.windows) == (0, BENIGN, "allow", 0)
    assert "ว่าง" in verdict.reasons[0]


def test_a_long_text_is_windowed_and_its_end_is_read(scanner: Scanner) -> None:
    harmless = "วันนี้อากาศดี เดินไปตลาดซื้อผัก กลับมาทำกับข้าวกินกันที่บ้าน แล้วก็นั่งคุยกันเรื่องสวนหลังบ้าน "
    text = harmless * 60 + LURE
    verdict = scanner.scan(text)
    assert verdict.windows > 3
    assert verdict.risk > 0.9
    assert any(str(verdict.windows) in reason for reason in verdict.reasons)
    assert scanner.scan(LURE).windows == 1


def test_many_keeps_the_order_and_streams(scanner: Scanner) -> None:
    consumed = 0

    def endless() -> object:
        nonlocal consumed
        for number in itertools.count():
            consumed += 1
            yield Message(LURE if number % 2 else ORDINARY, source=Source("f", number))

    verdicts = list(itertools.islice(scanner.scan_many(endless()), 300))
    assert [verdict.source.line for verdict in verdicts if verdict.source] == list(range(300))
    assert {verdict.label for verdict in verdicts[1::2]} == {"trafficking"}
    assert consumed <= 1_000


def test_the_same_text_gets_the_same_verdict_alone_in_a_batch_and_from_many_threads(scanner: Scanner) -> None:
    texts = [f"{part} {number}" for number in range(20) for part in (LURE, ORDINARY, "โอนเงินสำเร็จ 500 บาท")]
    alone = [scanner.scan(text) for text in texts]
    assert list(scanner.scan_many(texts)) == alone
    assert list(scanner.scan_many(reversed(texts))) == alone[::-1]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(scanner.scan, texts)) == alone


@pytest.mark.parametrize("wrong", [None, 1, b"text", ["text"], Message(None)], ids=repr)  # type: ignore[arg-type]
def test_what_is_no_message_is_refused_by_its_type(scanner: Scanner, wrong: object) -> None:
    with pytest.raises(MessageError, match="a message is a text or a ruthan Message, not"):
        scanner.scan(wrong)  # type: ignore[arg-type]
