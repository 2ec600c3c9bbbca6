"""Write a model card from what a run and an evaluation measured."""

from collections.abc import Mapping
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
        f"{info.attribution} {config['variants']} passes over {training['records']['trained_on']} authored messages "
        f"(corpus digest `{training['corpus_digest'][:16]}`), batch {config['batch_size']}, learning rate "
        f"{config['encoder_learning_rate']} (encoder) and {config['head_learning_rate']} (head), seed "
        f"{config['seed']}; {info.metrics['minutes']} minutes on the machine that made it. "
        f"Temperature {info.temperature:.3f}, fitted on "
        f"{training['records']['calibration']} messages. Windows of {info.window_tokens} tokens, "
        f"{info.window_overlap} shared; the riskiest window decides.",
        f"Licence of the weights: {info.licence}. The corpus is CC BY 4.0.",
        "## On held-out messages of the same corpus",
        "Families never seen in training, by the same writers, most of them in pairs meant to be hard to tell apart.",
        _risk_table({"held-out": held_out}),
        f"Calibration error {held_out['calibration_error']:.3f}; F1 harmful/benign at risk 0.5 "
        f"{held_out['f1_harmful']:.3f}; macro-F1 over classes {held_out['f1_macro']:.3f}.",
        "## 8 bits against float",
        f"On {drift['texts']} held-out messages: largest difference of a class probability {drift['largest']:.3f}, "
        f"mean {drift['mean']:.4f}, F1 loss {drift['f1_loss']:.4f}.",
        *(evaluation_section(name, each) for name, each in info.metrics.get("evaluations", {}).items()),
        "## Limits",
        "- A label says what a message tries to do. It is never a finding about a person.\n"
        "- Authored by language models in the manner of published warnings and read a second time by another; no "
        "moderator has checked the corpus yet.\n"
        "- Judged from the text alone: who sent it, and whether a link is real, it does not know.\n"
        "- Lao, Khmer, Burmese, Vietnamese and Chinese are covered by few messages; dialects of Thai by fewer.",
    ]
    return "\n\n".join(sections) + "\n"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}%"


def _risk_table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    lines = ["| | messages | harmful | AUC | recall at 1% false alarms | at 5% |", "|---|--:|--:|--:|--:|--:|"]
    for name, row in rows.items():
        auc = "–" if row["auc"] is None else f"{row['auc']:.3f}"
        recall = " | ".join(_percent(row["recall"][budget]) for budget in ("0.01", "0.05"))
        lines.append(f"| {name} | {row['messages']} | {row['harmful']} | {auc} | {recall} |")
    return "\n".join(lines)


def evaluation_section(name: str, evaluation: Mapping[str, Any]) -> str:
    """The part of the card on one set of messages from elsewhere."""
    lines = [
        f"## On {name}",
        evaluation["note"],
        _risk_table({"this bundle": evaluation["bundle"], "TF-IDF + logistic regression": evaluation["baseline"]}),
        "Per class, in brackets the same for TF-IDF + logistic regression. *Flagged*: share with a risk at or above "
        "the threshold at 5% false alarms. *Recall*, *precision*: of the class itself.",
        _class_rows(evaluation["classes"], evaluation["baseline_classes"]),
    ]
    return "\n\n".join(line for line in lines if line)


def _class_rows(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str:
    """The table per class, the baseline in brackets."""
    lines = ["| class | messages | flagged | recall | precision |", "|---|--:|--:|--:|--:|"]
    for our, their in zip(ours, theirs, strict=True):
        cells = [f"{_percent(our[key])} ({_percent(their[key])})" for key in ("flagged", "recall", "precision")]
        lines.append(f"| {our['label']} | {our['messages']} | {' | '.join(cells)} |")
    return "\n".join(lines)
