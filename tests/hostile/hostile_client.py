"""One hostile client, at the default rate, from one address: everything at once.

A process of its own: run as `python -m gevent.monkey --module hostile_client` with what
to do on standard input. It yields the processor to everybody, since a real one's is
elsewhere. Prints what it was answered, as JSON.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import gevent

if TYPE_CHECKING:
    from collections.abc import Callable

RATE_PER_S = 10
"""The default: more is refused, and that is cheap."""
BIG = 8 << 20
STREAMS = 900
READERS, DEAF_READERS, CROWDED, STALLED, STATUS = 8, 12, 6, 40, 4
PATIENCE_S = 30
LONG = {"wall_time_s": 25, "cpu_time_s": 25}
PRINTS_8_MB = "import sys; sys.stdout.write('\x01' * (8 * 2**20 - 1))"
SLEEPS = "import time; time.sleep(24)"
EATS = "b = [bytearray(2**20) for _ in range(10_000)]"
CHATTERS = (
    "import time\nfor i in range(10_000):\n  print(i, flush=True); time.sleep(.02)"
)
CROWD = b"{" + b",".join(b'"%07d":0' % n for n in range(BIG // 12)) + b"}"
JOBS: dict[str, dict[str, Any]] = {
    "output": {"source": PRINTS_8_MB, "limits": {"output_kb": 8192}},
    "chatty": {"source": CHATTERS, "limits": LONG},
    "sleeper": {"source": SLEEPS, "limits": LONG},
    "out of memory": {"source": EATS},
    "bulky": {"source": SLEEPS + "#" * 900_000, "stdin": "x" * 900_000, "limits": LONG},
}


class HostileClient:
    """host, port: the service. source: our address. seconds: for how long."""

    def __init__(self, host: str, port: int, source: str, seconds: float) -> None:
        self._at = (host, port)
        self._source = (source, 0)
        self._until = time.monotonic() + seconds
        self.answers: Counter[str] = Counter()
        self._turn = 0.0

    def run(self) -> None:
        """Do all of it, until the time is over."""
        attacks: list[tuple[Callable[[], None], int]] = [
            (self._post_jobs, 1),
            (self._read_again, READERS),
            (self._never_read, DEAF_READERS),
            (self._crowd, CROWDED),
            (self._stall, STALLED),
            (self._feed_nobody, 2),
            (self._ask, STATUS),
            (self._watch, STREAMS),
        ]
        self._big = self._post("output")
        self._chatty = self._post("chatty")
        greenlets = [
            gevent.spawn(self._for_ever, attack)
            for attack, count in attacks
            for _ in range(count)
        ]
        gevent.joinall(greenlets, timeout=self._until - time.monotonic())
        gevent.killall(greenlets)

    def _for_ever(self, attack: Callable[[], None]) -> None:
        while time.monotonic() < self._until:
            try:
                attack()
            except (OSError, http.client.HTTPException) as error:
                self.answers[f"{attack.__name__[1:]}: {type(error).__name__}"] += 1
                gevent.sleep(0.1)

    # -------------------------------------------------------------------- attacks

    def _post_jobs(self) -> None:
        for kind in ("output", "sleeper", "out of memory", "bulky"):
            self._post(kind)
        self._chatty = self._post("chatty") or self._chatty

    def _read_again(self) -> None:
        self._note("read again", self._call("GET", f"/v1/jobs/{self._big}"))

    def _never_read(self) -> None:
        with self._connect() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            request = f"GET /v1/jobs/{self._big} HTTP/1.1\r\nHost: a\r\n\r\n"
            sock.sendall(request.replace("Host: a", f"Host: {self._at[0]}").encode())
            gevent.sleep(PATIENCE_S)

    def _crowd(self) -> None:
        self._note("crowd", self._call("POST", "/v1/jobs", CROWD))

    def _stall(self) -> None:
        with self._connect() as sock:
            head = (
                f"POST /v1/jobs HTTP/1.1\r\nHost: {self._at[0]}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {2 << 20}\r\n\r\n"
            )
            sock.sendall(head.encode() + b" " * ((2 << 20) - 1))
            self._note("stall", int(sock.recv(64).split()[1]))

    def _feed_nobody(self) -> None:
        path = "/v1/jobs/anything/stdin"
        self._note("feed nobody", self._call("POST", path, bytes(1 << 20)))

    def _ask(self) -> None:
        for path in ("/readyz", "/v1/system", "/v1/languages", "/openapi.json"):
            self._note("ask", self._call("GET", path))

    def _watch(self) -> None:
        status = self._call("GET", f"/v1/jobs/{self._chatty}/events")
        self._note("watch", status)
        gevent.sleep(0.5)

    # --------------------------------------------------------------------- helpers

    def _post(self, kind: str) -> str:
        """Post a job in our turn; return its id, if it has one."""
        now = time.monotonic()
        self._turn = max(self._turn, now) + 1 / RATE_PER_S
        gevent.sleep(self._turn - now)
        body = json.dumps({"language": "python", **JOBS[kind]}).encode()
        connection = self._http()
        try:
            connection.request("POST", "/v1/jobs", body, _JSON)
            response = connection.getresponse()
            self._note(kind, response.status)
            return str(json.loads(response.read()).get("id", ""))
        finally:
            connection.close()

    def _call(self, method: str, path: str, body: bytes | None = None) -> int:
        connection = self._http()
        try:
            connection.request(method, path, body, _JSON if body else {})
            response = connection.getresponse()
            while response.read(1 << 20):
                gevent.sleep(0)
            return response.status
        finally:
            connection.close()

    def _http(self) -> http.client.HTTPConnection:
        host, port = self._at
        return http.client.HTTPConnection(
            host, port, timeout=PATIENCE_S, source_address=self._source
        )

    def _connect(self) -> socket.socket:
        return socket.create_connection(
            self._at, timeout=PATIENCE_S, source_address=self._source
        )

    def _note(self, attack: str, status: int) -> None:
        self.answers[f"{attack}: {status}"] += 1


_JSON = {"Content-Type": "application/json"}


def main() -> None:
    """Do what standard input says."""
    with suppress(PermissionError):
        os.nice(19)
    client = HostileClient(**json.load(sys.stdin))
    client.run()
    print(json.dumps(dict(sorted(client.answers.items()))))


if __name__ == "__main__":
    main()
