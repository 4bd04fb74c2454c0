"""One hostile client, at the default rate, from one address: everything at once.

It is two processes (`Part`), each run as `python -m gevent.monkey --module
hostile_client` with what to do on standard input. One posts what it has tokens for, ten
of them a second. The other one asks for what costs none or is refused, as often as it
is answered; it yields the processor to everybody, since a real one's is elsewhere.
Prints what it was answered, as JSON.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import gevent

if TYPE_CHECKING:
    from collections.abc import Iterator

Part = Literal["jobs", "flood"]
Attack = tuple[str, Callable[[], object]]

TOKENS_PER_S = 10
"""The default."""
TOKEN_BYTES = 256 << 10
MB = 1 << 20
STREAMS = 900
READERS, DEAF_READERS, REFUSED, FEEDERS = 8, 12, 40, 2
PATHS = ("/readyz", "/v1/system", "/v1/languages", "/openapi.json")
PATIENCE_S = 30
RENEW_S = 20
LONG = {"wall_time_s": 25, "cpu_time_s": 25}
PRINTS_8_MB = "import sys; sys.stdout.write('\x01' * (8 * 2**20 - 1))"
SLEEPS = "import time; time.sleep(24)"
EATS = "b = [bytearray(2**20) for _ in range(10_000)]"
CHATTERS = (
    "import time\nfor i in range(10_000):\n  print(i, flush=True); time.sleep(.02)"
)
JOBS: dict[str, dict[str, Any]] = {
    "output": {"source": PRINTS_8_MB, "limits": {"output_kb": 8192}},
    "chatty": {"source": CHATTERS, "limits": LONG},
    "sleeper": {"source": SLEEPS, "limits": LONG},
    "out of memory": {"source": EATS},
    "bulky": {"source": SLEEPS + "#" * 900_000, "stdin": "x" * 900_000, "limits": LONG},
}
CROWD = b"{" + b",".join(b'"%07d":0' % n for n in range(MB // 12 - 1)) + b"}"
STALLED = b" " * (2 * MB - 1)
"""One byte less than is announced."""
BODIES = {"crowd": CROWD, "stall": STALLED} | {
    kind: json.dumps({"language": "python", **job}).encode()
    for kind, job in JOBS.items()
}
OFTEN = ("output", "out of memory", "sleeper", "out of memory") * 2
"""In each round, before what is there once."""
ROUND = (*OFTEN, "output", "chatty", "crowd")
PLAN = (*ROUND * 4, "bulky", "stall")


class HostileClient:
    """host, port: the service. source: our address. seconds: for how long."""

    def __init__(
        self, host: str, port: int, source: str, seconds: float, part: Part
    ) -> None:
        self._at = (host, port)
        self._source = (source, 0)
        self._until = time.monotonic() + seconds
        self._part = part
        self._big = self._chatty = ""
        """Where the jobs are whose answers are asked for."""
        self.answers: Counter[str] = Counter()

    def run(self) -> None:
        """Do all of it, until the time is over."""
        start = self._post_all if self._part == "jobs" else self._flood
        greenlets = [gevent.spawn(self._guard, *todo) for todo in start()]
        gevent.joinall(greenlets, timeout=max(0, self._until - time.monotonic()))
        gevent.killall(greenlets)

    def _guard(self, name: str, attack: Callable[[], object]) -> None:
        try:
            attack()
        except (OSError, ValueError) as error:
            self.answers[f"{name}: {type(error).__name__}"] += 1

    # ------------------------------------------------------- what takes a token

    def _post_all(self) -> Iterator[Attack]:
        """Yield one post after the other, as there are tokens for them."""
        for kind in itertools.cycle(PLAN):
            if time.monotonic() >= self._until:
                return
            yield kind, partial(self._post, kind)
            gevent.sleep((len(BODIES[kind]) // TOKEN_BYTES + 1) / TOKENS_PER_S)

    def _post(self, kind: str) -> bytes:
        body = BODIES[kind]
        head = _post_head(self._at[0], "/v1/jobs", len(body) + (kind == "stall"))
        return self._ask(kind, head + body)

    # ---------------------------------------------------------- what takes none

    def _flood(self) -> Iterator[Attack]:
        """Yield what is done again and again."""
        host, here = self._at[0], "/v1/jobs"
        # So much is granted to nobody who has taken anything in the last two seconds.
        refused = _post_head(host, here, 20 * TOKEN_BYTES) + BODIES["stall"]
        feed = _post_head(host, f"{here}/anything/stdin", MB) + bytes(MB)
        self._renew()
        yield "renew", partial(self._for_ever, self._renew, RENEW_S)
        asked: list[tuple[str, Callable[[], bytes], int, float]] = [
            ("read again", lambda: _get(host, self._big), READERS, 0),
            ("refused", lambda: refused, REFUSED, 0),
            ("feed nobody", lambda: feed, FEEDERS, 0),
            ("watch", lambda: _get(host, f"{self._chatty}/events"), STREAMS, 0.5),
            *((path, partial(_get, host, path), 1, 0) for path in PATHS),
        ]
        for name, request, count, pause_s in asked:
            for _ in range(count):
                ask = partial(self._ask_anew, name, request)
                yield name, partial(self._for_ever, ask, pause_s)
        for _ in range(DEAF_READERS):
            yield "never read", partial(self._for_ever, self._never_read, 0)

    def _for_ever(self, attack: Callable[[], object], pause_s: float) -> None:
        while time.monotonic() < self._until:
            gevent.sleep(pause_s)
            attack()

    def _renew(self) -> None:
        """Have a long answer to ask for, and a job to watch."""
        self._big, self._chatty = (self._submit(kind) for kind in ("output", "chatty"))

    def _submit(self, kind: str) -> str:
        """Post a job, again if need be; return where it is."""
        while True:
            answer = self._post(kind)
            if b" 202 " in answer[:16]:
                return "/v1/jobs/" + str(json.loads(answer.split(_BODY)[1])["id"])
            gevent.sleep(0.1)

    def _ask_anew(self, name: str, request: Callable[[], bytes]) -> None:
        try:
            self._ask(name, request())
        except OSError as error:
            self.answers[f"{name}: {type(error).__name__}"] += 1
            gevent.sleep(0.1)

    def _never_read(self) -> None:
        with self._connect() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.sendall(_get(self._at[0], self._big))
            gevent.sleep(PATIENCE_S)

    # ----------------------------------------------------------------- requests

    def _ask(self, name: str, request: bytes) -> bytes:
        """Send it, read all of the answer, and return how it began."""
        with self._connect() as sock:
            sock.sendall(request)
            first = sock.recv(MB)
            self.answers[f"{name}: {first[9:12].decode()}"] += 1
            while sock.recv(MB):
                pass
        return first

    def _connect(self) -> socket.socket:
        return socket.create_connection(
            self._at, timeout=PATIENCE_S, source_address=self._source
        )


_BODY = b"\r\n\r\n"


def _get(host: str, path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


def _post_head(host: str, path: str, length: int) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def main() -> None:
    """Do what standard input says."""
    todo = json.load(sys.stdin)
    if todo["part"] == "flood":
        with suppress(PermissionError):
            os.nice(19)
    client = HostileClient(**todo)
    client.run()
    print(json.dumps(dict(sorted(client.answers.items()))))


if __name__ == "__main__":
    main()
