"""What is in the stream of events, and what is said to all workers, as bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any

from actors.broker.codec import CodecError, dump, from_base64, load, to_base64
from actors.broker.fields import (
    Document,
    document,
    figure,
    flag,
    listed,
    moment,
    text,
    whole,
    whole_figure,
)
from actors.messages import (
    Accepted,
    CancelJob,
    CompileResult,
    CompileUsage,
    EventBody,
    Finished,
    JobControl,
    JobEvent,
    JobResult,
    LanguageStatus,
    Outcome,
    Output,
    Queued,
    Restarted,
    SendStdin,
    Started,
    Usage,
    WorkerReport,
)

PHASES = frozenset({"compile", "run"})
STREAMS = frozenset({"stdout", "stderr"})


def encode_events(events: Iterable[JobEvent]) -> bytes:
    """Return a batch of events as one message."""
    return dump({"events": [_event_document(event) for event in events]})


def decode_events(
    body: bytes, run: str, refuse: Callable[[str], None]
) -> tuple[JobEvent, ...]:
    """Return the batch that was published by `run`.

    An entry that is no event is left out, and `refuse` is told why.
    """
    return tuple(_events(listed(load(body), "events"), run, refuse))


def encode_control(message: JobControl) -> bytes:
    """Return what the workers are to hear."""
    fields: Document = {"job": message.job_id, "language": message.language}
    if isinstance(message, SendStdin):
        fields |= {"data": to_base64(message.data), "end": message.end}
    return dump(fields)


def decode_control(body: bytes) -> JobControl:
    """Return what a gateway has said."""
    return _control(load(body))


def encode_report(report: WorkerReport) -> bytes:
    """Return a worker's report as one message."""
    return dump(asdict(report))


def decode_report(body: bytes) -> WorkerReport:
    """Return the report of a worker."""
    return _report(load(body))


# ------------------------------------------------------------------------- parts


def _event_document(event: JobEvent) -> Document:
    kind = type(event.body).__name__.lower()
    return {
        "job": event.job_id,
        "attempt": event.attempt,
        "is": kind,
        **_body_document(event.body),
    }


def _body_document(body: EventBody) -> Document:
    if isinstance(body, Output):
        data = to_base64(body.data)
        return {"phase": body.phase, "stream": body.stream, "data": data}
    return asdict(body)


def _events(
    entries: list[Any], run: str, refuse: Callable[[str], None]
) -> Iterator[JobEvent]:
    for entry in entries:
        try:
            yield _event(document(entry, "an event"), run)
        except CodecError as error:
            refuse(str(error))


def _event(one: Document, run: str) -> JobEvent:
    return JobEvent(text(one, "job"), whole(one, "attempt", 1), _body(one), run)


def _body(one: Document) -> EventBody:
    match one.get("is"):
        case "output":
            return _output(one)
        case "started":
            return Started()
        case "finished":
            return Finished(_result(document(one.get("result"), "result")))
        case "queued":
            return Queued(whole(one, "position", 1))
        case "restarted":
            return Restarted()
        case "accepted":
            return _accepted(one)
        case other:
            raise CodecError(f"unknown event {other!r}")


def _accepted(one: Document) -> Accepted:
    return Accepted(
        text(one, "language"),
        moment(one, "created_at"),
        text(one, "fingerprint", ""),
        text(one, "client", ""),
        whole(one, "size") if "size" in one else 0,  # a host of before does not say
        flag(one, "stdin_open") if "stdin_open" in one else True,
    )


def _output(one: Document) -> Output:
    phase: Any = text(one, "phase")
    stream: Any = text(one, "stream")
    if phase not in PHASES:
        raise CodecError(f"unknown phase {phase!r}")
    if stream not in STREAMS:
        raise CodecError(f"unknown stream {stream!r}")
    return Output(phase, stream, from_base64(text(one, "data")))


def _result(one: Document) -> JobResult:
    compiled = one.get("compile")
    return JobResult(
        outcome=_outcome(one),
        exit_code=whole_figure(one, "exit_code"),
        signal=whole_figure(one, "signal"),
        compile=None if compiled is None else _compile(document(compiled, "compile")),
        usage=_usage(document(one.get("usage"), "usage")),
        truncated=flag(one, "truncated"),
        message=text(one, "message"),
    )


def _outcome(one: Document) -> Outcome:
    name = text(one, "outcome")
    try:
        return Outcome(name)
    except ValueError as error:
        raise CodecError(str(error)) from error


def _compile(one: Document) -> CompileResult:
    exit_code, signal = whole_figure(one, "exit_code"), whole_figure(one, "signal")
    used = document(one.get("usage", {}), "usage")  # a worker of before says none
    usage = CompileUsage(
        wall_ms=figure(used, "wall_ms"),
        cpu_ms=figure(used, "cpu_ms"),
        memory_kb=whole_figure(used, "memory_kb"),
    )
    return CompileResult(_outcome(one), exit_code, signal, usage)


def _usage(one: Document) -> Usage:
    return Usage(
        queue_ms=figure(one, "queue_ms"),
        compile_ms=figure(one, "compile_ms"),
        wall_ms=figure(one, "wall_ms"),
        cpu_ms=figure(one, "cpu_ms"),
        memory_kb=whole_figure(one, "memory_kb"),
    )


def _control(one: Document) -> JobControl:
    job_id, language = text(one, "job"), text(one, "language")
    if "data" not in one:
        return CancelJob(job_id, language)
    data = from_base64(text(one, "data"))
    return SendStdin(job_id, language, data, flag(one, "end"))


def _report(one: Document) -> WorkerReport:
    languages = (document(entry, "a language") for entry in listed(one, "languages"))
    return WorkerReport(
        text(one, "worker_id"), moment(one, "at"), tuple(map(_status, languages))
    )


def _status(one: Document) -> LanguageStatus:
    return LanguageStatus(
        name=text(one, "name"),
        version=text(one, "version"),
        ready=whole(one, "ready"),
        starting=whole(one, "starting"),
        paused=text(one, "paused"),
    )
