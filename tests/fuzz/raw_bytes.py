"""What a socket can be sent that is no request: scripts of bytes, pauses and ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from well_formed import A_JOB, Grammar

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

HELLO = b'{"language":"bash","source":"echo","limits":{"wall_time_s":0.3}}'
HEAD = b"POST /v1/jobs HTTP/1.1\r\nHost: [::1]\r\nContent-Type: application/json\r\n"
EVENTS = f"GET /v1/jobs/{A_JOB}/events HTTP/1.1\r\nHost: [::1]\r\n\r\n".encode()
HIDDEN = b"GET /v1/jobs/hidden HTTP/1.1\r\nHost: [::1]\r\n\r\n"
"""A request in a place where only one of two servers would see it."""
BYTES_APART_S = 1.0
SLOW_BYTES_MAX = 14


class Act(Enum):
    """What a client does besides sending."""

    HALF_CLOSE = auto()
    """Send no more, and go on to read."""
    READ_SOME = auto()
    """Read a little of what comes."""
    RESET = auto()
    """Be gone, with a reset instead of an end."""
    CLOSE = auto()
    """Be gone."""


Step = bytes | float | Act
"""Bytes are sent, a number of seconds is waited."""


@dataclass(frozen=True, slots=True)
class Script:
    """One connection; `refused` says that it gets one 400, and no more than that."""

    name: str
    steps: tuple[Step, ...]
    refused: bool = False


class RawBytes:
    """Makes scripts."""

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._quick: tuple[Callable[[Random], Script], ...] = (
            self._broken_bytes,
            self._broken_bytes,
            self._broken_bytes,
            self._cut_off,
            self._pipeline,
            _request_line,
            _header_bomb,
            _length,
            _chunks,
            _smuggling,
            _odd_header,
            _upgrade,
        )

    def quick(self, chance: Random) -> Script:
        """Return a script that takes little time."""
        return chance.choice(self._quick)(chance)

    def slow(self, chance: Random) -> Script:
        """Return a script of a client that sends a byte a second, or less."""
        whole = chance.choice(
            (
                HEAD + b"Content-Length: 100\r\n\r\n" + HELLO,
                HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n",
                b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 20,
            )
        )
        at = chance.randrange(len(whole))
        steps: list[Step] = [whole[:at]]
        for byte in whole[at : at + SLOW_BYTES_MAX]:
            steps += [BYTES_APART_S, bytes([byte])]
        return Script("a byte a second", tuple(steps))

    def stream(self, chance: Random) -> Script:
        """Return a script of a watcher that leaves as it likes."""
        begin: Step = EVENTS if chance.random() < 0.8 else EVENTS * 2
        steps: list[Step] = [begin, Act.READ_SOME]
        if chance.random() < 0.5:
            steps += [chance.choice((0.01, 0.1, 0.5)), Act.READ_SOME]
        ends = (Act.CLOSE, Act.RESET, Act.HALF_CLOSE)
        return Script("a watcher", (*steps, chance.choice(ends)))

    # ----------------------------------------------------------------- of requests

    def _make(self, chance: Random) -> bytes:
        """Return a request whose answers can be read without knowing it."""
        request = self._grammar.make(chance)
        return (
            replace(request, method="GET") if request.method == "HEAD" else request
        ).encode()

    def _broken_bytes(self, chance: Random) -> Script:
        data = bytearray(self._make(chance)[:4000])
        for _ in range(chance.choice((1, 1, 2, 5, 20))):
            _break_one(data, chance)
        return Script("broken bytes", (bytes(data),))

    def _cut_off(self, chance: Random) -> Script:
        data = self._make(chance)[:200_000]
        end = chance.choice((Act.CLOSE, Act.RESET, Act.HALF_CLOSE))
        pause = chance.choice((0.0, 0.0, 0.05))
        cut = data[: chance.randrange(len(data))]
        return Script("cut off", (cut, pause, end))

    def _pipeline(self, chance: Random) -> Script:
        data = b"".join(self._make(chance) for _ in range(chance.randrange(2, 9)))
        size = chance.choice((1, 7, 100, 100_000))
        starts = range(0, min(len(data), size * 60), size)
        pieces = (data[start : start + size] for start in starts)
        return Script("a pipeline", (*pieces, chance.choice((0.0, 0.2))))


def _break_one(data: bytearray, chance: Random) -> None:
    at = chance.randrange(len(data) + 1)
    odd = chance.choice((b"\0", b"\r", b"\n", b"\r\n\r\n", b" ", b"\xff", b":", b"%"))
    way = chance.randrange(4)
    if way == 0:
        data[at:at] = odd
    elif way == 1:
        data[at : at + 1] = odd
    elif way == 2:
        del data[at : at + chance.choice((1, 2, 20))]
    else:
        data[at:at] = data[at : at + chance.choice((1, 20, 200))]


# ------------------------------------------------------------------------------- HTTP


def _request_line(chance: Random) -> Script:
    line = chance.choice(
        (
            b"",
            b"\r\n\r\n",
            b"GET",
            b"GET /",
            b"GET  /  HTTP/1.1",
            b"GET / HTTP/1",
            b"GET / HTTP/1.",
            b"GET / HTTP/.",
            b"GET / HTTP/1.1.1",
            b"GET / HTTP/-1.1",
            b"GET / HTTP/" + b"9" * 5000,
            b"GET / HTTP/\xb2.\xb9",
            b"GET / HTTP/2.0",
            b"PRI * HTTP/2.0\r\n\r\nSM",
            b"GET /healthz HTTP/0.9",
            b"GET /healthz HTTP/1.0",
            b"get /healthz HTTP/1.1",
            b"G\0T /healthz HTTP/1.1",
            b"GET\t/healthz\x0bHTTP/1.1",
            b"GET /" + b"a" * 8180 + b" HTTP/1.1",
            b"GET /" + b"a" * 100_000 + b" HTTP/1.1",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"CONNECT example.org:80 HTTP/1.1",
        )
    )
    tail = chance.choice((b"\r\n\r\n", b"\n\n", b"\r\nHost: [::1]\r\n\r\n", b"\r"))
    return Script("a request line", (line + tail,))


def _header_bomb(chance: Random) -> Script:
    head = b"GET /healthz HTTP/1.1\r\n"
    bomb = chance.choice(
        (
            b"a: b\r\n" * 100_000,
            b"a: " + b"x" * 500_000 + b"\r\n",
            b"a" * 500_000,
            b"".join(b"h%d: %b\r\n" % (n, b"y" * 60_000) for n in range(99)),
            b"Cookie: a=b\r\n" * 99,
        )
    )
    return Script("a header bomb", (head + bomb + b"\r\n",))


def _length(chance: Random) -> Script:
    length = chance.choice(
        (b"-1", b"+5", b"1_0", b"0x5", b"\xb2", b"5, 5", b"5;", b"", b"9" * 5000)
    )
    data = HEAD + b"Content-Length: " + length + b"\r\n\r\n" + HELLO
    known = (b"5", b"99", b"9" * 30, b"%d" % len(HELLO))
    if chance.random() < 0.4:
        length = chance.choice(known)
        data = HEAD + b"Content-Length: " + length + b"\r\n\r\n" + HELLO
        return Script("a wrong length", (data,))
    return Script("a length that is none", (data,), refused=True)


def _chunks(chance: Random) -> Script:
    bodies = (
        b"zz\r\n",
        b"\r\n",
        b";\r\n",
        b"-1\r\nab",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhelloworld\r\n0\r\n\r\n",
        b"F" * 17 + b"\r\n",
        b"FFFFFFFFFFFFFFFF\r\nhello",
        b"5;" + b"a" * 20_000 + b"\r\nhello\r\n0\r\n\r\n",
        b"5;a=b\r\nhello\r\n0\r\n\r\n",
        b"0\r\nTrailer: a\r\n\r\n",
        b"0\r\n: a\r\n\r\n",
        b"0\r\nbad trailer\r\n\r\n",
        b"0\r\n" + b"a: b\r\n" * 5000 + b"\r\n",
        b"0\r\na:" + b"b" * 20_000 + b"\r\n\r\n",
        b"1\r\n{\r\n" * 3000 + b"0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"5\r\nhe",
        b"\x00\r\n",
    )
    head = chance.choice(
        (HEAD, HEAD.replace(b"json", b"x"), HEAD.replace(b"jobs", b"x"))
    )
    data = head + b"Transfer-Encoding: chunked\r\n\r\n" + chance.choice(bodies)
    return Script("bad chunks", (data,))


def _smuggling(chance: Random) -> Script:
    chunked = b"0\r\n\r\n" + HIDDEN
    length = b"Content-Length: %d\r\n" % len(chunked)
    framings = (
        length + b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\n" + length,
        b"Content-Length: 0\r\n" + length,
        length + b"Transfer-Encoding: chunked, identity\r\n",
        length + b"Transfer-Encoding: identity\r\n",
        length + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
        length + b"Transfer-Encoding: \x0bchunked\r\n",
        length + b"Transfer-Encoding: \xa0chunked\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n",
        b"Transfer-Encoding: chunked\x85\r\n",
        length + b"Transfer-Encoding : chunked\r\n",
        length + b" Transfer-Encoding: chunked\r\n",
        length + b"X: y\rTransfer-Encoding: chunked\r\n",
        b"X: y\0z\r\n" + length,
        b"Content-Length: \x1c%d\r\n" % len(chunked),
    )
    data = HEAD + chance.choice(framings) + b"\r\n" + chunked
    return Script("a hidden request", (data,), refused=True)


def _odd_header(chance: Random) -> Script:
    line = chance.choice(
        (
            b"no colon",
            b": no name",
            b"a b: c",
            b"a\0: b",
            b"\xff: b",
            b" folded: x",
            b"a: b\r\n c",
            b"a: \x01",
            b"a: \0",
            b"a: b\rc",
            b"(a): b",
        )
    )
    data = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n"
    return Script("an odd header", (data + HIDDEN,), refused=True)


def _upgrade(chance: Random) -> Script:
    version = chance.choice((b"HTTP/1.1", b"HTTP/1.0"))
    extra = chance.choice(
        (b"Upgrade: websocket", b"Upgrade: h2c", b"Expect: 100-continue")
    )
    head = b"POST /v1/jobs %b\r\nConnection: upgrade\r\n%b\r\n" % (version, extra)
    data = head + b"Content-Length: %d\r\n\r\n" % len(HELLO) + HELLO
    return Script("an upgrade", (data,))
