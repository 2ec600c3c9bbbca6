"""`ruthan explain`: judge one message and show why, word by word."""

import argparse
import json
import sys

from ruthan.breakdown import show
from ruthan.commands.console import output
from ruthan.masking import mask
from ruthan.scanner import Scanner


def explain(options: argparse.Namespace) -> int:
    """Carry out the command and return its exit code."""
    text = _standard_input() if options.text == "-" else options.text
    verdict = Scanner(options.model, options.policy, mask=options.mask).scan(text, explain=True)
    if options.json:
        sys.stdout.write(json.dumps(verdict.to_dict(), ensure_ascii=False, indent=2) + "\n")
    else:
        show(output(), mask(text) if options.mask else text, verdict)
    return 0


def _standard_input() -> str:
    """One message from standard input, in UTF-8 or else in cp874."""
    content = sys.stdin.buffer.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp874", "replace")
