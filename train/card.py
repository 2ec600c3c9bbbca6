"""Write a model card from what a run and an evaluation measured."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ruthan.model.bundle import BundleInfo
from ruthan.taxonomy import default_taxonomy
from train.evaluation.names import AUTHORED, BUNDLE, REAL
from train.evaluation.summary import summary_rows
from train.evaluation.wording import percent, percent_within, score, score_within

WATTS = 65  # assumed draw of the machine that trains, for an estimate of its energy


def model_card(info: BundleInfo) -> str:
    """The card of a bundle, in Markdown; a bundle that was not evaluated yet has none of those tables."""
    training, held_out, drift = info.training, info.metrics["held_out"], info.metrics["drift"]
    config = training["config"]
    names = default_taxonomy()
    classes = ", ".join(f"`{label}` ({names[label].thai})" for label in info.labels)
    sections = [
        f"# {info.name}",
        "Reads a message (Thai above all) and gives each class of `data/taxonomy.yaml` a probability: "
        f"{classes}. Part of ruthan (รู้ทัน).",
        "โมเดลนี้ใช้ช่วยคัดกรองข้อความเท่านั้น ผลที่ได้ไม่ใช่ข้อสรุปว่าผู้ใดกระทำผิดหรือเป็นผู้เสียหาย ควรมีคนตรวจก่อนปิดกั้นหรือรายงานเสมอ",
        "## Licence and attribution",
        f"Licence of the weights: {info.licence}. {info.attribution} The corpus is CC BY 4.0.",
        "## Training data",
        f"{config['variants']} passes over {_counted(training['trained_on'])} "
        f"(corpus digest `{training['corpus_digest'][:16]}`); {training['records']['calibration']} messages were kept "
        f"for calibration and {training['records']['test']} for a first judgement.",
        "## How it was made",
        f"Batch {config['batch_size']}, learning rate {config['encoder_learning_rate']} (encoder) and "
        f"{config['head_learning_rate']} (head), seed {config['seed']}. Temperature {info.temperature:.3f}, fitted on "
        f"the calibration messages. Windows of {info.window_tokens} tokens, {info.window_overlap} shared; the riskiest "
        f"window decides. {_effort(info.metrics.get('minutes'))}",
        *([_OTHER_NORMALIZER.format(training["normalizer"], info.normalizer)] if "normalizer" in training else []),
        "## On held-out messages of the same corpus",
        "Messages never seen in training, nor any paraphrase of them; by the same writers, most of them in pairs "
        "that are meant to be hard to tell apart.",
        _held_out_table(held_out),
        f"Calibration error {held_out['calibration_error']:.3f}; F1 harmful/benign at risk 0.5 "
        f"{held_out['f1_harmful']:.3f}; macro-F1 over classes {held_out['f1_macro']:.3f}.",
        "## 8 bits against float",
        f"On {drift['texts']} held-out messages: largest difference of a class probability {drift['largest']:.3f}, "
        f"mean {drift['mean']:.4f}, F1 loss {drift['f1_loss']:.4f}.",
        *(evaluation_sections(info.metrics["evaluation"]) if "evaluation" in info.metrics else []),
        *(_promotion(info.metrics["promoted"]) if info.metrics.get("promoted", {}).get("forced") else []),
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


def _promotion(promoted: Mapping[str, Any]) -> Iterator[str]:
    """Which gates a bundle failed that was let through by hand, and why it was."""
    failed = [name for name, gate in promoted["gates"].items() if not gate["passed"]]
    yield "## Let through by hand"
    yield f"{len(failed)} of {len(promoted['gates'])} gates of `python -m train promote` failed: {', '.join(failed)}."
    yield f"Why it ships all the same: {promoted['forced']}"


def _counted(trained_on: Mapping[str, int]) -> str:
    """How many messages of which origin a pass holds."""
    return ", ".join(f"{count} {origin}" for origin, count in trained_on.items()) + " messages"


def _effort(minutes: float | None) -> str:
    """How long the training took, and about how much energy."""
    if minutes is None:
        return "How long training took was not recorded."
    energy = minutes / 60 * WATTS / 1000
    return (
        f"Training took {minutes:.1f} minutes on the machine that made it: about {energy:.2f} kWh, an estimate from an "
        f"assumed {WATTS} W, not measured; data preparation, failed runs and evaluation are not in it."
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table whose first column is text and whose others are figures."""
    lines = [_line(heads), "|---" + "|--:" * (len(heads) - 1) + "|"]
    return "\n".join([*lines, *(_line(row) for row in rows)])


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _held_out_table(row: Mapping[str, Any]) -> str:
    both = 0 < row["harmful"] < row["messages"]
    recall = [percent(row["recall"][budget] if both else None) for budget in ("0.01", "0.05")]
    heads = ["", "messages", "harmful", "AUC", "recall at 1% false alarms", "at 5%"]
    return _table(heads, [["held-out", row["messages"], row["harmful"], score(row["auc"]), *recall]])


def evaluation_sections(evaluation: Mapping[str, Any]) -> Iterator[str]:
    """What one run of `train evaluate` found: all judges side by side, then the bundle file by file."""
    yield "## Beside others, from one run"
    yield (
        f"In brackets 95% intervals, from {evaluation['resamples']:,} draws of whole groups of near-duplicates. "
        f"*Review*: share at or above the risk {evaluation['policy']['review']:g}, from which the policy "
        f"“{evaluation['policy']['name']}” asks for a person. Challenge texts are such as no model is trained on, see "
        "`data/README.md`."
    )
    names = [name for name in evaluation["judges"] if name not in (AUTHORED, REAL)]
    files = {name: file["judges"] for name, file in evaluation["files"].items()}
    rows = summary_rows(files, evaluation["challenges"])
    cells = [[f"{row.name}: {row.figure}", row.messages, *(row.cells[name] for name in names)] for row in rows]
    yield _table(["", "messages", *map(_shown, names)], cells)
    yield "\n".join(f"- {_shown(name)}: {evaluation['judges'][name]}." for name in names)
    wrong = [f"{name}: {', '.join(ids) if ids else 'none'} wrong." for name, ids in evaluation["wrong"].items()]
    if wrong:
        yield " ".join(wrong)
    for name, file in evaluation["files"].items():
        yield from _file_sections(name, file)


def _shown(name: str) -> str:
    return "**this bundle**" if name == BUNDLE else name


def _file_sections(name: str, file: Mapping[str, Any]) -> Iterator[str]:
    """The bundle on one file: as it is and masked, and by class."""
    yield f"## On {name}"
    if file["note"]:
        yield file["note"]
    heads = ["", "messages", "harmful", "AUC", "recall at 1% false alarms", "at 5%"]
    heads += ["harmful to review", "honest to review", "honest to block"]
    rows = []
    for variant, row in file["variants"].items():
        if row["messages"]:
            recall = [percent_within(row["recall"][budget]) for budget in ("0.01", "0.05")]
            review = [percent_within(row["review"][side]) for side in ("harmful", "honest")]
            cells = [score_within(row["auc"]), *recall, *review, percent_within(row["block"]["honest"])]
            rows.append([variant, row["messages"], row["harmful"], *cells])
    yield _table(heads, rows)
    if len(file["classes"]) > 1:
        yield (
            "Per class. *Flagged*: share with a risk at or above the threshold at 5% false alarms. *Recall*, "
            "*precision*: of the class itself."
        )
        yield _class_rows(file["classes"])


def _class_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    keys = ("flagged", "recall", "precision")
    cells = [[row["label"], row["messages"], *(percent_within(row[key]) for key in keys)] for row in rows]
    return _table(["class", "messages", *keys], cells)
