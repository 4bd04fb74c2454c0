"""Other clients of the same service: what they wait, and what they keep."""

from __future__ import annotations

import http.client
import json
import time
from statistics import quantiles
from typing import TYPE_CHECKING, Any

import gevent

if TYPE_CHECKING:
    from collections.abc import Callable

HELLO = {"language": "python", "source": "print('hello')"}
PAUSE_S = 0.2
KEPT = 15
KEPT_TEXT = "import sys; print(sys.argv[1] * 100_000)"
TIMEOUT_S = 60
_JSON = {"Content-Type": "application/json"}


class Innocent:
    """One client with an address of its own."""

    def __init__(self, host: str, port: int, source: str) -> None:
        self._at = (host, port)
        self._source = (source, 0)
        self.wrong: list[str] = []

    def hello(self) -> None:
        """Run a hello and read its events to the end."""
        job_id = self._submit(HELLO)
        text = self._get(f"/v1/jobs/{job_id}/events")[1].decode()
        if '{"text":"hello\\n"}' not in text or '"success"' not in text:
            self.wrong.append(text[-300:])

    def page(self) -> None:
        """Open the home page."""
        status, _ = self._get("/")
        if status != http.client.OK:
            self.wrong.append(f"the page: {status}")

    def leave_results(self) -> list[str]:
        """Run programs whose results are to be fetched later; return their ids."""
        jobs = [
            {**HELLO, "source": KEPT_TEXT, "args": [chr(65 + n)]} for n in range(KEPT)
        ]
        return [self._submit(job) for job in jobs]

    def missing(self, ids: list[str]) -> int:
        """Return how many of these results are not as they were."""
        return sum(not self._is_whole(n, job_id) for n, job_id in enumerate(ids))

    def _is_whole(self, number: int, job_id: str) -> bool:
        status, body = self._get(f"/v1/jobs/{job_id}")
        expected = chr(65 + number) * 100_000 + "\n"
        return status == http.client.OK and json.loads(body).get("stdout") == expected

    def _submit(self, job: dict[str, Any]) -> str:
        status, body = self._call("POST", "/v1/jobs", json.dumps(job).encode())
        if status != http.client.ACCEPTED:
            self.wrong.append(f"POST: {status} {body[:200]!r}")
            return "refused"
        return str(json.loads(body)["id"])

    def _get(self, path: str) -> tuple[int, bytes]:
        return self._call("GET", path)

    def _call(
        self, method: str, path: str, body: bytes | None = None
    ) -> tuple[int, bytes]:
        host, port = self._at
        connection = http.client.HTTPConnection(
            host, port, timeout=TIMEOUT_S, source_address=self._source
        )
        try:
            connection.request(method, path, body, _JSON if body else {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def measure(what: Callable[[], None], until: float) -> list[float]:
    """Do it again and again until that moment; return how long each took, in ms."""
    taken = []
    while time.monotonic() < until:
        began = time.monotonic()
        what()
        taken.append((time.monotonic() - began) * 1e3)
        gevent.sleep(PAUSE_S)
    return taken


def percentile(taken: list[float], percent: int) -> float:
    """Return a percentile of at least two figures."""
    return quantiles(taken, n=100, method="inclusive")[percent - 1]
