"""LINE's chat exports, with tabs and with blanks."""

import io
import random

import pytest

from benchmarks.dump_entries import entries
from benchmarks.dump_formats import write_dump
from ruthan.dumps.encoding import UNDECODABLE
from ruthan.dumps.line_chat import looks_like_line_chat, read_line_chat
from ruthan.dumps.rows import NOT_IN_ENCODING, TOO_LONG, Notice, Row, Unreadable
from ruthan.message import Message

TABS = """[LINE] ประวัติการแชทในกลุ่ม "ญาติโกโหติกา"
บันทึกเมื่อ 04/10/2569 07:48

ศ. 02/10/2569
08:54\t\tป้าหน่อย เพิ่ม น้องมิ้นท์ เข้ากลุ่ม
08:55\tป้าหน่อย\tสวัสดีวันศุกร์จ้า
08:57\tน้องมิ้นท์\t[สติกเกอร์]
09:02\tลุงเดช\t"ใครได้ข้อความนี้บ้าง
พัสดุตกค้าง ให้กดลิงก์จ่าย 15 บาท
บอกว่า ""ไปรษณีย์"" ส่งมา"
09:03\tน้องมิ้นท์\t[รูป]

ส. 03/10/2569
10:00\tลุงเดช\tตำรวจบอกว่าอย่ากดนะ
"""
BLANKS = """2026.10.02 วันศุกร์
08:35 แม่ค้า ส้มโอ หวาน สวัสดีค่ะ สนใจกี่กิโลคะ
08:36 Korn รูป
08:37 Korn โอนแล้วนะครับ
เช็กยอดด้วย
08:40 ยกเลิกข้อความแล้ว
08:41 แม่ค้า ส้มโอ หวาน ไม่ได้รับสาย
"""
DAY = "2026/10/02(Fri)\n"


def rows(text: str, file: str = "[LINE]กลุ่มบ้าน.txt") -> list[Row]:
    return list(read_line_chat(io.StringIO(text, newline=""), file))


def messages(text: str) -> list[Message]:
    return [row for row in rows(text) if isinstance(row, Message)]


def said(text: str) -> list[tuple[str | None, str]]:
    return [(message.sender, message.text) for message in messages(text)]


def notices(text: str) -> list[str]:
    return [row.what for row in rows(text) if isinstance(row, Notice)]


# ---- both layouts


@pytest.mark.parametrize(
    ("text", "entries", "written"),
    [
        (TABS, 6, 3),
        ("\ufeff" + TABS, 6, 3),
        (TABS.replace("\n", "\r\n"), 6, 3),
        (TABS.replace("\n\n", "\n"), 6, 3),
        (TABS.replace("ศ. 02/10/2569", "2026.10.02 Friday").replace("ส. 03/10/2569", "2026.10.03 Saturday"), 6, 3),
        (TABS.partition("\n\n")[2], 6, 3),
        (BLANKS, 5, 2),
        ("\ufeff" + BLANKS, 5, 2),
        (BLANKS.replace("\n", "\r\n"), 5, 2),
        ("", 0, 0),
        ("\n \n", 0, 0),
        (TABS.partition("\n\n")[0], 0, 0),
        ("[LINE] Chat history with Korn", 0, 0),
        ("[LINE] Chat history with Korn\nSaved on: 10/4/2026, 07:48\n\nFri, 10/2/2026\n", 0, 0),
        ("2026.10.02 Friday\n", 0, 0),
    ],
)
def test_every_entry_is_one_row(text, entries, written):
    assert len(rows(text)) == entries
    assert len(messages(text)) == written


def test_a_chat_with_tabs():
    first, second, third = messages(TABS)
    assert (first.text, first.sender, first.channel) == ("สวัสดีวันศุกร์จ้า", "ป้าหน่อย", "chat")
    assert (first.thread, first.sent_at) == ("ญาติโกโหติกา", "2026-10-02T08:55:00+07:00")
    assert (first.source.file, first.source.line) == ("[LINE]กลุ่มบ้าน.txt", 6)
    assert second.text == 'ใครได้ข้อความนี้บ้าง\nพัสดุตกค้าง ให้กดลิงก์จ่าย 15 บาท\nบอกว่า "ไปรษณีย์" ส่งมา'
    assert third.sent_at == "2026-10-03T10:00:00+07:00"
    assert third.source.line == 14
    assert notices(TABS) == ["system", "sticker", "photo"]


def test_a_chat_with_blanks():
    first, second = messages(BLANKS)
    assert (first.sender, first.text) == ("แม่ค้า ส้มโอ หวาน", "สวัสดีค่ะ สนใจกี่กิโลคะ")
    assert (first.thread, first.sent_at) == ("กลุ่มบ้าน", "2026-10-02T08:35:00+07:00")
    assert (second.sender, second.text) == ("Korn", "โอนแล้วนะครับ\nเช็กยอดด้วย")
    assert notices(BLANKS) == ["photo", "unsent", "call"]


@pytest.mark.parametrize(
    ("title", "thread"),
    [
        ("Chat history with Korn", "Korn"),
        ("Chat history in บ้านเรา", "บ้านเรา"),
        ("Chat with Korn", "Korn"),
        ("ประวัติการแชทกับ ป้าหน่อย", "ป้าหน่อย"),
        ('ประวัติการแชทในกลุ่ม "ญาติ"', "ญาติ"),
        ("แชทใน บ้านเรา", "บ้านเรา"),
        ("Kornとのトーク履歴", "Korn"),
        ("家族のトーク履歴", "家族"),
        ("與Korn的聊天記錄", "Korn"),
        ("เพื่อนบ้าน", "เพื่อนบ้าน"),
    ],
)
def test_the_thread_is_the_title_in_any_language(title, thread):
    assert messages(f"[LINE] {title}\nSaved on: 2026/10/04 07:48\n\n{DAY}08:55\tA\tก\n")[0].thread == thread


@pytest.mark.parametrize(
    ("file", "thread"),
    [
        ("a/b/[LINE]ป้าหน่อย.txt", "ป้าหน่อย"),
        ("[LINE] Chat with Korn.txt", "Korn"),
        ("[LINE] Chat history with Korn.txt", "Korn"),
        ("[LINE] แชทกับ ป้าหน่อย.txt", "ป้าหน่อย"),
        ("x.zip![LINE] แชทใน บ้าน.txt", "บ้าน"),
        ("group.txt", "group"),
        ("-", None),
    ],
)
def test_without_a_title_the_thread_is_named_after_the_file(file, thread):
    assert rows(DAY + "08:55\tA\tก\n", file)[0].thread == thread


@pytest.mark.parametrize(
    "day",
    [
        "2026/10/02",
        "2026/10/02(Fri)",
        "2026/10/02 (ศ)",
        "2026/10/02 ศุกร์",
        "2026/10/02(金)",
        "Fri, 10/2/2026",
        "Fri, 02/10/2026",
        "ศ. 02/10/2569",
        "ศ. ๐๒/๑๐/๒๕๖๙",
        "2569/10/02",
        "2026.10.02 วันศุกร์",
    ],
)
@pytest.mark.parametrize(
    ("clock", "seconds"),
    [("08:54", "08:54"), ("8:54", "08:54"), ("9:30 PM", "21:30"), ("09:30PM", "21:30"), ("午後9:30", "21:30")],
)
def test_days_and_times_of_every_region(day, clock, seconds):
    (row,) = rows(f"{day}\n{clock}\tKorn\tสวัสดี\n")
    assert row.sent_at == f"2026-10-02T{seconds}:00+07:00"


def test_one_day_settles_the_order_of_day_and_month():
    text = "10/2/2026\n08:00\tA\tก\n\n10/14/2026\n08:00\tA\tข\n"
    assert [message.sent_at[:10] for message in messages(text)] == ["2026-10-02", "2026-10-14"]


def test_the_time_of_saving_settles_the_order_too():
    text = "[LINE] Chat with A\nSaved on: 10/14/2026, 07:48\n\n10/2/2026\n08:00\tA\tก\n"
    assert messages(text)[0].sent_at[:10] == "2026-10-02"


def test_days_of_a_chat_lie_close_together():
    text = "".join(f"{month_and_day}/2026\n08:00\tA\tก\n\n" for month_and_day in ("1/5", "1/6", "1/12"))
    assert [message.sent_at[:10] for message in messages(text)] == ["2026-01-05", "2026-01-06", "2026-01-12"]
    text = text.replace("1/5", "5/1").replace("1/6", "6/1").replace("1/12", "12/1")
    assert [message.sent_at[:10] for message in messages(text)] == ["2026-01-05", "2026-01-06", "2026-01-12"]


def test_a_time_without_a_day_stays_as_written():
    assert rows("08:55\tKorn\tสวัสดี\n")[0].sent_at == "08:55"


# ---- with tabs


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[Photo]", "photo"),
        ("[รูปภาพ]", "photo"),
        ("[写真]", "photo"),
        ("[Sticker]", "sticker"),
        ("[スタンプ]", "sticker"),
        ("[วิดีโอ]", "video"),
        ("[Voice message]", "voice"),
        ("[ข้อความเสียง]", "voice"),
        ("[File] ใบเสนอราคา.pdf", "file"),
        ("[Location] บ้าน", "place"),
        ("[null] https://maps.google.com/?q=13.7,100.5", "place"),
        ("[Contact]", "contact"),
        ("[Album] ทะเล", "album"),
        ("Message unsent.", "unsent"),
        ("ยกเลิกข้อความแล้ว", "unsent"),
        ("☎ Call time 3:21", "call"),
        ("Missed call", "call"),
        ("ไม่ได้รับสาย", "call"),
        ("☎ 不在着信", "call"),
        ("", "empty"),
    ],
)
def test_an_entry_without_words_is_a_notice(text, what):
    assert notices(f"{DAY}08:55\tKorn\t{text}\n") == [what]


@pytest.mark.parametrize(
    "text",
    ["ดู [Photo] นี่", "[ด่วน]", "[Sticker] ฟรี", "รูป", "Photos", "[Poll] ไปไหน", "Missed call ได้ยังไง", "[", "(heart)"],
)
def test_words_of_a_sender_are_never_taken_for_a_notice(text):
    assert said(f"{DAY}08:55\tKorn\t{text}\n") == [("Korn", text)]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("08:54\t\tป้าหน่อย เพิ่ม น้องมิ้นท์ เข้ากลุ่ม", "system"),
        ("08:54\tKorn joined the group.", "system"),
        ("08:54\t\t+66 81 000 5678 left the group.", "system"),
        ("08:54\tKorn unsent a message.", "unsent"),
        ("08:54\t\tป้าหน่อย ยกเลิกข้อความ", "unsent"),
        ("08:54\t\tGroup voice call started.", "call"),
        ("08:54\t\tKorn changed the group's profile picture.", "system"),
        ("08:54\t\tอะไรก็ตามที่ LINE เขียนเอง", "system"),
    ],
)
def test_a_line_without_a_sender_is_a_notice(line, what):
    assert notices(f"{DAY}{line}\n") == [what]


def test_a_text_without_sender_that_holds_a_link_is_scanned_all_the_same():
    assert said(f"{DAY}08:54\t\tกดรับเงินที่ https://example.com/a\n") == [(None, "กดรับเงินที่ https://example.com/a")]


def test_tabs_inside_the_text_stay():
    assert said(f"{DAY}08:54\tKorn\tก\tข\tค\n1\t2\n") == [("Korn", "ก\tข\tค\n1\t2")]


def test_older_exports_continue_without_quotes():
    text = f"{DAY}08:54\tKorn\tนัด\n10:15 ประชุม\n\n02/10/2569\nจบ\n08:55\tA\tจ้า\n"
    assert said(text) == [("Korn", "นัด\n10:15 ประชุม\n\n02/10/2569\nจบ"), ("A", "จ้า")]


def test_a_date_inside_a_message_is_no_day_header_though_it_has_its_shape():
    text = "02/10/2569\n08:54\tKorn\tนัดหมอ\n05/10/2569\nอย่าลืม\n08:55\tA\tจ้า\n"
    assert said(text) == [("Korn", "นัดหมอ\n05/10/2569\nอย่าลืม"), ("A", "จ้า")]
    assert messages(text)[1].sent_at == "2026-10-02T08:55:00+07:00"


def test_a_row_of_a_pasted_table_that_goes_back_in_time_is_part_of_the_message():
    assert said(f"{DAY}18:00\tKorn\tตาราง\n10:15\tประชุม\n18:01\tA\tจ้า\n") == [
        ("Korn", "ตาราง\n10:15\tประชุม"),
        ("A", "จ้า"),
    ]


def test_a_quoted_message_of_several_lines_is_one_message():
    text = f'{DAY}08:54\tKorn\t"ก ""ข""\n\n2026/10/03(Sat)\nค"\n08:55\tA\tจ้า\n'
    assert said(text) == [("Korn", 'ก "ข"\n\n2026/10/03(Sat)\nค'), ("A", "จ้า")]


def test_in_a_file_with_cr_lf_a_bare_lf_breaks_a_message_only():
    text = f'{DAY}08:54\tKorn\t"ตาราง\nX10:15\tA\tประชุม\n2026/10/03(Sat)\nจบ"\n08:55\tA\tจ้า\n'
    text = text.replace("\n", "\r\n").replace("ตาราง\r\nX", "ตาราง\n").replace("ประชุม\r\n", "ประชุม\n")
    text = text.replace("(Sat)\r\n", "(Sat)\n")
    assert said(text) == [("Korn", "ตาราง\n10:15\tA\tประชุม\n2026/10/03(Sat)\nจบ"), ("A", "จ้า")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_quote_that_never_closes_swallows_nothing(end):
    text = f'{DAY}08:54\tKorn\t"ก\nข\n08:55\tA\tจ้า\n\n2026/10/03(Sat)\n08:56\tA\t"\n08:57\tB\tค\n'.replace("\n", end)
    assert said(text) == [("Korn", '"ก\nข'), ("A", "จ้า"), ("A", '"'), ("B", "ค")]
    assert messages(text)[-1].sent_at[:10] == "2026-10-03"


def test_a_quote_that_never_closes_in_a_file_of_mixed_line_ends_swallows_nothing():
    text = '2026/10/02(Fri)\r\n08:54\tKorn\t"ก\n' + "".join(f"08:55\tA\tข้อ {number}\n" for number in range(3_000))
    assert len(messages(text)) == 3_001


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ('"ก"', '"ก"'),
        ('"""ก"""', '"ก"'),
        ('"ก ""ข"" ค"', 'ก "ข" ค'),
        ('"ก" ข "ค"', '"ก" ข "ค"'),
        ('""', '""'),
        ('"', '"'),
        ('ก "ข"', 'ก "ข"'),
    ],
)
def test_quotes_on_one_line_are_undone_only_where_the_export_made_them(written, text):
    assert said(f"{DAY}08:54\tKorn\t{written}\n08:55\tA\tจ้า\n") == [("Korn", text), ("A", "จ้า")]


def test_bytes_that_cannot_be_decoded_cost_one_message_only():
    bad = UNDECODABLE
    text = (
        f"{DAY}08:54\tKorn\tก{bad}ข\n08:55\tA\tค\n08:5{bad}\tA\tง\n08:57\tK{bad}rn\tจ\n08:58\tA\tฉ\n{bad}\n"
        f'08:59\tA\t"ช\n{bad}"\n09:00\tA\tซ\n\n2026/10/03({bad}at)\n09:01\tA\tญ\n'
    )
    found = rows(text)
    assert [isinstance(row, Message) for row in found] == [False, True, False, False, False, False, True, True]
    assert {row.reason for row in found if isinstance(row, Unreadable)} == {NOT_IN_ENCODING}


def test_two_exports_in_one_file_keep_their_titles():
    second = TABS.replace("ญาติโกโหติกา", "เพื่อน")
    assert [message.thread for message in messages(TABS + second)] == ["ญาติโกโหติกา"] * 3 + ["เพื่อน"] * 3


def test_a_forwarded_title_is_part_of_a_message():
    assert said(f"{DAY}08:54\tKorn\tดู\n[LINE] แจ้งเตือน\nกดลิงก์\n") == [("Korn", "ดู\n[LINE] แจ้งเตือน\nกดลิงก์")]


def test_a_text_above_the_first_entry_is_kept_without_a_sender():
    assert said(f"ท้ายข้อความที่ขาดไป\n{DAY}08:54\tKorn\tก\n") == [(None, "ท้ายข้อความที่ขาดไป"), ("Korn", "ก")]


def test_a_message_of_100_000_lines_is_one_message():
    text = f"{DAY}08:54\tKorn\tก\n" + "สวัสดี\n" * 100_000 + "08:55\tA\tจ้า\n"
    long, last = messages(text)
    assert long.text.count("\n") == 100_000
    assert last.text == "จ้า"


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("line", ["ก" * 99_999 + "\n", "ก" * 4_100_000 + "\n"])
def test_a_message_longer_than_the_bound_is_unreadable_and_the_next_is_read(line, quote):
    text = f"{DAY}08:54\tKorn\t{quote}ก\n" + line * (4_100_000 // len(line) + 1) + f"ข{quote}\n08:55\tA\tจ้า\n"
    long, last = rows(text)
    assert (long.reason, long.source.line) == (TOO_LONG, 2)
    assert last.text == "จ้า"


def test_hostile_text_in_a_message_is_kept(hostile):
    body = hostile.replace("\r", " ").replace("\n", " ")
    found = rows(f"{DAY}08:54\tKorn\t{body}\n08:55\tA\tจบ\n")
    assert len(found) == 2
    assert found[-1].text == "จบ"


def test_random_entries_are_each_one_row():
    chance = random.Random(7)
    pieces = [
        "ก",
        '"',
        '""',
        "\n",
        "\n\n",
        "10:15 ประชุม",
        "[Photo]",
        " ",
        "https://example.com/a",
        "02/10",
        "\u200e",
        UNDECODABLE,
    ]
    for _ in range(200):
        texts = ["".join(chance.choices(pieces, k=chance.randrange(8))) for _ in range(chance.randrange(1, 12))]
        quoted = ['"' + text.replace('"', '""') + '"' if "\n" in text or '"' in text else text for text in texts]
        file = DAY + "".join(f"08:{number:02}\tKorn\t{text}\n" for number, text in enumerate(quoted))
        found = rows(file)
        assert len(found) == len(texts)
        for row, text in zip(found, texts, strict=True):
            assert not isinstance(row, Message) or row.text == text.rstrip("\n")


def test_damaged_files_give_rows_and_no_traceback():
    chance = random.Random(8)
    for fixture in (TABS, BLANKS):
        for _ in range(150):
            text = list(fixture)
            for _ in range(chance.randrange(1, 12)):
                text[chance.randrange(len(text))] = chance.choice(
                    ["", "\n", "\t", "\r", '"', "๙", ":", UNDECODABLE, "\x00"]
                )
            assert all(isinstance(row, Message | Notice | Unreadable) for row in rows("".join(text)))


def test_hostile_text_alone_is_at_most_one_row(hostile):
    assert len(rows(hostile)) <= 1


# ---- with blanks

S_DAY = "2026.10.02 วันศุกร์\n"


def test_names_of_several_words_are_learnt_from_what_recurs():
    text = S_DAY + (
        "08:00 ป้า แดง ขายของ ไปตลาดไหม\n08:01 พี่ นก 🌸 ไปค่ะ\n08:02 ป้า แดง ขายของ รอหน้าบ้านนะ\n08:03 พี่ นก 🌸 ได้ค่ะ แป๊บนึง\n"
        "08:04 Korn ผมไปด้วย\n08:05 Korn รอด้วย\n"
    )
    assert said(text) == [
        ("ป้า แดง ขายของ", "ไปตลาดไหม"),
        ("พี่ นก 🌸", "ไปค่ะ"),
        ("ป้า แดง ขายของ", "รอหน้าบ้านนะ"),
        ("พี่ นก 🌸", "ได้ค่ะ แป๊บนึง"),
        ("Korn", "ผมไปด้วย"),
        ("Korn", "รอด้วย"),
    ]


def test_two_people_who_share_their_first_word_are_told_apart():
    text = S_DAY + "".join(
        f"08:{number:02} พี่ {name} {words}\n"
        for number, (name, words) in enumerate(
            [("นก", "ก"), ("หนู", "ข"), ("นก", "ค ง"), ("หนู", "จ"), ("นก", "ฉ"), ("หนู", "ช ซ")]
        )
    )
    assert [sender for sender, _ in said(text)] == ["พี่ นก", "พี่ หนู"] * 3


@pytest.mark.parametrize(
    "line",
    ["08:00 ป้า แดง joined the group.", "08:00 ป้า แดง ออกจากกลุ่ม", "08:00 ป้า แดง unsent a message."],
)
def test_a_note_of_line_reveals_a_name(line):
    text = f"{S_DAY}{line}\n08:05 ป้า แดง สวัสดี\n"
    assert said(text) == [("ป้า แดง", "สวัสดี")]
    assert len(notices(text)) == 1


def test_the_name_in_the_files_name_is_known():
    text = f"{S_DAY}08:00 ป้า แดง สวัสดี\n08:01 ป้า แดง สวัสดี\n"
    found = list(read_line_chat(io.StringIO(text, newline=""), "[LINE]ป้า แดง.txt"))
    assert [row.sender for row in found] == ["ป้า แดง", "ป้า แดง"]


def test_two_blanks_show_where_a_name_ends():
    assert said(f"{S_DAY}08:00  ป้า แดง  สวัสดี ทุกคน\n") == [("ป้า แดง", "สวัสดี ทุกคน")]


def test_someone_who_wrote_once_is_not_lost():
    text = BLANKS + "08:50 แอดมิน กดรับเงินที่ https://example.com/a\n"
    assert said(text)[-1] == ("แอดมิน", "กดรับเงินที่ https://example.com/a")


def test_a_lure_sent_again_and_again_does_not_become_a_name():
    text = S_DAY + "".join(f"08:{number:02} แอดมิน รับ สมัคร งาน https://example.com/{number}\n" for number in range(9))
    assert {text.partition("https")[0] for _, text in said(text)} == {"รับ สมัคร งาน "}
    assert {sender for sender, _ in said(text)} == {"แอดมิน"}
    same = S_DAY + "08:00 แอดมิน รับ สมัคร งาน\n" * 9
    assert said(same) == [("แอดมิน", "รับ สมัคร งาน")] * 9


def test_times_inside_a_message_begin_no_entry():
    text = (
        S_DAY + "08:35 Korn กำหนดการ\n10:15 ประชุม ทีม\n07:00 ตื่น นอน\n12:00 พัก\n"
        "08:36 Korn แค่นี้\n08:37 ป้าหน่อย จ้า\n08:38 ป้าหน่อย ขอบใจ\n"
    )
    assert said(text)[0] == ("Korn", "กำหนดการ\n10:15 ประชุม ทีม\n07:00 ตื่น นอน\n12:00 พัก")
    assert len(messages(text)) == 4


def test_an_unsent_message_makes_no_person():
    text = S_DAY + "08:40 ยกเลิกข้อความแล้ว\n08:41 Message unsent.\n08:42 ยกเลิกข้อความแล้ว\n"
    assert notices(text) == ["unsent"] * 3


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Photos", "photo"),
        ("Stickers", "sticker"),
        ("คลิปวิดีโอ", "video"),
        ("ข้อความเสียง", "voice"),
        ("ใบเสนอราคา.pdf", "file"),
        ("ไม่ได้รับสาย", "call"),
        ("ยกเลิกข้อความแล้ว", "unsent"),
    ],
)
def test_placeholders_stand_without_brackets(text, what):
    assert notices(f"{S_DAY}08:00 Korn ก\n08:01 Korn ข\n08:02 Korn {text}\n") == [what]


def test_names_that_appear_later_are_learnt_later():
    early = "".join(f"08:00 Korn ข้อ {number}\n" for number in range(6_000))
    late = "09:00 ป้า แดง สวัสดี\n09:01 ป้า แดง ไปไหน\n"
    assert said(S_DAY + early + late)[-2:] == [("ป้า แดง", "สวัสดี"), ("ป้า แดง", "ไปไหน")]
    assert len(messages(S_DAY + early + late)) == 6_002


def test_a_table_with_tabs_in_a_message_does_not_change_the_layout():
    text = BLANKS + "08:50 Korn ตาราง\n10:15\tประชุม\n"
    assert said(text)[-1] == ("Korn", "ตาราง\n10:15\tประชุม")


def test_tabs_that_became_blanks_in_copying_are_read():
    text = TABS.replace("\t\t", "  ").replace("\t", " ")
    found = messages(text)
    assert [message.sender for message in found if message.sender != "ลุงเดช"] == ["ป้าหน่อย"]
    assert {message.thread for message in found} == {"ญาติโกโหติกา"}
    assert len(rows(text)) == 6


def test_undecodable_bytes_with_blanks_cost_one_message_only():
    text = f"{S_DAY}08:00 Korn ก\n08:01 Korn ข{UNDECODABLE}\n08:02 Korn ค\n"
    assert [isinstance(row, Message) for row in rows(text)] == [True, False, True]


def test_hostile_text_with_blanks_is_kept(hostile):
    body = hostile.replace("\r", " ").replace("\n", " ")
    found = rows(f"{S_DAY}08:00 Korn ก\n08:01 Korn ข\n08:02 Korn {body}\n08:03 Korn จบ\n")
    assert len(found) == 4
    assert found[-1].text == "จบ"


def test_many_lines_of_continuation_with_blanks():
    text = f"{S_DAY}08:00 Korn ก\n08:01 Korn ข\n" + "สวัสดี\n" * 100_000 + "08:03 Korn จบ\n"
    assert len(messages(text)) == 3


WORDS = (
    "ไปตลาดไหม|รอหน้าบ้านนะ|ได้ค่ะ แป๊บนึง|โอนแล้วนะคะ|เช็กยอดด้วยค่ะ|พรุ่งนี้เจอกัน|ขอบคุณมากเลย|ฝนตกหนักมาก|กินข้าวหรือยัง|ของหมดแล้ว|"
    "ราคาเท่าไหร่ คะ|ส่งพรุ่งนี้ค่ะ|ok เดี๋ยวไป|ok แล้วเจอกัน|555 จริง|ค่ะ|ครับ ผม|สวัสดีค่ะ ทุกคน|สวัสดีค่ะ พี่นก|รถติดอยู่แถวลาดพร้าว"
).split("|")


def chat_with_blanks(*written: tuple[str, list[str]]) -> list[tuple[str | None, str]]:
    """Sender and text of each entry as read, where these senders write these texts."""
    entries = [(sender, words) for sender, texts in written for words in texts]
    lines = (f"{8 + at // 60:02}:{at % 60:02} {sender} {words}\n" for at, (sender, words) in enumerate(entries))
    found = said(S_DAY + "".join(lines))
    assert len(found) == len(entries)
    return found


def expected(*written: tuple[str, list[str]]) -> list[tuple[str, str]]:
    return [(sender, words) for sender, texts in written for words in texts]


@pytest.mark.parametrize(
    "written",
    [
        [("ป้าใหญ่ (ห้อง 12)", WORDS)],
        [("แม่ค้า " + name, WORDS[at : at + 4]) for at, name in enumerate("เอก หนิง ปลา ต้น มด ก้อย".split())],
        [("แม่ค้า " + name, WORDS[at : at + 4]) for at, name in enumerate("ABCDEFGHIJKLMNOP")],
        [(f"{first} {name}", WORDS[:6]) for first in ("พี่", "น้อง", "ป้า") for name in ("นก", "ปลา", "มด")],
        [("ป้าบอย", WORDS), ("ป้าบอย Shop", WORDS[:8]), ("น้องเอก Shop", WORDS), ("ลุงต้น Shop", WORDS)],
        [("som.oh", WORDS), ("99Shop", WORDS), ("💕 Ploy", WORDS), ("(admin) ก้อย", WORDS)],
        [("มด", WORDS), ("นก", WORDS)],
        [("มด", WORDS)],
    ],
)
def test_each_sender_is_learnt_with_the_whole_name(written):
    assert chat_with_blanks(*written) == expected(*written)


@pytest.mark.parametrize("copies", [2, 3, 8])
def test_near_copies_of_one_sender_tell_nothing_about_the_name(copies):
    lure = "scb jaeng: mee khon phayayam khao su rabop kot https://example.com/{} phai nai {} natee"
    written = [("HRหน่อย", [lure.format("abcdefgh"[at], at) for at in range(copies)]), ("Korn", WORDS[:5])]
    assert chat_with_blanks(*written) == expected(*written)


def test_what_follows_the_names_of_several_people_is_text():
    people = [(name, WORDS + [f"สวัสดีครับ {words}" for words in WORDS[:4]]) for name in ("มด", "นก", "ปลา", "ต้น")]
    written = [("Korn", [f"สวัสดีครับ {words}" for words in WORDS]), *people]
    assert chat_with_blanks(*written) == expected(*written)


def test_a_name_cut_short_in_the_first_stretch_is_learnt_in_a_later_one():
    first = [("แม่ค้า", [f"{words} {at}" for at in range(250) for words in WORDS])]
    later = [("แม่ค้า ต้น", WORDS)]
    text = S_DAY + "".join(f"08:00 {sender} {words}\n" for sender, words in expected(*first))
    text += "2026.10.03 วันเสาร์\n" + "".join(f"08:00 {sender} {words}\n" for sender, words in expected(*later))
    assert said(text)[-len(WORDS) :] == expected(*later)


def test_a_sticker_or_call_of_someone_unknown_is_a_notice():
    text = (
        f"{S_DAY}08:00 แม่ค้า ปลา หวาน สติกเกอร์\n08:01 พี่ นก Missed call\n08:02 Korn ส่ง รูป\n08:03 Korn มา\n08:04 Korn ไป\n"
    )
    assert notices(text) == ["sticker", "call"]
    assert said(text)[0] == ("Korn", "ส่ง รูป")


def test_a_link_before_the_word_for_a_file_is_a_message():
    assert said(f"{S_DAY}08:00 Korn กด example.com/a ไฟล์\n") == [("Korn", "กด example.com/a ไฟล์")]


@pytest.mark.parametrize("form", ["line-spaces", "line-spaces-english"])
def test_nearly_all_names_of_a_long_chat_are_learnt_and_all_entries_counted(form, tmp_path):
    made = list(entries(6_000, 7, 0.3, "chat"))
    path = tmp_path / "[LINE]a.txt"
    written = write_dump(path, form, made)
    with path.open(encoding="utf-8", newline="") as stream:
        found = list(read_line_chat(stream, path.name))
    read = [row for row in found if isinstance(row, Message)]
    assert (len(read), len(found) - len(read)) == (6_000, written.notices)
    right = [
        (row.sender, row.text) == (entry.sender, entry.text)
        for row, entry in zip(read, [entry for entry in made if entry.notice is None], strict=True)
    ]
    assert sum(right) >= 0.99 * len(right)


# ---- recognising


@pytest.mark.parametrize(
    "head",
    [
        TABS,
        BLANKS,
        "\ufeff" + TABS,
        TABS.replace("\n", "\r\n"),
        TABS.partition("\n\n")[0],
        TABS.partition("\n\n")[2],
        "[LINE] Chat history with Korn\nSaved on: 2026/10/04 07:48\n",
        "[LINE] 家族のトーク履歴\n保存日時：2026/10/04 07:48\n\n2026/10/02(金)\n午後9:30\tA\tB\n",
        "2026.10.02 Friday\n08:35\tKorn\thello\n",
    ],
)
def test_a_chat_is_recognised(head):
    assert looks_like_line_chat(head)


@pytest.mark.parametrize(
    "head",
    [
        "",
        "\n",
        "[LINE] รหัสยืนยันของคุณคือ 123456\nสวัสดี\n",
        "[LINE] Your code is 123456\n08:35 hello\n",
        "28/11/68 08:50 บช X-1234 เงินเข้า 500.00 คงเหลือ 1,250.75 บ.\n",
        "time\tsender\ttext\n08:54\tKorn\tสวัสดี\n",
        "08:54\tKorn\tสวัสดี\n",
        "date,sender,text\n2026/10/02,Korn,สวัสดี\n",
        "02/10/2569\n10:15 ประชุม\n",
        "28/11/2568 08:54 - Korn: hi\n",
        "2026.10.02\n08:35 Korn hi\n",
    ],
)
def test_other_text_is_not_taken_for_a_chat(head):
    assert not looks_like_line_chat(head)


def test_recognising_stands_hostile_text(hostile):
    assert not looks_like_line_chat(hostile[:4_000])
