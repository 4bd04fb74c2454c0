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
        "CompileUsage": object_of(_COMPILE_USAGE),
        "Limits": object_of({**_LIMITS, "compile": or_null(ref("CompilerLimits"))}),
        "CompilerLimits": object_of({**_COMPILE_CAPS, **_COMPILER_LIMITS}),
        "Caps": object_of({**_LIMITS, "compile": object_of(_COMPILE_CAPS)}),
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
    caps = asdict(config.caps)
    for part, most in (("CompileLimits", caps.pop("compile")), ("Limits", caps)):
        for name, cap in most.items():
            parts[f"{part}Request"]["properties"][name]["maximum"] = cap
    fields = job["properties"]
    fields["language"]["enum"] = sorted(names)
    fields["files"]["maxItems"] = config.files_max
    fields["args"]["maxItems"] = config.args_max
    fields["compile_args"]["maxItems"] = config.args_max
    fields["env"] = _variables(fields["env"], config.env_max)
    return {
        "JobRequest": {
            "description": "A program as one text, or as files.",
            "oneOf": [ref("SourceRequest"), ref("FilesRequest")],
        },
        "SourceRequest": _tidy(_either(job, "source", "files"), _SOURCE_EXAMPLE),
        "FilesRequest": _tidy(_either(job, "files", "source"), _FILES_EXAMPLE),
        **{name: _tidy(part) for name, part in parts.items()},
    }


def _variables(schema: Schema, entries_max: int) -> Schema:
    """Return a map whose names have a pattern, in words that generators know too."""
    ((pattern, value),) = schema["patternProperties"].items()
    return {
        **map_of(value),
        "propertyNames": {"pattern": pattern},
        "maxProperties": entries_max,
    }


def _either(job: Schema, given: str, other: str) -> Schema:
    """Return the request that has the one field of the two, and not the other.

    As two schemas, since a generator makes nothing of two lists of what is required.
    """
    properties = {name: one for name, one in job["properties"].items() if name != other}
    required = [*job["required"], given]
    return {**job, "properties": properties, "required": required}


def _tidy(schema: Schema, *examples: Schema) -> Schema:
    """Say that an optional field may be null, and leave out names made of names."""
    properties = schema["properties"]
    required = schema.get("required", ())
    plain = {name: _untitled(one) for name, one in properties.items()}
    tidy = {
        name: one if name in required else _optional(one) for name, one in plain.items()
    }
    more = {"examples": [*examples]} if examples else {}
    return {**_untitled(schema), "properties": tidy, **more}


def _untitled(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != "title"}


def _optional(schema: Schema) -> Schema:
    outer = {key: schema[key] for key in _ANNOTATIONS if key in schema}
    inner = {key: value for key, value in schema.items() if key not in outer}
    return {**or_null(inner), **outer}


_ANNOTATIONS = ("default", "description")
_SOURCE_EXAMPLE: Schema = {
    "language": "python",
    "source": "print(int(input()) * 2)",
    "stdin": "21",
    "limits": {"wall_time_s": 2, "memory_mb": 64},
}
_FILES_EXAMPLE: Schema = {
    "language": "python",
    "files": [
        {"name": "main.py", "content": "import lib.a"},
        {"name": "lib/a.py", "content": "cHJpbnQoNyk=", "encoding": "base64"},
    ],
    "args": ["-v"],
    "env": {"MODE": "test"},
}
_OUTCOME: Schema = {"enum": [outcome.value for outcome in Outcome]}
_END: Schema = {
    "outcome": _OUTCOME,
    "exit_code": or_null({"type": "integer"}),
    "signal": or_null({"type": "integer"}),
}
_COMPILE: Schema = {**_END, "usage": ref("CompileUsage")}
_COMPILE_USAGE: Schema = {
    "wall_ms": or_null(NUMBER),
    "cpu_ms": or_null(NUMBER),
    "memory_kb": or_null(COUNT),
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
_COMPILE_CAPS: Schema = {
    "wall_time_s": NUMBER,
    "cpu_time_s": NUMBER,
    "memory_mb": COUNT,
}
_COMPILER_LIMITS: Schema = {"output_kb": COUNT, "processes": COUNT}
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
            **_END,
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
_CAPS: Schema = {"caps": ref("Caps")}
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
    **_END,
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
    "compile_args": list_of(TEXT),
    "least": map_of(COUNT),
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
