"""A job as its clients see it: documents made of the relay's views and events."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from actors.messages import (
    CompileResult,
    JobResult,
    JobView,
    NumberedEvent,
    Output,
    Restarted,
    Usage,
)
from gateway.pieces import LONG_BYTES, Text

if TYPE_CHECKING:
    from collections.abc import Iterable

Encoding = Literal["utf-8", "base64"]
"""How a document has the bytes that a program wrote."""


def as_utf8(data: bytes) -> str:
    """Return readable text, with replacement characters for what is none."""
    return data.decode(errors="replace")


def as_base64(data: bytes) -> str:
    """Return the exact bytes in base64."""
    return base64.b64encode(data).decode()


def head(job_id: str, language: str, state: str, created_at: float) -> dict[str, Any]:
    """Return what every answer about a job begins with."""
    path = f"/v1/jobs/{job_id}"
    return {
        "id": job_id,
        "state": state,
        "language": language,
        "created_at": rfc3339(created_at),
        "links": {
            "self": path,
            "events": f"{path}/events",
            "stdin": f"{path}/stdin",
        },
    }


def whole(view: JobView, encoding: Encoding = "utf-8") -> tuple[dict[str, Any], int]:
    """Return the job with the output that there is and, once done, its result.

    With it, how many bytes the output has: if they are more than `LONG_BYTES`, each
    text is a `Text`.
    """
    document = head(view.id, view.language, view.state, view.created_at)
    if view.state == "queued":
        return document, 0
    document["attempt"] = view.attempt
    texts = _Texts(view.events, encoding)
    if view.result is not None:
        document |= result(view.result)
    if document.get("compile"):
        document["compile"]["output"] = texts.of("compile")
    document["stdout"] = texts.of("stdout")
    document["stderr"] = texts.of("stderr")
    return document, texts.size


def result(end: JobResult) -> dict[str, Any]:
    """Return how a job ended, without its texts."""
    return {
        "outcome": end.outcome.value,
        "exit_code": end.exit_code,
        "signal": end.signal,
        "compile": None if end.compile is None else _compile(end.compile),
        "usage": _usage(end.usage),
        "truncated": end.truncated,
        "message": end.message,
    }


class _Texts:
    """The output of the last attempt; what an earlier one wrote is void."""

    def __init__(self, events: Iterable[NumberedEvent], encoding: Encoding) -> None:
        self._pieces: dict[str, list[bytes]] = {}
        self._is_base64 = encoding == "base64"
        self.size = 0
        for numbered in events:
            self._add(numbered.event.body)

    def of(self, name: str) -> Text | str:
        pieces = self._pieces.get(name, [])
        if self.size > LONG_BYTES:
            return Text(pieces, self._is_base64)
        to_text = as_base64 if self._is_base64 else as_utf8
        return to_text(b"".join(pieces))

    def _add(self, body: object) -> None:
        if isinstance(body, Restarted):
            self._pieces.clear()
            self.size = 0
        if isinstance(body, Output):
            name = "compile" if body.phase == "compile" else body.stream
            self._pieces.setdefault(name, []).append(body.data)
            self.size += len(body.data)


def _compile(compiled: CompileResult) -> dict[str, Any]:
    return {
        "outcome": compiled.outcome.value,
        "exit_code": compiled.exit_code,
        "signal": compiled.signal,
        "usage": {
            "wall_ms": _rounded(compiled.usage.wall_ms),
            "cpu_ms": _rounded(compiled.usage.cpu_ms),
            "memory_kb": compiled.usage.memory_kb,
        },
    }


def _usage(usage: Usage) -> dict[str, float | int | None]:
    return {
        "queue_ms": _rounded(usage.queue_ms),
        "compile_ms": _rounded(usage.compile_ms),
        "wall_ms": _rounded(usage.wall_ms),
        "cpu_ms": _rounded(usage.cpu_ms),
        "memory_kb": usage.memory_kb,
    }


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 2)


def rfc3339(seconds: float) -> str:
    """Return a moment, in seconds since the epoch, as documents have it."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
