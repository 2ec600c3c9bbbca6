import json
import re
from pathlib import Path

import pytest

from ruthan.model.bundle import read_bundle
from train.__main__ import main
from train.config import TrainConfig
from train.corpus.near_duplicates import text_digest
from train.errors import CorpusError
from train.evaluate import Evaluation, mask_links, read_labelled, write_to_card


@pytest.fixture(scope="module")
def evaluation(smoke_run: Path) -> Evaluation:
    return Evaluation(smoke_run / "bundle")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere.jsonl"
    rows = [
        {"text": "กู้เงินด่วน โอนค่าธรรมเนียมก่อน https://bit.ly/x1", "label": "loan"},
        {"text": "ถึงบ้านยัง", "label": "benign"},
    ]
    rows += [{"text": "?", "label": None}]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_bundle_and_baseline_are_judged_side_by_side_with_links_and_without(
    evaluation: Evaluation, elsewhere: Path
) -> None:
    result = evaluation.on_file(elsewhere, "From elsewhere.")
    assert result["note"] == "From elsewhere. 1 messages without a label are left out."
    for name in ("bundle", "bundle, links masked", "baseline", "baseline, links masked"):
        assert (result[name]["messages"], result[name]["harmful"]) == (2, 1)
        assert result[name]["auc"] in (0, 0.5, 1)
        assert result[name]["review"]["honest"] in (0, 1)


def test_challenge_sets_are_judged_by_part(evaluation: Evaluation, smoke_config: TrainConfig) -> None:
    result = evaluation.on_challenges(Path(smoke_config.challenge or ""))
    assert {"languages", "lookalike", "must_catch", "must_pass", "trafficking", "evasion, clean"} <= result.keys()
    assert 0 <= result["lookalike"]["bundle"]["pairs_in_order"] <= 1
    assert result["must_pass"]["bundle"]["review"]["harmful"] is None
    wrong = result["must_catch"]["bundle"]["wrong"]
    caught = result["must_catch"]["bundle"]["review"]["harmful"]
    assert len(wrong) == round((1 - caught) * result["must_catch"]["bundle"]["messages"])


def test_an_evaluation_stands_in_the_card_beside_the_baseline(
    evaluation: Evaluation, smoke_run: Path, smoke_config: TrainConfig, elsewhere: Path
) -> None:
    files = {"elsewhere.jsonl": evaluation.on_file(elsewhere)}
    write_to_card(smoke_run / "bundle", files, evaluation.on_challenges(Path(smoke_config.challenge or "")))
    card = (read_bundle(smoke_run / "bundle").folder / "README.md").read_text(encoding="utf-8")
    assert "## On elsewhere.jsonl" in card
    assert "TF-IDF + logistic regression" in card
    assert re.search(r"\| loan \| 1 \|", card)
    assert re.search(r"\| lookalike \| 2\d\d \|", card)
    assert "must_catch: " in card


def test_only_what_is_held_out_is_judged_and_missing_labels_may_be_assumed(tmp_path: Path, elsewhere: Path) -> None:
    assert read_labelled(elsewhere, held_out=frozenset([text_digest("ถึงบ้านยัง")])) == (["ถึงบ้านยัง"], ["benign"], 0)
    with pytest.raises(CorpusError, match="no labelled message of those held out"):
        read_labelled(elsewhere, held_out=frozenset())
    posts = tmp_path / "posts.jsonl"
    posts.write_text(json.dumps({"text": "หิวข้าว"}), encoding="utf-8")
    assert read_labelled(posts, assume="benign") == (["หิวข้าว"], ["benign"], 0)


def test_masked_links_leave_the_rest_alone() -> None:
    assert mask_links("กด https://bit.ly/x1 หรือ a-b.cc เลย 081-234-5678") == "กด ลิงก์ หรือ ลิงก์ เลย 081-234-5678"
    assert mask_links("แอด line.me/ti/p/~abc12 หรือ t.me/jobs_th") == "แอด ลิงก์ หรือ ลิงก์"
    assert mask_links("ไม่มี") == "ไม่มี"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"text": "x"}', ":1: a line needs the fields text and label"),
        ("nonsense", ":1: not valid JSON"),
        ('{"text": "x", "label": "phishing"}', ":1: unknown label 'phishing'"),
        ('{"text": "x", "label": null}', "holds no labelled message"),
    ],
)
def test_labelled_messages_that_cannot_be_used_are_named(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CorpusError, match=complaint):
        read_labelled(path)


def test_nothing_to_judge_on_is_an_error(capsys: pytest.CaptureFixture[str], smoke_run: Path) -> None:
    assert main(["evaluate", str(smoke_run / "bundle")]) == 2
    assert "nothing to judge on" in capsys.readouterr().err
