"""A share of a crowd: clients that post at once, or watchers that stay.

Run here as `python -m gevent.monkey --module crowd`. Reads one line with what to do
from standard input, as JSON; says `ready`; begins, or ends, with the next line; prints
what it has seen, as JSON. Times are those of the machine's monotonic clock, the same in
all processes.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

import gevent
from gevent.fileobject import FileObject
from gevent.pool import Group
from machine import raise_files_max
from raw_http import BrokenAnswerError, RawClient, get_request, post_request

HELLO = {
    "language": "python",
    "files": [{"name": "main.py", "content": "print('Hello, world!')"}],
}
SAID = b"Hello, world!"
CONNECT_AT_ONCE = 200
_SPOKEN = re.compile(rb"now ([0-9.]+)")


@dataclass(slots=True)
class Posted:
    """One job of the burst, as its client saw it."""

    source: str
    posted: float
    status: int = 0
    answered: float = 0
    ended: float = 0
    outcome: str = ""
    """Empty while nobody has told how it ended."""


class Burst:
    """Each client posts its jobs one after the other, and follows each."""

    def __init__(self, port: int, shares: list[tuple[str, int]], path: str) -> None:
        self._port = port
        self._shares = shares
        self._jobs: list[Posted] = []
        self._post = post_request(path, HELLO)
        self._free: dict[str, list[RawClient]] = defaultdict(list)
        """Connections whose stream has ended, by the client's address."""
        self._followers = Group()

    def run(self, start: Any) -> list[dict[str, Any]]:
        """Wait for the start; return all jobs once each has ended."""
        start()
        clients = [gevent.spawn(self._client, *share) for share in self._shares]
        gevent.joinall(clients, raise_error=True)
        self._followers.join()
        return [asdict(job) for job in self._jobs]

    def _client(self, source: str, count: int) -> None:
        client = RawClient(self._port, source)
        for _ in range(count):
            job = Posted(source, time.monotonic())
            self._jobs.append(job)
            job.status, answer = client.call(self._post)
            job.answered = time.monotonic()
            if job.status == 202:
                self._followers.spawn(self._follow, job, json.loads(answer)["id"])
            elif SAID in answer:  # a server that lets its client wait
                job.ended, job.outcome = job.answered, "success"
        client.close()

    def _follow(self, job: Posted, job_id: str) -> None:
        free = self._free[job.source]
        client = free.pop() if free else RawClient(self._port, job.source)
        try:
            status, events = client.call(get_request(f"/v1/jobs/{job_id}/events"))
        except (OSError, BrokenAnswerError) as error:
            job.outcome = f"lost: {error}"
            return
        job.ended = time.monotonic()
        found = re.search(rb'"outcome":"(\w+)"', events)
        job.outcome = found[1].decode() if found else f"not told: {status}"
        free.append(client)


@dataclass(slots=True)
class Watched:
    """What this share of the watchers has seen."""

    opened: int = 0
    closed: int = 0
    """Streams that ended while they were to stay open."""
    delays_ms: list[float] = field(default_factory=list)
    """From when a program said the time to when a watcher read it."""


class Watch:
    """Each watcher opens one job's stream and reads until told to go."""

    def __init__(self, port: int, streams: list[tuple[str, str]]) -> None:
        self._port = port
        self._streams = streams
        self._seen = Watched()

    def run(self, stay: Any) -> dict[str, Any]:
        watchers = gevent.pool.Pool(CONNECT_AT_ONCE).map(self._open, self._streams)
        readers = [gevent.spawn(self._read, watcher) for watcher in watchers]
        stay()
        gevent.killall(readers)
        return asdict(self._seen)

    def _open(self, stream: tuple[str, str]) -> RawClient:
        source, job_id = stream
        client = RawClient(self._port, source)
        client.send(get_request(f"/v1/jobs/{job_id}/events"))
        while b": open" not in client.receive():
            pass
        self._seen.opened += 1
        return client

    def _read(self, client: RawClient) -> None:
        try:
            while True:
                piece = client.receive()
                now = time.time()
                self._seen.delays_ms += [
                    (now - float(said)) * 1e3 for said in _SPOKEN.findall(piece)
                ]
        except (OSError, BrokenAnswerError):
            self._seen.closed += 1


def main() -> None:
    raise_files_max()
    commands = FileObject(sys.stdin.fileno(), "r", close=False)
    todo = json.loads(commands.readline())

    def wait() -> None:
        print("ready", flush=True)
        commands.readline()

    kind = {"burst": Burst, "watch": Watch}[todo.pop("kind")]
    print(json.dumps(kind(**todo).run(wait)), flush=True)


if __name__ == "__main__":
    main()
