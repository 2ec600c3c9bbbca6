"""Facts that indicators are compared with, from data files: brands, public contacts, banks."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from ruthan.resources import read_yaml, shipped


def _read(name: str) -> Any:
    return read_yaml(shipped("data", name))


@cache
def _brands() -> dict[str, str]:
    """Code of each brand or public body to its real domain."""
    return {str(code): str(domain).lower() for code, domain in _read("brands.yaml").items()}


@cache
def official_domains() -> dict[str, str]:
    """Real domain to the code of the brand or public body it belongs to."""
    domains = dict.fromkeys(_read("public_contacts.yaml")["domains"], "public")
    for code, domain in _brands().items():
        domains.setdefault(domain, code)
    return domains


@cache
def brand_names() -> dict[str, str]:
    """Names, in small letters, by which a domain may pose as a brand, to the brand's code."""
    names: dict[str, str] = {}
    for code, domain in _brands().items():
        names[code.lower()] = code
        names.setdefault(domain.split(".")[0].replace("-", ""), code)
    return names


@cache
def hotlines() -> dict[str, str]:
    """Official short numbers to whose they are."""
    return {str(number): owner for number, owner in _read("public_contacts.yaml")["hotlines"].items()}


@dataclass(frozen=True)
class Bank:
    """A bank: its code and the names by which messages call it."""

    code: str
    names: tuple[str, ...]


@cache
def banks() -> tuple[Bank, ...]:
    """Thai banks and wallets, from `data/banks.yaml`."""
    return tuple(Bank(str(code), tuple(names)) for code, names in _read("banks.yaml")["banks"].items())
