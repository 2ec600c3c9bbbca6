"""The scan endpoint under mixed work for a long time: whether memory or open files grow.

python benchmarks/serve_soak.py --minutes 20

Messages (half of them new), batches, explanations, feedback, callers who leave, jobs, and an exchange of the model a
minute. The first quarter of the time fills the caches; growth is counted from then on.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from benchmarks.serve_speed import texts

HERE = Path(__file__).parent
CALLERS = 6
PAUSE = 0.05  # seconds between two calls of a caller: about half of what the service could do
SAMPLE_SECONDS = 10


def measured(process: int) -> tuple[float, int, int]:
    """MiB, open files and threads of a process."""
    folder = Path(f"/proc/{process}")
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
    memory = int(status["VmRSS"].split()[0]) / 1024
    return memory, len(os.listdir(folder / "fd")), int(status["Threads"])


class Work:
    """What callers do, by chance."""

    def __init__(self, client: httpx.AsyncClient, seed: int, done: Counter[str]) -> None:
        self.client, self.done, self.chance = client, done, random.Random(seed)
        self.new, self.known = cycle(texts(40_000, seed, 1.0)), texts(300, 0, 1.0)

    def text(self) -> dict[str, str]:
        return {"text": next(self.new) if self.chance.random() < 0.5 else self.chance.choice(self.known)}

    async def scan(self) -> int:
        return (await self.client.post("/v1/scan", json=self.text())).status_code

    async def batch(self) -> int:
        messages = [self.text() for _ in range(16)]
        return (await self.client.post("/v1/scan/batch", json={"messages": messages})).status_code

    async def explain(self) -> int:
        return (await self.client.post("/v1/explain", json=self.text())).status_code

    async def feedback(self) -> int:
        given = {**self.text(), "label": self.chance.choice(("loan", "parcel")), "reviewer": "soak"}
        return (await self.client.post("/v1/feedback", json=given)).status_code

    async def leave(self) -> int:
        with contextlib.suppress(httpx.TimeoutException):
            await self.client.post("/v1/scan/batch", json={"messages": [self.text()] * 4}, timeout=0.01)
        return 0

    async def refuse(self) -> int:
        return (await self.client.post("/v1/scan", json={"message": "x"})).status_code

    async def run(self, end: float) -> None:
        weights = {self.scan: 80, self.batch: 4, self.explain: 3, self.feedback: 6, self.leave: 3, self.refuse: 4}
        while time.monotonic() < end:
            [act] = self.chance.choices(list(weights), list(weights.values()))
            self.done[f"{act.__name__} {await act()}"] += 1
            await asyncio.sleep(PAUSE)


async def exchange(client: httpx.AsyncClient, end: float, done: Counter[str]) -> None:
    for policy in cycle(("least-cost", "default")):
        await asyncio.sleep(60)
        if time.monotonic() > end:
            return
        reply = await client.post("/v1/admin/model", json={"model": "ruthan-e5s", "policy": policy}, timeout=60)
        done[f"exchange {reply.status_code}"] += 1


async def jobs(client: httpx.AsyncClient, end: float, done: Counter[str]) -> None:
    dump = b"".join(json.dumps({"text": each}).encode() + b"\n" for each in texts(2_000, 3, 0.1))
    while time.monotonic() < end:
        job = (await client.post("/v1/jobs?name=soak.jsonl", content=dump)).json()
        while (seen := (await client.get(f"/v1/jobs/{job['id']}")).json())["state"] in ("queued", "running"):
            await asyncio.sleep(1)
        done[f"job {seen['state']}"] += 1
        await client.get(f"/v1/jobs/{job['id']}/results?format=csv")
        await client.delete(f"/v1/jobs/{job['id']}")
        await asyncio.sleep(60)


async def watch(process: int, end: float, samples: list[tuple[float, int, int]]) -> None:
    began = time.monotonic()
    while time.monotonic() < end:
        await asyncio.sleep(SAMPLE_SECONDS)
        samples.append(measured(process))
        if len(samples) % 6 == 0:
            memory, files, threads = samples[-1]
            minutes = (time.monotonic() - began) / 60
            print(f"{minutes:5.1f} min: {memory:.0f} MiB, {files} files, {threads} threads", flush=True)


async def soak(url: str, key: str, process: int, minutes: float) -> None:
    end = time.monotonic() + minutes * 60
    done: Counter[str] = Counter()
    samples: list[tuple[float, int, int]] = []
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
        callers = [Work(client, number, done).run(end) for number in range(CALLERS)]
        await asyncio.gather(
            *callers, exchange(client, end, done), jobs(client, end, done), watch(process, end, samples)
        )
    print(dict(sorted(done.items())))
    rest = samples[len(samples) // 4 :]
    third = max(1, len(rest) // 3)
    for name, at in (("MiB", 0), ("files", 1), ("threads", 2)):
        first, last = (statistics.median(each[at] for each in part) for part in (rest[:third], rest[-third:]))
        print(f"{name}: {first:.0f} after the first quarter, {last:.0f} at the end")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--port", type=int, default=8766)
    options = parser.parse_args()
    with TemporaryDirectory() as name:
        environment = {
            **os.environ,
            "RUTHAN_DATA_DIR": f"{name}/data",
            "RUTHAN_CACHE_BYTES": "8000000",  # so that it fills in the first quarter
            "RUTHAN_FEEDBACK_PER_KEY": "0",
            "PYTHONPATH": str(HERE.parent),
        }
        scopes = [f"--scope={scope}" for scope in ("scan", "feedback", "jobs", "admin")]
        command = [sys.executable, "-m", "serve.main"]
        made = subprocess.run(  # noqa: S603
            [*command, "keys", "create", "soak", *scopes, "--rate", "0"],
            env=environment,
            capture_output=True,
            text=True,
        )
        with Path(name, "log").open("wb") as log:
            process = subprocess.Popen([*command, "--port", str(options.port)], env=environment, stdout=log, stderr=log)  # noqa: S603
        time.sleep(8)
        try:
            asyncio.run(soak(f"http://127.0.0.1:{options.port}", made.stdout.strip(), process.pid, options.minutes))
        finally:
            process.send_signal(signal.SIGTERM)
            print("exit code", process.wait(60))


if __name__ == "__main__":
    main()
