"""Clients of the fuzzer: each sends a sequence that its seed decides, and looks."""

from __future__ import annotations

import json
import socket
import struct
import sys
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import gevent
from answers import BrokenAnswerError, Contract, Got, read_answer
from raw_bytes import Act, RawBytes, Script
from well_formed import A_JOB, Grammar, Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

ANSWER_S = 60
"""The longest that an answer or the end of a connection may take to come."""
SOME_S = 1
SHOWN_BYTES = 3000
REQUESTS_MAX = 8
"""On one connection."""
IDS_KEPT = 100
UNREAD_BYTES_MAX = 1 << 20
"""Of a larger body the service may leave a rest unread, and a reset ate its answer."""
CROWD_MAX = 120
CROWD_STAYS = 30
"""Of so many watchers one stays to the end."""
_LOOP = b"import time\\nfor n in range(40): print(n, flush=True); time.sleep(0.05)"
_WATCHED = b'{"language":"python","stdin_open":true,"source":"%b"}' % _LOOP
WATCHED = Request(
    "POST",
    "/v1/jobs",
    (
        ("Host", "[::1]"),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(_WATCHED))),
    ),
    _WATCHED,
)
_RESET = struct.pack("ii", 1, 0)
_PLACE = A_JOB.encode()


@dataclass
class Seen:
    """What all clients have met so far."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    ids: deque[str] = field(default_factory=lambda: deque(["none"], IDS_KEPT))

    undocumented: int = 0
    """Answers of 5xx that are no documented refusal."""


class FuzzClient:
    """One address, from which one kind of session after the other is sent.

    kind: what it sends; `again` waits while the service has enough to do, and tells
    whether to go on.
    """

    def __init__(
        self,
        number: int,
        seed: int,
        port: int,
        contract: Contract,
        grammar: Grammar,
        seen: Seen,
    ) -> None:
        self.number = number
        self._seed = seed
        self._port = port
        self._contract = contract
        self._grammar = grammar
        self._raw = RawBytes(grammar)
        self._seen = seen
        self._sent = b""
        self._place = ""

    def run(self, kind: str, again: Callable[[], bool]) -> None:
        """Send session after session."""
        session = 0
        while again():
            self.session(kind, session)
            session += 1

    def session(self, kind: str, session: int) -> None:
        """Send one session: the same for the same seed, client and number."""
        self._place = f"{kind} {self.number}/{session}"
        chance = Random(f"{self._seed}/{self.number}/{session}")
        try:
            with self._connect() as sock, sock.makefile("rb") as file:
                if kind == "requests":
                    self._requests(sock, file, chance)
                elif kind == "crowd":
                    self._crowd(sock, file, chance)
                else:
                    script: Script = getattr(self._raw, kind)(chance)
                    self._script(sock, file, script, chance)
        except BrokenAnswerError as error:
            self._complain(str(error))
        except TimeoutError:
            self._complain(f"no answer and no end within {ANSWER_S} s")

    def _connect(self) -> socket.socket:
        source = (f"127.0.0.{100 + self.number}", 0)
        return socket.create_connection(("127.0.0.1", self._port), ANSWER_S, source)

    # ----------------------------------------------------------------- well-formed

    def _requests(self, sock: socket.socket, file: BinaryIO, chance: Random) -> None:
        for _ in range(chance.randrange(1, REQUESTS_MAX)):
            request = self._grammar.make(chance)
            data = self._known(request.encode(), chance)
            if not self._request(sock, file, request, data):
                return

    def _request(
        self, sock: socket.socket, file: BinaryIO, request: Request, data: bytes
    ) -> bool:
        """Send one request; True when the connection can take another."""
        self._sent = data
        self._seen.requests += 1
        whole = _send(sock, data)
        got = _read(file, is_head=request.method == "HEAD")
        if got is None:
            if whole and len(request.body) < UNREAD_BYTES_MAX:
                self._complain("no answer")
            return False
        self._judge(got, request.method, request.target)
        return whole and not _closes(request.headers, got)

    def _known(self, data: bytes, chance: Random) -> bytes:
        """Put in the id of a job: mostly of a new one, which may still run."""
        ids = self._seen.ids
        age = int(chance.random() ** 3 * len(ids))
        return data.replace(_PLACE, ids[-1 - age].encode())

    # --------------------------------------------------------------------- scripts

    def _script(
        self, sock: socket.socket, file: BinaryIO, script: Script, chance: Random
    ) -> None:
        self._sent = b""
        self._seen.requests += 1
        self._place += f", {script.name}"
        for step in script.steps:
            match step:
                case bytes():
                    data = self._known(step, chance)
                    self._sent += data
                    if not _send(sock, data):
                        break
                case float():
                    gevent.sleep(step)
                case Act.READ_SOME:
                    _read_some(sock)
                case Act.RESET:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    return
                case Act.CLOSE:
                    return
                case Act.HALF_CLOSE:
                    break
        if script.name != "a watcher":
            self._read_all(sock, file, script)

    def _read_all(self, sock: socket.socket, file: BinaryIO, script: Script) -> None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        statuses = []
        while (got := _read(file)) is not None:
            statuses.append(got.status)
            self._judge(got)
        if script.refused and statuses not in ([400], []):
            self._complain(f"was not refused, but answered {statuses}")

    def _crowd(self, sock: socket.socket, file: BinaryIO, chance: Random) -> None:
        """Have many watch one job; most leave in the middle, and some stay."""
        if not self._request(sock, file, WATCHED, WATCHED.encode()):
            return
        target = f"/v1/jobs/{self._seen.ids[-1]}/events"
        watchers = [self._connect() for _ in range(chance.randrange(CROWD_MAX))]
        for watcher in watchers:
            self._seen.requests += 1
            _send(watcher, Request("GET", target, (("Host", "[::1]"),)).encode())
        for at, watcher in enumerate(watchers):
            with watcher, watcher.makefile("rb") as events:
                if at % CROWD_STAYS == 0 and (got := _read(events)):
                    self._judge(got, "GET", target)
                elif chance.random() < 0.5:
                    _read_some(watcher)
                    watcher.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    # --------------------------------------------------------------------- verdict

    def _judge(self, got: Got, method: str = "", target: str = "") -> None:
        self._seen.statuses[got.status] += 1
        fault = self._contract.fault(got, method, target)
        if fault:
            self._seen.undocumented += got.status >= 500
            self._complain(fault)
        if got.status in {200, 202} and b'"id":' in got.body[:8]:
            self._seen.ids.append(str(json.loads(got.body)["id"]))

    def _complain(self, fault: str) -> None:
        shown = repr(self._sent[:SHOWN_BYTES])
        more = max(0, len(self._sent) - SHOWN_BYTES)
        self._seen.wrong.append(f"{self._place}: {fault}")
        sys.stdout.write(
            f"WRONG in {self._place}: {fault}\n  sent {shown} and {more} bytes more\n"
        )
        sys.stdout.flush()


def _closes(asked: tuple[tuple[str, str], ...], got: Got) -> bool:
    options = [content for name, content in asked if name == "Connection"]
    return any("close" in one for one in (*options, got.headers.get("connection", "")))


def _send(sock: socket.socket, data: bytes) -> bool:
    """Send it all; False when the service has had enough before."""
    try:
        sock.sendall(data)
    except ConnectionError:
        return False
    return True


def _read_some(sock: socket.socket) -> None:
    sock.settimeout(SOME_S)
    with suppress(ConnectionError, TimeoutError):
        sock.recv(1000)
    sock.settimeout(ANSWER_S)


def _read(file: BinaryIO, *, is_head: bool = False) -> Got | None:
    try:
        return read_answer(file, is_head=is_head)
    except ConnectionError:
        return None
