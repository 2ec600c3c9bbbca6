import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast

from ruthan.errors import BundleError
from ruthan.taxonomy import default_taxonomy
from train import distil
from train.batches import predict_logits, tokenized
from train.corpus.records import UNLABELLED, Record
from train.distil import Lessons, ask_teachers
from train.errors import ConfigError
from train.hub import HEAD
from train.network import MessageClassifier

LABELS = default_taxonomy().labels
TEXTS = ("กู้เงินด่วน", "พัสดุถึงแล้ว {link}", "สวัสดี", "โอนก่อน")
RECORDS = [
    Record(f"r{at}", text, UNLABELLED if at == 2 else "loan", None, "th", "sms", f"r{at}", None, "test", False)
    for at, text in enumerate(TEXTS)
]

Tiny = Callable[..., MessageClassifier]


def write_teacher(
    folder: Path, network: MessageClassifier, tokenizer: PreTrainedTokenizerFast, labels: tuple[str, ...] = LABELS
) -> str:
    network.encoder.config.id2label = dict(enumerate(labels))
    network.encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    state = network.state_dict()
    head = {name: state[name].contiguous() for name in state if not name.startswith("encoder.")}
    save_file(head, folder / HEAD)
    return str(folder)


@pytest.fixture
def teacher(tmp_path: Path, tiny: Tiny, letters: PreTrainedTokenizerFast) -> str:
    return write_teacher(tmp_path / "teacher", tiny(len(LABELS)), letters)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The teachers that were loaded, in turn."""
    loaded: list[Path] = []
    restore = distil.restore

    def noted(folder: Path) -> tuple[MessageClassifier, PreTrainedTokenizerFast]:
        loaded.append(folder)
        return restore(folder)

    monkeypatch.setattr(distil, "restore", noted)
    return loaded


def same(one: Lessons, other: Lessons) -> bool:
    return (
        one.row == other.row
        and np.array_equal(one.logits, other.logits)
        and np.array_equal(one.features, other.features)
    )


def test_a_teacher_gives_logits_and_features_of_every_text(
    tmp_path: Path, teacher: str, tiny: Tiny, letters: PreTrainedTokenizerFast
) -> None:
    lessons = ask_teachers([teacher], RECORDS, 32, 17, tmp_path / "lessons.npz")
    assert lessons.row == {"r0": 0, "r1": 1, "r2": 2, "r3": 3}
    assert lessons.logits.shape == (4, len(LABELS))
    assert lessons.features.shape == (4, 32)
    assert lessons.logits.dtype == lessons.features.dtype == np.float32
    logits = torch.from_numpy(predict_logits(tiny(len(LABELS)), tokenized(RECORDS, LABELS, letters, 32, 17), letters))
    assert np.allclose(lessons.logits, logits.log_softmax(-1), atol=5e-3)


def test_of_two_teachers_the_mean_opinion_counts_and_the_features_of_the_first(
    tmp_path: Path, teacher: str, tiny: Tiny, letters: PreTrainedTokenizerFast
) -> None:
    other = write_teacher(tmp_path / "other", tiny(len(LABELS), width=16, seed=1), letters)
    alone = [ask_teachers([each], RECORDS, 32, 17, tmp_path / f"{at}.npz") for at, each in enumerate((teacher, other))]
    both = ask_teachers([teacher, other], RECORDS, 32, 17, tmp_path / "lessons.npz")
    mean = (np.exp(alone[0].logits) + np.exp(alone[1].logits)) / 2
    assert np.allclose(np.exp(both.logits), mean, atol=1e-3)
    assert not np.allclose(alone[0].logits, alone[1].logits, atol=1e-2)
    assert np.array_equal(both.features, alone[0].features)


def test_the_same_texts_are_asked_of_the_same_teachers_once(tmp_path: Path, teacher: str, asked: list[Path]) -> None:
    cache = tmp_path / "lessons.npz"
    first = ask_teachers([teacher], RECORDS, 32, 17, cache)
    second = ask_teachers([teacher], RECORDS, 32, 17, cache)
    assert len(asked) == 1
    assert same(first, second)  # to the last bit: a run that goes on learns what it would have learned
    assert [path.name for path in tmp_path.glob("*.npz")] == ["lessons.npz"]


def test_another_text_is_asked_again(tmp_path: Path, teacher: str, asked: list[Path]) -> None:
    cache = tmp_path / "lessons.npz"
    first = ask_teachers([teacher], RECORDS, 32, 17, cache)
    changed = [replace(RECORDS[0], text="เงินกู้ด่วนมาก"), *RECORDS[1:]]
    second = ask_teachers([teacher], changed, 32, 17, cache)
    assert len(asked) == 2
    assert not np.allclose(first.logits[0], second.logits[0])
    assert np.allclose(first.logits[1:], second.logits[1:], atol=1e-2)
    ask_teachers([teacher], changed[:-1], 32, 17, cache)
    ask_teachers([teacher], changed[:-1], 16, 17, cache)  # another window
    ask_teachers([teacher], changed[:-1], 16, 18, cache)  # other identifiers in the slots
    assert len(asked) == 5


def test_a_teacher_that_was_trained_anew_is_asked_again(
    tmp_path: Path, teacher: str, tiny: Tiny, letters: PreTrainedTokenizerFast, asked: list[Path]
) -> None:
    cache = tmp_path / "lessons.npz"
    first = ask_teachers([teacher], RECORDS, 32, 17, cache)
    write_teacher(Path(teacher), tiny(len(LABELS), seed=5), letters)
    second = ask_teachers([teacher], RECORDS, 32, 17, cache)
    assert len(asked) == 2
    assert not np.allclose(first.logits, second.logits)


def test_a_teacher_whose_head_alone_changed_is_asked_again(
    tmp_path: Path, teacher: str, tiny: Tiny, asked: list[Path]
) -> None:
    cache = tmp_path / "lessons.npz"
    ask_teachers([teacher], RECORDS, 32, 17, cache)
    state = tiny(len(LABELS)).state_dict()
    save_file({name: state[name] + 1 for name in state if not name.startswith("encoder.")}, Path(teacher) / HEAD)
    ask_teachers([teacher], RECORDS, 32, 17, cache)
    assert len(asked) == 2


@pytest.mark.parametrize("kept", [0, 3, 40, 0.5, -1], ids=["nothing", "three bytes", "a header", "half", "all but one"])
def test_a_cache_that_was_cut_short_is_not_trusted(
    tmp_path: Path, teacher: str, asked: list[Path], kept: float
) -> None:
    cache = tmp_path / "lessons.npz"
    first = ask_teachers([teacher], RECORDS, 32, 17, cache)
    whole = cache.read_bytes()
    cache.write_bytes(whole[: int(kept * len(whole)) if kept == 0.5 else int(kept)])
    assert same(ask_teachers([teacher], RECORDS, 32, 17, cache), first)
    assert len(asked) == 2
    assert cache.read_bytes() == whole


@pytest.mark.parametrize("content", [b"no archive", b"PK\x03\x04 nor this", b"\x93NUMPY\x01\x00"])
def test_a_cache_that_is_something_else_is_not_trusted(
    tmp_path: Path, teacher: str, asked: list[Path], content: bytes
) -> None:
    cache = tmp_path / "lessons.npz"
    cache.write_bytes(content)
    ask_teachers([teacher], RECORDS, 32, 17, cache)
    ask_teachers([teacher], RECORDS, 32, 17, cache)
    assert len(asked) == 1


def test_a_cache_with_a_byte_that_changed_is_not_trusted(tmp_path: Path, teacher: str, asked: list[Path]) -> None:
    cache = tmp_path / "lessons.npz"
    first = ask_teachers([teacher], RECORDS, 32, 17, cache)
    damaged = bytearray(cache.read_bytes())
    damaged[damaged.index(first.features.astype(np.float16).tobytes())] ^= 0xFF
    cache.write_bytes(damaged)
    assert same(ask_teachers([teacher], RECORDS, 32, 17, cache), first)
    assert len(asked) == 2


@pytest.mark.parametrize("fields", [{}, {"digest": "0"}, {"logits": np.zeros(3), "features": np.zeros(3)}])
def test_a_cache_without_the_right_digest_is_not_trusted(
    tmp_path: Path, teacher: str, asked: list[Path], fields: dict[str, object]
) -> None:
    cache = tmp_path / "lessons.npz"
    np.savez(cache, **fields)
    assert ask_teachers([teacher], RECORDS, 32, 17, cache).logits.shape == (4, len(LABELS))
    assert len(asked) == 1


def test_nothing_pickled_is_read(tmp_path: Path, teacher: str) -> None:
    cache = tmp_path / "lessons.npz"
    np.savez(cache, digest=np.array([{"a": 1}], dtype=object))
    assert ask_teachers([teacher], RECORDS, 32, 17, cache).logits.shape == (4, len(LABELS))


def test_a_teacher_of_other_classes_is_refused(tmp_path: Path, tiny: Tiny, letters: PreTrainedTokenizerFast) -> None:
    few = write_teacher(tmp_path / "few", tiny(3), letters, LABELS[:3])
    turned = write_teacher(tmp_path / "turned", tiny(len(LABELS)), letters, LABELS[::-1])
    for folder in (few, turned):  # as many, in another order, would teach every class wrongly
        with pytest.raises(ConfigError, match=f"^{folder} tells other classes than ours: .*train it anew"):
            ask_teachers([folder], RECORDS, 32, 17, tmp_path / "lessons.npz")
    assert not (tmp_path / "lessons.npz").exists()


def test_a_teacher_that_is_not_there_or_is_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no model at .*nowhere: No such file"):
        ask_teachers([str(tmp_path / "nowhere")], RECORDS, 32, 17, tmp_path / "lessons.npz")
    (tmp_path / "bundle.json").write_text(json.dumps({"format": 0}), encoding="utf-8")
    with pytest.raises(BundleError, match="bundle format 0"):
        ask_teachers([str(tmp_path)], RECORDS, 32, 17, tmp_path / "lessons.npz")
