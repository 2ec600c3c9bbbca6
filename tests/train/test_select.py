import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ruthan.message import Message
from ruthan.scanner import Scanner
from train import select as selecting
from train.__main__ import main
from train.corpus.add import add
from train.corpus.near_duplicates import text_digest
from train.corpus.records import Record, read_corpus
from train.corpus.spreadsheet import unguarded
from train.errors import ConfigError
from train.select import COLUMNS, Selection, guess_language, select, write_selection

KNOWN = Record(
    "known-0001", "ยินดีด้วยค่ะ คุณได้รับสิทธิ์กู้เงินวันนี้ แอดไลน์ {lineid}", "loan", None, "th", "sms", "known-0001", None, "x", False
)  # fmt: skip
# Texts that are not near-duplicates of one another, and the risk that the stand-in model gives them.
RISKS = {
    "แม่ครับโทรศัพท์หายช่วยโอนเงินให้ก่อน": 0.5,
    "พรุ่งนี้ประชุมเก้าโมงห้องเดิมนะ": 0.4,
    "ปั่นสล็อตเว็บตรงแตกง่ายทุกค่าย": 0.9,
    "พัสดุของท่านตกค้างที่คลังสินค้า": 0.99,
}


class StandIn:
    """Gives the risks of a table, and reads every text once."""

    def __init__(self, risks: dict[str, float], labels: dict[str, str] | None = None) -> None:
        self.risks, self.labels = risks, labels or {}
        self.asked: list[str] = []

    def scan_many(self, messages: Iterable[Message]) -> Iterator[Any]:
        for message in messages:
            self.asked.append(message.text)
            risk = self.risks.get(message.text, 0.5)
            yield SimpleNamespace(risk=risk, label=self.labels.get(message.text, "spam" if risk >= 0.5 else "benign"))


def dump(folder: Path, *texts: str) -> str:
    path = folder / "dump.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return str(path)


def chosen(
    scanner: Any, path: str, corpus: Sequence[Record] = (), held_out: frozenset[str] = frozenset(), most: int = 10
) -> Selection:
    return select([path], scanner, corpus, held_out, most)


def test_the_least_certain_text_comes_first(tmp_path: Path) -> None:
    selection = chosen(StandIn(RISKS), dump(tmp_path, *reversed(RISKS)))
    assert [each.text for each in selection.proposals] == list(RISKS)
    assert selection.proposals[0].why == "risk 0.50; nothing like it in the corpus"
    assert selection.proposals[1].worth == pytest.approx(0.8)


def test_a_text_like_one_of_the_corpus_is_worth_less_and_says_so(tmp_path: Path) -> None:
    like = "ยินดีด้วยค่ะ คุณได้รับสิทธิ์กู้เงินวันนี้ รีบแอดไลน์ด่วนเลย abc.123"
    selection = chosen(StandIn({}), dump(tmp_path, like, "พรุ่งนี้ประชุมเก้าโมงห้องเดิมนะ"), [KNOWN])
    assert [each.nearest for each in selection.proposals] == ["", "known-0001"]
    assert selection.proposals[1].worth == pytest.approx(1 - selection.proposals[1].alike)
    assert "% like known-0001" in selection.proposals[1].why


def test_what_is_known_held_out_or_repeated_is_not_even_scanned(tmp_path: Path) -> None:
    secret = "ข้อความลับกดลิงก์ https://shorty.cc/abcde วันนี้"
    path = dump(
        tmp_path,
        "ยินดีด้วยค่ะ คุณได้รับสิทธิ์กู้เงินวันนี้!! แอดไลน์ abc.123",
        secret,
        "รับซื้อบัญชี โทร 0812345678",
        "รับซื้อบัญชี โทร 0898765432",
        "12345",
        "",
        "\ud83dก",
        "ก\x00",
        "ก" * 20_001,
    )
    scanner = StandIn({})
    selection = chosen(scanner, path, [KNOWN], frozenset([text_digest(secret)]))
    assert scanner.asked == [each.text for each in selection.proposals] == ["รับซื้อบัญชี โทร 0812345678"]
    assert selection.read == 9
    assert selection.left_out == {
        "in the corpus already": 1,
        "held out for judging": 1,
        "repeated": 1,
        "without a letter": 2,
        "holds half a character or a null": 2,
        "over 20,000 characters": 1,
    }


def test_a_campaign_gives_one_text_however_many_copies_it_has(tmp_path: Path) -> None:
    campaign = [f"แม่ครับโทรศัพท์หายช่วยโอนเงินให้ก่อนด่วนมากๆเลยนะ{end}" for end in "กขคงจฉชซญดตถทธนบปผฝพ"]
    risks = {text: 0.5 - at / 1000 for at, text in enumerate(campaign)} | {"พรุ่งนี้ประชุมเก้าโมงห้องเดิมนะ": 0.1}
    selection = chosen(StandIn(risks), dump(tmp_path, *risks), most=2)
    assert [each.text for each in selection.proposals] == [campaign[0], "พรุ่งนี้ประชุมเก้าโมงห้องเดิมนะ"]


def test_one_class_does_not_fill_the_list(tmp_path: Path) -> None:
    words = (
        "แมวนอนกลางวันบนเก้าอี้",
        "ทะเลสวยมากเมื่อเช้านี้",
        "รถติดหนักที่สี่แยกใหญ่",
        "ร้านข้าวปิดวันอาทิตย์",
        "ฝนตกทั้งคืนน้ำท่วมซอย",
        "หมอนัดตรวจฟันวันศุกร์",
    )
    risks = dict.fromkeys(words[:5], 0.5) | {words[5]: 0.2}
    labels = dict.fromkeys(words[:5], "spam") | {words[5]: "benign"}
    selection = chosen(StandIn(risks, labels), dump(tmp_path, *words), most=3)
    assert [each.suggested for each in selection.proposals] == ["spam", "spam", "benign"]


def test_no_more_is_kept_than_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    offer = selecting._Pool.offer

    def watched(pool: selecting._Pool, proposal: selecting.Proposal) -> None:
        offer(pool, proposal)
        sizes.append(len(pool.proposals))

    monkeypatch.setattr(selecting._Pool, "offer", watched)
    texts = [f"{chr(0xE01 + at % 40)}{chr(0xE01 + at // 40)}" * 4 for at in range(200)]
    risks = {text: at / 400 for at, text in enumerate(texts)}
    selection = chosen(StandIn(risks), dump(tmp_path, *texts), most=3)
    assert [each.text for each in selection.proposals] == texts[:-4:-1]
    assert max(sizes) <= 4 * 3


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("สวัสดี hello https://example.com", "th"),
        ("ສະບາຍດີ", "lo"),
        ("မင်္ဂလာပါ", "my"),
        ("សួស្តី", "km"),
        ("招聘客服", "zh"),
        ("You have won", "en"),
        ("Chúc mừng bạn đã trúng thưởng", "vi"),
        ("Привет", "th"),
        ("โทร {phone}", "th"),
        ("{phone}", "th"),
    ],
)
def test_the_language_is_guessed_by_script_alone(text: str, language: str) -> None:
    assert guess_language(text) == language


def test_the_whole_circle_from_dump_to_corpus(tmp_path: Path) -> None:
    formula, plus = "=HYPERLINK(กดรับเครดิต) แอดไลน์ abc.123", "+66812345678 โทรกลับด่วนเรื่องพัสดุ"
    at, tab, mark = "@slot99 เว็บตรงแตกง่าย", '\tสวัสดี, "แม่"\nพรุ่งนี้เจอกัน', "'=ประกาศ ปิดถนน"
    texts = (formula, plus, at, tab, mark, "ฝนตกทั้งคืนน้ำท่วมซอยแล้วนะ")
    table = tmp_path / "select.csv"
    write_selection(table, chosen(StandIn({}), dump(tmp_path, *texts)).proposals)
    assert table.read_bytes().startswith(b"\xef\xbb\xbf")
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert not [row for row in rows if row["text"][0] in "=+-@\t"]
    assert {(row["label"], row["kind"], row["suggested"], row["risk"]) for row in rows} == {("", "", "spam", "0.5")}

    filled = [("gambling", ""), ("parcel", ""), ("gambling", ""), ("benign", "other"), ("benign", "news"), ("", "")]
    for row, (row["label"], row["kind"]) in zip(rows, filled, strict=True):  # of one worth: in the order of the dump
        assert unguarded(row["text"]) in texts
    with table.open("w", encoding="utf-8", newline="") as file:  # as a spreadsheet saves it
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    corpus = tmp_path / "corpus"
    filed = add(table, [], corpus / "select.jsonl", "inbox-2026")
    assert [reason.partition(": ")[2] for reason in filed.left_out] == ["it has no label yet"]
    assert [record.text for record in read_corpus([corpus])] == [
        "=HYPERLINK(กดรับเครดิต) แอดไลน์ {lineid}",
        "{phone} โทรกลับด่วนเรื่องพัสดุ",
        "{lineoa} เว็บตรงแตกง่าย",
        tab,
        mark,
    ]
    assert {(record.origin, record.channel, record.lang) for record in filed.records} == {("inbox-2026", "chat", "th")}


def test_what_add_would_refuse_is_said_beforehand(tmp_path: Path) -> None:
    [proposal] = chosen(StandIn({}), dump(tmp_path, "ติดต่อด่วน โทร 1999 เรื่องพัสดุ")).proposals
    assert proposal.why.endswith("; write a slot such as {phone} for its hotline")


def test_the_channel_of_the_dump_is_kept_where_it_is_one_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("text,channel\nพรุ่งนี้ประชุมเก้าโมงห้องเดิมนะ,email\nปั่นสล็อตเว็บตรงแตกง่าย,pigeon\n", encoding="utf-8")
    assert [each.channel for each in chosen(StandIn({}), str(path)).proposals] == ["email", ""]


def test_an_empty_dump_gives_an_empty_list_and_none_wanted_is_an_error(tmp_path: Path) -> None:
    assert chosen(StandIn({}), dump(tmp_path)).proposals == []
    with pytest.raises(ConfigError, match="--most is 0; expected at least 1"):
        chosen(StandIn({}), dump(tmp_path), most=0)


def test_the_command_writes_a_list_and_never_over_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, splits, out = tmp_path / "c.jsonl", tmp_path / "splits", tmp_path / "select.csv"
    content = {field: getattr(KNOWN, field) for field in KNOWN.__dataclass_fields__ if field != "flags"}
    corpus.write_text(json.dumps(content), encoding="utf-8")
    splits.mkdir()
    command = ["select", dump(tmp_path, *RISKS), str(tmp_path / "dump.jsonl"), "--most", "2"]
    command += ["--out", str(out), "--corpus", str(corpus), "--splits", str(splits)]
    assert main(command) == 2
    assert "no list of held-out texts" in capsys.readouterr().err
    (splits / "a.txt").write_text(text_digest(next(iter(RISKS))) + "\n", encoding="utf-8")
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "2 of 8 texts to label in" in printed
    assert "2  held out for judging" in printed
    assert next(iter(RISKS)) not in out.read_text(encoding="utf-8-sig")
    before = out.read_bytes()
    assert main(command) == 2
    assert "may hold labels already" in capsys.readouterr().err
    assert out.read_bytes() == before


def test_the_same_dump_gives_the_same_list(tmp_path: Path) -> None:
    scanner, path = Scanner(), dump(tmp_path, *RISKS)
    assert chosen(scanner, path, [replace(KNOWN)]) == chosen(scanner, path, [KNOWN])
