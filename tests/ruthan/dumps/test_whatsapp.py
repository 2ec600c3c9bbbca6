"""WhatsApp's exports of iPhone and Android, and copies out of WhatsApp Web."""

import io
import random
from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from ruthan.dumps.encoding import UNDECODABLE
from ruthan.dumps.rows import NOT_IN_ENCODING, TOO_LONG, Notice, Row, Unreadable
from ruthan.dumps.whatsapp import looks_like_whatsapp, read_whatsapp
from ruthan.message import Message

MARK = "\u200e"
IPHONE = f"""[28/11/2568 08:54:10] ป้าหน่อย: {MARK}ข้อความและการโทรได้รับการเข้ารหัสจากต้นทางถึงปลายทาง ไม่มีใครอ่านได้
[28/11/2568 08:55:02] ป้าหน่อย: เมื่อเช้ามีคนโทรมาบอกว่าเป็นตำรวจ
ให้แอดไลน์ไปคุย
{MARK}[28/11/2568 08:56:40] น้องมิ้นท์: {MARK}<แนบ: 00000042-PHOTO-2025-11-28-08-56-40.jpg>
[28/11/2568 08:57:11] น้องมิ้นท์: อย่าแอดนะคะ
"""
ANDROID = """28/11/2568 08:54 - ข้อความและการโทรได้รับการเข้ารหัสจากต้นทางถึงปลายทาง ไม่มีใครอ่านได้
28/11/2568 08:55 - ป้าหน่อย: มีข้อความแปลก ๆ เข้ามา

กดได้ไหม
28/11/2568 08:56 - +66 00 012 3456: <Media omitted>
28/11/2568 08:57 - Korn: IMG-20251128-WA0001.jpg (file attached)
ดูรูปนี้
"""


def rows(text: str, file: str = "WhatsApp Chat with Korn.txt") -> list[Row]:
    return list(read_whatsapp(io.StringIO(text, newline=""), file))


def only(text: str) -> Row:
    (row,) = rows(text)
    return row


def messages(text: str) -> list[Message]:
    return [row for row in rows(text) if isinstance(row, Message)]


@pytest.mark.parametrize(
    ("text", "entries", "written"),
    [
        (IPHONE, 4, 2),
        (ANDROID, 4, 2),
        (IPHONE.replace("\n", "\r\n"), 4, 2),
        ("\ufeff" + ANDROID, 4, 2),
        (IPHONE.replace("28/11/2568", "2025-11-28"), 4, 2),
        (IPHONE.replace("28/11/2568 ", "28.11.25, "), 4, 2),
        (IPHONE.replace("28/11/2568", "๒๘/๑๑/๒๕๖๘"), 4, 2),
        (ANDROID.replace("28/11/2568 ", "11/28/25, "), 4, 2),
        (ANDROID.replace("28/11/2568", "28/11/2568 BE"), 4, 2),
        (ANDROID.replace("28/11/2568", "28/11/68"), 4, 2),
        ("", 0, 0),
        ("\n\n \n", 0, 0),
    ],
)
def test_every_entry_is_one_row(text, entries, written):
    assert len(rows(text)) == entries
    assert len(messages(text)) == written
    assert {message.sent_at[:10] for message in messages(text)} <= {"2025-11-28"}


def test_an_iphone_export():
    first, second = messages(IPHONE)
    assert first.text == "เมื่อเช้ามีคนโทรมาบอกว่าเป็นตำรวจ\nให้แอดไลน์ไปคุย"
    assert (first.channel, first.sender, first.thread) == ("chat", "ป้าหน่อย", "Korn")
    assert first.sent_at == "2025-11-28T08:55:02+07:00"
    assert (first.source.file, first.source.line) == ("WhatsApp Chat with Korn.txt", 2)
    assert second.source.line == 5
    assert [row.what for row in rows(IPHONE) if isinstance(row, Notice)] == ["system", "photo"]


def test_an_android_export_keeps_the_caption_below_an_attachment():
    first, second = messages(ANDROID)
    assert first.text == "มีข้อความแปลก ๆ เข้ามา\n\nกดได้ไหม"
    assert (second.text, second.sender) == ("ดูรูปนี้", "Korn")
    assert [row.what for row in rows(ANDROID) if isinstance(row, Notice)] == ["system", "media"]


@pytest.mark.parametrize(
    ("head", "sent_at"),
    [
        ("[28/11/2568 08:54:10] ", "2025-11-28T08:54:10+07:00"),
        ("[28/11/2568, 8:54:10 หลังเที่ยง] ", "2025-11-28T20:54:10+07:00"),
        ("[11/28/25, 8:54:10\u202fPM] ", "2025-11-28T20:54:10+07:00"),
        ("[2025/11/28, 下午8:54:10] ", "2025-11-28T20:54:10+07:00"),
        ("28/11/2568 08:54 - ", "2025-11-28T08:54:00+07:00"),
        ("28/11/25, 8:54 p.m. - ", "2025-11-28T20:54:00+07:00"),
        ("28.11.25, 08.54 - ", "2025-11-28T08:54:00+07:00"),
        ("28-11-2568 08:54 น. - ", "2025-11-28T08:54:00+07:00"),
        ("28/11/2568 พ.ศ. 08:54 - ", "2025-11-28T08:54:00+07:00"),
        ("08:54, 28/11/2568 - ", "2025-11-28T08:54:00+07:00"),
        ("[08:55, 28/11/2568] ", "2025-11-28T08:55:00+07:00"),
        ("[8:55 PM, 11/28/2025] ", "2025-11-28T20:55:00+07:00"),
    ],
)
def test_the_heads_of_many_regions(head, sent_at):
    row = only(f"{head}Korn: โอนแล้ว: 500 บาท")
    assert isinstance(row, Message)
    assert (row.sender, row.text, row.sent_at) == ("Korn", "โอนแล้ว: 500 บาท", sent_at)


def test_one_date_settles_day_and_month_for_all():
    text = "11/2/25, 8:00 AM - A: ก\n11/28/25, 8:00 AM - A: ข\n"
    assert [message.sent_at[:10] for message in messages(text)] == ["2025-11-02", "2025-11-28"]


def test_a_contradiction_beyond_the_first_stretch_switches_the_order():
    lines = ["11/2/2025 08:00 - A: ก"] * 5_001 + ["11/28/2025 08:00 - A: ข", "12/2/2025 08:00 - A: ค"]
    days = [message.sent_at[:10] for message in messages("\n".join(lines))]
    assert (days[0], days[-2], days[-1]) == ("2025-02-11", "2025-11-28", "2025-12-02")


def busy_days(head: str, first: date, days: int) -> tuple[list[str], list[str]]:
    """A chat of 3,000 lines a day: the day of each message as read, and as written."""
    written = [first + timedelta(number) for number in range(days) for _ in range(3_000)]
    text = "".join(f"{head.format(day=day, year=day.year % 100)}Korn: ก\n" for day in written)
    return [message.sent_at[:10] for message in messages(text)], [day.isoformat() for day in written]


@pytest.mark.parametrize(
    "head",
    [
        "[{day.month}/{day.day}/{year}, 1:00:00 AM] ",
        "[{day.month}/{day.day}/{day.year} 13:00:00] ",
        "{day.month:02}/{day.day:02}/{year}, 13:00 - ",
        "[{day.day}/{day.month}/{year}, 1:00:00 AM] ",
        "[{day.day:02}/{day.month:02}/{day.year} 13:00:00] ",
        "{day.day}.{day.month}.{year}, 13:00 - ",
    ],
)
def test_the_days_of_a_first_stretch_lie_close_together(head):
    read, written = busy_days(head, date(2026, 1, 5), 4)
    assert read == written


def test_days_up_to_the_twelfth_are_read_as_those_after_it():
    read, written = busy_days("[{day.month}/{day.day}/{year}, 1:00:00 AM] ", date(2026, 1, 5), 10)
    assert read == written


@pytest.mark.parametrize(
    ("head", "day"),
    [
        ("[1/5/26, 1:00:00 AM] ", "2026-01-05"),
        ("[1/5/26, 1:00:00\u202fPM] ", "2026-01-05"),
        ("1/5/26, 1:00\u202fPM - ", "2026-01-05"),
        ("05/01/26, 1:00 PM - ", "2026-01-05"),
        ("5/1/26, 1:00 pm - ", "2026-01-05"),
        ("5/1/26, 13:00 - ", "2026-01-05"),
        ("5/1/2026, 1:00 PM - ", "2026-01-05"),
        ("5.1.26, 1:00 PM - ", "2026-01-05"),
        ("[5/1/2569 1:00:00 หลังเที่ยง] ", "2026-01-05"),
    ],
)
def test_on_a_single_day_the_form_says_whether_the_month_comes_first(head, day):
    assert [message.sent_at[:10] for message in messages(f"{head}Korn: ก\n{head}A: ข\n")] == [day, day]


def test_a_forwarded_chat_in_a_message_does_not_turn_the_dates():
    text = "1/5/26, 1:00 PM - Korn: ดู\n01/09/2026 13:00 - A: ข\n1/5/26, 1:01 PM - Korn: ค\n"
    assert messages(text)[-1].sent_at[:10] == "2026-01-05"


@pytest.mark.parametrize(
    ("written", "sender"),
    [
        ("\u202a+66\u00a000\u00a0012\u00a03456\u202c", "+66 00 012 3456"),
        ("~\u202fKorn", "~Korn"),
        ("~ Korn", "~Korn"),
        ("~Korn", "~Korn"),
        ("ป้าหน่อย 🌸", "ป้าหน่อย 🌸"),
        ("A:B", "A:B"),
    ],
)
def test_a_sender_comes_without_invisible_marks(written, sender):
    assert only(f"28/11/2568 08:55 - {written}: สวัสดี").sender == sender


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("<Media omitted>", "media"),
        ("<ไม่รวมสื่อ>", "media"),
        (f"{MARK}image omitted", "photo"),
        (f"{MARK}video omitted", "video"),
        (f"{MARK}audio omitted", "voice"),
        (f"{MARK}sticker omitted", "sticker"),
        (f"{MARK}Contact card omitted", "contact"),
        (f"ใบเสนอราคา.pdf • {MARK}2 pages {MARK}document omitted", "file"),
        (f"name.pdf • {MARK}2 pages {MARK}<attached: 00000001-name.pdf>", "file"),
        (f"{MARK}<attached: 00000003-AUDIO.opus>", "voice"),
        ("STK-20251128-WA0002.webp (file attached)", "sticker"),
        ("VID-20251128-WA0002.mp4 (ไฟล์ที่แนบ)", "video"),
        ("location: https://maps.google.com/?q=13.7,100.5", "place"),
        (f"{MARK}ตำแหน่งที่ตั้ง: https://maps.google.com/?q=13.7,100.5", "place"),
        ("This message was deleted", "unsent"),
        (f"{MARK}You deleted this message.", "unsent"),
        (f"{MARK}Missed voice call, tap to call back", "call"),
        (f"{MARK}สติกเกอร์ถูกละเว้น", "system"),
        ("", "empty"),
    ],
)
def test_an_entry_without_words_is_a_notice(text, what):
    for head in ("28/11/2568 08:55 - ", "[28/11/2568 08:55:00] "):
        assert only(f"{head}Korn: {text}") == Notice(only(f"{head}Korn: {text}").source, what)


@pytest.mark.parametrize(
    "text",
    [
        "รูป",
        "ดู <Media omitted> นี่สิ",
        f"{MARK}แอดไลน์ https://example.com/a",
        f"{MARK}โทร 081-000-5678",
        "<กด https://example.com/a>",
        "https://example.com/a.jpg (file attached)",
        "รับงาน.apk (file attached)",
        "<attached: https://example.com/a>",
        "POLL:\nไปไหม\nOPTION: ไป (1 vote)",
        "ตำแหน่งที่ตั้ง: https://maps.google.com/?q=13.7,100.5 มารับเงินที่นี่",
        "This message was deleted ได้ยังไง",
    ],
)
def test_words_of_a_sender_are_never_taken_for_a_notice(text):
    row = only(f"[28/11/2568 08:55:00] Korn: {text}")
    assert isinstance(row, Message)
    assert row.text == text.removeprefix(MARK)


def test_a_caption_before_an_attachment_is_kept():
    for tail in ("image omitted", "<attached: 00000042-PHOTO.jpg>"):
        row = only(f"[28/11/2568 08:55:00] Korn: ดูที่ example.com {MARK}{tail}")
        assert row.text == "ดูที่ example.com"


@pytest.mark.parametrize("suffix", ["<This message was edited>", "<ข้อความนี้ถูกแก้ไขแล้ว>"])
def test_the_mark_of_an_edited_message_is_no_part_of_it(suffix):
    assert only(f"[28/11/2568 08:55:00] Korn: โอนมาก่อน {MARK}{suffix}").text == "โอนมาก่อน"


@pytest.mark.parametrize(
    "text",
    [
        "Korn created group “ขายของ: มือสอง”",
        'Korn changed the subject from "ก" to "ข: ค"',
        "Korn added +66 00 012 3456",
        "Korn left",
        "Your security code with Korn changed. Tap to learn more.",
        'คุณสร้างกลุ่ม "ขายของ: มือสอง"',
    ],
)
def test_a_note_of_whatsapp_has_no_sender_and_is_a_notice(text):
    assert only(f"28/11/2568 08:55 - {text}") == Notice(only(f"28/11/2568 08:55 - {text}").source, "system")


def test_a_text_without_sender_that_holds_a_link_is_scanned_all_the_same():
    row = only("28/11/2568 08:55 - กดรับเงินที่ https://example.com/a")
    assert isinstance(row, Message)
    assert row.sender is None


def test_times_in_the_lines_of_a_message_begin_no_entry():
    text = (
        "28/11/2568 08:55 - Korn: นัด\n10:15 ประชุม\n[08:55, 28/11/2568] เดช: ที่เขาส่งมา\n"
        "28/11/2568 ไปหาหมอ\n45/45/2568 08:55 - A: b\n28/11/2568 08:56 - Korn: จบ"
    )
    first, last = messages(text)
    assert first.text.count("\n") == 4
    assert last.text == "จบ"


def test_tabs_stay_in_the_text():
    assert only("28/11/2568 08:55 - Korn: ก\tข\n1\t2").text == "ก\tข\n1\t2"


def test_bytes_that_cannot_be_decoded_cost_one_message_only():
    text = (
        f"28/11/2568 08:55 - Korn: ก{UNDECODABLE}ข\n28/11/2568 08:56 - Korn: ค\n"
        f"28/1{UNDECODABLE}/2568 08:57 - Korn: ง\n28/11/2568 08:58 - K{UNDECODABLE}rn: จ\n"
        f"28/11/2568 08:59 - Korn: ฉ\n{UNDECODABLE}\n28/11/2568 09:00 - Korn: ช\n"
    )
    found = rows(text)
    assert [isinstance(row, Message) for row in found] == [False, True, False, False, False, True]
    assert {row.reason for row in found if isinstance(row, Unreadable)} == {NOT_IN_ENCODING}
    assert [row.source.line for row in found] == [1, 2, 3, 4, 5, 7]


def test_a_message_of_100_000_lines_is_one_message():
    text = "28/11/2568 08:55 - Korn: ก\n" + "สวัสดี\n" * 100_000 + "28/11/2568 08:56 - Korn: ข\n"
    long, last = messages(text)
    assert long.text.count("\n") == 100_000
    assert last.text == "ข"


class EndlessLines(io.TextIOBase):
    """Lines of continuation without end in memory: what a reader may not collect."""

    def __init__(self, first: str, last: str) -> None:
        self._lines: Iterator[str] = iter([first])
        self._last = last
        self._left = 4_200

    def readline(self, size: int | None = -1) -> str:
        for line in self._lines:
            return line
        self._left -= 1
        if self._left > 0:
            return "ก" * 999 + "\n"
        self._last, line = "", self._last
        return line


def test_a_message_longer_than_the_bound_is_unreadable_and_the_next_is_read():
    stream = EndlessLines("28/11/2568 08:55 - Korn: ก\n", "28/11/2568 08:56 - Korn: ข\n")
    first, last = read_whatsapp(stream, "a.txt")
    assert (first.reason, first.source.line) == (TOO_LONG, 1)
    assert last.text == "ข"


def test_a_text_above_the_first_entry_is_kept_without_a_sender():
    first, second = messages("เขาส่งมาแบบนี้\n[08:55, 28/11/2568] Korn: แอดไลน์มา\n")
    assert (first.text, first.sender, first.sent_at) == ("เขาส่งมาแบบนี้", None, None)
    assert second.sender == "Korn"


def test_hostile_text_in_a_message_is_kept(hostile):
    body = hostile.replace("\r", " ").replace("\n", " ")
    found = rows(f"28/11/2568 08:55 - Korn: {body}\n28/11/2568 08:56 - Korn: จบ")
    assert len(found) == 2
    assert found[-1].text == "จบ"


def test_random_entries_are_each_one_row():
    chance = random.Random(7)
    pieces = ["ก", ": ", "\n", "\n\n", "10:15 ประชุม", "<", ">", " - ", "28/11/2568", " omitted", MARK, UNDECODABLE]
    for head in ("28/11/2568 08:{:02} - ", "[28/11/2568 08:{:02}:00] "):
        for _ in range(100):
            texts = ["".join(chance.choices(pieces, k=chance.randrange(8))) for _ in range(chance.randrange(1, 12))]
            file = "".join(f"{head.format(number)}Korn: {text}\n" for number, text in enumerate(texts))
            assert len(rows(file)) == len(texts)


def test_damaged_files_give_rows_and_no_traceback():
    chance = random.Random(8)
    for fixture in (IPHONE, ANDROID):
        for _ in range(150):
            text = list(fixture)
            for _ in range(chance.randrange(1, 12)):
                text[chance.randrange(len(text))] = chance.choice(
                    ["", "\n", "\r", "[", "]", "๙", ":", UNDECODABLE, "\x00"]
                )
            assert all(isinstance(row, Message | Notice | Unreadable) for row in rows("".join(text)))


def test_hostile_text_alone_is_at_most_one_row(hostile):
    assert len(rows(hostile)) <= 1


@pytest.mark.parametrize(
    ("file", "thread"),
    [
        ("dir/WhatsApp Chat with ป้าหน่อย.txt", "ป้าหน่อย"),
        ("แชท WhatsApp กับ ป้าหน่อย.txt", "ป้าหน่อย"),
        ("a/WhatsApp Chat - ป้าหน่อย.zip!_chat.txt", "ป้าหน่อย"),
        ("_chat.txt", None),
        ("-", None),
    ],
)
def test_the_thread_is_named_after_the_file(file, thread):
    (row,) = rows("28/11/2568 08:55 - Korn: ก", file)
    assert row.thread == thread


@pytest.mark.parametrize(
    "head",
    [
        IPHONE,
        ANDROID,
        IPHONE[:40] + "ป",
        "\ufeff" + ANDROID,
        MARK + IPHONE,
        "[08:55, 28/11/2568] ชื่อ: ข้อความ",
        "เขาส่งมา\n[08:55, 28/11/2568] ชื่อ: ข้อความ\n[08:56, 28/11/2568] ชื่อ: อีก",
        "11/28/25, 8:57\u202fAM - Korn: hi\n",
    ],
)
def test_a_chat_is_recognised(head):
    assert looks_like_whatsapp(head)


@pytest.mark.parametrize(
    "head",
    [
        "",
        "\n\n",
        "28/11/68 08:50 บช X-1234 เงินเข้า 500.00 คงเหลือ 1,250.75 บ.\n",
        "30-11-25@11:36 บช X12345X:เงินเข้า +450.00 บ. ใช้ได้ 612.15 บ.\n",
        "date,sender,text\n28/11/2568 08:54,Korn,สวัสดี\n",
        '"28/11/2568 08:54","Korn: hi","สวัสดี"\n',
        "2025-11-28 08:54:12 - INFO: started\n2025-11-28 08:54:13 - INFO: done\n",
        "28/11/2568 08:54 - 10:00 ประชุม\nสวัสดี\n",
        "[ด่วน] กดลิงก์\n[28/11/2568] แจ้งเตือน: ยอดค้าง\n",
        "[LINE] แชทกับ Korn\nบันทึกเมื่อ 04/10/2569 07:48\n\nศ. 02/10/2569\n08:54\tKorn\tสวัสดี\n",
        '{"text": "[08:55, 28/11/2568] A: b"}',
    ],
)
def test_other_text_is_not_taken_for_a_chat(head):
    assert not looks_like_whatsapp(head)


def test_recognising_stands_hostile_text(hostile):
    assert not looks_like_whatsapp(hostile[:4_000])
