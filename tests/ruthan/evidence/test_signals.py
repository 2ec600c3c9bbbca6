import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ruthan.errors import DataError
from ruthan.evidence.signals import STRENGTHS, Signals, count_recruitment_signs, default_signals
from ruthan.resources import shipped
from ruthan.text.normalize import normalize
from ruthan.verdict import Evidence, RecruitmentSigns

CONTENT = yaml.safe_load(shipped("data", "signals.yaml").read_text(encoding="utf-8"))
TACTICS = (  # of the project's brief; the rest are the signs of recruitment and of people in need
    "urgency authority threat secrecy off_platform credential_request personal_data advance_fee app_install "
    "guaranteed_gain easy_high_pay travel_paid border_crossing documents_held debt_bondage account_supply "
    "looks_age_demand emotional_bond odd_payment social_proof"
).split()


def find(text: str) -> tuple[Evidence, ...]:
    return default_signals().find(normalize(text), text)


def earnest(text: str) -> set[str]:
    return {each.type for each in find(text) if "quoted" not in each.details}


@pytest.mark.parametrize(
    ("text", "sign", "words"),
    [
        ("โอนด่วน ก่อนหมดเขต", "urgency", "ด่วน"),
        ("นี่เจ้าหน้าที่ตำรวจ สภ.เมืองเชียงใหม่", "authority", "สภ.เมือง"),
        ("ท่านมีหมายจับ", "threat", "หมายจับ"),
        ("เรื่องนี้อย่าบอกใครนะ", "secrecy", "อย่าบอกใคร"),
        ("สนใจแอดไลน์มาเลย", "off_platform", "แอดไลน์"),
        ("ขอรหัส OTP 6 หลักด้วยค่ะ", "credential_request", "ขอรหัส OTP"),
        ("ส่งรูปคู่บัตรประชาชนมา", "personal_data", "ส่งรูปคู่บัตรประชาชน"),
        ("ต้องโอนค่าธรรมเนียมก่อน", "advance_fee", "โอนค่า"),
        ("กดโหลดแอปตามลิงก์", "app_install", "โหลดแอป"),
        ("การันตีกำไรทุกวัน", "guaranteed_gain", "การันตีกำไร"),
        ("งานง่าย ไม่ต้องมีประสบการณ์", "easy_high_pay", "ไม่ต้องมีประสบการณ์"),
        ("รับคนงาน ฟรีที่พัก อาหาร มีรถรับ", "travel_paid", "ฟรีที่พัก"),
        ("ไปทางช่องทางธรรมชาติ", "border_crossing", "ช่องทางธรรมชาติ"),
        ("ถึงแล้วยึดพาสปอร์ตไว้", "documents_held", "ยึดพาสปอร์ตไว้"),
        ("ทำงานใช้หนี้ หักค่าหัวทีหลัง", "debt_bondage", "หักค่าหัวทีหลัง"),
        ("รับเปิดบัญชี เล่มละ 2,000", "account_supply", "รับเปิดบัญชี"),
        ("รับสมัครหญิง 18-25 หน้าตาดี", "looks_age_demand", "หน้าตาดี"),
        ("ที่รัก พี่ลำบากมาก", "emotional_bond", "ที่รัก"),
        ("จ่ายเป็น USDT เท่านั้น", "odd_payment", "USDT"),
        ("รีวิวแน่น โชว์สลิปทุกวัน", "social_proof", "รีวิวแน่น"),
        ("งานแอดมิน บอก ตม. ว่าไปเที่ยว", "conceal_trip", "บอก ตม. ว่าไปเที่ยว"),
        ("งานเกาหลี เข้าแบบนักท่องเที่ยวก่อน", "tourist_visa_work", "นักท่องเที่ยว"),
        ("อยากออกต้องจ่ายค่าตัว 100,000", "price_to_leave", "ค่าตัว"),
        ("งานตอบแชท ชื่อบริษัทแจ้งทีหลัง", "no_employer", "ชื่อบริษัทแจ้งทีหลัง"),
        ("แอดมินตอบแชทที่ปอยเปต", "compound", "ปอยเปต"),
        ("ไปทำงานแถวแม่สอด", "border_place", "แม่สอด"),
        ("หนูถูกกักตัว ออกไม่ได้ ช่วยด้วย", "plea", "ถูกกักตัว"),
        ("น้องสาวขาดการติดต่อมา 5 วัน", "missing_person", "ขาดการติดต่อ"),
    ],
)
def test_a_sign_is_found_with_its_words(text: str, sign: str, words: str) -> None:
    found = [each for each in find(text) if each.type == sign]
    assert any(words in each.text for each in found), found
    assert all(each.kind == "signal" and text[each.start : each.end] == each.text for each in found)
    assert sign in earnest(text)


def test_every_tactic_of_the_brief_has_a_name_in_both_languages_and_an_example() -> None:
    signals = default_signals().signals
    assert set(TACTICS) <= signals.keys()
    for signal in signals.values():
        assert signal.english.isascii()
        assert any("\u0e01" <= letter <= "\u0e4e" for letter in signal.thai)
        assert normalize(signal.thai).text == signal.thai


@pytest.mark.parametrize(
    "text",
    [
        "ธนาคารไม่มีนโยบายขอ OTP หรือขอรหัส OTP ทางโทรศัพท์",
        "ระวังข้อความหลอก อ้างว่าท่านมีหมายจับ",
        "อย่าโหลดแอปจากลิงก์ใน SMS",
        "ตำรวจเตือน มิจฉาชีพชวนทำงาน ไม่ต้องมีประสบการณ์ ฟรีที่พัก อาหาร",
        "Our bank will never ask you to share your one-time password",
        "ไม่มีการเรียกเก็บค่าธรรมเนียมล่วงหน้า",
    ],
)
def test_who_denies_forbids_or_warns_only_quotes(text: str) -> None:
    assert earnest(text) == set()


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("สามารถรับสินค้าได้ที่ร้าน รับสมัครงาน", "travel_paid"),  # รถรับ runs over the end of a word
        ("รหัส OTP 1234 ห้ามบอกใคร", "secrecy"),
        ("เก็บพาสปอร์ตไว้ในกระเป๋านะลูก", "documents_held"),
        ("รถด่วนพิเศษเข้าชานชาลา 3 โทรสายด่วน 1441", "urgency"),
        ("คืนค่ามัดจำหอพักแล้ว ไม่มีค่าธรรมเนียม", "advance_fee"),
        ("ตามหาแมวหาย ใครพบช่วยโทรที", "missing_person"),
        ("ฟรีที่พัก 1 คืน เมื่อจองทัวร์", "travel_paid"),  # no work
        ("ซื้อซิมใหม่จากศูนย์บริการ", "account_supply"),
    ],
)
def test_the_same_words_put_to_an_ordinary_use_are_no_sign(text: str, sign: str) -> None:
    assert sign not in {each.type for each in find(text)}


def test_signs_are_found_under_a_disguise_and_reported_on_the_text_as_received() -> None:
    text = "งาน ไม่ต้oงมีประสบการณ์ แ อ ด ไ ล น์ มา"
    found = {each.type: each.text for each in find(text)}
    assert found["easy_high_pay"] == "ไม่ต้oงมีประสบการณ์"
    assert found["off_platform"] == "แ อ ด ไ ล น์"


def test_recruitment_signs_have_a_strength_and_a_source() -> None:
    cited = [group for entry in CONTENT["signals"] for group in entry["cues"] if "source" in group]
    assert len(cited) >= 12
    assert all(group["strength"] in STRENGTHS and group["source"].startswith(("ILO", "UNODC")) for group in cited)


def test_a_strength_is_told_only_of_a_message_about_work() -> None:
    assert [each.details for each in find("โอนด่วน")] == [{}]
    assert find("รับสมัครพนักงาน ด่วน")[0].details["strength"] == "weak"


def test_each_kind_of_sign_counts_once_and_at_its_strongest() -> None:
    text = "รับแอดมินตอบแชทที่ปอยเปต ฟรีที่พัก อาหาร มีรถรับถึงบ้าน พาข้ามฝั่ง ด่วน ด่วน"
    assert count_recruitment_signs(find(text)) == RecruitmentSigns(strong=2, medium=1, weak=2)
    assert count_recruitment_signs(find("ตำรวจเตือน " + text)) == RecruitmentSigns()


def test_a_plea_needs_help_and_a_report_of_one_does_not() -> None:
    signals = default_signals()
    assert signals.needs_help(find("พ่อครับ ผมถูกขังอยู่ในตึก เขาไม่ให้ออก ช่วยแจ้งตำรวจให้ที"))
    assert not signals.needs_help(find("ตำรวจเตือน มีเหยื่อถูกขังอยู่ในตึกที่ปอยเปต"))
    assert not signals.needs_help(find("ช่วยด้วยยย ติวไม่ทันแล้ว"))


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from(["ด่วน", "แอดไลน์", "เเ", "\u200b", "ข้ามฝั่ง", " ", "ก", "a", "OTP", "ขอรหัส", "\n"]), max_size=30
    )
)
def test_every_sign_slices_the_text_as_received(pieces: list[str]) -> None:
    text = "".join(pieces)
    for each in find(text):
        assert text[each.start : each.end] == each.text
        assert each.text.strip() == each.text


def test_hostile_text_is_no_trouble(hostile: str) -> None:
    for each in find(hostile):
        assert hostile[each.start : each.end] == each.text


@pytest.mark.parametrize(
    "text",
    ["แอดมิน" * 8_000, "ออก" * 15_000, "ด่วน" * 12_000, "โอน" * 15_000, "ไม่" * 15_000, "ช่วย" * 12_000, "a" * 50_000]
    + ["จ่าย ค่า " * 6_000, "พาสปอร์ต " * 6_000, "บัญชี " * 8_000, "งานปอยเปต " * 5_000]
    + ["ทางด่วน" * 8_000, "ซื้อซิมใหม่ " * 6_000],
    ids=lambda text: text[:6],
)
def test_no_text_stalls_the_search(text: str) -> None:
    normalized = normalize(text)
    began = time.perf_counter()
    default_signals().find(normalized, text)
    assert time.perf_counter() - began < 20


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda content: content.pop("denial"), "a field is missing"),
        (lambda content: content["signals"][0].pop("thai"), "a field is missing"),
        (lambda content: content["signals"][0]["cues"][0].update(strength="huge"), "strength 'huge'"),
        (lambda content: content["signals"][0]["cues"][0].update(find=["(a"]), "cannot be used"),
        (lambda content: content["signals"][0]["cues"][0].update(find=["(?=a)b"]), "cannot be used"),
    ],
)
def test_a_malformed_file_is_refused_by_name(tmp_path: Path, change: object, complaint: str) -> None:
    content = yaml.safe_load(yaml.safe_dump(CONTENT))
    assert callable(change)
    change(content)
    path = tmp_path / "signals.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    with pytest.raises(DataError, match=complaint):
        Signals(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere.yaml"):
        Signals(tmp_path / "nowhere.yaml")
