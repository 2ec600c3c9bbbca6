"""A bundle and all that is judged beside it, fitted once, and a few texts of every challenge set."""

import json
import re
from pathlib import Path

import pytest

from train.config import TrainConfig
from train.evaluation.judges import Panel, call_panel


@pytest.fixture(scope="session")
def panel(smoke_run: Path) -> Panel:
    return call_panel(smoke_run / "bundle", {"teacher": smoke_run / "bundle"})


@pytest.fixture(scope="session")
def few_challenges(smoke_config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every twelfth text of each set, with all that is disguised of it and with its pair."""
    folder = tmp_path_factory.mktemp("challenge")
    for path in sorted(Path(smoke_config.challenge or "").glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        kept = [row for row in rows if int(re.search(r"\d+", row["id"])[0]) % 12 == 1]
        ids = {row["id"] for row in kept}
        lines = [json.dumps(row | {"pair": row["pair"] if row["pair"] in ids else None}) for row in kept]
        (folder / path.name).write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "elsewhere.jsonl"
    rows = [
        {"text": "กู้เงินด่วน โอนค่าธรรมเนียมก่อน https://bit.ly/x1", "label": "loan", "channel": "sms"},
        {"text": "รับแอดมินตอบแชท พาข้ามฝั่งไปปอยเปต ไม่ดูวุฒิ", "label": "trafficking"},
        {"text": "ถึงบ้านยัง <script>alert(1)</script> \ud83d", "label": "benign", "channel": "chat"},
        {"text": "ประชุมเก้าโมง", "label": "benign"},
        {"text": "", "label": "benign"},
        {"text": "?", "label": None},
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path
