"""Which indicators say who sent a message, so that messages that share one belong together.

>>> join_key("url", "https://pay.example.com/x1"), own_domain("https://pay.example.com/x1")
(None, 'example.com')
>>> join_key("url", "https://bit.ly/3abcd"), join_key("phone", "+66810005678"), join_key("promptpay", "+66810005678")
('url https://bit.ly/3abcd', 'number +66810005678', 'number +66810005678')
"""

import re
from functools import cache, lru_cache
from typing import Any

from ruthan.evidence.links import SHORTENERS
from ruthan.evidence.reference import hotlines, official_domains

IDENTIFYING = frozenset(
    "domain url line_id telegram whatsapp facebook phone email bank_account promptpay promptpay_qr crypto".split()
)
"""Types of indicators that one sender or one gang holds; `domain` is the registrable domain of a link."""

PLATFORMS = frozenset(
    "google.com forms.gle goo.gl youtube.com youtu.be facebook.com fb.com instagram.com tiktok.com twitter.com x.com "
    "line.me lin.ee t.me telegram.me telegram.org telegra.ph wa.me whatsapp.com discord.com discord.gg messenger.com "
    "microsoft.com live.com office.com 1drv.ms apple.com icloud.com dropbox.com mediafire.com mega.nz wetransfer.com "
    "github.com gitlab.com medium.com notion.so notion.site canva.com canva.site jotform.com typeform.com pantip.com "
    "wordpress.com weebly.com wix.com blogger.com linkedin.com reddit.com pinterest.com shopee.co.th lazada.co.th "
    "kaidee.com zoom.us yahoo.com".split()
)
"""Domains under which anyone can publish and that are no public suffixes: only a whole link says something."""

_CHAT_HOST = re.compile(
    r"(?:www\.|m\.)?(?:(?:liff\.)?line\.me|lin\.ee|t\.me|telegram\.me|wa\.me|(?:api|chat)\.whatsapp\.com|m\.me"
    r"|fb\.com|fb\.me|facebook\.com)"
)
# What stands in a path where a name could: facebook.com/groups/..., t.me/share/...
_NO_NAMES = frozenset(
    "groups watch share sharer sharer.php share.php profile reel reels story stories events pages messages marketplace "
    "photo photos photo.php permalink permalink.php login login.php help policies hashtag page post posts video videos "
    "joinchat addstickers proxy socks setlanguage iv send r ti ti/p ti/g r/ti r/ti/p r/ti/g r/msg r/msg/text r/share "
    "r/nv s p g".split()
)
_NUMBERS = frozenset({"phone", "whatsapp", "promptpay", "bank_account"})


def join_key(kind: str, value: str) -> str | None:
    """What an indicator joins messages by; None if it says nothing of who sent them.

    A number is the same whether it is called, written to or paid to. Official contacts, shorteners, hosts where anyone
    can publish, names that are none (`facebook.com/groups`) and masked values join nothing; of a link on a shortener or
    such a host the whole link counts, of any other its domain, which is an indicator of its own.
    """
    if kind not in IDENTIFYING or not value or is_masked(kind, value) or is_official(kind, value):
        return None
    if kind == "url":
        whole = bool(_host_and_tail(value)[1].strip("/?#")) and own_domain(value) is None
        return f"url {value}" if whole else None
    if kind == "domain":
        return f"domain {value}" if own_domain(value) == value else None
    if kind in ("line_id", "telegram", "facebook", "whatsapp") and not _names_someone(value):
        return None
    return f"number {value}" if kind in _NUMBERS and value.startswith("+") else f"{kind} {value}"


def is_official(kind: str, value: str) -> bool:
    """Whether an indicator is a hotline, or a link or domain, of a brand or public body."""
    if kind in ("url", "domain"):
        host = _host_and_tail(value)[0]
        return host.removeprefix("www.") in official_domains() or _domains(host)[0] in official_domains()
    return kind == "hotline" or value in hotlines()


def is_masked(kind: str, value: str) -> bool:
    """Whether `ruthan.masking` hid part of a value, so that different ones look alike."""
    if kind in ("crypto", "promptpay_qr"):
        return "xxxx" in value
    if kind == "citizen_id" or (kind in _NUMBERS and "/" not in value):
        return "x" in value
    shown = {"email": 1, "line_id": 2, "telegram": 2, "facebook": 2}.get(kind)
    if kind == "email":
        value = value.partition("@")[0]
    elif kind == "url":
        value, shown = _host_and_tail(value)[1], 0
    elif "/" in value:
        value, shown = value.partition("/")[2], 0
    if shown is None:
        return False
    characters = [character for character in value if character.isalnum()]
    return len(characters) > shown and set(characters[shown:]) == {"x"}


def own_domain(link: str) -> str | None:
    """The registrable domain of a link, `x.vercel.app` where vercel.app gives such names to anyone.

    None where the domain says nothing of who sent it: a shortener, a platform, an official site, no host at all.
    """
    return _own_domain(_host_and_tail(link)[0])


@lru_cache(maxsize=20_000)
def _own_domain(host: str) -> str | None:
    domain, private = _domains(host)
    if not host or host in SHORTENERS or domain in SHORTENERS or is_official("domain", host):
        return None
    if host in PLATFORMS or domain in PLATFORMS:
        return private if private != domain else None
    return private


@lru_cache(maxsize=20_000)
def _domains(host: str) -> tuple[str, str | None]:
    """The registrable domain of a host by public suffixes, and by private ones too; None if it is itself one."""
    parts = _extractor()(host)
    private = _extractor()(host, include_psl_private_domains=True)
    registered = private.top_domain_under_public_suffix
    if not registered and not private.is_private:
        registered = host
    return parts.top_domain_under_public_suffix or host, registered or None


@cache
def _extractor() -> Any:
    import tldextract  # only when a link is seen: it takes longer to load than a message to scan

    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)  # the bundled list; never asks the network


def _host_and_tail(link: str) -> tuple[str, str]:
    rest = link.partition("://")[2] or link
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return host.rpartition("@")[2].partition(":")[0].lower().rstrip("."), rest[len(host) :]


def _names_someone(value: str) -> bool:
    """Whether a name in a chat app is one: a link without an id has its host and path in its place."""
    host, _, path = value.partition("/")
    if not _CHAT_HOST.fullmatch(host):
        return value not in _NO_NAMES
    path, _, query = path.partition("?")
    path = path.strip("/").lower()
    return bool(path) and path not in _NO_NAMES and (path != "profile.php" or bool(query))
