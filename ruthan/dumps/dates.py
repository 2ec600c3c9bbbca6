"""Times as dumps write them, in Thai, English or Japanese, of the Buddhist or the Common Era, to ISO 8601."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

BANGKOK = timezone(timedelta(hours=7))  # no summer time since 1920
MAX_TIME_TEXT = 100  # characters; nothing longer is a time

# Marks without width or of writing direction, which phones put around names and times. Not U+200D: emoji need it.
INVISIBLE = re.compile("[\u200b\u200c\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")

_DIGITS = str.maketrans("๐๑๒๓๔๕๖๗๘๙０１２３４５６７８９：／．", "01234567890123456789:/.")
_BLANKS = re.compile(r"\s+")
_BUDDHIST = 543
_FIRST_YEAR, _LAST_YEAR = 1900, 2399  # of the Common Era

_MONTHS = [
    ("jan", "january", "ม.ค.", "มกราคม"),
    ("feb", "february", "ก.พ.", "กุมภาพันธ์"),
    ("mar", "march", "มี.ค.", "มีนาคม"),
    ("apr", "april", "เม.ย.", "เมษายน"),
    ("may", "may", "พ.ค.", "พฤษภาคม"),
    ("jun", "june", "มิ.ย.", "มิถุนายน"),
    ("jul", "july", "ก.ค.", "กรกฎาคม"),
    ("aug", "august", "ส.ค.", "สิงหาคม"),
    ("sep", "september", "ก.ย.", "กันยายน"),
    ("oct", "october", "ต.ค.", "ตุลาคม"),
    ("nov", "november", "พ.ย.", "พฤศจิกายน"),
    ("dec", "december", "ธ.ค.", "ธันวาคม"),
]
_WEEKDAYS = [
    "mon monday จ จันทร์ 月 月曜 月曜日 星期一 周一 週一",
    "tue tues tuesday อ อังคาร 火 火曜 火曜日 星期二 周二 週二",
    "wed wednesday พ พุธ 水 水曜 水曜日 星期三 周三 週三",
    "thu thur thurs thursday พฤ พฤหัส พฤหัสบดี 木 木曜 木曜日 星期四 周四 週四",
    "fri friday ศ ศุกร์ 金 金曜 金曜日 星期五 周五 週五",
    "sat saturday ส เสาร์ 土 土曜 土曜日 星期六 周六 週六",
    "sun sunday อา อาทิตย์ 日 日曜 日曜日 星期日 星期天 周日 週日",
]
_MORNING = "am a.m. a.m ก่อนเที่ยง 午前 上午 凌晨 清晨 早上 오전".split()
_EVENING = "pm p.m. p.m หลังเที่ยง 午後 下午 晚上 오후".split()
_NOON = "中午"
_ZONES = {
    **dict.fromkeys("z ut utc gmt".split(), 0),
    **{"ict": 7, "wib": 7, "sgt": 8, "hkt": 8, "jst": 9, "kst": 9},
    **{"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7},
}
_FILLERS = frozenset("วันที่ เวลา เมื่อ ที่ ณ at on".split())

_MONTH_NUMBER = {
    name.replace(".", ""): number for number, names in enumerate(_MONTHS, 1) for name in names if name.strip(".")
} | {"sept": 9}
_WEEKDAY_NUMBER = {name: number for number, names in enumerate(_WEEKDAYS) for name in names.split()}


def _any_of(names: Iterable[str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


# Thai short names are written with both dots, one of them, or none.
_MONTH = (
    "(?P<month>(?:"
    + "|".join(
        re.escape(name).replace(r"\.", r"\.?")
        for name in sorted(["sept", *(name for names in _MONTHS for name in names)], key=len, reverse=True)
    )
    + r"))\.?"
)
_YEAR = r"(?P<year>\d{4}|\d{2})(?!\d|[:.]\d)"
_NAMED_DATES = [
    re.compile(rf"(?<!\d)(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[ ./,-]{{0,2}}{_MONTH}[ ./,-]{{0,2}}{_YEAR}"),
    re.compile(rf"{_MONTH} ?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<year>\d{{4}})(?!\d)"),
    re.compile(rf"(?<!\d)(?P<year>\d{{4}})[ /-]{_MONTH}[ /-](?P<day>\d{{1,2}})(?!\d)"),
    re.compile(r"(?<!\d)(?P<year>\d{4})年 ?(?P<month>\d{1,2})月 ?(?P<day>\d{1,2})日"),
]
_NUMERIC_DATE = re.compile(r"(?<!\d)(\d{1,4})([./-]) ?(\d{1,2})\2 ?(\d{1,4})(?!\d)")
_ERA = re.compile(r"(?P<buddhist>พ\.?ศ\.?|(?<![a-z])b\.?e(?![a-z])\.?)|ค\.?ศ\.?|(?<![a-z])(?:c\.?e|a\.?d)(?![a-z])\.?")
_HALF = _any_of([*_MORNING, *_EVENING, _NOON])
_CLOCK = re.compile(
    rf"(?:(?P<before>{_HALF}) ?)?(?<![\d:.])(?P<hour>\d{{1,2}})[:.時](?P<minute>\d{{2}})分?"
    rf"(?:[:.](?P<second>\d{{2}})(?:[.,]\d{{1,9}})?)?(?![\d:])(?: ?(?P<after>{_HALF})(?![a-z]))?(?: ?(?:นาฬิกา|น\.?))?"
)
_ZONE = re.compile(rf"(?P<name>{_any_of(_ZONES)})?(?:(?P<sign>[+-])(?P<hours>\d{{1,2}})(?::?(?P<minutes>\d{{2}}))?)?")
_COMMENT = re.compile(r"(?<=\d) ?\([a-z ]{1,40}\)$")  # mail repeats the zone: `+0700 (ICT)`
_YEAR_LAST = re.compile(
    r"((?:[a-z]{3},? )?[a-z]{3} \d{1,2}) (\d{1,2}:\d{2}(?::\d{2})?)( [a-z]{3,4}| [+-]\d{4})? (\d{4})"
)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?)?")
_ISO = re.compile(r"\d{4}-?\d{2}-?\d{2}(?:[t ]|$)")
_SEPARATORS = re.compile(r"[\s,.()（）@;|\[\]–-]+")
_EPOCH_UNITS = {10: 1, 13: 1_000, 16: 1_000_000, 19: 1_000_000_000}


class Readings(NamedTuple):
    """The days that a written date can mean: with the day first and with the month first. None: no such day."""

    day_first: date | None
    month_first: date | None

    @property
    def settles(self) -> bool | None:
        """True if the date can only be month first, False if only day first, None if it does not tell."""
        if (self.day_first is None) == (self.month_first is None):
            return None
        return self.day_first is None


class DateOrder:
    """Whether the dates of one file put the month first.

    A date with a number above 12 settles it. Without any, it is the order in which the dates follow each other more
    closely, as entries stand in order of time; see `_month_first_by_steps`. If that does not tell either, as with a
    single day, the file's format has to, and else the day comes first, as in Thailand.
    """

    def __init__(self) -> None:
        self.month_first = False
        self._settled = False
        self._last: Readings | None = None

    def learn(self, texts: Iterable[str], usually_month_first: bool = False) -> None:
        """Settle the order by the dates of a first stretch of the file; texts that are no dates are passed over.

        `usually_month_first`: the order that the file's format speaks for where its dates do not tell.
        """
        found = [each for text in texts if (each := readings(text)) is not None]
        votes = Counter(each.settles for each in found)
        if votes[True] != votes[False]:
            decided: bool | None = votes[True] > votes[False]
        else:
            decided = _month_first_by_steps(found)
        self.month_first = usually_month_first if decided is None else decided
        self._settled = decided is not None or any(each != found[0] for each in found)

    def day(self, text: str) -> date | None:
        """The day that `text` means, or None. A date that can only be of the other order switches the order.

        So does the first step from one day to another, where the first stretch did not tell.
        """
        found = readings(text)
        if found is None:
            return None
        decided = found.settles
        if decided is None and not self._settled and self._last is not None and self._last != found:
            decided = _month_first_by_steps([self._last, found])
        if decided is not None:
            self.month_first, self._settled = decided, True
        self._last = found
        return found.month_first if self.month_first else found.day_first


def _month_first_by_steps(found: Iterable[Readings]) -> bool | None:
    """Which order dates have that stand in order of time and that both readings fit; None if they do not tell.

    It is the one in which the way from each date to the next is less than half as long in all, else the one that never
    goes back.
    """
    both = [(each.day_first, each.month_first) for each in found if each.day_first and each.month_first]
    day_first = [(after - before).days for (before, _), (after, _) in pairwise(both)]
    month_first = [(after - before).days for (_, before), (_, after) in pairwise(both)]
    way, other = sum(map(abs, day_first)), sum(map(abs, month_first))
    if 2 * other < way or 2 * way < other:
        return other < way
    back, other_back = min(day_first, default=0) < 0, min(month_first, default=0) < 0
    return back if back != other_back else None


def plain_digits(text: str) -> str:
    """Thai and full-width digits as 0 to 9.

    >>> plain_digits("๒๘/๑๑/๒๕๖๘")
    '28/11/2568'
    """
    return text.translate(_DIGITS)


def readings(text: str) -> Readings | None:
    """What a date means, where `text` holds one and besides at most a weekday; None if it is no date.

    A weekday decides between two readings; one that fits neither is taken for a mistake.
    """
    return _readings(text) if len(text) <= MAX_TIME_TEXT else None


def names_right_weekday(text: str) -> bool:
    """Whether `text` is a date with the name of the weekday that it falls on."""
    cleaned, buddhist = _without_era(_clean(text))
    for found, rest in _dates(cleaned, buddhist):
        weekday = _weekday(rest)
        if weekday is not None and any(day and day.weekday() == weekday for day in found):
            return True
    return False


def parse_date(text: str, month_first: bool = False) -> date | None:
    """The day that `text` means; `month_first` decides only where both readings are possible.

    >>> parse_date("ศ. 02/10/2569").isoformat()
    '2026-10-02'
    """
    found = readings(text)
    if found is None:
        return None
    first, second = (found.month_first, found.day_first) if month_first else found
    return first or second


def parse_clock(text: str) -> time | None:
    """The time of day that `text` consists of, such as `08:54`, `9.30 น.`, `9:30 PM` or `午後9:30`; None if it is none.

    >>> parse_clock("หลังเที่ยง 9:30").isoformat()
    '21:30:00'
    """
    return _parse_clock(text) if len(text) <= MAX_TIME_TEXT else None


def parse_time(text: str, month_first: bool = False) -> datetime | None:
    """The moment that `text` means, with its zone; Bangkok's where it names none. None if it is no moment.

    Read are ISO 8601, the dates of mail (RFC 2822), dates in digits or with Thai, English or Japanese names with or
    without a time of day (without: midnight), and seconds, milli-, micro- or nanoseconds since 1970 as digits. Nothing
    else may stand beside them. `month_first` decides only where both readings are possible.

    >>> parse_time("28 พ.ย. 2568 08:50:00").isoformat()
    '2025-11-28T08:50:00+07:00'
    """
    if len(text) > MAX_TIME_TEXT:
        return None
    cleaned = _clean(text)
    if not cleaned:
        return None
    if cleaned.replace(".", "", 1).isdecimal() and len(cleaned.partition(".")[0]) >= 8:
        return _digits(cleaned)
    return _iso(cleaned) or _written(cleaned, month_first)


def bangkok_iso(day: date, clock: time) -> str:
    """ISO 8601 to the second of a day and a time in Bangkok.

    >>> bangkok_iso(date(2026, 10, 2), time(8, 54))
    '2026-10-02T08:54:00+07:00'
    """
    return datetime.combine(day, clock, BANGKOK).isoformat(timespec="seconds")


def time_as_iso(text: str, month_first: bool = False) -> str:
    """ISO 8601 of what `parse_time` reads, to the second in Bangkok time, or to the day; any other text as it is.

    >>> time_as_iso("2569-11-02 09:14"), time_as_iso("2 พ.ย. 69"), time_as_iso("เมื่อวาน")
    ('2026-11-02T09:14:00+07:00', '2026-11-02', 'เมื่อวาน')
    """
    if (day := parse_date(text, month_first)) is not None:
        return day.isoformat()
    moment = parse_time(text, month_first)
    try:
        return text if moment is None else moment.astimezone(BANGKOK).isoformat(timespec="seconds")
    except OverflowError:  # at the very ends of the calendar
        return text


def value_as_iso(value: Any) -> str | None:
    """`time_as_iso` of a value of JSON, a text or a number; None where it is neither, or a number that is no time."""
    if isinstance(value, str):
        return time_as_iso(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e20:
        return None
    text = str(value)
    iso = time_as_iso(text)
    return None if iso == text else iso


def from_epoch(seconds: float) -> str | None:
    """ISO 8601 in Bangkok time of seconds since 1970; None where no calendar has such a day.

    >>> from_epoch(1764294912.345)
    '2025-11-28T08:55:12+07:00'
    """
    moment = _moment(seconds)
    return None if moment is None else moment.isoformat(timespec="seconds")


def _moment(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).astimezone(BANGKOK)
    except (ValueError, OverflowError, OSError):
        return None


def _clean(text: str) -> str:
    return _BLANKS.sub(" ", INVISIBLE.sub("", plain_digits(text))).strip().casefold()


def _without_era(cleaned: str) -> tuple[str, bool | None]:
    """The text without the name of an era, and whether that was the Buddhist one; None if it names none."""
    if (found := _ERA.search(cleaned)) is None:
        return cleaned, None
    rest = cleaned[: found.start()].rstrip() + " " + cleaned[found.end() :].lstrip()
    return rest.strip(), found["buddhist"] is not None


@lru_cache(4096)
def _readings(text: str) -> Readings | None:
    cleaned, buddhist = _without_era(_clean(text))
    for found, rest in _dates(cleaned, buddhist):
        weekday = _weekday(rest)
        if weekday is not None:
            return _on_weekday(found, weekday)
    return None


def _on_weekday(found: Readings, weekday: int) -> Readings:
    if weekday == _NO_WEEKDAY:
        return found
    right = Readings(*(day if day and day.weekday() == weekday else None for day in found))
    return right if any(right) else found


_NO_WEEKDAY = -1


def _weekday(rest: str) -> int | None:
    """The weekday that `rest` names, 0 for Monday; `_NO_WEEKDAY` if it says nothing, None if it says something else."""
    words = [word for word in _SEPARATORS.split(rest) if word and word not in _FILLERS]
    if not words:
        return _NO_WEEKDAY
    return _WEEKDAY_NUMBER.get(words[0].removeprefix("วัน").removesuffix("ที่")) if len(words) == 1 else None


def _dates(cleaned: str, buddhist: bool | None) -> Iterator[tuple[Readings, str]]:
    """What each run that looks like a date means, and the text around it."""
    for pattern in _NAMED_DATES:
        for found in pattern.finditer(cleaned):
            name = found["month"].replace(".", "")
            day = _day(found["year"], int(name) if name.isdecimal() else _MONTH_NUMBER[name], found["day"], buddhist)
            if day:
                yield Readings(day, day), _around(cleaned, found)
    for found in _NUMERIC_DATE.finditer(cleaned):
        first, middle, last = found[1], found[3], found[4]
        if len(first) == 4 or (len(first) == 2 and int(first) > 31):
            day = _day(first, middle, last, buddhist)
            both = Readings(day, day)
        else:
            both = Readings(_day(last, middle, first, buddhist), _day(last, first, middle, buddhist))
        if any(both):
            yield both, _around(cleaned, found)


def _around(text: str, found: re.Match[str]) -> str:
    return f"{text[: found.start()]} {text[found.end() :]}"


def _day(year: str, month: str | int, day: str, buddhist: bool | None) -> date | None:
    number = int(year)
    if len(year) == 2:
        # 60 to 75 are of the Buddhist era and 18 to 30 of the Common Era in Thai files; between them, the reading that
        # does not lie in the future.
        if buddhist or (buddhist is None and 31 <= number <= 75):
            number += 2500
        else:
            number += 2000 if number <= 75 else 1900
    elif len(year) != 4:
        return None
    number = _common_era(number)
    try:
        return date(number, int(month), int(day)) if _FIRST_YEAR <= number <= _LAST_YEAR else None
    except ValueError:
        return None


def _common_era(year: int) -> int:
    return year - _BUDDHIST if year >= 2400 else year


@lru_cache(4096)
def _parse_clock(text: str) -> time | None:
    found = _CLOCK.fullmatch(_clean(text))
    return None if found is None else _clock(found)


def _clock(found: re.Match[str]) -> time | None:
    hour = int(found["hour"])
    half = found["before"] or found["after"]
    if half in _MORNING and hour == 12:
        hour = 0
    elif (half in _EVENING and hour < 12) or (half == _NOON and hour < 4):
        hour += 12
    try:
        return time(hour, int(found["minute"]), int(found["second"] or 0))
    except ValueError:
        return None


def _digits(cleaned: str) -> datetime | None:
    whole = cleaned.partition(".")[0]
    if whole.startswith("0"):  # a telephone number
        return None
    if len(whole) in _EPOCH_UNITS:
        return _moment(float(cleaned) / _EPOCH_UNITS[len(whole)])
    if (found := _COMPACT.fullmatch(cleaned)) is None:
        return None
    day = _day(found[1], found[2], found[3], None)
    try:
        clock = time(int(found[4] or 0), int(found[5] or 0), int(found[6] or 0))
    except ValueError:
        return None
    return datetime.combine(day, clock, BANGKOK) if day else None


def _iso(cleaned: str) -> datetime | None:
    if _ISO.match(cleaned) is None:
        return None
    try:
        moment = datetime.fromisoformat(cleaned.upper())
        moment = moment.replace(year=_common_era(moment.year))
    except ValueError:
        return None
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=BANGKOK)


def _written(cleaned: str, month_first: bool) -> datetime | None:
    if found := _YEAR_LAST.fullmatch(cleaned):
        cleaned = f"{found[1]} {found[4]} {found[2]}{found[3] or ''}"
    cleaned, buddhist = _without_era(_COMMENT.sub("", cleaned))
    for both, around in _dates(cleaned, buddhist):
        rest = around
        at = _CLOCK.search(around)
        clock = time() if at is None else _clock(at)
        zone: timezone | None = BANGKOK
        if at is not None:
            after = around[at.end() :].strip()
            if after and (named := _ZONE.fullmatch(after)):
                zone, after = _zone(named), ""
            rest = f"{around[: at.start()]} {after}"
        weekday = _weekday(rest)
        if clock is None or zone is None or weekday is None:
            continue
        right = _on_weekday(both, weekday)
        day = (right.month_first or right.day_first) if month_first else (right.day_first or right.month_first)
        if day:
            return datetime.combine(day, clock, zone)
    return None


def _zone(named: re.Match[str]) -> timezone | None:
    offset = timedelta(hours=_ZONES[named["name"]] if named["name"] else 0)
    if named["sign"]:
        further = timedelta(hours=int(named["hours"]), minutes=int(named["minutes"] or 0))
        offset += further if named["sign"] == "+" else -further
    try:
        return timezone(offset)
    except ValueError:
        return None
