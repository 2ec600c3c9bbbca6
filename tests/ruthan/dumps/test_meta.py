import io
import json

import pytest

from ruthan.dumps.discord import looks_like_discord
from ruthan.dumps.json_stream import MAX_STRING
from ruthan.dumps.meta import looks_like_meta, read_meta
from ruthan.dumps.rows import NOT_IN_ENCODING, TOO_LONG, Notice, Unreadable
from ruthan.dumps.telegram import looks_like_telegram
from ruthan.errors import DumpError
from ruthan.message import Message, Source


def broken(value):
    """As Facebook writes it: each byte of UTF-8 as one character."""
    if isinstance(value, str):
        return value.encode().decode("latin-1")
    if isinstance(value, list):
        return [broken(item) for item in value]
    if isinstance(value, dict):
        return {key: broken(item) for key, item in value.items()}
    return value


def download(*messages, **more):
    chat = {"participants": [{"name": "มิ้นท์"}, {"name": "Korn Example"}], "messages": list(messages)}
    return {**chat, "title": "Korn Example", "thread_path": "inbox/korn_1000000001", "magic_words": [], **more}


def encrypted(*messages):
    return {"participants": ["มิ้นท์", "Korn"], "threadName": "Korn_7", "messages": list(messages)}


def sent(content=None, **more):
    words = {} if content is None else {"content": content}
    return {"sender_name": "Korn Example", "timestamp_ms": 1764294912345, **words, **more}


def secret(text="", **more):
    common = {"isUnsent": False, "media": [], "reactions": [], "senderName": "Korn", "text": text}
    return {**common, "timestamp": 1764294912345, "type": "text", **more}


def read(document, file="message_1.json"):
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return list(read_meta(io.BytesIO(raw), file))


def only(*arguments, **more):
    rows = read(broken(download(sent(*arguments, **more))))
    assert len(rows) == 1
    return rows[0]


def test_broken_thai_is_repaired_in_text_and_names_and_the_order_is_kept():
    rows = read(broken(download(sent("สวัสดี 😀"), {**sent("มาก่อน"), "sender_name": "มิ้นท์"})))
    assert rows == [
        Message("สวัสดี 😀", "chat", "Korn Example", "2025-11-28T08:55:12+07:00", source=Source("message_1.json", 1)),
        Message("มาก่อน", "chat", "มิ้นท์", "2025-11-28T08:55:12+07:00", source=Source("message_1.json", 2)),
    ]


@pytest.mark.parametrize("text", ["สวัสดี", "café", "naïve – ok", "é", "à¸", "a\u00a0b", "plain", "à¸ªà¸§ กข"])
def test_clean_texts_stay_as_they_are(text):
    assert read(download(sent(text)))[0].text == text


def test_repair_is_string_by_string():
    rows = read(download(sent(broken("ก")), sent("ข")))
    assert [row.text for row in rows] == ["ก", "ข"]


def test_the_folder_names_the_chat_and_a_title_before_the_messages_goes_before_it():
    document = broken(download(sent("ก")))
    for file in (
        "x.zip!your_activity/messages/inbox/korn_1000000001/message_1.json",
        "inbox\\korn_1000000001\\message_12.json",
    ):
        assert read(document, file)[0].thread == "korn_1000000001"
    assert read(document, "inbox/other.json")[0].thread is None
    assert read(document, "downloads/message_1.json")[0].thread is None
    early = {"title": broken("แก๊ง"), **download(sent("ก"))}
    early["title"] = broken("แก๊ง")
    assert read(early, "inbox/korn_1/message_1.json")[0].thread == "แก๊ง"


def test_what_was_shared_stands_below_the_words():
    assert only("ดูนี่", share={"link": "https://example.com/a"}).text == "ดูนี่\nhttps://example.com/a"
    assert only("https://example.com/a", share={"link": "https://example.com/a"}).text == "https://example.com/a"
    shared = {"link": "https://example.com/r", "share_text": "สมัครงาน"}
    assert only("You sent an attachment.", share=shared).text == "สมัครงาน\nhttps://example.com/r"


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"is_unsent": True}, "unsent"),
        ({"is_unsent": True, "content": "x unsent"}, "unsent"),
        ({"call_duration": 0, "content": "Korn missed your call."}, "call"),
        ({"type": "Call", "content": "The video chat ended."}, "call"),
        ({"type": "Subscribe", "content": "Korn added มิ้นท์ to the group."}, "system"),
        ({"sticker": {"uri": "a"}}, "sticker"),
        ({"photos": [{"uri": "a"}]}, "photo"),
        ({"photos": [{"uri": "a"}], "content": "You sent an attachment."}, "photo"),
        ({"videos": [{"uri": "a"}]}, "video"),
        ({"gifs": [{"uri": "a"}]}, "gif"),
        ({"audio_files": [{"uri": "a"}]}, "voice"),
        ({"files": [{"uri": "a"}]}, "file"),
        ({}, "empty"),
        ({"content": "  "}, "empty"),
    ],
)
def test_entries_without_words_are_notices(fields, what):
    assert only(**fields) == Notice(Source("message_1.json", 1), what)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("You sent an attachment.", "file"),
        ("Korn sent an attachment.", "file"),
        ("Korn Example sent an attachment.", "file"),
        ("You sent a photo.", "photo"),
        ("Reacted ❤ to your message", "system"),
        ("Reacted 😆 to your message ", "system"),
        ("Reacted 👍🏽 to your message", "system"),
        ("Korn reacted ❤️ to your message", "system"),
        ("Liked a message", "system"),
        ("มิ้นท์ missed your call.", "call"),
        ("You missed a call from Korn.", "call"),
        ("You missed a video chat with Korn Example.", "call"),
        ("You called มิ้นท์.", "call"),
        ("The video chat ended.", "call"),
        ("Korn started a video chat.", "call"),
        ("Korn named the group ญาติ ๆ.", "system"),
        ("Korn added มิ้นท์ to the group.", "system"),
        ("Korn left the group.", "system"),
        ("Korn set the nickname for มิ้นท์ to หมวย.", "system"),
        ("Korn changed the chat theme to Love.", "system"),
        (
            "You can now message and call each other and see info like Active Status and when you've read messages.",
            "system",
        ),
        ("Say hi to your new Facebook friend, มิ้นท์.", "system"),
        ("แสดงความรู้สึก 😆 ต่อข้อความของคุณ", "system"),
        ("การโทรด้วยเสียงสิ้นสุดลงแล้ว", "call"),
        ("คุณไม่ได้รับสายการโทรด้วยเสียง", "call"),
        ("มิ้นท์ เริ่มการโทรด้วยเสียง", "call"),
        ("คุณส่งไฟล์แนบ", "file"),
    ],
)
def test_texts_that_messenger_wrote_are_notices(text, what):
    assert only(text) == Notice(Source("message_1.json", 1), what)


@pytest.mark.parametrize(
    "text",
    [
        "Hello, I missed your call.",
        "You called my bank about the loan, did you?",
        "Somebody sent an attachment.",
        "You sent an attachment. Open https://example.com/a",
        "Korn named the group แอดไลน์ @hr-example.",
        "Korn named the group โทร 0810005678.",
        "Korn named the group x\nกดลิงก์",
        "Korn left the group. แอดไลน์ด่วน",
        "Reacted ❤ to your message แอดไลน์",
        "ส่งไฟล์แนบให้แล้วนะคะ",
        "คุณเริ่มการโทรด้วยเสียงไม่ได้เหรอ",
        "call",
    ],
)
def test_where_there_is_doubt_a_text_is_a_message(text):
    assert only(text).text == text.strip()


def test_the_encrypted_download_is_read():
    rows = read(
        encrypted(
            secret("ถึงบ้านแล้ว"),
            secret("User unsent a message", isUnsent=True),
            secret(media=[{"uri": "./media/a1b2.jpeg"}], type="media"),
            secret(media=[{"uri": "./media/a.mp4"}], type="media"),
            secret(media=[{"uri": "Failed to download media"}], type="media"),
            secret("You sent something", type="placeholder"),
            secret("https://example.com/a", type="link"),
            secret("ดูรูป", media=[{"uri": "a.png"}], type="media"),
        )
    )
    common = {"channel": "chat", "sender": "Korn", "sent_at": "2025-11-28T08:55:12+07:00", "thread": "Korn_7"}
    assert rows[0] == Message("ถึงบ้านแล้ว", **common, source=Source("message_1.json", 1))
    assert [row.what for row in rows[1:6]] == ["unsent", "photo", "video", "media", "system"]
    assert [row.text for row in rows[6:]] == ["https://example.com/a", "ดูรูป"]


def test_a_message_may_lack_sender_and_time():
    row = read(download({"content": "ก"}))[0]
    assert (row.sender, row.sent_at) == (None, None)


def test_times_in_seconds_of_the_oldest_downloads_are_read():
    assert read(download({"content": "ก", "timestamp": 1364294912}))[0].sent_at == "2013-03-26T17:48:32+07:00"


ODD = [
    None,
    "x",
    [],
    {},
    {"content": 5},
    {"content": {"a": 1}},
    {"sender_name": 5, "content": "ก", "timestamp_ms": "x", "share": [1], "photos": 3, "media": {"a": 1}},
    {"content": "ก", "type": ["Call"], "timestamp_ms": 10**400, "share": {"link": 5}},
    {"text": "", "media": [5, {"uri": 7}]},
]


def test_entries_of_any_shape_give_one_row_each():
    rows = read(download(*ODD, participants=[5, None, {"name": 6}, {"no": "name"}, " ", {"name": "ก"}]))
    assert [row.source.line for row in rows] == list(range(1, len(ODD) + 1))
    assert "".join(type(row).__name__[0] for row in rows) == "UUUNUUMMN"


@pytest.mark.parametrize("participants", [None, "x", 5, {}, {"a": [1]}, [["a"]], [{"name": "ก" * 5_000}] * 50])
def test_participants_of_any_shape_are_no_trouble(participants):
    assert [row.text for row in read(download(sent("Korn Example ไปไหน"), participants=participants))] == [
        "Korn Example ไปไหน"
    ]


def test_a_file_that_breaks_off_anywhere_keeps_what_was_read_and_says_so():
    raw = json.dumps(broken(download(sent("หนึ่ง"), sent("สอง"), sent(photos=[{"uri": "a"}]), sent("สี่")))).encode()
    whole = read(raw)
    for end in range(raw.index(b'"messages"') + 14, len(raw), 7):
        rows = read(raw[:end])
        assert rows[:-1] == whole[: len(rows) - 1]
        assert isinstance(rows[-1], Unreadable)
        assert rows[-1].source.line == len(rows)


def test_half_emoji_damaged_bytes_and_endless_texts_stay_alone():
    raw = '{"messages": [{"content": "\\ud83d กดลิงก์"}, {"content": "เสีย"}, {"content": "%s"}, {"content": "ท้าย"}]}'
    rows = read((raw % ("a" * (MAX_STRING + 1))).encode().replace("เสีย".encode(), b"\xe0\xb9"))
    assert [getattr(row, "text", getattr(row, "reason", None)) for row in rows] == [
        "\ufffd กดลิงก์",
        NOT_IN_ENCODING,
        TOO_LONG,
        "ท้าย",
    ]
    assert rows[0].text.encode()


@pytest.mark.parametrize("document", [b"{}", b"[]", b'{"participants": []}', b"", b"x"])
def test_what_is_no_chat_is_refused(document):
    with pytest.raises(DumpError):
        read(document)


def test_a_message_with_very_many_parts_takes_no_quadratic_time():
    text = " ".join(["Korn"] * 20_000)
    assert read(download(sent(text, share={"link": text + "://"}, photos=[{"uri": "a"}] * 5_000)))[0].text.startswith(
        "Korn"
    )


HEADS = {
    "download": broken(download(sent("ก"), sent(photos=[{"uri": "a"}]))),
    "clean download": download(sent("ก")),
    "large group": broken(download(sent("ก"), participants=[{"name": f"สมาชิก คนที่ {n}"} for n in range(300)])),
    "messages first": {"messages": [sent("ก")], "participants": []},
    "without sender": download({"timestamp_ms": 1, "content": "a"}),
    "empty": download(),
    "encrypted": encrypted(secret("ก")),
    "encrypted, large group": {**encrypted(secret("ก")), "participants": [f"สมาชิก {n}" for n in range(900)]},
    "encrypted, messages first": {"messages": [secret("ก")], "threadName": "x", "participants": ["a"]},
    "long message": download(sent("ก" * 5_000)),
}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("document", HEADS.values(), ids=HEADS)
def test_a_chat_is_recognised_by_its_beginning(document, indent):
    head = json.dumps(document, indent=indent)[:4_000]
    assert looks_like_meta(head)
    assert not looks_like_telegram(head)
    assert not looks_like_discord(head)


@pytest.mark.parametrize(
    "document",
    [
        {"participants": [{"name": "a"}, {"name": "b"}]},
        {"participants": [{"name": "a", "age": 5}] * 500},
        {"participants": ["a"] * 3, "items": [1]},
        {"messages": [{"sender_name": "a", "text": "b", "timestamp": "2025-01-01"}]},
        {"messages": [{"text": "a"}], "title": "x"},
        {"title": "x", "participants": 5, "messages": []},
        [{"sender_name": "a", "timestamp_ms": 1}],
    ],
)
def test_other_json_is_no_chat(document):
    assert not looks_like_meta(json.dumps(document)[:4_000])
