"""A batch run beside a plain `transformers` pipeline over the same float weights.

python benchmarks/dump_speed.py runs/NAME --messages 1000000

`runs/NAME` is what a training run left: `bundle` in 8 bits, `hub` in 32. A dump is made (LINE chat, 5% distinct texts)
and scanned by `ruthan scan --out DIR`, report and all, in a process whose peak memory is taken. The pipeline reads
a sample of the distinct texts, one after the other as a plain loop would, and in batches of 32 by length, its best
case; the classifier alone reads the same texts, and the whole scanner, taking turns; medians of the rounds. Labels of
the dump give the F1 of both sides on the sample.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import torch
from transformers import BertModel, PreTrainedTokenizerBase, TextClassificationPipeline, pipeline
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.bert.modeling_bert import BertPreTrainedModel

from benchmarks.dump_entries import entries
from benchmarks.dump_formats import write_dump
from ruthan.dumps.reading import read_dump
from ruthan.message import Message
from ruthan.scanner import Scanner
from ruthan.taxonomy import BENIGN, default_taxonomy
from train.network import MessageClassifier
from train.restore import restore

SAMPLE, ROUNDS = 300, 3


class _ForSequences(BertPreTrainedModel):
    """The float network in the form that `pipeline("text-classification")` takes."""

    def __init__(self, network: MessageClassifier) -> None:
        config = network.encoder.config
        config.id2label = dict(enumerate(default_taxonomy().labels))
        config.num_labels = len(config.id2label)
        super().__init__(config)
        self.network = network

    def forward(self, input_ids=None, attention_mask=None, **_):
        return SequenceClassifierOutput(logits=self.network(input_ids, attention_mask)["logits"])


def plain_pipeline(folder: Path) -> TextClassificationPipeline:
    """As its documentation shows, with scaled-dot-product attention, its default."""
    network, tokenizer = restore(folder)
    encoder = BertModel(network.encoder.config, add_pooling_layer=False)
    encoder.load_state_dict(network.encoder.state_dict())
    encoder.config._attn_implementation = "sdpa"
    network.encoder = encoder
    model = _ForSequences(network).eval()
    return pipeline("text-classification", model=model, tokenizer=_lean(tokenizer), device="cpu")


def _lean(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    return tokenizer


def rate(read: Callable[[Sequence[str]], object], texts: Sequence[str]) -> float:
    began = time.perf_counter()
    read(texts)
    return len(texts) / (time.perf_counter() - began)


def f1(found: Sequence[bool], true: Sequence[bool]) -> float:
    both = sum(one and other for one, other in zip(found, true, strict=True))
    return 2 * both / max(1, sum(found) + sum(true))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--distinct", type=float, default=0.05)
    parser.add_argument("--hub", type=Path, help="float weights (default: RUN/hub)")
    options = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        dump, labels = folder / "[LINE]chat.txt", folder / "labels.csv"
        with labels.open("w", encoding="utf-8", newline="") as file:
            written = write_dump(dump, "line", entries(options.messages, 1, options.distinct, "chat"), file)
        print(f"dump: {written.messages:,} messages, {written.notices:,} notices, {dump.stat().st_size / 1e6:.0f} MB")
        alternate(options, dump, labels)
        whole(options, dump, folder / "out")


def whole(options: argparse.Namespace, dump: Path, out: Path) -> None:
    """The dump as a user scans it."""
    command = [sys.executable, "-m", "ruthan.cli", "scan", str(dump), "--out", str(out), "--top", "0"]
    began = time.perf_counter()
    command += ["--model", str(options.run / "bundle")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
    peak = 0
    while process.poll() is None:
        peak = max(peak, _peak(process.pid))
        time.sleep(0.2)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(process.returncode)
    texts = set()
    with (out / "verdicts.jsonl").open(encoding="utf-8") as file:
        rows = 0
        for line in file:
            rows += 1
            texts.add(json.loads(line)["message"]["id"])
    print(f"ruthan scan: {rows:,} rows, {len(texts):,} distinct texts, {seconds:.0f} s, peak {peak:.0f} MiB")
    print(f"  {rows / seconds:,.0f} messages a second, {len(texts) / seconds:,.1f} distinct texts a second")


def _peak(process: int) -> float:
    """The most memory that a process had so far, in MiB; what the kernel says of children counts their parent's in."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def alternate(options: argparse.Namespace, dump: Path, labels: Path) -> None:
    """A sample of distinct texts, read in turns."""
    with labels.open(encoding="utf-8", newline="") as file:
        label_of = {int(row["line"]): row["label"] for row in csv.DictReader(file)}
    distinct: dict[str, str] = {}
    for row in read_dump(str(dump)):
        if isinstance(row, Message) and row.text.strip() and row.source:
            distinct.setdefault(row.text, label_of[row.source.line])
        if len(distinct) >= 20_000:
            break
    texts = Random(1).sample(list(distinct), min(SAMPLE, len(distinct)))
    true = [distinct[text] != BENIGN for text in texts]
    plain = plain_pipeline(options.hub or options.run / "hub")
    scanner = Scanner(options.run / "bundle")
    by_length = sorted(texts, key=len)
    ways: dict[str, Callable[[Sequence[str]], object]] = {
        "pipeline, one by one": lambda some: [plain(text, truncation=True) for text in some],
        "pipeline, batches of 32 by length": lambda _: plain(by_length, truncation=True, batch_size=32),
        "classifier of the bundle": scanner.classifier.classify,
        "whole scanner": lambda some: list(scanner.scan_many(some)),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        for _ in range(ROUNDS):
            for name, read in ways.items():
                rates[name].append(rate(read, texts))
        theirs = [each["label"] != BENIGN for each in plain(texts, truncation=True)]
    ours = [verdict.risk >= 0.5 for verdict in scanner.scan_many(texts)]
    medians = {name: statistics.median(each) for name, each in rates.items()}
    for name, median in medians.items():
        print(f"{name:34} {median:8.1f} texts a second")
    best = max(medians["pipeline, one by one"], medians["pipeline, batches of 32 by length"])
    print(f"scanner to pipeline one by one: {medians['whole scanner'] / medians['pipeline, one by one']:.1f} times")
    print(f"scanner to pipeline at its best: {medians['whole scanner'] / best:.1f} times")
    print(
        f"F1 on the sample, {sum(true)} of {len(true)} harmful: "
        f"ruthan {f1(ours, true):.3f}, float {f1(theirs, true):.3f}"
    )


if __name__ == "__main__":
    main()
