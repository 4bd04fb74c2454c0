"""Merging output, and the borders of UTF-8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import Output
from actors.output_buffer import OutputBuffer, character_border, sequence_length

if TYPE_CHECKING:
    from collections.abc import Iterable

Chunk = tuple[Literal["stdout", "stderr"], bytes]
streams = st.sampled_from(["stdout", "stderr"])


def filled(*chunks: Chunk) -> OutputBuffer:
    buffer = OutputBuffer()
    for stream, data in chunks:
        buffer.add("run", stream, data)
    return buffer


def joined(outputs: Iterable[Output], stream: str) -> bytes:
    return b"".join(one.data for one in outputs if one.stream == stream)


def test_neighbours_of_a_stream_become_one() -> None:
    buffer = filled(
        ("stdout", b"a"), ("stdout", b"b"), ("stderr", b"c"), ("stdout", b"d")
    )
    assert buffer.size == 4
    assert buffer.take() == [
        Output("run", "stdout", b"ab"),
        Output("run", "stderr", b"c"),
        Output("run", "stdout", b"d"),
    ]
    assert (buffer.take(), buffer.size) == ([], 0)


def test_phases_are_kept_apart() -> None:
    buffer = OutputBuffer()
    buffer.add("compile", "stdout", b"a")
    buffer.add("run", "stdout", b"b")
    assert [one.phase for one in buffer.take()] == ["compile", "run"]


def test_a_character_that_is_cut_in_two_is_shown_whole() -> None:
    first, rest = b"\xe2\x82", b"\xac"
    buffer = filled(("stdout", b"1" + first))
    assert buffer.take() == [Output("run", "stdout", b"1")]
    buffer.add("run", "stdout", rest)
    assert buffer.take() == [Output("run", "stdout", "€".encode())]


def test_the_other_stream_may_come_in_between() -> None:
    buffer = filled(("stdout", b"\xc3"), ("stderr", b"\xc3"), ("stdout", b"\xa4"))
    assert buffer.take() == [Output("run", "stdout", "ä".encode())]
    buffer.add("run", "stderr", b"\xb6")
    assert buffer.take() == [Output("run", "stderr", "ö".encode())]


def test_at_the_end_what_is_unfinished_is_shown_as_it_is() -> None:
    buffer = filled(("stdout", b"x\xf0\x9f"), ("stderr", b"\xe2"))
    assert buffer.size == 1
    assert buffer.take_all("run") == [
        Output("run", "stdout", b"x\xf0\x9f"),
        Output("run", "stderr", b"\xe2"),
    ]
    assert buffer.take_all("run") == []


@pytest.mark.parametrize(
    ("data", "border"),
    [
        (b"", 0),
        (b"abc", 3),
        (b"\0", 1),
        ("ä".encode(), 2),
        (b"a\xc3", 1),
        (b"a\xe2\x82", 1),
        (b"a\xf0\x9f\x98", 1),
        ("😀".encode(), 4),
        (b"\x80\x80\x80", 3),
        (b"a\x80", 2),
        (b"\xff", 1),
        (b"\xc0", 1),
        (b"\xc1", 1),
        (b"\xf5", 1),
        (b"\xc3\xa4\x80", 3),
        (b"\xe2\x82\xac\x80\x80", 5),
    ],
)
def test_only_the_start_of_a_character_is_held_back(data: bytes, border: int) -> None:
    assert character_border(data) == border


@pytest.mark.parametrize("text", ["a", "ä", "€", "😀"])
def test_a_lead_byte_tells_the_length(text: str) -> None:
    assert sequence_length(text.encode()[0]) == len(text.encode())


@given(st.lists(st.tuples(streams, st.binary(max_size=12))))
def test_no_byte_is_lost_or_moved_within_its_stream(chunks: list[Chunk]) -> None:
    buffer = OutputBuffer()
    shown: list[Output] = []
    for stream, data in chunks:
        buffer.add("run", stream, data)
        shown += buffer.take()
    shown += buffer.take_all("run")
    for stream in ("stdout", "stderr"):
        given_bytes = b"".join(data for name, data in chunks if name == stream)
        assert joined(shown, stream) == given_bytes


@given(st.text(max_size=30), st.data())
def test_no_event_ends_within_a_character(text: str, data: st.DataObject) -> None:
    encoded = text.encode()
    buffer = OutputBuffer()
    shown: list[Output] = []
    while encoded:
        length = data.draw(st.integers(1, len(encoded)))
        buffer.add("run", "stdout", encoded[:length])
        encoded = encoded[length:]
        shown += buffer.take()
    assert "".join(one.data.decode() for one in shown) == text
