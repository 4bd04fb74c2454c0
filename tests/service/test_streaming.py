"""Output arrives while it is written, and a stream that broke is taken up again."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from http_api import Api, Seen

pytestmark = pytest.mark.docker

LINES = 6
SLOW = f"""
import time
for n in range({LINES}):
    print(n, time.time(), flush=True)
    time.sleep(0.3)
"""


def texts(events: list[Seen]) -> str:
    return "".join(e.data["text"] for e in events if e.name == "stdout")


def check_ids(events: list[Seen]) -> None:
    assert [event.id for event in events] == list(range(1, len(events) + 1))


def test_each_line_is_seen_before_the_next_is_printed(api: Api) -> None:
    with api.follow(api.submit("python", SLOW)) as events:
        seen = list(events)
    check_ids(seen)
    lines = [event for event in seen if event.name == "stdout"]
    assert [event.data["text"].split()[0] for event in lines] == [
        str(n) for n in range(LINES)
    ]
    for line, following in pairwise(lines):
        printed_next = float(following.data["text"].split()[1])
        assert line.at < printed_next
    names = [event.name for event in seen if event.name != "stdout"]
    assert names == ["queued", "started", "finished"]


def test_both_streams_keep_their_order(api: Api) -> None:
    source = "for n in 1 2 3; do echo o$n; sleep 0.1; echo e$n >&2; sleep 0.1; done"
    events = api.wait(api.submit("bash", source))
    lines = [(e.name, e.data["text"]) for e in events if e.name in {"stdout", "stderr"}]
    assert lines == [
        (name, f"{name[3]}{n}\n") for n in (1, 2, 3) for name in ("stdout", "stderr")
    ]


def test_a_dropped_stream_is_taken_up_again(api: Api) -> None:
    job_id = api.submit("python", SLOW)
    seen: list[Seen] = []
    for stop in ("1 ", "3 "):
        with api.follow(job_id, seen[-1].id if seen else None) as events:
            for event in events:
                seen.append(event)
                if event.data.get("text", "").startswith(stop):
                    break  # closes the connection in the middle
    with api.follow(job_id, seen[-1].id) as events:
        seen += list(events)
    check_ids(seen)
    assert seen[-1].name == "finished"
    assert [line.split()[0] for line in texts(seen).splitlines()] == [
        str(n) for n in range(LINES)
    ]


def test_many_drops_in_a_flood(api: Api) -> None:
    source = "for n in range(20000):\n    print(n)\n"
    job_id = api.submit("python", source)
    seen: list[Seen] = []
    while not seen or seen[-1].name != "finished":
        with api.follow(job_id, seen[-1].id if seen else None) as events:
            for _ in range(3):
                event = events.next()
                if event is None:
                    break
                seen.append(event)
    check_ids(seen)
    assert texts(seen) == "".join(f"{n}\n" for n in range(20000))


def test_one_who_comes_after_the_end_gets_all(api: Api) -> None:
    job_id = api.submit("python", "print('a')\nimport sys\nprint('b', file=sys.stderr)")
    first = api.wait(job_id)
    again = api.wait(job_id)
    check_ids(first)
    assert [(e.id, e.name, e.data) for e in again] == [
        (e.id, e.name, e.data) for e in first
    ]
    with api.follow(job_id, first[-2].id) as events:
        assert [event.id for event in events] == [first[-1].id]
    with api.follow(job_id, first[-1].id) as events:
        assert list(events) == []  # 204: a browser does not come back


def test_two_watchers_see_the_same(api: Api) -> None:
    job_id = api.submit("python", SLOW)
    with api.follow(job_id) as one, api.follow(job_id) as other:
        first, second = list(one), list(other)
    assert [(e.id, e.data) for e in first] == [(e.id, e.data) for e in second]
    assert texts(first).count("\n") == LINES


def test_finished_is_the_result_without_the_texts(api: Api) -> None:
    job_id = api.submit("python", "print('x')\nraise SystemExit(3)")
    finished = api.wait(job_id)[-1].data
    document = api.look(job_id)
    assert finished["outcome"] == document["outcome"] == "failure"
    assert finished["exit_code"] == document["exit_code"] == 3
    assert finished["usage"] == document["usage"]
    assert "stdout" not in finished


def test_utf8_is_not_torn_between_events(api: Api) -> None:
    source = """
import os, time
for byte in "\\u20ac\\U0001f600".encode():
    os.write(1, bytes([byte]))
    time.sleep(0.1)
os.write(1, b"\\xe2\\x82")
"""
    events = api.wait(api.submit("python", source))
    assert texts(events) == "\u20ac\U0001f600\ufffd"
