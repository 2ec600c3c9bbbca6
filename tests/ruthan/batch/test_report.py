import re
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ruthan.batch.campaigns import Campaign, CampaignIndicator
from ruthan.batch.report import (
    SHOWN,
    ReportFacts,
    chart,
    csp_hash,
    defanged,
    marked,
    masked_value,
    moment,
    page,
    share,
    write_report,
)
from ruthan.batch.results import ResultsError
from ruthan.batch.summary import Summary, Timeline
from ruthan.dumps.dates import BANGKOK
from ruthan.evidence.reference import hotlines

FACTS = ReportFacts(files=("inbox.csv",), made_at=datetime(2026, 11, 27, 16, 20, tzinfo=BANGKOK), version="9.9")
HOSTILE = {
    "script": "<script>alert(1)</script>",
    "end of style": "</style></script><img src=x onerror=alert(1)>",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "template": "{{ 7 * 7 }}{% raw %}",
    "reversed": "a\u202egpj.exe\u2066b",
    "half character": "\ud800x\udfff",
    "controls": "\x00\x1b[31m\x07",
    "endless": "ก" * 100_000,
    "comment": "<!-- ]]> &amp; &#60;",
}


def evidence(text: str, piece: str, kind: str = "indicator", type_: str = "phone", **details: str) -> dict[str, Any]:
    start = text.index(piece)
    found = {"kind": kind, "type": type_, "text": piece, "start": start, "end": start + len(piece), "details": details}
    return found if kind == "signal" else {**found, "value": piece}


def row(text: str, found: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    return {
        "risk": 0.97,
        "label": "loan",
        "action": "block",
        "evidence": found,
        "reasons": [text[:50]],
        "reasons_en": [text[:50]],
        "needs_help": False,
        "model": "model-1",
        "policy": "policy-1",
        "source": {"file": "inbox.csv", "line": 7},
        "message": {"id": text[:16], "channel": "sms", "sent_at": "2026-11-27T08:54:00+07:00"},
        **changes,
    }


def campaign(text: str | None, found: list[dict[str, Any]], *indicators: tuple[str, str]) -> Campaign:
    return Campaign(
        id="c-3f9a0c21d7e4",
        messages=12,
        texts=3,
        label="loan",
        labels={"loan": 12},
        risk=0.99,
        actions={"block": 12},
        needs_help=0,
        first_seen="2026-11-20T08:00:00+07:00",
        last_seen="2026-11-27T08:00:00+07:00",
        channels={"sms": 12},
        senders=4,
        exemplar=text,
        exemplar_evidence=tuple(found),
        exemplar_source={"file": "inbox.csv", "line": 7},
        indicators=tuple(CampaignIndicator(type=type_, value=value, messages=9) for type_, value in indicators),
    )


class Elements(HTMLParser):
    """Names of elements and attributes of a page, and its policy."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.policy = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"] or ""


def test_the_page_says_what_was_found_in_both_languages() -> None:
    summary = Summary()
    text = "กู้เงินด่วน โทร 081-000-5678"
    summary.add(row(text, [evidence(text, "081-000-5678")]), text)
    html = page(summary, [campaign(text, [evidence(text, "081-000-5678")], ("phone", "+66810005678"))], FACTS)
    assert html.startswith("<!doctype html>")
    for words in ("รายงานผลการตรวจข้อความ", "Message scan report", "หลอกให้กู้เงิน", "Loan scam", "model-1", "policy-1"):
        assert words in html
    assert "27 พ.ย. 2569 16:20 น." in html
    assert html.count('<mark class="indicator"') >= 2


def test_the_policy_allows_the_one_style_and_the_one_script_by_hash_and_nothing_else() -> None:
    html = page(Summary(), [], FACTS)
    [style], [script] = re.findall("<style>(.*?)</style>", html, re.S), re.findall("<script>(.*?)</script>", html, re.S)
    assert Elements(html).policy == (
        f"default-src 'none'; style-src '{csp_hash(style)}'; script-src '{csp_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def test_nothing_on_the_page_leads_elsewhere_or_runs_by_an_attribute() -> None:
    text = "กดเลย https://example.com/x"
    summary = Summary()
    summary.add(row(text, [evidence(text, "https://example.com/x", type_="url")]), text)
    html = page(summary, [campaign(text, [], ("url", "https://example.com/x"))], FACTS)
    elements = Elements(html)
    assert not elements.names & {"a", "img", "iframe", "link", "form", "object", "embed", "base", "video", "audio"}
    assert not {name for name in elements.attributes if name.startswith("on") or name in ("style", "href", "src")}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_content_stays_text_everywhere(text: str, tmp_path: Path) -> None:
    found = [
        {"kind": "indicator", "type": "url", "value": text, "text": text, "start": 0, "end": len(text), "details": {}},
        {"kind": text, "type": text, "text": text, "start": 1, "end": 3, "details": {"strength": "strong"}},
        {"kind": "signal", "type": text, "text": text, "start": 0, "end": 2, "details": {"strength": "strong"}},
    ]
    changes = {"label": "trafficking", "recruitment": {"strong": 1}, "model": text, "policy": text}
    places = {
        "source": {"file": text, "line": 1},
        "message": {"id": "1", "channel": text, "sent_at": text, "text": text},
    }
    summary = Summary()
    summary.add(row(text, found, **changes, **places))
    summary.add(row(text, found, needs_help=True, **places))
    summary.add(row(text, found, label=text, action=text, **places))
    summary.unreadable(text, text, 3)
    summary.notice(text)
    whole = replace(
        campaign(text, found, ("url", text), (text, text)),
        label=text,
        id=text,
        first_seen=text,
        channels={text: 3},
        exemplar_source={"file": text, "line": 1},
    )
    facts = replace(FACTS, files=(text,), version=text, results=text)
    clean = page(Summary(), [], FACTS)
    path = tmp_path / "report.html"
    write_report(path, summary, [whole], facts)
    html = path.read_text(encoding="utf-8")
    known = "mark tr td details summary figure g svg rect title code button bdi h3 b table tbody thead th"
    assert Elements(html).names <= Elements(clean).names | set(known.split())
    assert not {name for name in Elements(html).attributes if name.startswith("on") or name in ("style", "href", "src")}
    assert html.count("<script>") == html.count("</script>") == html.count("<style>") == html.count("</style>") == 1
    assert "49" not in re.sub(r"<style>.*?</style>|<script>.*?</script>|sha256-\S+", "", html, flags=re.S)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", html)
    assert len(html) < 400_000


def test_a_long_text_is_cut_and_the_page_says_so() -> None:
    text = "ข" * 99_000
    html = page(Summary(), [campaign(text, [])], FACTS)
    assert "ข" * SHOWN in html
    assert "ข" * (SHOWN + 1) not in html
    assert "99,000" in html


def test_a_text_is_not_cut_between_a_letter_and_its_marks() -> None:
    text = "ก" * (SHOWN - 1) + "\u0e01\u0e34\u0e48" + "ก" * 50
    assert not marked(text[1:], len(text) - 1, []).html.endswith("\u0e34")


def test_evidence_is_marked_by_code_points_and_overlaps_nest_in_no_broken_way() -> None:
    text = "😀<b>โทรด่วน 081"
    spans = [(1, 12), (4, 11), (0, 3), (12, 15), (14, 99), (-1, 2), (99, 100)]
    found = [
        {"kind": "signal" if number % 2 else "indicator", "type": "phone", "text": "", "start": start, "end": end}
        for number, (start, end) in enumerate(spans)
    ]
    html = str(marked(text, len(text), found).html)
    assert html.count("<mark") == html.count("</mark>")
    assert not re.search("<mark[^>]*>[^<]*<mark", html)
    plain = re.sub("<[^>]*>", "", html)
    assert plain == "😀&lt;b&gt;โทรด่วน 081"


def test_short_evidence_is_seen_upon_long_evidence() -> None:
    found = [
        {"kind": "signal", "type": "urgency", "start": 0, "end": 6},
        {"kind": "signal", "type": "threat", "start": 2, "end": 4},
        {"kind": "indicator", "type": "phone", "start": 5, "end": 6},
    ]
    pieces = re.findall('<mark class="(.*?)"[^>]*>(.*?)</mark>', str(marked("abcdef", 6, found).html))
    assert pieces == [("signal", "ab"), ("signal", "cd"), ("signal", "e"), ("indicator", "f")]


@pytest.mark.parametrize(
    ("type_", "value", "shown"),
    [
        ("url", "https://www.example.com/a.b?c=d.e", "hxxps://www[.]example[.]com/a.b?c=d.e"),
        ("url", "HTTP://example.com:8080", "hxxp://example[.]com:8080"),
        ("url", "example.com", "example[.]com"),
        ("domain", "example.co.th", "example[.]co[.]th"),
        ("line_id", "lin.ee/AbC", "lin[.]ee/AbC"),
        ("line_id", "@hr.x_1", "@hr.x_1"),
        ("email", "a.b@example.com", "a[.]b[@]example[.]com"),
        ("phone", "+66810005678", "+66810005678"),
        ("bank_account", "1234567890", "1234567890"),
    ],
)
def test_what_could_become_a_link_is_shown_defanged(type_: str, value: str, shown: str) -> None:
    assert defanged(type_, value) == shown


def test_indicators_are_shown_defanged_and_copied_as_they_are() -> None:
    text = "กด https://example.com/x"
    summary = Summary()
    summary.add(row(text, [evidence(text, "https://example.com/x", type_="url")]), text)
    html = page(summary, [], FACTS)
    assert 'data-copy="https://example.com/x"' in html
    assert html.count("https://example.com/x") == html.count('data-copy="https://example.com/x"')
    assert "hxxps://example[.]com/x" in html


def test_a_link_that_was_not_recognised_cannot_be_followed_either() -> None:
    assert str(marked("ดู HTTPS://x นะ", 15, []).html) == "ดู hxxpS://x นะ"


def test_of_a_masked_run_texts_are_masked() -> None:
    text = "โทร 081-000-5678 นะ"
    summary = Summary()
    summary.add(row("", [], needs_help=True), text)
    summary.add(row("", [], message={"id": "2"}), text)
    html = page(summary, [campaign(text, [])], replace(FACTS, masked=True))
    assert html.count("081-xxx-x678") == 4
    assert "081-000-5678" not in html
    assert "081-000-5678" in page(summary, [campaign(text, [])], FACTS)


def test_contacts_of_recruiters_and_citizen_ids_are_masked_in_any_run() -> None:
    found = [
        {"kind": "indicator", "type": "phone", "value": "+66810005678", "text": "", "start": 0, "end": 0},
        {"kind": "indicator", "type": "citizen_id", "value": "1234567890121", "text": "", "start": 0, "end": 0},
    ]
    summary = Summary()
    summary.add(row("", found, label="trafficking"))
    html = page(summary, [], FACTS)
    assert "+668xxxxx678" in html
    assert "1234567890121" not in html
    assert "1xxxxxxxxxxx1" in html


def test_what_a_campaign_with_a_plea_names_may_be_theirs_and_is_not_listed() -> None:
    found = campaign("ช่วยด้วย", [], ("phone", "+66810005678"))
    assert "+66810005678" in page(Summary(), [found], FACTS)
    for other in (replace(found, needs_help=1), replace(found, label="benign")):
        assert "+66810005678" not in page(Summary(), [other], FACTS)


def test_a_masked_report_masks_what_its_rows_did_not_and_leaves_alone_what_they_did() -> None:
    summary = Summary()
    for value in ("1234567890", "xxx-x-x1234-x"):
        found = {"kind": "indicator", "type": "bank_account", "value": value, "text": "", "start": 0, "end": 0}
        summary.add(row(value, [found]))
    html = page(summary, [], replace(FACTS, masked=True))
    assert 'data-copy="xxxxx6789x"' in html
    assert 'data-copy="xxx-x-x1234-x"' in html


def test_a_malformed_address_is_masked_whole() -> None:
    assert masked_value("email", "somebody") == "xxxxxxxx"


def test_pleas_come_first_with_the_hotlines_and_without_a_label() -> None:
    summary = Summary()
    text = "ช่วยด้วย ถูกขังอยู่"
    summary.add(row(text, [evidence(text, "ช่วยด้วย", "signal", "plea")], needs_help=True, label="benign"), text)
    html = page(summary, [], FACTS)
    urgent = html[html.index('<section class="urgent">') :].split("</section>")[0]
    assert "ช่วยด้วย" in urgent
    numbers = re.findall(r"<b>(\d+)</b>", urgent)
    assert {"191", "1300", "1191", "1599"} <= set(numbers)
    assert set(numbers) <= set(hotlines())
    assert html.index('<section class="urgent">') < html.index("ภาพรวม")


def test_without_pleas_there_is_no_urgent_box_but_the_numbers_stand() -> None:
    html = page(Summary(), [], FACTS)
    assert '<section class="urgent">' not in html
    assert "1300" in html


def test_a_report_of_nothing_and_of_a_stopped_run_can_be_read() -> None:
    html = page(Summary(), [], replace(FACTS, files=(), complete=False))
    assert "ไม่พบสัญญาณเตือนในข้อความที่ตรวจ" in html
    assert "การตรวจหยุดลงก่อนจบ" in html


def test_texts_are_shown_only_if_they_are_given() -> None:
    summary = Summary()
    summary.add(row("", []))
    html = page(summary, [campaign(None, [])], FACTS)
    assert 'class="message"' not in html
    assert "ไม่ได้เก็บตัวข้อความไว้" in html


def test_what_was_not_read_is_named_by_file_and_line() -> None:
    summary = Summary()
    summary.unreadable("too long", "a.csv", 12)
    summary.notice("sticker")
    html = page(summary, [], FACTS)
    assert "a.csv:12" in html
    assert "too long" in html
    assert "สติกเกอร์" in html


def test_the_same_input_gives_the_same_page() -> None:
    def made() -> str:
        summary = Summary()
        for number in range(40):
            text = f"ด่วน 081-000-{number % 9:04}"
            found = [evidence(text, text[5:]), evidence(text, "ด่วน", "signal", "urgency", strength="weak")]
            summary.add(row(text, found, label="trafficking", recruitment={"weak": 1}), text)
        return page(summary, [], FACTS)

    assert made() == made()


def test_a_file_that_cannot_be_written_is_a_plain_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot write"):
        write_report(tmp_path / "missing" / "report.html", Summary(), [], FACTS)
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ResultsError):
        write_report(tmp_path / "report.html", Summary(), [], FACTS)
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_the_chart_keeps_gaps_and_shows_one_among_many() -> None:
    timeline = Timeline()
    for _ in range(10_000):
        timeline.add("2026-11-01T12:00:00+07:00", False, "allow")
    timeline.add("2026-11-05T12:00:00+07:00", True, "block")
    drawn = chart(timeline)
    assert drawn is not None
    assert (drawn.unit, len(drawn.bars), drawn.most) == ("day", 2, 10_000)
    first, last = drawn.bars
    assert (round(last.x - first.x), first.height, last.height, last.harmful_height) == (800, 160, 2, 2)
    assert drawn.peak is last


@pytest.mark.parametrize(("last", "unit"), [("2026-12-31", "day"), ("2028-01-01", "month"), ("2046-01-01", "year")])
def test_a_longer_time_is_drawn_in_longer_units(last: str, unit: str) -> None:
    timeline = Timeline()
    for day in ("2026-10-30", last):
        timeline.add(f"{day}T12:00:00+07:00", True, "block")
    drawn = chart(timeline)
    assert drawn is not None
    assert drawn.unit == unit


def test_times_are_written_as_thais_and_as_english_readers_write_them() -> None:
    assert moment("2026-11-27T08:54:00+07:00", "th") == "27 พ.ย. 2569 08:54 น."
    assert moment("2026-11-27T08:54:00+07:00", "en") == "27 Nov 2026 08:54"
    assert moment("2026", "th") == "2569"
    assert [moment(text, "th") for text in ("2026-13", "yesterday", None)] == ["2026-13", "yesterday", ""]


def test_shares_are_never_rounded_to_nothing_or_to_all() -> None:
    assert [share(*each) for each in ((1, 3), (1, 10**6), (10**6 - 1, 10**6), (2, 2), (0, 5), (0, 0))] == [
        "33.3%", "<0.1%", ">99.9%", "100.0%", "0.0%", "–",
    ]  # fmt: skip
