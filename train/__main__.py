"""The training command line.

python -m train run train/configs/default.yaml
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ruthan.errors import RuthanError
from train.errors import ConfigError, TrainError


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
        "--held-out", type=Path, metavar="LIST", help="judge only the texts that data/splits/LIST names"
    )
    evaluate.add_argument("--assume", metavar="LABEL", help="label of lines that have no such field, such as benign")
    evaluate.add_argument("--challenge", type=Path, metavar="DIR", help="folder of challenge sets, data/challenge")
    evaluate.add_argument("--about", default="", metavar="TEXT", help="what the messages are, for the card")
    evaluate.add_argument("--card", action="store_true", help="write the tables into the bundle's model card")

    backbone = commands.add_parser("backbone", help="write the offline backbone as a from_pretrained folder")
    backbone.add_argument("folder", type=Path)
    backbone.add_argument("--corpus", type=Path, nargs="*", default=[], help="texts whose vocabulary must stay")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when done, 2 with one line on stderr when it cannot be."""
    options = parser().parse_args(arguments)
    try:
        _COMMANDS[options.command](options)
    except (TrainError, RuthanError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _run(options: argparse.Namespace) -> None:
    from transformers.utils import logging

    from train.config import read_config
    from train.run import run

    logging.set_verbosity_error()
    config = read_config(options.config, options.set)
    bundle = run(config, options.out or Path("runs") / config.name)
    print(f"bundle: {bundle}")


def _evaluate(options: argparse.Namespace) -> None:
    from train.card import challenge_section, evaluation_section
    from train.evaluate import Evaluation, write_to_card

    if not options.on and options.challenge is None:
        raise ConfigError("nothing to judge on; give --on FILE or --challenge data/challenge")
    if len({path.name for path in options.on}) < len(options.on):
        raise ConfigError("two files of the same name would overwrite each other in the card; rename one")
    evaluation = Evaluation(options.bundle)
    files = {
        path.name: evaluation.on_file(path, options.about, options.assume, options.held_out) for path in options.on
    }
    challenges = evaluation.on_challenges(options.challenge) if options.challenge else {}
    for name, figures in files.items():
        print(evaluation_section(name, figures), end="\n\n")
    if challenges:
        print(challenge_section(challenges))
    if options.card:
        write_to_card(options.bundle, files, challenges)


def _backbone(options: argparse.Namespace) -> None:
    from train.backbone import build_backbone
    from train.corpus.records import read_corpus

    texts = [record.text for record in read_corpus(options.corpus)] if options.corpus else []
    build_backbone(options.folder, texts)


_COMMANDS = {"run": _run, "evaluate": _evaluate, "backbone": _backbone}

if __name__ == "__main__":
    sys.exit(main())
