"""The shapes of requests and answers, for `/openapi.json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from actors.messages import Outcome
from gateway.problems import KINDS
from gateway.requests import JobRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.config import GatewayConfig

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number", "minimum": 0}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}


def ref(name: str) -> Schema:
    """Return a reference to one of `schemas`."""
    return {"$ref": f"#/components/schemas/{name}"}


def schemas(config: GatewayConfig, names: Iterable[str]) -> dict[str, Schema]:
    """Return all schemas; jobs may be written in the languages of these names."""
    return {
        **_request_schemas(config, names),
        "Accepted": _object(_HEAD),
        "Job": _object(_HEAD, _JOB),
        "Event": _object({"event": {"enum": [*_EVENTS]}, "data": _DATA}, {"id": _ID}),
        "Compile": _object({"output": TEXT, **_COMPILE}),
        "Usage": _object(_USAGE),
        "Limits": _object(_LIMITS),
        "Language": _object(_LANGUAGE),
        "Languages": _object({"languages": _list(ref("Language")), **_CAPS}),
        "Health": _object({"status": {"const": "ok"}}),
        "Readiness": _object(_READINESS),
        "Pool": _object({"ready": COUNT, "starting": COUNT, "paused": TEXT}),
        "Problem": _object(_PROBLEM, {"errors": _list(ref("FieldError"))}),
        "FieldError": _object({"field": TEXT, "message": TEXT}),
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


def _object(required: Schema, *optional: Schema) -> Schema:
    properties = dict(required)
    for more in optional:
        properties |= more
    return {"type": "object", "required": [*required], "properties": properties}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _map(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_OUTCOME: Schema = {"enum": [outcome.value for outcome in Outcome]}
_COMPILE: Schema = {
    "outcome": _OUTCOME,
    "exit_code": _or_null({"type": "integer"}),
    "signal": _or_null({"type": "integer"}),
}
_USAGE: Schema = {
    "queue_ms": _or_null(NUMBER),
    "compile_ms": _or_null(NUMBER),
    "wall_ms": _or_null(NUMBER),
    "cpu_ms": _or_null(NUMBER),
    "memory_kb": _or_null(COUNT),
}
_LIMITS: Schema = {
    "wall_time_s": NUMBER,
    "cpu_time_s": NUMBER,
    "memory_mb": COUNT,
    "output_kb": COUNT,
    "processes": COUNT,
}
_STREAM: Schema = {"enum": ["stdout", "stderr"]}
_EVENTS: dict[str, Schema] = {
    "queued": _object({"position": COUNT}),
    "started": _object({"attempt": COUNT}),
    "restarted": _object({"attempt": COUNT}),
    "compile": _object({"stream": _STREAM, "text": TEXT}),
    "stdout": _object({"text": TEXT}),
    "stderr": _object({"text": TEXT}),
    "finished": _object(
        {
            **_COMPILE,
            "compile": _or_null(_object(_COMPILE)),
            "usage": ref("Usage"),
            "truncated": FLAG,
            "message": TEXT,
            "attempt": COUNT,
        }
    ),
    "lagged": _object({}),
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
    "links": _object({"self": TEXT, "events": TEXT, "stdin": TEXT}),
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
    "compile": _or_null(ref("Compile")),
    "usage": ref("Usage"),
    "truncated": FLAG,
    "message": TEXT,
    "encoding": {"const": "base64"},
}
_LANGUAGE: Schema = {
    "name": TEXT,
    "title": TEXT,
    "aliases": _list(TEXT),
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
    "languages": _map(ref("Pool")),
    "degraded": _list(TEXT),
    "restarting": _list(TEXT),
}
_PROBLEM: Schema = {
    "type": TEXT,
    "title": TEXT,
    "status": {"type": "integer"},
    "detail": TEXT,
    "code": {"enum": [*KINDS]},
}
