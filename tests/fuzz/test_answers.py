"""The fuzzer sees what is wrong: its reader and its contract, by examples."""

from __future__ import annotations

import io
import json
from random import Random
from typing import Any

import pytest
from answers import BrokenAnswerError, Contract, Got, read_answer
from raw_bytes import RawBytes
from schema_values import SchemaValues
from well_formed import Grammar

from gateway.config import GatewayConfig
from gateway.openapi import describe
from gateway.problems import CONTENT_TYPE, Problem

DOCUMENT = describe(GatewayConfig(secret=b""), ["python", "py"])
CONTRACT = Contract(DOCUMENT)
JOB = "/v1/jobs/abc"


def problem(code: str, **headers: str) -> Got:
    found = Problem(code, "words")
    known = {"content-type": CONTENT_TYPE, **headers}
    return Got(found.status, known, found.document())


def stream(text: str, *, whole: bool = True) -> Got:
    headers = {"content-type": "text/event-stream"}
    return Got(200, headers, text.encode(), whole)


def event(number: int, name: str, data: str = "{}") -> str:
    return f"id: {number}\nevent: {name}\ndata: {data}\n\n"


RIGHT: dict[str, tuple[Got, str, str]] = {
    "a problem": (problem("unknown_job"), "GET", JOB),
    "full for now": (problem("queue_full", **{"retry-after": "2"}), "POST", "/v1/jobs"),
    "not ready": (Got(503, {}, b'{"ready":false}'), "GET", "/readyz"),
    "a stream": (stream(event(1, "queued") + event(2, "finished")), "GET", JOB),
    "of who knows what": (problem("bad_request"), "", ""),
}
WRONG: dict[str, tuple[Got, str, str]] = {
    "our fault": (problem("internal"), "GET", JOB),
    "full, and no word of when to come": (problem("queue_full"), "POST", "/v1/jobs"),
    "another 503": (Got(503, {"retry-after": "1"}, b"busy"), "GET", JOB),
    "no document": (Got(404, {"content-type": "text/html"}, b"<p>"), "GET", JOB),
    "another status": (
        Got(409, {"content-type": CONTENT_TYPE}, problem("expired").body),
        "GET",
        JOB,
    ),
    "no JSON": (Got(200, {"content-type": "application/json"}, b"{"), "GET", JOB),
    "cut off": (stream(event(1, "finished"), whole=False), "GET", JOB),
    "no end": (stream(event(1, "queued")), "GET", JOB),
    "a number twice": (stream(event(1, "queued") + event(1, "finished")), "GET", JOB),
    "no data": (stream(event(1, "finished", "{")), "GET", JOB),
    "not documented": (problem("body_timeout"), "DELETE", JOB),
}


@pytest.mark.parametrize("case", RIGHT.values(), ids=RIGHT)
def test_what_is_promised_is_right(case: tuple[Got, str, str]) -> None:
    assert CONTRACT.fault(*case) is None


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_anything_else_is_wrong(case: tuple[Got, str, str]) -> None:
    assert CONTRACT.fault(*case)


def test_answers_are_read_one_by_one() -> None:
    sent = (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"
    )
    file = io.BytesIO(sent)
    found: list[Any] = [read_answer(file) for _ in range(4)]
    assert [(one.body, one.whole) for one in found[:3]] == [
        (b"{}", True),
        (b"ab", True),
        (b"{}", False),
    ]
    assert found[3] is None


@pytest.mark.parametrize(
    "sent",
    [
        b"200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nA: b\n\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_told(sent: bytes) -> None:
    with pytest.raises(BrokenAnswerError):
        read_answer(io.BytesIO(sent))


def test_a_seed_is_a_sequence() -> None:
    grammar = Grammar(json.loads(json.dumps(DOCUMENT)), SchemaValues(DOCUMENT))
    raw = RawBytes(grammar)

    def sequence(seed: int) -> list[object]:
        chance = Random(seed)
        requests = [grammar.make(chance).encode() for _ in range(300)]
        scripts = [raw.quick(chance) for _ in range(300)]
        return [*requests, *scripts, raw.slow(chance), raw.stream(chance)]

    assert sequence(1) == sequence(1)
    assert sequence(1) != sequence(2)
