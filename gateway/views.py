"""A job as its clients see it: documents made of the relay's views and events."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import pydantic_core

from actors.messages import (
    CompileResult,
    JobResult,
    JobView,
    NumberedEvent,
    Output,
    Restarted,
    Usage,
)

encode = pydantic_core.to_json
"""JSON in UTF-8; every str in a document comes from a strict decoder."""

ToText = Callable[[bytes], str]


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


def whole(view: JobView, to_text: ToText = as_utf8) -> dict[str, Any]:
    """Return the job with the output that there is and, once done, its result."""
    document = head(view.id, view.language, view.state, view.created_at)
    if view.state == "queued":
        return document
    document["attempt"] = view.attempt
    texts = _Texts(view.events)
    if view.result is not None:
        document |= result(view.result)
    if document.get("compile"):
        document["compile"]["output"] = to_text(texts.joined("compile"))
    document["stdout"] = to_text(texts.joined("stdout"))
    document["stderr"] = to_text(texts.joined("stderr"))
    return document


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

    def __init__(self, events: Iterable[NumberedEvent]) -> None:
        self._pieces: dict[str, list[bytes]] = {}
        for numbered in events:
            self._add(numbered.event.body)

    def joined(self, name: str) -> bytes:
        return b"".join(self._pieces.get(name, ()))

    def _add(self, body: object) -> None:
        if isinstance(body, Restarted):
            self._pieces.clear()
        if isinstance(body, Output):
            name = "compile" if body.phase == "compile" else body.stream
            self._pieces.setdefault(name, []).append(body.data)


def _compile(compiled: CompileResult) -> dict[str, Any]:
    return {
        "outcome": compiled.outcome.value,
        "exit_code": compiled.exit_code,
        "signal": compiled.signal,
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
