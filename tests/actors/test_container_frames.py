"""Whatever a runner writes costs its container at most, and never the service."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import pykka
import pytest
from actor_world import LEAVE_S, World
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from samples import C, evidence
from test_container import Box, gauges

from actors.messages import Finished, JobEvent, JobFinished, NumberedEvent
from actors.queue_entry import phases
from gateway.encodings import encode_event
from gateway.event_stream import EventParser
from images import wire
from metrics import instruments

if TYPE_CHECKING:
    from collections.abc import Iterator

STATES = ("start", "idle", "busy", "scrubbing")
KINDS = sorted(wire.RUNNER_KINDS)
DEEP = b"[" * 100_000
LOGGED_MAX = 2000
"""Characters of the log that one stream may cost."""

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([10**400, "run", "compile", "wall", 0, 1.5]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
FIELDS = (*evidence(), "reason", "out_of_memory", "scrub_ms", "ended_at")


def with_changes(changes: dict[str, Any]) -> bytes:
    """Return what a runner says in any frame, with some fields that are not so."""
    said = {**evidence(compile=evidence(phase="compile")), "reason": ""}
    said |= {"out_of_memory": False, "scrub_ms": 1.0, **changes}
    return json.dumps(said).encode()


def done(**changes: Any) -> bytes:
    return wire.encode(wire.DONE, with_changes(changes))


def ready(**changes: Any) -> bytes:
    return wire.encode(wire.READY, with_changes(changes))


payloads = (
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=2).map(with_changes)
    | values.map(lambda one: json.dumps(one).encode())
    | st.binary(max_size=20)
    | st.just(DEEP)
)
frames = st.builds(wire.encode, st.sampled_from(KINDS), payloads)
oversized = st.builds(
    lambda kind, length: bytes([kind]) + length.to_bytes(4, "big"),
    st.sampled_from(KINDS),
    st.integers(wire.REPLY_BYTES_MAX + 1, 2**32 - 1),
)
truncated = st.builds(lambda one, cut: one[:cut], frames, st.integers(0, 30))
interleaved = st.builds(
    lambda one, other, cut: one[:cut] + other + one[cut:],
    frames,
    frames,
    st.integers(1, 30),
)
streams = st.lists(
    frames | frames | oversized | truncated | interleaved | st.binary(max_size=9),
    min_size=1,
    max_size=4,
)


@pytest.fixture(autouse=True)
def _counted_from_zero() -> None:
    instruments.containers.clear()


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(STATES), streams, st.booleans(), st.booleans())
@example("busy", [wire.encode(wire.DONE, DEEP)], False, False)
@example("busy", [done(wall_ms="1")], False, True)
@example("busy", [done(cpu_ms=10**400)], True, True)
@example("scrubbing", [ready(scrub_ms=10**400)], False, False)
@example("busy", [wire.encode(wire.PHASE, b'{"phase": []}')], False, False)
def test_a_stream_ends_its_container_or_does_no_harm(
    caplog: pytest.LogCaptureFixture,
    state: str,
    stream: list[bytes],
    compiled: bool,
    dies: bool,
) -> None:
    caplog.clear()
    with caplog.at_level(logging.WARNING), one_box(compiled) as box:
        getattr(box, state)()
        jobs = 0 if state in {"start", "idle"} else 1
        for piece in stream:
            if box.is_alive():
                box.twin.write(piece)
        if dies and box.is_alive():
            box.twin.die()
        assert_contained(box, jobs)
    assert sum(len(record.getMessage()) for record in caplog.records) < LOGGED_MAX


@contextmanager
def one_box(compiled: bool) -> Iterator[Box]:
    """A container in a world of its own, since a test has many of them."""
    try:
        yield Box(World(), C) if compiled else Box(World())
    finally:
        for ref in pykka.ActorRegistry.get_all():
            ref.stop(timeout=LEAVE_S)


def assert_contained(box: Box, jobs: int) -> None:
    ends = box.queue.of(JobFinished)
    assert len(ends) <= jobs
    for end in ends:
        assert_sound(end)
    assert sum(gauges(box.language).values()) == box.is_alive()
    if not box.is_alive():
        (notice,) = box.world.exits()
        assert not notice.crashed
        assert box.engine.discarded == box.engine.started


def assert_sound(end: JobFinished) -> None:
    """All who learn of the end can show it and reckon with it."""
    for _, ms in phases(end.result.usage):
        assert ms is None or 0 <= ms / 1e3 < 1e15
    whole = (*end.rest, JobEvent(end.job_id, end.attempt, Finished(end.result)))
    shown = b"".join(encode_event(NumberedEvent(1, event)) for event in whole)
    for event in EventParser().feed(shown):
        data = json.loads(event.data, parse_constant=refuse)
    assert isinstance(data["truncated"], bool)
    for reported in (data, data["compile"] or {}):
        for name in ("exit_code", "signal"):
            assert type(reported.get(name)) in {int, type(None)}


def refuse(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON")
