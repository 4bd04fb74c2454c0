"""A request's header fields: what is let through, and how it is asked for."""

from __future__ import annotations

import io

import pytest

from gateway.head import Head, is_request_line, read_head, words_of

LONG = "X-" + "a" * 5000


def head_of(*lines: str, version: str = "HTTP/1.1", host: str = "h") -> Head:
    hosts = [f"Host: {host}"] if host else []
    text = "".join(f"{line}\r\n" for line in (*hosts, *lines, ""))
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
    lines = ["Content-Type: a/b", "Content-Length: 3", "X_A: 1", "X-A: 2"]
    head = head_of(*lines, "x-a: 3", f"{LONG}: 4")
    long = "HTTP_" + LONG.replace("-", "_").upper()
    expected = [("HTTP_HOST", "h"), ("HTTP_X_A", "2"), ("HTTP_X_A", "3"), (long, "4")]
    assert list(head.in_environ()) == expected


def test_a_list_is_searched_in_all_fields_of_its_name() -> None:
    head = head_of("Connection: TE, Close", "connection:\tx")
    assert all(head.has_token("connection", word) for word in ("te", "close", "x"))
    assert not head.has_token("connection", "clo")
    assert not head.has_token("expect", "x")


def test_of_a_long_list_the_first_words_are_looked_at() -> None:
    assert words_of(" a ,\tb\t,,c d") == ["a", "b", "", "c d"]
    assert len(words_of("," * 30_000)) < 100


@pytest.mark.parametrize(
    "lines",
    [
        ("X",),
        ("X : h",),
        (" X: h",),
        ("X: h\x00",),
        ("host: other",),
        ("Content-Length: 1", "content-length: 1"),
        ("Content-Length: +1",),
        ("Content-Length: \xb2",),
        ("Content-Length: 1", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        tuple(f"X-{number}: 1" for number in range(100)),
        tuple(f"X-{number}: {'a' * 4096}" for number in range(8)),
    ],
)
def test_what_others_could_read_in_another_way_is_refused(
    lines: tuple[str, ...],
) -> None:
    assert head_of(*lines).status


def test_as_much_as_that_is_let_through() -> None:
    assert head_of(*(f"X-{number}: 1" for number in range(99))).status == ""
    assert head_of(*(f"X-{number}: {'a' * 4000}" for number in range(8))).status == ""


def test_only_an_old_client_need_not_name_the_host() -> None:
    assert head_of(host="").status
    assert head_of(host="", version="HTTP/1.0").status == ""


@pytest.mark.parametrize(
    "target", ["/", "/a%20b", "/%C3%A4?b=%ff", "/a?b=%ff", "*", "/%2e%2e/"]
)
def test_a_request_can_begin_with_such_a_line(target: str) -> None:
    assert is_request_line(f"GET {target} HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "target", ["/metrics\xa0", "/m\x85", "\xa0", "/metrics%ff", "/%ffm", "/%C3?%A4"]
)
def test_a_path_in_which_others_see_another_is_refused(target: str) -> None:
    assert not is_request_line(f"GET {target} HTTP/1.1\r\n")


def test_chunks_are_no_part_of_http_1_0() -> None:
    assert head_of("Transfer-Encoding: chunked").status == ""
    assert head_of("Transfer-Encoding: chunked", version="HTTP/1.0").status
