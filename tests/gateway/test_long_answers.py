"""Long answers: in pieces, with turns for others, within bounds of what they keep."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from http.client import HTTPResponse
from socket import create_connection, create_server
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gateway_client import Gateway, assert_problem, running, shown
from hypothesis import given, settings
from hypothesis import strategies as st
from twins import HELLO, SUCCESS

from actors.messages import Finished, JobEvent, NumberedEvent, Output, Started
from gateway.config import GatewayConfig
from gateway.connection import Connection
from gateway.encodings import Encodings, encode_event
from gateway.event_stream import EventParser
from gateway.fairness import Fairness
from gateway.ledger import AnswersFullError, Ledger
from gateway.pace import Pace
from gateway.pieces import STEP_BYTES, Text, character_cut, encode, in_pieces
from gateway.streams import Audience
from gateway.turns import Turns
from metrics.instruments import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from socket import socket

MIB = 1 << 20
PIECE_BYTES_MAX = 69_700
UTF8_LIKE = st.lists(st.sampled_from(b"a\x80\xbf\xc2\xe2\xf0\xff"), max_size=16).map(
    bytes
)
WORST = Output("run", "stdout", b"\x01" * MIB)
"""JSON writes each of its bytes with six."""
TINY = st.binary(max_size=5)
LONG = st.integers(0, 3 * STEP_BYTES).map(lambda size: b"\xe2\x82\xac\x01\xff" * size)
CHUNKS = st.lists(st.one_of(TINY, LONG), max_size=8)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with running() as one:
        yield one


def held_bytes() -> float:
    return REGISTRY.get_sample_value("warmbox_answer_bytes") or 0


def get_unread(gateway: Gateway, path: str) -> socket:
    """Ask, and read nothing; return once the service holds the answer."""
    before = held_bytes()
    sock = gateway.connect()
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: [::1]\r\n\r\n".encode())
    with gevent.Timeout(10):
        while held_bytes() <= before:
            gevent.sleep(0)
    return sock


def wait_until_all_is_let_go() -> None:
    with gevent.Timeout(10):
        while held_bytes():
            gevent.sleep(0.001)


def read_to_end(sock: socket) -> None:
    while sock.recv(MIB):
        pass


# ------------------------------------------------------------------------ in pieces


@given(CHUNKS, st.booleans())
@settings(deadline=None)
def test_pieces_are_what_would_be_encoded_at_once(
    chunks: list[bytes], is_base64: bool
) -> None:
    joined = b"".join(chunks)
    text = (
        base64.b64encode(joined).decode()
        if is_base64
        else joined.decode(errors="replace")
    )
    inner: dict[str, Any] = {"output": Text(chunks, is_base64), "exit_code": None}
    pieces = [*in_pieces({"id": 'a"', "compile": inner, "stderr": "", "none": {}})]
    inner["output"] = text
    assert b"".join(pieces) == encode(
        {"id": 'a"', "compile": inner, "stderr": "", "none": {}}
    )
    assert max(map(len, pieces)) < PIECE_BYTES_MAX


@given(UTF8_LIKE, st.integers(4, 12))
def test_a_text_is_cut_where_both_parts_read_as_before(data: bytes, at: int) -> None:
    cut = character_cut(data, at)
    parts = data[:cut].decode(errors="replace") + data[cut:].decode(errors="replace")
    assert parts == data.decode(errors="replace")
    assert at - 3 <= cut <= at


def test_bytes_written_one_by_one_make_no_small_pieces() -> None:
    document = {"stdout": Text([b"\x01"] * 100_000, is_base64=False)}
    assert len([*in_pieces(document)]) < 100_000 * 6 / 32_768 + 1


@pytest.mark.parametrize("query", ["", "?encoding=base64"])
def test_an_answer_of_megabytes_is_sent_in_pieces(
    gateway: Gateway, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[str] = []
    monkeypatch.setattr("gateway.turns.Turns.wait", lambda _, who: turns.append(who))
    job_id = gateway.submit_done(HELLO, WORST)
    answer = gateway.get(f"/v1/jobs/{job_id}{query}", stream=True)
    assert answer.headers["Transfer-Encoding"] == "chunked"
    pieces = [*answer.raw.read_chunked()]
    assert max(map(len, pieces)) < PIECE_BYTES_MAX
    stdout = json.loads(b"".join(pieces))["stdout"]
    said = base64.b64decode(stdout) if query else stdout.encode()
    assert said == HELLO.data + WORST.data
    # A turn before each but the first, and one that finds the end
    assert turns == ["127.0.0.1"] * len(pieces)
    assert held_bytes() == 0


def test_every_route_that_shows_a_job_answers_so(gateway: Gateway) -> None:
    gateway.world.on_publish = lambda job_id: gateway.world.emit(
        job_id, Started(), WORST, Finished(SUCCESS)
    )
    waited = gateway.post({"language": "python", "source": "1"}, Prefer="wait=5")
    assert (waited.status_code, waited.headers["Preference-Applied"]) == (200, "wait=5")
    again = gateway.request("DELETE", waited.headers["Location"])
    for answer in (waited, again):
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert answer.json()["stdout"].encode() == WORST.data


def test_the_usual_answer_has_its_length(gateway: Gateway) -> None:
    job_id = gateway.submit_done(HELLO)
    answer = gateway.get(f"/v1/jobs/{job_id}")
    assert int(answer.headers["Content-Length"]) == len(answer.content)


def test_the_head_of_a_long_answer_tells_no_wrong_length(gateway: Gateway) -> None:
    path = f"/v1/jobs/{gateway.submit_done(WORST)}"
    with gateway.connect() as sock:
        file = sock.makefile("rb")
        for _ in range(2):  # nothing of a body stands between them
            sock.sendall(f"HEAD {path} HTTP/1.1\r\nHost: [::1]\r\n\r\n".encode())
            assert b" 200 " in file.readline()
            fields = [
                line.split(b":")[0].lower() for line in iter(file.readline, b"\r\n")
            ]
            assert b"content-length" not in fields
    assert held_bytes() == 0


def test_an_old_client_gets_it_up_to_the_end_of_the_connection(
    gateway: Gateway,
) -> None:
    path = f"/v1/jobs/{gateway.submit_done(WORST)}"
    with gateway.connect() as sock:
        sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        head, _, body = sock.makefile("rb").read().partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    assert json.loads(body)["stdout"].encode() == WORST.data


# --------------------------------------------------------------- what is kept meanwhile


def test_who_reads_nothing_gets_no_more_and_others_do() -> None:
    with running(answers_per_client_mb_max=8) as gateway:
        path = f"/v1/jobs/{gateway.submit_done(*[WORST] * 5)}"
        with get_unread(gateway, path) as sock:
            refused = gateway.get(path)
            assert_problem(refused, 503, "answers_full")
            assert refused.headers["Retry-After"] == "2"
            assert gateway.get("/healthz").status_code == 200
            proxied = gateway.get(f"{path}/events", stream=True)
            assert_problem(proxied, 503, "answers_full")
            assert gateway.world.watchers == []
            # When it has read what it asked for
            status, document = answer_in_chunks(sock)
        assert (status, len(document["stdout"])) == (200, 5 * MIB)
        wait_until_all_is_let_go()
        assert gateway.get(path).status_code == 200


def answer_in_chunks(sock: socket) -> tuple[int, Any]:
    response = HTTPResponse(sock)
    response.begin()
    return response.status, json.loads(response.read())


def test_a_job_that_was_accepted_is_not_refused_for_its_answer() -> None:
    job = {"language": "python", "source": "1"}
    with running(answers_per_client_mb_max=8) as gateway:
        path = f"/v1/jobs/{gateway.submit_done(*[WORST] * 5)}"
        gateway.world.on_publish = lambda job_id: gateway.world.emit(
            job_id, Started(), *[WORST] * 5, Finished(SUCCESS)
        )
        with get_unread(gateway, path):
            answer = gateway.post(job, Prefer="wait=5")
        assert (answer.status_code, answer.json()["state"]) == (202, "done")
        assert answer.headers["Location"] == answer.json()["links"]["self"]


def test_a_client_that_leaves_holds_nothing(gateway: Gateway) -> None:
    path = f"/v1/jobs/{gateway.submit_done(*[WORST] * 5)}"
    get_unread(gateway, path).close()
    wait_until_all_is_let_go()
    get_unread(gateway, f"{path}/events").close()
    wait_until_all_is_let_go()


@pytest.mark.parametrize("end", ["", "/events"])
def test_an_answer_that_nobody_takes_ends(end: str) -> None:
    with running(send_timeout_s=0.05) as gateway:
        path = f"/v1/jobs/{gateway.submit_done(*[WORST] * 5)}{end}"
        with get_unread(gateway, path) as sock:
            wait_until_all_is_let_go()
            with pytest.raises(ConnectionResetError):
                read_to_end(sock)


def test_a_client_that_is_full_when_a_piece_begins_is_waited_for_no_longer() -> None:
    # Given a server's socket that takes nothing more
    listener = create_server(("127.0.0.1", 0))
    client = create_connection(listener.getsockname())
    ours, _ = listener.accept()
    ours.settimeout(0)
    with suppress(BlockingIOError):
        while True:
            ours.send(b"x" * MIB)
    ours.settimeout(None)
    # When a whole piece is to be sent
    config = GatewayConfig(secret=b"", send_timeout_s=0.05)
    server = SimpleNamespace(config=config, fairness=Fairness(Turns()))
    connection = Connection(ours, "", server)
    connection.code, connection.headers_sent = 200, True
    connection.response_use_chunked = False
    with client, gevent.Timeout(5), pytest.raises(OSError, match="too slowly"):
        connection.write(b"x" * 1000)


def test_each_wait_is_bounded_and_all_are_by_what_was_taken() -> None:
    config = GatewayConfig(secret=b"", send_timeout_s=10, send_kb_s_min=1)
    pace = Pace(config)
    assert pace.time_left() == 10
    pace.add(1024, waited_s=3)  # 10 s, one more for a KiB, less 3
    assert pace.time_left() == 8
    pace.add(100 * 1024, waited_s=5)
    assert pace.time_left() == 10
    for _ in range(100):  # a trickle
        pace.add(10, waited_s=2)
    assert 0 < pace.time_left() < 0.01


def test_the_ledger_bounds_each_client_and_all() -> None:
    ledger = Ledger(bytes_max=100, bytes_per_client_max=60)
    first = ledger.hold("a", 80)  # more than it may, but it has nothing else
    with pytest.raises(AnswersFullError):
        ledger.hold("a", 1)
    with pytest.raises(AnswersFullError):
        ledger.hold("b", 30)
    second = ledger.hold("b", 20)
    assert not second.resize(21)
    assert second.resize(10)
    first.release()
    first.release()
    assert (ledger.held("a"), ledger.held("b")) == (0, 10)
    assert held_bytes() == 10
    second.release()
    assert held_bytes() == 0


# ------------------------------------------------------------------------ event streams


def test_a_long_event_travels_in_pieces(gateway: Gateway) -> None:
    data = b"\x01\xe2\x82\xac" * 50_000
    job_id = gateway.submit_done(Output("compile", "stderr", data))
    events = EventParser().feed(gateway.follow(job_id).content)
    (event,) = [one for one in events if one.name == "compile"]
    assert json.loads(event.data) == {"stream": "stderr", "text": data.decode()}
    again = gateway.follow(job_id)
    assert max(map(len, again.raw.read_chunked())) < PIECE_BYTES_MAX


def alone() -> Audience:
    audience = Audience()
    audience.count = 1
    return audience


def crowd() -> Audience:
    audience = Audience()
    audience.count = 2
    return audience


@given(st.one_of(TINY, LONG), st.integers(1, 9))
@settings(deadline=None)
def test_the_parts_of_an_event_are_the_event(data: bytes, number: int) -> None:
    event = NumberedEvent(number, JobEvent("j", 2, Output("run", "stderr", data)))
    encodings = Encodings()
    for audience in (alone(), *[crowd()] * 2):
        assert b"".join(encodings.of(audience, event)) == encode_event(event)


def test_an_event_is_encoded_once_for_all_its_watchers(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[NumberedEvent] = []

    def note(numbered: NumberedEvent) -> bytes:
        encoded.append(numbered)
        return encode_event(numbered)

    monkeypatch.setattr("gateway.encodings.encode_event", note)
    job_id = gateway.submit()
    streams = [Gateway(gateway.world, gateway.port).follow(job_id) for _ in range(3)]
    gateway.world.emit(job_id, Started(), HELLO, Finished(SUCCESS))
    seen = [[name for _, name, _ in shown(one)] for one in streams]
    assert seen == [["queued", "started", "stdout", "finished"]] * 3
    alone_with_the_first = 1
    assert len(encoded) == 4 + alone_with_the_first


def test_what_was_encoded_is_kept_within_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.encodings.KEPT_MAX", 2)
    encodings = Encodings()
    events = [NumberedEvent(n, JobEvent("j", 1, HELLO)) for n in range(1, 4)]
    for event in (*events, *events):
        assert b"".join(encodings.of(crowd(), event)) == encode_event(event)


def open_streams(gateway: Gateway, job_id: str, count: int) -> list[Any]:
    clients = [Gateway(gateway.world, gateway.port) for _ in range(count)]
    return [client.follow(job_id) for client in clients]


@pytest.mark.parametrize(
    ("bounds", "status", "code"),
    [
        ({"streams_per_client_max": 2}, 429, "too_many_streams"),
        ({"streams_per_job_max": 2}, 503, "too_many_watchers"),
    ],
)
def test_so_many_streams_are_open_and_no_more(
    bounds: dict[str, int], status: int, code: str
) -> None:
    with running(**bounds) as gateway:
        job_id = gateway.submit()
        streams = open_streams(gateway, job_id, 3)
        assert [one.status_code for one in streams] == [200, 200, status]
        assert_problem(streams[2], status, code)
        assert streams[2].headers["Retry-After"] == "5"
        assert len(gateway.world.watchers) == 2
        # When the job ends, all streams do, and there is room again
        gateway.world.emit(job_id, Finished(SUCCESS))
        assert [list(shown(one))[-1][1] for one in streams[:2]] == ["finished"] * 2
        assert [one.status_code for one in open_streams(gateway, job_id, 4)] == [
            200
        ] * 4


def test_a_stream_that_was_never_opened_does_not_count() -> None:
    with running(streams_per_client_max=1) as gateway:
        for _ in range(3):
            assert gateway.follow("unknown").status_code == 404
            job_id = gateway.submit()
            assert gateway.request("HEAD", f"/v1/jobs/{job_id}/events").ok
