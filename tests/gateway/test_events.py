"""The event stream: replay, then live; resumed, lagging, dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from gateway_client import Gateway, running, shown
from gevent.event import Event
from twins import HELLO, SUCCESS

from actors.messages import (
    CompileResult,
    Finished,
    JobEvent,
    JobResult,
    NumberedEvent,
    Outcome,
    Output,
    Restarted,
    Started,
)
from gateway.encodings import encode_event
from gateway.ledger import Ledger
from gateway.sse import HEARTBEAT, LAGGED, OPENING, Place, Sink, stream
from gateway.turns import Turns
from metrics.instruments import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1 << 20


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with running(heartbeat_s=0.05) as one:
        yield one


def batch(first_id: int, count: int) -> tuple[NumberedEvent, ...]:
    event = JobEvent("j", 1, HELLO)
    return tuple(NumberedEvent(first_id + n, event) for n in range(count))


def test_a_finished_job_is_shown_from_its_first_event(gateway: Gateway) -> None:
    job_id = gateway.submit_done(HELLO)
    answer = gateway.follow(job_id)
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["X-Accel-Buffering"] == "no"
    events = list(shown(answer))
    assert events[:3] == [
        (1, "queued", {"position": 1}),
        (2, "started", {"attempt": 1}),
        (3, "stdout", {"text": "hello\n"}),
    ]
    event_id, name, data = events[3]
    assert (event_id, name) == (4, "finished")
    assert (data["outcome"], data["exit_code"]) == ("success", 0)
    assert "stdout" not in data
    assert not gateway.world.unwatched.is_set()  # the relay keeps no watcher


def test_output_arrives_as_it_is_written(gateway: Gateway) -> None:
    job_id = gateway.submit()
    events = shown(gateway.follow(job_id))
    assert next(events)[1] == "queued"
    for number in range(3):
        text = f"line {number}\n"
        gateway.world.emit(job_id, Output("run", "stdout", text.encode()))
        assert next(events) == (number + 2, "stdout", {"text": text})
    gateway.world.emit(job_id, Finished(SUCCESS))
    assert [name for _, name, _ in events] == ["finished"]
    assert not gateway.world.unwatched.is_set()


def test_a_client_that_comes_back_misses_nothing(gateway: Gateway) -> None:
    # Given a client that drops its stream after the second event
    job_id = gateway.submit()
    gateway.world.emit(job_id, Started())
    first = gateway.follow(job_id)
    seen = [next(shown(first)), (2, "started", {"attempt": 1})]
    first.close()
    # When the job goes on and the client comes back
    gateway.world.emit(job_id, HELLO)
    second = shown(gateway.follow(job_id, seen[-1][0]))
    seen.append(next(second))
    gateway.world.emit(job_id, Finished(SUCCESS))
    seen.extend(second)
    # Then it has seen everything once
    assert [event_id for event_id, _, _ in seen] == [1, 2, 3, 4]


def test_all_kinds_of_events(gateway: Gateway) -> None:
    result = JobResult(
        Outcome.COMPILE_FAILED, compile=CompileResult(Outcome.FAILURE, 1, None)
    )
    job_id = gateway.submit_done(
        Restarted(),
        Started(),
        Output("compile", "stderr", b"error: \xff"),
        Output("run", "stderr", b"a\r\nb\n\ndata: c"),
        result=result,
    )
    events = {name: data for _, name, data in shown(gateway.follow(job_id))}
    assert events["restarted"] == {"attempt": 2}
    assert events["started"] == {"attempt": 2}
    assert events["compile"] == {"stream": "stderr", "text": "error: \ufffd"}
    assert events["stderr"] == {"text": "a\r\nb\n\ndata: c"}
    finished = events["finished"]
    unknown = {"wall_ms": None, "cpu_ms": None, "memory_kb": None}
    failed = {"outcome": "failure", "exit_code": 1, "signal": None, "usage": unknown}
    assert finished["compile"] == failed
    assert finished["attempt"] == 2


def test_a_browser_is_told_not_to_come_back(gateway: Gateway) -> None:
    job_id = gateway.submit_done()
    assert gateway.follow(job_id, 3).status_code == 204
    assert gateway.follow(job_id, 99).status_code == 204
    assert len(list(shown(gateway.follow(job_id, 2)))) == 1


@pytest.mark.parametrize(("last_id", "ids"), [(3, [4, 5]), (4, [5]), (99, [5])])
def test_what_another_gateway_has_shown_already_comes_once(
    gateway: Gateway, last_id: int, ids: list[int]
) -> None:
    """Whatever id somebody invents, the end comes."""
    job_id = gateway.submit()
    events = shown(gateway.follow(job_id, last_id))
    gateway.world.watched.wait(5)
    for body in (Started(), HELLO, HELLO, Finished(SUCCESS)):
        gateway.world.emit(job_id, body)
    assert [event_id for event_id, _, _ in events] == ids


def test_a_plain_link_may_resume(gateway: Gateway) -> None:
    job_id = gateway.submit_done(HELLO)
    answer = gateway.get(f"/v1/jobs/{job_id}/events?last_event_id=3")
    assert "id: 4\n" in answer.text
    assert "id: 3\n" not in answer.text


def test_a_quiet_stream_beats(gateway: Gateway) -> None:
    job_id = gateway.submit()
    answer = gateway.follow(job_id)
    lines = answer.iter_lines(chunk_size=1, decode_unicode=True)
    assert next(line for line in lines if line == ": alive")
    answer.close()


def test_a_client_that_leaves_is_forgotten(gateway: Gateway) -> None:
    before = REGISTRY.get_sample_value("warmbox_watchers") or 0
    job_id = gateway.submit()
    answer = gateway.follow(job_id)
    next(shown(answer))
    assert REGISTRY.get_sample_value("warmbox_watchers") == before + 1
    answer.close()
    gateway.session.close()
    assert gateway.world.unwatched.wait(5)
    assert gateway.world.watchers == []
    assert REGISTRY.get_sample_value("warmbox_watchers") == before


def test_head_does_not_watch(gateway: Gateway) -> None:
    job_id = gateway.submit()
    answer = gateway.request("HEAD", f"/v1/jobs/{job_id}/events")
    assert answer.status_code == 200
    assert gateway.world.watchers == []


def test_a_relay_started_anew_is_noticed(gateway: Gateway) -> None:
    # Given a watcher that its relay has forgotten
    job_id = gateway.submit()
    events = shown(gateway.follow(job_id))
    next(events)
    gateway.world.watchers.clear()
    # When something happens that is not delivered
    gateway.world.emit(job_id, Started())
    # Then the client is told to come back, and gets it
    assert next(events) == (0, "lagged", {})
    assert list(events) == []
    assert next(shown(gateway.follow(job_id, 1)))[1] == "started"


def test_what_comes_while_the_relay_is_asked_is_not_lost(gateway: Gateway) -> None:
    # Given a stream that has been quiet, so that it asks whether it was forgotten
    job_id = gateway.submit()
    events = shown(gateway.follow(job_id))
    next(events)
    # When the job starts before the relay has come to answer
    asked = Event()

    def start(job_id: str) -> None:
        if not asked.is_set():
            gateway.world.emit(job_id, Started())
            asked.set()

    gateway.world.on_look_up = start
    assert asked.wait(5)
    gateway.world.emit(job_id, Finished(SUCCESS))
    # Then the stream brings it all, and does not send its client away
    assert [name for _, name, _ in events] == ["started", "finished"]


def test_a_relay_that_is_away_for_a_while_costs_no_stream(gateway: Gateway) -> None:
    job_id = gateway.submit()
    answer = gateway.follow(job_id)
    gateway.world.absent.add("root/relay")
    lines = answer.iter_lines(chunk_size=1, decode_unicode=True)
    assert next(line for line in lines if line == ": alive")
    gateway.world.emit(job_id, Finished(SUCCESS))
    assert any(line == "event: finished" for line in lines)


def test_a_relay_that_ends_sends_its_watchers_away(gateway: Gateway) -> None:
    job_id = gateway.submit()
    events = shown(gateway.follow(job_id))
    next(events)
    ((_, deliver),) = gateway.world.watchers
    assert not deliver(())
    assert list(events) == [(0, "lagged", {})]


# ------------------------------------------------------------ the sink by itself


def sink_of(events_max: int) -> Sink:
    ledger = Ledger(bytes_max=MIB, bytes_per_client_max=MIB)
    return Sink(events_max, Place(ledger, "a client", Turns()))


def encoded(numbered: NumberedEvent) -> tuple[bytes]:
    return (encode_event(numbered),)


def never() -> bool:
    return False


def nothing() -> None:
    pass


def test_a_replay_may_be_longer_than_the_bound() -> None:
    sink = sink_of(4)
    assert sink.deliver(batch(1, 100))
    sink.go_live()
    assert len(sink.take()) == 100


def test_a_reader_that_falls_behind_is_told() -> None:
    sink = sink_of(4)
    sink.go_live()
    left: list[bool] = []
    chunks = stream(sink, 60, never, lambda: left.append(True), encoded)
    assert next(chunks) == OPENING
    assert sink.deliver(batch(1, 3))
    assert not sink.deliver(batch(4, 2))
    assert not sink.deliver(batch(4, 1))
    assert next(chunks).count(b"event: stdout") == 3
    assert next(chunks) == LAGGED
    assert list(chunks) == []
    assert left == [True]


def test_one_large_batch_is_no_lag() -> None:
    sink = sink_of(4)
    sink.go_live()
    assert sink.deliver(batch(1, 100))


class Woken(Place):
    """Counts how often its stream was to be woken."""

    times = 0

    def wake(self, wake: Callable[[], object]) -> None:
        self.times += 1
        super().wake(wake)


def test_who_opens_a_stream_needs_no_turn_for_what_has_come_before() -> None:
    # Given a replay, and one event more before the stream is live
    place = Woken(Ledger(MIB, MIB), "a client", Turns())
    sink = Sink(1024, place)
    sink.deliver(batch(1, 10))
    sink.deliver(batch(11, 1))
    sink.go_live()
    # Then all of it comes with the opening, and nobody was to be woken
    chunks = stream(sink, 60, never, nothing, encoded)
    assert next(chunks) == OPENING + b"".join(map(encode_event, batch(1, 11)))
    assert place.times == 0
    # What follows has its turn
    sink.deliver(batch(12, 1))
    assert next(chunks) == b"".join(map(encode_event, batch(12, 1)))
    assert place.times == 1


def test_events_of_one_batch_travel_together() -> None:
    sink = sink_of(1024)
    sink.deliver(batch(1, 10))
    chunks = stream(sink, 0, never, nothing, encoded)
    assert next(chunks) == OPENING + b"".join(map(encode_event, batch(1, 10)))
    assert next(chunks) == HEARTBEAT


def test_a_long_replay_travels_in_pieces() -> None:
    sink = sink_of(1024)
    sink.deliver(batch(1, 5000))
    chunks = stream(sink, 60, never, nothing, encoded)
    assert len(next(chunks)) < 70_000
    chunks.close()  # type: ignore[attr-defined]


def test_what_comes_behind_a_streams_end_is_not_kept() -> None:
    # Given a stream that its client has left, which the relay has not heard of yet
    ledger = Ledger(bytes_max=MIB, bytes_per_client_max=MIB)
    sink = Sink(1024, Place(ledger, "a client", Turns()))
    sink.go_live()
    chunks = stream(sink, 60, never, nothing, encoded)
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    # When the job goes on to write
    event = JobEvent("j", 1, Output("run", "stdout", b"x" * 50_000))
    assert not sink.deliver((NumberedEvent(1, event),))
    # Then nothing counts as kept for the client
    assert ledger.held("a client") == 0
