import io
import json

import pytest

from ruthan.dumps.delimited import read_delimited
from ruthan.dumps.discord import looks_like_discord, read_discord
from ruthan.dumps.json_stream import MAX_STRING
from ruthan.dumps.meta import looks_like_meta
from ruthan.dumps.rows import NOT_IN_ENCODING, TOO_LONG, Notice, Unreadable
from ruthan.dumps.telegram import looks_like_telegram
from ruthan.errors import DumpError
from ruthan.message import Message, Source

AUTHOR = {"id": "5000", "name": "korn", "discriminator": "0000", "nickname": "กร", "isBot": False, "roles": []}
GUILD = {"id": "1000", "name": "เซิร์ฟทดลอง", "iconUrl": ""}
CHANNEL = {
    "id": "2000",
    "type": "GuildTextChat",
    "categoryId": "3000",
    "category": "ทั่วไป",
    "name": "คุยเล่น",
    "topic": None,
}


def posted(content, **more):
    return {
        "id": "4000",
        "type": "Default",
        "timestamp": "2025-11-28T08:55:12.3450000+07:00",
        "timestampEdited": None,
        "content": content,
        "author": AUTHOR,
        "attachments": [],
        "embeds": [],
        "stickers": [],
        "reactions": [],
        **more,
    }


def export(*messages, **more):
    head = {
        "guild": GUILD,
        "channel": CHANNEL,
        "dateRange": {"after": None, "before": None},
        "exportedAt": "2025-11-28",
    }
    return {**head, **more, "messages": list(messages), "messageCount": len(messages)}


def read(document, file="general.json"):
    raw = document if isinstance(document, bytes) else json.dumps(document, ensure_ascii=False).encode()
    return list(read_discord(io.BytesIO(raw), file))


def only(content="", **more):
    rows = read(export(posted(content, **more)))
    assert len(rows) == 1
    return rows[0]


def test_a_message_has_its_time_author_and_channel():
    assert only("แจก Nitro ฟรี กดลิงก์ https://example.com/n") == Message(
        "แจก Nitro ฟรี กดลิงก์ https://example.com/n",
        channel="chat",
        sender="korn",
        sent_at="2025-11-28T08:55:12+07:00",
        thread="เซิร์ฟทดลอง / คุยเล่น",
        source=Source("general.json", 1),
    )


def test_times_of_other_zones_are_bangkok_time():
    assert only("ก", timestamp="2025-11-28T01:55:12.345+00:00").sent_at == "2025-11-28T08:55:12+07:00"
    assert only("ก", timestamp="28-Nov-25 08:55 AM").sent_at == "28-Nov-25 08:55 AM"
    assert only("ก", timestamp="0001-01-01T00:00:00+14:00").sent_at == "0001-01-01T00:00:00+14:00"


def test_direct_messages_are_named_by_their_channel():
    direct = {"id": "0", "name": "Direct Messages"}
    assert read(export(posted("ก"), guild=direct))[0].thread == "คุยเล่น"


def test_embeds_are_words():
    embed = {
        "title": "รับรางวัล",
        "url": "https://example.com/r",
        "description": "ด่วน",
        "fields": [{"name": "ขั้นที่ 1", "value": "กดลิงก์"}],
    }
    expected = "รับรางวัล\nhttps://example.com/r\nด่วน\nขั้นที่ 1\nกดลิงก์"
    assert only("", embeds=[embed]).text == expected
    assert only("ดู https://example.com/r", embeds=[{"url": "https://example.com/r", "title": "ก"}]).text == (
        "ดู https://example.com/r\nก"
    )


def test_a_forwarded_message_is_words():
    forwarded = {"content": "งานออนไลน์", "embeds": [{"title": "สมัคร"}], "attachments": []}
    assert only("", forwardedMessage=forwarded).text == "งานออนไลน์\nสมัคร"
    picture = {"content": "", "attachments": [{"fileName": "a.PNG"}]}
    assert only("", forwardedMessage=picture) == Notice(Source("general.json", 1), "photo")


@pytest.mark.parametrize("kind", ["GuildMemberJoin", "ChannelPinnedMessage", "ThreadCreated", "7", "18", "x"])
def test_notices_of_the_server_are_no_messages(kind):
    assert only("Joined the server.", type=kind) == Notice(Source("general.json", 1), "system")


def test_a_call_is_a_notice():
    assert only("Started a call that lasted 5 minutes.", type="Call") == Notice(Source("general.json", 1), "call")


@pytest.mark.parametrize("kind", ["Default", "Reply", "20", "23", "ChatInputCommand", None])
def test_words_of_people_and_bots_are_messages(kind):
    assert only("ก", type=kind).text == "ก"


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"attachments": [{"url": "a", "fileName": "a.png"}]}, "photo"),
        ({"attachments": [{"url": "a.mp4"}]}, "video"),
        ({"attachments": [{"fileName": "voice-message.ogg"}]}, "voice"),
        ({"attachments": [{"fileName": "a.gif"}]}, "gif"),
        ({"attachments": [{"fileName": "a.exe"}]}, "file"),
        ({"stickers": [{"name": "x"}]}, "sticker"),
        ({"embeds": [{"image": {"url": "a"}}]}, "photo"),
        ({}, "empty"),
    ],
)
def test_entries_without_words_are_notices(fields, what):
    assert only("", **fields) == Notice(Source("general.json", 1), what)


def test_the_sender_is_the_best_name_there_is():
    assert only("ก", author={"id": "5", "nickname": "กร"}).sender == "กร"
    assert only("ก", author={"id": "5", "name": " "}).sender == "5"
    assert only("ก", author=None, authorId="5000").sender == "5000"
    assert only("ก", author=7).sender is None


PACKAGE = [
    {"ID": 4000, "Timestamp": "2025-11-28 01:55:12", "Contents": "รับสมัครแอดมิน", "Attachments": ""},
    {
        "ID": 4001,
        "Timestamp": "2025-11-28 01:55:12.345000+00:00",
        "Contents": "",
        "Attachments": "https://example.com/a.png?x=1",
    },
    {"ID": 4002, "Timestamp": "", "Contents": "", "Attachments": ""},
]


def test_a_data_package_is_read_in_utc_and_named_by_its_folder():
    file = "package.zip!messages/c200000000000000000/messages.json"
    assert read(PACKAGE, file) == [
        Message(
            "รับสมัครแอดมิน",
            channel="chat",
            sent_at="2025-11-28T08:55:12+07:00",
            thread="c200000000000000000",
            source=Source(file, 1),
        ),
        Notice(Source(file, 2), "photo"),
        Notice(Source(file, 3), "empty"),
    ]
    assert read(PACKAGE, "messages.json")[0].thread is None


ODD = [
    None,
    "x",
    4,
    [],
    {},
    posted(5),
    posted(["ก"]),
    posted(None),
    posted("ก", author=[], embeds={"a": 1}, attachments=5, stickers=0, forwardedMessage=[1], timestamp=7),
    posted("ก", type=20, embeds=[5, {"title": 5, "fields": [1, {"name": 2}]}]),
    posted("", forwardedMessage={"embeds": 5, "attachments": "x"}),
]


def test_entries_of_any_shape_give_one_row_each():
    for document in (export(*ODD), ODD):
        rows = read(document)
        assert [row.source.line for row in rows] == list(range(1, len(ODD) + 1))
        assert "".join(type(row).__name__[0] for row in rows) == "UUUUNUUNMMN"


def test_a_server_of_any_shape_is_no_trouble():
    for odd in (None, [], "x", 5, {"id": 5, "name": []}, {"name": "ก" * 5_000}):
        assert len(read(export(posted("ก"), guild=odd, channel=odd))) == 1


def test_a_file_that_breaks_off_anywhere_keeps_what_was_read_and_says_so():
    for document in (export(posted("หนึ่ง"), posted("", type="7"), posted("สาม")), PACKAGE):
        raw = json.dumps(document, ensure_ascii=False).encode()
        whole = read(raw)
        begin = raw.index(b'"messages"') + 14 if isinstance(document, dict) else 1
        for end in range(begin, len(raw), 7):
            rows = read(raw[:end])
            assert rows[:-1] == whole[: len(rows) - 1]
            assert isinstance(rows[-1], Unreadable)
            assert rows[-1].source.line == len(rows)


def test_half_emoji_damaged_bytes_and_endless_texts_stay_alone():
    raw = '[{"Contents": "\\ud83d กดลิงก์"}, {"Contents": "เสีย"}, {"Contents": "%s"}, {"Contents": "ท้าย"}]'
    rows = read((raw % ("a" * (MAX_STRING + 1))).encode().replace("เสีย".encode(), b"\xe0\xb9"))
    assert [getattr(row, "text", getattr(row, "reason", None)) for row in rows] == [
        "\ufffd กดลิงก์",
        NOT_IN_ENCODING,
        TOO_LONG,
        "ท้าย",
    ]
    assert rows[0].text.encode()


def test_very_many_embeds_take_no_quadratic_time():
    embeds = [{"url": f"https://example.com/{n}", "description": "ก" * 50} for n in range(9_000)]
    assert only("x" * 1_000_000, embeds=embeds).text.count("\n") == 9_001


@pytest.mark.parametrize("document", [b"{}", b'{"guild": {}, "channel": {}}', b"", b"5", b'{"messages": 5}'])
def test_what_is_no_export_is_refused(document):
    with pytest.raises(DumpError):
        read(document)


HEADS = {
    "export": export(posted("ก")),
    "empty": export(),
    "long topic": export(posted("ก"), channel={**CHANNEL, "topic": "x" * 5_000}),
    "messages first": {"messages": [posted("ก")], "channel": CHANNEL, "guild": GUILD},
    "long message": export(posted("ก" * 5_000)),
    "package": PACKAGE,
    "package, other order": [{"Contents": "ก", "Timestamp": "2025", "ID": "1"}],
    "package, long message": [{"ID": 1, "Timestamp": "2025", "Contents": "ก" * 5_000}],
}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("document", HEADS.values(), ids=HEADS)
def test_an_export_is_recognised_by_its_beginning(document, indent):
    head = json.dumps(document, ensure_ascii=False, indent=indent)[:4_000]
    assert looks_like_discord(head)
    assert not looks_like_telegram(head)
    assert not looks_like_meta(head)


def test_no_document_is_of_two_kinds():
    telegram = {"type": "private_group", "id": 1, "date": "x", "date_unixtime": "1", "from_id": "user1"}
    meta = {"participants": [{"name": "a"}], "thread_path": "x", "sender_name": "a", "timestamp_ms": 1}
    discord = {
        "guild": GUILD,
        "channel": CHANNEL,
        "exportedAt": "x",
        "author": AUTHOR,
        "content": "a",
        "timestamp": "x",
    }
    for one in (telegram, meta, discord):
        for two in (telegram, meta, discord):
            for three in (telegram, meta, discord):
                mixed = {**one, **two, "messages": [{**three, **two}]}
                head = json.dumps(mixed)
                kinds = [looks_like_telegram(head), looks_like_meta(head), looks_like_discord(head)]
                assert sum(kinds) <= 1


@pytest.mark.parametrize(
    "document",
    [
        {"guild": {"id": 1}, "messages": []},
        {"channel": {"id": 1}, "messages": [{"content": "a"}]},
        {"guild": "x", "channel": "y", "messages": [{"content": "a", "author": "b", "timestamp": "c"}]},
        [{"ID": 1, "Timestamp": "x"}],
        [{"ID": 1, "Timestamp": "x", "Contents": "a", "Price": 5}],
        [{"id": 1, "timestamp": "x", "contents": "a"}],
    ],
)
def test_other_json_is_no_export(document):
    assert not looks_like_discord(json.dumps(document))


def test_the_exporters_csv_is_read_as_a_table():
    table = (
        "AuthorID,Author,Date,Content,Attachments,Reactions\r\n"
        '"5000","korn#0000","2025-11-28T08:55:12.3450000+07:00","รับสมัครแอดมิน\nงาน ""ง่าย"" ๆ","","👍 (3)"\r\n'
        '"5001","mint","11/28/2025 8:56 AM","สนใจ, ค่ะ","a.png,b.png",""\r\n'
    )
    rows = list(read_delimited(io.StringIO(table, newline=""), "general.csv"))
    assert [(row.text, row.sender, row.sent_at, row.source.line) for row in rows] == [
        ('รับสมัครแอดมิน\nงาน "ง่าย" ๆ', "korn#0000", "2025-11-28T08:55:12+07:00", 2),
        ("สนใจ, ค่ะ", "mint", "2025-11-28T08:56:00+07:00", 4),
    ]


def test_the_csv_of_an_old_data_package_is_read_as_a_table():
    table = "ID,Timestamp,Contents,Attachments\n4000,2020-11-28 01:55:12+00:00,รับสมัคร,\n4001,2020-11-28,,https://example.com/a\n"
    rows = list(read_delimited(io.StringIO(table, newline=""), "messages.csv"))
    assert [(row.text, row.sender, row.sent_at) for row in rows] == [
        ("รับสมัคร", None, "2020-11-28T08:55:12+07:00"),
        ("", None, "2020-11-28"),
    ]
