import contextlib
import json
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
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


HEAD = b"POST /v1/scan HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def test_what_follows_a_body_has_an_end(serving: Serve) -> None:
    found = serving(header_seconds=30, body_seconds=30)
    before = resident(found)
    for line in (b"X-A: " + b"b" * 20_000 + b"\r\n", b"b" * 100_000):  # many lines, and one without end
        with connect(found.url) as endless:
            endless.sendall(CHUNKED + b"2\r\n{}\r\n0\r\n" + line[:3])
            assert closed_after(endless, line, 0.02) < 12
    assert resident(found) - before < 30
    assert healthy(found.url)


def test_trailers_do_no_harm(serving: Serve) -> None:
    found = serving()
    with connect(found.url) as connection:
        connection.sendall(CHUNKED + b'd\r\n{"text": "x"}\r\n0\r\nX-A: b\r\n\r\n')
        assert connection.recv(10_000).startswith(b"HTTP/1.1 200")


def resident(found: Any) -> float:
    """MiB of memory that a process holds."""
    status = Path(f"/proc/{found.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def test_a_body_that_drips_in_is_given_up_however_steadily(serving: Serve) -> None:
    found = serving(header_seconds=1, body_seconds=2)
    head = (
        b"POST /v1/scan HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n"
    )
    with connect(found.url) as slow:
        slow.sendall(head)
        assert 1.5 < closed_after(slow, b" ", 0.1) < 10
    with connect(found.url) as slow:
        slow.sendall(head)
        slow.settimeout(10)
        assert slow.recv(1_000).startswith(b"HTTP/1.1 408")


def test_what_is_sent_after_the_reply_is_not_waited_for(serving: Serve) -> None:
    found = serving(header_seconds=1, body_seconds=30)
    with connect(found.url) as late:
        late.sendall(b"POST /v1/nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4000\r\n\r\n")
        late.settimeout(10)
        assert late.recv(10_000).startswith(b"HTTP/1.1 404")
        assert 0.5 < closed_after(late, b" ", 0.1) < 10
    with connect(found.url) as kept:  # what comes in time is thrown away, and the connection goes on
        kept.sendall(b"POST /v1/nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n")
        time.sleep(0.3)
        kept.sendall(b"{}")
        assert kept.recv(10_000).startswith(b"HTTP/1.1 404")
        time.sleep(1.5)
        kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        kept.settimeout(10)
        assert kept.recv(10_000).startswith(b"HTTP/1.1 200")


def test_a_stranger_is_refused_before_his_body_is_read(serving: Serve) -> None:
    found = serving(require_keys=True)
    with connect(found.url) as stranger:
        stranger.sendall(b"POST /v1/scan HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4000000\r\n\r\n")
        stranger.settimeout(10)
        assert stranger.recv(10_000).startswith(b"HTTP/1.1 401")


def test_connections_beyond_the_number_are_told_and_closed(serving: Serve) -> None:
    found = serving(max_connections=5)
    held = [connect(found.url) for _ in range(5)]
    time.sleep(0.3)
    with connect(found.url) as beyond:
        beyond.settimeout(5)
        said = beyond.recv(10_000)
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503")
    document = json.loads(body)
    assert document["type"] == "urn:ruthan:problem:not-ready"
    assert f"x-request-id: {document['instance'].rpartition(':')[2]}".encode() in head
    assert b"x-ruthan-model: ruthan-" in head
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
                said = connection.recv(10_000)
                assert said[:12] in (b"HTTP/1.1 400", b"")
                if said:
                    assert json.loads(said.partition(b"\r\n\r\n")[2])["type"] == "urn:ruthan:problem:no-http"
    assert healthy(found.url)
