"""Whatever the host's stream brings, a runner takes frames from it or gives up."""

from __future__ import annotations

import json
import os
import random
from contextlib import suppress
from typing import TYPE_CHECKING

import gevent
import pytest
from docker.errors import APIError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runner_harness import Boxes

from images import runner_host, wire
from images.runner_host import Dirty, Host
from images.runner_job import open_job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner_harness import Box

KINDS = sorted(wire.HOST_KINDS)
PATIENT_S = 2
END_S = 20

frames = st.builds(wire.encode, st.sampled_from(KINDS), st.binary(max_size=30))
oversized = st.builds(
    lambda kind, length: bytes([kind]) + length.to_bytes(4, "big"),
    st.sampled_from(KINDS),
    st.integers(wire.FRAME_BYTES_MAX + 1, 2**32 - 1),
)
interleaved = st.builds(
    lambda one, other, cut: one[:cut] + other + one[cut:],
    frames,
    frames,
    st.integers(1, 30),
)
streams = st.lists(
    frames | frames | oversized | interleaved | st.binary(min_size=1, max_size=9),
    min_size=1,
    max_size=5,
)


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Be the host: what is written here is the runner's to read."""
    read_end, write_end = os.pipe()
    monkeypatch.setattr(runner_host, "_STDIN", read_end)
    yield write_end
    os.close(read_end)
    os.close(write_end)


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=300)
@given(streams)
def test_frames_come_up_to_the_first_that_is_none(
    stream: int, pieces: list[bytes]
) -> None:
    host, taken, verdict = Host(), b"", "protocol: "
    for piece in pieces:
        os.write(stream, piece)
        try:
            host.receive()
        except Dirty as error:
            verdict = str(error)
            break
        taken += piece
    assert verdict.startswith("protocol: ")
    # All that was taken for frames stood in the stream, in its order and whole
    found = b"".join(wire.encode(kind, payload) for kind, payload in host.frames)
    assert b"".join(pieces).startswith(found)
    assert {kind for kind, _ in host.frames} <= wire.HOST_KINDS
    # and what was taken but is no frame yet may still become one
    rest = taken[len(found) :]
    assert len(rest) < 5 or int.from_bytes(rest[1:5], "big") > len(rest) - 5


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 50) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["files", "stdin_open", "steps"]), inner)
    ),
    max_leaves=6,
)
headers = st.binary(max_size=30) | json_values.map(lambda one: json.dumps(one).encode())
known = st.builds(
    lambda files, ended: json.dumps({"files": files, "stdin_open": ended}).encode(),
    st.lists(st.tuples(st.text(max_size=5), st.integers(0, 40)), max_size=3),
    st.booleans(),
)


@given(headers | known, st.binary(max_size=60))
def test_a_job_is_opened_or_refused(header: bytes, blobs: bytes) -> None:
    try:
        _, files, stdin = open_job(wire.pack_job(header, [blobs]))
    except (ValueError, LookupError, TypeError):
        return  # nothing is run, and the container ends
    joined = b"".join(content for _, content, _ in files or ())
    assert (joined + bytes(stdin.data)) == blobs


# ------------------------------------------------------------------ a real container


@pytest.fixture(scope="module")
def boxes() -> Iterator[Boxes]:
    with Boxes() as found:
        yield found


def broken(frame: bytes, chance: random.Random) -> bytes:
    """Return a job's frame as no host sends it."""
    data = bytearray(frame)
    way = chance.randrange(5)
    at = chance.randrange(len(data))
    if way == 0:
        del data[at:]
    elif way == 1:
        data[at:at] = frame
    elif way == 2:
        data[chance.randrange(9)] ^= 1 << chance.randrange(8)
    elif way == 3:
        data[at : at + 1] = chance.randbytes(3)
    else:
        data += chance.randbytes(8)
    return bytes(data)


def assert_ends(box: Box) -> None:
    """The container ends once its host has left."""
    box.attached.close()
    with gevent.Timeout(END_S), suppress(APIError):
        while True:
            box.exec("true")


@pytest.mark.docker
@pytest.mark.parametrize("seed", range(10))
def test_a_broken_stream_costs_a_container_at_most(boxes: Boxes, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    with boxes.start("bash") as box:
        box.attached.send(broken(box.job("echo hello", wall_s=1), chance))
        if wire.READY in kinds_said(box):
            again = box.run("echo again")
            # Bytes too many begin a frame that the next job's would have to go on with.
            assert again.done is None or again.stdout == b"again\n"
        assert_ends(box)


def kinds_said(box: Box) -> list[int]:
    """Return what the runner says up to READY, DIRTY or its end; or until it waits.

    It may wait for the rest of a frame, for as long as its host lets it.
    """
    said: list[int] = []
    with suppress(AssertionError):
        while (frame := box.frame(PATIENT_S)) is not None:
            said.append(frame[0])
            if frame[0] in {wire.READY, wire.DIRTY}:
                break
    return said
