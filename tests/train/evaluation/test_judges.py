import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ruthan.scanner import Scanner
from train.baseline import keyword_risks
from train.errors import ConfigError, CorpusError
from train.evaluation.judges import Judgement, Panel, ask, call_panel
from train.evaluation.names import AUTHORED, BUNDLE, EMBEDDING, KEYWORDS, REAL, TFIDF

TEXTS = ["กู้เงินด่วน โอนค่าธรรมเนียมก่อน", "ถึงบ้านยัง", " \u200b", "", "\ud83d"]


def test_the_bundle_is_judged_as_the_scanner_scans(panel: Panel, smoke_run: Path) -> None:
    verdicts = list(Scanner(model=smoke_run / "bundle").scan_many(TEXTS))
    judgement = panel.judges[BUNDLE](TEXTS)
    assert judgement.risks.tolist() == [verdict.risk for verdict in verdicts]
    assert judgement.labels == [verdict.label for verdict in verdicts]


def test_all_baselines_and_the_bundles_beside_judge_every_text(panel: Panel) -> None:
    assert panel.judges.keys() == {KEYWORDS, TFIDF, AUTHORED, EMBEDDING, "teacher", BUNDLE} == panel.about.keys()
    for judge in panel.judges.values():
        risks = judge(TEXTS).risks
        assert risks.shape == (5,)
        assert ((risks >= 0) & (risks <= 1)).all()


def test_why_a_baseline_is_left_out_is_said(panel: Panel) -> None:
    assert panel.left_out.keys() == {REAL}
    assert "only 0 of them" in panel.left_out[REAL]


def test_signs_that_are_quoted_and_pleas_for_help_do_not_count_as_warning_signs() -> None:
    lure = "โอนค่าค้ำประกันก่อนรับเงินกู้"
    risks = keyword_risks([lure, f"ตำรวจเตือน อย่าเชื่อข้อความที่ให้{lure}", "ประชุมเก้าโมง", ""])
    assert risks[0] >= 0.5
    assert risks[1:].tolist() == [0, 0, 0]


def test_a_text_that_comes_again_is_read_once() -> None:
    asked: list[str] = []

    def judge(texts: Sequence[str]) -> Judgement:
        asked.extend(texts)
        return Judgement(np.array([float(text) for text in texts]))

    first, second = ask(judge, [["0.1", "0.2", "0.1"], ["0.2"]])
    assert asked == ["0.1", "0.2"]
    assert (first.risks.tolist(), second.risks.tolist()) == ([0.1, 0.2, 0.1], [0.2])


def test_another_corpus_than_that_of_the_training_is_refused(smoke_run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(smoke_run / "bundle", tmp_path / "bundle")
    info = json.loads((other / "bundle.json").read_text(encoding="utf-8"))
    info["training"]["corpus_digest"] = "0" * 64
    (other / "bundle.json").write_text(json.dumps(info), encoding="utf-8")
    with pytest.raises(CorpusError, match="is not the corpus that .* was trained on; retrain"):
        call_panel(other, {})


@pytest.mark.parametrize("name", [BUNDLE, TFIDF, ""])
def test_a_name_that_is_taken_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is taken"):
        call_panel(Path("nowhere"), {name: Path("nowhere")})
