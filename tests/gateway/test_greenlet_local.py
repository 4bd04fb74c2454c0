"""Requests that are served at the same time don't see each other."""

from __future__ import annotations

import bottle
import gevent
import pytest

from gateway.greenlet_local import keep_in_greenlets, kept_in_threads

_FIELDS = ["environ", "_status_line", "_status_code", "_cookies", "_headers", "body"]


@pytest.fixture(autouse=True)
def kept() -> None:
    keep_in_greenlets()


def test_all_that_bottle_keeps_by_thread_is_replaced() -> None:
    local = {**vars(bottle.LocalRequest), **vars(bottle.LocalResponse)}
    properties = [name for name, field in local.items() if isinstance(field, property)]
    assert properties == _FIELDS
    assert kept_in_threads() == []


def test_each_greenlet_has_its_own() -> None:
    def serve(name: str) -> tuple[str, str, str]:
        bottle.request.bind({"PATH_INFO": f"/{name}"})
        bottle.response.bind()
        bottle.response.headers["X-Name"] = name
        gevent.sleep(0)
        return bottle.request.path, bottle.response.headers["X-Name"], name

    jobs = [gevent.spawn(serve, name) for name in ("a", "b", "c")]
    gevent.joinall(jobs, raise_error=True)
    assert [job.value for job in jobs] == [(f"/{n}", n, n) for n in ("a", "b", "c")]


def test_outside_of_a_request_there_is_none() -> None:
    with pytest.raises(RuntimeError, match="no request"):
        gevent.spawn(lambda: bottle.request.environ).get()
