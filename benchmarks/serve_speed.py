"""The scan endpoint under load, beside a plain server and LitServe running the same weights.

pip install litserve; apt-get install wrk
python benchmarks/serve_speed.py compare --seconds 15 --rounds 3
python benchmarks/serve_speed.py arrive --seconds 60

`compare`: callers that each wait for their answer (wrk), 1 to 256 of them, taking turns with the other servers;
every message a text that was not sent before, and once more as in a real dump, where 5% are distinct. `arrive`:
messages that come by chance at a given rate whoever waits (Poisson), at 70% and at twice the most that 64 callers get,
then at 70% again; with the memory of the server. Times in milliseconds.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

from benchmarks.dump_entries import entries

HERE = Path(__file__).parent
BUNDLE = HERE.parent / "models/ruthan-e5s"
CALLERS = (1, 8, 64, 256)
BATCH = 32
WARM_SECONDS = 3
PRIORITY = -10


def texts(count: int, seed: int, distinct: float) -> list[str]:
    """Texts of messages as they come; no two equal where `distinct` is 1."""
    return [each.text for each in entries(count, seed, distinct) if each.notice is None]


def write_bodies(file: Path, messages: list[str], batch: int) -> None:
    with file.open("w", encoding="utf-8") as out:
        for at in range(0, len(messages) - batch + 1, batch):
            some = [{"text": text} for text in messages[at : at + batch]]
            out.write(json.dumps(some[0] if batch == 1 else {"messages": some}) + "\n")


@contextmanager
def served(name: str, port: int, folder: Path) -> Iterator[int]:
    """A server, started, answering and warm; its process."""
    commands = {
        "ruthan": ["-m", "serve.main", "--port", str(port)],
        "plain": ["-m", "benchmarks.serve_plain", str(BUNDLE), "--port", str(port)],
        "litserve": ["-m", "benchmarks.serve_litserve", str(BUNDLE), "--port", str(port)],
    }
    environment = {
        **os.environ,
        "RUTHAN_DATA_DIR": str(folder / "data"),
        "RUTHAN_RATE_PER_ADDRESS": "0",
        "PYTHONPATH": str(HERE.parent),
    }
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, *commands[name]], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        path = {"ruthan": "/healthz", "plain": "/openapi.json", "litserve": "/health"}[name]
        for _ in range(600):
            try:
                urlopen(f"http://127.0.0.1:{port}{path}").read()
                break
            except OSError:
                time.sleep(0.2)
        else:
            raise SystemExit(f"{name} does not answer, see its log: {(folder / f'{name}.log').read_text()[-2000:]}")
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):  # its children may work on, on the cores of the next server
            os.killpg(process.pid, signal.SIGKILL)


_sent: Counter[Path] = Counter()  # so that no body is sent twice from one run to the next


def closed_loop(port: int, path: str, bodies: Path, callers: int, seconds: float) -> dict[str, float]:
    """What wrk measures with that many callers, each of which waits for its answer."""
    command = ["wrk", "-t1", f"-c{callers}", f"-d{max(1, round(seconds))}s", "--timeout", "120s", "--latency"]
    command += ["-s", str(HERE / "serve_load.lua"), f"http://127.0.0.1:{port}{path}", "--", str(bodies)]
    said = subprocess.run([*command, str(_sent[bodies])], capture_output=True, text=True, check=True).stdout  # noqa: S603
    found: dict[str, float] = json.loads(re.search(r"JSON (.*)", said)[1])  # type: ignore[index]
    _sent[bodies] += int(found["requests"]) + callers
    return found


def compare(options: argparse.Namespace) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        sets = {}
        for kind, share in (("distinct", 1.0), ("as in a dump", 0.05)):
            messages = texts(options.messages, options.seed, share)
            for batch in (1, BATCH):
                sets[kind, batch] = folder / f"{kind}-{batch}.jsonl"
                write_bodies(sets[kind, batch], messages, batch)
        cases = [("ruthan", "distinct", 1), ("plain", "distinct", 1), ("litserve", "distinct", 1)]
        cases += [("ruthan", "as in a dump", 1), ("plain", "as in a dump", 1), ("litserve", "as in a dump", 1)]
        cases += [("ruthan", "distinct", BATCH), ("plain", "distinct", BATCH), ("ruthan", "as in a dump", BATCH)]
        cases = [case for case in cases if case[0] in options.servers]
        found: dict[tuple[str, str, int, int], list[dict[str, float]]] = {}
        for number in range(options.rounds):
            for server, kind, batch in cases:  # each with a new server: one that was flooded works on for minutes
                with served(server, options.port, folder):
                    path = "/v1/scan" if batch == 1 else "/v1/scan/batch"
                    closed_loop(options.port, path, sets[kind, batch], 8, WARM_SECONDS)
                    for callers in options.callers:
                        result = closed_loop(options.port, path, sets[kind, batch], callers, options.seconds)
                        result["rate"] = (result["requests"] - result["refused"]) * batch / result["seconds"]
                        found.setdefault((server, kind, batch, callers), []).append(result)
                        print(f"# round {number + 1}", server, kind, batch, callers, result, file=sys.stderr)
        _table(found)


def _table(found: dict[tuple[str, str, int, int], list[dict[str, float]]]) -> None:
    print("| messages | in a request | callers | server | a second | p50 | p95 | p99 | refused | failed | ruthan is |")
    print("|---|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|")
    for (server, kind, batch, callers), rounds in sorted(found.items(), key=lambda each: (each[0][1:], each[0][0])):
        rate, *times = (statistics.median(each[name] for each in rounds) for name in ("rate", "p50", "p95", "p99"))
        refused, failed = (sum(int(each[name]) for each in rounds) for name in ("refused", "failed"))
        ours = found.get(("ruthan", kind, batch, callers))
        ratio = statistics.median(each["rate"] for each in ours) / max(rate, 0.01) if ours else 0
        shown = " | ".join(f"{value:,.0f}" for value in times)
        print(
            f"| {kind} | {batch} | {callers} | {server} | {rate:,.0f} | {shown} | {refused} | {failed} | {ratio:.1f}× |"
        )


class _Caller(asyncio.Protocol):
    """One connection that is kept; as little work a call as can be, for both sides share the cores."""

    closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer, self.answer = b"", asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if found and not self.answer.done() and len(body) >= int(re.search(rb"content-length: (\d+)", head.lower())[1]):  # type: ignore[index]
            self.buffer = b""
            self.answer.set_result(int(head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if not self.answer.done():
            self.answer.set_result(0)


async def open_loop(port: int, messages: Iterator[str], rate: float, seconds: float) -> dict[str, object]:
    """Messages that come at a rate by chance. Times are counted from when a message should have been sent."""
    idle: list[_Caller] = []
    statuses: Counter[int] = Counter()
    times: list[float] = []
    refusals: list[float] = []
    chance = random.Random(1)
    loop = asyncio.get_running_loop()

    async def call(text: str, due: float) -> None:
        while idle and idle[-1].closed:
            idle.pop()
        caller = idle.pop() if idle else (await loop.create_connection(_Caller, "127.0.0.1", port))[1]
        caller.answer = loop.create_future()
        body = json.dumps({"text": text}).encode()
        head = f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        caller.transport.write(f"POST /v1/scan HTTP/1.1\r\n{head}\r\n\r\n".encode() + body)  # type: ignore[attr-defined]
        status = await asyncio.wait_for(caller.answer, 60)
        statuses[status] += 1
        (times if status == 200 else refusals).append((loop.time() - due) * 1000)
        idle.append(caller)

    with contextlib.suppress(PermissionError):
        os.nice(PRIORITY - os.nice(0))  # callers are elsewhere: they do not wait for the cores of the server
    began = due = loop.time()
    calls = set()
    while due < began + seconds:
        due += chance.expovariate(rate)
        await asyncio.sleep(max(0, due - loop.time()))
        task = asyncio.create_task(call(next(messages), due))
        calls.add(task)
        task.add_done_callback(calls.discard)
    await asyncio.gather(*calls)
    for caller in idle:
        caller.transport.close()
    points = statistics.quantiles(times, n=100)
    return {
        "sent a second": round(rate, 1),
        "answered a second": round(len(times) / (loop.time() - began), 1),
        "statuses": dict(statuses),
        "p50": round(points[49], 1),
        "p95": round(points[94], 1),
        "p99": round(points[98], 1),
        "slowest refusal": round(max(refusals, default=0), 1),
    }


def resident(process: int) -> float:
    """MiB of memory that a process holds."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def arrive(options: argparse.Namespace) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        messages = iter(texts(options.messages, options.seed, 1.0))
        bodies = folder / "bodies.jsonl"
        write_bodies(bodies, [next(messages) for _ in range(12_000)], 1)
        with served("ruthan", options.port, folder) as process:
            closed_loop(options.port, "/v1/scan", bodies, 8, WARM_SECONDS)
            peaks = [closed_loop(options.port, "/v1/scan", bodies, 64, options.seconds / 3) for _ in range(3)]
            peak = statistics.median((each["requests"] - each["refused"]) / each["seconds"] for each in peaks)
            print(f"peak at 64 callers: {peak:,.0f} a second; memory {resident(process):.0f} MiB")
            for share in (0.7, 2.0, 0.7):
                found = asyncio.run(open_loop(options.port, messages, peak * share, options.seconds))
                print(f"{share:.0%} of peak: {found}; memory {resident(process):.0f} MiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for command in (compare, arrive):
        each = commands.add_parser(command.__name__)
        each.set_defaults(run=command)
        each.add_argument("--seconds", type=float, default=15)
        each.add_argument("--messages", type=int, default=150_000)
        each.add_argument("--seed", type=int, default=1)
        each.add_argument("--port", type=int, default=8765)
        each.add_argument("--rounds", type=int, default=1)
        each.add_argument("--callers", type=int, nargs="*", default=CALLERS)
        each.add_argument("--servers", nargs="*", default=["ruthan", "plain", "litserve"])
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
