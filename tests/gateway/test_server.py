"""Connections: bodies without an end, broken HTTP, starting and stopping."""

from __future__ import annotations

import _socket
import errno
import json
import select
import socket
import struct
import time
from ipaddress import ip_network
from typing import IO, TYPE_CHECKING, Any

import gevent
import pytest
from gateway_client import Gateway, running, shown
from twins import SUCCESS, World, catalog

from actors.messages import Finished, Output
from gateway.app import make_app
from gateway.config import GatewayConfig
from gateway.connection import Connection
from gateway.server import GatewayServer, _Server
from gateway.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Iterator

POST = b"POST /v1/jobs HTTP/1.1\r\nHost: [::1]\r\nContent-Type: application/json\r\n"
BODY = b'{"language":"python","source":"print(1)"}'


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Remember each piece that a connection hands to its socket."""
    pieces: list[bytes] = []
    send = vars(Connection)["_send"]

    def remember(connection: Connection, data: bytes) -> Any:
        pieces.append(bytes(data))
        return send(connection, data)

    monkeypatch.setattr(Connection, "_send", remember)
    return pieces


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    monkeypatch.setattr("gateway.incoming._DISCARD_S", 0.05)
    limits = {"body_timeout_s": 0.1, "idle_timeout_s": 5, "header_timeout_s": 0.1}
    with running(**limits) as one:
        yield one


def read_answer(sock: socket.socket) -> tuple[int, Any]:
    """Return status and document of one answer."""
    return answer_of(sock.makefile("rb"))


def answer_of(file: IO[bytes]) -> tuple[int, Any]:
    status = int(file.readline().split()[1])
    length = 0
    while (line := file.readline().strip()) != b"":
        name, _, value = line.partition(b": ")
        if name.lower() == b"content-length":
            length = int(value)
    return status, json.loads(file.read(length) or b"null")


def exchange(gateway: Gateway, sent: bytes) -> tuple[int, str, bool]:
    """Send; return the answer's status and code, and whether the server hung up."""
    with gateway.connect() as sock:
        sock.sendall(sent)
        status, document = read_answer(sock)
        try:
            closed = sock.recv(1) == b""
        except ConnectionResetError:
            closed = True
        return status, document["code"], closed


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        # A body that is announced and does not come
        (POST + b"Content-Length: 100\r\n\r\n{", 408, "body_timeout"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", 408, "body_timeout"),
        # A body that is larger than any request, announced or not
        (POST + b"Content-Length: 9000000\r\n\r\n", 413, "too_large"),
        (
            POST
            + b"Transfer-Encoding: chunked\r\n\r\n"
            + (b"100000\r\n" + b" " * 2**20 + b"\r\n") * 9,
            413,
            "too_large",
        ),
        # Chunks that are none
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "bad_request"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n\r\n", 400, "bad_request"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n;\r\n", 400, "bad_request"),
        # Headers in which two servers could see two different requests
        (POST + b"Content-Length: +5\r\n\r\n{}   ", 400, "bad_request"),
        (POST + b"Content-Length: 1_0\r\n\r\n{}        ", 400, "bad_request"),
        (
            POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
            400,
            "bad_request",
        ),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 400, "bad_request"),
        (
            POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "bad_request",
        ),
        (
            POST.replace(b"1.1", b"1.0")
            + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "bad_request",
        ),
        (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n", 400, "bad_request"),
        (POST + b"Transfer-Encoding: chunked\xa0\r\n\r\n", 400, "bad_request"),
        (POST + b"X: y\rContent-Length: 9\r\n\r\n", 400, "bad_request"),
        (POST + b"X: \0\r\n\r\n", 400, "bad_request"),
        # What is not HTTP, or too much of it
        (b"hello\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/9.9\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1\r\n\r\n", 400, "bad_request"),
        (b"GET  / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GET\t/\x0bHTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GET /healthz\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nslow:", 400, "bad_request"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414, "uri_too_long"),
    ],
)
def test_a_broken_request_is_answered_and_cut_off(
    gateway: Gateway, sent: bytes, status: int, code: str
) -> None:
    assert exchange(gateway, sent) == (status, code, True)
    assert gateway.submit()


def test_a_header_that_is_cut_off_is_no_request(gateway: Gateway) -> None:
    with gateway.connect() as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert read_answer(sock)[0] == 400


def test_a_long_field_of_blanks_takes_no_time(gateway: Gateway) -> None:
    started = time.monotonic()
    field = b"a:" + b" " * 30_000 + b"\x01\r\n"
    sent = b"GET / HTTP/1.1\r\n" + field + b"\r\n"
    assert exchange(gateway, sent) == (400, "bad_request", True)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01 forged\n line\r\n\r\n",
        b"GET / HTTP/1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHos",
        b"GET / HTTP/1.1\r\n: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        POST + b"Content-Length: 100\r\n\r\n{",
    ],
)
@pytest.mark.parametrize("leaves", [False, True])
def test_nobody_fills_our_log(
    gateway: Gateway,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    sent: bytes,
    leaves: bool,
) -> None:
    with gateway.connect() as sock:
        sock.sendall(sent)
        if leaves:
            # Gone with a reset, while the service may still be reading
            linger = struct.pack("ii", 1, 0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            sock.shutdown(socket.SHUT_WR)
            sock.makefile("rb").read()
    assert gateway.submit()
    gevent.sleep(0.1)  # a traceback would come from a greenlet that is at its end
    assert caplog.text == ""
    assert capfd.readouterr().err == ""


def test_a_body_nobody_asked_for_holds_nothing_up(gateway: Gateway) -> None:
    with gateway.connect() as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        assert read_answer(sock) == (200, {"status": "ok"})
        assert sock.recv(1) == b""


def test_the_next_request_is_where_the_body_ends(gateway: Gateway) -> None:
    head = b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"3;a=b\r\n{}\n\r\n1 ;c\r\n.\r\n0\r\nX: y\r\n\r\n"
    with gateway.connect() as sock:
        sock.sendall(head + body + b"\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        file = sock.makefile("rb")
        assert answer_of(file)[0] == 405
        assert answer_of(file)[0] == 200


@pytest.mark.parametrize(
    "more", [b"Connection: TE, close\r\n", b"Connection: x\r\nConnection: close\r\n"]
)
def test_who_asks_for_the_end_of_the_connection_gets_it(
    gateway: Gateway, more: bytes
) -> None:
    with gateway.connect() as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + more + b"\r\n")
        assert read_answer(sock)[0] == 200
        assert sock.recv(1) == b""


@pytest.mark.parametrize(
    "last",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /%ff HTTP/1.1\r\nHost: [::1]\r\n\r\n",
    ],
)
def test_what_is_sent_behind_the_last_request_costs_no_answer(
    gateway: Gateway, last: bytes
) -> None:
    first = b"GET /openapi.json HTTP/1.1\r\nHost: [::1]\r\n\r\n"
    with gateway.connect() as sock:
        sock.sendall(first + last + bytes(200_000))
        assert sock.recv(1, socket.MSG_PEEK)
        gevent.spawn(sock.shutdown, socket.SHUT_WR).join()
        file = sock.makefile("rb")
        assert answer_of(file)[1]["openapi"]
        assert answer_of(file)[0] in {200, 400}
        assert file.read() == b""  # and no reset


def test_an_old_client_sees_the_end_of_a_stream(gateway: Gateway) -> None:
    job_id = gateway.submit_done()
    with gateway.connect() as sock:
        path = f"/v1/jobs/{job_id}/events"
        line = f"GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        sock.sendall(line.encode())
        answer = sock.makefile("rb").read()  # to the end
    assert b"event: finished" in answer
    assert b"Connection: close" in answer


def test_an_old_client_is_given_no_leave(gateway: Gateway) -> None:
    head = b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(BODY)
    with gateway.connect() as sock:
        sock.sendall(POST.replace(b"1.1", b"1.0") + head + BODY)
        assert read_answer(sock)[0] == 202


def test_a_client_that_leaves_in_its_body(gateway: Gateway) -> None:
    with gateway.connect() as sock:
        sock.sendall(POST + b"Content-Length: 100\r\n\r\n{")
    assert gateway.submit()


def test_a_chunked_body(gateway: Gateway) -> None:
    pieces = (BODY[start : start + 10] for start in range(0, len(BODY), 10))
    headers = {"Content-Type": "application/json"}
    answer = gateway.request("POST", "/v1/jobs", data=pieces, headers=headers)
    assert answer.status_code == 202


def test_an_upgrade_does_not_open_the_connection(gateway: Gateway) -> None:
    head = POST + b"Upgrade: websocket\r\nConnection: upgrade\r\n"
    with gateway.connect() as sock:
        sock.sendall(head + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
        assert read_answer(sock)[0] == 202


def test_a_body_sent_after_leave_was_given(gateway: Gateway) -> None:
    head = POST + b"Expect: 100-Continue\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    with gateway.connect() as sock:
        sock.sendall(head)
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(BODY)
        assert read_answer(sock)[0] == 202


def test_many_requests_on_one_connection(gateway: Gateway) -> None:
    with gateway.connect() as sock:
        for _ in range(3):
            sock.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
            assert read_answer(sock)[0] == 202
        sock.sendall(POST + b"Content-Length: 2\r\n\r\n{}")
        assert read_answer(sock)[0] == 422
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_answer(sock)[0] == 200


def test_requests_sent_together_leave_others_their_turns(
    gateway: Gateway, sent: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a turn that is over at once, and two requests in one packet
    monkeypatch.setattr("gateway.incoming._TURN_S", 0)
    answered: list[int] = []
    with gateway.connect() as sock:
        request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        sock.sendall(request * 2)
        # When somebody else can run as soon as the first is answered
        while not sent:
            gevent.sleep(0)
        answered.append(len(sent))
        read_answer(sock)
    # Then it runs before the second
    assert answered == [1]


def test_a_long_answer_is_never_there_as_a_whole(
    gateway: Gateway, sent: list[bytes]
) -> None:
    text = b"x" * 100_000
    job_id = gateway.submit_done(Output("run", "stdout", text))
    sent.clear()
    answer = gateway.get(f"/v1/jobs/{job_id}")
    assert answer.json()["stdout"] == text.decode()
    assert max(map(len, sent)) < 70_000 < sum(map(len, sent))


def test_a_new_connection_need_not_wait_for_all_others_turns() -> None:
    # Given many greenlets that can always run, and a client that has sent all
    turns: list[int] = []
    busy = 300

    def spin() -> None:
        while not select.select([sock], [], [], 0)[0]:
            turns.append(1)
            end = time.perf_counter() + 0.0002
            while time.perf_counter() < end:
                pass
            gevent.sleep(0)

    with running() as gateway:
        sock = _socket.socket()  # not gevent's: lets nobody run meanwhile
        sock.connect(("127.0.0.1", gateway.port))
        sock.sendall(b"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n")
        # When they have their turns
        gevent.joinall([gevent.spawn(spin) for _ in range(busy)], raise_error=True)
        # Then the client has its answer before each had one
        assert len(turns) < busy
        sock.close()


def test_an_idle_connection_ends() -> None:
    with running(idle_timeout_s=0.05) as gateway, gateway.connect() as sock:
        assert sock.recv(1) == b""


def test_connections_beyond_the_bound_wait_for_a_place() -> None:
    with running(connections_max=1) as gateway:
        request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        with gateway.connect() as first, gateway.connect() as second:
            second.sendall(request)
            first.sendall(request)
            assert read_answer(first)[0] == 200
            assert read_answer(second)[0] == 200


def test_a_port_that_is_taken() -> None:
    with running() as gateway:
        config = GatewayConfig(secret=b"", port=gateway.port)
        turns = Turns()
        app = make_app(config, World(), catalog(), {}, turns)
        server = GatewayServer(app, config, None, turns)
        with pytest.raises(OSError, match=f"127.0.0.1:{gateway.port}: .*in use") as e:
            server.start()
    assert e.value.errno == errno.EADDRINUSE


def test_stopping_waits_for_requests_but_not_for_idle_connections() -> None:
    # Given an idle connection and one whose client waits for its result
    with running(stop_s=20) as gateway:
        gateway.submit()
        other = Gateway(gateway.world, gateway.port)
        waiting = gevent.spawn(other.post, json.loads(BODY), Prefer="wait=30")
        assert gateway.world.watched.wait(5)
        # When the service stops, and the job ends meanwhile
        ((job_id, _),) = gateway.world.watchers
        gevent.spawn_later(0.05, gateway.world.emit, job_id, Finished(SUCCESS))
        started = time.monotonic()
    # Then the client has its result, and nothing else was waited for
    assert waiting.get(timeout=1).status_code == 200
    assert time.monotonic() - started < 10


def test_stopping_cuts_off_what_does_not_end() -> None:
    with running() as gateway:
        events = shown(gateway.follow(gateway.submit()))
        next(events)
    assert gateway.world.unwatched.wait(5)
    with pytest.raises(OSError, match="refused"):
        gateway.connect()


def test_ipv6() -> None:
    try:
        socket.socket(socket.AF_INET6).bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    with running(host="::1") as gateway:
        address = ("::1", gateway.port)
        with socket.create_connection(address) as sock:
            sock.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
            assert read_answer(sock)[0] == 202
        assert gateway.world.only_job().job.client == "::/64"


# ----------------------------------------------------------------- pieces that are sent


def test_an_answer_is_sent_in_one_piece(gateway: Gateway, sent: list[bytes]) -> None:
    gateway.get("/healthz")
    (answer,) = sent
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b'\r\n\r\n{"status":"ok"}')


def test_what_the_socket_does_not_take_at_once_is_sent_as_well(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send_a_little(connection: Any, data: bytes) -> Any:
        return connection.socket.send(data[:7])

    monkeypatch.setattr(Connection, "_send", send_a_little)
    answer = gateway.get("/healthz")
    assert answer.json() == {"status": "ok"}
    assert answer.headers["Content-Length"] == "15"


def test_a_stream_is_opened_at_once_and_ends_with_its_last_event(
    gateway: Gateway, sent: list[bytes]
) -> None:
    # Given a stream that is open
    job_id = gateway.submit()
    sent.clear()
    stream = gateway.follow(job_id)
    (opening,) = sent
    assert b"\r\n\r\n3e\r\nretry: 2000\n: open\n\nid: 1\nevent: queued\n" in opening
    # When the job ends
    gateway.world.emit(job_id, Finished(SUCCESS))
    # Then the last event and the stream's end are one piece
    assert [name for _, name, _ in shown(stream)] == ["queued", "finished"]
    assert len(sent) == 2
    assert sent[1].endswith(b"\n\n\r\n0\r\n\r\n")


def ask(sock: socket.socket) -> bytes:
    """Return the answer's beginning; nothing when the connection was closed."""
    try:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        return sock.recv(12)
    except ConnectionError:
        return b""


def test_one_address_has_so_many_connections_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.server.is_local", lambda _: False)
    with running(connections_per_client_max=2) as gateway:
        first, second = gateway.connect(), gateway.connect()
        assert ask(first) == ask(second) == b"HTTP/1.1 200"
        third = gateway.connect()
        assert ask(third) == b""
        first.close()
        with gevent.Timeout(5):
            while ask(gateway.connect()) == b"":
                gevent.sleep(0.01)
        second.close()
        third.close()


def test_a_network_of_ipv6_is_one_host(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = iter(["2001:db8::1", "2001:db8::2:1", "2001:db8:0:1::1"])

    def handle(server: Any, sock: Any, address: Any) -> None:
        as_real(server, sock, (next(addresses), *address[1:]))

    as_real = vars(_Server)["handle"]
    monkeypatch.setattr(_Server, "handle", handle)
    with running(connections_per_client_max=1) as gateway:
        first, second, third = (gateway.connect() for _ in range(3))
        assert ask(first) == b"HTTP/1.1 200"
        assert ask(second) == b""
        assert ask(third) == b"HTTP/1.1 200"
        for sock in (first, second, third):
            sock.close()


def test_programs_of_this_host_have_as_many_as_they_like() -> None:
    with running(connections_per_client_max=1) as gateway:
        several = [gateway.connect() for _ in range(5)]
        assert {ask(sock) for sock in several} == {b"HTTP/1.1 200"}
        for sock in several:
            sock.close()


def test_a_proxys_connections_are_its_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.server.is_local", lambda _: False)
    own = (ip_network("127.0.0.0/8"),)
    with running(connections_per_client_max=1, proxies=own) as gateway:
        several = [gateway.connect() for _ in range(5)]
        assert {ask(sock) for sock in several} == {b"HTTP/1.1 200"}
        for sock in several:
            sock.close()
