"""Links: the registrable domain, shorteners, official and look-alike domains, and links into chat apps."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from ruthan.evidence.found import TRAILING, Found
from ruthan.evidence.reference import brand_names, official_domains

SHORTENERS = frozenset(
    "bit.ly bit.do cutt.ly shorturl.asia tiny.cc tinyurl.com t.ly rebrand.ly s.id is.gd rb.gy wzid.me ow.ly t.co "
    "goo.gl onelink.me app.link page.link shorturl.at v.gd qrco.de linktr.ee shope.ee c.lazada.co.th".split()
)
_CHAT_HOSTS = {
    "line.me": "line_id", "lin.ee": "line_id", "liff.line.me": "line_id", "t.me": "telegram", "telegram.me": "telegram",
    "wa.me": "whatsapp", "api.whatsapp.com": "whatsapp", "chat.whatsapp.com": "whatsapp", "m.me": "facebook",
    "fb.com": "facebook", "fb.me": "facebook", "facebook.com": "facebook", "www.facebook.com": "facebook",
    "m.facebook.com": "facebook",
}  # fmt: skip

_ABBREVIATIONS = frozenset({"ref.no", "acc.no", "tel.no", "order.no", "inv.no", "room.no"})  # .no is Norway's ending
# Endings that are given to the named company or body only (THNIC).
_RESTRICTED = (".co.th", ".go.th", ".or.th", ".ac.th", ".mi.th")

_REST = r"[^\s<>\"'\u0e00-\u0e7f\ufffd]"
_THAI_LABEL = r"(?:[\u0e01-\u0e4e-]{1,63}\.)?"
_URL = re.compile(
    rf"(?<![a-z0-9@._-])(?:https?://{_THAI_LABEL}{_REST}{{1,2000}}|www\.[\u0e01-\u0e4e-]{{2,63}}\.[a-z]{{2,24}}(?:/{_REST}{{0,2000}})?|(?:[a-z0-9-]{{1,63}}\.){{1,5}}[a-z]{{2,24}}(?![a-z0-9-]|\.[a-z])"
    rf"(?::\d{{1,5}})?(?:/{_REST}{{0,2000}})?)",
    re.IGNORECASE,
)


@cache
def _extractor() -> Any:
    import tldextract  # only when a link is seen: it takes longer to load than a message to scan

    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)  # the bundled list; never asks the network


def find_links(text: str) -> Iterator[Found]:
    """Links with and without a scheme. A bare word with a dot is one only if its ending is a public suffix."""
    for match in _URL.finditer(text):
        written = match[0].rstrip(TRAILING)
        scheme, separator, rest = written.partition("://")
        if not separator:
            scheme, rest = "http", written
        host = re.split(r"[/?#]", rest, maxsplit=1)[0]
        name = host.rpartition("@")[2].partition(":")[0].lower().rstrip(".")
        if not name:
            continue
        parts = _extractor()(name)
        if (not separator and not (parts.suffix and parts.domain)) or (not separator and _too_short(name, rest)):
            continue
        domain = parts.top_domain_under_public_suffix or name
        end = match.start() + len(written)
        chat = _chat(name, rest[len(host) :])
        if chat is not None:
            yield Found(chat[0], match.start(), end, chat[1], {"link": f"{scheme.lower()}://{name}{rest[len(host) :]}"})
            continue
        details = {"domain": domain} | _standing(name, domain)
        yield Found("url", match.start(), end, f"{scheme.lower()}://{host.lower()}{rest[len(host) :]}", details)


def _too_short(name: str, rest: str) -> bool:
    """Abbreviations such as "บ.ก", "a.m" or "No.1" are no links: a bare name needs two letters and no path-less 2+2."""
    return name in _ABBREVIATIONS or (len(name.split(".")[-2]) < 2 and "/" not in rest)


def _standing(name: str, domain: str) -> dict[str, str]:
    """What is known of a host: shortener, official, or made to look like a brand's."""
    if name in SHORTENERS or domain in SHORTENERS:
        return {"shortener": "yes"}
    official = official_domains()
    for candidate in (name.removeprefix("www."), domain):
        if candidate in official:
            return {"official": official[candidate]}
    brand = lookalike_of(name)
    return {"lookalike": brand} if brand else {}


def lookalike_of(host: str) -> str | None:
    """The brand whose name a host that is not its own borrows, if any.

    Short names count only as a whole word between dots, hyphens and digits, so that "discbrake" is no look-alike of
    SCB; names of five letters and more count anywhere.
    """
    if host.lower().endswith(_RESTRICTED):
        return None
    labels = host.lower().split(".")
    words = set(re.split(r"[.\-_0-9]+", host.lower()))
    joined = "".join(labels[:-1]).replace("-", "")
    found = [name for name in brand_names() if (name in joined if len(name) >= 5 else name in words and len(name) > 2)]
    # The longest name, and of two alike the one that stands first: bankname.go-line000.cc poses as the bank.
    found.sort(key=lambda name: (-len(name) if len(name) >= 5 else 0, host.lower().find(name), -len(name)))
    return brand_names()[found[0]] if found else None


def _chat(host: str, path: str) -> tuple[str, str] | None:
    """Type and canonical value of a link into a chat app."""
    kind = _CHAT_HOSTS.get(host)
    if kind is None:
        return None
    if kind == "line_id":
        # Without ~ or @ it is a token of an invitation, which keeps its case.
        match = re.search(r"/(?:R/)?ti/p/((?:~|@|%40)[a-z0-9._%~-]{2,40})", path, re.IGNORECASE)
        if match:
            return kind, match[1].lower().replace("%40", "@").lstrip("~")
        return kind, f"{host}{path.rstrip('/')}"
    if kind == "whatsapp":
        number = re.search(r"(?:phone=|/)\+?(\d{8,15})", path)
        return kind, f"+{number[1]}" if number else f"{host}{path}"
    name = re.match(r"/(?:s/|joinchat/|\+)?([a-z0-9._-]{3,64})", path, re.IGNORECASE)
    return kind, name[1].lower() if name and not name[1].endswith(".php") else f"{host}{path}"
