"""A request's header fields: what is let through, and how it is asked for."""

from __future__ import annotations

import io

import pytest

from gateway.head import Head, read_head

LONG = "X-" + "a" * 5000


def head_of(*lines: str, version: str = "HTTP/1.1") -> Head:
    text = "".join(f"{line}\r\n" for line in (*lines, ""))
    return read_head(io.BytesIO(text.encode("latin-1")), version)


def test_a_field_is_found_whatever_the_case_of_its_name() -> None:
    head = head_of("Content-TYPE: a/b", "x-a:  1\t", "X-A: 2")
    assert head.status == ""
    assert head.typeheader == "a/b"
    assert head.get("x-A") == head.getheader("X-a") == "1"
    assert head.get("x-b", "none") == "none"


def test_the_environment_has_all_values_but_of_names_that_would_look_like_others() -> (
    None
):
    lines = ["Content-Type: a/b", "Content-Length: 3", "Host: h", "X_A: 1", "X-A: 2"]
    head = head_of(*lines, "x-a: 3", f"{LONG}: 4")
    long = "HTTP_" + LONG.replace("-", "_").upper()
    expected = [("HTTP_HOST", "h"), ("HTTP_X_A", "2"), ("HTTP_X_A", "3"), (long, "4")]
    assert list(head.in_environ()) == expected


def test_a_field_that_is_deleted_is_gone() -> None:
    head = head_of("Content-Length: 3", "Host: h")
    del head["content-length"]
    assert head.get("Content-Length") is None
    assert head.all_of("content-length") == []
    with pytest.raises(KeyError):
        del head["content-length"]


@pytest.mark.parametrize(
    "lines",
    [
        ("Host",),
        ("Host : h",),
        (" Host: h",),
        ("Host: h\x00",),
        ("Content-Length: 1", "content-length: 1"),
        ("Content-Length: +1",),
        ("Content-Length: \xb2",),
        ("Content-Length: 1", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        tuple(f"X-{number}: 1" for number in range(101)),
    ],
)
def test_what_others_could_read_in_another_way_is_refused(
    lines: tuple[str, ...],
) -> None:
    assert head_of(*lines).status


def test_chunks_are_no_part_of_http_1_0() -> None:
    assert head_of("Transfer-Encoding: chunked").status == ""
    assert head_of("Transfer-Encoding: chunked", version="HTTP/1.0").status
