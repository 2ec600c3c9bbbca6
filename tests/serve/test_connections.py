import contextlib
import json
import socket
import time
import urllib.request
from collections.abc import Callable
from typing import Any

Serve = Callable[..., Any]


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def healthy(url: str) -> bool:
    with urllib.request.urlopen(f"{url}/healthz", timeout=5) as reply:
        return reply.status == 200


def closed_after(connection: socket.socket, drip: bytes = b"", pause: float = 0.2) -> float:
    """Seconds until the other side closes, while bytes drip in."""
    began = time.monotonic()
    connection.settimeout(pause)
    while time.monotonic() - began < 15:
        try:
            if drip:
                connection.sendall(drip)
            if connection.recv(1_000) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


def test_a_request_whose_head_drips_in_is_closed_while_others_are_answered(serving: Serve) -> None:
    found = serving(header_seconds=1)
    slow = [connect(found.url) for _ in range(50)]
    for each in slow:
        each.sendall(b"POST /v1/scan HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    assert healthy(found.url)
    assert 0.5 < closed_after(slow[0], b"X-A: b\r\n") < 10
    for each in slow:
        each.close()
    with connect(found.url) as silent:
        assert 0.5 < closed_after(silent) < 10
    with connect(found.url) as second:  # on a connection that was used before, too
        second.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        time.sleep(0.3)
        assert second.recv(10_000).startswith(b"HTTP/1.1 200")
        second.sendall(b"GET /healthz HTTP/1.1\r\nHost: ")
        assert 0.5 < closed_after(second) < 10
    assert healthy(found.url)


def test_a_connection_that_is_kept_for_more_requests_is_not_closed(serving: Serve) -> None:
    found = serving(header_seconds=1)
    with connect(found.url) as kept:
        for _ in range(2):
            kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            time.sleep(0.2)
            assert kept.recv(10_000).startswith(b"HTTP/1.1 200")
            time.sleep(1.3)


def test_a_head_without_end_is_closed(serving: Serve) -> None:
    found = serving(header_seconds=30)
    with connect(found.url) as endless:
        endless.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        assert closed_after(endless, b"X-A: " + b"b" * 20_000 + b"\r\n", 0.05) < 12
    assert healthy(found.url)


def test_connections_beyond_the_number_are_told_and_closed(serving: Serve) -> None:
    found = serving(max_connections=5)
    held = [connect(found.url) for _ in range(5)]
    time.sleep(0.3)
    with connect(found.url) as beyond:
        beyond.settimeout(5)
        said = beyond.recv(10_000)
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503")
    assert json.loads(body)["type"] == "urn:ruthan:problem:not-ready"
    for each in held:
        each.close()
    time.sleep(0.3)
    assert healthy(found.url)


def test_what_is_no_http_does_no_harm(serving: Serve) -> None:
    found = serving()
    for garbage in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"\x00" * 1_000, b"GET http://[ HTTP/1.1\r\n\r\n"):
        with connect(found.url) as connection:
            connection.sendall(garbage)
            connection.settimeout(2)
            with contextlib.suppress(TimeoutError):
                assert connection.recv(1_000)[:12] in (b"HTTP/1.1 400", b"")
    assert healthy(found.url)
