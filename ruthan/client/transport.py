"""What both clients share of HTTP: settings of the connection, and requests and replies as httpx has them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import httpx

from ruthan import __version__
from ruthan.client.errors import ClientError
from ruthan.client.protocol import Call, Lost, Reply, Upload

CONNECT_SECONDS = 5.0  # for a connection, at most
CHUNK = 1 << 20  # bytes of a dump that are read at a time

Dump = str | PathLike[str] | BinaryIO

_KEY = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Address:
    """Where the service is: `url` with nothing in it that must not be shown."""

    url: str

    def __post_init__(self) -> None:
        """:raises ClientError: it is no address of a service."""
        try:
            url = httpx.URL(self.url)
        except (httpx.InvalidURL, TypeError):
            raise ClientError("the address of the service is no URL; give one such as http://127.0.0.1:8000") from None
        if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
            raise ClientError("the address of the service has to be like http://127.0.0.1:8000 or https://host/path")
        if url.userinfo:
            raise ClientError("an address shows up in logs: give the key as key=, not in the address")


def options(address: Address, key: str | None, timeout: float) -> dict[str, Any]:
    """How httpx is to connect.

    :raises ClientError: the key is none.
    """
    headers = {"User-Agent": f"ruthan/{__version__}", "Accept": "application/json"}
    if key is not None:
        if not _KEY.fullmatch(key):
            raise ClientError("the key is empty, or has blanks or other characters that no key has")
        headers["Authorization"] = f"Bearer {key}"
    return {
        "base_url": address.url,
        "headers": headers,
        "timeout": httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS)),
        "follow_redirects": False,  # the key is for this address
    }


def request_of(call: Call, content: Any) -> dict[str, Any]:
    """The arguments of httpx for a call."""
    headers = dict(call.headers)
    if call.into is not None:
        headers["Accept"] = "*/*"
    return {"method": call.method, "url": call.path, "params": dict(call.query), "headers": headers, "content": content}


def reply_of(response: httpx.Response, body: bytes) -> Reply:
    """A reply as the protocol takes it."""
    return Reply(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)


def lost(error: httpx.RequestError, timeout: float) -> Lost:
    """Why there was no reply. Only errors of connecting are quoted: others may quote what was sent."""
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return Lost(f"there was no connection to the service within {min(timeout, CONNECT_SECONDS):g} seconds")
    if isinstance(error, httpx.TimeoutException):
        return Lost(f"there was no reply within {timeout:g} seconds")
    if isinstance(error, httpx.ConnectError):
        return Lost(f"the service cannot be reached: {' '.join(str(error).split()) or 'no connection'}")
    return Lost(f"the connection broke before the reply was complete ({type(error).__name__})")


@contextmanager
def opened(dump: Dump) -> Iterator[tuple[Upload, str]]:
    """A dump, ready to be sent, and what its file is called.

    :raises ClientError: it cannot be read.
    """
    if not isinstance(dump, str | PathLike):
        if not hasattr(dump, "read") or dump.read(0) != b"":
            raise ClientError(
                "a dump is the path of a file, or a file opened for reading bytes, as by open(path, 'rb')"
            )
        start = dump.tell() if dump.seekable() else None
        yield Upload(dump, start, None if start is None else dump.seek(0, 2) - start), Path(str(_name(dump))).name
        return
    try:
        file = Path(dump).open("rb")  # noqa: SIM115  # closed below
    except OSError as error:
        raise ClientError(f"cannot read {dump}: {error.strerror}") from error
    with file:
        yield Upload(file, 0, file.seek(0, 2)), Path(dump).name


def _name(file: BinaryIO) -> Any:
    name = getattr(file, "name", None)
    return name if isinstance(name, str) and not name.startswith("<") else "dump"


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its name only when it is whole.

    :raises ClientError: it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        with beside.open("xb") as file:
            yield file
        beside.replace(path)
    except OSError as error:
        raise ClientError(f"cannot write {path}: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)
