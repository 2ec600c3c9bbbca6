"""Run the network of a bundle: texts in, calibrated class probabilities out.

Each window of a text is run by itself, on one thread, and as many at a time as there are cores. On two cores this is
a third faster than padded batches. It also makes the answer depend on the text alone: the 8-bit network scales its
activations over the whole input, so that in a batch the neighbours of a text would change its probabilities.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Encoding, Tokenizer

from ruthan.errors import BundleError
from ruthan.model.bundle import MODEL, TOKENIZER, Bundle
from ruthan.taxonomy import BENIGN

Floats = npt.NDArray[np.float64]

FEW = 16  # texts, for which the tokenizer's own threads cost more than they save
_BEYOND = 2**31 - 1  # a token id that no embedding table has


@dataclass(frozen=True)
class Prediction:
    """Probabilities of the classes, in the order of the bundle's labels, and how many windows were read."""

    probabilities: Floats
    windows: int


@dataclass(frozen=True)
class Contributions:
    """What each token of a text adds to the logits: the riskiest window, if the text is longer than one.

    :param spans: start and end of each token in the text, special tokens left out.
    :param logits: (tokens, classes); the logits of the classes are their mean over all tokens, and a constant.
    :param mean: (classes,), that mean over all tokens, special ones too.
    """

    spans: tuple[tuple[int, int], ...]
    logits: Floats
    mean: Floats


def softmax(logits: npt.NDArray[Any], temperature: float) -> Floats:
    """Probabilities over the last axis of `logits / temperature`."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    result: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return result


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Classifier:
    """The network of one bundle, loaded once; safe to share between threads."""

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        """:raises BundleError: the network or the tokenizer cannot be loaded, or they do not fit each other."""
        self.info = bundle.info
        self._folder = bundle.folder
        self.threads = threads or available_cores()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # errors are raised, and need not be printed too
        # Both libraries raise plain Exception.
        try:
            self._tokenizer = Tokenizer.from_file(str(bundle.folder / TOKENIZER))
        except Exception as error:
            raise self._unusable(TOKENIZER, f"cannot be loaded: {_line(error)}") from error
        try:
            self._session = onnxruntime.InferenceSession(
                str(bundle.folder / MODEL), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise self._unusable(MODEL, f"cannot be loaded: {_line(error)}") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._check_fit()
        self._harmless = self.info.labels.index(BENIGN)
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="ruthan")

    def _check_fit(self) -> None:
        """See to it that tokenizer, network and labels fit each other, at the cost of two very short texts."""
        outputs = {output.name: output.shape for output in self._session.get_outputs()}
        for name in ("logits", "contributions"):
            width = (outputs.get(name) or [0])[-1]
            if width != len(self.info.labels):
                raise self._unusable(MODEL, f"{width} network outputs for {len(self.info.labels)} labels in {name}")
        if self._tokenizer.num_special_tokens_to_add(False) != 2:
            raise self._unusable(TOKENIZER, "a special token at either end of a text is needed")
        first, *_, last = self._tokenizer.encode("").ids
        highest = max(self._tokenizer.get_vocab(with_added_tokens=True).values())
        logits = self._run((first, highest, last))
        if not np.isfinite(logits).all():
            raise self._unusable(MODEL, "the network gives no finite numbers")
        # The look-up on quantised blocks takes every id beyond its table, gives the same for all, and says nothing.
        try:
            beyond = self._run((first, _BEYOND, last))
        except BundleError:  # another look-up, that would have refused the highest id as well
            return
        if np.array_equal(logits, beyond):
            raise self._unusable(TOKENIZER, f"token id {highest} is beyond the embedding table of {MODEL}")

    def _unusable(self, file: str, fault: str) -> BundleError:
        return BundleError(
            f"{self._folder / file}: {fault}; restore the folder from where it came, or reinstall ruthan"
        )

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        """Classify normalised texts, in the order given; equal texts are read once.

        A text longer than the model's window is read in overlapping windows, and the one with the highest risk
        decides.
        """
        return self.begin(texts)()

    def begin(self, texts: Sequence[str]) -> Callable[[], list[Prediction]]:
        """The same, but return at once, while other threads read; the answers come from calling what is returned."""
        distinct = list(dict.fromkeys(texts))
        windows = [self._windows(encoding.ids) for encoding in self._encoded(distinct)]
        flat = [(text, window) for text, group in enumerate(windows) for window in group]
        if len(flat) == 1:
            return lambda: self._predictions(texts, distinct, [[self._run(flat[0][1])]])
        running: list[list[Future[npt.NDArray[np.float32]]]] = [[] for _ in windows]
        for text, window in sorted(flat, key=lambda each: -len(each[1])):  # a long one last would keep one core busy
            running[text].append(self._pool.submit(self._run, window))
        return lambda: self._predictions(texts, distinct, [[each.result() for each in group] for group in running])

    def _encoded(self, texts: Sequence[str]) -> list[Encoding]:
        if len(texts) < FEW:
            return [self._tokenizer.encode(text) for text in texts]
        return self._tokenizer.encode_batch(texts)

    def _predictions(
        self, texts: Sequence[str], distinct: Sequence[str], logits: Sequence[Sequence[npt.NDArray[np.float32]]]
    ) -> list[Prediction]:
        """The riskiest window of each text; `logits` are those of the windows of each distinct one."""
        found: dict[str, Prediction] = {}
        for text, group in zip(distinct, logits, strict=True):
            probabilities = softmax(np.stack(group), self.info.temperature)
            riskiest = int(probabilities[:, self._harmless].argmin())
            found[text] = Prediction(probabilities[riskiest], len(group))
        return [found[text] for text in texts]

    def contributions(self, text: str) -> Contributions:
        """What each token of a normalised text adds to the logits, at about the cost of classifying it once."""
        encoding = self._tokenizer.encode(text)
        windows = self._windows(encoding.ids)
        if len(windows) > 1:
            risks = [softmax(self._run(window), self.info.temperature)[self._harmless] for window in windows]
            ids = windows[int(np.argmin(risks))]
            start = self._place(encoding.ids, ids)
        else:
            ids, start = windows[0], 1
        [logits] = self._ask("contributions", ids)
        inner = logits[1:-1].astype(np.float64)
        return Contributions(
            tuple(encoding.offsets[start : start + len(inner)]), inner, logits.astype(np.float64).mean(axis=0)
        )

    @staticmethod
    def _place(ids: list[int], window: tuple[int, ...]) -> int:
        """Where the inner tokens of a window begin among all tokens of a text."""
        inner = list(window[1:-1])
        return next(at for at in range(1, len(ids)) if ids[at : at + len(inner)] == inner)

    def _windows(self, ids: list[int]) -> list[tuple[int, ...]]:
        """Cut token ids, which begin and end with a special token, into windows; repeated windows are kept once."""
        limit, overlap = self.info.window_tokens, self.info.window_overlap
        if len(ids) <= limit:
            return [tuple(ids)]
        first, inner, last = ids[0], ids[1:-1], ids[-1]
        size = limit - 2
        step = size - overlap
        starts = range(0, len(inner) - overlap, step)
        return list(dict.fromkeys((first, *inner[start : start + size], last) for start in starts))

    def _run(self, ids: tuple[int, ...]) -> npt.NDArray[np.float32]:
        logits: npt.NDArray[np.float32] = self._ask("logits", ids)[0]
        return logits

    def _ask(self, output: str, ids: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """One output of the network for one window, itself the only one of its batch.

        :raises BundleError: the network cannot read it, as when `window_tokens` is more than its positions.
        """
        feed = {"input_ids": np.array([ids], np.int64), "attention_mask": np.ones((1, len(ids)), np.int64)}
        try:
            found: npt.NDArray[np.float32] = self._session.run([output], feed)[0]
        except Exception as error:  # the library raises plain Exception
            size = f"{len(ids)} tokens (window_tokens is {self.info.window_tokens})"
            raise self._unusable(MODEL, f"cannot read a window of {size}: {_line(error)}") from error
        return found


def _line(error: Exception) -> str:
    """What a library says of an error, on one line."""
    return " ".join(str(error).split())[:200]
