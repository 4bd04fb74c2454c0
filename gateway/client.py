"""A client of the HTTP API, for the command line and the self-check."""

from __future__ import annotations

import ipaddress
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import requests

from gateway.event_stream import EventParser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gateway.event_stream import ServerEvent

CONNECT_S = 5
READ_S = 45
"""The service sends a comment every 15 s; after three missed ones it is gone."""
RECONNECTS_MAX = 6
"""In a row, without one event in between."""
_AWAY = frozenset({429, 502, 503, 504})
_ENDED = frozenset({409, 410})


class ClientError(RuntimeError):
    """The service refused or does not answer; the message is for people."""


class ServiceAwayError(ClientError):
    """Nobody answers or takes this just now; a later try may do better."""

    retry_after_s: float = 1.0
    """When to try again, in the service's words if it has any."""


class JobEndedError(ClientError):
    """What the request is for has ended already."""


class NotFoundError(ClientError):
    """There is nothing of that name, or it is not for us."""


class Client:
    """One service, over kept connections."""

    def __init__(self, url: str, pause: Callable[[float], None] = time.sleep) -> None:
        self.url = url.rstrip("/")
        self._pause = pause
        self._session = requests.Session()
        # a proxy named in the environment does not lead to our own loopback
        self._session.trust_env = not _is_loopback(urlsplit(url).hostname or "")

    def answers(self) -> bool:
        """Tell whether a service of this kind is there, in whatever role."""
        try:
            return bool(self._call("GET", "/healthz").json() == {"status": "ok"})
        except (ClientError, ValueError):
            return False

    def languages(self) -> list[dict[str, Any]]:
        """Return what the service says of its languages."""
        answer: dict[str, list[dict[str, Any]]]
        answer = self._call("GET", "/v1/languages").json()
        return answer["languages"]

    def system(self, admin_key: str) -> dict[str, Any]:
        """Return the live tree; `admin_key` may be empty on the service's machine."""
        headers = {"Authorization": f"Bearer {admin_key}"} if admin_key else {}
        try:
            answer = self._call("GET", "/v1/system", headers=headers)
        except NotFoundError as error:
            raise ClientError(
                "the live tree is for clients on the service's own machine, and for "
                "who sends its `admin_key`: set WARMBOX_ADMIN_KEY"
            ) from error
        tree: dict[str, Any] = answer.json()
        return tree

    def submit(self, request: Mapping[str, Any]) -> str:
        """Post a job; return its id."""
        return str(self._call("POST", "/v1/jobs", json=request).json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """Return the job with its result, as far as there is one."""
        document: dict[str, Any] = self._call("GET", _path(job_id)).json()
        return document

    def send_stdin(self, job_id: str, data: bytes, *, end: bool = False) -> None:
        """Write to the program's stdin; `end` closes it behind the data."""
        self._call(
            "POST",
            _path(job_id, "/stdin"),
            params={"end": "1"} if end else {},
            data=data,
            headers={"Content-Type": "application/octet-stream"},
        )

    def cancel(self, job_id: str) -> None:
        """Ask the service to stop the job, in whatever state it is."""
        self._call("DELETE", _path(job_id))

    def follow(self, job_id: str) -> Iterator[ServerEvent]:
        """Yield the job's events to the last; a broken stream is taken up again."""
        last_id = ""
        failures = 0
        while True:
            reason = "it ended before its job"
            try:
                for event in self._stream(job_id, last_id):
                    if event.name == "lagged":
                        break  # the service let us go because we were slow
                    last_id, failures = event.id, 0
                    yield event
                    if event.name == "finished":
                        return
            except (requests.RequestException, ServiceAwayError) as error:
                reason = str(error)
            failures += 1
            if failures > RECONNECTS_MAX:
                raise ClientError(f"the event stream of {job_id} broke: {reason}")
            self._pause(0.05 * 2**failures)

    def _stream(self, job_id: str, last_id: str) -> Iterator[ServerEvent]:
        parser = EventParser()
        headers = {"Accept": "text/event-stream"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        path = _path(job_id, "/events")
        with self._call("GET", path, headers=headers, stream=True) as response:
            for piece in response.iter_content(chunk_size=None):
                yield from parser.feed(piece)

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            response = self._session.request(
                method, self.url + path, timeout=(CONNECT_S, READ_S), **options
            )
        except requests.RequestException as error:
            raise ServiceAwayError(
                f"no service answers at {self.url}: {_first_cause(error)}"
            ) from error
        if response.ok:
            return response
        with response:
            raise _error_of(response)


def _error_of(response: requests.Response) -> ClientError:
    words, status = _describe(response), response.status_code
    if status in _AWAY:
        error = ServiceAwayError(words)
        wait_s = response.headers.get("Retry-After", "")
        error.retry_after_s = float(wait_s) if wait_s.isdecimal() else 1.0
        return error
    if status in _ENDED:
        return JobEndedError(words)
    return (NotFoundError if status == HTTPStatus.NOT_FOUND else ClientError)(words)


def _path(job_id: str, below: str = "") -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}{below}"


def _describe(response: requests.Response) -> str:
    """Turn a problem document (RFC 9457) into a sentence, a field a line."""
    try:
        problem = response.json()
        fields = [
            f"{entry['field']}: {entry['message']}"
            for entry in problem.get("errors", ())
        ]
        words = "\n  ".join(fields) or problem["detail"]
    except (ValueError, KeyError, TypeError, AttributeError):
        words = f"{response.reason} at {response.url}"
    return f"{response.status_code}: {words}"


def _first_cause(error: BaseException) -> str:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return str(error)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
