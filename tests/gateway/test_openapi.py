"""`/openapi.json` is true: schemathesis talks to a running gateway as it says."""

from __future__ import annotations

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
from metrics import instruments

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = [
    any_name
    for name in SERVED
    for any_name in (name, *catalog().languages[name].aliases)
]
_DOCUMENT = describe(GatewayConfig(secret=b""), _NAMES)
_API = schemathesis.openapi.from_dict(_DOCUMENT)
# Names that clash, and bytes where a schema counts characters.
_BEYOND_A_SCHEMA = ("is there twice", "is longer than 255 bytes")


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    """A gateway whose jobs have all ended when one looks."""
    instruments.broker_up.set(1)
    with running() as one:
        world = one.world
        world.on_publish = lambda job_id: world.emit(
            job_id, Started(), HELLO, Finished(SUCCESS)
        )
        yield one
    instruments.broker_up.set(0)


def test_the_document_is_served(gateway: Gateway) -> None:
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
