"""What a run trains on, calibrates on, and is first judged on."""

from dataclasses import dataclass
from pathlib import Path
from random import Random

from train.config import TrainConfig
from train.corpus.challenge import keep_apart
from train.corpus.near_duplicates import text_digest
from train.corpus.records import UNLABELLED, Record, read_corpus
from train.corpus.sources import draw, read_source
from train.corpus.splits import read_digests, split_corpus
from train.errors import CorpusError


@dataclass(frozen=True)
class Parts:
    """The texts of a run; no text, family or pair is in two of the three.

    :param corpus: all records of the corpus.
    :param passes: what each pass of training sees; unlabelled texts only where there are teachers.
    :param calibration: for the temperature, the thresholds, and the curves on the way: of corpus and sources.
    :param calibration_weights: how much each of these counts: as often as training sees texts of where it is from.
    :param test: of the corpus alone; texts from elsewhere to judge on are given to `train evaluate`.
    """

    corpus: list[Record]
    passes: list[list[Record]]
    calibration: list[Record]
    calibration_weights: list[float]
    test: list[Record]

    def trained_on(self) -> list[Record]:
        """Every record that some pass sees, once."""
        return list({record.id: record for each in self.passes for record in each}.values())


def read_parts(config: TrainConfig) -> Parts:
    """Read, check and divide the texts that a configuration names.

    :raises CorpusError: a record breaks a rule, a source cannot be read, a part is empty, or a training text is one
        that is kept for judging or comes near a challenge text.
    """
    corpus = read_corpus([Path(path) for path in config.corpus])
    parts = split_corpus(corpus, config.seed, config.split)
    for name, part in parts.items():
        if not part:
            raise CorpusError(f"the {name} part is empty; give more records or another split")
    held_out, kept = _listed(config, "held_out"), _listed(config, "calibration")  # of one source, in any source
    for record in parts["train"]:
        if text_digest(record.text) in held_out | kept:
            raise CorpusError(f"{record.id} is a text that a list in data/splits/ keeps for judging; take it out")
    # What the corpus itself keeps aside, a source may have too.
    judged = held_out | {text_digest(record.text) for name in ("calibration", "test") for record in parts[name]}
    if config.limit is not None:
        most = {"train": config.limit, "calibration": 2 * config.limit, "test": 2 * config.limit}
        parts = {name: Random(config.seed).sample(part, min(most[name], len(part))) for name, part in parts.items()}
    chosen = Random(config.seed).sample(parts["train"], len(parts["train"]))
    passes = [list(chosen) for _ in range(config.variants)]
    calibration: dict[str, tuple[Record, float]] = {}
    for source in config.sources:
        training: list[Record] = []
        for record in read_source(source, config.seed, judged):
            digest = record.id.rpartition(":")[2]
            if digest in kept and record.label != UNLABELLED:
                calibration.setdefault(digest, (record, source.weight))
            elif digest not in kept and (config.teachers or record.label != UNLABELLED):
                training.append(record)
        for variant in range(config.variants):
            passes[variant] += draw(
                training, source.weight, Random(f"{config.seed}:{variant}:{Path(source.path).name}")
            )
    aside = [(record, 1.0) for record in parts["calibration"]] + list(calibration.values())
    result = Parts(corpus, passes, [each for each, _ in aside], [weight for _, weight in aside], parts["test"])
    if config.challenge is not None:
        keep_apart(result.trained_on(), Path(config.challenge))
    return result


def _listed(config: TrainConfig, field: str) -> frozenset[str]:
    """The digests of the lists that sources name in `field`."""
    lists = {path for source in config.sources if (path := getattr(source, field))}
    return frozenset[str]().union(*(read_digests(Path(path)) for path in sorted(lists)))
