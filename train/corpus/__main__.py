"""Keep the corpus in order.

python -m train.corpus check
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ruthan.errors import RuthanError
from train.errors import ConfigError, CorpusError, TrainError

CORPUS, CHALLENGE, SPLITS = Path("data/corpus"), Path("data/challenge"), Path("data/splits")


def parser() -> argparse.ArgumentParser:
    """The command line, one sub-command a task."""
    result = argparse.ArgumentParser(prog="python -m train.corpus", description="Check, extend and audit the corpus.")
    result.add_argument(
        "--corpus", type=Path, action="append", metavar="PATH", help=f"default: {CORPUS}; may be repeated"
    )
    commands = result.add_subparsers(dest="command", required=True)

    check = commands.add_parser("check", help="everything that must hold before a training run; exit code 1 if not")
    check.add_argument("--quiet", action="store_true", help="print problems only, no tables")

    add = commands.add_parser("add", help="check and file new labelled texts")
    add.add_argument("file", type=Path, help="CSV or JSON lines with text and label")
    add.add_argument("--to", type=Path, metavar="FILE", help="default: <name of the file>.jsonl in the corpus folder")
    add.add_argument("--origin", required=True, help="where the texts come from, such as hotline-2026")

    audit = commands.add_parser("audit", help="rank probable label errors and texts that are alike, for review")
    audit.add_argument("--most", type=int, default=50, metavar="N", help="show so many of each (default: 50)")
    audit.add_argument("--out", type=Path, metavar="FILE", help="write the doubtful labels to a CSV and print no text")
    audit.add_argument("--texts", action="store_true", help="with --out: a column with the texts too")

    split = commands.add_parser("hold-out", help="choose texts for judging, whole near-duplicate families at a time")
    split.add_argument("files", type=Path, nargs="+", help="JSON lines with a text; near-duplicates count across files")
    split.add_argument("--share", type=float, required=True, help="share of the texts to hold out, 0 to 1")
    split.add_argument("--seed", type=int, default=0)
    split.add_argument("--to", type=Path, required=True, metavar="LIST", help="the list of digests to write")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when done, 1 if the check found problems, 2 with one line on stderr when it cannot be done."""
    options = parser().parse_args(arguments)
    options.corpus = options.corpus or [CORPUS]
    try:
        code = _COMMANDS[options.command](options)
        sys.stdout.flush()
    except (TrainError, RuthanError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    return code


def _check(options: argparse.Namespace) -> int:
    from train.corpus.check import check

    whole = options.corpus == [CORPUS]
    result = check(
        options.corpus,
        CHALLENGE if CHALLENGE.is_dir() else None,
        SPLITS if SPLITS.is_dir() else None,
        complete=whole,
    )
    if not options.quiet:
        print(result.tables)
    if not whole:
        print(f"sizes and shortcuts are checked for {CORPUS} alone")
    for problem in result.problems:
        print(problem)
    print(f"{len(result.problems)} problems" if result.problems else "the corpus is in order")
    return 1 if result.problems else 0


def _add(options: argparse.Namespace) -> int:
    from train.corpus.add import add
    from train.corpus.splits import read_digests

    if options.to is None and not options.corpus[0].is_dir():
        raise ConfigError(f"{options.corpus[0]} is no folder; say with --to FILE where the texts go")
    target = options.to or options.corpus[0] / f"{options.file.stem}.jsonl"
    lists = [read_digests(path) for path in sorted(SPLITS.glob("*.txt"))]
    filed = add(options.file, options.corpus, target, options.origin, frozenset[str]().union(*lists))
    for reason in filed.left_out:
        print(f"left out: {reason}")
    print(f"{len(filed.records)} texts filed in {filed.path}, {filed.slots} identifiers replaced by slots")
    return 0


def _audit(options: argparse.Namespace) -> int:
    from train.corpus.audit import alike_texts, doubtful_labels, doubtful_rows
    from train.corpus.spreadsheet import write_table

    if options.most < 1:
        raise ConfigError(f"--most is {options.most}; expected at least 1")
    if options.texts and options.out is None:
        raise ConfigError("--texts belongs to --out FILE; without it the texts are shown anyway")
    if options.out is not None:
        rows = doubtful_rows(options.corpus, options.most, options.texts)
        columns = ("place", "id", "label", "suggested", "confidence", *(["text"] if options.texts else []))
        write_table(options.out, columns, rows)
        print(f"{len(rows)} doubtful labels in {options.out}")
        return 0
    print("# Labels to look at again: place, id, label given, label suggested, confidence in the label given, text\n")
    for doubt in doubtful_labels(options.corpus)[: options.most]:
        record = doubt.record
        text = " ".join(record.text.split())
        print(f"{doubt.place} {record.id} {record.label} → {doubt.suggested} {doubt.confidence:.3f} {text[:120]}")
    print("\n# Texts that are alike\n")
    for alike in alike_texts(options.corpus)[: options.most]:
        for place, record in zip(alike.places, alike.records, strict=True):
            print(f"{alike.similarity:.2f} {place} {record.id} {record.label} {' '.join(record.text.split())[:120]}")
    return 0


def _hold_out(options: argparse.Namespace) -> int:
    from train.corpus.near_duplicates import text_digest
    from train.corpus.records import read_lines
    from train.corpus.splits import hold_out, write_digests

    texts: list[str] = []
    for place, row in read_lines(options.files):
        if not isinstance(row.get("text"), str):
            raise CorpusError(f"{place}: text must be a text")
        texts.append(row["text"])
    digests = hold_out(texts, options.share, options.seed)
    names = ", ".join(path.name for path in options.files)
    write_digests(options.to, digests, f"{len(digests)} texts held out of {names}: never train on them.")
    chosen = set(digests)
    count = sum(text_digest(text) in chosen for text in texts)
    print(f"{count} of {len(texts)} texts held out, listed in {options.to}")
    return 0


_COMMANDS = {"check": _check, "add": _add, "audit": _audit, "hold-out": _hold_out}

if __name__ == "__main__":
    sys.exit(main())
