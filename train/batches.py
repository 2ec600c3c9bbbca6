"""Texts as token ids, and a network run over them in batches."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from datasets import Dataset
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from train.corpus.records import Record
from train.network import MessageClassifier
from train.slots import prepare

NO_LABEL = -100  # what PyTorch's cross entropy leaves out
BATCH = 32

Floats = npt.NDArray[Any]


def tokenized(
    records: Sequence[Record],
    labels: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    seed: int,
    variant: int = 0,
    blur: bool = False,
    disguised: float = 0.0,
    lessons: Mapping[str, int] | None = None,
) -> Dataset:
    """Token ids, label and length of every record; `NO_LABEL` for one without a label.

    Each `variant` has other invented identifiers in its slots, drawn from `seed`; `blur` also swaps kinds of
    identifiers, see `train.slots`; the share `disguised` is rewritten, see `train.disguise`. With `lessons`, the row
    of each record by its id, that number too, as `lesson`.
    """
    number = {label: index for index, label in enumerate(labels)}
    rows: list[dict[str, Any]] = []
    for record in records:
        text = prepare(record.text, record.id, seed, variant, blur, disguised)
        ids = tokenizer(text, truncation=True, max_length=max_length)["input_ids"]
        row = {
            "input_ids": ids,
            "attention_mask": [1] * len(ids),
            "labels": number.get(record.label, NO_LABEL),
            "length": len(ids),
        }
        rows.append(row if lessons is None else row | {"lesson": lessons[record.id]})
    return Dataset.from_list(rows)


def predict_logits(network: MessageClassifier, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Floats:
    """Float32 logits of shape (rows, classes), in the order of `rows`."""
    return in_batches(rows, tokenizer, network.head.out_features, lambda ids, mask: network(ids, mask)["logits"])


def in_batches(
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    width: int,
    function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    progress: str | None = None,
) -> Floats:
    """`function` of the ids and the mask of all rows, in batches of similar length; (rows, `width`), float32.

    With `progress`, a bar of that name shows on stderr.
    """
    result = np.zeros((len(rows), width), np.float32)
    order = np.argsort(rows["length"], kind="stable")
    for start in tqdm(range(0, len(rows), BATCH), desc=progress, disable=progress is None, leave=False):
        chosen = order[start : start + BATCH]
        batch = tokenizer.pad({"input_ids": [rows[int(index)]["input_ids"] for index in chosen]}, return_tensors="pt")
        with torch.inference_mode():
            result[chosen] = function(batch["input_ids"], batch["attention_mask"]).cpu().numpy()
    return result
