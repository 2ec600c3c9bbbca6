import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ruthan.errors import DataError
from ruthan.model.classifier import Classifier, Prediction
from ruthan.policy import Policy
from ruthan.reasons import LANGUAGES, MOST, Case, Sentences, default_sentences
from ruthan.resources import shipped
from ruthan.scanner import Scanner
from ruthan.taxonomy import BENIGN, default_taxonomy
from ruthan.text.normalize import normalize
from ruthan.verdict import Action, Evidence, Verdict

REASONS, ADVICE = shipped("data", "reasons.yaml"), shipped("data", "advice.yaml")
URGENT = Evidence("signal", "urgency", "", "ด่วน", 0, 4, {"strength": "weak"})
HELD = Evidence("signal", "documents_held", "", "ยึดพาสปอร์ต", 9, 20, {"strength": "strong"})
LINK = Evidence(
    "indicator", "url", "http://a-kbank.cc", "a-kbank.cc", 30, 40, {"domain": "a-kbank.cc", "lookalike": "KBANK"}
)
DISGUISED = Evidence("disguise", "letters_in_words", "โบนัส", "โuนัa", 50, 55)
CASE = Case("loan", "loan", "block", (), needs_help=False, windows=1)


def reasons(case: Case, language: str = "th") -> tuple[str, ...]:
    return default_sentences().words(case, language).reasons


def all_sentences() -> list[str]:
    found: list[str] = []

    def walk(node: object) -> None:
        if isinstance(node, dict):
            for value in node.values():
                walk(value)
        elif isinstance(node, str):
            found.append(node)

    for path in (REASONS, ADVICE):
        walk(yaml.safe_load(path.read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize("label", default_taxonomy().labels)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_label_has_a_sentence_and_advice_in_both_languages(label: str, language: str) -> None:
    action = "allow" if label == BENIGN else "block"
    words = default_sentences().words(replace(CASE, label=label, action=action), language)  # type: ignore[arg-type]
    assert len(words.reasons) == 1
    assert bool(words.advice) == (label != BENIGN)
    for sentence in (*words.reasons, *words.advice):
        thai = any("\u0e01" <= letter <= "\u0e4e" for letter in sentence)
        assert thai == (language == "th")
        assert not re.search(r"[{}]", sentence)


def test_no_sentence_calls_a_message_safe_or_a_person_guilty() -> None:
    for sentence in all_sentences():
        assert "ปลอดภัย" not in sentence
        assert not re.search(r"\bsafe\b|\bcriminal\b|\bvictim\b|your fault", sentence, re.IGNORECASE)
        assert not any(word in sentence for word in ("อาชญากร", "คนร้าย", "เหยื่อ", "ความผิดของคุณ"))


def test_the_thai_of_every_sentence_is_well_formed() -> None:
    for sentence in all_sentences():
        plain = re.sub(r"\{\w+\}", "ก", sentence)
        assert normalize(plain).text == plain


def test_hotlines_are_dated() -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", default_sentences().checked)


def test_signs_are_named_with_their_words_the_strongest_first() -> None:
    said = reasons(replace(CASE, evidence=(URGENT, HELD)))
    assert said[1] == "พบสัญญาณเตือน ได้แก่ เก็บเอกสารหรือโทรศัพท์ไว้ (“ยึดพาสปอร์ต”) และเร่งให้รีบทำ (“ด่วน”)"
    english = reasons(replace(CASE, evidence=(URGENT, HELD)), "en")
    assert english[1] == "Warning signs: Documents or phone held (“ยึดพาสปอร์ต”); Presses for haste (“ด่วน”)."


def test_a_borrowed_name_and_a_disguise_are_told_and_never_more_than_three_sentences() -> None:
    said = reasons(replace(CASE, evidence=(LINK, DISGUISED)))
    assert "a-kbank.cc" in said[1]
    assert "KBANK" in said[1]
    assert "“โuนัa” อ่านว่า “โบนัส”" in said[2]
    assert len(reasons(replace(CASE, evidence=(URGENT, HELD, LINK, DISGUISED), windows=9))) == MOST


def test_what_is_allowed_is_not_said_to_show_signs() -> None:
    said = reasons(replace(CASE, label=BENIGN, action="allow", evidence=(URGENT, LINK)))
    assert said == ("ไม่พบสัญญาณเตือนในข้อความนี้",)


def test_a_quoted_lure_is_said_to_be_quoted() -> None:
    quoted = replace(URGENT, details={"quoted": "yes"})
    said = reasons(replace(CASE, label=BENIGN, action="allow", evidence=(quoted,)))
    assert "ยกคำของกลลวง" in said[1]


def test_help_comes_first_and_its_advice_too() -> None:
    words = default_sentences().words(replace(CASE, label="trafficking", action="review", needs_help=True), "th")
    assert "ความช่วยเหลือ" in words.reasons[0]
    assert "191" in words.advice[0]
    assert "1694" in words.advice[1]


@pytest.mark.parametrize(
    ("file", "change", "complaint"),
    [
        ("reasons", lambda content: content["labels"].pop("loan"), "no sentence for loan"),
        ("reasons", lambda content: content.pop("quoted"), "lacks one of the languages"),
        ("reasons", lambda content: content["unsure"].pop("en"), "lacks one of the languages"),
        ("advice", lambda content: content["classes"].pop("parcel"), "no sentence for parcel"),
        ("advice", lambda content: content["paid"].update(th="โทร {9999}"), "names 9999, which is no hotline"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path: Path, file: str, change: object, complaint: str) -> None:
    paths = {"reasons": REASONS, "advice": ADVICE}
    content = yaml.safe_load(paths[file].read_text(encoding="utf-8"))
    assert callable(change)
    change(content)
    paths[file] = tmp_path / "changed.yaml"
    paths[file].write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    with pytest.raises(DataError, match=complaint):
        Sentences(paths["reasons"], paths["advice"], default_taxonomy())


ODD = {
    "empty": "",
    "blanks": " \t\n\u3000\u200b ",
    "emoji": "😀🎉💰🇹🇭👨\u200d👩\u200d👧",
    "one emoji": "🔥",
    "half a character": "\ud83d",
    "half a character in a word": "โอน\ud83dด่วน",
    "null": "\x00",
    "20,000 characters": ("โอนด่วน " * 2_500),
    "20,000 blanks": " " * 20_000,
    "a plea": "ช่วยด้วย เขาไม่ให้ออก พาสปอร์ตเขาเก็บไปหมดแล้ว",
}
RISK = st.one_of(st.sampled_from([0.0, 1e-300, 0.5, 1.0]), st.floats(0, 1))
POLICIES = st.builds(
    lambda risks, needs_help: Policy("any", min(risks), max(risks), needs_help),
    st.tuples(RISK, RISK),
    st.sampled_from(get_args(Action)),
)


class Fixed(Classifier):
    """Gives every text the same probabilities."""

    def __init__(self, real: Classifier, probabilities: list[float]) -> None:
        self.info = real.info
        self._prediction = Prediction(np.array(probabilities) / sum(probabilities), 1)

    def begin(self, texts: Sequence[str]) -> Callable[[], list[Prediction]]:
        return lambda: [self._prediction for _ in texts]


def check(verdict: Verdict) -> None:
    assert 1 <= len(verdict.reasons) <= MOST
    assert len(verdict.reasons) == len(verdict.reasons_en)
    assert len(verdict.advice) == len(verdict.advice_en)
    if verdict.action != "allow":
        assert verdict.advice or not verdict.windows  # only where there was nothing to read is there nothing to advise


@settings(deadline=None)  # the first text waits for word lists to be read
@given(
    policy=POLICIES,
    probabilities=st.lists(st.floats(1e-9, 1), min_size=16, max_size=16),
    text=st.one_of(st.sampled_from([text for text in ODD.values() if len(text) < 20_000]), st.text(st.characters())),
)
def test_any_policy_gives_a_verdict_whatever_the_text_and_the_network_say(
    scanner: Scanner, policy: Policy, probabilities: list[float], text: str
) -> None:
    changed = copy.copy(scanner)
    changed.policy, changed.classifier = policy, Fixed(scanner.classifier, probabilities)
    check(changed.scan(text))


@pytest.mark.parametrize("text", ODD.values(), ids=list(ODD))
@pytest.mark.parametrize("thresholds", [(0, 0), (0, 1), (1, 1)])
def test_odd_texts_get_a_verdict_at_the_ends_of_the_scale(
    scanner: Scanner, thresholds: tuple[float, float], text: str
) -> None:
    changed = copy.copy(scanner)
    changed.policy = Policy("edge", *thresholds)
    check(changed.scan(text))


@pytest.mark.parametrize("text", [ODD["empty"], ODD["blanks"]])
def test_an_empty_message_that_is_reviewed_is_said_to_be_empty_and_gets_no_advice(scanner: Scanner, text: str) -> None:
    changed = copy.copy(scanner)
    changed.policy = Policy("all", 0, 1)
    verdict = changed.scan(text)
    assert (verdict.action, verdict.label, verdict.advice, verdict.advice_en) == ("review", BENIGN, (), ())
    assert verdict.reasons[0] == "ข้อความว่าง ไม่มีตัวอักษรให้ตรวจ"
