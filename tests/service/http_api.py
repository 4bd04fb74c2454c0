"""A client of the HTTP API that sees all: raw events, arrival times, exact bytes."""

from __future__ import annotations

import base64
import http.client
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.event_stream import EventParser

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 60
"""How long a test waits for one answer or one event before it fails."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Seen:
    """One event of a stream and when it came."""

    id: int
    name: str
    data: dict[str, Any]
    at: float


@dataclass(slots=True)
class Result:
    """A job's end with its exact output."""

    id: str
    document: dict[str, Any]
    stdout: bytes = b""
    stderr: bytes = b""
    compiled: bytes = b""
    events: list[Seen] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        return str(self.document["outcome"])

    @property
    def exit_code(self) -> int | None:
        code: int | None = self.document["exit_code"]
        return code

    @property
    def signal(self) -> int | None:
        number: int | None = self.document["signal"]
        return number

    @property
    def text(self) -> str:
        return self.stdout.decode()


class Api:
    """The API as one client uses it; `source` is the address that it comes from."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.port = port
        self.source = source

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=TIMEOUT_S, source_address=(self.source, 0)
        )

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status == 200, (path, answer)
        return answer.document

    # ----------------------------------------------------------------------- jobs

    def post(self, request: dict[str, Any], **headers: str) -> Answer:
        headers = {"Content-Type": "application/json", **headers}
        return self.call("POST", "/v1/jobs", json.dumps(request).encode(), headers)

    def submit(self, language: str, source: str | None = None, **fields: Any) -> str:
        request = {"language": language, **fields}
        if source is not None:
            request["source"] = source
        answer = self.post(request)
        assert answer.status == 202, answer
        return str(answer.document["id"])

    def look(self, job_id: str) -> dict[str, Any]:
        document: dict[str, Any] = self.get(f"/v1/jobs/{job_id}")
        return document

    def cancel(self, job_id: str) -> Answer:
        return self.call("DELETE", f"/v1/jobs/{job_id}")

    def send_stdin(self, job_id: str, data: bytes = b"", *, end: bool = False) -> None:
        path = f"/v1/jobs/{job_id}/stdin" + ("?end=1" if end else "")
        answer = self.call("POST", path, data)
        assert answer.status == 202, answer

    @contextmanager
    def follow(self, job_id: str, last_id: int | None = None) -> Iterator[Events]:
        connection = self.connect()
        headers = {} if last_id is None else {"Last-Event-ID": str(last_id)}
        try:
            connection.request("GET", f"/v1/jobs/{job_id}/events", headers=headers)
            response = connection.getresponse()
            assert response.status in {200, 204}, (response.status, response.read())
            yield Events(response)
        finally:
            connection.close()

    def wait(self, job_id: str) -> list[Seen]:
        """Return all events of the job, once it has ended.

        One who reads too slowly is sent away, and comes back for the rest.
        """
        seen: list[Seen] = []
        while not seen or seen[-1].name != "finished":
            with self.follow(job_id, seen[-1].id if seen else None) as events:
                new = [event for event in events if event.name != "lagged"]
            assert new, "a stream that brought nothing and did not end"
            seen += new
        return seen

    def result(self, job_id: str) -> Result:
        """Return how the job ended, once it has."""
        events = self.wait(job_id)
        document = self.get(f"/v1/jobs/{job_id}?encoding=base64")
        result = Result(job_id, document, events=events)
        result.stdout = base64.b64decode(document["stdout"])
        result.stderr = base64.b64decode(document["stderr"])
        if document["compile"]:
            result.compiled = base64.b64decode(document["compile"]["output"])
        return result

    def run(self, language: str, source: str | None = None, **fields: Any) -> Result:
        """Run a program to its end."""
        return self.result(self.submit(language, source, **fields))

    # -------------------------------------------------------------------- metrics

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples that bear these labels, 0 without any."""
        total = 0.0
        for line in self.call("GET", "/metrics").body.decode().splitlines():
            head, _, value = line.rpartition(" ")
            base, _, rest = head.partition("{")
            wanted = (f'{key}="{text}"' for key, text in labels.items())
            if base == name and all(label in rest for label in wanted):
                total += float(value)
        return total


class Events:
    """An open event stream: iterate over its events as they come."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self._parser = EventParser()
        self._ready: list[Seen] = []

    def __iter__(self) -> Iterator[Seen]:
        while (seen := self.next()) is not None:
            yield seen

    def next(self) -> Seen | None:
        """Wait for the next event; None at the end of the stream."""
        while not self._ready:
            piece = self._response.read1(65536)
            if not piece:
                return None
            now = time.time()
            self._ready = [
                Seen(int(event.id or 0), event.name, json.loads(event.data), now)
                for event in self._parser.feed(piece)
            ]
        return self._ready.pop(0)

    def until(self, name: str, text: str = "") -> Seen:
        """Read up to the first event of this name with this text in it."""
        for seen in self:
            if seen.name == name and text in seen.data.get("text", ""):
                return seen
        raise AssertionError(f"the stream ended without {name} {text!r}")
