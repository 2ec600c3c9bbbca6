"""What waits to be judged: short requests in one lane, long ones in another, so that neither holds the other up.

Within a lane it is first come, first served. While both have something waiting, each gets half of what can be judged.
As each lane is bounded, so is how long anyone waits in it.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from serve.engine.answer import Answer, Item
from serve.engine.models import Loaded
from serve.problems import Problem

CHARACTERS_A_TOKEN = 3  # about, in Thai and in English
SHORT = 1_024  # tokens of a short request, at most; a longer text holds whatever it is judged by for a good while
EXPLAINED = 9  # times the cost of a window for the words of it that the model went by, at most, beside that of the text


@dataclass(eq=False)
class Work:
    """One text to judge by one model, for all who wait for it.

    :param lane: where it waits; None when it was taken, or nobody needs it any more.
    """

    item: Item
    digest: str
    explain: bool
    loaded: Loaded
    tokens: int
    result: "asyncio.Future[Answer | Problem]"
    waiting: int = 0  # callers
    lane: "Lane | None" = None

    @property
    def huge(self) -> bool:
        """Whether it alone is more than a short request."""
        return self.tokens > SHORT

    @property
    def rest(self) -> tuple[str, bool, str, str]:
        """What its verdict hangs on beside the text."""
        return self.item.place, self.explain, self.loaded.model_digest, self.loaded.policy_digest


def tokens_of(text: str, explain: bool, window: int) -> int:
    """About how many tokens a message costs; `window` is how many the model reads at once."""
    tokens = len(text) // CHARACTERS_A_TOKEN + 1
    return tokens + EXPLAINED * min(tokens, window) if explain else tokens


class Lane:
    """Works in the order in which they came."""

    def __init__(self) -> None:
        self._works: deque[Work] = deque()
        self.items = self.tokens = 0  # that wait
        self.served = 0  # tokens taken since both lanes had something waiting

    def add(self, work: Work) -> None:
        """Let a work wait here; one that waits in another lane leaves it."""
        if work.lane is not None:
            work.lane.remove(work)
        work.lane = self
        self._works.append(work)
        self.items += 1
        self.tokens += work.tokens

    def remove(self, work: Work) -> None:
        """Let a work of this lane wait no longer; its place in the order is skipped."""
        work.lane = None
        self.items -= 1
        self.tokens -= work.tokens
        if not self.items:
            self._works.clear()

    def head(self) -> Work | None:
        """What is next."""
        while self._works and self._works[0].lane is not self:
            self._works.popleft()
        return self._works[0] if self._works else None

    def take(self, tokens: int) -> list[Work]:
        """The next works of one model, about so many tokens of them; at least one, if any waits."""
        taken: list[Work] = []
        while work := self.head():
            if taken and (work.tokens > tokens or work.loaded is not taken[0].loaded):
                break
            self.remove(work)
            taken.append(work)
            tokens -= work.tokens
            self.served += work.tokens
            if tokens <= 0:
                break
        return taken


class Lanes:
    """The lane of short requests and that of long ones."""

    def __init__(self, batch_tokens: int) -> None:
        """:param batch_tokens: about how many tokens are judged together."""
        self._batch_tokens = batch_tokens
        self._short, self._long = Lane(), Lane()
        self._both = (self._short, self._long)

    @property
    def items(self) -> int:
        """How many works wait."""
        return sum(lane.items for lane in self._both)

    @property
    def tokens(self) -> int:
        """How many tokens wait."""
        return sum(lane.tokens for lane in self._both)

    def lane_for(self, works: Iterable[Work]) -> Lane:
        """Where a request of these works is to wait."""
        return self._short if sum(work.tokens for work in works) <= SHORT else self._long

    def tokens_ahead(self, lane: Lane) -> int:
        """How many tokens are judged before a lane has room."""
        return lane.tokens + min(lane.tokens, self._other(lane).tokens)

    def add(self, works: Iterable[Work], lane: Lane) -> None:
        """Let works wait in a lane."""
        if not lane.items:  # what it did not ask for is not made up for
            lane.served = self._other(lane).served
        for work in works:
            lane.add(work)

    def hasten(self, works: Iterable[Work], lane: Lane) -> None:
        """Someone joins works that wait already: if his request is a short one, they go where it would."""
        if lane is self._short:
            self.add([work for work in works if work.lane is self._long], lane)

    def take(self, huge: bool) -> list[Work]:
        """The next batch, all of one lane; nothing, if nothing that may be taken waits.

        :param huge: whether it may be a work that is `huge`.
        """
        for lane in sorted(self._both, key=lambda each: each.served):
            work = lane.head()
            if work is not None and (huge or not work.huge):
                return lane.take(self._batch_tokens)
        return []

    def _other(self, lane: Lane) -> Lane:
        return self._long if lane is self._short else self._short
