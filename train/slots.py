"""Fill the identifier slots of authored texts with invented values.

Values come from one distribution whatever the label of the text, so that no identifier can be learned by heart,
and which kind of identifier stands in a text is itself blurred (`BLUR`). Slots: `{phone} {landline} {shortlink}
{link} {lookalike:BRAND} {official:BRAND} {lineid} {lineoa} {account} {otp} {ref} {plate}`.
"""

import re
import string
from collections.abc import Callable
from functools import cache
from random import Random

import yaml

from ruthan.resources import shipped
from ruthan.text.normalize import normalize
from train.disguise import disguise_somehow

SLOT = re.compile(r"\{([a-z]+)(?::([A-Za-z0-9_]{1,40}))?\}")

_WORDS = [
    "app",
    "bonus",
    "care",
    "center",
    "check",
    "club",
    "cloud",
    "deal",
    "direct",
    "easy",
    "express",
    "first",
    "fresh",
    "gift",
    "go",
    "group",
    "help",
    "home",
    "hub",
    "info",
    "item",
    "job",
    "live",
    "mall",
    "member",
    "mobile",
    "my",
    "news",
    "now",
    "online",
    "pay",
    "place",
    "plus",
    "point",
    "post",
    "pro",
    "promo",
    "quick",
    "save",
    "service",
    "shop",
    "smart",
    "store",
    "support",
    "team",
    "thai",
    "top",
    "track",
    "update",
    "vip",
    "web",
    "work",
    "world",
]
_NAMES = [
    "aom",
    "bank",
    "beam",
    "bow",
    "boy",
    "cat",
    "earn",
    "fah",
    "fon",
    "ice",
    "jane",
    "joy",
    "june",
    "kai",
    "ken",
    "kung",
    "lek",
    "mai",
    "mint",
    "moo",
    "nam",
    "nan",
    "nut",
    "oil",
    "ploy",
    "pim",
    "tan",
    "tar",
    "top",
    "win",
]
_ENDINGS = [
    "com",
    "co.th",
    "net",
    "info",
    "cc",
    "online",
    "site",
    "xyz",
    "top",
    "shop",
    "asia",
    "link",
    "me",
    "in.th",
    "vip",
    "club",
]
_SHORTENERS = [
    "bit.ly",
    "cutt.ly",
    "shorturl.asia",
    "tinyurl.com",
    "tiny.cc",
    "t.ly",
    "rebrand.ly",
    "lin.ee",
    "s.id",
    "is.gd",
]
_THAI_CONSONANTS = "กขคฆงจฉชฌญฎฐฒณดตถทธนบปผพภมยรลวศษสหฬอฮ"


@cache
def _brands() -> dict[str, str]:
    table = yaml.safe_load(shipped("data", "brands.yaml").read_text(encoding="utf-8"))
    return {str(code).upper(): domain for code, domain in table.items()}


def _digits(random: Random, count: int) -> str:
    return "".join(random.choices(string.digits, k=count))


def _code(random: Random, low: int, high: int) -> str:
    return "".join(random.choices(string.ascii_letters + string.digits, k=random.randint(low, high)))


def _phone(random: Random, _: str) -> str:
    number = random.choice("689")
    head, middle, tail = f"0{number}{_digits(random, 1)}", _digits(random, 3), _digits(random, 4)
    if random.random() < 0.08:
        return f"+66{head[1:]}{middle}{tail}"
    separator = random.choices(["", "-", " "], [5, 4, 1])[0]
    return separator.join((head, middle, tail))


def _landline(random: Random, _: str) -> str:
    separator = random.choice(["", "-", " "])
    if random.random() < 0.5:
        return separator.join(("02", _digits(random, 3), _digits(random, 4)))
    return separator.join((f"0{random.choice('3457')}{random.randint(2, 9)}", _digits(random, 3), _digits(random, 3)))


def _host(random: Random) -> str:
    words = random.sample(_WORDS, random.randint(1, 2))
    host = random.choice(["", "-"]).join(words) + random.choice(["", "", _digits(random, random.randint(1, 3))])
    return f"{host}.{random.choice(_ENDINGS)}"


def _url(random: Random, host: str, path: str = "") -> str:
    return random.choices(["https://", "http://", "", "www."], [6, 1, 4, 1])[0] + host + path


def _path(random: Random) -> str:
    style = random.random()
    if style < 0.4:
        return ""
    if style < 0.7:
        return "/" + random.choice(_WORDS)
    return "/" + _code(random, 4, 8)


def _link(random: Random, _: str) -> str:
    return _url(random, _host(random), _path(random))


def _shortlink(random: Random, _: str) -> str:
    return _url(random, random.choice(_SHORTENERS), "/" + _code(random, 5, 7)).replace("www.", "")


def _official(random: Random, brand: str) -> str:
    domain = _brands().get(brand.upper()) or f"{brand.lower()}.{random.choice(['com', 'co.th', 'or.th'])}"
    return _url(random, domain, _path(random))


def _lookalike(random: Random, brand: str) -> str:
    name, word = brand.lower(), random.choice(_WORDS)
    ending = random.choice(_ENDINGS)
    host = random.choice(
        [f"{name}-{word}.{ending}", f"{word}-{name}.{ending}", f"{name}.{word}{_digits(random, 2)}.{ending}"]
        + [f"{name}{word}.{ending}", f"{name}.go-{word}{_digits(random, 3)}.{ending}", f"{name}th.{ending}"]
    )
    return _url(random, host, _path(random))


def _lineid(random: Random, _: str) -> str:
    name = random.choice(_NAMES) + random.choice(["", ".", "_", "-"]) + random.choice(_WORDS + _NAMES)
    return random.choice(["", "", "", "@"]) + name + random.choice(["", _digits(random, random.randint(1, 4))])


def _lineoa(random: Random, _: str) -> str:
    if random.random() < 0.4:
        return f"@{_digits(random, 3)}{''.join(random.choices(string.ascii_lowercase, k=5))}"
    return "@" + random.choice(_WORDS) + random.choice(_WORDS + _NAMES)


def _account(random: Random, _: str) -> str:
    groups = random.choices([(3, 1, 5, 1), (3, 6, 1), (10,), (3, 1, 5, 3)], [6, 1, 3, 1])[0]
    return "-".join(_digits(random, count) for count in groups)


def _otp(random: Random, _: str) -> str:
    return _digits(random, random.choice([4, 6, 6, 6]))


def _ref(random: Random, _: str) -> str:
    letters = "".join(random.choices(string.ascii_uppercase, k=random.choice([0, 2, 2, 4])))
    return letters + _digits(random, random.randint(4, 11)) + random.choice(["", "", "TH"])


def _plate(random: Random, _: str) -> str:
    letters = "".join(random.choices(_THAI_CONSONANTS, k=2))
    return random.choice(["", str(random.randint(1, 9))]) + letters + " " + str(random.randint(1, 9999))


FILLERS: dict[str, Callable[[Random, str], str]] = {
    "phone": _phone,
    "landline": _landline,
    "shortlink": _shortlink,
    "link": _link,
    "official": _official,
    "lookalike": _lookalike,
    "lineid": _lineid,
    "lineoa": _lineoa,
    "account": _account,
    "otp": _otp,
    "ref": _ref,
    "plate": _plate,
}

# Which other slot may take a slot's place, and how often. The authored texts lean: look-alikes are nearly always
# harmful, official links and landlines mostly honest; without this a model learns the lean instead of the text.
BLUR: dict[str, tuple[float, tuple[str, ...]]] = {
    "official": (0.35, ("link", "shortlink")),
    "lookalike": (0.35, ("link", "shortlink")),
    "link": (0.25, ("shortlink",)),
    "shortlink": (0.25, ("link",)),
    "landline": (0.3, ("phone",)),
    "phone": (0.2, ("landline",)),
    "lineoa": (0.3, ("lineid",)),
    "lineid": (0.2, ("lineoa",)),
}


def slot_errors(text: str) -> list[str]:
    """What is wrong with the slots of a text; empty when all are known and no brace is left over."""
    errors = [f"unknown slot {{{name}}}" for name, _ in SLOT.findall(text) if name not in FILLERS]
    if re.search(r"[{}]", SLOT.sub("", text)):
        errors.append("a brace that belongs to no slot")
    return errors


def fill_slots(text: str, random: Random, blur: bool = False) -> str:
    """Replace every slot of `text` by an invented value drawn from `random`.

    With `blur`, a slot is sometimes filled as another of its family would be.
    """

    def value(match: re.Match[str]) -> str:
        name, brand = match[1], match[2] or ""
        if blur and name in BLUR:
            share, others = BLUR[name]
            if random.random() < share:
                name = random.choice(others)
        return FILLERS[name](random, brand)

    return SLOT.sub(value, text)


def prepare(text: str, record: str, seed: int, variant: int = 0, blur: bool = False, disguised: float = 0.0) -> str:
    """A text as models see it: slots filled, with the probability `disguised` rewritten as evaders write, normalised.

    The values follow from `seed`, `variant` and the id of the `record`, and from nothing else.
    """
    filled = fill_slots(text, Random(f"{seed}:{variant}:{record}"), blur=blur)
    if disguised:
        random = Random(f"{seed}:{variant}:{record}:disguise")
        if random.random() < disguised:
            filled = disguise_somehow(filled, random)
    return normalize(filled).text
