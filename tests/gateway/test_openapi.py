"""`/openapi.json` is true: schemathesis talks to a running gateway as it says."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from gateway_client import Gateway, running
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from twins import HELLO, SERVED, SUCCESS, catalog

from actors.messages import Finished, Started
from gateway.config import GatewayConfig
from gateway.openapi import describe

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVED_NAME = next(iter(SERVED))
_NAMES = [
    any_name
    for name in SERVED
    for any_name in (name, *catalog().languages[name].aliases)
]
_DOCUMENT = describe(GatewayConfig(secret=b""), _NAMES)


def _with_items_only() -> dict[str, Any]:
    """Return the document without the stream as one text, which schemathesis parses."""
    document = copy.deepcopy(_DOCUMENT)
    stream = document["paths"]["/v1/jobs/{job_id}/events"]["get"]["responses"]["200"]
    del stream["content"]["text/event-stream"]["schema"]
    return document


_API = schemathesis.openapi.from_dict(_with_items_only())
# Names that clash, bytes where a schema counts characters, a language's own rules.
_BEYOND_A_SCHEMA = (
    "is there twice",
    "is longer than 255 bytes",
    "needs a file called",
    "needs at least",
    "has no compiler",
    "is not allowed",
)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    """A gateway whose jobs have all ended when one looks."""
    with running() as one:
        world = one.world
        world.on_publish = lambda job_id: world.emit(
            job_id, Started(), HELLO, Finished(SUCCESS)
        )
        yield one


def test_the_document_is_served(gateway: Gateway) -> None:
    assert gateway.get("/openapi.json").json() == _DOCUMENT


def test_it_is_encoded_once_and_for_all(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(*_: object) -> bytes:
        raise AssertionError("it has been encoded")

    monkeypatch.setattr("gateway.replies.encode", again)
    assert gateway.get("/openapi.json").json() == _DOCUMENT


@_API.parametrize()
@settings(
    max_examples=100,
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_the_service_is_as_described(case: Any, gateway: Gateway) -> None:
    gateway.world.jobs.clear()  # or a key that was used would be refused
    job_id = gateway.submit()
    if len(case.path_parameters.get("job_id", "")) % 2:
        case.path_parameters["job_id"] = job_id
    answer = case.call(base_url=f"http://127.0.0.1:{gateway.port}")
    beyond = any(words in answer.text for words in _BEYOND_A_SCHEMA)
    excluded = [positive_data_acceptance] if beyond else []
    case.validate_response(answer, excluded_checks=excluded)


# ------------------------------------------------------------------ for generators


def _operations() -> list[dict[str, Any]]:
    paths = _DOCUMENT["paths"].values()
    words = ("get", "post", "delete")
    return [path[word] for path in paths for word in words if word in path]


def test_each_operation_has_a_name_of_its_own_and_a_tag() -> None:
    names = [one["operationId"] for one in _operations()]
    tags = {tag["name"] for tag in _DOCUMENT["tags"]}

    assert len({*names}) == len(names)
    assert {tag for one in _operations() for tag in one["tags"]} == tags
    assert all(one["summary"] for one in _operations())


def test_the_version_is_the_projects() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()

    assert f'\nversion = "{_DOCUMENT["info"]["version"]}"\n' in text


@pytest.mark.parametrize("name", ["SourceRequest", "FilesRequest"])
def test_examples_are_accepted(gateway: Gateway, name: str) -> None:
    (example,) = _DOCUMENT["components"]["schemas"][name]["examples"]
    example["language"] = SERVED_NAME

    assert gateway.post(example).status_code == 202


def test_every_default_is_one_that_may_be_sent(gateway: Gateway) -> None:
    schemas = _DOCUMENT["components"]["schemas"]
    for name, field in (("SourceRequest", "source"), ("FilesRequest", "files")):
        properties = schemas[name]["properties"]
        body = {
            key: one["default"] for key, one in properties.items() if "default" in one
        }
        content = {"source": "x", "files": [{"name": "a", "content": ""}]}[field]

        assert (
            gateway.post({**body, "language": SERVED_NAME, field: content}).status_code
            == 202
        )


def test_null_is_the_absence_of_what_is_optional(gateway: Gateway) -> None:
    limits = dict.fromkeys(
        _DOCUMENT["components"]["schemas"]["LimitsRequest"]["properties"]
    )
    nothing = dict.fromkeys(["files", "stdin", "stdin_open", "args", "env"])
    body = {"language": SERVED_NAME, "source": "x", "limits": limits, **nothing}

    assert gateway.post(body).status_code == 202
    assert gateway.post({**body, "limits": None}).status_code == 202


@pytest.mark.parametrize("body", [{"language": None, "source": "x"}, {"language": "c"}])
def test_null_is_no_value_of_what_is_required(
    gateway: Gateway, body: dict[str, Any]
) -> None:
    assert gateway.post({**body}).status_code == 422
