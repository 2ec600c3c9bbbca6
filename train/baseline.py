"""The baseline that a transformer has to beat: character n-grams, TF-IDF, logistic regression."""

from collections.abc import Sequence

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from ruthan.taxonomy import BENIGN
from ruthan.text import normalize
from train.corpus import Record
from train.slots import prepare


def fit_baseline(records: Sequence[Record], seed: int) -> Pipeline:
    """A classifier over the same labels, trained on the same texts with one filling of their slots."""
    texts = [prepare(record.text, record.id, seed, blur=True) for record in records]
    model = make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=(1, 5), min_df=2, sublinear_tf=True, max_features=300_000),
        LogisticRegression(C=10, max_iter=1000, class_weight="balanced"),
    )
    return model.fit(texts, [record.label for record in records])


def baseline_predictions(model: Pipeline, texts: Sequence[str]) -> tuple[list[float], list[str]]:
    """Risk, 1 - P(benign), and likeliest label of each text."""
    probabilities = model.predict_proba([normalize(text).text for text in texts])
    labels = list(model.classes_)
    return (1 - probabilities[:, labels.index(BENIGN)]).tolist(), [labels[i] for i in probabilities.argmax(1)]
