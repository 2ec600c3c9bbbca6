import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ruthan.model.classifier import Classifier, softmax
from ruthan.scanner import Scanner


@pytest.fixture
def classifier(scanner: Scanner) -> Classifier:
    return scanner.classifier


def test_softmax_sums_to_one_and_flattens_with_temperature() -> None:
    logits = np.array([[1.0, 2.0, 1000.0], [0.0, 0.0, 0.0]])
    assert np.allclose(softmax(logits, 1.0).sum(1), 1)
    warm, cold = softmax(np.array([1.0, 2.0]), 5.0), softmax(np.array([1.0, 2.0]), 0.5)
    assert warm.max() < cold.max()


@pytest.mark.parametrize("length", [2, 255, 256, 257, 448, 449, 1000])
def test_windows_cover_every_token_in_order_and_none_is_too_long(classifier: Classifier, length: int) -> None:
    ids = [0, *range(10, 10 + length - 2), 2]
    windows = classifier._windows(ids)
    limit, overlap = classifier.info.window_tokens, classifier.info.window_overlap
    assert all(len(window) <= limit and window[0] == 0 and window[-1] == 2 for window in windows)
    covered = [token for window in windows for token in window[1:-1]]
    assert sorted(set(covered)) == ids[1:-1]
    for before, after in pairwise(windows):
        assert before[1:-1][-overlap:] == after[1:-1][:overlap]


def test_repeated_windows_are_read_once(classifier: Classifier) -> None:
    [prediction] = classifier.classify(["ก" * 100_000])
    assert prediction.windows < 50


def test_nothing_to_classify_gives_nothing(classifier: Classifier) -> None:
    assert classifier.classify([]) == []


def test_probabilities_sum_to_one(classifier: Classifier) -> None:
    [prediction] = classifier.classify(["สวัสดีครับ"])
    assert prediction.probabilities.shape == (len(classifier.info.labels),)
    assert prediction.probabilities.sum() == pytest.approx(1)


@pytest.mark.parametrize("first", ["ruthan.scanner", "ruthan.masking", "ruthan.model.classifier"])
def test_scanning_leaves_nothing_in_the_home_folder_and_needs_none(tmp_path: Path, first: str) -> None:
    code = f"import {first}; from ruthan import Scanner; Scanner().scan('สวัสดี')"
    ours = ("ORT_DISABLE_TELEMETRY", "PYTHAINLP_READ_ONLY", "PYTHAINLP_DATA")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    for home in (tmp_path, Path("/proc/nowhere")):
        places = {"HOME": str(home), "XDG_CACHE_HOME": str(home)}
        subprocess.run([sys.executable, "-c", code], env=environment | places, check=True)
    assert [*tmp_path.rglob("*")] == []
