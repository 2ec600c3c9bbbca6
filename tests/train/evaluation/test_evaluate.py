import json
import re
import shutil
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path

import pytest

from ruthan.model.bundle import read_bundle
from ruthan.policy import default_policy, read_policy
from train.__main__ import main
from train.card import model_card
from train.corpus.near_duplicates import text_digest
from train.evaluation.evaluate import Judged, evaluate, evaluate_run, for_card, write_to_card
from train.evaluation.judges import Panel
from train.evaluation.measure import Setting
from train.evaluation.names import AS_IT_IS, AUTHORED, BUNDLE, TFIDF
from train.evaluation.report import page, write_report

SETTING = Setting(policy=read_policy(default_policy()))


@pytest.fixture(scope="module")
def result(panel: Panel, elsewhere: Path, few_challenges: Path) -> dict:
    return evaluate(
        panel, [Judged(elsewhere, about="From elsewhere.")], SETTING, None, few_challenges, every_class=True
    )


def test_all_judges_are_measured_on_the_same_texts_as_they_are_and_masked(result: dict, panel: Panel) -> None:
    file = result["files"]["elsewhere.jsonl"]
    assert file["note"] == "From elsewhere. 1 messages without a label are left out."
    assert (file["messages"], file["harmful"], file["groups"]) == (5, 2, 5)
    assert file["judges"].keys() == panel.judges.keys()
    for name, variants in file["judges"].items():
        masked = [] if name == AUTHORED else ["links masked", "digits masked"]
        assert list(variants) == [AS_IT_IS, *masked, "links to unseen domains"]
        assert variants[AS_IT_IS]["messages"] == 5
    assert set(file["slices"]["channel"]) == {"sms", "chat", "not stated"}
    assert len(file["errors"]["honest"]) == 3
    assert file["against_classes"][TFIDF]


def test_the_same_run_gives_the_same_figures(result: dict, panel: Panel, elsewhere: Path) -> None:
    again = evaluate(panel, [Judged(elsewhere, about="From elsewhere.")], SETTING, every_class=True)
    assert again["files"] == result["files"]


def test_texts_that_were_trained_on_are_counted(panel: Panel, records: list, tmp_path: Path) -> None:
    seen = (record for record in records if text_digest(record.text) in panel.trained_digests)
    rows = [
        {"text": "หิวข้าว", "label": "benign"},
        *({"text": each.text, "label": each.label} for each in islice(seen, 2)),
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    file = evaluate(panel, [Judged(path)], SETTING, with_texts=False)["files"]["a.jsonl"]
    assert file["note"] == "2 of the texts are among those the bundle was trained on."


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.names.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href")]


def test_the_page_needs_nothing_from_elsewhere_and_quotes_messages_as_text(result: dict, tmp_path: Path) -> None:
    report = write_report(tmp_path / "out", result)
    content = report.read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(content)
    assert content == page(result).encode("utf-8", "replace").decode()
    assert "script" not in tags.names
    assert tags.names.count("svg") >= 3
    assert all(link.startswith("#") for link in tags.links)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in content
    assert "แอดมินตอบแชท" in content
    twin = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
    assert twin == json.loads(json.dumps(result))
    assert not list((tmp_path / "out").glob("*.partial"))


def test_a_file_without_harmful_texts_has_a_report_too(panel: Panel, tmp_path: Path) -> None:
    path = tmp_path / "posts.jsonl"
    path.write_text(json.dumps({"text": "หิวข้าว"}), encoding="utf-8")
    alone = evaluate(panel, [Judged(path)], SETTING, assume="benign")
    assert "posts.jsonl" in page(alone)
    assert for_card(alone)["files"]["posts.jsonl"]["judges"][BUNDLE]["auc"]["value"] is None


def test_an_evaluation_stands_in_the_card_and_replaces_the_one_before(
    result: dict, smoke_run: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(smoke_run / "bundle", tmp_path / "bundle")
    before = (bundle / "README.md").read_text(encoding="utf-8")
    assert "## Beside others" not in before
    for each in (result, {**result, "files": {"other.jsonl": result["files"]["elsewhere.jsonl"]}}):
        write_to_card(bundle, each)
    card = (read_bundle(bundle).folder / "README.md").read_text(encoding="utf-8")
    assert "## On other.jsonl" in card
    assert "elsewhere.jsonl" not in card
    assert re.search(
        r"^\|  \| messages \| keyword list \| TF-IDF \| frozen embedding \| teacher \| \*\*this bundle", card, re.M
    )
    assert re.search(r"^\| other.jsonl: AUC \| 5 \| [01]\.\d+ \(", card, re.M)
    assert re.search(r"^\| lookalike: pairs in order \| \d+ \| ", card, re.M)
    assert re.search(r"^\| loan \| 1 \|", card, re.M)
    assert "must_catch: " in card
    for heading in ("Licence and attribution", "Training data", "Limits"):
        assert f"## {heading}" in card
    assert re.search(r"about \d\.\d\d kWh, an estimate from an assumed 65 W", card)
    assert "แอดมินตอบแชท" not in (bundle / "bundle.json").read_text(encoding="utf-8")


def test_a_bundle_that_was_never_evaluated_has_a_card(smoke_run: Path) -> None:
    assert "## Limits" in model_card(read_bundle(smoke_run / "bundle").info)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "nothing to judge on"),
        (["--on", "a/x.jsonl", "b/x.jsonl"], "two files of the same name"),
        (["--on", "a.jsonl", "b.jsonl", "c.jsonl", "--held-out", "d", "e"], "--held-out has 2 values for 3 files"),
        (["--on", "a.jsonl", "--beside", "teacher"], "--beside takes NAME=BUNDLE"),
        (["--on", "a.jsonl", "--beside", "t=x", "--beside", "t=y"], "'t' is given twice"),
        (["--on", "a.jsonl", "--prevalence", "2"], "--prevalence is 2.0"),
        (["--on", "a.jsonl", "--reviews-per-day", "0"], "--reviews-per-day is 0"),
    ],
)
def test_options_that_make_no_sense_are_named(
    options: list[str], complaint: str, capsys: pytest.CaptureFixture[str], smoke_run: Path, tmp_path: Path
) -> None:
    assert main(["evaluate", str(smoke_run / "bundle"), "--out", str(tmp_path), *options]) == 2
    assert complaint in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_refused_before_the_work(
    capsys: pytest.CaptureFixture[str], smoke_run: Path, elsewhere: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    out = str(tmp_path / "taken")
    assert main(["evaluate", str(smoke_run / "bundle"), "--on", str(elsewhere), "--out", out]) == 2
    assert f"cannot make {out}" in capsys.readouterr().err


def test_the_command_prints_figures_and_no_message(
    monkeypatch: pytest.MonkeyPatch, panel: Panel, smoke_run: Path, elsewhere: Path, tmp_path: Path, capsys
) -> None:
    monkeypatch.setattr("train.evaluation.judges.call_panel", lambda *_: panel)  # it is fitted already
    out = tmp_path / "out"
    arguments = ["--on", str(elsewhere), "--held-out", "-", "--about", "Few.", "--no-texts", "--out", str(out)]
    assert main(["evaluate", str(smoke_run / "bundle"), *arguments]) == 0
    printed = capsys.readouterr().out
    assert "| elsewhere.jsonl: AUC | 5 |" in printed
    assert f"report: {out}/report.html" in printed
    for content in (printed, (out / "report.html").read_text(), (out / "report.json").read_text()):
        assert "ปอยเปต" not in content


def test_a_run_is_judged_on_what_it_kept_back_by_the_policy_that_it_chose(smoke_run: Path) -> None:
    result = evaluate_run(smoke_run)
    kept = (smoke_run / "test.jsonl").read_text(encoding="utf-8").splitlines()
    file = result["files"]["test.jsonl"]
    assert file["messages"] == len(kept) > 100
    assert result["policy"]["name"] == "smoke"
    recorded = json.loads((smoke_run / "metrics.json").read_text(encoding="utf-8"))["test"]["auc"]
    assert file["judges"][BUNDLE][AS_IT_IS]["auc"]["value"] == pytest.approx(recorded, abs=0.03)


def test_doubtful_labels_stand_in_the_report(result: dict) -> None:
    doubt = {"place": "a.jsonl:3", "id": "a-3", "label": "loan", "suggested": "benign", "confidence": 0.01}
    shown = page({**result, "doubts": [doubt | {"text": "<b>กู้เงิน</b>"}]})
    assert "a.jsonl:3" in shown
    assert "&lt;b&gt;กู้เงิน" in shown
    assert "a.jsonl:3" not in page(result)
    assert "&lt;b&gt;กู้เงิน" not in page({**result, "doubts": [doubt]})
