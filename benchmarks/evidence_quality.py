"""How well evidence is found: identifiers and signs on hand-labelled messages, disguises undone, and at what cost.

python -m benchmarks.evidence_quality                      the labelled sets and the evasion pairs of this repository
python -m benchmarks.evidence_quality ../shared/datasets   the rates on real honest texts, too, for a folder of sets

A line of a labelled set holds `id` and `marked`: the message with each identifier as [[type|canonical|as written]],
each sign as [[signal|words]] or, where the message only warns, denies or tells of it, [[signal:quoted|words]].
"""

import json
import re
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from random import Random

from ruthan.evidence.disguises import find_disguises
from ruthan.evidence.indicators import find_indicators
from ruthan.evidence.signals import default_signals
from ruthan.model.attribution import attribute, word_spans
from ruthan.scanner import Scanner
from ruthan.text.normalize import normalize
from ruthan.verdict import Evidence

ROOT = Path(__file__).parents[1]
INDICATORS, SIGNALS = ROOT / "data/evidence/indicators.jsonl", ROOT / "data/evidence/signals.jsonl"
_INDICATOR = re.compile(r"\[\[([a-z_]+)\|(.*?)\|(.*?)\]\]", re.DOTALL)
_SIGNAL = re.compile(r"\[\[([a-z_]+)(:quoted)?\|(.*?)\]\]", re.DOTALL)


@dataclass(frozen=True)
class Mark:
    """What a person marked at `start` to `end` of a message; `value` is the canonical form, or `quoted`."""

    type: str
    value: str
    start: int
    end: int


@dataclass
class Score:
    """Counts of one type: found and right, found and wrong, missed; of the right ones, value and span right too."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    value: int = 0
    span: int = 0

    @property
    def precision(self) -> float:
        """Share of what was found that is right."""
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        """Share of what was marked that was found."""
        return self.right / max(1, self.right + self.missed)


def read_marked(path: Path, pattern: re.Pattern[str]) -> Iterator[tuple[str, str, list[Mark]]]:
    """Id, plain text and marks of every line."""
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text, marks, at = "", [], 0
        for match in pattern.finditer(row["marked"]):
            text += row["marked"][at : match.start()]
            written = match[3]
            marks.append(Mark(match[1], match[2] or "", len(text), len(text) + len(written)))
            text += written
            at = match.end()
        yield row["id"], text + row["marked"][at:], marks


def score_indicators(path: Path = INDICATORS, only: str = "") -> dict[str, Score]:
    """By type, on the messages whose id begins with `only`."""
    scores: dict[str, Score] = defaultdict(Score)
    for name, text, marks in read_marked(path, _INDICATOR):
        if not name.startswith(only):
            continue
        found = list(find_indicators(normalize(text), text))
        for mark in marks:
            hit = next((each for each in found if each.type == mark.type and _overlap(each, mark)), None)
            if hit is None:
                scores[mark.type].missed += 1
                continue
            found.remove(hit)
            scores[mark.type].right += 1
            scores[mark.type].value += _canonical(hit.type, _value(hit)) == _canonical(mark.type, mark.value)
            scores[mark.type].span += (hit.start, hit.end) == (mark.start, mark.end)
        for each in found:
            scores[each.type].wrong += 1
    return dict(scores)


def score_signals(path: Path = SIGNALS, only: str = "") -> dict[str, Score]:
    """By sign, each counted once a message; `value` counts where `quoted` is right too; and `needs_help`."""
    scores: dict[str, Score] = defaultdict(Score)
    signals = default_signals()
    for name, text, marks in read_marked(path, _SIGNAL):
        if not name.startswith(only):
            continue
        evidence = signals.find(normalize(text), text)
        truth = _by_type((mark.type, bool(mark.value)) for mark in marks)
        found = _by_type((each.type, "quoted" in each.details) for each in evidence)
        if name.startswith("sg"):  # the first set does not mark places by themselves
            found.pop("border_place", None)
        for sign in truth.keys() | found.keys():
            score = scores[sign]
            if sign in truth and sign in found:
                score.right += 1
                score.value += truth[sign] == found[sign]
            elif sign in found:
                score.wrong += 1
            else:
                score.missed += 1
        help_meant = any(signals.signals[sign].needs_help and not quoted for sign, quoted in truth.items())
        help_seen = signals.needs_help(evidence)
        scores["needs_help"].right += help_meant and help_seen
        scores["needs_help"].wrong += help_seen and not help_meant
        scores["needs_help"].missed += help_meant and not help_seen
    return dict(scores)


def overall(scores: dict[str, Score]) -> Score:
    """All types together, `needs_help` left out."""
    total = Score()
    for name, score in scores.items():
        if name != "needs_help":
            total.right += score.right
            total.wrong += score.wrong
            total.missed += score.missed
            total.value += score.value
            total.span += score.span
    return total


def _by_type(pairs: Iterator[tuple[str, bool]]) -> dict[str, bool]:
    """Whether each sign is only quoted."""
    result: dict[str, bool] = {}
    for sign, quoted in pairs:
        result[sign] = result.get(sign, True) and quoted
    return result


def _overlap(each: Evidence, mark: Mark) -> bool:
    return each.start < mark.end and mark.start < each.end


def _value(each: Evidence) -> str:
    return each.details.get("domain", "") if each.type == "url" else each.value


def _canonical(kind: str, value: str) -> str:
    if kind == "money":
        currency, _, amount = value.partition(" ")
        return f"{currency} {float(amount):g}"
    return value.lower()


def _table(title: str, scores: dict[str, Score], value: str) -> None:
    print(f"\n{title:44} right wrong missed  precision recall  {value}")
    for name, score in [*sorted(scores.items()), ("all", overall(scores))]:
        share = score.value / max(1, score.right)
        print(
            f"  {name:42} {score.right:5} {score.wrong:5} {score.missed:6}  {score.precision:9.3f} {score.recall:6.3f}"
            + (f"  {share:.3f}" if name != "needs_help" else "")
        )


def evasion_pairs() -> None:
    """Clean and disguised texts of data/challenge/evasion: how many are restored, and what it does to the risk."""
    from train.corpus.challenge import SEED, read_challenge
    from train.slots import fill_slots  # the texts before normalising

    entries = {entry.record.id: entry for _, entry in read_challenge(ROOT / "data/challenge/evasion.jsonl")}
    scanner = Scanner()
    figures: dict[str, list[tuple[bool, float, float, float, float]]] = defaultdict(list)
    raw = scanner.classifier.classify
    benign = scanner.classifier.info.labels.index("benign")

    def risk(text: str) -> float:
        return 1 - float(raw([text.strip()])[0].probabilities[benign])

    for entry in entries.values():
        if not entry.disguise or entry.record.pair not in entries:
            continue
        clean = fill_slots(entries[entry.record.pair].record.text, Random(f"{SEED}:0:{entry.record.pair}"), blur=False)
        disguised = fill_slots(entry.record.text, Random(f"{SEED}:0:{entry.record.pair}"), blur=False)
        target, undone = normalize(clean).text, normalize(disguised).text
        harmful = entry.record.label != "benign"
        figures["by hand" if entry.disguise == "by_hand" else "generated"].append(
            (
                undone == target,
                SequenceMatcher(None, disguised, target, autojunk=False).ratio(),
                SequenceMatcher(None, undone, target, autojunk=False).ratio(),
                (risk(disguised) - risk(target)) * (1 if harmful else 0),
                (risk(undone) - risk(target)) * (1 if harmful else 0),
            )
        )
    print(f"\n{'evasion pairs':44} pairs restored  likeness before, after   risk of lures less that of the clean text")
    for name, rows in figures.items():
        columns = list(zip(*rows, strict=True))
        means = [statistics.fmean(column) for column in columns]
        print(
            f"  {name:42} {len(rows):5} {means[0]:8.1%} {means[1]:12.3f} {means[2]:7.3f}"
            f"   before {means[3]:+.3f}, after {means[4]:+.3f} (mean of all pairs)"
        )


def word_weights(struck_out: int = 3, most: int = 150) -> None:
    """What striking out the weightiest words does to the risk of harmful challenge texts, beside random words."""
    from train.corpus.challenge import SEED, read_challenges
    from train.slots import prepare

    scanner = Scanner()
    classify, benign = scanner.classifier.classify, scanner.classifier.info.labels.index("benign")
    texts = [
        prepare(entry.record.text, entry.record.id, SEED)
        for name, entries in read_challenges(ROOT / "data/challenge").items()
        for _, entry in entries
        if name in ("trafficking", "lookalike", "must_catch", "languages") and entry.record.label != "benign"
    ]
    texts = Random(1).sample(texts, most)
    judged = [
        (text, each) for text, each in zip(texts, classify(texts), strict=True) if each.probabilities[benign] < 0.5
    ]

    def risk_without(text: str, spans: Sequence[tuple[int, int]]) -> float:
        for start, end in sorted(spans, reverse=True):
            text = text[:start] + text[end:]
        return 1 - float(classify([text.strip() or " "])[0].probabilities[benign])

    drops: dict[str, list[float]] = defaultdict(list)
    for number, (text, prediction) in enumerate(judged):
        before = 1 - float(prediction.probabilities[benign])
        spans = word_spans(text)
        top = [(word.start, word.end) for word in attribute(scanner.classifier, text, prediction)][:struck_out]
        random = Random(number)
        others = [risk_without(text, random.sample(spans, min(struck_out, len(spans)))) for _ in range(5)]
        drops["the weightiest words"].append(before - risk_without(text, top))
        drops["random words, mean of five draws"].append(before - statistics.fmean(others))
    print(f"\n{f'{struck_out} words struck out of {len(judged)} harmful texts':44} risk falls by")
    for name, values in drops.items():
        print(f"  {name:42} {statistics.fmean(values):.3f}")


def cost(texts: Sequence[str]) -> None:
    """Microseconds a message for each part, beside the whole scan; the median of five runs."""
    scanner = Scanner()
    normalized = [normalize(text) for text in texts]
    pairs = list(zip(normalized, texts, strict=True))
    signals = default_signals()
    parts: dict[str, Callable[[], object]] = {
        "normalise": lambda: [normalize(text) for text in texts],
        "indicators": lambda: [find_indicators(text, original) for text, original in pairs],
        "signals": lambda: [signals.find(text, original) for text, original in pairs],
        "disguises": lambda: [find_disguises(text, original) for text, original in pairs],
        "model": lambda: scanner.classifier.classify([text.text.strip() or " " for text in normalized]),
        "whole scan": lambda: list(scanner.scan_many(texts)),
        "whole scan with explain": lambda: list(scanner.scan_many(texts, explain=True)),
    }
    length = statistics.fmean(map(len, texts))
    print(f"\n{'cost':44} microseconds a message ({len(texts)} messages of {length:.0f} characters)")
    for name, run in parts.items():
        run()
        times = []
        for _ in range(1 if "explain" in name else 5):
            began = time.perf_counter()
            run()
            times.append(time.perf_counter() - began)
        print(f"  {name:42} {statistics.median(times) / len(texts) * 1e6:9.0f}")


def real_texts(folder: Path) -> None:
    """What normalising changes in honest texts, and how fast; how often identifiers and signs are seen in all texts."""
    print(f"\n{'honest texts':36} texts changed disguised  clean/s  steps")
    seen: dict[str, Counter[str]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        texts = [
            row["text"] for row in rows if isinstance(row.get("text"), str) and row.get("label") in (None, "benign")
        ]
        if not texts:
            continue
        done = [normalize(text) for text in texts]
        clean = [text for text, result in zip(texts, done, strict=True) if not result.changes]
        rates = []
        for _ in range(5):
            began = time.perf_counter()
            for text in clean:
                normalize(text)
            rates.append(len(clean) / (time.perf_counter() - began))
        steps = Counter(step for result in done for step in {change.step for change in result.changes})
        disguised = sum(bool(find_disguises(result, text)) for result, text in zip(done, texts, strict=True))
        changed = sum(bool(result.changes) for result in done)
        print(
            f"  {path.stem:34} {len(texts):5} {changed / len(texts):7.2%} {disguised / len(texts):9.2%} "
            f"{statistics.median(rates):8,.0f}  " + ", ".join(f"{step} {count}" for step, count in steps.most_common())
        )
        counts: Counter[str] = Counter({"texts": len(texts)})
        for result, text in zip(done, texts, strict=True):
            counts.update({each.type for each in find_indicators(result, text)})
            evidence = default_signals().find(result, text)
            counts.update({f"signal {each.type}" for each in evidence if "quoted" not in each.details})
            counts["needs_help"] += default_signals().needs_help(evidence)
        seen[path.stem] = counts
    print("\nshare of texts with at least one")
    for name, counts in seen.items():
        shares = (f"{what} {count / counts['texts']:.2%}" for what, count in counts.most_common() if what != "texts")
        print(f"  {name}: " + ", ".join(shares))


def main(arguments: Sequence[str]) -> None:
    """Print every table."""
    for only, about in (("i", "identifiers, all 510"), ("ib", "identifiers, the 170 that no rule was made from")):
        _table(about, score_indicators(only=only), "value")
    for only, about in (("s", "signs, all"), ("sc", "signs, the 150 that no cue was made from")):
        _table(about, score_signals(only=only), "quoted")
    evasion_pairs()
    word_weights()
    cost([text for _, text, _ in read_marked(INDICATORS, _INDICATOR)][:120])
    if arguments:
        real_texts(Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
