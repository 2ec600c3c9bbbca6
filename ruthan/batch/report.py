"""Write what a scan found as one page for the people who act on it: in Thai and English, without any connection.

Nothing on the page can be clicked through to elsewhere, and a strict content-security policy keeps it so. Whatever
comes out of a dump is shown as text: characters that steer the reading direction or the terminal become �, links are
written hxxps://example[.]com, and texts run to `SHOWN` characters.
"""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from ruthan import __version__
from ruthan.batch.campaigns import Campaign
from ruthan.batch.join_keys import is_masked
from ruthan.batch.results import replacing
from ruthan.batch.summary import KEPT_CHARACTERS, OTHERS, Bucket, Summary, Timeline
from ruthan.dumps.dates import BANGKOK
from ruthan.evidence.signals import default_signals
from ruthan.masking import mask, mask_evidence
from ruthan.reasons import default_sentences
from ruthan.taxonomy import BENIGN, default_taxonomy
from ruthan.verdict import Evidence

CAMPAIGNS, INDICATORS, CONTACTS = 20, 50, 20  # that are shown
CAMPAIGN_INDICATORS = 8  # of one campaign
SHOWN = 2_000  # characters of a text
SHOWN_NAME = 300  # characters of a file name, an indicator or the like
COPIED = 2_000  # characters of an indicator that go to the clipboard
MOST_DAYS, MOST_MONTHS = 93, 60  # bars of a chart; a longer time is drawn in months, then in years
_CHART = (1000, 160)  # width and height, in units that are stretched to the page

# Controls but tab and line feed, marks that turn the reading direction around, halves of characters.
_HARMFUL_TO_SHOW = dict.fromkeys(
    (*range(9), 11, 12, *range(14, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E)
    + (0x200F, *range(0xD800, 0xE000)),
    "\ufffd",
)
# What of an identifier stays, even where the rest is shown as written.
_ALWAYS_MASKED = frozenset({"citizen_id"})
_HOST = re.compile(r"(?:[\w-]{1,63}\.){1,10}[a-z]{2,24}(?::\d{1,5})?(?=[/?#]|$)", re.IGNORECASE)
_NAMED_HOST = re.compile(r"(?<![\w.-])(?:[a-z0-9-]{1,63}\.){1,10}[a-z]{2,24}(?![\w-])", re.IGNORECASE | re.ASCII)
_SCHEME = re.compile(r"\bhttp(s?://)", re.IGNORECASE)
_MONTHS_TH = "ม.ค. ก.พ. มี.ค. เม.ย. พ.ค. มิ.ย. ก.ค. ส.ค. ก.ย. ต.ค. พ.ย. ธ.ค.".split()
_MONTHS_EN = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_SEVERITY = {"critical": 4, "high": 3, "medium": 2, "low": 1, "none": 0}
_DRAWN_FIRST = {"signal": 0, "disguise": 1, "indicator": 2}  # what is drawn later covers what is under it


@dataclass(frozen=True)
class ReportFacts:
    """What the report says about itself.

    :param files: the dumps that were read, as the user named them.
    :param made_at: when, with its zone.
    :param version: of ruthan.
    :param masked: the run hid what identifies people: the report hides it in texts, too.
    :param results: the file of all result rows, if one was written.
    :param review: the risk from which the policy has a person look, if it is one for all channels.
    :param block: the risk from which it holds a message back.
    :param complete: whether the scan ran to its end.
    """

    files: Sequence[str]
    made_at: datetime = field(default_factory=lambda: datetime.now(BANGKOK).replace(microsecond=0))
    version: str = __version__
    masked: bool = False
    results: str | None = None
    review: float | None = None
    block: float | None = None
    complete: bool = True


def write_report(path: Path, summary: Summary, campaigns: Sequence[Campaign], about: ReportFacts) -> None:
    """Write the report to `path`, whole or not at all.

    :raises ResultsError: the file cannot be written.
    """
    content = page(summary, campaigns, about).encode("utf-8", "replace")
    with replacing(path) as file:
        file.write(content)


def page(summary: Summary, campaigns: Sequence[Campaign], about: ReportFacts) -> str:
    """The report in HTML."""
    first = campaigns[:CAMPAIGNS]
    html: str = _template().render(
        summary=summary,
        about=about,
        campaigns=first,
        campaigns_in_all=len(campaigns),
        campaign_messages=sum(each.messages for each in first),
        chart=chart(summary.timeline),
        labels=sorted(summary.labels.items(), key=lambda item: (item[0] == BENIGN, -item[1].messages, item[0])),
        channels=sorted(summary.channels.items(), key=lambda item: (-item[1].messages, item[0])),
        most_of_a_class=max((each.messages for each in summary.labels.values()), default=0),
        most_of_a_channel=max((each.messages for each in summary.channels.values()), default=0),
        hotlines_checked=default_sentences().checked,
        limits={
            "indicators": INDICATORS,
            "contacts": CONTACTS,
            "campaign_indicators": CAMPAIGN_INDICATORS,
            "copied": COPIED,
            "signs": _signs,
        },
        names=_names(),
        marked=lambda text, length, evidence: marked(
            mask(text[:KEPT_CHARACTERS]) if about.masked else text, length, evidence
        ),
        to_show=lambda type_, value: masked_value(type_, value) if type_ in _ALWAYS_MASKED or about.masked else value,
        masked_value=masked_value,
        always_masked=_ALWAYS_MASKED,
    )
    return html.lstrip()


@cache
def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) or not isinstance(value, str) else shown(value),
    )
    environment.filters |= {
        "csp_hash": csp_hash,
        "number": lambda number: f"{number:,}",
        "share": share,
        "shown": shown,
        "cut": cut,
        "unlinked": unlinked,
        "defanged_as": lambda value, type_: defanged(type_, value),
        "moment": moment,
        "wide": lambda number, most: f"{100 * number / most:.2f}%" if most else "0",
    }
    return environment.get_template("report.html")


def csp_hash(content: str) -> str:
    """What a content-security policy calls an inline style or script by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode('ascii')}"


def shown(text: str) -> str:
    r"""Text without what upsets the reading of others; as long as before.

    >>> shown("a\u202eb\ud800")
    'a�b�'
    """
    return text.translate(_HARMFUL_TO_SHOW)


def cut(text: str, most: int = SHOWN_NAME) -> str:
    """The beginning of a name that is too long to show; a file's name ends in what tells it from others, so that of
    long names both ends stay.
    """
    if len(text) <= most:
        return text
    return f"{text[: most // 2]} … {text[-most // 2 :]}"


def share(part: int, whole: int) -> str:
    """Per cent, to a tenth; never rounded to nothing or to all.

    >>> share(1, 3), share(1, 100_000), share(99_999, 100_000), share(0, 0)
    ('33.3%', '<0.1%', '>99.9%', '–')
    """
    if not whole:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "<0.1%"
    if 99.9 < percent < 100:
        return ">99.9%"
    return f"{percent:.1f}%"


def defanged(type_: str, value: str) -> str:
    """An indicator so that no program makes a link of it: links as hxxps://example[.]com, addresses as a[@]b[.]com.

    >>> defanged("url", "https://example.com/a.b"), defanged("line_id", "lin.ee/x"), defanged("phone", "+66810005678")
    ('hxxps://example[.]com/a.b', 'lin[.]ee/x', '+66810005678')
    """
    if type_ == "email":
        return value.replace("@", "[@]").replace(".", "[.]")
    scheme, separator, rest = value.partition("://")
    if not separator:
        scheme, rest = "", value
        if type_ != "url" and not _HOST.match(value):
            return value
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    scheme = re.sub("^http", "hxxp", scheme, flags=re.IGNORECASE)
    return f"{scheme}{separator}{host.replace('.', '[.]')}{rest[len(host) :]}"


def unlinked(text: str) -> str:
    """A sentence so that no program makes a link of what it names.

    >>> unlinked("to https://example.com/x and example.org")
    'to hxxps://example[.]com/x and example[.]org'
    """
    return _NAMED_HOST.sub(lambda match: match[0].replace(".", "[.]"), _SCHEME.sub(r"hxxp\1", text))


def masked_value(type_: str, value: str) -> str:
    """An indicator with what identifies people hidden; one that is hidden already stays as it is."""
    if is_masked(type_, value):
        return value
    if type_ == "email" and "@" not in value:
        return "x" * len(value)
    [masked] = mask_evidence((Evidence("indicator", type_, value, "", 0, 0),), "")
    return masked.value


def moment(text: str | None, language: str) -> str:
    """A time or a day as a reader of the language writes it; Thai with the years of the Buddhist era. What is no ISO
    date stays as it is.

    >>> moment("2026-11-27T08:54:00+07:00", "th"), moment("2026-11", "en"), moment("yesterday", "th")
    ('27 พ.ย. 2569 08:54 น.', 'Nov 2026', 'yesterday')
    """
    match = re.fullmatch(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d:\d\d)\S{0,20})?)?)?", text or "", re.ASCII)
    if text is None or match is None or not (match[2] is None or 1 <= int(match[2]) <= 12):
        return text or ""
    year, month, day, clock = match.groups()
    thai = language == "th"
    parts = [str(int(day))] if day else []
    if month:
        parts.append((_MONTHS_TH if thai else _MONTHS_EN)[int(month) - 1])
    parts.append(str(int(year) + 543) if thai else year)
    if clock:
        parts.append(f"{clock} น." if thai else clock)
    return " ".join(parts)


@dataclass(frozen=True)
class Bar:
    """A bar of the timeline: its place and heights in units of the chart."""

    key: str
    bucket: Bucket
    x: float
    width: float
    height: float
    harmful_height: float


@dataclass(frozen=True)
class Chart:
    """The timeline as bars of one `unit`; `peak` is the bar with the most harmful messages, if there are any."""

    unit: str
    bars: tuple[Bar, ...]
    most: int
    peak: Bar | None
    width: int = _CHART[0]
    height: int = _CHART[1]


def chart(timeline: Timeline) -> Chart | None:
    """The bars of a timeline, with gaps where there was nothing; None where no message says when it was sent."""
    for unit in ("day", "month", "year"):
        if (unit, timeline.unit) in (("day", "month"), ("day", "year"), ("month", "year")):
            continue
        buckets = timeline.by(unit)
        if not buckets:
            return None
        first, last = min(buckets), max(buckets)
        if unit == "year" or _steps(first, last, unit) < (MOST_DAYS if unit == "day" else MOST_MONTHS):
            break
    keys = list(buckets) if unit == "year" else list(_between(first, last, unit))
    most = max(bucket.messages for bucket in buckets.values())
    step = _CHART[0] / len(keys)
    bars = tuple(
        Bar(
            key,
            buckets[key],
            round(at * step + 0.08 * step, 2),
            round(0.84 * step, 2),
            _tall(buckets[key].messages, most),
            _tall(buckets[key].harmful, most),
        )
        for at, key in enumerate(keys)
        if key in buckets
    )
    peak = max(bars, key=lambda bar: bar.bucket.harmful)
    return Chart(unit, bars, most, peak if peak.bucket.harmful else None)


def _tall(number: int, most: int) -> float:
    """A height that shows even one among many."""
    return round(max(_CHART[1] * number / most, 2), 2) if number else 0


def _steps(first: str, last: str, unit: str) -> int:
    if unit == "day":
        return (date.fromisoformat(last) - date.fromisoformat(first)).days
    return 12 * (int(last[:4]) - int(first[:4])) + int(last[5:7]) - int(first[5:7])


def _between(first: str, last: str, unit: str) -> Iterable[str]:
    for step in range(_steps(first, last, unit) + 1):
        if unit == "day":
            yield (date.fromisoformat(first) + timedelta(days=step)).isoformat()
        else:
            months = int(first[:4]) * 12 + int(first[5:7]) - 1 + step
            yield f"{months // 12:04}-{months % 12 + 1:02}"


@dataclass(frozen=True)
class Shown:
    """A text to show: `html` with its evidence marked, cut where it is longer than `SHOWN`."""

    html: Markup
    length: int
    is_cut: bool


def marked(text: str, length: int, evidence: Iterable[Mapping[str, Any]]) -> Shown:
    """A text with its evidence marked.

    :param length: of the whole text, in code points, of which `text` may be the beginning.
    :param evidence: as in a result row, with offsets in code points; spans may overlap, and what lies outside of the
        text is left out.
    """
    visible = shown(_beginning(text))
    spans = sorted(
        (each for each in evidence if _within(each, len(visible))),
        key=lambda each: (_DRAWN_FIRST.get(each["kind"], 0), each["start"] - each["end"], each["start"]),
    )
    owners: list[int | None] = [None] * len(visible)
    for number, each in enumerate(spans):
        end = min(each["end"], len(visible))
        owners[each["start"] : end] = [number] * (end - each["start"])
    pieces: list[Markup] = []
    at = 0
    for owner, run in groupby(owners):
        piece = visible[at : at + len(list(run))]
        at += len(piece)
        if owner is None:
            pieces.append(escape(_SCHEME.sub(r"hxxp\1", piece)))
            continue
        kind, type_ = str(spans[owner]["kind"]), str(spans[owner]["type"])
        if kind == "indicator":
            piece = defanged(type_, piece)
        pieces.append(
            Markup('<mark class="{}" title="{}">{}</mark>').format(
                kind if kind in _DRAWN_FIRST else "signal", shown(" / ".join(_names().of(kind, type_))), piece
            )
        )
    return Shown(Markup("").join(pieces), length, len(visible) < length)


def _beginning(text: str) -> str:
    """The first `SHOWN` characters, and no mark without the letter that it stands on."""
    end = SHOWN
    while len(text) > end > SHOWN - 20 and unicodedata.combining(text[end]) + (text[end] in "\u0e31\u200d") > 0:
        end -= 1
    return text[:end]


def _within(each: Mapping[str, Any], length: int) -> bool:
    start, end = each.get("start"), each.get("end")
    return isinstance(start, int) and isinstance(end, int) and 0 <= start < min(end, length)


def _signs(evidence: Iterable[Mapping[str, Any]]) -> list[str]:
    """The kinds of warning signs of a message, in order of appearance; not those that it only quotes."""
    return list(
        dict.fromkeys(
            str(each["type"])
            for each in evidence
            if each["kind"] == "signal" and "quoted" not in (each.get("details") or {})
        )
    )


Pair = tuple[str, str]  # Thai and English

_ACTIONS: dict[str, Pair] = {
    "block": ("ควรระงับไว้ก่อน", "Hold back"),
    "review": ("ควรให้คนตรวจ", "To review"),
    "allow": ("ปล่อยผ่าน", "Let through"),
}
_INDICATORS: dict[str, Pair] = {
    "url": ("ลิงก์", "Link"),
    "domain": ("โดเมน", "Domain"),
    "phone": ("เบอร์โทรศัพท์", "Phone"),
    "hotline": ("สายด่วน", "Hotline"),
    "line_id": ("ไลน์", "LINE"),
    "telegram": ("เทเลแกรม", "Telegram"),
    "whatsapp": ("วอตส์แอปป์", "WhatsApp"),
    "facebook": ("เฟซบุ๊ก", "Facebook"),
    "email": ("อีเมล", "E-mail"),
    "bank_account": ("เลขบัญชีธนาคาร", "Bank account"),
    "promptpay": ("พร้อมเพย์", "PromptPay"),
    "promptpay_qr": ("คิวอาร์พร้อมเพย์", "PromptPay QR"),
    "citizen_id": ("เลขประจำตัว 13 หลัก", "13-digit ID"),
    "crypto": ("กระเป๋าคริปโต", "Crypto wallet"),
    "money": ("จำนวนเงิน", "Sum of money"),
    "ussd": ("รหัส USSD", "USSD code"),
    "recruitment_licence": ("เลขใบอนุญาตจัดหางาน (ตามที่อ้าง)", "Recruitment licence (as claimed)"),
}
_NOTICES: dict[str, Pair] = {
    "system": ("ข้อความระบบ", "system lines"),
    "sticker": ("สติกเกอร์", "stickers"),
    "photo": ("รูปภาพ", "photos"),
    "video": ("วิดีโอ", "videos"),
    "voice": ("ข้อความเสียง", "voice messages"),
    "file": ("ไฟล์แนบ", "files"),
    "call": ("การโทร", "calls"),
    "unsent": ("ข้อความที่ผู้ส่งยกเลิก", "unsent messages"),
    "location": ("ตำแหน่งที่ตั้ง", "locations"),
    "contact": ("รายชื่อติดต่อ", "contacts"),
    "poll": ("โพล", "polls"),
}
_CHANNELS: dict[str, Pair] = {
    "": ("ไม่ระบุ", "not stated"),
    "chat": ("แชต", "Chat"),
    "sms": ("SMS", "SMS"),
    "email": ("อีเมล", "E-mail"),
    OTHERS: ("ช่องทางอื่นรวมกัน", "all other channels"),
}
_STRENGTHS: dict[str, Pair] = {
    "strong": ("ชัดเจน", "Strong"),
    "medium": ("ปานกลาง", "Medium"),
    "weak": ("อ่อน", "Weak"),
}
_UNITS: dict[str, Pair] = {"day": ("รายวัน", "by day"), "month": ("รายเดือน", "by month"), "year": ("รายปี", "by year")}


@dataclass(frozen=True)
class Names:
    """What things are called in Thai and in English; what has no name here is called as it is."""

    labels: Mapping[str, Pair]
    severities: Mapping[str, int]
    signals: Mapping[str, Pair]

    def label(self, id: str) -> Pair:
        """A class."""
        return self.labels.get(id, (cut(id), cut(id)))

    def severity(self, id: str) -> int:
        """How much harm a message of a class can do: from 0, none, to 4, loss of liberty or life."""
        return self.severities.get(id, 0)

    def of(self, kind: str, type_: str) -> Pair:
        """A piece of evidence."""
        if kind == "disguise":
            return "เขียนให้ต่างจากปกติ", "Written in an unusual way"
        return (self.signals if kind == "signal" else _INDICATORS).get(type_, (cut(type_), cut(type_)))

    def named(self, table: str, id: str) -> Pair:
        """A word of one of the tables of this module, such as `actions`."""
        return _TABLES[table].get(id, (cut(id), cut(id)))


_TABLES = {
    "actions": _ACTIONS,
    "notices": _NOTICES,
    "channels": _CHANNELS,
    "strengths": _STRENGTHS,
    "units": _UNITS,
}


@cache
def _names() -> Names:
    classes = default_taxonomy().classes
    return Names(
        {each.id: (each.thai, each.english) for each in classes},
        {each.id: _SEVERITY[each.severity] for each in classes},
        {id: (each.thai, each.english) for id, each in default_signals().signals.items()},
    )
