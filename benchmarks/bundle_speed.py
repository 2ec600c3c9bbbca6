"""Speed of a bundle beside its float network: messages a second, and milliseconds for one message.

python benchmarks/bundle_speed.py runs/ruthan-2026.11-e5s12

Both run the same way, one message at a time on one thread and on as many threads as there are cores, on the messages
of data/corpus with their slots filled. Rounds alternate; medians are shown.
"""

import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from ruthan.model.classifier import available_cores
from train.corpus.records import read_corpus
from train.slots import prepare

MESSAGES, ROUNDS = 300, 5


def main(run: Path) -> None:
    tokenizer = Tokenizer.from_file(str(run / "bundle" / "tokenizer.json"))
    records = Random(1).sample(read_corpus([Path("data/corpus")]), MESSAGES)
    texts = [prepare(record.text, record.id, seed=1) for record in records]
    ids = [encoding.ids[:256] for encoding in tokenizer.encode_batch(texts)]
    print(f"{MESSAGES} messages, {statistics.mean(map(len, ids)):.0f} tokens on average, {available_cores()} cores")

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    paths = {"8 bits": run / "bundle" / "model.onnx", "float": run / "bundle-float" / "model.onnx"}
    sessions = {
        name: onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for name, path in paths.items()
    }

    def classify(name: str, message: list[int]) -> float:
        began = time.perf_counter()
        feed = {"input_ids": np.array([message]), "attention_mask": np.ones((1, len(message)), np.int64)}
        sessions[name].run(None, feed)
        return time.perf_counter() - began

    alone: dict[str, list[float]] = {name: [] for name in paths}
    rates: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(ROUNDS):
        for name in paths:
            alone[name] += [classify(name, message) for message in ids[:100]]
            with ThreadPoolExecutor(available_cores()) as pool:
                began = time.perf_counter()
                list(pool.map(lambda message, name=name: classify(name, message), ids))
                rates[name].append(MESSAGES / (time.perf_counter() - began))
    for name, path in paths.items():
        one, rate = 1000 * statistics.median(alone[name]), statistics.median(rates[name])
        print(f"{name:>6}: {path.stat().st_size / 1e6:6.1f} MB  {rate:5.0f} messages/s  one message {one:5.1f} ms")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
