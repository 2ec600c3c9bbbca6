"""Make an invented dump of messages of any size, to measure and test with; the same bytes for the same arguments.

python benchmarks/make_dump.py chats.txt --format line --messages 1000000 --seed 1
python benchmarks/make_dump.py sms.xml.zst --format sms-xml --messages 50000 --seed 2 --distinct 0.2 --labels sms.csv

`--messages` counts messages with words; stickers, calls and the like come on top where the format holds them. OUT is
compressed if it ends in .gz, .zst or .zip. Neither labels nor campaigns stand in the dump; `--labels` writes them to a
CSV of their own, each with the place of its entry: the line where it begins, or in JSON, XML, sheets and mailboxes its
number.
"""

import argparse
from contextlib import ExitStack
from pathlib import Path

from benchmarks.dump_entries import entries
from benchmarks.dump_formats import CHANNEL_OF, FORMS, write_dump


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", metavar="OUT", type=Path)
    parser.add_argument("--format", required=True, choices=FORMS)
    parser.add_argument("--messages", type=int, required=True, metavar="N")
    parser.add_argument("--seed", type=int, required=True, metavar="S")
    parser.add_argument(
        "--distinct", type=float, default=0.05, metavar="SHARE", help="of distinct texts (default 0.05)"
    )
    parser.add_argument("--labels", type=Path, metavar="FILE", help="where to write the labels")
    chosen = parser.parse_args()
    if chosen.messages < 0 or not 0 < chosen.distinct <= 1:
        parser.error("N has to be 0 or more, and SHARE above 0 and at most 1")
    with ExitStack() as stack:
        labels = stack.enter_context(chosen.labels.open("w", encoding="utf-8", newline="")) if chosen.labels else None
        made = entries(chosen.messages, chosen.seed, chosen.distinct, CHANNEL_OF[chosen.format])
        written = write_dump(chosen.out, chosen.format, made, labels)
    print(f"{chosen.out}: {written.messages:,} messages, {written.notices:,} notices")


if __name__ == "__main__":
    main()
