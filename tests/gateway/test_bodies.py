"""What bodies cost: tokens by their size, and room that clients share."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from gateway_client import Gateway, assert_problem, running
from test_server import POST, read_answer

from actors.messages import (
    JobExpired,
    SendStdin,
    SourceFile,
    StdinClosed,
    TakeToken,
    TokenReply,
)
from gateway.bodies import TOKEN_BYTES, Bodies, tokens_of
from gateway.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
BIG = "line\n" * 100_000
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with running() as one:
        yield one


def paid(gateway: Gateway) -> list[float]:
    return [one.cost for one in gateway.world.told if isinstance(one, TakeToken)]


def test_a_large_job_arrives_as_it_was_sent(gateway: Gateway) -> None:
    content = bytes(range(256)) * 1000
    written = base64.b64encode(content).decode()
    files = [
        {"name": "main.py", "content": BIG},
        {"name": "data", "content": written, "encoding": "base64"},
    ]
    document = {"language": "python", "files": files, "stdin": BIG + "ü😀"}
    answer = gateway.post({**document, "args": ["x" * 9000]})
    assert answer.status_code == 202, answer.text
    job = gateway.world.only_job().job
    assert job.files == (
        SourceFile("main.py", BIG.encode()),
        SourceFile("data", content),
    )
    assert job.stdin == (BIG + "ü😀").encode()
    assert job.args == ("x" * 9000,)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"source": BIG + "\udfff"}, "source"),
        ({"stdin": BIG, "colour": "red"}, "colour"),
        ({"source": BIG, "language": "no"}, "language"),
        (
            {"source": None, "files": [{"name": "a", "content": BIG + "\ud800"}]},
            "files.0.content",
        ),
        (
            {
                "source": None,
                "files": [{"name": "a", "content": BIG, "encoding": "base64"}],
            },
            "files.0.content",
        ),
    ],
)
def test_what_is_wrong_with_a_large_job_is_named(
    gateway: Gateway, change: dict[str, Any], field: str
) -> None:
    given = {"language": "python", "source": "x", "stdin": BIG, **change}
    document = {name: value for name, value in given.items() if value is not None}
    errors = assert_problem(gateway.post(document), 422, "invalid")["errors"]
    assert [error["field"] for error in errors] == [field]


def test_a_crowd_is_refused_before_there_is_one(gateway: Gateway) -> None:
    crowd = {f"{number:07}": 0 for number in range(100_000)}
    assert_problem(gateway.post(crowd), 413, "too_large")


def test_one_key_means_one_large_job(gateway: Gateway) -> None:
    def post(stdin: str) -> Any:
        document = {"language": "python", "source": BIG, "stdin": stdin}
        return gateway.post(document, Idempotency_Key="k")

    first = post("a" * MIB)
    assert post("a" * MIB).json()["id"] == first.json()["id"]
    assert_problem(post("a" * (MIB - 1) + "b"), 422, "idempotency_mismatch")


# ------------------------------------------------------------------------ tokens


@pytest.mark.parametrize(
    ("size", "tokens"),
    [(0, 1), (1, 1), (TOKEN_BYTES, 1), (TOKEN_BYTES + 1, 2), (MIB, 4)],
)
def test_size_costs_tokens(size: int, tokens: int) -> None:
    assert tokens_of(size) == tokens


def test_what_is_announced_is_paid_for_before_it_is_read(gateway: Gateway) -> None:
    gateway.world.token = TokenReply(
        granted=False, limit=20, remaining=1, retry_after_s=0.3, reset_s=2
    )
    with gateway.connect() as sock:
        sock.sendall(POST + b"Content-Length: 1000000\r\n\r\n")
        assert read_answer(sock)[0] == 429
    assert paid(gateway) == [4]


def test_what_is_not_announced_is_paid_for_as_it_comes(gateway: Gateway) -> None:
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with gateway.connect() as sock:
        sock.sendall(CHUNKED + piece * 9 + b"0\r\n\r\n")
        assert read_answer(sock)[0] == 413  # nothing but spaces
    assert paid(gateway) == [1, 1, 1]


def test_an_empty_bucket_ends_what_was_not_announced(gateway: Gateway) -> None:
    empty = TokenReply(granted=False, limit=20, remaining=0, retry_after_s=3, reset_s=9)
    full = gateway.world.token
    answers = iter([full, full, empty])
    hear = gateway.world.tell

    def tell(name: str, message: object) -> bool:
        if isinstance(message, TakeToken):
            gateway.world.token = next(answers)
        return hear(name, message)

    gateway.world.tell = tell  # type: ignore[method-assign]
    piece = b"40000\r\n" + b" " * TOKEN_BYTES + b"\r\n"
    with gateway.connect() as sock:
        sock.sendall(CHUNKED + piece * 3)
        assert b"429" in sock.makefile("rb").readline()


# -------------------------------------------------------------------------- room


def test_one_client_leaves_room_for_others() -> None:
    bodies = Bodies(100, 0.5)
    bodies.take("a", 50)
    with pytest.raises(Problem) as caught:
        bodies.take("a", 1)
    assert (caught.value.status, caught.value.code) == (429, "too_much_at_once")
    assert caught.value.headers["Retry-After"]
    bodies.take("b", 25)
    with pytest.raises(Problem) as caught:
        bodies.take("c", 26)
    assert (caught.value.status, caught.value.code) == (503, "too_busy")
    bodies.give_back("a", 50)
    bodies.take("c", 26)


def test_bodies_that_stall_keep_no_more_than_their_share() -> None:
    with running(bodies_mb_max=2, body_timeout_s=30) as gateway:
        head = POST + b"Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
        with gateway.connect() as stalled, gateway.connect() as other:
            stalled.sendall(head)
            assert b"100" in stalled.makefile("rb").readline()  # it is being read
            other.sendall(head)
            status, problem = read_answer(other)
            assert (status, problem["code"]) == (429, "too_much_at_once")
            assert gateway.submit()  # it needs next to nothing


def test_what_has_been_read_leaves_its_room(gateway: Gateway) -> None:
    for _ in range(3):
        gateway.submit(stdin="x" * MIB)
        gateway.post({"stdin": "x" * MIB})
    bodies = Bodies(100, 0.5)
    with bodies.intake("a", lambda: None) as intake:
        intake.announce(40)
        intake.grow(10)
    bodies.take("a", 100)


# ------------------------------------------------------------------------- stdin


def test_stdin_is_looked_up_before_it_is_read(gateway: Gateway) -> None:
    for path, status in (("nobody", 404), (gateway.submit_done(), 409)):
        line = f"POST /v1/jobs/{path}/stdin HTTP/1.1\r\nHost: localhost\r\n"
        with gateway.connect() as sock:
            sock.sendall(line.encode() + b"Content-Length: 1000000\r\n\r\n")
            assert read_answer(sock)[0] == status


def test_stdin_has_a_bucket_of_its_own_that_no_typing_empties(gateway: Gateway) -> None:
    path = f"/v1/jobs/{gateway.submit()}/stdin"
    answer = gateway.request("POST", path, data=b"a")
    assert answer.headers["RateLimit-Policy"] == '"stdin";q=20'
    gateway.request("POST", path, data=b"a" * MIB)
    (_, typed, pasted) = [
        one for one in gateway.world.told if isinstance(one, TakeToken)
    ]
    assert typed.client != "127.0.0.1"
    assert 0 < typed.cost < 0.1
    assert 4 < pasted.cost < 5


@pytest.mark.parametrize(
    ("found", "status", "code"),
    [
        ("too_large", 413, "too_large"),
        ("closed", 409, "stdin_closed"),
        ("done", 409, "not_running"),
        ("full", 503, "too_busy"),
        ("client_full", 429, "too_much_at_once"),
        (JobExpired(""), 410, "expired"),
        (None, 404, "unknown_job"),
    ],
)
def test_stdin_that_can_not_be_kept_is_never_called_accepted(
    gateway: Gateway, found: Any, status: int, code: str
) -> None:
    path = f"/v1/jobs/{gateway.submit()}/stdin?end=1"
    gateway.world.stdin_room = found
    answer = gateway.request("POST", path, data=b"x")
    assert_problem(answer, status, code)
    assert ("Retry-After" in answer.headers) == (status in {429, 503})
    assert not any(isinstance(one, SendStdin) for one in gateway.world.told)
    assert not any(isinstance(one, StdinClosed) for one in gateway.world.told)


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data"])
def test_stdin_of_another_kind_is_refused(gateway: Gateway, kind: str) -> None:
    path = f"/v1/jobs/{gateway.submit()}/stdin"
    answer = gateway.request("POST", path, data=b"{}", headers={"Content-Type": kind})
    assert_problem(answer, 415, "unsupported_media_type")
