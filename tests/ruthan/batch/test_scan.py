from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import pytest

from ruthan.batch import scan
from ruthan.batch.memory import open_memory
from ruthan.batch.scan import RowScanner, pseudonym
from ruthan.message import Message, Source
from ruthan.model.classifier import Prediction
from ruthan.scanner import Scanner

TEXTS = [
    "คุณได้รับอนุมัติวงเงินกู้ 80,000 บาท โอนค่าค้ำประกันก่อน แอดไลน์ @easy-loan00",
    "ประชุมพรุ่งนี้เก้าโมงที่ห้องเดิมนะครับ",
    "",
    "พัสดุของท่านเสียหาย แอดไลน์ @parcel-help00",
    " \u200b ",
]


class CountingMemory:
    """Remembers everything, and how many texts the model was asked about."""

    def __init__(self) -> None:
        self.known: dict[str, Prediction] = {}
        self.learned = 0

    def recall(self, texts: Iterable[str]) -> dict[str, Prediction]:
        return {text: self.known[text] for text in texts if text in self.known}

    def keep(self, predictions: Mapping[str, Prediction]) -> None:
        self.learned += len(predictions)
        self.known |= predictions


def test_every_message_has_its_row_in_order_as_if_it_were_alone(scanner: Scanner) -> None:
    messages = [Message(text, source=Source("a.csv", line)) for line, text in enumerate(TEXTS * 3, 1)]
    scanned = list(RowScanner(scanner, CountingMemory()).scan(messages))
    assert [each.message for each in scanned] == messages
    for each in scanned:
        alone = scanner.scan(each.message).to_dict()
        assert {name: each.row[name] for name in alone} == alone
        assert each.row["source"] == {"file": "a.csv", "line": each.message.source.line}  # type: ignore[union-attr]


def test_equal_texts_are_read_once_and_so_are_texts_that_differ_in_disguise_only(scanner: Scanner) -> None:
    memory = CountingMemory()
    texts = ["แจ้งเตือนบัญชีของท่าน", "เเจ้งเตือนบัญชีของท่าน", "แจ้งเตือน\u200bบัญชีของท่าน", "แจ้งเตือนบัญชีของท่าน "]
    rows = [each.row for each in RowScanner(scanner, memory).scan(map(Message, texts * 5))]
    assert memory.learned == 1
    assert len({row["risk"] for row in rows}) == 1
    assert len({row["message"]["id"] for row in rows}) == 4


def test_a_text_that_has_left_the_rows_at_hand_is_not_read_again(
    scanner: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "REMEMBERED", 1)
    monkeypatch.setattr(scan, "CHUNK", 2)
    memory = CountingMemory()
    first = [each.row for each in RowScanner(scanner, memory).scan(map(Message, TEXTS * 4))]
    assert memory.learned == 3  # two of the five hold nothing to read
    assert first[: len(TEXTS)] == first[-len(TEXTS) :]


def test_it_holds_no_more_than_a_few_messages_of_an_endless_dump(scanner: Scanner) -> None:
    taken = 0

    def endless() -> Iterator[Message]:
        nonlocal taken
        while True:
            taken += 1
            yield Message("สวัสดีครับ")

    list(islice(RowScanner(scanner, CountingMemory()).scan(endless()), 1_000))
    assert taken <= 1_000 + 2 * scan.CHUNK


def test_without_text_neither_text_nor_thread_nor_the_senders_name_is_in_a_row(scanner: Scanner) -> None:
    message = Message("สวัสดีตอนเช้าทุกคน", "chat", "ลุงเดช", "2026-10-02T08:54:00+07:00", "ญาติโกโหติกา")
    [scanned] = RowScanner(scanner, CountingMemory()).scan([message])
    told = scanned.row["message"]
    assert told.keys() == {"id", "template", "channel", "sender", "sent_at"}
    assert told["sender"] == pseudonym("ลุงเดช") != "ลุงเดช"
    assert "ญาติโกโหติกา" not in repr(scanned.row)
    assert message.text not in repr(scanned.row)


def test_with_text_they_are(scanner: Scanner) -> None:
    message = Message("สวัสดี", "chat", "ลุงเดช", None, "ญาติโกโหติกา")
    [scanned] = RowScanner(scanner, CountingMemory(), with_text=True).scan([message])
    told = scanned.row["message"]
    assert (told["text"], told["sender"], told["thread"]) == ("สวัสดี", "ลุงเดช", "ญาติโกโหติกา")


def test_masking_hides_what_the_row_tells_of_people() -> None:
    message = Message("โทร 081-000-5678 คุณสมชาย ใจดี", "chat", "ลุงเดช", None, "ญาติ 0810005678")
    [scanned] = RowScanner(Scanner(mask=True), CountingMemory(), with_text=True).scan([message])
    assert "000-5678" not in repr(scanned.row)
    assert "สมชาย" not in repr(scanned.row)
    assert "ลุงเดช" not in repr(scanned.row)
    assert "thread" not in scanned.row["message"]


def test_copies_that_differ_in_numbers_and_links_share_their_template(scanner: Scanner) -> None:
    texts = [f"พัสดุของท่านตกค้าง {number} ชิ้น จ่ายที่ https://a{number}.example.com/x" for number in (1, 2, 35)]
    rows = [each.row["message"] for each in RowScanner(scanner, CountingMemory()).scan(map(Message, texts))]
    assert len({row["template"] for row in rows}) == 1
    assert len({row["id"] for row in rows}) == 3


def test_half_characters_go_through(scanner: Scanner) -> None:
    message = Message("โอน\ud83dด่วน", "chat", "น้อง\ud83d", None, None, Source("a\udcff.txt", 1))
    [scanned] = RowScanner(scanner, CountingMemory()).scan([message])
    assert scanned.row["source"]["file"] == "a\udcff.txt"


def test_a_channel_with_thresholds_of_its_own_gets_its_own_action(tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text("name: p\nreview: 0.5\nblock: 0.9\nchannels:\n  sms: {review: 0.0, block: 0.0}\n", "utf-8")
    strict = Scanner(policy=policy)
    messages = [Message("ประชุมเก้าโมง", channel) for channel in ("chat", "sms", "SMS ", "post")]
    with open_memory(None, strict.classifier.info) as memory:
        actions = [each.row["action"] for each in RowScanner(strict, memory).scan(messages)]
    assert actions == ["allow", "block", "block", "allow"]


def test_long_messages_make_small_chunks_and_are_not_kept(scanner: Scanner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "CHUNK_CHARACTERS", 1_000)
    monkeypatch.setattr(scan, "REMEMBERED_CHARACTERS", 500)
    taken = 0

    def long() -> Iterator[Message]:
        nonlocal taken
        for _ in range(9):
            taken += 1
            yield Message("สวัสดีครับ " * 60)

    next(RowScanner(scanner, CountingMemory()).scan(long()))
    assert taken == 2
    rows = RowScanner(scanner, CountingMemory())
    assert len(list(rows.scan(long()))) == 9
    assert not rows._known
