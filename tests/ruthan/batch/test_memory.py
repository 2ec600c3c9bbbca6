import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ruthan.batch.memory import open_memory
from ruthan.batch.results import ResultsError
from ruthan.model.classifier import Prediction
from ruthan.scanner import Scanner


def prediction(first: float = 0.25) -> Prediction:
    return Prediction(np.array([first, 1 - first]), 2)


def test_what_was_kept_is_recalled_exactly(tmp_path: Path, scanner: Scanner) -> None:
    with open_memory(tmp_path / "p", scanner.classifier.info) as memory:
        memory.keep({"สวัสดี": prediction(1 / 3), "ลาก่อน": prediction(0.1)})
        found = memory.recall(["สวัสดี", "ใคร", "ลาก่อน"])
    assert set(found) == {"สวัสดี", "ลาก่อน"}
    assert found["สวัสดี"].probabilities.tolist() == [1 / 3, 1 - 1 / 3]
    assert found["สวัสดี"].windows == 2


def test_it_outlives_the_run_that_wrote_it(tmp_path: Path, scanner: Scanner) -> None:
    with open_memory(tmp_path / "p", scanner.classifier.info) as memory:
        memory.keep({"a": prediction()})
    with open_memory(tmp_path / "p", scanner.classifier.info) as memory:
        assert "a" in memory.recall(["a"])


def test_another_model_remembers_nothing(tmp_path: Path, scanner: Scanner) -> None:
    info = scanner.classifier.info
    with open_memory(tmp_path / "p", info) as memory:
        memory.keep({"a": prediction()})
    with open_memory(tmp_path / "p", replace(info, temperature=info.temperature * 2)) as memory:
        assert memory.recall(["a"]) == {}


def test_without_a_path_nothing_is_left(tmp_path: Path, scanner: Scanner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_memory(None, scanner.classifier.info) as memory:
        memory.keep({"a": prediction()})
        assert "a" in memory.recall(["a"])
    assert list(tmp_path.iterdir()) == []


def test_more_texts_than_one_question_may_hold_are_all_found(scanner: Scanner) -> None:
    texts = [str(number) for number in range(2_345)]
    with open_memory(None, scanner.classifier.info) as memory:
        memory.keep(dict.fromkeys(texts, prediction()))
        assert len(memory.recall(texts)) == 2_345
        assert memory.recall([]) == {}


def test_a_half_character_is_a_text_like_any_other(scanner: Scanner) -> None:
    with open_memory(None, scanner.classifier.info) as memory:
        memory.keep({"โอน\ud83d": prediction()})
        assert "โอน\ud83d" in memory.recall(["โอน\ud83d"])


def test_no_text_is_in_the_file(tmp_path: Path, scanner: Scanner) -> None:
    with open_memory(tmp_path / "p", scanner.classifier.info) as memory:
        memory.keep({"a secret of mine": prediction()})
    assert not any(b"secret" in path.read_bytes() for path in tmp_path.iterdir())


def test_two_runs_do_not_share_a_file(tmp_path: Path, scanner: Scanner) -> None:
    with open_memory(tmp_path / "p", scanner.classifier.info) as memory:
        memory.keep({"a": prediction()})
        with (
            pytest.raises(ResultsError, match="another run"),
            open_memory(tmp_path / "p", scanner.classifier.info),
        ):
            pass


def test_a_file_that_is_none_of_ours_is_said_to_be_damaged(tmp_path: Path, scanner: Scanner) -> None:
    path = tmp_path / "p"
    path.write_bytes(b"no database at all, but long enough to be taken for one" * 100)
    with pytest.raises(ResultsError, match="delete it"), open_memory(path, scanner.classifier.info):
        pass
    assert path.exists()


def test_a_folder_that_is_not_there_is_said_to_be_missing(tmp_path: Path, scanner: Scanner) -> None:
    with (
        pytest.raises(ResultsError, match="cannot be written"),
        open_memory(tmp_path / "no" / "p", scanner.classifier.info),
    ):
        pass


def test_a_full_disk_is_said_with_the_remedy(tmp_path: Path, scanner: Scanner) -> None:
    with pytest.raises(ResultsError, match="make room"), open_memory(tmp_path / "p", scanner.classifier.info) as memory:
        memory._database.execute("PRAGMA max_page_count = 8")
        memory.keep({str(number): prediction() for number in range(5_000)})


def test_what_was_committed_survives_a_copy_made_in_the_middle(
    tmp_path: Path, scanner: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ruthan.batch.memory.SECONDS", 0.0)
    with open_memory(tmp_path / "p", scanner.classifier.info) as memory:
        memory.keep({"a": prediction()})
        copy = tmp_path / "copy"
        for name in ("p", "p-wal"):  # as they stand on the disk at the moment of a power cut
            (tmp_path / name.replace("p", "copy", 1)).write_bytes((tmp_path / name).read_bytes())
    database = sqlite3.connect(copy)
    assert database.execute("SELECT count(*) FROM predictions").fetchone() == (1,)
    database.close()
