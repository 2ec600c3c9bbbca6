"""The baseline that a transformer has to beat: character n-grams, TF-IDF, logistic regression."""

from collections.abc import Sequence

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from ruthan.taxonomy import BENIGN
from ruthan.text.normalize import normalize
from train.corpus.records import Record
from train.slots import prepare


def fit_baseline(records: Sequence[Record], seed: int, disguised: float = 0.0) -> Pipeline:
    """A classifier over the same labels, trained on the same texts as one pass of the network."""
    texts = [prepare(record.text, record.id, seed, blur=True, disguised=disguised) for record in records]
    model = make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=(1, 5), min_df=2, sublinear_tf=True, max_features=300_000),
        LogisticRegression(C=10, max_iter=1000, class_weight="balanced"),
    )
    return model.fit(texts, [record.label for record in records])


def baseline_predictions(model: Pipeline, texts: Sequence[str]) -> tuple[list[float], list[str]]:
    """Risk, 1 - P(benign), and label of each text: benign below a risk of 0.5, else the likeliest harmful class."""
    probabilities = model.predict_proba([normalize(text).text for text in texts])
    labels = list(model.classes_)
    benign = labels.index(BENIGN)
    risks = 1 - probabilities[:, benign]
    probabilities[:, benign] = 0
    predicted = [labels[at] if risk >= 0.5 else BENIGN for at, risk in zip(probabilities.argmax(1), risks, strict=True)]
    return risks.tolist(), predicted
