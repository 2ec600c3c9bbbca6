"""Invented dumps: the same for the same arguments, as varied as asked for, and well formed for other programs."""

import csv
import gzip
import io
import json
import mailbox
import re
import subprocess
import sys
import zipfile
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
import zstandard

from benchmarks.dump_entries import NOTICE_KINDS, Entry, entries
from benchmarks.dump_formats import CHANNEL_OF, FORMS, NAMES, Written, one_line, write_dump

ROOT = Path(__file__).parents[1]


def messages_of(made: list[Entry]) -> list[Entry]:
    return [entry for entry in made if entry.notice is None]


@pytest.fixture(scope="module")
def many() -> list[Entry]:
    return list(entries(4_000, 3, 0.1, "chat"))


@pytest.mark.parametrize("channel", [None, "chat", "sms", "email"])
@pytest.mark.parametrize("distinct", [0.01, 0.05, 0.5, 1.0])
def test_there_are_as_many_messages_and_distinct_texts_as_asked_for(channel: str | None, distinct: float) -> None:
    messages = messages_of(list(entries(1_000, 5, distinct, channel)))
    assert len(messages) == 1_000
    assert len({entry.text for entry in messages}) == pytest.approx(1_000 * distinct, abs=2)
    assert all(entry.text.strip() == entry.text != "" and "{" not in entry.text for entry in messages)
    assert channel is None or {entry.channel for entry in messages} == {channel}


def test_no_messages_are_no_entries() -> None:
    assert list(entries(0, 1)) == []
    with pytest.raises(ValueError, match="share of distinct texts"):
        list(entries(10, 1, 0))


def test_other_seeds_make_other_dumps() -> None:
    assert list(entries(50, 1)) == list(entries(50, 1))
    assert list(entries(50, 1)) != list(entries(50, 2))


def test_most_messages_are_honest_and_notices_are_mixed_in(many: list[Entry]) -> None:
    messages = messages_of(many)
    assert 0.9 <= sum(entry.label == "benign" for entry in messages) / len(messages) <= 0.96
    notices = [entry for entry in many if entry.notice is not None]
    assert {entry.notice for entry in notices} == set(NOTICE_KINDS)
    assert 0.04 * len(messages) < len(notices) < 0.08 * len(messages)
    assert all(entry.text == "" and entry.label is None for entry in notices)


def test_repeats_have_a_long_tail(many: list[Entry]) -> None:
    times = sorted(Counter(entry.text for entry in messages_of(many)).values(), reverse=True)
    assert times[0] > 100
    assert sum(times[:20]) > 0.3 * 4_000
    assert sum(count <= 3 for count in times) > 0.3 * len(times)


def test_entries_come_in_order_of_time(many: list[Entry]) -> None:
    assert all(one.sent_at <= next_one.sent_at for one, next_one in pairwise(many))
    assert all(entry.sent_at.utcoffset() and entry.sent_at.microsecond == 0 for entry in many)


def test_a_campaign_is_near_copies_with_one_line_id_or_domain_of_several_senders_over_some_days(
    many: list[Entry],
) -> None:
    campaigns = defaultdict(list)
    for entry in many:
        if entry.campaign is not None:
            campaigns[entry.campaign].append(entry)
    large = [found for found in campaigns.values() if len(found) >= 20]
    assert len(large) >= 3
    honest = {entry.sender for entry in many if entry.label == "benign"}
    for found in large:
        assert len({entry.label for entry in found}) == 1
        assert 3 <= len({entry.sender for entry in found}) <= 6
        assert not honest & {entry.sender for entry in found}
        assert len({entry.text for entry in found}) > 1
        masked = {re.sub(r"(?<=/)[A-Za-z0-9]{6}\b|[0-9][0-9., -]*", "#", entry.text)[:40] for entry in found}
        assert len(masked) < len(found)
        assert (found[-1].sent_at - found[0].sent_at).days <= 10
    assert max((found[-1].sent_at - found[0].sent_at).days for found in large) >= 1


@pytest.mark.parametrize("ending", ["", ".gz", ".zst", ".zip"])
@pytest.mark.parametrize("form", FORMS)
def test_the_same_arguments_make_the_same_bytes(form: str, ending: str, tmp_path: Path) -> None:
    dumps = []
    for name in ("one", "two"):
        path = tmp_path / name / (NAMES[form] + ending)
        path.parent.mkdir()
        written = write_dump(path, form, entries(40, 9, 0.5, CHANNEL_OF[form]))
        assert written.messages == 40
        dumps.append(path.read_bytes())
    assert dumps[0] == dumps[1]


@pytest.mark.parametrize("form", ["line", "facebook", "telegram-account", "sms-xml", "mbox", "csv", "jsonl", "xlsx"])
def test_a_dump_of_nothing_is_well_formed(form: str, tmp_path: Path) -> None:
    path = tmp_path / NAMES[form]
    assert write_dump(path, form, []) == Written(0, 0)
    if path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))
    if path.suffix == ".xml":
        assert len(ElementTree.parse(path).getroot()) == 0


def written_to(path: Path, form: str, number: int = 200) -> tuple[list[Entry], Written]:
    made = list(entries(number, 4, 0.5, CHANNEL_OF[form]))
    return made, write_dump(path, form, made)


def test_json_documents_hold_every_entry(tmp_path: Path) -> None:
    for form, text in (("telegram", "text"), ("discord", "content"), ("messenger-e2ee", "text")):
        made, written = written_to(tmp_path / form, form)
        content = json.loads((tmp_path / form).read_text(encoding="utf-8"))
        assert len(content["messages"]) == len(made) == written.messages + written.notices
        first = content["messages"][0][text]
        whole = (
            first
            if isinstance(first, str)
            else "".join(each if isinstance(each, str) else each["text"] for each in first)
        )
        assert whole == made[0].text
    made, _ = written_to(tmp_path / "json", "json")
    rows = json.loads((tmp_path / "json").read_text(encoding="utf-8"))
    assert [row["text"] for row in rows] == [entry.text for entry in messages_of(made)]


def test_an_account_of_telegram_holds_each_chat_once(tmp_path: Path) -> None:
    made, _ = written_to(tmp_path / "account", "telegram-account")
    chats = json.loads((tmp_path / "account").read_text(encoding="utf-8"))["chats"]["list"]
    assert {chat["name"]: len(chat["messages"]) for chat in chats} == Counter(entry.thread for entry in made)


def test_facebook_has_the_newest_message_first_in_its_broken_encoding(tmp_path: Path) -> None:
    made, _ = written_to(tmp_path / "facebook", "facebook", 150)
    content = json.loads((tmp_path / "facebook").read_bytes().decode("ascii"))
    texts = [
        each["content"].encode("latin-1").decode()
        for each in content["messages"]
        if "sender_name" in each and "content" in each
    ]
    words = [text for text in texts if "named the group" not in text and "missed your call" not in text]
    assert words == [entry.text for entry in reversed(messages_of(made))]


def test_blocks_of_facebook_follow_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.dump_formats.BLOCK", 50)
    for number in (49, 50, 51, 200):
        made, _ = written_to(tmp_path / "facebook", "facebook", number)
        times = [each["timestamp_ms"] for each in json.loads((tmp_path / "facebook").read_text())["messages"]]
        assert len(times) == len(made)
        assert times == sorted(times, reverse=True)


def test_the_sms_backup_is_xml_once_the_halves_of_emoji_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "sms.xml"
    made, written = written_to(path, "sms-xml", 600)
    content = path.read_text(encoding="utf-8")
    pair = re.compile(r"&#(5[56]\d\d\d);&#(5[67]\d\d\d);")
    assert pair.search(content)
    joined = pair.sub(lambda at: f"&#{0x10000 + (int(at[1]) - 0xD800) * 1024 + int(at[2]) - 0xDC00};", content)
    root = ElementTree.fromstring(joined)
    assert len(root) == int(root.attrib["count"]) == written.messages + written.notices
    assert {child.tag for child in root} == {"sms", "mms"}
    bodies = [
        child.get("body") or next(part.get("text") for part in child.iter("part") if part.get("seq") == "0")
        for child in root
    ]
    assert [body for body in bodies if body != "null"] == [entry.text for entry in messages_of(made)]


@pytest.mark.parametrize(
    ("form", "delimiter", "text"), [("csv", ",", 4), ("tsv", "\t", 4), ("discord-csv", ",", 3), ("ios-csv", ",", 12)]
)
def test_tables_are_read_by_the_csv_module(form: str, delimiter: str, text: int, tmp_path: Path) -> None:
    made, written = written_to(tmp_path / "table", form)
    content = (tmp_path / "table").read_bytes().decode("utf-8-sig")
    header, *rows = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    assert {len(row) for row in rows} == {len(header)}
    assert len(rows) == written.messages + written.notices
    assert [row[text] for row in rows if row[text]] == [entry.text for entry in messages_of(made)]


def test_json_lines_and_text_hold_one_message_a_line(tmp_path: Path) -> None:
    made, _ = written_to(tmp_path / "lines", "jsonl")
    lines = (tmp_path / "lines").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line)["text"] for line in lines if line] == [entry.text for entry in messages_of(made)]
    made, _ = written_to(tmp_path / "text", "text")
    lines = (tmp_path / "text").read_text(encoding="utf-8").split("\n")
    assert lines[:-1] == [one_line(entry.text) for entry in messages_of(made)]


def test_a_mailbox_is_read_by_the_mailbox_module(tmp_path: Path) -> None:
    made, written = written_to(tmp_path / "mbox", "mbox")
    box = mailbox.mbox(tmp_path / "mbox")
    assert len(box) == written.messages + written.notices
    assert [mail["From"] for mail in box if mail.get_content_type() != "multipart/mixed"] == [
        entry.sender for entry in messages_of(made)
    ]
    box.close()


@pytest.mark.parametrize("form", ["line", "whatsapp-android", "jsonl", "parquet", "xlsx"])
def test_a_compressed_dump_holds_the_plain_one(form: str, tmp_path: Path) -> None:
    made, _ = written_to(tmp_path / "plain", form)
    plain = (tmp_path / "plain").read_bytes()
    for ending in (".gz", ".zst", ".zip"):
        write_dump(tmp_path / f"packed{ending}", form, made)
    assert gzip.decompress((tmp_path / "packed.gz").read_bytes()) == plain
    assert zstandard.ZstdDecompressor().decompressobj().decompress((tmp_path / "packed.zst").read_bytes()) == plain
    with zipfile.ZipFile(tmp_path / "packed.zip") as archive:
        assert archive.namelist() == [NAMES[form]]
        assert archive.read(NAMES[form]) == plain


@pytest.mark.parametrize("form", FORMS)
def test_labels_stand_in_the_side_file_only(form: str, tmp_path: Path) -> None:
    made = list(entries(60, 2, 0.9, CHANNEL_OF[form]))
    labels = io.StringIO()
    written = write_dump(tmp_path / "dump", form, made, labels)
    rows = list(csv.DictReader(io.StringIO(labels.getvalue())))
    assert len(rows) == written.messages + written.notices
    assert Counter(row["label"] for row in rows if row["label"]) == Counter(entry.label for entry in messages_of(made))
    places = [int(row["line"]) for row in rows]
    assert places == sorted(set(places))
    plain = b"" if form in ("xlsx", "parquet") else (tmp_path / "dump").read_bytes()
    assert not any(label in plain for label in (b"benign", b"campaign", b"task_job", b"mule_account", b"bank_phishing"))


def test_places_of_labels_are_the_lines_of_the_entries(tmp_path: Path) -> None:
    made = [entry for entry in entries(200, 2, 0.9, "chat") if entry.notice is None]
    labels = io.StringIO()
    write_dump(tmp_path / "chat.txt", "line-old", made, labels)
    lines = (tmp_path / "chat.txt").read_text(encoding="utf-8").split("\n")
    for row, entry in zip(csv.DictReader(io.StringIO(labels.getvalue())), made, strict=True):
        assert lines[int(row["line"]) - 1].endswith(f"\t{entry.sender}\t{entry.text.partition(chr(10))[0]}")
        assert row["label"] == entry.label


def test_it_runs_as_a_command(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(ROOT / "benchmarks/make_dump.py"),
        str(tmp_path / "chats.txt.gz"),
        "--format",
        "line",
    ]
    done = subprocess.run(
        [*command, "--messages", "20", "--seed", "1", "--labels", str(tmp_path / "labels.csv")],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert "20 messages" in done.stdout
    assert gzip.decompress((tmp_path / "chats.txt.gz").read_bytes()).decode().startswith("[LINE] ")
    assert (tmp_path / "labels.csv").read_text().startswith("line,label,campaign\n")
