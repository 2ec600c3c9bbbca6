"""Times as dumps write them."""

from datetime import date, time

import pytest

from ruthan.dumps.dates import (
    DateOrder,
    bangkok_iso,
    from_epoch,
    names_right_weekday,
    parse_clock,
    parse_date,
    parse_time,
    plain_digits,
)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-10-02T08:54:00Z", "2026-10-02T08:54:00+00:00"),
        ("2026-10-02T08:54", "2026-10-02T08:54:00+07:00"),
        ("2026-10-02 08:54:10.25", "2026-10-02T08:54:10+07:00"),
        ("2025-11-28T08:55:12.3450000+07:00", "2025-11-28T08:55:12+07:00"),
        ("2025-11-28 08:55:12 +0900", "2025-11-28T08:55:12+09:00"),
        ("2568-11-28T08:55:12", "2025-11-28T08:55:12+07:00"),
        ("2567-02-29 10:00", "2024-02-29T10:00:00+07:00"),
        ("20251128T085512Z", "2025-11-28T08:55:12+00:00"),
        ("20251128085512", "2025-11-28T08:55:12+07:00"),
        ("202511280855", "2025-11-28T08:55:00+07:00"),
        ("Fri, 28 Nov 2025 08:55:12 +0700", "2025-11-28T08:55:12+07:00"),
        ("Fri, 28 Nov 2025 08:55:12 +0700 (ICT)", "2025-11-28T08:55:12+07:00"),
        ("28 Nov 2025 01:55:12 GMT", "2025-11-28T01:55:12+00:00"),
        ("Fri, 28 Nov 2025 08:55:12 -0800", "2025-11-28T08:55:12-08:00"),
        ("Fri Nov 28 08:55:12 2025", "2025-11-28T08:55:12+07:00"),
        ("Fri Nov 28 08:55:12 ICT 2025", "2025-11-28T08:55:12+07:00"),
        ("28 พ.ย. 2568 08:50:00", "2025-11-28T08:50:00+07:00"),
        ("28พย68 08.50 น.", "2025-11-28T08:50:00+07:00"),
        ("วันศุกร์ที่ 28 พฤศจิกายน พ.ศ. 2568 เวลา 08.50 น.", "2025-11-28T08:50:00+07:00"),
        ("๒๘/๑๑/๒๕๖๘ ๐๘:๕๐", "2025-11-28T08:50:00+07:00"),
        ("28/11/68 08:50", "2025-11-28T08:50:00+07:00"),
        ("(6/12/68,19:03)", "2025-12-06T19:03:00+07:00"),
        ("30-11-25@11:36", "2025-11-30T11:36:00+07:00"),
        ("08:55 28/11/2568", "2025-11-28T08:55:00+07:00"),
        ("28/11/2568 BE 08:55", "2025-11-28T08:55:00+07:00"),
        ("11/28/2025 8:55 PM", "2025-11-28T20:55:00+07:00"),
        ("28-Nov-25 08:55 AM", "2025-11-28T08:55:00+07:00"),
        ("Nov 28, 2025, 8:55\u202fPM", "2025-11-28T20:55:00+07:00"),
        ("2025年11月28日 午後8:55", "2025-11-28T20:55:00+07:00"),
        ("28/11/2568", "2025-11-28T00:00:00+07:00"),
        ("1764294912", "2025-11-28T08:55:12+07:00"),
        ("1764294912345", "2025-11-28T08:55:12+07:00"),
        ("1764294912.345", "2025-11-28T08:55:12+07:00"),
        ("1764294912345678", "2025-11-28T08:55:12+07:00"),
        (" \u200e2026-10-02 08:54 ", "2026-10-02T08:54:00+07:00"),
    ],
)
def test_a_time_in_a_table_or_mail_is_understood(text, moment):
    assert parse_time(text).isoformat(timespec="seconds") == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "null",
        "08:50",
        "0812345678",
        "081-000-5678",
        "12345",
        "99/99/2568 10:00",
        "31/02/2568",
        "28 พ.ย. 08:50",
        "28/11",
        "นัด 28/11/68 08:50 ที่เดิม",
        "28/11/68 25:00",
        "nan",
        "inf",
        "1e10",
        "-1",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59",
        "2025-11-28 08:55 +99:00",
        "10:00 " * 5,
        "1/" * 40,
        "9" * 5_000,
        "28/11/68 08:50" + " " * 100_000,
        "\ud83d\udcff",
    ],
)
def test_what_is_no_time_gives_none(text):
    assert parse_time(text) is None


def test_hostile_text_is_no_time(hostile):
    assert parse_time(hostile) is None
    assert parse_date(hostile) is None
    assert parse_clock(hostile) is None


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("14/03/62", date(2019, 3, 14)),
        ("28/11/68", date(2025, 11, 28)),
        ("15/10/25", date(2025, 10, 15)),
        ("31.12.25", date(2025, 12, 31)),
        ("25 ธ.ค. 2530", date(1987, 12, 25)),
        ("1 Sept 2025", date(2025, 9, 1)),
        ("2569/10/02", date(2026, 10, 2)),
        ("68/11/28", date(2025, 11, 28)),
    ],
)
def test_years_of_both_eras_with_two_or_four_digits(text, day):
    assert parse_date(text) == day


@pytest.mark.parametrize(
    "text",
    [
        "Fri, 10/2/2026",
        "Fri, 02/10/2026",
        "ศ. 02/10/2569",
        "2026/10/02",
        "2026/10/02(Fri)",
        "2026/10/02 (ศ)",
        "2026/10/02 ศุกร์",
        "2026/10/02(金)",
        "2026.10.02 วันศุกร์",
        "2026.10.02 Friday",
        "2569/10/02",
        "2 ต.ค. 69",
        "October 2, 2026",
    ],
)
def test_the_day_headers_of_chats_mean_the_same_day(text):
    assert parse_date(text) == date(2026, 10, 2)


@pytest.mark.parametrize("short", ["จ", "อ", "พ", "พฤ", "ศ", "ส", "อา"])
def test_every_thai_weekday_is_known_and_only_the_right_one_is_right(short):
    right = [names_right_weekday(f"2026/10/{day:02} ({short}.)") for day in range(5, 12)]
    assert right.count(True) == 1
    assert right.index(True) == ["จ", "อ", "พ", "พฤ", "ศ", "ส", "อา"].index(short)


def test_a_wrong_weekday_is_taken_for_a_mistake():
    assert parse_date("Mon, 02/10/2026") == date(2026, 10, 2)
    assert not names_right_weekday("Mon, 02/10/2026")
    assert not names_right_weekday("02/10/2026")


@pytest.mark.parametrize("number", range(1, 13))
def test_thai_months_are_read_long_and_short(number):
    short = "ม.ค. ก.พ. มี.ค. เม.ย. พ.ค. มิ.ย. ก.ค. ส.ค. ก.ย. ต.ค. พ.ย. ธ.ค.".split()[number - 1]
    long = ("มกราคม กุมภาพันธ์ มีนาคม เมษายน พฤษภาคม มิถุนายน กรกฎาคม สิงหาคม กันยายน ตุลาคม พฤศจิกายน ธันวาคม".split())[
        number - 1
    ]
    for name in (short, short.rstrip("."), short.replace(".", ""), long):
        assert parse_date(f"5 {name} 2568") == date(2025, number, 5)


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("08:54", time(8, 54)),
        ("8:54:10", time(8, 54, 10)),
        ("9.30 น.", time(9, 30)),
        ("14:30น.", time(14, 30)),
        ("9:30 PM", time(21, 30)),
        ("09:30PM", time(21, 30)),
        ("9:30\u202fp.m.", time(21, 30)),
        ("12:05 AM", time(0, 5)),
        ("12:05 pm", time(12, 5)),
        ("9:30 หลังเที่ยง", time(21, 30)),
        ("ก่อนเที่ยง 9:30", time(9, 30)),
        ("午後9:30", time(21, 30)),
        ("上午9:30", time(9, 30)),
        ("中午12:10", time(12, 10)),
        ("๐๘:๕๔", time(8, 54)),
    ],
)
def test_times_of_day_in_four_languages(text, clock):
    assert parse_clock(text) == clock


@pytest.mark.parametrize("text", ["24:00", "8:60", "8:5", "108:54", "8:54x", "8:54 ประชุม", "", "PM"])
def test_what_is_no_time_of_day_gives_none(text):
    assert parse_clock(text) is None


def test_one_date_with_a_part_above_twelve_settles_the_file():
    order = DateOrder()
    order.learn(["10/2/2026", "not a date", "10/14/2026"])
    assert order.day("10/2/2026") == date(2026, 10, 2)


def test_the_day_stands_first_if_nothing_says_otherwise():
    order = DateOrder()
    order.learn(["10/2/2026"])
    assert order.day("10/2/2026") == date(2026, 2, 10)


def test_a_later_contradiction_switches_the_order():
    order = DateOrder()
    assert order.day("10/2/2026") == date(2026, 2, 10)
    assert order.day("10/13/2026") == date(2026, 10, 13)
    assert order.day("11/2/2026") == date(2026, 11, 2)


@pytest.mark.parametrize(
    ("texts", "month_first"),
    [
        (["1/5/26", "1/6/26", "1/7/26", "1/12/26"], True),
        (["1/5/26", "1/5/26", "1/6/26"], True),
        (["5/1/26", "6/1/26", "7/1/26"], False),
        (["7/1/26", "6/1/26", "5/1/26"], False),  # a table with the newest first
        (["1/5/26", "3/7/26", "6/2/26"], True),  # as long a way either way, but only one goes forward
        (["12/5/25", "1/6/26"], True),
        (["5/5/26", "5/6/26"], True),
        (["1/5/26"], False),
        (["1/5/26", "1/5/26"], False),
        (["5/5/26", "6/6/26"], False),
        (["", "x", "2026-01-05"], False),
        ([], False),
    ],
)
def test_the_order_in_which_days_lie_closer_together_is_right(texts, month_first):
    order = DateOrder()
    order.learn(texts)
    assert order.month_first is month_first


def test_a_single_day_is_read_as_the_format_usually_writes_it():
    order = DateOrder()
    order.learn(["1/5/26", "1/5/26"], usually_month_first=True)
    assert order.day("1/5/26") == date(2026, 1, 5)
    order.learn(["5/1/26", "6/1/26"], usually_month_first=True)
    assert order.day("5/1/26") == date(2026, 1, 5)


def test_the_first_step_beyond_a_stretch_of_a_single_day_settles_the_order():
    order = DateOrder()
    order.learn(["1/5/26"])
    assert [order.day(text) for text in ("1/5/26", "1/6/26", "1/7/26", "1/2/26")][1:] == [
        date(2026, 1, 6),
        date(2026, 1, 7),
        date(2026, 1, 2),
    ]


def test_month_first_decides_only_where_both_readings_are_possible():
    assert parse_time("10/2/2026 08:00", month_first=True).date() == date(2026, 10, 2)
    assert parse_time("14/2/2026 08:00", month_first=True).date() == date(2026, 2, 14)


def test_iso_of_bangkok():
    assert bangkok_iso(date(2026, 10, 2), time(8, 54)) == "2026-10-02T08:54:00+07:00"
    assert from_epoch(1764294912.345) == "2025-11-28T08:55:12+07:00"
    assert from_epoch(float("nan")) is None
    assert from_epoch(1e20) is None
    assert plain_digits("๐๑๒๓๔๕๖๗๘๙") == "0123456789"
