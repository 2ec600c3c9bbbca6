"""Operating points: from calibration texts to the thresholds of a policy, each with how it came about.

Risks are compared as the scanner gives them, rounded to `DIGITS`; a text is flagged if its risk is at or above the
threshold. See docs/policies.md.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from ruthan.errors import PolicyError
from ruthan.policy import Thresholds, channel_name, read_policy
from ruthan.taxonomy import BENIGN
from train.errors import TrainError
from train.metrics import risk_threshold

BUDGETS = (0.001, 0.005, 0.01, 0.05)  # shares of honest texts flagged
TRAFFICKING = "trafficking"
DIGITS = 6  # of a risk in a verdict, see ruthan/scanner.py
LEAST_HONEST = 300  # honest texts of a channel that may have thresholds of its own
LEAST_HARMFUL = 30  # and harmful ones, without which the cost of missing them is a guess
RESAMPLES = 200

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Costs:
    """What a mistake and a look cost; only the ratios matter. A person who reviews is taken to be right.

    :param missed: a harmful message that is let through. 20 reviews: a review is a minute's work; few who receive a
        lure answer it, but who does loses months of income, or is taken across a border.
    :param false_alarm: an honest message that is blocked with nobody looking. 10 reviews: a code, an appointment or a
        call for help is lost and asked for again, and trust with it; as a rule it is less than a loss to a scam.
    :param review: a message that a person reads; the unit.
    """

    missed: float = 20.0
    false_alarm: float = 10.0
    review: float = 1.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < np.inf:
                raise TrainError(f"the cost {name} is {value!r}; a finite number above 0 is needed")


@dataclass(frozen=True)
class Point:
    """A threshold, 0 to 1, and the shares of the calibration texts that it flags; None where there are none of them."""

    risk: float
    honest: float
    harmful: float
    trafficking: float | None


@dataclass(frozen=True)
class ChannelPoints:
    """Thresholds of one channel, how many texts they rest on, and in words why they differ from the common ones."""

    thresholds: Thresholds
    honest: int
    harmful: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class OperatingPoints:
    """What calibration texts say about where to review and where to block.

    :param honest: how many honest texts there were; likewise `harmful` and `trafficking`.
    :param budgets: by the share of honest texts that may be flagged; None where too many have risk 1.
    :param recall: the share of trafficking texts that `recall_point` flags at least; it is None without such texts.
    :param alpha: the share of honest messages that may be blocked.
    :param promised: whether there were honest texts enough to promise that.
    :param harmful_share: of all messages, as assumed for the costs.
    :param cost: expected cost of a message between `review` and `block`, in the units of `costs`.
    :param channels: only those that differ.
    """

    honest: int
    harmful: int
    trafficking: int
    budgets: dict[float, Point | None]
    recall: float
    recall_point: Point | None
    alpha: float
    promised: bool
    costs: Costs
    harmful_share: float
    review: Point
    block: Point
    cost: float
    channels: dict[str, ChannelPoints] = field(default_factory=dict)


def choose_points(
    risks: Sequence[float] | Array,
    labels: Sequence[str],
    channels: Sequence[str | None] | None = None,
    *,
    costs: Costs | None = None,
    harmful_share: float | None = None,
    alpha: float = 0.001,
    recall: float = 0.95,
    seed: int = 17,
) -> OperatingPoints:
    """Choose thresholds on calibration texts: none that the model was trained on, honest ones as they are met in use.

    :param risks: calibrated, 0 to 1, of each text.
    :param labels: the true class of each text.
    :param channels: of each text, None where it is not known.
    :param harmful_share: of the messages in use, between 0 and 1; by default as among the texts.
    :param alpha: the share of honest messages that may be blocked, between 0 and 1.
    :param recall: the share of trafficking texts to flag, above 0 and at most 1.
    :raises TrainError: one side is missing, lengths differ, or a value is out of range.
    """
    costs = costs or Costs()
    risk, harmful = _checked(risks, labels)
    named = [channel_name(each) for each in channels] if channels is not None else [""] * len(risk)
    if len(named) != len(risk):
        raise TrainError(f"{len(named)} channels for {len(risk)} texts; one a text is needed, or None for all")
    share = float(harmful.mean()) if harmful_share is None else harmful_share
    for name, value in (("harmful_share", share), ("alpha", alpha)):
        if not 0 < value < 1:
            raise TrainError(f"{name} is {value!r}; a number between 0 and 1 is needed")
    if not 0 < recall <= 1:
        raise TrainError(f"recall is {recall!r}; a number above 0 and at most 1 is needed")
    trafficking = np.array([label == TRAFFICKING for label in labels])

    def point(threshold: float) -> Point:
        flagged = risk >= threshold
        traffic = float(flagged[trafficking].mean()) if trafficking.any() else None
        return Point(threshold, float(flagged[~harmful].mean()), float(flagged[harmful].mean()), traffic)

    block, promised = conformal_threshold(risk, harmful, alpha)
    review = cost_threshold(risk, harmful, block, costs, share)
    budgets = {budget: _as_risk(risk_threshold(risk, harmful, budget)) for budget in BUDGETS}
    recalled = recall_threshold(risk[trafficking], recall) if trafficking.any() else None
    common = Thresholds(review, block)
    return OperatingPoints(
        honest=int((~harmful).sum()),
        harmful=int(harmful.sum()),
        trafficking=int(trafficking.sum()),
        budgets={budget: point(at) if at <= 1 else None for budget, at in budgets.items()},
        recall=recall,
        recall_point=point(recalled) if recalled is not None else None,
        alpha=alpha,
        promised=promised,
        costs=costs,
        harmful_share=share,
        review=point(review),
        block=point(block),
        cost=expected_cost(risk, harmful, common, costs, share),
        channels=_channel_points(risk, harmful, np.array(named), common, costs, share, alpha, seed),
    )


def recall_threshold(risks: Array, share: float) -> float:
    """The highest threshold at or above which at least `share` of the risks lie; there must be a risk."""
    highest = np.sort(risks)[::-1]
    needed = int(np.ceil(share * len(highest) - 1e-9))  # 0.95 of 20 are 19, whatever floats say
    return float(highest[max(needed, 1) - 1])


def conformal_threshold(risks: Array, harmful: Array, alpha: float) -> tuple[float, bool]:
    """The lowest threshold from which on an honest message is flagged with a chance of at most `alpha`, and whether
    that can be promised.

    Of n honest texts k may be flagged, so that (k + 1) / (n + 1) <= alpha: the correction pays for n being finite.
    The promise is on average over calibration texts, and for honest messages drawn as these were. With fewer than
    1 / alpha - 1 honest texts nothing can be promised, and the threshold lies above the highest honest risk. That it
    cannot do, and nothing is promised either, where that risk is 1.

    Conformal risk control, Angelopoulos, Bates, Fisch, Lei and Schuster (2024), with the loss 1 for a flagged honest
    message; the same as split conformal prediction here.
    """
    honest = int((~harmful).sum())
    flagged = int(np.floor(alpha * (honest + 1) + 1e-9)) - 1
    threshold = _as_risk(risk_threshold(risks, harmful, (max(flagged, 0) + 0.5) / honest))
    return min(threshold, 1.0), flagged >= 0 and threshold <= 1


def cost_threshold(risks: Array, harmful: Array, block: float, costs: Costs, harmful_share: float) -> float:
    """The risk from which on, and below `block`, a person should look: that of least expected cost on these texts.

    Where several cost the same, the lowest, which misses least. `block` itself if a look is never worth its cost.
    Were risks exact for the messages in use it would be costs.review / costs.missed (Chow, 1970; Elkan, 2001).
    """
    # Above 0, the risk of a message without any text: there is nothing to read.
    candidates = np.append(np.unique(np.maximum(risks[risks < block], 10**-DIGITS)), block)
    bad, good = np.sort(risks[harmful]), np.sort(risks[~harmful])
    bad_below, good_below = np.searchsorted(bad, candidates), np.searchsorted(good, candidates)
    missed = bad_below / len(bad) * harmful_share
    read = (bad_below[-1] - bad_below) / len(bad) * harmful_share
    read = read + (good_below[-1] - good_below) / len(good) * (1 - harmful_share)
    # Rounded, so that what costs the same is not told apart by the order of additions.
    return float(candidates[np.round(costs.missed * missed + costs.review * read, 12).argmin()])


def expected_cost(risks: Array, harmful: Array, thresholds: Thresholds, costs: Costs, harmful_share: float) -> float:
    """What one message costs on average under two thresholds, were `harmful_share` of all messages harmful."""
    bad, good = risks[harmful], risks[~harmful]
    missed = (bad < thresholds.review).mean() * harmful_share
    false_alarms = (good >= thresholds.block).mean() * (1 - harmful_share)
    read = _between(bad, thresholds) * harmful_share + _between(good, thresholds) * (1 - harmful_share)
    return float(costs.missed * missed + costs.false_alarm * false_alarms + costs.review * read)


def write_policy(path: Path, points: OperatingPoints, name: str) -> None:
    """Write a policy file with the review and block thresholds, each number explained; the same points, the same bytes.

    :raises TrainError: it cannot be written.
    """
    draft = path.with_name(path.name + ".partial")
    try:
        draft.write_text(_policy_text(points, name), encoding="utf-8")
        read_policy(draft)  # what a reader refuses must not be there
        draft.replace(path)
    except (OSError, PolicyError, UnicodeEncodeError) as error:
        with suppress(OSError):
            draft.unlink()
        reason = getattr(error, "strerror", None) or error
        raise TrainError(f"cannot write the policy {path}: {reason}; choose another path or name") from error


def _checked(risks: Sequence[float] | Array, labels: Sequence[str]) -> tuple[Array, Array]:
    """Risks as a scanner rounds them, and whether each text is harmful."""
    risk = np.round(np.asarray(risks, float), DIGITS)
    if risk.shape != (len(labels),):
        raise TrainError(f"{risk.size} risks for {len(labels)} labels; one a text is needed")
    if not ((risk >= 0) & (risk <= 1)).all():
        raise TrainError("a risk is not between 0 and 1; give calibrated probabilities")
    harmful = np.array([label != BENIGN for label in labels], bool)
    for side, there in (("honest", ~harmful), ("harmful", harmful)):
        if not there.any():
            raise TrainError(f"there is no {side} text to choose thresholds on; add some to the calibration part")
    return risk, harmful


def _as_risk(threshold: float) -> float:
    """The lowest threshold of `DIGITS` that flags none that `threshold` does not; above 1 if there is none."""
    rounded = round(threshold, DIGITS)
    return rounded if rounded >= threshold else round(rounded + 10**-DIGITS, DIGITS)


def _between(risks: Array, thresholds: Thresholds) -> float:
    return float(((risks >= thresholds.review) & (risks < thresholds.block)).mean())


def _channel_points(
    risks: Array,
    harmful: Array,
    channels: Array,
    common: Thresholds,
    costs: Costs,
    harmful_share: float,
    alpha: float,
    seed: int,
) -> dict[str, ChannelPoints]:
    """The channels whose own thresholds differ by more than chance. Block only where its promise can be kept there."""
    found: dict[str, ChannelPoints] = {}
    for channel in sorted(set(channels.tolist()) - {""}):
        risk, bad = risks[channels == channel], harmful[channels == channel]
        if (~bad).sum() < LEAST_HONEST:
            continue
        reasons: list[str] = []
        block, promised = conformal_threshold(risk, bad, alpha)
        spread = _spread([conformal_threshold(*each, alpha)[0] for each in _resampled(risk, bad, seed)])
        if promised and abs(block - common.block) > spread:
            reasons.append(
                f"block differs from {_number(common.block)} by more than its 95% interval is wide, {spread:.6f}"
            )
        else:
            block = common.block
        review = common.review
        if bad.sum() >= LEAST_HARMFUL:
            own = cost_threshold(risk, bad, block, costs, harmful_share)
            resampled = (cost_threshold(*each, block, costs, harmful_share) for each in _resampled(risk, bad, seed))
            spread = _spread(list(resampled))
            if abs(own - review) > spread:
                reasons.append(
                    f"review differs from {_number(review)} by more than its 95% interval is wide, {spread:.6f}"
                )
                review = own
        if reasons:
            limits = Thresholds(min(review, block), block)
            found[channel] = ChannelPoints(limits, int((~bad).sum()), int(bad.sum()), tuple(reasons))
    return found


def _resampled(risks: Array, harmful: Array, seed: int) -> Iterator[tuple[Array, Array]]:
    """Bootstrap resamples, honest and harmful texts each by themselves, so that neither side runs empty."""
    random = np.random.default_rng(seed)
    bad, good = risks[harmful], risks[~harmful]
    for _ in range(RESAMPLES):
        yield np.concatenate([random.choice(bad, len(bad)), random.choice(good, len(good))]), np.sort(harmful)[::-1]


def _spread(thresholds: Sequence[float]) -> float:
    """The width of the 95% percentile interval."""
    low, high = np.percentile(thresholds, [2.5, 97.5])
    return float(high - low)


def _policy_text(points: OperatingPoints, name: str) -> str:
    """The YAML of a policy."""
    costs = points.costs
    missed, false_alarm = costs.missed / costs.review, costs.false_alarm / costs.review
    lines = [
        *_comment(
            "What to do at which risk, chosen by train/operating_points.py; docs/policies.md explains the terms. risk "
            "is the calibrated probability that a message is harmful. Below `review` a message is allowed; from "
            "`review` on a person should look; from `block` on it may be held back."
        ),
        *_comment(
            f"Chosen on {points.honest + points.harmful:,} calibration texts: {points.honest:,} honest and "
            f"{points.harmful:,} harmful, of these {points.trafficking:,} of trafficking."
        ),
        "#",
        *_comment(
            f"review: the threshold of least expected cost, where a harmful message let through costs {missed:g} "
            f"reviews, an honest one blocked {false_alarm:g}, and {_percent(points.harmful_share)} of the messages are "
            f"harmful. It flags {_shares(points.review)}. 10,000 messages then cost "
            f"{points.cost / costs.review * 10_000:,.0f} reviews, mistakes counted in."
        ),
        *_comment(f"block: {_block_reason(points)} It flags {_shares(points.block)}."),
        "#",
        *_comment("Other thresholds on the same texts:"),
    ]
    for budget, at in points.budgets.items():
        shown = f"{_number(at.risk)} flags {_shares(at)}" if at else "none, as too many of them have risk 1"
        lines += _comment(f"at most {_percent(budget)} of the honest: {shown}", "  ")
    if points.recall_point:
        shown = f"{_number(points.recall_point.risk)} flags {_shares(points.recall_point)}"
        lines += _comment(f"at least {_percent(points.recall)} of trafficking: {shown}", "  ")
    lines += [
        "#",
        *_comment(
            "needs_help: what is done with a message in which someone may be held or missing, whatever its risk: a "
            "person should read it soon, so it is neither let through unread nor held back."
        ),
        *_yaml({"name": name, "review": points.review.risk, "block": points.block.risk, "needs_help": "review"}),
    ]
    if points.channels:
        lines.append("channels:")
    for channel, own in points.channels.items():
        because = f"{own.honest:,} honest and {own.harmful:,} harmful texts: {'; '.join(own.reasons)}."
        lines += [f"  {line}" for line in (*_comment(because), *_yaml({channel: asdict(own.thresholds)}))]
    return "\n".join(lines) + "\n"


def _block_reason(points: OperatingPoints) -> str:
    allowed = _percent(points.alpha)
    if points.promised:
        return (
            f"the lowest threshold for which at most {allowed} of honest messages like these are expected at or above "
            f"it (conformal risk control on {points.honest:,} honest texts)."
        )
    needed = int(np.ceil(1 / points.alpha - 1e-9)) - 1
    few = f"{points.honest:,} honest texts are too few, {needed:,} are needed"
    why = few if points.honest < needed else "too many honest texts have risk 1"
    where = "the highest risk there is" if points.block.risk == 1 else "just above the highest honest risk"
    return f"{where}. That at most {allowed} of honest messages lie there is not promised: {why}."


def _shares(point: Point) -> str:
    trafficking = "" if point.trafficking is None else f" ({point.trafficking:.1%} of trafficking)"
    return f"{point.harmful:.1%} of the harmful texts{trafficking} and {point.honest:.2%} of the honest ones"


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"


def _number(risk: float) -> str:
    return f"{risk:.{DIGITS}f}".rstrip("0").rstrip(".")


def _yaml(content: dict[str, Any]) -> list[str]:
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=np.inf).splitlines()


def _comment(text: str, indent: str = "") -> list[str]:
    return [f"# {indent}{line}" for line in wrap(text, 112, break_long_words=False, break_on_hyphens=False)]
