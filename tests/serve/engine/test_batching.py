import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from ruthan.message import Message
from ruthan.scanner import Scanner
from ruthan.verdict import Verdict
from serve.engine.answer import Answer, Item, answer_of
from serve.engine.batching import RUNNING, Engine
from serve.engine.lanes import tokens_of
from serve.problems import Problem
from serve.settings import Settings
from serve.telemetry.metrics import Metrics

T = TypeVar("T")

LURE = "คุณได้รับอนุมัติวงเงินกู้ 80,000 บาท ไม่เช็กบูโร โอนค่าค้ำประกัน 1,500 บาทก่อนรับเงิน แอดไลน์ @easyloan-th"


class Slow:
    """Takes the place of a scanner where it matters only how long that takes, and what goes wrong."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.batches = seconds, []
        self.running = self.most = 0  # batches at the same time
        self.open = threading.Event()
        self.open.set()

    def scan_many(self, messages: Sequence[Message], explain: bool = False) -> Iterator[Verdict]:
        if messages:
            self.batches.append([message.text for message in messages])
        self.running += 1
        self.most = max(self.most, self.running)
        self.open.wait(10)
        time.sleep(self.seconds * len(messages))
        self.running -= 1
        for message in messages:
            if message.text == "bad":
                raise ValueError(f"cannot judge {message.text} secret")
            yield Verdict(0.5, message.text, "review", {}, (), (), (), (), (), False, None, "m", "p", 1)


def loaded(scanner: object, digest: str = "0") -> SimpleNamespace:
    return SimpleNamespace(scanner=scanner, model_digest=digest, policy_digest="0", window_tokens=256)


def run(scanner: object, use: Callable[[Engine, SimpleNamespace], Coroutine[Any, Any, T]], **given: object) -> T:
    """What `use` returns of an engine around a scanner."""
    models = SimpleNamespace(current=loaded(scanner))

    async def inside() -> T:
        engine = Engine(models, Settings(**given), Metrics())  # type: ignore[arg-type]
        await engine.start()
        try:
            return await use(engine, models)
        finally:
            if isinstance(scanner, Slow):
                scanner.open.set()
            await engine.stop()

    return asyncio.run(inside())


def labels(answers: Sequence[Answer | Problem]) -> list[str]:
    return [each.label if isinstance(each, Answer) else each.kind for each in answers]


def test_a_verdict_is_the_same_alone_in_a_batch_and_under_load(scanner: Scanner) -> None:
    texts = [f"{LURE} {number}" for number in range(30)] + ["", "สวัสดีครับ", "โอน\ud83dด่วน"]
    expected = {text: answer_of(scanner.scan(text), "", None).body for text in texts}  # type: ignore[arg-type]

    async def use(engine: Engine, _: object) -> list[list[Answer | Problem]]:
        alone = [engine.judge([Item(text)]) for text in texts]
        together = [engine.judge([Item(text) for text in texts]) for _ in range(3)]
        return await asyncio.gather(*alone, *together)

    found = run(scanner, use, cache_bytes=0)
    for text, [answer] in zip(texts, found, strict=False):
        assert isinstance(answer, Answer)
        assert answer.body == expected[text]
    for answers in found[len(texts) :]:
        assert [each.body for each in answers if isinstance(each, Answer)] == [expected[text] for text in texts]


def test_the_words_of_an_explained_message_are_told(scanner: Scanner) -> None:
    async def use(engine: Engine, _: object) -> list[list[Answer | Problem]]:
        return await asyncio.gather(engine.judge([Item(LURE)], True), engine.judge([Item(LURE)]))

    [explained], [plain] = run(scanner, use)
    assert isinstance(explained, Answer)
    assert isinstance(plain, Answer)
    assert json.loads(explained.body) == json.loads(json.dumps(scanner.scan(LURE, True).to_dict()))
    assert "words" not in json.loads(plain.body)


def test_messages_of_many_callers_are_judged_together() -> None:
    scanner = Slow(0.002)

    async def use(engine: Engine, _: object) -> list[list[Answer | Problem]]:
        return await asyncio.gather(*(engine.judge([Item(str(number))]) for number in range(50)))

    found = run(scanner, use)
    assert [label for each in found for label in labels(each)] == [str(number) for number in range(50)]
    assert sum(map(len, scanner.batches)) == 50
    assert len(scanner.batches) < 25


def test_a_batch_holds_no_more_than_its_tokens() -> None:
    scanner = Slow()

    async def use(engine: Engine, _: object) -> None:
        await engine.judge([Item(f"{number:04}" + "x" * 293) for number in range(40)])
        await engine.judge([Item("short"), Item("x" * 3_000), Item("also short")])

    run(scanner, use, batch_tokens=500)
    assert max(map(len, scanner.batches[:-3])) == 5
    assert [len(batch) for batch in scanner.batches[-3:]] == [1, 1, 1]


def test_a_huge_message_leaves_room_for_all_others() -> None:
    scanner = Slow(0.05)

    async def use(engine: Engine, _: object) -> float:
        huge = [asyncio.create_task(engine.judge([Item(f"{number}" + "x" * 9_000)])) for number in range(4)]
        await asyncio.sleep(0.01)
        began = time.perf_counter()
        await engine.judge([Item("small")])
        seconds = time.perf_counter() - began
        assert not huge[1].done()
        await asyncio.gather(*huge)
        return seconds

    assert run(scanner, use) < 0.5
    assert all(len(batch) == 1 for batch in scanner.batches)


def test_a_large_request_is_judged_however_many_small_ones_come() -> None:
    scanner = Slow(0.001)

    async def use(engine: Engine, _: object) -> tuple[int, int]:
        done = 0
        ended = asyncio.Event()

        async def caller(number: int) -> None:
            nonlocal done
            turn = 0
            while not ended.is_set():
                await engine.judge([Item(f"{number} {turn}")])
                done, turn = done + 1, turn + 1

        callers = [asyncio.create_task(caller(number)) for number in range(200)]
        await asyncio.sleep(0.1)
        before = done
        await engine.judge([Item(f"of many {number}") for number in range(300)], deadline=10)
        meanwhile = done - before
        ended.set()
        await asyncio.gather(*callers)
        return meanwhile, done

    meanwhile, _ = run(scanner, use)
    assert 150 < meanwhile < 900  # both had their share


def test_messages_of_some_length_use_both_places() -> None:
    scanner = Slow(0.02)

    async def use(engine: Engine, _: object) -> None:
        await asyncio.gather(*(engine.judge([Item(f"{number:03}" + "x" * 900)]) for number in range(10)))

    run(scanner, use)
    assert scanner.most == RUNNING


def test_large_requests_do_not_close_the_queue_to_small_ones() -> None:
    scanner = Slow()

    async def use(engine: Engine, _: object) -> list[Answer | Problem]:
        busy = await occupy(engine, scanner)
        large = [asyncio.create_task(engine.judge([Item(f"{number}" * 6_000) for number in range(3)]))]
        await asyncio.sleep(0.02)
        with pytest.raises(Problem, match="too many"):
            await engine.judge([Item("another " * 1_000)])
        small = asyncio.create_task(engine.judge([Item("small")]))
        await asyncio.sleep(0.02)
        scanner.open.set()
        await asyncio.gather(*busy, *large)
        return await small

    assert labels(run(scanner, use, queue_tokens=2_000)) == ["small"]


def test_who_asks_for_one_message_of_a_batch_does_not_wait_for_the_batch() -> None:
    scanner = Slow(0.002)

    async def use(engine: Engine, _: object) -> None:
        large = asyncio.create_task(engine.judge([Item(f"{number} {'x' * 150}") for number in range(200)]))
        await asyncio.sleep(0.05)
        await engine.judge([Item(f"199 {'x' * 150}")])
        assert not large.done()
        assert labels(await large) == [f"{number} {'x' * 150}" for number in range(200)]

    run(scanner, use)
    assert sum(map(len, scanner.batches)) == 200


def test_a_request_is_answered_by_one_model_and_a_later_one_by_the_next() -> None:
    old, new = Slow(0.002), Slow()

    async def use(engine: Engine, models: SimpleNamespace) -> None:
        earlier = asyncio.create_task(engine.judge([Item(f"{number} {'x' * 150}") for number in range(100)]))
        await asyncio.sleep(0.05)
        models.current = loaded(new, "1")
        later = await engine.judge([Item(f"{number} {'x' * 150}") for number in range(100)])
        for answers, digest in ((await earlier, "0"), (later, "1")):
            assert {each.loaded.model_digest for each in answers if isinstance(each, Answer)} == {digest}

    run(old, use, cache_bytes=64_000_000)
    assert sum(map(len, old.batches)) == sum(map(len, new.batches)) == 100


def test_callers_who_leave_a_long_queue_hold_nobody_up() -> None:
    scanner = Slow()

    async def use(engine: Engine, _: object) -> float:
        busy = await occupy(engine, scanner)
        leaving = [
            asyncio.create_task(engine.judge([Item(f"{number} {place}") for place in range(200)]))
            for number in range(70)
        ]
        await asyncio.sleep(0.5)
        slowest = 0.0
        for task in reversed(leaving):
            began = time.perf_counter()
            task.cancel()
            await asyncio.sleep(0)
            slowest = max(slowest, time.perf_counter() - began)
        scanner.open.set()
        await asyncio.gather(*busy, *leaving, return_exceptions=True)
        assert labels(await engine.judge([Item("next")])) == ["next"]
        return slowest

    assert run(scanner, use, queue_tokens=100_000) < 0.2
    assert sum(map(len, scanner.batches)) == RUNNING + 1


def test_an_explained_message_counts_for_what_it_costs() -> None:
    assert tokens_of("x" * 299, False, 256) == 100
    assert tokens_of("x" * 299, True, 256) == 1_000
    assert tokens_of("x" * 2_999, True, 256) == 1_000 + 9 * 256


def test_equal_messages_are_judged_once_and_remembered() -> None:
    scanner = Slow(0.01)

    async def use(engine: Engine, _: object) -> list[Answer | Problem]:
        await asyncio.gather(*(engine.judge([Item("a"), Item("a"), Item("b")]) for _ in range(10)))
        again = await engine.judge([Item("b"), Item("a", channel="sms")])
        engine.forget(again[0].text_digest)  # type: ignore[union-attr]
        return [*again, *await engine.judge([Item("b")])]

    found = run(scanner, use)
    assert [each.cached for each in found if isinstance(each, Answer)] == [True, False, False]
    judged = sorted(text for batch in scanner.batches for text in batch)
    assert judged == ["a", "a", "b", "b"]  # once more for the channel, which policies may name, and once as forgotten


def test_nothing_is_remembered_where_there_is_no_room() -> None:
    scanner = Slow()

    async def use(engine: Engine, _: object) -> None:
        await engine.judge([Item("a")])
        await engine.judge([Item("a")])

    run(scanner, use, cache_bytes=0)
    assert scanner.batches == [["a"], ["a"]]


def test_an_exchanged_model_is_never_answered_for_by_the_old_one() -> None:
    old, new = Slow(0.01), Slow()

    async def use(engine: Engine, models: SimpleNamespace) -> list[object]:
        [first] = await engine.judge([Item("a")])
        models.current = loaded(new, "1")
        [second] = await engine.judge([Item("a")])
        return [first.loaded.model_digest, second.loaded.model_digest, second.cached]  # type: ignore[union-attr]

    assert run(old, use) == ["0", "1", False]
    assert new.batches == [["a"]]


def test_a_message_that_fails_fails_alone_and_is_not_quoted(caplog: pytest.LogCaptureFixture) -> None:
    async def use(engine: Engine, _: object) -> list[list[Answer | Problem]]:
        return await asyncio.gather(engine.judge([Item("good"), Item("bad")]), engine.judge([Item("fine")]))

    [[good, bad], [fine]] = run(Slow(), use)
    assert labels([good, fine]) == ["good", "fine"]
    assert isinstance(bad, Problem)
    assert bad.kind == "internal"
    assert "secret" not in caplog.text + bad.detail + str([record.__dict__ for record in caplog.records])


async def occupy(engine: Engine, scanner: Slow) -> list["asyncio.Task[Any]"]:
    """Messages that keep the engine busy until the scanner is opened."""
    scanner.open.clear()
    busy = []
    for number in range(RUNNING):
        busy.append(asyncio.create_task(engine.judge([Item(f"busy {number}")])))
        while len(scanner.batches) <= number:
            await asyncio.sleep(0.005)
    return busy


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back() -> None:
    scanner = Slow()

    async def use(engine: Engine, _: object) -> tuple[Problem, float]:
        busy = await occupy(engine, scanner)
        for number in range(20):
            busy.append(asyncio.create_task(engine.judge([Item(f"{number:02}" + "x" * 295)])))
        await asyncio.sleep(0.02)
        began = time.perf_counter()
        with pytest.raises(Problem) as problem:
            await engine.judge([Item("one more")])
        seconds = time.perf_counter() - began
        scanner.open.set()
        assert len(await asyncio.gather(*busy)) == 20 + RUNNING
        assert labels(await engine.judge([Item("one more")])) == ["one more"]
        return problem.value, seconds

    problem, seconds = run(scanner, use, queue_tokens=2_000)
    assert problem.kind == "queue-full"
    assert problem.retry_after
    assert seconds < 2  # and not when the others were judged


def test_a_batch_of_one_caller_does_not_make_the_others_wait() -> None:
    scanner = Slow(0.002)

    async def use(engine: Engine, _: object) -> None:
        large = asyncio.create_task(engine.judge([Item(f"{number} {'x' * 150}") for number in range(200)]))
        await asyncio.sleep(0.05)
        await engine.judge([Item("small")])
        assert not large.done()
        await large

    run(scanner, use)


def test_a_verdict_that_comes_too_late_is_a_problem_and_frees_its_place() -> None:
    scanner = Slow()

    async def use(engine: Engine, _: object) -> Problem:
        busy = await occupy(engine, scanner)
        with pytest.raises(Problem) as problem:
            await engine.judge([Item("late")], deadline=0.05)
        scanner.open.set()
        await asyncio.gather(*busy)
        return problem.value

    problem = run(scanner, use)
    assert problem.kind == "deadline"
    assert "0.05 seconds" in problem.detail
    assert "late" not in [text for batch in scanner.batches for text in batch]


def test_a_caller_who_leaves_takes_only_his_own_messages_away() -> None:
    scanner = Slow()

    async def use(engine: Engine, _: object) -> list[Answer | Problem]:
        busy = await occupy(engine, scanner)
        leaving = asyncio.create_task(engine.judge([Item("his"), Item("ours")]))
        staying = asyncio.create_task(engine.judge([Item("ours")]))
        await asyncio.sleep(0.02)
        leaving.cancel()
        await asyncio.sleep(0.02)
        scanner.open.set()
        await asyncio.gather(*busy)
        return await staying

    assert labels(run(scanner, use)) == ["ours"]
    judged = [text for batch in scanner.batches for text in batch]
    assert "his" not in judged
    assert judged.count("ours") == 1


def test_what_was_accepted_is_judged_before_it_ends() -> None:
    scanner = Slow(0.005)

    async def use(engine: Engine, _: object) -> list[list[Answer | Problem]]:
        accepted = [asyncio.create_task(engine.judge([Item(str(number))])) for number in range(60)]
        await asyncio.sleep(0.01)
        stopping = asyncio.create_task(engine.stop())
        await asyncio.sleep(0.01)
        with pytest.raises(Problem) as problem:
            await engine.judge([Item("late")])
        assert problem.value.kind == "not-ready"
        await stopping
        return await asyncio.gather(*accepted)

    assert [label for each in run(scanner, use) for label in labels(each)] == [str(number) for number in range(60)]


def test_the_event_loop_stays_free_while_messages_are_judged(scanner: Scanner) -> None:
    async def use(engine: Engine, _: object) -> float:
        working = [asyncio.create_task(engine.judge([Item(f"{LURE} {number}")])) for number in range(64)]
        slowest = 0.0
        while not all(task.done() for task in working):
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            slowest = max(slowest, time.perf_counter() - began)
        return slowest

    assert run(scanner, use) < 2
