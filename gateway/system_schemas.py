"""The shape of `GET /v1/system`, for `/openapi.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.shapes import COUNT, NUMBER, TEXT, list_of, object_of, or_null, ref

if TYPE_CHECKING:
    from gateway.shapes import Schema

_MOMENT: Schema = {"type": "string", "format": "date-time"}
_CONTAINER_STATES = ["starting", "idle", "busy", "scrubbing"]
_LAST_MINUTE: Schema = {
    "jobs": COUNT,
    "internal_errors": COUNT,
    "wait_p50_ms": or_null(NUMBER),
    "wait_p95_ms": or_null(NUMBER),
}
_SECONDS: Schema = {
    "jobs_by_second": list_of(COUNT),
    "wait_p95_ms_by_second": list_of(or_null(NUMBER)),
}
SYSTEM_SCHEMAS: dict[str, Schema] = {
    "System": object_of(
        {
            "at": _MOMENT,
            "uptime_s": NUMBER,
            "broker": {"enum": ["up", "down"]},
            "actors": list_of(ref("Actor")),
            "languages": list_of(ref("LiveLanguage")),
            "down": list_of(object_of({"name": TEXT, "reason": TEXT, "for_s": NUMBER})),
            "happenings": list_of(ref("Happening")),
            "last_minute": object_of({**_LAST_MINUTE, **_SECONDS}),
        }
    ),
    "Actor": object_of(
        {
            "name": TEXT,
            "kind": TEXT,
            "state": {"enum": ["up", "restarting", "paused", *_CONTAINER_STATES]},
            "mailbox": COUNT,
            "restarts": COUNT,
        }
    ),
    "LiveLanguage": object_of(
        {
            "name": TEXT,
            "waiting": COUNT,
            "next_waits_s": or_null(NUMBER),
            "pool": ref("LivePool"),
            "containers": list_of(ref("LiveContainer")),
            "last_minute": object_of(_LAST_MINUTE),
        }
    ),
    "LivePool": object_of(
        {
            "ready": COUNT,
            "starting": COUNT,
            "wanted": COUNT,
            "max": COUNT,
            "paused": TEXT,
            "resumes_in_s": NUMBER,
        }
    ),
    "LiveContainer": object_of(
        {
            "name": TEXT,
            "state": {"enum": _CONTAINER_STATES},
            "for_s": NUMBER,
            "jobs": COUNT,
        }
    ),
    "Happening": object_of(
        {
            "number": COUNT,
            "at": _MOMENT,
            "kind": {"enum": ["restarted", "abandoned", "retired"]},
            "name": TEXT,
            "reason": TEXT,
            "attempt": COUNT,
            "delay_s": NUMBER,
        }
    ),
}
