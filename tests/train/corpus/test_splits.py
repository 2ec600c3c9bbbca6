from pathlib import Path

import pytest

from train.corpus.near_duplicates import text_digest
from train.corpus.records import Record
from train.corpus.splits import hold_out, read_digests, split_corpus, write_digests
from train.errors import CorpusError

SHARES = (0.8, 0.1, 0.1)
LISTS = sorted((Path(__file__).parents[3] / "data" / "splits").glob("*.txt"))


def test_families_and_pairs_stay_on_one_side(records: list[Record]) -> None:
    parts = split_corpus(records, 17, SHARES)
    side = {record.id: name for name, part in parts.items() for record in part}
    family_side: dict[str, str] = {}
    for record in records:
        assert family_side.setdefault(record.family, side[record.id]) == side[record.id]
        if record.pair:
            assert side[record.pair] == side[record.id]
    assert sum(map(len, parts.values())) == len(records)
    assert 0.7 < len(parts["train"]) / len(records) < 0.9


def test_more_records_move_none_of_the_old_ones(records: list[Record]) -> None:
    partners = {record.pair for record in records}
    newest = {record.id for record in records if record.pair is None and record.id not in partners}
    before = split_corpus([record for record in records if record.id not in newest], 17, SHARES)
    after = split_corpus(records, 17, SHARES)
    assert 500 < len(newest) < len(records)
    for name, part in before.items():
        assert {record.id for record in part} <= {record.id for record in after[name]}


TEXTS = [f"ข้อความที่ {word} ไม่เหมือนใคร {word * 3}" for word in ("ปลา", "เรือ", "ฟ้า", "ดาว", "บ้าน", "ทะเล", "ป่า", "ถนน")]
SMS = "พัสดุของท่านกำลังนำจ่าย รหัส {} กรุณารอรับสาย"


def test_near_duplicates_are_held_out_together() -> None:
    texts = [*TEXTS, *(SMS.format(number) for number in range(20))]
    for seed in range(10):
        held_out = set(hold_out(texts, 0.5, seed))
        assert len({text_digest(text) in held_out for text in texts[len(TEXTS) :]}) == 1


def test_the_share_and_the_seed_decide_what_is_held_out() -> None:
    assert hold_out(TEXTS, 0.5, 1) == hold_out(TEXTS[::-1], 0.5, 1)
    assert hold_out(TEXTS, 0, 1) == []
    assert len(hold_out(TEXTS, 1, 1)) == len(TEXTS)
    assert len({tuple(hold_out(TEXTS, 0.5, seed)) for seed in range(8)}) > 1


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_the_shipped_lists_can_be_read(path: Path) -> None:
    assert len(read_digests(path)) > 300


def test_a_broken_list_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("# head\n0123456789abcdef\nnonsense\n", encoding="ascii")
    with pytest.raises(CorpusError, match=":3: 'nonsense' is no digest"):
        read_digests(path)
    with pytest.raises(CorpusError, match="cannot read"):
        read_digests(tmp_path / "nowhere.txt")
    path.write_text("# head\n", encoding="ascii")
    with pytest.raises(CorpusError, match="names no text"):
        read_digests(path)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(CorpusError, match="expected 0 to 1"):
        hold_out(TEXTS, share, 1)


def test_a_list_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    write_digests(path, [text_digest("ก")], "จากไฟล์ ข้อความ.jsonl")
    before = path.read_bytes()
    assert read_digests(path) == {text_digest("ก")}
    with pytest.raises(CorpusError, match="no text was held out"):
        write_digests(path, [], "x")
    assert path.read_bytes() == before
    with pytest.raises(CorpusError, match="cannot write"):
        write_digests(path / "x.txt", [text_digest("ก")], "x")
