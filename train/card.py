"""Write a model card from what a run and an evaluation measured."""

from collections.abc import Mapping, Sequence
from typing import Any

from ruthan.model.bundle import BundleInfo
from ruthan.taxonomy import default_taxonomy


def model_card(info: BundleInfo) -> str:
    """The card of a bundle, in Markdown."""
    training, held_out, drift = info.training, info.metrics["held_out"], info.metrics["drift"]
    config = training["config"]
    names = default_taxonomy()
    classes = ", ".join(f"`{label}` ({names[label].thai})" for label in info.labels)
    sections = [
        f"# {info.name}",
        "Reads a message (Thai above all) and gives each class of `data/taxonomy.yaml` a probability: "
        f"{classes}. Part of ruthan (รู้ทัน).",
        "โมเดลนี้ใช้ช่วยคัดกรองข้อความเท่านั้น ผลที่ได้ไม่ใช่ข้อสรุปว่าผู้ใดกระทำผิดหรือเป็นผู้เสียหาย ควรมีคนตรวจก่อนปิดกั้นหรือรายงานเสมอ",
        "## How it was made",
        f"{info.attribution} {config['variants']} passes over {_counted(training['trained_on'])} "
        f"(corpus digest `{training['corpus_digest'][:16]}`), batch {config['batch_size']}, learning rate "
        f"{config['encoder_learning_rate']} (encoder) and {config['head_learning_rate']} (head), seed "
        f"{config['seed']}; {info.metrics['minutes']} minutes on the machine that made it. "
        f"Temperature {info.temperature:.3f}, fitted on "
        f"{training['records']['calibration']} messages. Windows of {info.window_tokens} tokens, "
        f"{info.window_overlap} shared; the riskiest window decides.",
        *([_OTHER_NORMALIZER.format(training["normalizer"], info.normalizer)] if "normalizer" in training else []),
        f"Licence of the weights: {info.licence}. The corpus is CC BY 4.0.",
        "## On held-out messages of the same corpus",
        "Messages never seen in training, nor any paraphrase of them; by the same writers, most of them in pairs "
        "that are meant to be hard to tell apart.",
        _risk_table({"held-out": held_out}),
        f"Calibration error {held_out['calibration_error']:.3f}; F1 harmful/benign at risk 0.5 "
        f"{held_out['f1_harmful']:.3f}; macro-F1 over classes {held_out['f1_macro']:.3f}.",
        "## 8 bits against float",
        f"On {drift['texts']} held-out messages: largest difference of a class probability {drift['largest']:.3f}, "
        f"mean {drift['mean']:.4f}, F1 loss {drift['f1_loss']:.4f}.",
        *(evaluation_section(name, each) for name, each in info.metrics.get("evaluations", {}).items()),
        *([challenge_section(info.metrics["challenges"])] if info.metrics.get("challenges") else []),
        "## Limits",
        "- A label says what a message tries to do. It is never a finding about a person.\n"
        "- The corpus was authored by language models in the manner of published warnings and read a second time by "
        "another; no moderator has checked it yet.\n"
        "- A victim's plea is often taken for the lure it tells of: what shows signs of one goes to a person, see\n"
        "  `needs_help`, but not every plea shows them.\n"
        "- 8-bit products round differently on processors without VNNI or AMX: risks near a threshold differ there\n"
        "  by a few hundredths.\n"
        "- Judged from the text alone: who sent it, and whether a link is real, it does not know.\n"
        "- Lao, Khmer, Burmese, Vietnamese and Chinese are covered by few messages; dialects of Thai by fewer.",
    ]
    return "\n\n".join(sections) + "\n"


_OTHER_NORMALIZER = (
    "The training texts, and the held-out ones of the next section, were prepared by text normaliser {}; with the "
    "weights as they are the bundle reads what normaliser {} prepares. The evaluations below are with that; "
    "docs/experiments.md tells what the change did."
)


def _counted(trained_on: Mapping[str, int]) -> str:
    """How many messages of which origin a pass holds."""
    return ", ".join(f"{count} {origin}" for origin, count in trained_on.items()) + " messages"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}%"


def _auc(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _risk_table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """AUC and recall at false-alarm budgets, and where a policy was applied the shares for review and block."""
    with_policy = all("review" in row for row in rows.values())
    heads = ["", "messages", "harmful", "AUC", "recall at 1% false alarms", "at 5%"]
    heads += ["harmful to review", "honest to review", "honest to block"] if with_policy else []
    lines = [_line(heads), "|---" + "|--:" * (len(heads) - 1) + "|"]
    for name, row in rows.items():
        both = 0 < row["harmful"] < row["messages"]
        cells = [name, row["messages"], row["harmful"], _auc(row["auc"])]
        cells += [_percent(row["recall"][budget] if both else None) for budget in ("0.01", "0.05")]
        if with_policy:
            cells += [_percent(row["review"]["harmful"]), _percent(row["review"]["honest"])]
            cells += [_percent(row["block"]["honest"])]
        lines.append(_line(cells))
    return "\n".join(lines)


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


_NAMES = {
    "bundle": "this bundle",
    "bundle, links masked": "… with links masked",
    "baseline": "TF-IDF + logistic regression",
    "baseline, links masked": "… with links masked",
}


def evaluation_section(name: str, evaluation: Mapping[str, Any]) -> str:
    """The part of the card on one set of messages from elsewhere."""
    rows = {f"{label}{' ' * at}": evaluation[key] for at, (key, label) in enumerate(_NAMES.items())}
    lines = [f"## On {name}", evaluation["note"], _risk_table(rows)]
    if len(evaluation["classes"]) > 1:
        lines += [
            "Per class, in brackets the same for TF-IDF + logistic regression. *Flagged*: share with a risk at or "
            "above the threshold at 5% false alarms. *Recall*, *precision*: of the class itself.",
            _class_rows(evaluation["classes"], evaluation["baseline_classes"]),
        ]
    return "\n\n".join(line for line in lines if line)


def challenge_section(challenges: Mapping[str, Any]) -> str:
    """The part of the card on the challenge sets, in brackets the baseline's figures."""
    heads = ["set", "texts", "harmful", "AUC", "harmful to review", "honest to review", "pairs in order"]
    lines = [_line(heads), "|---" + "|--:" * (len(heads) - 1) + "|"]
    for name, figures in challenges.items():
        ours, theirs = figures["bundle"], figures["baseline"]

        cells = [name, ours["messages"], ours["harmful"], f"{_auc(ours['auc'])} ({_auc(theirs['auc'])})"]
        for side in ("harmful", "honest"):
            cells.append(f"{_percent(ours['review'][side])} ({_percent(theirs['review'][side])})")
        cells.append(f"{_percent(ours['pairs_in_order'])} ({_percent(theirs['pairs_in_order'])})")
        lines.append(_line(cells))
    wrong = {name: challenges[name]["bundle"]["wrong"] for name in ("must_catch", "must_pass") if name in challenges}
    sentences = [f"{name}: {', '.join(ids) if ids else 'none'} wrong." for name, ids in wrong.items()]
    about = "Texts that no model is trained on, see `data/README.md`; in brackets TF-IDF + logistic regression."
    return "\n\n".join(["## On the challenge sets", about, "\n".join(lines), " ".join(sentences)]).strip()


def _class_rows(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str:
    """The table per class, the baseline in brackets."""
    lines = ["| class | messages | flagged | recall | precision |", "|---|--:|--:|--:|--:|"]
    for our, their in zip(ours, theirs, strict=True):
        cells = [f"{_percent(our[key])} ({_percent(their[key])})" for key in ("flagged", "recall", "precision")]
        lines.append(f"| {our['label']} | {our['messages']} | {' | '.join(cells)} |")
    return "\n".join(lines)
