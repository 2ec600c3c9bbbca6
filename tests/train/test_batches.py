from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from train.batches import BATCH, NO_LABEL, in_batches, predict_logits, tokenized
from train.corpus.records import UNLABELLED, Record
from train.network import MessageClassifier

LABELS = ("benign", "loan", "spam")
RECORD = Record("r0", "กู้เงิน {phone}", "loan", None, "th", "sms", "r0", None, "test", False)


def of_length(*lengths: int) -> list[Record]:
    return [replace(RECORD, id=f"r{at}", text="กข" * length) for at, length in enumerate(lengths)]


def test_a_record_becomes_ids_label_and_length(letters: PreTrainedTokenizerFast) -> None:
    [row] = tokenized([replace(RECORD, text="กขก")], LABELS, letters, 16, 1)
    ids = letters.convert_tokens_to_ids(["<s>", "ก", "ข", "ก", "</s>"])
    assert row == {"input_ids": ids, "attention_mask": [1] * 5, "labels": 1, "length": 5}


def test_a_text_without_a_label_has_none_for_the_loss(letters: PreTrainedTokenizerFast) -> None:
    rows = tokenized([replace(RECORD, label=UNLABELLED), RECORD], LABELS, letters, 16, 1)
    assert rows["labels"][:] == [NO_LABEL, 1]
    assert torch.nn.CrossEntropyLoss().ignore_index == NO_LABEL


def test_a_long_text_is_cut_to_the_window(letters: PreTrainedTokenizerFast) -> None:
    [row] = tokenized(of_length(5000), LABELS, letters, 16, 1)
    assert row["length"] == len(row["input_ids"]) == len(row["attention_mask"]) == 16
    assert row["input_ids"][-1] == letters.eos_token_id


def test_each_variant_has_other_identifiers_and_the_same_variant_the_same(letters: PreTrainedTokenizerFast) -> None:
    link = replace(RECORD, text="กู้เงิน {link}")

    def ids(seed: int, variant: int) -> list[int]:
        return tokenized([link], LABELS, letters, 64, seed, variant)[0]["input_ids"]

    assert ids(1, 0) == ids(1, 0)
    assert ids(1, 0) != ids(1, 1)
    assert ids(1, 0) != ids(2, 0)


def test_every_row_knows_its_lesson(letters: PreTrainedTokenizerFast) -> None:
    records = of_length(1, 2, 3)
    rows = tokenized(records, LABELS, letters, 16, 1, lessons={"r0": 2, "r1": 0, "r2": 1, "other": 9})
    assert rows["lesson"][:] == [2, 0, 1]
    assert "lesson" not in tokenized(records, LABELS, letters, 16, 1).column_names
    with pytest.raises(KeyError):
        tokenized(records, LABELS, letters, 16, 1, lessons={})


def test_answers_come_in_the_order_of_the_rows_whatever_their_length(
    letters: PreTrainedTokenizerFast, tiny: Callable[..., MessageClassifier]
) -> None:
    network = tiny()
    rows = tokenized(of_length(*(at * 7 % 23 + 1 for at in range(2 * BATCH + 5))), LABELS, letters, 64, 1)
    logits = predict_logits(network, rows, letters)
    assert logits.shape == (2 * BATCH + 5, 3)
    assert logits.dtype == np.float32
    for at in (0, 1, BATCH, 2 * BATCH + 4):
        ids = torch.tensor([rows[at]["input_ids"]])
        with torch.inference_mode():
            alone = network(ids, torch.ones_like(ids))["logits"][0].numpy()
        assert np.allclose(logits[at], alone, atol=1e-5)


def test_a_batch_holds_texts_of_similar_length(letters: PreTrainedTokenizerFast) -> None:
    rows = tokenized(of_length(*(1, 30) * BATCH), LABELS, letters, 64, 1)
    masks: list[torch.Tensor] = []

    def width(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        masks.append(mask)
        return mask.sum(1, keepdim=True).float()

    widths = in_batches(rows, letters, 1, width)
    assert widths[:, 0].tolist() == rows["length"][:]
    assert [mask.shape for mask in masks] == [(BATCH, 4), (BATCH, 62)]
    assert all(mask.all() for mask in masks)  # nothing was padded


def test_a_single_text_is_a_batch(letters: PreTrainedTokenizerFast, tiny: Callable[..., MessageClassifier]) -> None:
    rows = tokenized(of_length(1), LABELS, letters, 64, 1)
    assert predict_logits(tiny(), rows, letters).shape == (1, 3)
