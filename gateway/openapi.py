"""The API as an OpenAPI document, which the tests hold the service to."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.problems import CONTENT_TYPE, KINDS
from gateway.schemas import schemas
from gateway.shapes import TEXT, ref

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.config import GatewayConfig
    from gateway.shapes import Schema

_JSON = "application/json"
_EVENT_ID_MAX = 10**15 - 1


def describe(config: GatewayConfig, names: Iterable[str]) -> dict[str, Any]:
    """Return the document; `names` are the languages' names and aliases."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Warmbox",
            "version": _version(),
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "tags": [{"name": name, "description": words} for name, words in _TAGS.items()],
        "paths": {**_JOB_PATHS, **_SERVICE_PATHS},
        "components": {
            "schemas": schemas(config, names),
            "securitySchemes": {"admin_key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _version() -> str:
    """Return the version of what is served: it is run from its own folder."""
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    return str(tomllib.loads(text)["project"]["version"])


_ABOUT = """\
Runs programs in sandboxes and streams their output.

`POST /v1/jobs` answers at once with the job's id; `GET /v1/jobs/{job_id}/events` \
shows what it writes while it does, and `GET /v1/jobs/{job_id}` the whole result. \
Whoever knows the id may see and stop the job.

Each refusal is a problem document (RFC 9457) with a `code` that stays the same.\
"""
_TAGS = {
    "jobs": "Programs: run one, follow it, write to it, stop it.",
    "service": "How the service stands, and what it offers.",
    "pages": "What people look at.",
}


def _operation(
    name: str,
    summary: str,
    answers: dict[str, Schema],
    problems: str = "",
    *,
    tag: str = "jobs",
    description: str = "",
    parameters: Iterable[Schema] = (),
    body: Schema | None = None,
) -> Schema:
    """Return an operation; generated clients call it by `name`."""
    responses = {**answers, **_problems(f"400 403 {problems} 421 500")}
    operation: Schema = {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "responses": responses,
    }
    if description:
        operation["description"] = description
    if parameters:
        operation["parameters"] = [*parameters]
    if body is not None:
        operation["requestBody"] = body
    return operation


def _problems(statuses: str) -> dict[str, Schema]:
    return {status: _problem(int(status)) for status in statuses.split()}


def _problem(status: int) -> Schema:
    codes = [code for code, kind in KINDS.items() if kind[0] == status]
    answer = _answer(" or ".join(codes), CONTENT_TYPE, ref("Problem"))
    if status in {429, 503}:
        answer["headers"] = _headers("Retry-After")
    return answer


def _answer(description: str, content_type: str, schema: Schema) -> Schema:
    return {"description": description, "content": {content_type: {"schema": schema}}}


def _headers(*names: str) -> Schema:
    return {name: {"schema": TEXT} for name in names}


def _parameter(where: str, name: str, schema: Schema, description: str) -> Schema:
    return {
        "in": where,
        "name": name,
        "schema": schema,
        "description": description,
        "required": where == "path",
    }


_JOB = _answer("The job", _JSON, ref("Job"))
_ID = _parameter("path", "job_id", TEXT, "The job's id, which is secret.")
_BYTES: Schema = {"type": "string", "format": "binary"}
_EVENT_STREAM: Schema = {
    "type": "string",
    "description": "Many of `Event`, as text.",
}
_ANY_ID: Schema = {"type": "integer", "minimum": 0, "maximum": _EVENT_ID_MAX}
_RATE = _headers("RateLimit", "RateLimit-Policy", "Location")

_SUBMIT = _operation(
    "submitJob",
    "Run a program",
    {
        "202": {**_answer("Accepted", _JSON, ref("Accepted")), "headers": _RATE},
        "200": {
            **_answer("Ended within the time of `Prefer: wait`", _JSON, ref("Job")),
            "headers": {**_RATE, **_headers("Preference-Applied")},
        },
    },
    "408 410 413 415 422 429 503",
    description=(
        "Answers at once, or with `Prefer: wait=10` at the job's end, if that comes "
        "within so many seconds. What got a 202 is run."
    ),
    parameters=[
        _parameter("header", "Prefer", TEXT, "`wait=10`: the result, if it is quick."),
        _parameter(
            "header",
            "Idempotency-Key",
            {"type": "string", "pattern": "^[!-~]{1,255}$"},
            "The same key with the same request gives the same job.",
        ),
    ],
    body={"required": True, "content": {_JSON: {"schema": ref("JobRequest")}}},
)
_SHOW = _operation(
    "getJob",
    "Look at a job",
    {"200": _JOB},
    "404 410 422 429 503",
    parameters=[
        _parameter(
            "query",
            "encoding",
            {"enum": ["utf-8", "base64"]},
            "How stdout, stderr and the compiler's output are given.",
        )
    ],
)
_FOLLOW = _operation(
    "followJob",
    "Follow a job's events",
    {
        "200": {
            "description": "Events up to `finished`",
            # The second is OpenAPI 3.2's word, which some know already.
            "content": {
                "text/event-stream": {
                    "schema": _EVENT_STREAM,
                    "itemSchema": ref("Event"),
                }
            },
        },
        "204": {"description": "Nothing follows: all events were seen before."},
    },
    "404 410 422 429 503",
    description=(
        "Server-Sent Events (WHATWG HTML, section 9.2): each is an `Event`, its `data` "
        "one line of JSON. A comment comes every 15 s. After `lagged`, or when the "
        "connection breaks, go on with `Last-Event-ID`."
    ),
    parameters=[
        _parameter("header", "Last-Event-ID", _ANY_ID, "Go on after this event."),
        _parameter("query", "last_event_id", _ANY_ID, "The same, for plain links."),
    ],
)
_FEED = _operation(
    "writeStdin",
    "Write to a program's stdin",
    {"202": _answer("On its way", _JSON, {"type": "object"})},
    "404 408 409 410 413 415 422 429 503",
    parameters=[_parameter("query", "end", {"enum": ["0", "1"]}, "1 closes stdin.")],
    description="For a job that was posted with `stdin_open`. The bytes as they are.",
    body={"content": {"application/octet-stream": {"schema": _BYTES}}},
)
_CANCEL = _operation(
    "cancelJob",
    "Stop a job",
    {"200": _JOB, "202": {**_JOB, "description": "It is about to end"}},
    "404 410 429 503",
)
_JOB_PATHS: Schema = {
    "/v1/jobs": {"post": _SUBMIT},
    "/v1/jobs/{job_id}": {"parameters": [_ID], "get": _SHOW, "delete": _CANCEL},
    "/v1/jobs/{job_id}/events": {"parameters": [_ID], "get": _FOLLOW},
    "/v1/jobs/{job_id}/stdin": {"parameters": [_ID], "post": _FEED},
}


def _get(
    name: str, summary: str, content_type: str, schema: Schema, tag: str = "service"
) -> Schema:
    answers = {"200": _answer(summary, content_type, schema)}
    # Files are the only answers without a rate.
    problems = "" if tag == "pages" else "429"
    return {"get": _operation(name, summary, answers, problems, tag=tag)}


_READY = _answer("Whether jobs would run, and what is missing", _JSON, ref("Readiness"))
_READINESS = {"200": _READY, "503": _READY}
_SYSTEM: Schema = {
    **_operation(
        "getSystem",
        "The live tree: for clients on the service's own machine, and with the key",
        {"200": _answer("What every part does just now", _JSON, ref("System"))},
        "404 429",
        tag="service",
    ),
    "security": [{}, {"admin_key": []}],
}
_SERVICE_PATHS: Schema = {
    "/v1/languages": _get("listLanguages", "The languages", _JSON, ref("Languages")),
    "/healthz": _get("getHealth", "Whether the process answers", _JSON, ref("Health")),
    "/readyz": {
        "get": _operation(
            "getReadiness", "Readiness", _READINESS, "429", tag="service"
        ),
    },
    "/metrics": _get("getMetrics", "Metrics for Prometheus", "text/plain", TEXT),
    "/v1/system": {"get": _SYSTEM},
    "/system": _get(
        "systemPage", "The page that draws the live tree", "text/html", TEXT, "pages"
    ),
    "/openapi.json": _get("getOpenapi", "This document", _JSON, {"type": "object"}),
    "/": _get("page", "The page", "text/html", TEXT, "pages"),
}
