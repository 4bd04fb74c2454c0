"""The shapes of requests and answers, for `/openapi.json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from actors.messages import Outcome
from gateway.problems import KINDS
from gateway.requests import JobRequest
from gateway.shapes import (
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    list_of,
    map_of,
    object_of,
    or_null,
    ref,
)
from gateway.system_schemas import SYSTEM_SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.config import GatewayConfig
    from gateway.shapes import Schema


def schemas(config: GatewayConfig, names: Iterable[str]) -> dict[str, Schema]:
    """Return all schemas; jobs may be written in the languages of these names."""
    return {
        **_request_schemas(config, names),
        "Accepted": object_of(_HEAD),
        "Job": object_of(_HEAD, _JOB),
        "Event": object_of({"event": {"enum": [*_EVENTS]}, "data": _DATA}, {"id": _ID}),
        "Compile": object_of({"output": TEXT, **_COMPILE}),
        "Usage": object_of(_USAGE),
        "Limits": object_of(_LIMITS),
        "Language": object_of(_LANGUAGE),
        "Languages": object_of({"languages": list_of(ref("Language")), **_CAPS}),
        "Health": object_of({"status": {"const": "ok"}}),
        "Readiness": object_of(_READINESS),
        **SYSTEM_SCHEMAS,
        "Pool": object_of({"ready": COUNT, "starting": COUNT, "paused": TEXT}),
        "Problem": object_of(_PROBLEM, {"errors": list_of(ref("FieldError"))}),
        "FieldError": object_of({"field": TEXT, "message": TEXT}),
    }


def _request_schemas(config: GatewayConfig, names: Iterable[str]) -> dict[str, Schema]:
    job = JobRequest.model_json_schema(ref_template=ref("{model}")["$ref"])
    parts: dict[str, Schema] = job.pop("$defs")
    for name, cap in asdict(config.caps).items():
        parts["LimitsRequest"]["properties"][name]["maximum"] = cap
    fields = job["properties"]
    fields["language"]["enum"] = sorted(names)
    fields["files"]["maxItems"] = config.files_max
    fields["args"]["maxItems"] = config.args_max
    fields["env"] |= {"maxProperties": config.env_max, "additionalProperties": False}
    job["oneOf"] = [{"required": ["source"]}, {"required": ["files"]}]
    return {"JobRequest": job, **parts}


_OUTCOME: Schema = {"enum": [outcome.value for outcome in Outcome]}
_COMPILE: Schema = {
    "outcome": _OUTCOME,
    "exit_code": or_null({"type": "integer"}),
    "signal": or_null({"type": "integer"}),
}
_USAGE: Schema = {
    "queue_ms": or_null(NUMBER),
    "compile_ms": or_null(NUMBER),
    "wall_ms": or_null(NUMBER),
    "cpu_ms": or_null(NUMBER),
    "memory_kb": or_null(COUNT),
}
_LIMITS: Schema = {
    "wall_time_s": NUMBER,
    "cpu_time_s": NUMBER,
    "memory_mb": COUNT,
    "output_kb": COUNT,
    "processes": COUNT,
    "file_size_kb": COUNT,
    "open_files": COUNT,
    "stack_kb": COUNT,
}
_STREAM: Schema = {"enum": ["stdout", "stderr"]}
_EVENTS: dict[str, Schema] = {
    "queued": object_of({"position": COUNT}),
    "started": object_of({"attempt": COUNT}),
    "restarted": object_of({"attempt": COUNT}),
    "compile": object_of({"stream": _STREAM, "text": TEXT}),
    "stdout": object_of({"text": TEXT}),
    "stderr": object_of({"text": TEXT}),
    "finished": object_of(
        {
            **_COMPILE,
            "compile": or_null(object_of(_COMPILE)),
            "usage": ref("Usage"),
            "truncated": FLAG,
            "message": TEXT,
            "attempt": COUNT,
        }
    ),
    "lagged": object_of({}),
}
_DATA: Schema = {
    "type": "string",
    "contentMediaType": "application/json",
    "contentSchema": {"anyOf": [*_EVENTS.values()]},
}
_ID: Schema = {"type": "string", "pattern": "^[0-9]+$"}
_CAPS: Schema = {"caps": ref("Limits")}
_HEAD: Schema = {
    "id": TEXT,
    "state": {"enum": ["queued", "running", "done"]},
    "language": TEXT,
    "created_at": {"type": "string", "format": "date-time"},
    "links": object_of({"self": TEXT, "events": TEXT, "stdin": TEXT}),
}
_JOB: Schema = {
    "position": {
        "type": "integer",
        "minimum": 1,
        "description": "The job's turn while it is queued, if it is known.",
    },
    "attempt": COUNT,
    **_COMPILE,
    "outcome": _OUTCOME,
    "stdout": TEXT,
    "stderr": TEXT,
    "compile": or_null(ref("Compile")),
    "usage": ref("Usage"),
    "truncated": FLAG,
    "message": TEXT,
    "encoding": {"const": "base64"},
}
_LANGUAGE: Schema = {
    "name": TEXT,
    "title": TEXT,
    "aliases": list_of(TEXT),
    "version": TEXT,
    "main": TEXT,
    "hello": TEXT,
    "limits": ref("Limits"),
    "ready": FLAG,
}
_READINESS: Schema = {
    "ready": FLAG,
    "broker": {"enum": ["up", "down"]},
    "broker_reason": TEXT,
    "workers": COUNT,
    "languages": map_of(ref("Pool")),
    "degraded": list_of(TEXT),
    "restarting": list_of(TEXT),
}
_PROBLEM: Schema = {
    "type": TEXT,
    "title": TEXT,
    "status": {"type": "integer"},
    "detail": TEXT,
    "code": {"enum": [*KINDS]},
}
