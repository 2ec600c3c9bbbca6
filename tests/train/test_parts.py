import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from train.config import TrainConfig
from train.corpus.near_duplicates import text_digest
from train.corpus.records import UNLABELLED, Record, record_line
from train.corpus.sources import Source
from train.errors import CorpusError
from train.parts import Parts, read_parts

LETTERS = "กขคงจฉชซญดตถทธนบปผพฟมยรลวสหอ"


def authored(number: int) -> Record:
    """A text of the corpus that resembles no other; two of each family."""
    return Record(
        id=f"a{number}",
        text="".join(Random(number).choices(LETTERS, k=24)),
        label="loan" if number // 2 % 2 else "spam",
        kind=None,
        lang="th",
        channel="sms",
        family=f"f{number // 2}",
        pair=None,
        origin="authored",
        hard=False,
    )


AUTHORED = [authored(number) for number in range(120)]


def rows(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"text": f"จริง {LETTERS[number] * 4}", **fields} for number in range(count)]


def write(path: Path, content: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content), encoding="utf-8")
    return str(path)


def listed(path: Path, *texts: str) -> str:
    path.write_text("".join(f"{text_digest(text)}\n" for text in texts), encoding="ascii")
    return str(path)


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(map(record_line, AUTHORED)), encoding="utf-8")
    return TrainConfig(
        name="x", corpus=(str(path),), challenge=None, variants=2, split=(0.6, 0.2, 0.2), teachers=(), sources=()
    )


def texts(records: list[Record]) -> set[str]:
    return {text_digest(record.text) for record in records}


def disjoint(parts: Parts) -> bool:
    three = [texts(parts.trained_on()), texts(parts.calibration), texts(parts.test)]
    return all(three) and sum(map(len, three)) == len(set.union(*three))


def test_no_text_and_no_family_is_in_two_parts(config: TrainConfig) -> None:
    parts = read_parts(config)
    assert disjoint(parts)
    families = [{record.family for record in each} for each in (parts.trained_on(), parts.calibration, parts.test)]
    assert sum(map(len, families)) == len(set.union(*families)) == 60
    assert parts.corpus == AUTHORED


def test_a_text_that_the_corpus_keeps_aside_is_not_learned_from_a_source(tmp_path: Path, config: TrainConfig) -> None:
    alone = read_parts(config)
    aside = [*alone.calibration, *alone.test]
    copies = [{"text": f"{record.text}!!", "label": record.label} for record in aside]
    source = Source(path=write(tmp_path / "real.jsonl", [*copies, *rows(3, label="spam")]))
    parts = read_parts(replace(config, sources=(source,)))
    assert disjoint(parts)
    assert Counter(record.origin for record in parts.passes[0])["real"] == 3


@pytest.mark.parametrize("named_by", [0, 1])
def test_a_text_on_a_calibration_list_is_never_trained_on_whichever_source_it_comes_from(
    tmp_path: Path, config: TrainConfig, named_by: int
) -> None:
    content = rows(6, label="spam")
    kept = listed(tmp_path / "kept.txt", content[0]["text"], content[1]["text"])
    paths = [write(tmp_path / f"{name}.jsonl", content) for name in ("one", "other")]
    sources = [Source(path=path, calibration=kept if at == named_by else None) for at, path in enumerate(paths)]
    parts = read_parts(replace(config, sources=tuple(sources)))
    assert disjoint(parts)
    assert [record.id for record in parts.calibration if record.origin != "authored"] == [
        f"one:{text_digest(row['text'])}" for row in content[:2]
    ]


def test_a_number_without_letters_is_kept_too_although_it_is_given_other_digits(
    tmp_path: Path, config: TrainConfig
) -> None:
    content = [{"text": "000-123-4567", "label": "spam"}, *rows(2, label="spam")]
    kept = listed(tmp_path / "kept.txt", "000-123-4567")
    source = Source(path=write(tmp_path / "real.jsonl", content), calibration=kept)
    parts = read_parts(replace(config, sources=(source,)))
    assert [record.id for record in parts.calibration if record.origin == "real"] == [
        f"real:{text_digest('000-123-4567')}"
    ]
    assert sum(record.origin == "real" for record in parts.trained_on()) == 2


def test_what_one_source_holds_out_is_not_learned_from_another(tmp_path: Path, config: TrainConfig) -> None:
    content = rows(6, label="spam")
    held = listed(tmp_path / "held.txt", content[0]["text"])
    sources = [
        Source(path=write(tmp_path / "one.jsonl", content), held_out=held),
        Source(path=write(tmp_path / "other.jsonl", content)),
    ]
    parts = read_parts(replace(config, sources=tuple(sources)))
    assert text_digest(content[0]["text"]) not in texts(parts.trained_on()) | texts(parts.calibration)
    assert sum(record.origin == "other" for record in parts.passes[0]) == 5


@pytest.mark.parametrize("field", ["held_out", "calibration"])
def test_a_listed_text_in_the_training_part_of_the_corpus_stops_the_run(
    tmp_path: Path, config: TrainConfig, field: str
) -> None:
    record = read_parts(config).passes[0][0]
    source = {"path": write(tmp_path / "r.jsonl", rows(3, label="spam")), field: listed(tmp_path / "l", record.text)}
    with pytest.raises(CorpusError, match=f"^{record.id} is a text that a list in data/splits/ keeps"):
        read_parts(replace(config, sources=(Source.from_dict(source),)))


def test_unlabelled_texts_are_seen_only_where_there_are_teachers(tmp_path: Path, config: TrainConfig) -> None:
    path = write(tmp_path / "real.jsonl", [*rows(8), {"text": "พัสดุถึงแล้ว", "label": "spam"}])
    alone = replace(config, sources=(Source(path=path, unlabelled=True),))
    assert UNLABELLED not in {record.label for record in read_parts(alone).trained_on()}
    taught = read_parts(replace(alone, teachers=("a teacher",)))
    assert Counter(record.label for record in taught.passes[1] if record.origin == "real") == {UNLABELLED: 8, "spam": 1}


def test_an_unlabelled_text_is_neither_calibrated_on_nor_trained_on_if_a_list_keeps_it(
    tmp_path: Path, config: TrainConfig
) -> None:
    content = rows(4)
    source = Source(
        path=write(tmp_path / "real.jsonl", content),
        unlabelled=True,
        calibration=listed(tmp_path / "l", content[0]["text"]),
    )
    parts = read_parts(replace(config, sources=(source,), teachers=("a teacher",)))
    assert UNLABELLED not in {record.label for record in parts.calibration}
    assert sum(record.origin == "real" for record in parts.trained_on()) == 3


def test_calibration_texts_weigh_as_much_as_training_sees_of_their_source(tmp_path: Path, config: TrainConfig) -> None:
    content = rows(12, label="spam")
    kept = listed(tmp_path / "kept.txt", *(row["text"] for row in content[:2]))
    source = Source(path=write(tmp_path / "real.jsonl", content), calibration=kept, weight=0.5)
    parts = read_parts(replace(config, sources=(source,)))
    assert len(parts.calibration_weights) == len(parts.calibration)
    weights = {
        (record.origin, weight) for record, weight in zip(parts.calibration, parts.calibration_weights, strict=True)
    }
    assert weights == {("authored", 1.0), ("real", 0.5)}
    assert sum(record.origin == "real" for record in parts.passes[0]) == 5


def test_a_limit_takes_so_many_texts_of_the_corpus_the_same_in_every_pass(config: TrainConfig) -> None:
    limited = replace(config, limit=7)
    parts = read_parts(limited)
    assert [len(each) for each in parts.passes] == [7, 7]
    assert parts.passes[0] == parts.passes[1] == read_parts(limited).passes[0]
    assert {record.id for record in parts.passes[0]} <= {record.id for record in read_parts(config).trained_on()}
    for kept, whole in ((parts.test, read_parts(config).test), (parts.calibration, read_parts(config).calibration)):
        assert len(kept) == min(14, len(whole))
        assert {record.id for record in kept} <= {record.id for record in whole}
    assert len(read_parts(replace(config, limit=10_000)).passes[0]) == len(read_parts(config).passes[0])


def test_each_pass_draws_anew_and_the_same_seed_draws_alike(tmp_path: Path, config: TrainConfig) -> None:
    source = Source(path=write(tmp_path / "real.jsonl", rows(20, label="spam")), weight=0.5)
    mixed = replace(config, sources=(source,))
    parts = read_parts(mixed)
    drawn = [[record.id for record in each if record.origin == "real"] for each in parts.passes]
    assert len(drawn[0]) == len(drawn[1]) == 10
    assert set(drawn[0]) != set(drawn[1])
    assert read_parts(mixed) == parts
    assert len({record.id for record in parts.trained_on()}) == len(parts.trained_on())


def test_an_empty_part_is_named(tmp_path: Path, config: TrainConfig) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text(record_line(AUTHORED[0]), encoding="utf-8")
    with pytest.raises(CorpusError, match="the (train|calibration) part is empty; give more records"):
        read_parts(replace(config, corpus=(str(path),)))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "cannot read .*list.txt: No such file"), ("", "names no text"), ("no digest\n", ":1: 'no digest' is no")],
)
def test_a_list_that_cannot_be_read_is_named(
    tmp_path: Path, config: TrainConfig, content: str | None, complaint: str
) -> None:
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    source = Source(path=write(tmp_path / "real.jsonl", rows(3, label="spam")), calibration=str(path))
    with pytest.raises(CorpusError, match=complaint):
        read_parts(replace(config, sources=(source,)))


def test_a_training_text_near_a_challenge_stops_the_run_and_one_kept_aside_does_not(
    tmp_path: Path, config: TrainConfig
) -> None:
    parts = read_parts(config)
    folder = tmp_path / "challenge"
    folder.mkdir()
    path = folder / "set.jsonl"
    guarded = replace(config, challenge=str(folder))
    path.write_text(record_line(replace(parts.test[0], id="c1")), encoding="utf-8")
    assert read_parts(guarded).test == parts.test
    path.write_text(record_line(replace(parts.passes[0][0], id="c1")), encoding="utf-8")
    with pytest.raises(CorpusError, match="like c1 at .*which must never be trained on"):
        read_parts(guarded)
