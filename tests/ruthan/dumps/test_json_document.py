import io
import json
from random import Random

import pytest

from ruthan.dumps.discord import read_discord
from ruthan.dumps.json_document import read_json_document
from ruthan.dumps.json_stream import MAX_STRING
from ruthan.dumps.meta import read_meta
from ruthan.dumps.rows import NOT_IN_ENCODING, TOO_LONG, Unreadable
from ruthan.dumps.telegram import read_telegram
from ruthan.errors import DumpError
from ruthan.message import Message, Source


def read(document, field=None):
    raw = document if isinstance(document, bytes) else json.dumps(document, ensure_ascii=False).encode()
    return list(read_json_document(io.BytesIO(raw), "list.json", field))


def texts(document, field=None):
    return [row.text if isinstance(row, Message) else "!" for row in read(document, field)]


def test_a_list_of_strings_is_a_message_each():
    assert read(["หนึ่ง", "สอง"]) == [
        Message("หนึ่ง", source=Source("list.json", 1)),
        Message("สอง", source=Source("list.json", 2)),
    ]


def test_a_list_of_objects_is_a_message_each_with_what_else_is_known():
    entry = {"id": 1, "Body": "ด่วน", "From": "0810005678", "date": 1764294912345, "channel": "sms", "thread_id": "7"}
    assert read([entry]) == [
        Message("ด่วน", "sms", "0810005678", "2025-11-28T08:55:12+07:00", "7", Source("list.json", 1))
    ]


@pytest.mark.parametrize("name", ["text", "message", "Message Text", "BODY", "content", "ข้อความ", "เนื้อหา"])
def test_the_text_is_found_by_its_name(name):
    assert texts([{"other": "x", name: "ก"}]) == ["ก"]


def test_the_likelier_name_goes_first_and_one_that_is_no_string_is_passed_over():
    assert texts([{"body": "x", "text": "ก"}]) == ["ก"]
    assert texts([{"body": "ก", "text": {"a": 1}}]) == ["ก"]


def test_the_user_may_name_the_field():
    assert texts([{"text": "x", "note": "ก"}, {"text": "x"}, {"note": 5}], "note") == ["ก", "!", "!"]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (1764294912, "2025-11-28T08:55:12+07:00"),
        ("1764294912345", "2025-11-28T08:55:12+07:00"),
        ("28/11/2568 08:55", "2025-11-28T08:55:00+07:00"),
        (5, None),
        (10**30, None),
        (True, None),
        ("²", "²"),
        ([], None),
    ],
)
def test_times_are_understood_or_kept(time, expected):
    assert read([{"text": "ก", "time": time}])[0].sent_at == expected


def test_an_object_around_the_list_is_no_obstacle():
    assert texts({"version": 2, "meta": {"list": ["x"]}, "data": [{"text": "ก"}, "ข"], "total": 2}) == ["ก", "ข"]


def test_lists_without_a_text_are_reported_and_the_next_one_is_read():
    document = {"users": [{"id": 1}, {"id": 2}], "none": [], "messages": ["ก", "ข"]}
    assert texts(document) == ["!", "!", "ก", "ข"]


def test_a_list_behind_the_messages_is_reported_once():
    rows = read({"messages": ["ก"], "empty": [], "tags": ["x", "y"], "more": ["z"]})
    assert [row.source.line for row in rows] == [1, 2, 4]
    assert [type(row).__name__ for row in rows] == ["Message", "Unreadable", "Unreadable"]


ODD = [None, True, 5, 1.5, [], ["ก"], {}, {"a": "ก"}, {"text": None}, {"text": 5}, {"text": ["ก"]}, {"message": {}}]


def test_entries_without_a_text_are_unreadable_with_the_reason():
    rows = read([*ODD, "ก"])
    assert [row.source.line for row in rows] == list(range(1, len(ODD) + 2))
    assert all(isinstance(row, Unreadable) for row in rows[:-1])
    assert rows[0].reason == "a JSON null where an object or a string is expected"
    assert rows[7].reason.startswith("no field text, message")
    assert rows[9].reason == "the field 'text' is a JSON number, not a string"
    assert rows[-1].text == "ก"


def test_reasons_hold_nothing_of_the_entry():
    reasons = [row.reason for row in read([{"ลับ": "ลับ"}, {"text": ["ลับ"]}, ["ลับ"]])]
    assert not any("ลับ" in reason for reason in reasons)


@pytest.mark.parametrize("indent", [None, 0, 4])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp874"])
def test_any_layout_and_encoding_of_a_document_is_read(encoding, indent):
    entries = [{"text": "ขอเบอร์ไลน์หน่อยค่ะ"}, {"text": "โอนเงินด่วน"}]
    raw = json.dumps(entries, ensure_ascii=False, indent=indent).encode(encoding)
    assert texts(raw) == ["ขอเบอร์ไลน์หน่อยค่ะ", "โอนเงินด่วน"]


def test_line_breaks_inside_strings_are_kept():
    assert texts('["ก\n\tข\r\n\x01"]'.encode()) == ["ก\n\tข\r\n\x01"]


def test_what_json_has_no_word_for_is_read_as_nothing():
    assert texts(b'[{"text": "a", "n": NaN}, {"text": "Infinity NaN", "n": -Infinity}, NaN]') == [
        "a",
        "Infinity NaN",
        "!",
    ]


def test_half_emoji_damaged_bytes_and_endless_texts_stay_alone():
    raw = '["\\ud83d กดลิงก์", "เสีย", {"text": "%s"}, "ท้าย", "\\\\ud83d", "\\ufdd0\\ufdd1\ufdd0"]'
    rows = read((raw % ("a" * (MAX_STRING + 1))).encode().replace("เสีย".encode(), b"\xe0\xb9"))
    assert [getattr(row, "text", getattr(row, "reason", None)) for row in rows] == [
        "\ufffd กดลิงก์",
        NOT_IN_ENCODING,
        TOO_LONG,
        "ท้าย",
        "\\ud83d",
        "\ufffd" * 3,
    ]
    assert rows[0].text.encode()


def test_a_text_of_just_the_longest_length_is_read():
    assert [len(text) for text in texts(["ก" * MAX_STRING, "b"])] == [MAX_STRING, 1]


def test_a_key_without_end_does_not_matter():
    assert texts(b'[{"%s": 1, "text": "a"}, "b"]' % (b"k" * (MAX_STRING + 100_000))) == ["a", "b"]


def test_the_last_of_duplicate_keys_holds():
    assert texts(b'[{"text": "a", "text": "b"}]') == ["b"]


@pytest.mark.parametrize("nested", [b"[" * 30_000 + b"]" * 30_000, b'{"a":' * 30_000 + b"1" + b"}" * 30_000])
def test_deep_nesting_is_one_unreadable_entry_or_none(nested):
    assert texts(b'["a", %s, "b"]' % nested)[::2] == ["a", "b"]
    assert texts(b'["a", {"text": %s}, "b"]' % nested) == ["a", "!", "b"]
    assert texts(b'["a", {"x": %s, "text": "c"}, "b"]' % nested) == ["a", "c", "b"]
    assert texts(b'{"x": {"y": %s}, "list": ["a"]}' % nested) == ["a"]


def test_a_file_that_breaks_off_anywhere_keeps_what_was_read_and_says_so():
    raw = json.dumps(["หนึ่ง", {"text": "สอง \ud83d"}, 5, "สี่"]).encode()
    whole = read(raw)
    for end in range(1, len(raw)):
        rows = read(raw[:end])
        assert rows[:-1] == whole[: len(rows) - 1]
        assert isinstance(rows[-1], Unreadable)
        assert "the file ends" in rows[-1].reason
        assert rows[-1].source.line == len(rows)


@pytest.mark.parametrize("tail", [b"x", b"\x00\x00", b'["b"]', b"]", b"}"])
def test_what_follows_the_document_is_reported(tail):
    rows = read(b'["a"]' + tail)
    assert [row.source.line for row in rows] == [1, 2]
    assert rows[1].reason == "invalid JSON after entry 1; what follows could not be read"


@pytest.mark.parametrize(
    "document", [b"", b" \n", b"\xef\xbb\xbf", b"{}", b'{"a": 1}', b'"x"', b"5", b"{", b"text", b"<a>"]
)
def test_a_document_without_a_list_is_refused(document):
    with pytest.raises(DumpError, match="^list.json: "):
        read(document)


def test_an_empty_list_is_no_error():
    assert read([]) == []
    assert read({"messages": []}) == []


HARD_STRINGS = [
    "ก",
    "\\",
    '"',
    "\ud83d",
    "\ude00",
    "😀",
    "\\u0e01",
    "\n",
    "NaN",
    "",
    "\u2028",
    "[{",
    "0" * 1_200,
    "é",
    "/",
]


def test_strings_come_out_as_the_standard_library_reads_them(monkeypatch):
    random = Random(6)
    for _ in range(150):
        strings = ["".join(random.choices(HARD_STRINGS, k=random.randrange(12))) for _ in range(8)]
        entries = [{"n": 10**30, "x": [1.5, None, True], "text": text} for text in strings]
        raw = json.dumps(entries, indent=random.choice([None, 1])).encode()
        monkeypatch.setattr("ruthan.dumps.json_stream._BLOCK", random.randrange(1, 90))
        expected = [
            entry["text"].encode("utf-16", "surrogatepass").decode("utf-16", "replace") for entry in json.loads(raw)
        ]
        assert texts(raw) == expected


def test_no_damage_raises_anything_but_what_the_user_is_told():
    random = Random(7)
    document = {"messages": [{"type": "message", "text": "กดลิงก์ \ud83d", "n": 5}, "ข", ["a"], None] * 3, "name": "x"}
    whole = json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
    for read_any in (read_json_document, read_telegram, read_meta, read_discord):
        for _ in range(250):
            raw = bytearray(whole)
            for _ in range(random.randrange(1, 4)):
                raw[random.randrange(len(raw))] = random.choice(b'"\\[]{},:0Ne\x00\x80\xe0\xff\n')
            try:
                rows = list(read_any(io.BytesIO(bytes(raw)), "list.json"))
            except DumpError:
                continue
            assert [row.source.line for row in rows] == list(range(1, len(rows) + 1))
            assert all(row.text.encode() for row in rows if isinstance(row, Message) and row.text)
