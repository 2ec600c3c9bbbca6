"""Ask teachers what they make of every text, once, so that a smaller network can learn it.

A teacher reads each text as it stands; the student reads it disguised, or with other identifiers, and is to come to the
same opinion: that teaches both what the teacher knows and to see through disguises.
"""

import hashlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ruthan.taxonomy import default_taxonomy
from train.batches import in_batches, tokenized
from train.corpus.records import Record
from train.restore import model_identity, restore

Floats = npt.NDArray[Any]


@dataclass(frozen=True)
class Lessons:
    """What the teachers say.

    :param row: record id to row of the arrays.
    :param logits: (records, classes): the logarithms of the teachers' mean probabilities.
    :param features: (records, hidden), standardised, of the first teacher.
    """

    row: dict[str, int]
    logits: Floats
    features: Floats


def ask_teachers(folders: Sequence[str], records: Sequence[Record], max_length: int, seed: int, cache: Path) -> Lessons:
    """The teachers' opinion of the records, taken from the file `cache` if it is of the same teachers and texts.

    It is rounded to 16 bits as the file is, so that a run that goes on learns what it would have learned at once.

    :raises ConfigError: a teacher has other classes.
    :raises BundleError, BackboneError: a teacher cannot be read.
    """
    digest = hashlib.sha256(json.dumps([max_length, seed]).encode())
    for folder in folders:
        digest.update(model_identity(Path(folder)).encode())
    for record in records:
        digest.update(f"{record.id}\n{record.text}\n".encode())
    row = {record.id: at for at, record in enumerate(records)}
    if known := _cached(cache, digest.hexdigest()):
        return Lessons(row, *known)
    labels = default_taxonomy().labels
    probabilities = np.zeros((len(records), len(labels)), np.float32)
    features: list[Floats] = []
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for folder in folders:
        network, tokenizer = restore(Path(folder))
        network = network.to(device)
        rows = tokenized(records, labels, tokenizer, max_length, seed)
        hidden = network.encoder.config.hidden_size

        def both(ids: torch.Tensor, mask: torch.Tensor, network: Any = network) -> torch.Tensor:
            output = network(ids.to(device), mask.to(device))
            return torch.cat([output["logits"].softmax(-1), output["features"]], dim=-1)

        answers = in_batches(rows, tokenizer, len(labels) + hidden, both, f"asking {folder}")
        probabilities += answers[:, : len(labels)] / len(folders)
        features.append(answers[:, len(labels) :])
    logits, hidden_states = np.log(np.clip(probabilities, 1e-8, 1)).astype(np.float16), features[0].astype(np.float16)
    partial = cache.with_suffix(".partial.npz")
    np.savez(partial, digest=digest.hexdigest(), logits=logits, features=hidden_states)
    partial.replace(cache)
    return Lessons(row, logits.astype(np.float32), hidden_states.astype(np.float32))


def _cached(cache: Path, digest: str) -> tuple[Floats, Floats] | None:
    """Logits and features of a file, or None if it is not there, of another `digest`, or damaged."""
    try:
        with cache.open("rb") as file, np.load(file, allow_pickle=False) as found:
            if str(found["digest"]) == digest:
                return found["logits"].astype(np.float32), found["features"].astype(np.float32)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        pass  # not there, or cut short
    return None
