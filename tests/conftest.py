"""What many tests share: one scanner, hostile texts."""

import pytest

from ruthan.scanner import Scanner

HOSTILE = {
    "empty": "",
    "only blanks": " \t\r\n\u3000\u200b ",
    "null bytes": "\x00\x00สวัสดี\x00",
    "lone surrogate": "โอน\ud83dด่วน",
    "half emoji in a link": "https://a.co/x\ud83d",
    "only emoji": "😀🎉💰🇹🇭👨\u200d👩\u200d👧",
    "only a link": "https://bit.ly/3abcDEF",
    "right-to-left override": "กด \u202eyl.tib/123\u202c เลย",
    "100,000 of one letter": "ก" * 100_000,
    "100,000 characters": ("บัญชีของท่านถูกระงับ กดลิงก์ด่วน " * 4_000)[:100_000],
    "stacked marks": "ก" + "้" * 5_000,
    "control characters": "".join(map(chr, range(0x20))) + "\x7f\x9b31m",
    "all of Thai": "".join(map(chr, range(0x0E00, 0x0E80))),
    "beyond the first plane": "\U0001f600\U00020000\U0010ffff",
}


@pytest.fixture(scope="session")
def scanner() -> Scanner:
    """The scanner as it ships."""
    return Scanner()


@pytest.fixture(params=HOSTILE.values(), ids=list(HOSTILE))
def hostile(request: pytest.FixtureRequest) -> str:
    """A text that someone may send to break us."""
    return request.param
