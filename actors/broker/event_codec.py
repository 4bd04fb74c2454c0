"""What is in the stream of events, and what is said to all workers, as bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, TypeVar

from actors.broker.codec import CodecError, dump, from_base64, load, to_base64
from actors.messages import (
    Accepted,
    CancelJob,
    CompileResult,
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

T = TypeVar("T")
Document = dict[str, Any]


def encode_events(events: Iterable[JobEvent]) -> bytes:
    """Return a batch of events as one message."""
    return dump({"events": [_event_document(event) for event in events]})


def decode_events(body: bytes, run: str) -> tuple[JobEvent, ...]:
    """Return the batch that was published by `run`."""
    return _decode(body, lambda document: _events(document, run))


def encode_control(message: JobControl) -> bytes:
    """Return what the workers are to hear."""
    document: Document = {"job": message.job_id, "language": message.language}
    if isinstance(message, SendStdin):
        document |= {"data": to_base64(message.data), "end": message.end}
    return dump(document)


def decode_control(body: bytes) -> JobControl:
    """Return what a gateway has said."""
    return _decode(body, _control)


def encode_report(report: WorkerReport) -> bytes:
    """Return a worker's report as one message."""
    return dump(asdict(report))


def decode_report(body: bytes) -> WorkerReport:
    """Return the report of a worker."""
    return _decode(body, _report)


def _decode(body: bytes, read: Callable[[Document], T]) -> T:
    document = load(body)
    try:
        return read(document)
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise CodecError(f"{type(error).__name__}: {error}") from error


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


def _events(document: Document, run: str) -> tuple[JobEvent, ...]:
    return tuple(
        JobEvent(str(one["job"]), int(one["attempt"]), _body(one), run)
        for one in document["events"]
    )


def _body(one: Document) -> EventBody:
    match one["is"]:
        case "output":
            return Output(one["phase"], one["stream"], from_base64(one["data"]))
        case "started":
            return Started()
        case "finished":
            return Finished(_result(one["result"]))
        case "queued":
            return Queued(int(one["position"]))
        case "restarted":
            return Restarted()
        case "accepted":
            client = one.get("client", "")  # a host of before does not say it
            asked = one["language"], one["created_at"], one["fingerprint"]
            return Accepted(*asked, client)
        case other:
            raise CodecError(f"unknown event {other!r}")


def _result(one: Document) -> JobResult:
    compiled = one["compile"]
    return JobResult(
        outcome=Outcome(one["outcome"]),
        exit_code=one["exit_code"],
        signal=one["signal"],
        compile=None if compiled is None else _compile_result(compiled),
        usage=Usage(**one["usage"]),
        truncated=bool(one["truncated"]),
        message=one["message"],
    )


def _compile_result(one: Document) -> CompileResult:
    return CompileResult(Outcome(one["outcome"]), one["exit_code"], one["signal"])


def _control(one: Document) -> JobControl:
    job_id, language = str(one["job"]), str(one["language"])
    if "data" not in one:
        return CancelJob(job_id, language)
    return SendStdin(job_id, language, from_base64(one["data"]), bool(one["end"]))


def _report(one: Document) -> WorkerReport:
    languages = tuple(
        LanguageStatus(
            name=language["name"],
            version=language["version"],
            ready=int(language["ready"]),
            starting=int(language["starting"]),
            paused=language["paused"],
        )
        for language in one["languages"]
    )
    return WorkerReport(str(one["worker_id"]), float(one["at"]), languages)
