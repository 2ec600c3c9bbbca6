"""The baselines that a transformer has to beat: a list of warning signs, TF-IDF, and its own backbone left as it was.

The two that learn are fitted to the texts that the network was trained on and give one probability a class.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ruthan.evidence.signals import default_signals
from ruthan.text.normalize import normalize
from train.batches import in_batches
from train.finetune import PROBE_STRENGTH
from train.network import MessageClassifier

Floats = npt.NDArray[Any]


def keyword_risks(texts: Sequence[str]) -> Floats:
    """A risk from 0 up to 1, (texts,): n / (n + 1) for the n distinct warning signs that a text shows in earnest.

    Pleas for help speak against nobody and do not count. So few values differ that many texts tie, and nothing breaks
    the ties: at a budget that would cut through one, none of its texts is flagged.
    """
    signals = default_signals()
    counts = []
    for text in texts:
        found = {each.type for each in signals.find(normalize(text), text) if "quoted" not in each.details}
        counts.append(sum(not signals.signals[sign].needs_help for sign in found))
    number = np.array(counts, float)
    risks: Floats = number / (number + 1)
    return risks


def fit_tfidf(texts: Sequence[str], labels: Sequence[str]) -> Pipeline:
    """Character 1- to 5-grams, TF-IDF and logistic regression; `texts` as `train.slots.prepare` returns them."""
    model = make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=(1, 5), min_df=2, sublinear_tf=True, max_features=300_000),
        LogisticRegression(C=10, max_iter=1000, class_weight="balanced"),
    )
    return model.fit(list(texts), list(labels))


class FrozenEmbedding:
    """Logistic regression on the standardised mean vectors of a backbone that was not fine-tuned.

    A text is cut to `max_length` tokens, as in training.
    """

    def __init__(self, encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
        self._network = MessageClassifier(encoder, classes=1).eval()  # for its mean vectors; the head is not used
        self._tokenizer, self._max_length = tokenizer, max_length
        self._probe = make_pipeline(StandardScaler(), LogisticRegression(C=PROBE_STRENGTH, max_iter=500))

    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> "FrozenEmbedding":
        """Fit the regression; `texts` as `train.slots.prepare` returns them."""
        self._probe.fit(self._vectors(texts), list(labels))
        return self

    @property
    def classes_(self) -> Sequence[str]:
        """The labels, in the order of the probabilities."""
        return list(self._probe.classes_)

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """(texts, classes); `texts` normalised."""
        probabilities: Floats = self._probe.predict_proba(self._vectors(texts))
        return probabilities

    def _vectors(self, texts: Sequence[str]) -> Floats:
        ids = [self._tokenizer(text, truncation=True, max_length=self._max_length)["input_ids"] for text in texts]
        rows = Dataset.from_list([{"input_ids": each, "length": len(each)} for each in ids])
        return in_batches(rows, self._tokenizer, self._network.encoder.config.hidden_size, self._network.features)
