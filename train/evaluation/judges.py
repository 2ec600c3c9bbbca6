"""Who judges: the bundle, other bundles, and baselines fitted to the texts that the bundle was trained on."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from logging import getLogger
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from ruthan.model.bundle import BundleInfo, read_bundle
from ruthan.model.classifier import Classifier
from ruthan.taxonomy import BENIGN, default_taxonomy
from ruthan.text.normalize import normalize
from train.backbone import build_backbone
from train.baseline import FrozenEmbedding, fit_tfidf, keyword_risks
from train.config import OFFLINE, TrainConfig
from train.corpus.near_duplicates import text_digest
from train.corpus.records import UNLABELLED, Record, corpus_digest
from train.errors import ConfigError, CorpusError
from train.evaluation.names import AUTHORED, BUNDLE, EMBEDDING, KEYWORDS, REAL, TFIDF
from train.evaluation.slices import link_domains
from train.network import load_backbone
from train.parts import Parts, read_parts
from train.slots import prepare

FEWEST = 20  # texts that a baseline is fitted to

Array = npt.NDArray[Any]
_log = getLogger(__name__)


@dataclass(frozen=True)
class Judgement:
    """What a judge makes of some texts, in their order.

    :param risks: (texts,), 0 to 1.
    :param labels: benign below a risk of 0.5, else the likeliest harmful class; None from a judge without classes.
    :param probabilities: (texts, classes), the classes in the order of the taxonomy; None from one without classes.
    """

    risks: Array
    labels: list[str] | None = None
    probabilities: Array | None = None

    def of(self, chosen: Array) -> "Judgement":
        """The judgement on the texts at the places `chosen`."""
        return Judgement(
            self.risks[chosen],
            None if self.labels is None else [self.labels[at] for at in chosen],
            None if self.probabilities is None else self.probabilities[chosen],
        )


Judge = Callable[[Sequence[str]], Judgement]


@dataclass(frozen=True)
class Panel:
    """All judges of a run.

    :param judges: by name; `BUNDLE` is the one that is evaluated.
    :param about: by name, what the judge is.
    :param left_out: by name, why a judge is not among them.
    :param info: of the bundle.
    :param trained_digests: the texts that the bundle was trained on, see `text_digest`.
    :param trained_domains: registrable domains of the links in them.
    """

    judges: dict[str, Judge]
    about: dict[str, str]
    left_out: dict[str, str]
    info: BundleInfo
    trained_digests: frozenset[str]
    trained_domains: frozenset[str]


def call_panel(folder: Path, beside: Mapping[str, Path]) -> Panel:
    """Load the bundle in `folder` and those `beside` it, by name, and fit the baselines to what it was trained on.

    :raises CorpusError: the corpus is no longer the one the bundle was trained on, or a source is missing.
    :raises ConfigError: the name of a bundle is taken.
    :raises BundleError, BackboneError: a bundle or its backbone cannot be read.
    """
    for name in beside:
        if not name or name in {BUNDLE, KEYWORDS, TFIDF, EMBEDDING, AUTHORED, REAL}:
            raise ConfigError(f"--beside {name}=…: the name {name!r} is taken; give the bundle another")
    bundles = {name: Classifier(read_bundle(path)) for name, path in {**beside, BUNDLE: folder}.items()}
    known = default_taxonomy().labels
    for name, classifier in bundles.items():
        if strange := sorted(set(classifier.info.labels) - set(known)) or sorted({BENIGN} - {*classifier.info.labels}):
            raise ConfigError(f"{name}: its classes do not fit data/taxonomy.yaml ({strange[0]}); leave the bundle out")
    info = bundles[BUNDLE].info
    config = TrainConfig.from_dict(info.training["config"])
    _log.info("reading what %s was trained on", info.name)
    parts = read_parts(config)
    if corpus_digest(parts.corpus) != info.training["corpus_digest"]:
        raise CorpusError(f"{', '.join(config.corpus)} is not the corpus that {folder} was trained on; retrain")
    seen = [record for record in parts.passes[0] if record.label != UNLABELLED]
    texts = [prepare(record.text, record.id, config.seed, blur=True, disguised=config.disguised) for record in seen]
    labels = [record.label for record in seen]
    judges: dict[str, Judge] = {KEYWORDS: _by_keywords}
    about = {KEYWORDS: _KEYWORDS_ARE}
    left_out: dict[str, str] = {}

    authored = np.array([record.origin == "authored" for record in seen])
    everything = np.ones(len(seen), bool)
    for name, chosen in ((TFIDF, everything), (AUTHORED, authored), (REAL, ~authored)):
        mine = [label for label, taken in zip(labels, chosen, strict=True) if taken]
        if len(mine) < FEWEST or BENIGN not in mine or len(set(mine)) < 2:
            left_out[name] = f"the bundle's training texts hold only {len(mine)} of them, or only one side"
            continue
        _log.info("fitting %s to %d texts", name, len(mine))
        model = fit_tfidf([text for text, taken in zip(texts, chosen, strict=True) if taken], mine)
        judges[name] = partial(_by_classes, model)
        about[name] = f"character 1- to 5-grams and logistic regression, fitted to {len(mine)} texts"
    if TFIDF in judges:
        _log.info("fitting %s to %d texts", EMBEDDING, len(texts))
        judges[EMBEDDING] = partial(_by_classes, _embedding(parts, config).fit(texts, labels))
        about[EMBEDDING] = f"logistic regression on the mean vectors of the untouched {config.backbone}, same texts"
    else:
        left_out[EMBEDDING] = left_out[TFIDF]
    for name, classifier in bundles.items():
        judges[name] = partial(_by_bundle, classifier)
        about[name] = f"{classifier.info.name}, as it ships"
    trained = parts.trained_on()
    digests = frozenset(text_digest(record.text) for record in trained)
    return Panel(judges, about, left_out, info, digests, _trained_domains(trained, config))


def bundle_alone(folder: Path) -> Panel:
    """The bundle in `folder` and the keyword list, which needs no training texts.

    :raises BundleError: the bundle cannot be read.
    """
    classifier = Classifier(read_bundle(folder))
    return Panel(
        judges={KEYWORDS: _by_keywords, BUNDLE: partial(_by_bundle, classifier)},
        about={KEYWORDS: _KEYWORDS_ARE, BUNDLE: f"{classifier.info.name}, as it ships"},
        left_out={},
        info=classifier.info,
        trained_digests=frozenset(),
        trained_domains=frozenset(),
    )


_KEYWORDS_ARE = "number of distinct warning signs of data/signals.yaml, quoted ones left out; names no class"


def _by_keywords(texts: Sequence[str]) -> Judgement:
    return Judgement(keyword_risks(texts))


_LINK_SLOT = re.compile(r"\{(?:link|shortlink|official|lookalike)\b")


def _trained_domains(records: Sequence[Record], config: TrainConfig) -> frozenset[str]:
    """The domains of all links of all passes: a slot holds another link in each."""
    found = set(link_domains(record.text for record in records if not _LINK_SLOT.search(record.text)))
    slotted = [record for record in records if _LINK_SLOT.search(record.text)]
    for variant in range(config.variants):
        found |= link_domains(prepare(each.text, each.id, config.seed, variant, blur=True) for each in slotted)
    return frozenset(found)


def _embedding(parts: Parts, config: TrainConfig) -> FrozenEmbedding:
    """The untouched backbone: whole where the bundle began as another bundle, else as many layers as the bundle has."""
    layers = config.layers if config.start is None else None
    if config.backbone != OFFLINE:
        return FrozenEmbedding(*load_backbone(config.backbone, layers), config.max_length)
    with TemporaryDirectory() as folder:
        build_backbone(Path(folder), (record.text for record in parts.corpus))
        return FrozenEmbedding(*load_backbone(folder, layers), config.max_length)


def _by_classes(model: Any, texts: Sequence[str]) -> Judgement:
    """The judgement of a fitted model with `predict_proba` and `classes_`."""
    found = model.predict_proba([normalize(text).text for text in texts])
    return _judgement(found, list(model.classes_))


def _by_bundle(classifier: Classifier, texts: Sequence[str]) -> Judgement:
    """As `ruthan.Scanner`, without looking for evidence; a text without anything to read is benign."""
    normalized = [normalize(text).text.strip() for text in texts]
    labels = classifier.info.labels
    found = np.zeros((len(texts), len(labels)))
    found[:, labels.index(BENIGN)] = 1
    readable = [at for at, text in enumerate(normalized) if text]
    for at, prediction in zip(readable, classifier.classify([normalized[at] for at in readable]), strict=True):
        found[at] = prediction.probabilities
    return _judgement(found, labels)


def _judgement(found: Array, classes: Sequence[str]) -> Judgement:
    """Risk 1 - P(benign), label, and the probabilities in the order of the taxonomy, 0 for a class not known."""
    known = default_taxonomy().labels
    probabilities = np.zeros((len(found), len(known)))
    for at, label in enumerate(classes):
        probabilities[:, known.index(label)] = found[:, at]
    benign = known.index(BENIGN)
    risks = np.round(1 - probabilities[:, benign], 6)  # as verdicts say it
    harmful = probabilities.copy()
    harmful[:, benign] = -1
    labels = [known[at] if risk >= 0.5 else BENIGN for at, risk in zip(harmful.argmax(1), risks, strict=True)]
    return Judgement(risks, labels, probabilities)


def ask(judge: Judge, sets: Sequence[Sequence[str]]) -> list[Judgement]:
    """A judge's opinion of several sets of texts; a text that occurs more than once is read once."""
    places: dict[str, int] = {}
    rows = [np.array([places.setdefault(text, len(places)) for text in texts], int) for texts in sets]
    everything = judge(list(places))
    return [everything.of(chosen) for chosen in rows]
