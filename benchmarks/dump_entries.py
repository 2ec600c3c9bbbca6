"""Invented messages as a real dump has them: mostly honest, long-tailed in their repeats, with blasts of near-copies.

The texts are those of data/corpus with their slots filled. Further distinct ones differ in numbers, links, greetings,
times and emoji. Nothing here belongs to a living person.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cache, lru_cache
from pathlib import Path
from random import Random
from typing import NamedTuple

from ruthan.taxonomy import BENIGN
from train.corpus.records import Record, read_corpus
from train.slots import FILLERS, SLOT, fill_slots

CORPUS = Path(__file__).parents[1] / "data/corpus"
BANGKOK = timezone(timedelta(hours=7))
BEGIN = datetime(2026, 1, 5, 6, tzinfo=BANGKOK)
LONGEST_SPAN = 180  # days

HARMFUL = 0.065  # share of the messages
NOTICES = 0.06  # for each message; they come on top
NOTICE_KINDS = {
    "sticker": 35,
    "photo": 30,
    "video": 6,
    "voice": 5,
    "file": 4,
    "call": 6,
    "unsent": 5,
    "system": 9,
}
CHANNELS = {  # and the channels of the corpus, of which each stands once, so that no text comes in two of them
    "sms": ("sms", "rcs"),
    "email": ("email", "post"),
    "chat": ("chat", "comment", "listing", "forward", "line_broadcast", "call"),
}


class Entry(NamedTuple):
    """A message, or with `notice` an entry without words of a sender. Label and campaign are for checking only."""

    text: str
    sender: str
    sent_at: datetime  # Bangkok time, whole seconds
    thread: str
    channel: str  # "chat", "sms" or "email"
    notice: str | None = None  # one of NOTICE_KINDS
    label: str | None = None
    campaign: int | None = None


def entries(messages: int, seed: int, distinct: float = 0.05, channel: str | None = None) -> Iterator[Entry]:
    """`messages` messages in order of time, and among them some notices; the same for the same arguments.

    `distinct` is the share of distinct texts, above 0 and at most 1. `channel` keeps to one channel of CHANNELS. Memory
    does not grow with `messages`.
    """
    if not 0 < distinct <= 1:
        raise ValueError("the share of distinct texts has to be above 0 and at most 1")
    random = Random(f"dump:{seed}:{channel}")
    texts = min(messages, max(1, round(messages * distinct)))
    people = _People(channel, messages)
    honest = _Honest(seed, channel)
    blasts = _Blasts(seed, channel)
    # Blasts differ more among each other than honest repeats do, so that most of their messages are texts of their own.
    share = texts / messages if messages else 1
    of_new = min(0.4, HARMFUL * (0.6 + 0.4 * share) / share)
    of_repeats = max(0.0, (HARMFUL - share * of_new) / (1 - share)) if share < 1 else 0.0
    kinds, weights = list(NOTICE_KINDS), list(NOTICE_KINDS.values())
    moments = _moments(random, messages)
    made = 0
    for number in range(messages):
        moment = next(moments)
        # Draws exactly `texts` of all messages.
        new = made == 0 or random.random() * (messages - number) < texts - made
        made += new
        harmful = random.random() < (of_new if new else of_repeats)
        if harmful and honest.made and (new or blasts.running):
            yield blasts.entry(random, moment, new, people)
        else:
            yield honest.entry(random, moment, new, people)
        if random.random() < NOTICES:
            of, thread, sender = people.writer(random)
            kind = random.choices(kinds, weights)[0]
            yield Entry("", sender, moment, thread, of, notice=kind)


_BY_HOUR = (0.35, 0.2, 0.12, 0.1, 0.1, 0.25, 0.6, 1.0, 1.3, 1.4, 1.4, 1.4)  # how busy, from midnight to noon
_BUSY = (*_BY_HOUR, 1.5, 1.3, 1.2, 1.2, 1.3, 1.4, 1.5, 1.6, 1.6, 1.4, 1.0, 0.6)


def _moments(random: Random, messages: int) -> Iterator[datetime]:
    days = min(LONGEST_SPAN, max(14, messages / 2_000))
    gap = days * 86_400 / max(1, messages)
    offset = 0.0
    while True:
        moment = BEGIN + timedelta(seconds=int(offset))
        yield moment
        offset += random.expovariate(1) * gap / _BUSY[moment.hour]


def _rank(random: Random, count: int) -> int:
    """One of `count`, the n-th about 1/n as often as the first."""
    return min(count - 1, int(math.exp(random.random() * math.log(count + 1))) - 1)


# --- Who writes where ---

_BEFORE = ("", "พี่", "น้อง", "ป้า", "ลุง", "ครู", "ช่าง", "อา", "แม่ค้า ", "เจ๊")
_NAMES = (
    "หน่อย มิ้นท์ เดช ส้มโอ แป้ง ต้น นุ่น บอย ฝน เอก ปลา กุ้ง แนน โอ๋ ตุ๊ก หนิง เล็ก ใหญ่ เจี๊ยบ ก้อย ตาล อ้อม เก่ง น้ำ ดาว พลอย ขวัญ "
    "เบียร์ มด แก้ว Korn Mint Beam Ploy June Nut Earn Fah Ken Bank Tar Pim Joy Aom Win"
).split()
_AFTER = ("", " 🌸", " หวาน", " บัญชี", " (ห้อง 12)", " Shop")
_AFTER_ENGLISH = ("", "_th", ".k", "🌸", "88", "-Shop")
_OFFICES = ("HR", "Admin", "แอดมิน", "ทีมงาน", "โค้ช", "คุณ", "ฝ่ายบุคคล")
_THREADS = ("กลุ่มซื้อขายมือสอง", "ญาติโกโหติกา", "หมู่บ้านร่มรื่น", "ห้องเรียน ป.5/2", "งานบริษัท", "ตลาดนัดหน้าโรงเรียน")
_SENDER_IDS = "KBank SCB AIS ThaiPost SMS INFO OTP NOTICE SHOP PROMO CLINIC EXPRESS WALLET UTILITY".split()


def _name(number: int) -> str:
    """The name of the person of that number; no two are called the same."""
    rest, name = divmod(number, len(_NAMES))
    before = "" if _NAMES[name].isascii() else _BEFORE[(number + 4 * rest) % len(_BEFORE)]
    rest, after = divmod(rest, len(_AFTER))
    endings = _AFTER_ENGLISH if _NAMES[name].isascii() else _AFTER
    return before + _NAMES[name] + endings[after] + (str(rest) if rest else "")


def _stranger(number: int) -> str:
    return f"{_OFFICES[number % len(_OFFICES)]}{_NAMES[number % len(_NAMES)]}{number % 97 or ''}"


def _telephone(number: int) -> str:
    return f"0{(6, 8, 9)[number % 3]}{number // 3 % 10}000{number // 30 % 10_000:04}"


def _address(number: int) -> str:
    return f"{_NAMES[30 + number % 15].lower()}{number}@example.com"


class _People:
    """Threads with their members. There are the fewer of them the fewer messages, so that people write repeatedly."""

    def __init__(self, channel: str | None, messages: int) -> None:
        self._channels = [channel] if channel else ["sms", "sms", "chat", "chat", "chat", "email"]
        self._count = max(8, min(400, messages // 25))
        self._threads = max(3, min(24, messages // 200))

    def writer(self, random: Random, terse: bool = False) -> tuple[str, str, str]:
        """Channel, thread and sender of a message."""
        channel = self._channels[0] if len(self._channels) == 1 else random.choice(self._channels)
        return self.within(random, channel, terse)

    def within(self, random: Random, channel: str, terse: bool = False) -> tuple[str, str, str]:
        """As `writer`, in one channel. `terse` texts come from a company rather than from a person."""
        if channel == "sms":
            sender = random.choice(_SENDER_IDS) if terse else _telephone(_rank(random, self._count))
            return channel, sender, sender
        if channel == "email":
            sender = _address(_rank(random, self._count))
            return channel, sender, sender
        number = _rank(random, self._threads)
        thread = _THREADS[number % len(_THREADS)] + (
            f" {number // len(_THREADS) + 1}" if number >= len(_THREADS) else ""
        )
        members = max(4, self._count // (number + 1))
        return channel, thread, _name((number * 13 + _rank(random, members)) % self._count)

    def stranger(self, number: int, channel: str) -> str:
        """A sender of a blast; none that writes otherwise."""
        if channel == "sms":
            return _telephone(100_000 + number)
        return _address(10_000 + number) if channel == "email" else _stranger(number)


# --- Honest messages ---


@cache
def _records() -> tuple[Record, ...]:
    # A line below the first that begins as a new message of a chat begins cannot be told from one.
    begins = re.compile(r"\n[\u200e\[(]*[0-9๐-๙]{1,4}[:./-]")
    odd = re.compile(r"[\t\r\x0b\x0c\x85\u2028\u2029]")
    return tuple(
        record
        for record in read_corpus([CORPUS])
        if record.text == record.text.strip() and not begins.search(record.text) and not odd.search(record.text)
    )


@cache
def _shuffled(harmful: bool, channel: str, seed: int) -> tuple[Record, ...]:
    """The records of a channel, every one once."""
    kept = [each for each in _records() if (each.label != BENIGN) is harmful and each.channel in CHANNELS[channel]]
    Random(f"order:{seed}").shuffle(kept)
    return tuple(kept)


class _Honest:
    """Honest texts, numbered from 0 as they come up; each can be made again from its number."""

    def __init__(self, seed: int, channel: str | None) -> None:
        self.made = 0
        self._seed = seed
        self._channels = (channel,) if channel else ("sms", "chat", "email", "chat", "sms")
        self._text = lru_cache(1 << 14)(self._make)

    def entry(self, random: Random, moment: datetime, new: bool, people: _People) -> Entry:
        number = self.made if new else _rank(random, self.made)
        self.made += new
        text, channel, terse = self._text(number)
        _, thread, sender = people.within(random, channel, terse)
        return Entry(text, sender, moment, thread, channel, label=BENIGN)

    def _make(self, number: int) -> tuple[str, str, bool]:
        channel = self._channels[number % len(self._channels)]
        records = _shuffled(False, channel, self._seed)
        turn, index = divmod(number, len(records))
        record = records[index]
        terse = record.kind not in ("personal", "other")
        random = Random(self._seed << 40 | number << 1)
        text = fill_slots(record.text, random)
        if turn:
            # Other values make a text of its own some few times; then words have to.
            has_values = SLOT.search(record.text) or _NUMBER.search(text)
            text = _decorated(_other_numbers(text, random), turn // 4 if has_values else turn, record.lang, terse)
        return text, channel, terse


_NUMBER = re.compile(r"(?<![\w./:@+-])[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]{2})?(?![\w/])|(?<=[Xx-])[0-9]{4,6}(?![\w/])")


def _other_numbers(text: str, random: Random) -> str:
    """The text with other amounts and other digits of masked accounts."""

    def other(match: re.Match[str]) -> str:
        head, tail = match[0][0], match[0][1:]
        return head + "".join(random.choice("0123456789") if each.isdecimal() else each for each in tail)

    return _NUMBER.sub(other, text)


_GREETINGS = {
    "th": ("", "สวัสดีค่ะ ", "สวัสดีครับ ", "ฝากหน่อยนะ ", "แจ้งนะคะ ", "เผื่อใครยังไม่เห็น ", "ส่งต่อค่ะ ", "ขออนุญาตแจ้งค่ะ "),
    "en": ("", "Hi, ", "Hello all, ", "FYI: ", "Morning! ", "Just so you know: ", "Again: "),
}
_ENDINGS = {
    "th": ("", " ค่ะ", " ครับ", " นะคะ", " 🙏", " 😊", " จ้า", " ขอบคุณค่ะ", " 🌸", " 👍", " ❤️", " นะครับ 🙏"),
    "en": ("", " 🙂", " thanks!", " 🙏", " 👍", " ok?", " 😊"),
}
_MARKS = ("", " 🙏", " 😊", " 👍", " 🌸", " ❤️", " 🎉", " ✨")


def _decorated(text: str, number: int, lang: str, terse: bool) -> str:
    """The text in its variation of that number, from 0, which is the text as it stands."""
    if number == 0:
        return text
    if terse:
        rest, minute = divmod(number * 487, 1_440)
        return f"{text} ({minute // 60:02}:{minute % 60:02}{f' #{rest // 487}' if rest >= 487 else ''})"
    language = {"th": "th", "th-en": "th", "en": "en"}.get(lang)
    greetings = _GREETINGS[language] if language else ("",)
    endings = _ENDINGS[language] if language else _MARKS
    number, greeting = divmod(number, len(greetings))
    rest, ending = divmod(number, len(endings))
    at = f" ({rest % 24:02}:{rest // 24 % 60:02}{f' #{rest // 1_440}' if rest >= 1_440 else ''})" if rest else ""
    return greetings[greeting] + text + endings[ending] + at


# --- Blasts ---

_KEPT = frozenset({"lineid", "lineoa"})
_LINKS = frozenset({"link", "shortlink", "lookalike", "official"})


@dataclass
class _Blast:
    """A campaign: one text, one LINE id or domain, some senders, some days."""

    number: int
    record: Record
    channel: str
    until: datetime
    senders: Sequence[str]
    values: dict[str, str] = field(default_factory=dict)
    made: int = 0


class _Blasts:
    """The campaigns that run, of which there are never many at a time."""

    MOST = 24

    def __init__(self, seed: int, channel: str | None) -> None:
        self.running: list[_Blast] = []
        self._seed = seed
        self._channels = (channel,) if channel else ("sms", "chat", "chat", "email")
        self._begun = 0
        self._strangers = 0
        self._text = lru_cache(1 << 10)(_blast_text)

    def entry(self, random: Random, moment: datetime, new: bool, people: _People) -> Entry:
        if new and (not self.running or random.random() < 0.1):
            blast = self._begin(random, moment, people)
        else:
            lively = [blast for blast in self.running if blast.until >= moment]
            if not lively and new:
                blast = self._begin(random, moment, people)
            else:
                blast = lively[_rank(random, len(lively))] if lively else self.running[-1]
        if new:
            variant = blast.made
            blast.made += 1
        else:
            variant = random.randrange(blast.made)
        text = self._text(self._seed, blast.number, variant, blast.record, tuple(blast.values.items()))
        sender = random.choice(blast.senders)
        _, thread, _ = people.within(random, blast.channel)
        if blast.channel != "chat":
            thread = sender
        return Entry(text, sender, moment, thread, blast.channel, label=blast.record.label, campaign=blast.number)

    def _begin(self, random: Random, moment: datetime, people: _People) -> _Blast:
        channel = self._channels[self._begun % len(self._channels)]
        records = _lures(channel, self._seed)
        record = records[self._begun // len(self._channels) % len(records)]
        count = random.randint(3, 6)
        senders = [people.stranger(self._strangers + each, channel) for each in range(count)]
        self._strangers += count
        blast = _Blast(self._begun, record, channel, moment + timedelta(hours=random.randint(30, 110)), senders)
        for name, brand in SLOT.findall(record.text):
            value = FILLERS[name](random, brand)
            blast.values[name] = re.sub(r"(?<=[a-z])/.*", "", value) if name in _LINKS else value
        self._begun += 1
        self.running = [*self.running[-(self.MOST - 1) :], blast]
        return blast


@cache
def _lures(channel: str, seed: int) -> tuple[Record, ...]:
    """The harmful texts that lead somewhere: to a LINE id or a link."""
    wanted = _KEPT | _LINKS
    return tuple(
        record
        for record in _shuffled(True, channel, seed)
        if any(name in wanted for name, _ in SLOT.findall(record.text))
    )


def _blast_text(seed: int, number: int, variant: int, record: Record, values: tuple[tuple[str, str], ...]) -> str:
    """The campaign's text with LINE id and domain kept, and other numbers and paths of links."""
    random = Random(seed << 60 | number << 20 | variant << 1 | 1)
    kept = dict(values)
    linked = False

    def value(match: re.Match[str]) -> str:
        nonlocal linked
        name = match[1]
        if name in _KEPT:
            return kept[name]
        if name in _LINKS:
            linked = True
            path = "".join(random.choices("abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789", k=6))
            return f"{kept[name]}/{path}"
        return FILLERS[name](random, match[2] or "")

    text = _other_numbers(SLOT.sub(value, record.text), random)
    terse = record.channel not in ("chat", "post", "comment", "line_broadcast")
    return text if linked else _decorated(text, variant, record.lang, terse)
