"""What a bundle must show before it may take another's place: gates, each a figure and its bound."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from ruthan.model.bundle import INFO, Bundle
from ruthan.scanner import Scanner
from ruthan.taxonomy import BENIGN
from ruthan.verdict import Verdict
from train.corpus.challenge import SEED, ChallengeRecord, read_challenges
from train.errors import CorpusError
from train.slots import prepare

LARGEST_BUNDLE = 30_000_000  # bytes
LARGEST_CALIBRATION_ERROR = 0.05
SLOWEST = 0.9  # of the speed of the current bundle
SPEED_TEXTS, SPEED_ROUNDS = 200, 5
CLASS_SETS = ("lookalike", "trafficking", "languages", "evasion")
SMALLEST_CLASS = 10  # texts; of fewer, one text is more than a margin

Challenges = Mapping[str, Sequence[ChallengeRecord]]


@dataclass(frozen=True)
class Gate:
    """A figure and the bound it must keep, `at_most` or else at least; `measured` is None if there is no such figure.

    :param where: what went wrong, such as the ids of texts.
    :param remedy: what to do if it fails.
    """

    name: str
    measured: float | None
    bound: float
    remedy: str
    at_most: bool = True
    where: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the bound is kept."""
        if self.measured is None:
            return False
        return self.measured <= self.bound if self.at_most else self.measured >= self.bound

    def __str__(self) -> str:
        """One line: the figure, its bound and, where it failed, what to do."""
        side = "at most" if self.at_most else "at least"
        line = f"{'pass' if self.passed else 'FAIL'}  {self.name:40} {_shown(self.measured):>12}  {side} "
        line += _shown(self.bound)
        if self.passed:
            return line
        return f"{line}; {self.remedy}" + (f": {', '.join(self.where)}" if self.where else "")


def _shown(value: float | None) -> str:
    if value is None:
        return "not there"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


@dataclass(frozen=True)
class ChallengeFigures:
    """How a bundle does on the challenge sets.

    :param allowed: ids of must-catch texts with the action allow; `blocked` of must-pass texts with block.
    :param missed: ids of must-catch texts whose risk is below the policy's for review; `raised` of must-pass texts
        whose risk is not.
    :param recall: by class with enough texts, the share, 0 to 1, on the right side of the risk for review.
    """

    allowed: tuple[str, ...]
    blocked: tuple[str, ...]
    missed: tuple[str, ...]
    raised: tuple[str, ...]
    recall: dict[str, float]


def read_gate_texts(folder: Path) -> dict[str, list[ChallengeRecord]]:
    """The challenge sets, by name.

    :raises CorpusError: one that the gates need is missing, or malformed.
    """
    if not folder.is_dir():
        raise CorpusError(f"no folder of challenge sets at {folder}; give it with --challenge")
    challenges = {name: [entry for _, entry in placed] for name, placed in read_challenges(folder).items()}
    if missing := [name for name in ("must_catch", "must_pass", *CLASS_SETS) if name not in challenges]:
        raise CorpusError(f"{folder} lacks {', '.join(missing)}, by which bundles are judged; restore it")
    return challenges


def _prepared(entry: ChallengeRecord) -> str:
    return prepare(entry.record.text, entry.record.id, SEED)


def challenge_figures(scanner: Scanner, challenges: Challenges) -> ChallengeFigures:
    """Judge the challenge texts that gates ask about; of those with disguises, only the clean ones."""
    review = scanner.policy.review

    def judged(entries: Sequence[ChallengeRecord]) -> list[tuple[str, Verdict]]:
        verdicts = scanner.scan_many(map(_prepared, entries))
        return [(entry.record.id, verdict) for entry, verdict in zip(entries, verdicts, strict=True)]

    catch, passing = judged(challenges["must_catch"]), judged(challenges["must_pass"])
    clean = [entry for name in CLASS_SETS for entry in challenges[name] if entry.disguise is None]
    right: dict[str, list[bool]] = defaultdict(list)
    for entry, (_, verdict) in zip(clean, judged(clean), strict=True):
        right[entry.record.label].append((verdict.risk >= review) == (entry.record.label != BENIGN))
    return ChallengeFigures(
        allowed=tuple(name for name, verdict in catch if verdict.action == "allow"),
        blocked=tuple(name for name, verdict in passing if verdict.action == "block"),
        missed=tuple(name for name, verdict in catch if verdict.risk < review),
        raised=tuple(name for name, verdict in passing if verdict.risk >= review),
        recall={label: sum(each) / len(each) for label, each in right.items() if len(each) >= SMALLEST_CLASS},
    )


def speeds(scanners: Sequence[Scanner], texts: Sequence[str]) -> list[float]:
    """Messages a second of each scanner: the median of rounds in which they take turns, so that all share what else
    the machine does. The first round of each should be behind it.
    """
    seconds: list[list[float]] = [[] for _ in scanners]
    for _ in range(SPEED_ROUNDS):
        for scanner, mine in zip(scanners, seconds, strict=True):
            began = perf_counter()
            for _ in scanner.scan_many(texts):
                pass
            mine.append(perf_counter() - began)
    return [len(texts) / median(mine) for mine in seconds]


def bundle_bytes(bundle: Bundle) -> int:
    """The size of a bundle, all its files together."""
    return sum((bundle.folder / name).stat().st_size for name in (*bundle.info.files, INFO))


def gates(bundle: Bundle, current: Bundle | None, challenges: Challenges, margin: float) -> list[Gate]:
    """Measure a bundle; without a `current` one, what compares the two is left out.

    :param margin: of recall that a class may lose, 0 to 1.
    """
    scanner = Scanner(bundle.folder)
    mine = challenge_figures(scanner, challenges)
    found = [*_must(mine), size_gate(bundle), _calibration(bundle)]
    if current is not None:
        other = Scanner(current.folder)
        found += _against(mine, challenge_figures(other, challenges), margin)
        everything = [entry for entries in challenges.values() for entry in entries]
        every = max(1, len(everything) // SPEED_TEXTS)  # some of each set
        ours, theirs = speeds([scanner, other], list(map(_prepared, everything[::every][:SPEED_TEXTS])))
        remedy = "use fewer layers, or measure again on a machine that does nothing else"
        found.append(Gate("messages a second", ours, SLOWEST * theirs, remedy, at_most=False))
    return found


def _must(mine: ChallengeFigures) -> list[Gate]:
    teach = "write training texts of the same kind, never these"
    return [
        Gate("must_catch texts allowed", len(mine.allowed), 0, teach, where=mine.allowed),
        Gate("must_pass texts blocked", len(mine.blocked), 0, teach, where=mine.blocked),
    ]


def _against(mine: ChallengeFigures, other: ChallengeFigures, margin: float) -> list[Gate]:
    teach = "more are wrong than before; write training texts of the same kind, never these"
    found = [
        Gate("must_catch texts below review", len(mine.missed), len(other.missed), teach, where=mine.missed),
        Gate("must_pass texts from review on", len(mine.raised), len(other.raised), teach, where=mine.raised),
    ]
    for label, recall in mine.recall.items():
        # Rounded, so that a loss of exactly the margin passes.
        bound = round(other.recall[label] - margin, 9)
        remedy = "write training texts of this class, or say with --margin what it may lose"
        found.append(Gate(f"recall of {label}", round(recall, 9), bound, remedy, at_most=False))
    return found


def size_gate(bundle: Bundle) -> Gate:
    """Whether a bundle, all its files together, is small enough."""
    return Gate("bytes", bundle_bytes(bundle), LARGEST_BUNDLE, "use fewer layers or a smaller vocabulary")


def _calibration(bundle: Bundle) -> Gate:
    error = bundle.info.metrics.get("held_out", {}).get("calibration_error")
    remedy = f"run python -m train run again with more calibration texts ({INFO}: metrics.held_out)"
    measured = error if isinstance(error, float) else None
    return Gate("calibration error", measured, LARGEST_CALIBRATION_ERROR, remedy)
