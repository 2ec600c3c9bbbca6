import io
import json
import tracemalloc

import ijson
import pytest

from ruthan.dumps import telegram
from ruthan.dumps.discord import looks_like_discord
from ruthan.dumps.json_stream import MAX_STRING
from ruthan.dumps.meta import looks_like_meta
from ruthan.dumps.rows import NOT_IN_ENCODING, TOO_LONG, Notice, Unreadable
from ruthan.dumps.telegram import looks_like_telegram, read_telegram
from ruthan.errors import DumpError
from ruthan.message import Message, Source

TIME = {"date": "2025-11-28T08:55:12", "date_unixtime": "1764294912"}
CREATED = {
    "id": 1,
    "type": "service",
    **TIME,
    "actor": "Korn",
    "actor_id": "user100000001",
    "action": "create_group",
    "title": "กลุ่มซื้อขายมือสอง",
    "members": ["Korn", "Mint"],
    "text": "",
    "text_entities": [],
}
LURE = {
    "id": 2,
    "type": "message",
    **TIME,
    "from": "Mint",
    "from_id": "user100000002",
    "text": [
        "งานแพ็กของที่บ้าน ทักได้ที่ ",
        {"type": "mention", "text": "@tua_yang"},
        " หรือ ",
        {"type": "link", "text": "https://example.com/a"},
    ],
    "text_entities": [{"type": "plain", "text": "งานแพ็กของที่บ้าน ทักได้ที่ "}],
}
STICKER = {
    "id": 3,
    "type": "message",
    **TIME,
    "from": None,
    "from_id": "user100000003",
    "file": "(File not included. Change data exporting settings to download.)",
    "media_type": "sticker",
    "text": "",
    "text_entities": [],
}


def message(text, **more):
    return {"id": 9, "type": "message", **TIME, "from": "Mint", "from_id": "user100000002", "text": text, **more}


def chat(*messages, name="กลุ่มซื้อขายมือสอง", kind="private_supergroup"):
    return {"name": name, "type": kind, "id": 1000000001, "messages": list(messages)}


def account(*chats, left=()):
    return {
        "about": "Here is the data you requested. Remember: Telegram is ad free.",
        "personal_information": {"user_id": 1, "first_name": "Korn"},
        "contacts": {"about": "", "list": [{"first_name": "Mint", "messages": ["no chat"]}]},
        "chats": {"about": "", "list": list(chats)},
        "left_chats": {"about": "", "list": list(left)},
    }


def read(document, ensure_ascii=False):
    raw = document if isinstance(document, bytes) else json.dumps(document, ensure_ascii=ensure_ascii).encode()
    return list(read_telegram(io.BytesIO(raw), "result.json"))


def only(**entry):
    rows = read(chat({"id": 9, "type": "message", **entry}))
    assert len(rows) == 1
    return rows[0]


def test_a_chat_gives_its_messages_and_notices_with_time_sender_and_thread():
    rows = read(chat(CREATED, LURE, STICKER))
    assert rows == [
        Notice(Source("result.json", 1), "system"),
        Message(
            "งานแพ็กของที่บ้าน ทักได้ที่ @tua_yang หรือ https://example.com/a",
            channel="chat",
            sender="Mint",
            sent_at="2025-11-28T08:55:12+07:00",
            thread="กลุ่มซื้อขายมือสอง",
            source=Source("result.json", 2),
        ),
        Notice(Source("result.json", 3), "sticker"),
    ]


def test_a_whole_account_gives_all_chats_each_message_under_its_own_name():
    nameless = {"type": "personal_chat", "id": 77, "messages": [message("สาม")]}
    rows = read(account(chat(message("หนึ่ง"), message("สอง"), name="ก"), nameless, left=[chat(message("สี่"), name="ง")]))
    assert [(row.text, row.thread, row.source.line) for row in rows] == [
        ("หนึ่ง", "ก", 1),
        ("สอง", "ก", 2),
        ("สาม", "77", 3),
        ("สี่", "ง", 4),
    ]


def test_a_name_that_comes_after_the_messages_is_not_known():
    assert read({"messages": [message("ก")], "name": "กลุ่ม"})[0].thread is None


def test_the_address_behind_other_words_is_written_in_brackets():
    linked = [{"type": "text_link", "text": "ดูที่นี่", "href": "https://example.com/a"}, " ด่วน"]
    assert only(text=linked).text == "ดูที่นี่ (https://example.com/a) ด่วน"


def test_an_address_that_is_its_own_words_is_written_once():
    assert only(text=[{"type": "text_link", "text": "https://example.com", "href": "https://example.com"}]).text == (
        "https://example.com"
    )


def test_entities_stand_in_where_there_is_no_text():
    assert only(text_entities=[{"type": "plain", "text": "ยินดี"}, {"type": "bold", "text": "ด้วย"}]).text == "ยินดีด้วย"


def test_buttons_of_bots_are_words_with_their_addresses():
    buttons = [
        [{"type": "url", "text": "กดรับเงิน", "data": "https://example.com/r"}],
        [{"type": "callback", "text": "ตกลง", "data": "a8f3"}, {"type": "callback", "text": "ต่อ", "data": "tg://x"}],
    ]
    assert only(text="คุณได้รับรางวัล", inline_bot_buttons=buttons).text == (
        "คุณได้รับรางวัล\nกดรับเงิน (https://example.com/r)\nตกลง\nต่อ (tg://x)"
    )


def test_a_poll_is_words():
    poll = {"question": "สนใจงานไหม", "closed": False, "answers": [{"text": "สนใจ", "voters": 1}, {"text": "ขอคิดก่อน"}]}
    assert only(text="", poll=poll).text == "สนใจงานไหม\nสนใจ\nขอคิดก่อน"


def test_a_list_of_tasks_and_a_game_are_words():
    tasks = {"title": "งานวันนี้", "answers": [{"text": "กดไลก์"}]}
    assert only(text="", todo_list=tasks).text == "งานวันนี้\nกดไลก์"
    assert only(text="", game_title="วงล้อ", game_description="หมุนรับเงิน").text == "วงล้อ\nหมุนรับเงิน"


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"photo": "a.jpg"}, "photo"),
        ({"media_type": "video_file", "file": "a"}, "video"),
        ({"media_type": "video_message", "file": "a"}, "video"),
        ({"media_type": "voice_message", "file": "a"}, "voice"),
        ({"media_type": "animation", "file": "a"}, "gif"),
        ({"media_type": "audio_file", "file": "a"}, "audio"),
        ({"media_type": "of the future", "file": "a"}, "file"),
        ({"file": "a.pdf"}, "file"),
        ({"location_information": {"latitude": 13.7}}, "location"),
        ({"contact_information": {"first_name": "ก"}}, "contact"),
        ({}, "empty"),
        ({"type": "unsupported"}, "unsupported"),
    ],
)
def test_media_without_words_is_a_notice_and_with_words_a_message(fields, what):
    assert read(chat({**message(""), **fields}))[0] == Notice(Source("result.json", 1), what)
    assert read(chat({**message("ดูรูปนี้"), **fields}))[0].text == "ดูรูปนี้"


def test_service_messages_with_words_of_a_sender_are_messages():
    assert read(chat({**CREATED, "text": "ของขวัญ แอดไลน์ @x"}))[0].text == "ของขวัญ แอดไลน์ @x"


def test_old_exports_have_local_time_only():
    assert only(text="ก", date="2019-11-28T08:55:12").sent_at == "2019-11-28T08:55:12+07:00"


@pytest.mark.parametrize("unix", ["", "x", "1e999", "9" * 30, 10**300, None, True, [], {}])
def test_a_time_that_is_none_falls_back_to_the_date(unix):
    assert only(text="ก", date="2025-11-28T08:55:12", date_unixtime=unix).sent_at == "2025-11-28T08:55:12+07:00"


def test_a_deleted_account_has_its_id_for_a_sender():
    assert only(text="ก", **{"from": None}, from_id="user1").sender == "user1"
    assert only(text="ก", author="แอดมิน").sender == "แอดมิน"
    assert only(text="ก", **{"from": 5}).sender is None


def test_identical_messages_are_all_kept():
    assert len(read(chat(*[message("ซ้ำ")] * 3))) == 3


ODD = [
    None,
    "สวัสดี",
    7,
    [],
    {},
    message(5),
    message(True),
    message(None),
    message([1, None, ["ก", {"text": ["ข"]}]]),
    message({"text": "ค"}),
    message("ก", poll=3, inline_bot_buttons={"a": 1}, invoice_information=[]),
    message("ก", inline_bot_buttons=[5, [6, {"text": 7}]], poll={"answers": "x"}, todo_list={"answers": 1}),
    {"type": ["service"], "text": ""},
    {"media_type": {}, "text": ""},
]


def test_entries_of_any_shape_give_one_row_each():
    rows = read(chat(*ODD))
    assert [row.source.line for row in rows] == list(range(1, len(ODD) + 1))
    assert [type(row).__name__[0] for row in rows] == list("UUUUNUUNMMMMNN")


def test_names_of_any_shape_are_no_trouble():
    for name in (5, [], {"a": 1}, None, "", "ก" * 100_000):
        rows = read({"id": True, "name": name, "messages": [message("ก", **{"from": name})]})
        assert len(rows) == 1
        assert len(rows[0].thread or "") <= 1_000


def test_a_lone_half_of_an_emoji_does_not_stop_writing_utf8():
    document = json.dumps(chat(message("ด่วน \ud83d ค่ะ"), message("\ude00"), message("\ud83d\ude00")))
    rows = read(document.encode())
    assert [row.text for row in rows] == ["ด่วน \ufffd ค่ะ", "\ufffd", "😀"]
    assert all(row.text.encode() for row in rows)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp874"])
def test_documents_in_the_encodings_of_windows_are_read(encoding):
    raw = json.dumps(chat(LURE), ensure_ascii=False).encode(encoding)
    assert "งานแพ็กของที่บ้าน" in read(raw)[0].text


def test_a_damaged_byte_makes_one_message_unreadable_and_no_other():
    raw = json.dumps(chat(message("ก่อน"), message("เสีย"), message("หลัง")), ensure_ascii=False).encode()
    rows = read(raw.replace("เสีย".encode(), b"\xe0\xb9"))
    assert [getattr(row, "text", None) for row in rows] == ["ก่อน", None, "หลัง"]
    assert rows[1] == Unreadable(Source("result.json", 2), NOT_IN_ENCODING)


def test_a_file_that_breaks_off_anywhere_keeps_what_was_read_and_says_so():
    raw = json.dumps(chat(CREATED, LURE, STICKER, message("ท้าย")), ensure_ascii=False).encode()
    whole = read(raw)
    for end in range(raw.index(b'"messages"') + 14, len(raw), 7):
        rows = read(raw[:end])
        assert rows[:-1] == whole[: len(rows) - 1]
        assert isinstance(rows[-1], Unreadable)
        assert "the file ends" in rows[-1].reason
        assert rows[-1].source.line == len(rows)


def test_a_file_that_breaks_off_before_the_first_message_cannot_be_read():
    raw = json.dumps(chat(LURE), ensure_ascii=False).encode()
    for end in range(0, raw.index(b'"messages"'), 5):
        with pytest.raises(DumpError, match="result.json: the file (ends before|is empty)"):
            read(raw[:end])


def test_damage_in_the_middle_is_reported_without_the_text_around_it():
    raw = json.dumps(chat(message("ก่อน"), message("ลับมาก")), ensure_ascii=False).encode()
    rows = read(raw.replace('"ลับมาก"'.encode(), '"ลับมาก" ลับ'.encode()))
    assert rows[0].text == "ก่อน"
    assert rows[1:] == [
        Unreadable(Source("result.json", 2), "invalid JSON in the middle of entry 2; what follows could not be read")
    ]


@pytest.mark.parametrize("document", [b"{}", b"[]", b'"x"', b"5", b'{"messages": {}}', b"null", b"<html>", b"\x00\x01"])
def test_what_is_no_export_of_telegram_is_refused(document):
    with pytest.raises(DumpError):
        read(document)


def test_an_account_without_messages_is_no_error():
    assert read(chat()) == []
    assert read(account(chat(), left=[chat()])) == []


def test_the_last_of_duplicate_keys_holds():
    assert [row.text for row in read(b'{"messages": [{"type": "message", "text": "a", "text": "b"}]}')] == ["b"]


def test_nan_and_huge_numbers_are_no_trouble():
    huge = b"1" * 200_000
    raw = b'{"messages": [{"text": "a", "id": NaN, "date_unixtime": -Infinity}, {"text": "b NaN", "x": %s}, ' % huge
    raw += b'{"text": "c", "date_unixtime": %s}, {"text": "d", "date_unixtime": 1e99999999999999999999}]}' % huge
    assert [(row.text, row.sent_at) for row in read(raw)] == [("a", None), ("b NaN", None), ("c", None), ("d", None)]


def test_a_text_without_end_is_too_long_and_the_next_one_is_read():
    raw = b'{"messages": [%s, {"text": "b"}]}'
    assert len(read(raw % (b'{"text": "%s"}' % (b"a" * MAX_STRING)))[0].text) == MAX_STRING
    rows = read(raw % (b'{"text": "%s"}' % (b"\\u0e01" * (MAX_STRING // 4))))
    assert rows == [Unreadable(Source("result.json", 1), TOO_LONG), rows[1]]
    assert rows[1].text == "b"


def test_a_long_string_that_is_no_text_does_not_matter():
    raw = b'{"messages": [{"thumbnail": "%s", "text": "a"}]}' % (b"a" * (MAX_STRING + 1))
    assert [row.text for row in read(raw)] == ["a"]


@pytest.mark.parametrize(
    "bomb",
    [
        b"[" * 5_000 + b"]" * 5_000,
        b'{"text":' * 5_000 + b"1" + b"}" * 5_000,
        b"[" + b"0," * 150_000 + b"0]",
        b'["' + b'","'.join([b"a" * 3_000_000] * 3) + b'"]',
    ],
    ids=["arrays", "objects", "values", "characters"],
)
def test_an_entry_without_measure_is_unreadable_and_the_next_one_is_read(bomb):
    rows = read(b'{"messages": [{"type": "message", "text": %s}, {"text": "b"}]}' % bomb)
    assert isinstance(rows[0], Unreadable)
    assert rows[1].text == "b"


def test_nesting_without_end_around_the_messages_is_bounded():
    assert read(b'{"x": %s, "messages": [{"text": "b"}]}' % (b"[" * 50_000 + b"]" * 50_000))[0].text == "b"
    with pytest.raises(DumpError, match="nested"):
        read(b"[" * 1_200_000)


def test_escapes_and_strings_may_be_cut_by_any_block(monkeypatch):
    text = 'ก\\ " \\\\" \u2028 😀 \\ud83d {"text": "x"}, [] \t\n \x7f end\\'
    document = chat(message(text), message("\\" * 7 + '"'), message(["a", {"text": text}]))
    raw = json.dumps(document).encode()
    whole = read(raw)
    assert whole[0].text == text
    for size in (*range(1, 40), 63, 64):
        monkeypatch.setattr("ruthan.dumps.json_stream._BLOCK", size)
        assert read(raw) == whole
        assert read(json.dumps(document, ensure_ascii=False, indent=1).encode()) == whole


def test_a_stream_that_cannot_go_back_and_gives_little_at_a_time_is_read():
    class Pipe(io.RawIOBase):
        def __init__(self, raw):
            self._inner = io.BytesIO(raw)

        def readable(self):
            return True

        def readinto(self, buffer):
            piece = self._inner.read(min(len(buffer), 3))
            buffer[: len(piece)] = piece
            return len(piece)

    raw = json.dumps(chat(CREATED, LURE), ensure_ascii=False).encode()
    assert list(read_telegram(Pipe(raw), "result.json")) == read(raw)


def test_rows_come_before_the_whole_file_was_read():
    stream = io.BytesIO(json.dumps(chat(*[message("ก" * 1_000)] * 3_000)).encode())
    first = next(iter(read_telegram(stream, "result.json")))
    assert isinstance(first, Message)
    assert stream.tell() < len(stream.getvalue()) / 2


class Generated(io.RawIOBase):
    """An export of `count` messages that is made while it is read."""

    def __init__(self, count, text):
        one = json.dumps(
            message([text, {"type": "link", "text": "https://example.com/a"}]), ensure_ascii=False
        ).encode()
        self._pieces = iter([b'{"name": "x", "type": "private_group", "id": 1, "messages": [', *[one + b",\n"] * count])
        self._last = one + b"]}"
        self._rest = b""
        self.size = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                piece, self._last = self._last, b""
                if not piece:
                    return 0
            self._rest = piece
        taken = self._rest[: len(buffer)]
        self._rest = self._rest[len(taken) :]
        buffer[: len(taken)] = taken
        self.size += len(taken)
        return len(taken)


def test_memory_does_not_grow_with_the_file():
    assert ijson.backend == "yajl2_c"
    stream = Generated(6_499, "รับสมัครงานแพ็กของที่บ้าน รายได้ดี " * 50)
    tracemalloc.start()
    try:
        rows = sum(isinstance(row, Message) for row in read_telegram(stream, "result.json"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows == 6_500
    assert stream.size > 30_000_000
    assert peak < 12_000_000


HEADS = {
    "chat": chat(CREATED, LURE, STICKER),
    "message first": {"messages": [LURE], "name": "x"},
    "account": account(chat(LURE)),
    "long message": chat(message("ก" * 5_000)),
    "channel": chat(LURE, kind="public_channel"),
    "left only": {"left_chats": {"list": [chat(LURE)]}},
}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("document", HEADS.values(), ids=HEADS)
def test_an_export_is_recognised_by_its_beginning(document, indent):
    head = json.dumps(document, ensure_ascii=False, indent=indent)[:4_000]
    for start in (head, "\ufeff" + head):
        assert looks_like_telegram(start)
        assert not looks_like_meta(start)
        assert not looks_like_discord(start)


@pytest.mark.parametrize(
    "head",
    [
        "",
        "[]",
        "{}",
        "สวัสดี",
        "[" * 4_000,
        '{"a":' * 800,
        '"\\ud83d',
        '{"messages": [{"text": "a", "date": "2025-01-01", "sender": "x"}]}',
        '{"messages": [{"role": "user", "content": "a"}]}',
        '{"note": "\\"date_unixtime\\": \\"from_id\\" \\"guild\\" \\"participants\\"", "messages": ["a"]}',
        '[{"id": 1, "text": "a", "date": "2025-01-01"}]',
        '{"type": "FeatureCollection", "name": "x", "id": 1, "features": []}',
        '{"participants": [{"name": "a"}], "items": []}',
        '{"channel": {"id": 1}, "messages": []}',
        '[{"ID": 1, "Name": "a"}]',
        '{"text": "a"}\n{"text": "b"}',
    ],
)
def test_ordinary_json_is_no_export(head):
    assert not looks_like_telegram(head)
    assert not looks_like_meta(head)
    assert not looks_like_discord(head)


def test_the_reader_keeps_every_field_it_reads():
    used = {"from", "text", "poll", "inline_bot_buttons", "date", "date_unixtime", *telegram._OTHER_MEDIA}
    assert used <= telegram._KEPT
