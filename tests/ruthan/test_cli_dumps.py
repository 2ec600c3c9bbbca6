"""The command line on dumps: formats, what is written where, campaigns, reports, exit codes."""

import json
from pathlib import Path

import pytest

from benchmarks.dump_entries import entries
from benchmarks.dump_formats import NAMES, write_dump
from ruthan import cli
from ruthan.batch.results import WRITERS
from ruthan.batch.stored import read_results
from ruthan.cli import main
from ruthan.dumps import detect

LURE = "คุณได้รับอนุมัติวงเงินกู้ {n}0,000 บาท ไม่เช็กบูโร โอนค่าค้ำประกัน 1,500 บาทก่อนรับเงิน แอดไลน์ @easyloan-th"
HONEST = "ประชุมพรุ่งนี้เก้าโมงที่ห้องเดิมนะครับ"


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    """A WhatsApp chat with three copies of a lure, an honest message and a picture."""
    lines = [f"28/11/2568 08:5{n} - ป้าหน่อย: {LURE.format(n=n)}" for n in (1, 2, 3)]
    lines += [f"28/11/2568 08:58 - น้องมิ้นท์: {HONEST}", "28/11/2568 08:59 - น้องมิ้นท์: <Media omitted>"]
    path = tmp_path / "WhatsApp Chat with ญาติ.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_command_line_names_the_formats_and_endings_that_there_are() -> None:
    assert sorted(cli.FORMATS) == sorted(detect.FORMATS)
    assert all(ending in cli.ENDINGS for ending in WRITERS)


def test_the_format_taken_and_why_are_said(dump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", str(dump)]) == 0
    output = capsys.readouterr()
    assert "WhatsApp chat" in output.err
    assert "valid UTF-8" in output.err
    assert "1 system lines, stickers, pictures and the like hold no text to scan" in output.err
    assert "4 messages: block 3, review 0, allow 1" in output.out


def test_a_format_can_be_told(dump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", str(dump), "--format", "text"]) == 0
    assert "5 messages" in capsys.readouterr().out


def test_a_folder_of_results_holds_all_that_the_guide_says(dump: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["scan", str(dump), "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {
        *("verdicts.jsonl", "report.html", "campaigns.jsonl", "indicators.csv", "indicators.stix.json"),
        "not-read.jsonl",
    }
    assert len(list(read_results(out / "verdicts.jsonl"))) == 4
    [notice] = [json.loads(line) for line in (out / "not-read.jsonl").read_text("utf-8").splitlines()]
    assert notice == {"file": str(dump), "line": 5, "notice": "photo"} or notice["notice"] == "media"
    assert "@easyloan-th" in (out / "indicators.csv").read_text("utf-8")
    assert HONEST not in (out / "report.html").read_text("utf-8")
    assert "ป้าหน่อย" not in "".join(path.read_text("utf-8") for path in out.iterdir())


@pytest.mark.parametrize("ending", list(WRITERS))
def test_results_in_any_form_can_be_grouped_and_reported(
    dump: Path, tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, report = tmp_path / f"out{ending}", tmp_path / "report.html"
    assert main(["scan", str(dump), "--out", str(out), "--with-text"]) == 0
    assert not list(tmp_path.glob("*.progress*"))
    assert (tmp_path / "out.not-read.jsonl").exists()
    capsys.readouterr()
    assert main(["campaigns", str(out), "--out", str(tmp_path / "c.jsonl"), "--stix", str(tmp_path / "s.json")]) == 0
    output = capsys.readouterr().out
    assert "1 campaigns of 3 messages" in output
    assert "line_id @easyloan-th" in output
    assert main(["report", str(out), "--out", str(report)]) == 0
    assert "@easyloan-th" in report.read_text("utf-8")


def test_rows_can_be_chosen_and_the_counts_stay_those_of_all(
    dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, chosen in enumerate((["--min-risk", "0.9"], ["--label", "loan"], ["--action", "block"])):
        out = tmp_path / f"{number}.jsonl"
        assert main(["scan", str(dump), "--out", str(out), *chosen]) == 0
        assert [row["label"] for row in read_results(out)] == ["loan"] * 3
        assert "4 messages" in capsys.readouterr().out


def test_a_next_dump_is_matched_to_known_campaigns(dump: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(["scan", str(dump), "--out", str(first)]) == 0
    later = tmp_path / "later.txt"
    later.write_text("กู้ด่วนวันนี้ อนุมัติไว โอนค่าธรรมเนียมก่อน ทักไลน์ @easyloan-th\n", encoding="utf-8")
    known = first / "campaigns.jsonl"
    assert main(["scan", str(later), "--out", str(second), "--known", str(known)]) == 0
    [before] = [json.loads(line) for line in known.read_text("utf-8").splitlines()]
    [after] = [json.loads(line) for line in (second / "campaigns.jsonl").read_text("utf-8").splitlines()]
    assert (before["id"], before["messages"]) == (after["id"], 3)
    assert after["messages"] == 4


@pytest.mark.parametrize(("level", "code"), [("block", 1), ("review", 1)])
def test_the_exit_code_tells_automation_what_was_found(dump: Path, tmp_path: Path, level: str, code: int) -> None:
    honest = tmp_path / "honest.txt"
    honest.write_text(HONEST, encoding="utf-8")
    assert main(["scan", str(dump), "--fail-on", level]) == code
    assert main(["scan", str(honest), "--fail-on", level]) == 0
    assert main(["scan", "--text", LURE.format(n=1), "--fail-on", level]) == code


def test_a_folder_is_read_whole_and_a_broken_file_in_it_stops_nothing(
    dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "dumps"
    folder.mkdir()
    dump.rename(folder / dump.name)
    (folder / "broken.zip").write_bytes(b"PK\x03\x04 no archive")
    for form in ("telegram", "sms-xml", "csv"):
        write_dump(folder / NAMES[form], form, entries(20, 3, 0.5))
    assert main(["scan", str(folder), "--out", str(tmp_path / "out")]) == 0
    output = capsys.readouterr()
    assert "64 messages" in output.out
    assert "broken.zip:1: not read" in output.err
    assert "Traceback" not in output.err


def test_masked_results_name_nobody(dump: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["scan", str(dump), "--out", str(out), "--with-text", "--mask"]) == 0
    written = "".join(path.read_text("utf-8") for path in out.iterdir())
    assert "easyloan" not in written
    assert "ป้าหน่อย" not in written


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["scan", "{dump}", "--out", "{dump}"], "one of the files to scan"),
        (["scan", "{folder}/x.jsonl", "{dump}", "--out", "{folder}/x.jsonl"], "one of the files to scan"),
        (["scan", "{dump}", "--out", "{folder}", "--known", "{folder}/campaigns.jsonl"], "count its messages again"),
        (["scan", "{dump}", "--out", "{folder}/nowhere/x.csv"], "make it first"),
        (["scan", "{dump}", "--out", "-"], "no file"),
        (["scan", "{folder}/\x1b[31m\nx"], "there is no such file"),
        (["scan", "{dump}", "--label", "scam"], "no such class"),
        (["scan", "{dump}", "--known", "x.jsonl"], "--out DIR"),
        (["scan", "{dump}", "--address", "auto"], "--engine ray"),
        (["scan", "{dump}", "--engine", "ray"], "--out DIR"),
        (["scan", "{dump}", "--out", "{dump}.docx"], "ending must be one of"),
        (["campaigns", "missing.jsonl"], "missing.jsonl"),
        (["campaigns", "{dump}"], "results end in one of"),
        (["report", "{dump}", "--out", "x.pdf"], ".html"),
    ],
)
def test_wrong_usage_is_one_line_that_helps(
    dump: Path, tmp_path: Path, arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.jsonl").touch()
    assert main([argument.format(dump=dump, folder=tmp_path) for argument in arguments]) == 2
    [*_, last] = capsys.readouterr().err.strip().splitlines()
    assert "\x1b" not in last
    assert last.startswith("ruthan: ")
    assert reason in last


@pytest.mark.parametrize("out", ["", "out", "verdicts.csv"])
def test_a_run_does_not_read_what_it_writes_into_the_folder_of_its_dumps(
    tmp_path: Path, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "dumps"
    folder.mkdir()
    (folder / "a.txt").write_text("".join(f"{HONEST} {n}\n" for n in range(1_500)), encoding="utf-8")
    for _ in range(2):
        assert main(["scan", str(folder), "--out", str(folder / out)]) == 0
        output = capsys.readouterr()
        assert "1500 messages" in output.out
        assert "not read" not in output.err


def test_results_of_other_runs_are_no_dumps(dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.csv", "b.jsonl", "c"):
        assert main(["scan", str(dump), "--out", str(tmp_path / name), "--with-text"]) == 0
    assert main(["scan", str(tmp_path)]) == 0
    output = capsys.readouterr()
    assert "4 messages" in output.out.splitlines()[-4:][0] or "4 messages" in output.out
    for name in ("a.csv", "a.not-read.jsonl", "b.jsonl", "campaigns.jsonl", "verdicts.jsonl"):
        assert f"{name}:1: not read: results of ruthan scan, and no dump" in output.err


def test_a_file_that_is_named_twice_is_read_once(
    dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", str(dump), str(tmp_path), f"{tmp_path}/*.txt"]) == 0
    output = capsys.readouterr()
    assert "4 messages" in output.out
    assert "2 paths lead to files that had been read" in output.err


def test_names_with_brackets_keep_no_file_of_progress(dump: Path, tmp_path: Path) -> None:
    note = tmp_path / "[LINE].csv.progress-note.txt"
    note.touch()
    assert main(["scan", str(dump), "--out", str(tmp_path / "[LINE].csv")]) == 0
    assert list(tmp_path.glob("*progress*")) == [note]


def test_a_wrong_column_quotes_no_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "a.csv"
    table.write_text("นายสมชาย โทร 081-000-5678,โอนแล้ว\nอีกแถว,ครับ\n", encoding="utf-8")
    assert main(["scan", str(table), "--text-column", "note"]) == 2
    error = capsys.readouterr().err
    assert "give its number, from 1 to 2" in error
    assert "สมชาย" not in error


def test_the_example_of_a_known_campaign_is_not_told_on_without_texts(dump: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(["scan", str(dump), "--out", str(first), "--with-text"]) == 0
    known = str(first / "campaigns.jsonl")
    assert main(["scan", str(dump), "--out", str(second), "--known", known]) == 0
    assert "โอนค่าค้ำประกัน" in Path(known).read_text("utf-8")
    [campaign] = [json.loads(line) for line in (second / "campaigns.jsonl").read_text("utf-8").splitlines()]
    assert campaign["exemplar"] is None


@pytest.mark.parametrize("command", ["report", "campaigns"])
@pytest.mark.parametrize(
    "change",
    [
        *({"risk": "x"}, {"label": ["loan"]}, {"evidence": [3]}, {"source": None}, {"source": {"file": 1}}),
        *({"message": {"sent_at": 5}}, {"model": None}, {"needs_help": "yes"}, {"recruitment": {"strong": "x"}}),
        {"evidence": [{"kind": "signal"}]},
    ],
)
def test_changed_results_are_refused_with_their_place(
    dump: Path, tmp_path: Path, change: dict[str, object], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, changed = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    assert main(["scan", str(dump), "--out", str(out)]) == 0
    changed.write_text(json.dumps({**next(iter(read_results(out))), **change}) + "\n", encoding="utf-8")
    options = ["--out", str(tmp_path / "r.html")] if command == "report" else []
    assert main([command, str(changed), *options]) == 2
    assert f"ruthan: {changed}:1: " in capsys.readouterr().err
