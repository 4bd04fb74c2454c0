from __future__ import annotations

import io
from typing import TYPE_CHECKING, TextIO

import pytest
from fake_service import Script, event, finished, serving

from gateway.client import RECONNECTS_MAX, Client, ClientError, ServiceAwayError
from gateway.event_stream import EventParser, ServerEvent
from gateway.terminal import Terminal, exit_code

if TYPE_CHECKING:
    from collections.abc import Iterator

STREAM = (
    b"retry: 3000\n\n: open\n\n"
    b"id: 1\nevent: stdout\ndata: gr\xc3\xbc\xc3\x9fe\n\n"
    b":comment\r\n\r\n"
    b"id:2\r\nevent:stderr\r\ndata: a\r\ndata:\r\ndata: b\r\n\r\n"
    b"data: bare\r\rid: 4\revent: empty\r\r"
    b"event: late\ndata: x\n\n"
)
EVENTS = [
    ServerEvent("stdout", "grüße", "1"),
    ServerEvent("stderr", "a\n\nb", "2"),
    ServerEvent("message", "bare", "2"),
    ServerEvent("late", "x", "4"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, len(STREAM)])
def test_the_parser_reads_a_stream_in_pieces_of_any_size(size: int) -> None:
    parser = EventParser()
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]

    assert [one for piece in pieces for one in parser.feed(piece)] == EVENTS


def test_the_parser_keeps_an_unfinished_event_to_itself() -> None:
    parser = EventParser()

    assert parser.feed(b"data: half\n") == []
    assert parser.feed(b"\n") == [ServerEvent("message", "half", "")]


# ------------------------------------------------------------------- a service


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()
    with serving(script) as script.url:
        yield script


def client_of(script: Script) -> Client:
    return Client(script.url, pause=lambda _: None)


def run(script: Script, stdin: bytes = b"") -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    request = {"language": "c"}
    code = Terminal(out, err).run(client_of(script), request, stdin)
    return code, out.getvalue(), err.getvalue()


def test_output_goes_where_the_program_wrote_it(script: Script) -> None:
    script.streams = [
        event(1, "queued", position=3)
        + event(2, "started", attempt=1)
        + event(3, "compile", stream="stdout", text="warning\n")
        + event(4, "stdout", text="out\n")
        + event(5, "stderr", text="err\n")
        + finished(6, "failure", exit_code=7)
    ]

    assert run(script, b"typed") == (7, "out\n", "warning\nerr\n")
    assert script.jobs == [{"language": "c", "stdin": "typed"}]


def test_bytes_that_are_no_text_travel_by_the_stdin_route(script: Script) -> None:
    script.streams = [finished(1, "success")]

    assert run(script, b"\xff\x00") == (0, "", "")
    assert script.jobs == [{"language": "c", "stdin_open": True}]
    assert (script.stdin, script.stdin_ended) == (b"\xff\x00", True)


def test_a_program_that_ends_before_such_bytes_come_is_shown_all_the_same(
    script: Script,
) -> None:
    script.stdin_statuses = [409]
    script.streams = [event(1, "stdout", text="out\n") + finished(2, "success")]

    assert run(script, b"\xff\x00") == (0, "out\n", "")


def test_a_broken_stream_goes_on_after_the_last_event(script: Script) -> None:
    script.streams = [
        event(1, "stdout", text="a"),
        503,
        event(2, "stdout", text="b") + b"event: lagged\ndata: {}\n\n",
        finished(3, "success"),
    ]

    assert run(script) == (0, "ab", "")
    assert script.last_event_ids == [None, "1", "1", "2"]


def test_a_stream_that_breaks_for_ever_is_an_error(script: Script) -> None:
    script.streams = [b""] * (RECONNECTS_MAX + 1)

    with pytest.raises(ClientError, match="event stream of j1 broke"):
        run(script)


def test_an_expired_job_is_not_asked_for_again(script: Script) -> None:
    script.streams = [410, finished(1, "success")]

    with pytest.raises(ClientError, match="410"):
        run(script)
    assert len(script.streams) == 1


class _Interrupted(io.StringIO):
    def write(self, _: str) -> int:
        raise KeyboardInterrupt


class _Closed(io.StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("out", [_Interrupted(), _Closed()])
def test_an_interrupt_cancels_the_job(script: Script, out: TextIO) -> None:
    script.streams = [event(1, "stdout", text="a")]
    err = io.StringIO()

    code = Terminal(out, err).run(client_of(script), {}, b"")

    assert code == 130
    assert script.asked[-1] == ("DELETE", "/v1/jobs/j1")
    assert err.getvalue() == "warmbox: stopped\n"


@pytest.mark.parametrize(
    ("result", "code"),
    [
        ({"outcome": "success", "exit_code": 0}, 0),
        ({"outcome": "failure", "exit_code": 3}, 3),
        ({"outcome": "signalled", "signal": 11}, 139),
        ({"outcome": "timed_out"}, 124),
        ({"outcome": "out_of_memory"}, 137),
        ({"outcome": "output_exceeded"}, 137),
        ({"outcome": "compile_failed", "exit_code": None}, 1),
        ({"outcome": "cancelled"}, 130),
        ({"outcome": "internal_error"}, 1),
    ],
)
def test_exit_codes_are_those_of_a_shell(result: dict[str, object], code: int) -> None:
    assert exit_code(result) == code


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "warmbox: timed out\n"),
        ({"message": "5 s are over"}, "warmbox: 5 s are over\n"),
        ({"truncated": True}, "warmbox: timed out\nwarmbox: output past the limit"),
    ],
)
def test_an_end_that_is_not_the_programs_own_is_told(
    script: Script, more: dict[str, object], words: str
) -> None:
    script.streams = [finished(1, "timed_out", **more)]

    code, out, err = run(script)

    assert (code, out) == (124, "")
    assert err.startswith(words)


def test_a_refusal_is_told_field_by_field(script: Script) -> None:
    errors = [{"field": "args.0", "message": "is not text"}]
    script.problem = (422, {"detail": "args.0: is…", "code": "x", "errors": errors})
    with pytest.raises(ClientError, match=r"422: args\.0: is not text"):
        run(script)

    script.problem = (429, {"detail": "Too many requests.", "code": "rate_limited"})
    with pytest.raises(ClientError, match=r"429: Too many"):
        run(script)


def test_a_refusal_without_a_problem_document_is_told_too(script: Script) -> None:
    script.problem = (500, {})

    with pytest.raises(ClientError, match="500: Internal Server Error"):
        run(script)


def test_a_service_that_is_not_there_is_told_by_its_address() -> None:
    with pytest.raises(ServiceAwayError, match=r"http://127\.0\.0\.1:1: .*refused"):
        Client("http://127.0.0.1:1").languages()
