"""Verdicts that were given, kept in memory for a time: a blast of one text costs one look at it."""

from collections.abc import Hashable

from cachetools import TTLCache

from serve.engine.answer import Answer

OVERHEAD = 500  # bytes that an entry takes beside its verdict


class VerdictCache:
    """Answers by what they hang on, at most `size` bytes of them, each for `seconds`; for use on one thread."""

    def __init__(self, size: int, seconds: float) -> None:
        self._size = size
        self._answers: TTLCache[tuple[str, Hashable], Answer] = TTLCache(
            max(1, size), seconds, getsizeof=lambda answer: len(answer.body) + OVERHEAD
        )

    def get(self, digest: str, rest: Hashable) -> Answer | None:
        """The answer for the text of this digest under `rest`: model, policy and all else that it hangs on."""
        return self._answers.get((digest, rest))

    def keep(self, digest: str, rest: Hashable, answer: Answer) -> None:
        """Remember an answer; what would fill the memory by itself is not kept."""
        if len(answer.body) + OVERHEAD <= self._size // 4:
            self._answers[digest, rest] = answer

    def forget(self, digest: str) -> None:
        """Drop what is remembered of a text, by its digest or the beginning of it."""
        for key in [key for key in self._answers if key[0].startswith(digest)]:
            self._answers.pop(key, None)

    def clear(self) -> None:
        """Drop everything."""
        self._answers.clear()
