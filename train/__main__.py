"""The training command line.

python -m train run train/configs/default.yaml
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ruthan.errors import RuthanError
from train.errors import ConfigError, TrainError, explained

MOST_DOUBTS = 50  # in a report


def parser() -> argparse.ArgumentParser:
    """The command line, one sub-command a stage."""
    result = argparse.ArgumentParser(prog="python -m train", description="Train, evaluate and export models.")
    commands = result.add_subparsers(dest="command", required=True)

    run = commands.add_parser("run", help="train a model and export its bundle to runs/<name>/bundle")
    run.add_argument("config", type=Path, help="a YAML file, see train/configs/")
    run.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a field of the config")
    run.add_argument("--out", type=Path, metavar="DIR", help="folder of the run (default: runs/<name>)")

    evaluate = commands.add_parser("evaluate", help="judge a bundle on labelled messages from elsewhere")
    evaluate.add_argument("bundle", type=Path)
    evaluate.add_argument("--on", type=Path, nargs="+", default=[], metavar="FILE", help="JSON lines: text, label")
    evaluate.add_argument(
        "--held-out",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="LIST",
        help="judge only the texts that data/splits/LIST names: one list for all files, or one a file, - for none",
    )
    evaluate.add_argument("--assume", metavar="LABEL", help="label of lines that have no such field, such as benign")
    evaluate.add_argument("--challenge", type=Path, metavar="DIR", help="folder of challenge sets, data/challenge")
    evaluate.add_argument(
        "--about",
        nargs="+",
        action="extend",
        default=[],
        metavar="TEXT",
        help="what the messages are, for report and card: one text for all files, or one a file",
    )
    evaluate.add_argument(
        "--beside",
        action="append",
        default=[],
        metavar="NAME=BUNDLE",
        help="judge another bundle too, such as a teacher; may be given more than once",
    )
    evaluate.add_argument(
        "--against-classes", action="store_true", help="measure each class's own probability against other classes"
    )
    evaluate.add_argument(
        "--prevalence", type=float, default=0.05, metavar="P", help="share of harmful messages that would come in"
    )
    evaluate.add_argument(
        "--reviews-per-day", type=int, default=200, metavar="N", help="messages that a reviewer reads in a day"
    )
    evaluate.add_argument("--audit", action="store_true", help="add the labels of the corpus that a model doubts most")
    evaluate.add_argument("--no-texts", action="store_true", help="quote no message in the report")
    evaluate.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the report (default: runs/evaluations/<bundle name>)"
    )
    evaluate.add_argument("--card", action="store_true", help="write the tables into the bundle's model card")

    compare = commands.add_parser("compare", help="show which verdicts flip between two bundles")
    compare.add_argument("old", type=Path)
    compare.add_argument("new", type=Path)
    compare.add_argument(
        "--on", type=Path, required=True, metavar="FILE", help="JSON lines with text and label, or any dump"
    )
    compare.add_argument("--policy", type=Path, metavar="FILE", help="default: the policy that ships")
    compare.add_argument("--out", type=Path, metavar="HTML", help="report with example messages, and a JSON twin")
    compare.add_argument("--texts", action="store_true", help="print example messages at the terminal, too")

    promote = commands.add_parser("promote", help="put a run's bundle where another stands, if it passes every gate")
    promote.add_argument("run", type=Path, help="folder of a run, or a bundle")
    promote.add_argument("--to", type=Path, default=Path("models/ruthan-e5s"), metavar="DIR")
    promote.add_argument("--margin", type=float, default=0.02, help="recall that a class may lose (default: 0.02)")
    promote.add_argument("--force", metavar="WHY", help="copy it although gates fail, and record why")
    promote.add_argument("--challenge", type=Path, default=Path("data/challenge"), metavar="DIR")

    _add_tune_and_select(commands)

    backbone = commands.add_parser("backbone", help="write the offline backbone as a from_pretrained folder")
    backbone.add_argument("folder", type=Path)
    backbone.add_argument("--corpus", type=Path, nargs="*", default=[], help="texts whose vocabulary must stay")
    return result


def _add_tune_and_select(commands: Any) -> None:
    tune = commands.add_parser("tune", help="search for settings; the best go to runs/tune-<name>/best.yaml")
    tune.add_argument("config", type=Path, help="what all trials start from: a YAML file, see train/configs/")
    tune.add_argument("--space", type=Path, default=Path("train/configs/space.yaml"), metavar="FILE")
    tune.add_argument("--trials", type=int, default=20, metavar="N", help="default: 20; those done before count")
    tune.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a field of the config")
    tune.add_argument("--out", type=Path, metavar="DIR", help="folder of the study (default: runs/tune-<name>)")

    select = commands.add_parser("select", help="choose from dumps the texts that are most worth labelling")
    select.add_argument("dumps", nargs="+", metavar="DUMP", help="CSV, TSV, JSON lines or plain text; - for stdin")
    select.add_argument("--model", type=Path, metavar="BUNDLE", help="default: the model that ships")
    select.add_argument("--most", type=int, default=200, metavar="N", help="how many texts (default: 200)")
    select.add_argument("--out", type=Path, default=Path("select.csv"), metavar="FILE", help="default: select.csv")
    select.add_argument("--text-column", metavar="NAME", help="column or field of the message (default: found)")
    select.add_argument(
        "--corpus", type=Path, default=Path("data/corpus"), metavar="PATH", help="what is known already"
    )
    select.add_argument("--splits", type=Path, default=Path("data/splits"), metavar="DIR", help="what is held out")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when done, 1 when a gate keeps a bundle out, 2 with one line on stderr when it cannot be."""
    options = parser().parse_args(arguments)
    try:
        return _COMMANDS[options.command](options) or 0
    except (TrainError, RuthanError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; a run or a study goes on where it was with the same command", file=sys.stderr)
        return 130
    except Exception as error:
        reason = explained(error)
        if reason is None:
            raise
        print(f"error: {reason}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> None:
    from transformers.utils import logging

    from train.config import read_config
    from train.evaluation.evaluate import evaluate_run
    from train.evaluation.report import write_report
    from train.run import run

    logging.set_verbosity_error()
    config = read_config(options.config, options.set)
    folder = options.out or Path("runs") / config.name
    bundle = run(config, folder)
    if bundle is not None:
        report = write_report(folder / "evaluation", evaluate_run(folder))
        print(f"bundle: {bundle}\nreport: {report}")


def _evaluate(options: argparse.Namespace) -> None:
    import logging

    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    from ruthan.model.bundle import read_bundle
    from ruthan.policy import default_policy, read_policy
    from train.card import evaluation_sections
    from train.corpus.audit import doubtful_rows
    from train.evaluation.evaluate import Judged, evaluate, for_card, write_to_card
    from train.evaluation.judges import call_panel
    from train.evaluation.measure import Setting
    from train.evaluation.report import report_folder, write_report

    if not options.on and options.challenge is None:
        raise ConfigError("nothing to judge on; give --on FILE or --challenge data/challenge")
    if len({path.name for path in options.on}) < len(options.on):
        raise ConfigError("two files of the same name would overwrite each other in the card; rename one")
    lists = _for_each_file(options.held_out, len(options.on), "--held-out")
    abouts = _for_each_file(options.about, len(options.on), "--about")
    files = [
        Judged(path, None if held_out == Path("-") else held_out, about or "")
        for path, held_out, about in zip(options.on, lists, abouts, strict=True)
    ]
    setting = Setting(
        policy=read_policy(default_policy()),
        prevalence=options.prevalence,
        reviews_per_day=options.reviews_per_day,
    )
    set_verbosity_error()
    disable_progress_bar()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("train.evaluation").setLevel(logging.INFO)
    name = read_bundle(options.bundle).info.name
    folder = report_folder(options.out or Path("runs/evaluations") / name)
    panel = call_panel(options.bundle, _named_bundles(options.beside))
    result = evaluate(
        panel, files, setting, options.assume, options.challenge, options.against_classes, not options.no_texts
    )
    if options.audit:
        corpus = [Path(path) for path in panel.info.training["config"]["corpus"]]
        result["doubts"] = doubtful_rows(corpus, MOST_DOUBTS, texts=not options.no_texts)
    report = write_report(folder, result)
    print(*evaluation_sections(for_card(result)), sep="\n\n")
    if options.card:
        write_to_card(options.bundle, result)
    print(f"\nreport: {report}")


def _for_each_file(values: Sequence[Any], files: int, option: str) -> list[Any]:
    """`values` as they are if there is one for each file; the one that is given for all; None for each if none is."""
    if len(values) not in (0, 1, files):
        raise ConfigError(f"{option} has {len(values)} values for {files} files; give one for all, or one a file")
    return list(values) if len(values) == files else [values[0] if values else None] * files


def _named_bundles(values: Sequence[str]) -> dict[str, Path]:
    bundles: dict[str, Path] = {}
    for value in values:
        name, _, folder = value.partition("=")
        if not (name and folder):
            raise ConfigError(f"--beside takes NAME=BUNDLE, not {value!r}")
        if name in bundles:
            raise ConfigError(f"--beside {value}: the name {name!r} is given twice; rename one")
        bundles[name] = Path(folder)
    return bundles


def _compare(options: argparse.Namespace) -> None:
    from ruthan.dumps.rows import Unreadable
    from train.compare import compare, read_messages, scanners
    from train.compare_report import check_report_path, terminal_lines, twin, write_report

    if options.out is not None:
        check_report_path(options.out, options.on)
    old, new = scanners(options.old, options.new, options.policy)
    unreadable: list[Unreadable] = []
    comparison = compare(old, new, read_messages(options.on, unreadable.append))
    bundles = {"old": f"{options.old} ({old.model})", "new": f"{options.new} ({new.model})"}
    for side, name in bundles.items():
        print(f"{side}: {name}")
    if unreadable:
        first = unreadable[0]
        print(f"{len(unreadable)} rows could not be read, the first at line {first.source.line}: {first.reason}")
    for line in terminal_lines(comparison, options.texts):
        print(line)
    if options.out is not None:
        write_report(comparison, bundles, str(options.on), options.out)
        print(f"report, with example messages: {options.out} and {twin(options.out)}")


def _promote(options: argparse.Namespace) -> int:
    from train.promote import promote

    promotion = promote(options.run, options.to, options.challenge, options.margin, options.force)
    for gate in promotion.gates:
        print(gate)
    if not promotion.compared:
        print(f"No bundle that can be read stands at {options.to}: what would compare the two is left out.")
    if not promotion.done:
        print(f"{len(promotion.failed)} of {len(promotion.gates)} gates failed; nothing was copied.")
        return 1
    print(f"bundle: {options.to}")
    return 0


def _tune(options: argparse.Namespace) -> None:
    from transformers.utils import logging

    from train.config import read_config
    from train.tune import read_space, tune

    logging.set_verbosity_error()
    config = read_config(options.config, options.set)
    folder = options.out or Path("runs") / f"tune-{config.name}"
    best = tune(config, read_space(options.space), options.trials, folder, lambda line: print(line, flush=True))
    print(f"best: {best}")


def _select(options: argparse.Namespace) -> None:
    from ruthan.dumps.reading import check_readable
    from ruthan.scanner import Scanner
    from train.corpus.records import read_corpus
    from train.corpus.splits import read_digests
    from train.select import select, write_selection

    if options.out.exists():
        raise ConfigError(f"{options.out} exists and may hold labels already; give another --out or move it away")
    for path in options.dumps:
        check_readable(path)
    lists = [read_digests(path) for path in sorted(options.splits.glob("*.txt"))]
    if not lists:
        raise ConfigError(f"no list of held-out texts in {options.splits}; name their folder with --splits")
    held_out = frozenset[str]().union(*lists)
    corpus = read_corpus([options.corpus])
    selection = select(options.dumps, Scanner(options.model), corpus, held_out, options.most, options.text_column)
    write_selection(options.out, selection.proposals)
    for reason, count in selection.left_out.most_common():
        print(f"{count:7}  {reason}")
    print(f"{len(selection.proposals)} of {selection.read} texts to label in {options.out}; then: ", end="")
    print(f"python -m train.corpus add {options.out} --origin NAME")


def _backbone(options: argparse.Namespace) -> None:
    from train.backbone import build_backbone
    from train.corpus.records import read_corpus

    texts = [record.text for record in read_corpus(options.corpus)] if options.corpus else []
    build_backbone(options.folder, texts)


_COMMANDS: dict[str, Callable[[argparse.Namespace], int | None]] = {
    "run": _run,
    "evaluate": _evaluate,
    "compare": _compare,
    "promote": _promote,
    "tune": _tune,
    "select": _select,
    "backbone": _backbone,
}

if __name__ == "__main__":
    sys.exit(main())
