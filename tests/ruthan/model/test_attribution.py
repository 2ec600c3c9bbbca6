from pathlib import Path
from random import Random
from statistics import fmean

import pytest

from ruthan.model import attribution
from ruthan.model.attribution import STRUCK_OUT, attribute, word_spans
from ruthan.scanner import Scanner
from ruthan.taxonomy import BENIGN

CHALLENGE = Path(__file__).parents[3] / "data/challenge"
LURE = "รับแอดมินตอบแชท เดือนละ 35,000 ไม่ดูวุฒิ มีรถรับถึงบ้าน พาข้ามฝั่งไปปอยเปต ทักมาได้เลย"


def _risk(scanner: Scanner, text: str) -> float:
    [prediction] = scanner.classifier.classify([text.strip() or " "])
    return 1 - float(prediction.probabilities[scanner.classifier.info.labels.index(BENIGN)])


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + text[end:]
    return text


def test_the_words_are_slices_of_the_text_and_few(scanner: Scanner) -> None:
    [prediction] = scanner.classifier.classify([LURE])
    found = attribute(scanner.classifier, LURE, prediction)
    assert 0 < len(found) <= STRUCK_OUT
    for word in found:
        assert LURE[word.start : word.end] == LURE[word.start : word.end].strip() != ""


def test_a_weight_is_what_striking_the_word_out_does(scanner: Scanner) -> None:
    [prediction] = scanner.classifier.classify([LURE])
    heaviest = attribute(scanner.classifier, LURE, prediction)[0]
    before, after = _risk(scanner, LURE), _risk(scanner, _without(LURE, [(heaviest.start, heaviest.end)]))
    assert heaviest.weight > 0
    assert after <= before


def test_striking_out_the_top_words_lowers_the_risk_more_than_random_ones(scanner: Scanner) -> None:
    """Faithful on the challenge sets; the figure for all of them is in docs/experiments.md."""
    pytest.importorskip("datasketch", reason="needs the extra train: pip install '.[train]'")
    from train.corpus.challenge import SEED, read_challenge
    from train.slots import prepare

    random = Random(7)
    entries = [entry for _, entry in read_challenge(CHALLENGE / "must_catch.jsonl")]
    texts = [prepare(entry.record.text, entry.record.id, SEED) for entry in entries]
    top_drops, random_drops = [], []
    for text, prediction in zip(texts, scanner.classifier.classify(texts), strict=True):
        before = _risk(scanner, text)
        top = [(word.start, word.end) for word in attribute(scanner.classifier, text, prediction)[:3]]
        top_drops.append(before - _risk(scanner, _without(text, top)))
        spans = word_spans(text)
        draws = [random.sample(spans, min(3, len(spans))) for _ in range(3)]
        random_drops.append(before - fmean(_risk(scanner, _without(text, draw)) for draw in draws))
    assert fmean(top_drops) > fmean(random_drops)


def test_words_are_divided_at_blanks_in_every_script() -> None:
    text = "กดลิงก์ bit.ly/a 'now' or 5,000 บาท!"
    found = [text[start:end] for start, end in word_spans(text)]
    assert found[-4:] == ["'now'", "or", "5,000", "บาท"]
    assert "bit.ly/a" in found


def test_no_more_runs_than_ten_times_a_scan(scanner: Scanner) -> None:
    runs = 0
    session = scanner.classifier._session

    class Counting:
        def run(self, *arguments: object) -> object:
            nonlocal runs
            runs += 1
            return session.run(*arguments)

    scanner.classifier._session = Counting()
    try:
        scanner.scan(LURE)
        plain, runs = runs, 0
        scanner.scan(LURE, explain=True)
        assert plain == 1
        assert runs <= 10 * plain
    finally:
        scanner.classifier._session = session


def test_a_long_text_is_explained_by_the_window_that_decides(scanner: Scanner) -> None:
    text = "วันนี้อากาศดี เดินไปตลาดซื้อผัก กลับมาทำกับข้าวกินกันที่บ้าน " * 80 + LURE
    [prediction] = scanner.classifier.classify([text])
    assert prediction.windows > 1
    found = attribute(scanner.classifier, text, prediction)
    assert found
    assert all(word.start > len(text) - 3_000 for word in found)


def test_hostile_text_is_no_trouble(scanner: Scanner, hostile: str) -> None:
    verdict = scanner.scan(hostile, explain=True)
    for word in verdict.words or ():
        assert hostile[word.start : word.end] == word.text


def test_what_has_no_words_has_no_weights(scanner: Scanner) -> None:
    assert scanner.scan("😀", explain=True).words == ()
    assert attribution.STRUCK_OUT == 7
