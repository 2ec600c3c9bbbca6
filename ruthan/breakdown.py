"""Show one verdict in full at a terminal: the message with what was found in it marked, and why it was judged so."""

from collections.abc import Iterator

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ruthan.batch.table import COLOURS, printable
from ruthan.evidence.signals import default_signals
from ruthan.taxonomy import BENIGN, default_taxonomy
from ruthan.verdict import Evidence, Verdict

STYLES = {"signal": "bold yellow", "indicator": "bold cyan", "disguise": "bold magenta"}
HEAVY = "underline"  # of words that the model went by
_HEADS = {"signal": "Warning signs", "indicator": "Identifiers", "disguise": "Disguises"}
_CONTROLS = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160), *range(8234, 8239), 8294, 8295), "�")


def show(console: Console, text: str, verdict: Verdict) -> None:
    """Print a verdict on `text`, which was judged with `explain`."""
    label = default_taxonomy()[verdict.label]
    # The name of benign is "no warning signs", which is not what a plea shows.
    names = "" if verdict.needs_help and label.id == BENIGN else f"  {label.thai}  ({label.english})"
    action = (verdict.action, f"bold {COLOURS[verdict.action]}")
    console.print(Text.assemble(action, f"  risk {verdict.risk:.3f}  {label.id}{names}"))
    if verdict.needs_help:
        console.print(Text("needs_help: a person should read this without delay", "bold red"))
    console.print(Padding(_marked(text, verdict), (1, 2)))
    for kind in _HEADS:
        _section(console, kind, [each for each in verdict.evidence if each.kind == kind])
    signs = verdict.recruitment
    if signs is not None and (signs.strong or signs.medium or signs.weak):
        console.print(f"Recruitment signs: {signs.strong} strong, {signs.medium} medium, {signs.weak} weak\n")
    if verdict.words:
        console.print("Words the model went by (change of the log-odds without them)")
        words = "   ".join(f"{printable(word.text)} {word.weight:+.1f}" for word in verdict.words)
        console.print(Padding(Text(words), (0, 2, 1, 2)))
    for head, thai, english in (
        ("Why", verdict.reasons, verdict.reasons_en),
        ("What to do", verdict.advice, verdict.advice_en),
    ):
        if thai:
            console.print(head)
            for line in (*thai, *english):
                console.print(Padding(Text(printable(line)), (0, 2)))
            console.print()
    console.print(Text(f"model {verdict.model}, policy {verdict.policy}", "dim"))


def _marked(text: str, verdict: Verdict) -> Text:
    """The message with its evidence in colours; characters that would upset a terminal are shown as such."""
    result = Text(text.translate(_CONTROLS))
    for kind in ("signal", "disguise", "indicator"):
        for each in verdict.evidence:
            if each.kind == kind:
                result.stylize(STYLES[kind], each.start, each.end)
    for word in verdict.words or ():
        if word.weight > 0:
            result.stylize(HEAVY, word.start, word.end)
    return result


def _section(console: Console, kind: str, evidence: list[Evidence]) -> None:
    if not evidence:
        return
    console.print(Text(_HEADS[kind], STYLES[kind]))
    table = Table.grid(padding=(0, 2))
    for each in evidence:
        table.add_row("", *(Text(cell) for cell in _cells(each)))
    console.print(table)
    console.print()


def _cells(each: Evidence) -> Iterator[str]:
    quote = f"“{printable(each.text)}”"
    if each.kind == "signal":
        signal = default_signals().signals[each.type]
        about = [
            name for name in (each.details.get("strength"), "quoted" if "quoted" in each.details else None) if name
        ]
        yield from (quote, signal.thai, signal.english, ", ".join(about))
    elif each.kind == "disguise":
        yield from (quote, f"reads “{printable(each.value)}”", each.type.replace("_", " "))
    else:
        details = (f"{name} {value}" for name, value in each.details.items() if name not in ("amount", "currency"))
        yield from (quote, each.type, printable(each.value), ", ".join(details))
