"""Figures for Prometheus. Labels hold names that we gave only: never a message, a key or an address.

With several workers the supervisor sets PROMETHEUS_MULTIPROC_DIR; each then writes its figures into files of that
folder, and any of them answers for all.
"""

import os
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10)
ITEMS = (1, 2, 4, 8, 16, 32, 64, 128)
TOKENS = (16, 64, 128, 256, 512, 1_024, 4_096, 16_384)


class Metrics:
    """The figures of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()

        def counter(name: str, told: str, *labels: str) -> Counter:
            return Counter(f"ruthan_{name}", told, labels, registry=self._registry)

        def gauge(name: str, told: str, *labels: str, of: Any = "livesum") -> Gauge:
            return Gauge(f"ruthan_{name}", told, labels, registry=self._registry, multiprocess_mode=of)

        def histogram(name: str, told: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"ruthan_{name}", told, labels, buckets=buckets, registry=self._registry)

        self._seconds = histogram("request_seconds", "Time to answer a request", SECONDS, "route", "method", "status")
        self._batch_items = histogram("batch_items", "Messages judged together", ITEMS)
        self._batch_tokens = histogram("batch_tokens", "About how many tokens were judged together", TOKENS)
        self._batch_seconds = histogram("batch_seconds", "Time to judge a batch", SECONDS)
        self._queue_items = gauge("queue_items", "Messages that wait to be judged")
        self._queue_tokens = gauge("queue_tokens", "About how many tokens wait to be judged")
        self._verdicts = counter("verdicts", "Verdicts given, remembered ones too", "label", "action")
        self._cache = counter("cache_lookups", "Looks for a remembered verdict", "result")
        self._rejected = counter("problems", "Requests answered with a problem", "kind")
        self._model = gauge("model_info", "1 for the model and the policy that answer", "model", "policy", of="livemax")
        self._told: tuple[str, str] | None = None
        self._swaps = counter("model_exchanges", "Exchanges of the model or the policy", "outcome")
        self._jobs = counter("jobs", "Jobs that came into a state", "state")
        self._feedback = counter("feedback", "Feedback received", "outcome")
        self._texts = counter("stored_texts", "Texts of messages to be kept", "outcome")
        self._connections = gauge("connections", "Open connections")

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered; `route` is the pattern of its path."""
        self._seconds.labels(route, method, str(status)).observe(seconds)

    def batch(self, items: int, tokens: int, seconds: float) -> None:
        """A batch was judged."""
        self._batch_items.observe(items)
        self._batch_tokens.observe(tokens)
        self._batch_seconds.observe(seconds)

    def queue(self, items: int, tokens: int) -> None:
        """So much waits to be judged."""
        self._queue_items.set(items)
        self._queue_tokens.set(tokens)

    def verdict(self, label: str, action: str) -> None:
        """A verdict was given."""
        self._verdicts.labels(label, action).inc()

    def cache(self, hit: bool) -> None:
        """A verdict was looked for."""
        self._cache.labels("hit" if hit else "miss").inc()

    def rejected(self, kind: str) -> None:
        """A request was answered with a problem of this kind."""
        self._rejected.labels(kind).inc()

    def model(self, model: str, policy: str) -> None:
        """These versions answer from now on."""
        if self._told is not None:
            self._model.labels(*self._told).set(0)
        self._told = (model, policy)
        self._model.labels(*self._told).set(1)

    def swap(self, outcome: str) -> None:
        """An exchange was `done` or `failed`."""
        self._swaps.labels(outcome).inc()

    def job(self, state: str) -> None:
        """A job came into a state."""
        self._jobs.labels(state).inc()

    def feedback(self, outcome: str) -> None:
        """Feedback was `kept`, `replaced` or `refused`."""
        self._feedback.labels(outcome).inc()

    def texts(self, kept: int, dropped: int) -> None:
        """So many texts were kept, and so many were too many to keep."""
        self._texts.labels("kept").inc(kept)
        self._texts.labels("dropped").inc(dropped)

    def connections(self, open_: int) -> None:
        """So many connections are open."""
        self._connections.set(open_)

    def render(self) -> tuple[bytes, str]:
        """All figures, of all workers, as text; and its content type."""
        registry = self._registry
        if os.environ.get(FOLDER):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST
