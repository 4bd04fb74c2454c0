"""Answers read strictly, and held to what the API's description promises."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.event_stream import EventParser
from gateway.problems import CONTENT_TYPE, KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

LATER = frozenset(code for code, (status, _) in KINDS.items() if status == 503)
ANYWHERE = frozenset({304, 400, 404, 405, 414})
"""What HTTP itself, a cache or a path that is none can bring about."""
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [ -~]*\r\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\t -~\x80-\xff]*)\r\n")
_SIZE = re.compile(rb"([0-9a-f]+)\r\n")


class BrokenAnswerError(Exception):
    """The service sent what is no HTTP."""


@dataclass(frozen=True, slots=True)
class Got:
    """One answer; `whole` is False when the stream ended before it did."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool = True


def read_answer(file: BinaryIO, *, is_head: bool = False) -> Got | None:
    """Return the next final answer; None when the service has hung up before it."""
    while True:
        line = file.readline()
        if not line:
            return None
        found = _STATUS_LINE.fullmatch(line)
        if not found:
            raise BrokenAnswerError(f"no status line: {line[:200]!r}")
        headers = dict(_fields(file))
        status = int(found[1])
        if status >= 200:
            break
    if is_head or status in {204, 304}:
        return Got(status, headers, b"")
    return _with_body(file, status, headers)


def _fields(file: BinaryIO) -> Iterator[tuple[str, str]]:
    while (line := file.readline()) != b"\r\n":
        found = _FIELD.fullmatch(line)
        if not found:
            raise BrokenAnswerError(f"no header field: {line[:200]!r}")
        yield found[1].decode().lower(), found[2].decode("latin-1")


def _with_body(file: BinaryIO, status: int, headers: dict[str, str]) -> Got:
    if headers.get("transfer-encoding") == "chunked":
        body, whole = _read_chunks(file)
        return Got(status, headers, body, whole)
    if "content-length" in headers:
        length = int(headers["content-length"])
        body = file.read(length)
        return Got(status, headers, body, len(body) == length)
    return Got(status, headers, file.read())


def _read_chunks(file: BinaryIO) -> tuple[bytes, bool]:
    body = bytearray()
    while line := file.readline():
        found = _SIZE.fullmatch(line)
        if not found:
            raise BrokenAnswerError(f"no chunk: {line[:200]!r}")
        size = int(found[1], 16)
        body += file.read(size)
        end = file.read(2)
        if end != b"\r\n":
            break
        if not size:
            return bytes(body), True
    return bytes(body), False


class Contract:
    """What an answer may be, by the API's own description."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._operations = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operations)
            for path, operations in document["paths"].items()
        ]

    def fault(self, got: Got, method: str = "", target: str = "") -> str | None:
        """Return what is wrong with the answer; the target is unknown for rubbish."""
        if got.status >= 500:
            fault = _server_fault(got, target)
            if fault or not got.body:
                return fault
        if not got.whole:
            return "the answer is cut off"
        if method != "HEAD" and (fault := _body_fault(got)):
            return fault
        documented = self._statuses(method, target)
        if documented and got.status not in documented | ANYWHERE:
            return f"{got.status} is not documented for {method} {target}"
        return None

    def _statuses(self, method: str, target: str) -> frozenset[int]:
        path = target.partition("?")[0].partition("#")[0]
        name = "get" if method == "HEAD" else method.lower()
        for pattern, operations in self._operations:
            if pattern.fullmatch(path) and name in operations:
                return frozenset(map(int, operations[name]["responses"]))
        return frozenset()


def _server_fault(got: Got, target: str) -> str | None:
    if got.status != 503:
        return f"{got.status}: {got.body[:500]!r}"
    if target.startswith("/readyz") or b'"ready":' in got.body or not got.body:
        return None
    code = _problem(got).get("code")
    later = code in LATER and got.headers.get("retry-after", "").isdigit()
    return None if later else f"a 503 that is not documented: {got.body[:500]!r}"


def _body_fault(got: Got) -> str | None:
    kind = got.headers.get("content-type", "")
    if got.status >= 400 and got.status != 503:
        return _problem_fault(got)
    if kind == "application/json":
        return None if _is_json(got.body) else f"no JSON: {got.body[:200]!r}"
    if kind.startswith("text/event-stream"):
        return _stream_fault(got.body)
    return None


def _problem_fault(got: Got) -> str | None:
    if got.headers.get("content-type") != CONTENT_TYPE:
        return f"{got.status} is no problem document: {got.headers} {got.body[:200]!r}"
    problem = _problem(got)
    code = problem.get("code")
    texts = all(isinstance(problem.get(name), str) for name in ("title", "detail"))
    if not texts or KINDS.get(str(code), (0, ""))[0] != got.status:
        return f"{got.status} with the problem {problem}"
    return None if problem.get("status") == got.status else f"its status: {problem}"


def _problem(got: Got) -> dict[str, Any]:
    try:
        problem = json.loads(got.body)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body.decode())
    except ValueError:
        return False
    return True


def _stream_fault(body: bytes) -> str | None:
    events = list(EventParser().feed(body))
    if not all(_is_json(event.data.encode()) for event in events):
        return f"a stream without sense: {body[:500]!r}"
    if not events or events[-1].name not in {"finished", "lagged"}:
        return f"a stream without an end: {body[-500:]!r}"
    numbers = [int(event.id) for event in events if event.name != "lagged"]
    return None if numbers == sorted(set(numbers)) else f"event ids: {numbers}"
