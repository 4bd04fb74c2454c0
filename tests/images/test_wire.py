"""The framed protocol: any frames, in any cut, and what is no frame."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images import wire

KINDS = sorted(wire.HOST_KINDS)
BYTES_MAX = 300

frames_strategy = st.lists(
    st.tuples(st.sampled_from(KINDS), st.binary(max_size=BYTES_MAX)), max_size=8
)


def decoder() -> wire.Decoder:
    return wire.Decoder(wire.HOST_KINDS, BYTES_MAX)


def encoded(frames: list[tuple[int, bytes]]) -> bytes:
    return b"".join(wire.encode(kind, payload) for kind, payload in frames)


def test_a_frame_is_a_kind_a_length_and_its_payload() -> None:
    assert wire.encode(wire.STDIN, b"abc") == b"\x02\x00\x00\x00\x03abc"
    assert wire.encode(wire.CANCEL) == b"\x04\x00\x00\x00\x00"


def test_no_kind_is_said_by_both_ends() -> None:
    assert not wire.HOST_KINDS & wire.RUNNER_KINDS


@given(frames_strategy)
def test_frames_come_out_as_they_went_in(frames: list[tuple[int, bytes]]) -> None:
    assert decoder().feed(encoded(frames)) == frames


@given(frames_strategy)
def test_byte_by_byte_is_no_different(frames: list[tuple[int, bytes]]) -> None:
    one = decoder()
    data = encoded(frames)
    found = [frame for byte in data for frame in one.feed(bytes([byte]))]
    assert found == frames


@given(frames_strategy, st.data())
def test_any_cut_is_no_different(
    frames: list[tuple[int, bytes]], draw: st.DataObject
) -> None:
    data = encoded(frames)
    border = st.integers(0, len(data))
    cuts = sorted(draw.draw(st.lists(border, max_size=6)))
    one = decoder()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        found += one.feed(data[start:end])
    assert found == frames


def test_a_frame_is_there_with_its_last_byte_and_not_before() -> None:
    one = decoder()
    data = wire.encode(wire.STDIN, b"abc")
    for byte in data[:-1]:
        assert one.feed(bytes([byte])) == []
    assert one.feed(data[-1:] + data[:2]) == [(wire.STDIN, b"abc")]
    assert one.feed(data[2:]) == [(wire.STDIN, b"abc")]


def test_nothing_fed_is_nothing_found() -> None:
    assert decoder().feed(b"") == []


def test_the_longest_payload_is_accepted_and_one_byte_more_is_not() -> None:
    longest = (wire.STDIN, b"x" * BYTES_MAX)
    assert decoder().feed(encoded([longest])) == [longest]
    with pytest.raises(wire.ProtocolError, match="a frame of 301 bytes"):
        decoder().feed(wire.encode(wire.STDIN, b"x" * (BYTES_MAX + 1)))


def test_an_oversized_frame_is_refused_by_its_head_alone() -> None:
    with pytest.raises(wire.ProtocolError, match="a frame of 4294967295 bytes"):
        decoder().feed(b"\x02\xff\xff\xff\xff")


def test_every_unknown_kind_is_refused() -> None:
    for kind in set(range(256)) - wire.HOST_KINDS:
        with pytest.raises(wire.ProtocolError, match=f"unknown frame kind {kind}$"):
            decoder().feed(wire.encode(kind))


def test_what_only_the_other_end_says_is_refused() -> None:
    host_side = wire.Decoder(wire.RUNNER_KINDS, BYTES_MAX)
    with pytest.raises(wire.ProtocolError):
        host_side.feed(wire.encode(wire.JOB))


def test_good_frames_before_a_bad_one_do_not_save_the_stream() -> None:
    data = wire.encode(wire.STDIN, b"abc") + wire.encode(wire.DONE)
    with pytest.raises(wire.ProtocolError):
        decoder().feed(data)


@given(st.binary(max_size=200))
def test_rubbish_never_raises_anything_else(data: bytes) -> None:
    try:
        frames = decoder().feed(data)
    except wire.ProtocolError:
        return
    assert data.startswith(encoded(frames))


# --------------------------------------------------------------------------- jobs


@given(st.binary(max_size=50), st.lists(st.binary(max_size=50), max_size=5))
def test_a_job_is_its_header_and_its_blobs(header: bytes, blobs: list[bytes]) -> None:
    packed = wire.pack_job(header, blobs)
    assert wire.unpack_job(packed) == (header, b"".join(blobs))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "a job without a header"),
        (b"\0\0\0", "a job without a header"),
        (b"\0\0\0\1", "a job's header runs past its end"),
        (b"\xff\xff\xff\xff{}", "a job's header runs past its end"),
    ],
)
def test_a_job_that_is_cut_off_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(wire.ProtocolError, match=re.escape(reason)):
        wire.unpack_job(payload)


def test_an_empty_header_is_none_of_the_wires_business() -> None:
    assert wire.unpack_job(b"\0\0\0\0") == (b"", b"")
