"""What a client sends: whose turn it is, until when, and where a body ends."""

from __future__ import annotations

import io
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import gevent
import pytest

from gateway import incoming
from gateway.incoming import Body, Incoming

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_S = 5.0


class Endless:
    """A socket that never lets anybody wait."""

    def settimeout(self, seconds: float | None) -> None:
        pass

    def recv_into(self, buffer: Any) -> int:
        buffer[:] = b"a" * len(buffer)
        return len(buffer)


def drain(file: Incoming | Body) -> None:
    while file.read(10):
        pass


def test_who_sends_without_a_pause_leaves_others_their_turns() -> None:
    reader = Incoming(Endless(), lambda _: gevent.sleep(0))
    reader.end_within(WAIT_S)
    turns: list[None] = []
    gevent.spawn(turns.append, None)
    while not turns:
        reader.read(64)  # raises TimeoutError at last


def test_what_a_connection_has_waited_before_counts_for_no_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(incoming, "time", SimpleNamespace(monotonic=lambda: now[0]))
    turns: list[str] = []
    reader = Incoming(Endless(), turns.append)
    reader.end_within(WAIT_S)
    now[0] += 1
    reader.read(10)
    assert turns == []
    now[0] += 1
    reader.read(10)
    assert turns == [""]


def test_who_sends_without_a_pause_has_no_more_time_than_others() -> None:
    reader = Incoming(Endless(), lambda _: gevent.sleep(0))
    reader.end_within(0.01)
    with pytest.raises(TimeoutError):
        drain(reader)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Incoming]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield theirs, Incoming(ours, lambda _: gevent.sleep(0))


def test_what_has_come_is_not_waited_for(
    ends: tuple[socket.socket, Incoming], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "_TURN_S", WAIT_S)  # whatever else the machine does
    peer, reader = ends
    peer.sendall(b"ab")
    reader.end_within(WAIT_S)
    turns: list[None] = []
    gevent.spawn(turns.append, None)
    assert reader.read(64) == b"ab"
    assert turns == []


def test_what_comes_later_is_waited_for(ends: tuple[socket.socket, Incoming]) -> None:
    peer, reader = ends
    reader.end_within(WAIT_S)
    gevent.spawn(peer.sendall, b"ab")
    assert reader.read(64) == b"ab"


def test_what_does_not_come_is_not_waited_for_for_ever(
    ends: tuple[socket.socket, Incoming],
) -> None:
    _, reader = ends
    reader.end_within(0.01)
    with pytest.raises(TimeoutError):
        reader.read(64)


def body_of(sent: bytes, length: int | None = None) -> tuple[Body, io.BytesIO]:
    file = io.BytesIO(sent)
    return Body(Incoming(Endless(), lambda _: gevent.sleep(0)), file, length), file


def test_a_body_of_some_length() -> None:
    body, file = body_of(b"abcde, the next", 5)
    assert [body.read(3) for _ in range(3)] == [b"abc", b"de", b""]
    assert file.read() == b", the next"


def test_a_body_in_chunks() -> None:
    sent = b'3\r\nabc\r\n00A;x="y"\r\n0123456789\r\n0;z\r\nT: 1\r\nU:\r\n\r\nthe next'
    body, file = body_of(sent)
    assert [body.read(7) for _ in range(3)] == [b"abc0123", b"456789", b""]
    assert file.read() == b"the next"


def test_an_unread_rest_is_thrown_away() -> None:
    for length, sent in ((9, b"123456789"), (None, b"4\r\n1234\r\n0\r\n\r\n")):
        body, file = body_of(sent + b"the next", length)
        assert body.read(2) == b"12"
        body.discard()
        assert not body.abandoned
        assert file.read() == b"the next"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"3\r\nab",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\nabc\n0\n\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"1" * 17 + b"\r\n",
        # An extension or a trailer in which another sees a line's end, or a field
        b"2;\nxx\r\nab\r\n0\r\n\r\n",
        b"2;\0\r\nab\r\n0\r\n\r\n",
        b"0\r\na:b\n\nGET / HTTP/1.1\r\n\r\n",
        b"0\r\na:\0b\r\n\r\n",
        b"0\r\nGETx\r\n\r\n",
        b"0\r\n",
        # More than any client needs
        b"1;" + b"a" * 20_000 + b"\r\nb\r\n0\r\n\r\n",
        (b"1;" + b"a" * 5_000 + b"\r\nb\r\n") * 4 + b"0\r\n\r\n",
        b"0\r\n" + b"a:b\r\n" * 5_000 + b"\r\n",
    ],
)
def test_a_body_that_others_could_end_elsewhere_is_broken(sent: bytes) -> None:
    body, _ = body_of(sent)
    with pytest.raises(OSError, match=r"chunk|trailer|beside|cut off"):
        drain(body)
    body.discard()
    assert body.abandoned


def test_what_is_broken_stays_so() -> None:
    body, file = body_of(b"x\r\n0\r\n\r\n")
    with pytest.raises(OSError, match="without a size"):
        body.read(1)
    with pytest.raises(OSError, match="broken"):
        body.read(1)
    assert file.read() == b"0\r\n\r\n"


def test_a_body_that_is_cut_off() -> None:
    body, _ = body_of(b"abc", 5)
    with pytest.raises(OSError, match="cut off"):
        body.read(5)


def test_a_body_that_came_too_late_leaves_no_next_request() -> None:
    class Late(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            if self.tell() == 3:
                raise TimeoutError("it has read, and lost that")
            return data

    late = Late(b"abcdef")
    body = Body(Incoming(Endless(), lambda _: gevent.sleep(0)), late, 6)
    with pytest.raises(TimeoutError):
        body.read(3)
    body.discard()
    assert body.abandoned


def test_of_a_long_rest_only_so_much_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "_DISCARD_BYTES_MAX", 2 * 65536)
    body, file = body_of(bytes(300_000), 300_000)
    body.discard()
    assert body.abandoned
    assert file.tell() == 2 * 65536


def test_leave_is_given_once_and_only_for_what_is_read() -> None:
    given: list[None] = []

    def body(length: int | None) -> Body:
        file = io.BytesIO(b"2\r\nab\r\n0\r\n\r\n")
        return Body(
            Incoming(Endless(), lambda _: gevent.sleep(0)),
            file,
            length,
            lambda: given.append(None),
        )

    body(0).read(1)
    body(4).discard()
    body(None).discard()
    assert given == []
    for length in (4, None):
        one = body(length)
        one.read(1)
        one.read(1)
    assert len(given) == 2
