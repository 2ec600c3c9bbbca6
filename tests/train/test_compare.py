import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ruthan.message import Source
from ruthan.model.bundle import INFO, default_bundle
from ruthan.policy import Policy
from ruthan.scanner import BATCH
from train.__main__ import main
from train.compare import Comparison, Flip, Judgement, Labelled, compare, group_flips, mcnemar, read_messages
from train.compare_report import overall_rows, terminal_lines, write_report
from train.corpus import near_duplicates
from train.errors import CorpusError

PARCEL = "พัสดุของท่านตกค้างที่ศูนย์กระจายสินค้า กรุณาชำระค่าธรรมเนียมก่อนวันนี้"
LOAN = "กู้เงินด่วน ไม่เช็กบูโร โอนค่าค้ำประกันก่อนรับเงิน"
HELLO = "ถึงบ้านหรือยัง"


class Judge:
    """Stands in for a scanner: texts that hold one of its words get that word's risk and label, others are benign."""

    def __init__(self, **words: tuple[float, str]) -> None:
        self.words = words
        self.policy = Policy("test", 0.5, 0.9)
        self.read: list[str] = []

    def scan_many(self, texts: list[str]) -> Iterator[SimpleNamespace]:
        for text in texts:
            self.read.append(text)
            risk, label = next((said for word, said in self.words.items() if word in text), (0.1, "benign"))
            yield SimpleNamespace(risk=risk, label=label, action=self.policy.action(risk))


def messages(*texts: str, labels: tuple[str | None, ...] = ()) -> list[Labelled]:
    labels = labels or (None,) * len(texts)
    return [
        Labelled(text, label, Source("in", line))
        for line, (text, label) in enumerate(zip(texts, labels, strict=True), start=1)
    ]


def found(*texts: str, labels: tuple[str | None, ...] = ()) -> Comparison:
    old = Judge(กู้เงิน=(0.6, "loan"))
    new = Judge(พัสดุ=(0.95, "parcel"), กู้เงิน=(0.6, "spam"))
    return compare(old, new, messages(*texts, labels=labels))


def test_flips_are_grouped_by_what_they_say_and_counted_the_most_messages_first() -> None:
    result = found(LOAN, PARCEL, HELLO, f"{PARCEL} 1", f"{PARCEL} 2", PARCEL)
    assert (result.messages, result.texts) == (6, 5)
    assert [(each.old, each.new, each.messages, each.texts) for each in result.flips] == [
        ("allow", "block", 4, 3),
        ("review", "review", 1, 1),
    ]
    first, second = result.groups
    assert (first.messages, first.texts, first.example.line) == (4, 3, 2)
    assert (first.example.old, first.example.new) == (
        Judgement(0.1, "benign", "allow"),
        Judgement(0.95, "parcel", "block"),
    )
    assert (second.example.old.label, second.example.new.label) == ("loan", "spam")


def test_each_distinct_text_is_scanned_once_a_bundle() -> None:
    old, new = Judge(), Judge()
    compare(old, new, messages(HELLO, PARCEL, HELLO, HELLO, PARCEL))
    assert old.read == new.read == [HELLO, PARCEL]


def test_a_dump_is_streamed() -> None:
    old, taken = Judge(), []

    def stream() -> Iterator[Labelled]:
        for number in range(3 * BATCH):
            taken.append((number, len(old.read)))
            yield Labelled(f"{number}", None, Source("in", number))

    compare(old, Judge(), stream())
    assert all(number - read <= BATCH for number, read in taken)


def test_a_campaign_in_many_variants_is_not_compared_each_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    similarity = near_duplicates.similarity
    monkeypatch.setattr(near_duplicates, "similarity", lambda *pair: compared.append(1) or similarity(*pair))
    judged = Judgement(0.1, "benign", "allow")
    flips = [Flip(f"คุณ{chr(0xE01 + at)} {PARCEL}", at, 1, judged, judged) for at in range(40)]
    [group] = group_flips(flips)
    assert group.texts == 40
    assert len(compared) <= 2 * 40


def test_mcnemar_is_the_exact_two_sided_test() -> None:
    import numpy as np

    old = np.array([True] * 5 + [True] + [False] * 9)
    new = np.array([True] * 5 + [False] + [True] * 9)
    test = mcnemar(old, new)
    assert (test.lost, test.won) == (1, 9)
    assert test.p == pytest.approx(2 * (1 + 10) / 1024)
    assert mcnemar(old, old).p == 1


def test_labels_give_recall_precision_and_tests() -> None:
    truth = found(LOAN, PARCEL, HELLO, "กู้เงิน", labels=("loan", "parcel", "benign", None)).truth
    assert truth is not None
    rows = {row.label: row for row in truth.classes}
    assert (rows["loan"].old_recall, rows["loan"].new_recall) == (1, 0)
    assert (rows["loan"].old_precision, rows["loan"].new_precision) == (1, None)
    assert (rows["parcel"].old_recall, rows["parcel"].new_recall, rows["parcel"].new_precision) == (0, 1, 1)
    assert (truth.harmful.lost, truth.harmful.won) == (0, 1)
    assert (truth.label.lost, truth.label.won) == (1, 1)
    assert overall_rows(truth)["AUC"] == (0.75, 1.0)


def test_a_single_text_of_one_class_has_no_auc() -> None:
    result = found(HELLO, labels=("benign",))
    assert result.truth is not None
    assert set(overall_rows(result.truth).values()) == {(None, None)}
    assert "nothing flips" in "\n".join(terminal_lines(result))


def test_the_terminal_shows_messages_only_where_asked_and_without_escape_sequences() -> None:
    result = found(f"\x1b[31m{PARCEL}")
    private, shown = "\n".join(terminal_lines(result)), "\n".join(terminal_lines(result, texts=True))
    assert "พัสดุ" not in private
    assert "--texts" in private
    assert PARCEL in shown
    assert "\x1b" not in shown


def test_the_report_escapes_messages_and_has_a_json_twin(tmp_path: Path) -> None:
    text = f"<script>alert(1)</script> {PARCEL} \ud83d"
    path = tmp_path / "report.html"
    write_report(found(text, labels=("parcel",)), {"old": "one", "new": "other"}, "in.jsonl", path)
    page = path.read_text(encoding="utf-8")
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    twin = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert twin["groups"][0]["example"]["text"] == text
    assert twin["truth"]["harmful"] == {"lost": 0, "won": 1, "p": 1.0}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_lines_that_cannot_be_read_are_counted_and_any_dump_is_read(tmp_path: Path) -> None:
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"text": "a", "label": null}\nnonsense\n[1]\n\n{"text": "b", "label": "loan"}\n{"text": 1}\n')
    bad: list = []
    assert [(row.text, row.label, row.source.line) for row in read_messages(lines, bad.append)] == [
        ("a", None, 1),
        ("b", "loan", 5),
    ]
    assert [row.source.line for row in bad] == [2, 3, 6]
    table = tmp_path / "a.csv"
    table.write_text("id,message\n1,สวัสดี\n", encoding="cp874")
    assert [row.text for row in read_messages(table, bad.append)] == ["สวัสดี"]


@pytest.mark.parametrize("label", ['"phishing"', "3", '["loan"]'])
def test_an_unknown_label_is_named_by_its_line(tmp_path: Path, label: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"text": "a", "label": {label}}}\n')
    with pytest.raises(CorpusError, match=r"a\.jsonl:1: unknown label; known are: "):
        list(read_messages(path, lambda _: None))


@pytest.fixture
def hot(tmp_path: Path) -> Path:
    """The bundle that ships, its probabilities made even: it blocks everything."""
    folder = tmp_path / "hot"
    shutil.copytree(default_bundle(), folder)
    info = json.loads((folder / INFO).read_text(encoding="utf-8"))
    (folder / INFO).write_text(json.dumps({**info, "temperature": 100.0}), encoding="utf-8")
    return folder


def test_the_command_compares_two_bundles(tmp_path: Path, hot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps({"text": HELLO, "label": "benign"}) + "\nnonsense\n", encoding="utf-8")
    out = tmp_path / "report.html"
    assert main(["compare", str(default_bundle()), str(hot), "--on", str(path), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "1 rows could not be read, the first at line 2" in said
    assert "allow → block" in said
    assert HELLO not in said
    assert HELLO in out.read_text(encoding="utf-8")


def test_bundles_of_other_classes_are_refused(tmp_path: Path, hot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = (hot / INFO).read_text(encoding="utf-8")
    (hot / INFO).write_text(info.replace('"loan"', '"lending"'), encoding="utf-8")
    assert main(["compare", str(default_bundle()), str(hot), "--on", str(tmp_path / "in.jsonl")]) == 2
    error = capsys.readouterr().err
    assert "lending" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "more", "complaint"),
    [
        ("nowhere.jsonl", [], "cannot read"),
        ("empty.jsonl", [], "there is no message"),
        ("empty.jsonl", ["--out", "report.txt"], "ends in .html"),
        ("empty.jsonl", ["--out", "nowhere/report.html"], "name a folder that exists"),
        ("empty.json", ["--out", "empty.html"], "would overwrite empty.json"),
        ("empty.jsonl", ["--policy", "nowhere.yaml"], "cannot read the policy"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    file: str,
    more: list[str],
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("empty.jsonl", "empty.json"):
        Path(name).touch()
    assert main(["compare", str(default_bundle()), str(default_bundle()), "--on", file, *more]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
