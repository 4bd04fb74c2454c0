"""Jobs, events, controls and reports as bytes, and what is refused."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pydantic_core
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import LIMITS, make_job

from actors.broker.codec import CodecError
from actors.broker.event_codec import (
    decode_control,
    decode_events,
    decode_report,
    encode_control,
    encode_events,
    encode_report,
)
from actors.broker.job_schema import JobSchemaError, decode_job, encode_job
from actors.job_log import JobLog
from actors.messages import (
    Accepted,
    CancelJob,
    CompileResult,
    CompileUsage,
    Finished,
    Job,
    JobEvent,
    JobResult,
    LanguageStatus,
    Limits,
    Outcome,
    Output,
    Queued,
    Restarted,
    SendStdin,
    SourceFile,
    Started,
    Usage,
    WorkerReport,
)
from gateway.views import whole

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs/job.schema.json").read_text())
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)

text = st.text(st.characters(codec="utf-8"))
word = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
count = st.integers(1, 10**9)
seconds = st.floats(0.001, 10**6)
milliseconds = st.none() | st.floats(0, 10**9)

limits = st.builds(Limits, seconds, seconds, *[count] * 6)
jobs = st.builds(
    Job,
    id=st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True),
    language=text.filter(bool),
    client=text,
    files=st.lists(st.binary(), min_size=1).map(
        lambda contents: tuple(
            SourceFile(f"dir/ü {number}.py", content)
            for number, content in enumerate(contents)
        )
    ),
    stdin=st.binary(),
    stdin_open=st.booleans(),
    args=st.lists(word).map(tuple),
    env=st.dictionaries(
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True), word
    ).map(lambda found: tuple(found.items())),
    limits=limits,
    created_at=st.floats(0, 10**10),
    fingerprint=text,
)
outcomes = st.sampled_from(Outcome)
results = st.builds(
    JobResult,
    outcomes,
    st.none() | st.integers(0, 255),
    st.none() | st.integers(1, 64),
    st.none()
    | st.builds(
        CompileResult,
        outcomes,
        st.none(),
        st.none(),
        st.just(CompileUsage(1.5, None, 7)),
    ),
    st.builds(
        Usage,
        milliseconds,
        milliseconds,
        milliseconds,
        milliseconds,
        st.none() | st.integers(0, 10**9),
    ),
    st.booleans(),
    text,
)
bodies = st.one_of(
    st.builds(Accepted, text, st.floats(0, 10**10), text, text),
    st.builds(Queued, count),
    st.builds(Started),
    st.builds(Restarted),
    st.builds(
        Output,
        st.sampled_from(["compile", "run"]),
        st.sampled_from(["stdout", "stderr"]),
        st.binary(),
    ),
    st.builds(Finished, results),
)
events = st.lists(st.builds(JobEvent, text, count, bodies, st.just("w1")))
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def document(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(encode_job(make_job()))
    return found | changes


def decode(found: object) -> Job:
    return decode_job(json.dumps(found).encode())


# ----------------------------------------------------------------------------- jobs


@given(jobs)
def test_a_job_comes_out_as_it_went_in_and_fits_the_schema(job: Job) -> None:
    body = encode_job(job)
    assert decode_job(body) == job
    assert VALIDATOR.is_valid(json.loads(body))


@pytest.mark.parametrize(
    "one", [b"\x01", b"\n", b'"', "ä".encode(), "\U0001f600".encode()]
)
def test_a_large_content_is_written_about_as_long_as_it_is(one: bytes) -> None:
    content = one * 100_000
    job = make_job(stdin=content)
    body = encode_job(job)
    assert len(body) < 1.5 * len(content)
    assert decode_job(body) == job


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_refused_with_a_reason(body: bytes) -> None:
    with pytest.raises(JobSchemaError, match=r"."):
        decode_job(body)


@given(st.sampled_from(sorted(document())), json_values)
def test_a_job_with_any_one_field_changed_is_a_job_or_refused(
    field: str, value: Any
) -> None:
    found = document(**{field: value})
    body = json.dumps(found).encode()
    try:
        job = decode_job(body)
    except JobSchemaError:
        return
    assert decode_job(encode_job(job)) == job
    assert VALIDATOR.is_valid(json.loads(body))


def test_the_schema_is_one() -> None:
    assert jsonschema_rs.meta.is_valid(SCHEMA)
    assert set(SCHEMA["properties"]) == set(document())


def test_the_least_that_is_a_job() -> None:
    least = {name: document()[name] for name in SCHEMA["required"]}
    assert VALIDATOR.is_valid(least)
    assert decode(least) == replace(make_job(), client="")


def test_a_message_of_before_a_limit_could_be_asked_for_has_its_default() -> None:
    found = document(limits=asdict(LIMITS))
    assert found["limits"].pop("compile") is None
    declared = SCHEMA["properties"]["limits"]
    added = set(found["limits"]) - set(declared["required"])
    assert added == {"file_size_kb", "open_files", "stack_kb"}
    for name in added:
        default = declared["properties"][name]["default"]
        assert found["limits"].pop(name) == default
        assert getattr(decode(found).limits, name) == default
        assert VALIDATOR.is_valid(found)
    assert decode(found) == make_job()


def test_a_worker_of_before_a_limit_finds_all_it_knows() -> None:
    asked = replace(LIMITS, file_size_kb=1, open_files=9, stack_kb=128)
    sent = json.loads(encode_job(make_job(limits=asked)))
    assert sent["v"] == 1
    assert set(SCHEMA["properties"]["limits"]["required"]) <= set(sent["limits"])


def test_what_is_not_known_is_left_alone() -> None:
    assert decode(document(priority=3)) == make_job()
    assert VALIDATOR.is_valid(document(priority=3))


def test_whole_numbers_may_be_written_as_others_write_them() -> None:
    limits = document()["limits"] | {"memory_mb": 256.0}
    assert decode(document(limits=limits)).limits == LIMITS
    assert VALIDATOR.is_valid(document(limits=limits))


def limit(**changes: Any) -> dict[str, Any]:
    return {"limits": document()["limits"] | changes}


def file(**changes: Any) -> dict[str, Any]:
    return {"files": [{"name": "main.py", "content": "x"} | changes]}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"v": 2}, "unknown schema version 2; 1 is known"),
    ({"v": True}, "unknown schema version"),
    ({"v": "1"}, "unknown schema version"),
    ({"id": "a b"}, "id has"),
    ({"id": "x" * 129}, "id has"),
    ({"id": ""}, "id is empty"),
    ({"id": 3}, "id is not of type str"),
    ({"language": ""}, "language is empty"),
    ({"files": []}, "files is empty"),
    ({"files": [3]}, "files has an entry"),
    (file(name="../x"), "clean relative path"),
    (file(name="/etc/passwd"), "clean relative path"),
    (file(name="a//b"), "clean relative path"),
    (file(name="a\nb"), "clean relative path"),
    (file(name="x" * 256), "clean relative path"),
    (file(encoding="latin-1"), "encoding is neither"),
    ({"stdin": None}, "stdin is not of type str"),
    ({"stdin_open": 1}, "stdin_open is not of type bool"),
    ({"args": ["a\0"]}, "args has an entry"),
    ({"env": {"A=B": "x"}}, "env has a name"),
    ({"env": {"A": 3}}, "env has an entry"),
    ({"limits": None}, "limits is not of type dict"),
    (limit(memory_mb=0), "memory_mb is too small"),
    (limit(memory_mb=1.5), "memory_mb is not a whole number"),
    (limit(open_files=0), "open_files is too small"),
    (limit(stack_kb=None), "stack_kb is missing or not a number"),
    (limit(file_size_kb="64"), "file_size_kb is missing or not a number"),
    (limit(wall_time_s=10**10), "wall_time_s is too large"),
    (limit(wall_time_s=True), "wall_time_s is missing or not a number"),
    ({"created_at": -1}, "created_at is too small"),
    ({"created_at": 10**12}, "created_at is too large"),
]


@pytest.mark.parametrize(("changes", "reason"), WRONG)
def test_what_is_wrong_is_named_and_against_the_schema(
    changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(JobSchemaError, match=reason):
        decode(document(**changes))
    assert not VALIDATOR.is_valid(document(**changes))


@pytest.mark.parametrize("field", SCHEMA["required"])
def test_what_is_missing_is_named(field: str) -> None:
    found = document()
    del found[field]
    with pytest.raises(JobSchemaError, match=field if field != "v" else "version"):
        decode(found)
    assert not VALIDATOR.is_valid(found)


BEYOND: list[tuple[dict[str, Any], str]] = [
    (file(content="?", encoding="base64"), "not base64"),
    ({"stdin": "?", "stdin_encoding": "base64"}, "not base64"),
    ({"files": [file()["files"][0]] * 2}, "a name twice"),
    ({"files": [{"name": n, "content": ""} for n in ("a", "a/b")]}, "also a folder"),
    (file(name="ü" * 200), "clean relative path"),
    (file(content="\ud800"), "half a surrogate"),
    ({"args": ["\ud800"]}, "half a surrogate"),
]


@pytest.mark.parametrize(("changes", "reason"), BEYOND)
def test_what_no_schema_can_say_is_checked_too(
    changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(JobSchemaError, match=reason):
        decode(document(**changes))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b"null", b'{"v": NaN}', b"[" * 100_000, b"\xff"]
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(JobSchemaError, match="JSON"):
        decode_job(body)


# -------------------------------------------------------------------- everything else


@given(events)
def test_events_come_out_as_they_went_in(batch: list[JobEvent]) -> None:
    refused: list[str] = []
    assert decode_events(encode_events(batch), "w1", refused.append) == tuple(batch)
    assert refused == []


@given(text, text, st.binary(), st.booleans())
def test_controls_come_out_as_they_went_in(
    job_id: str, language: str, data: bytes, end: bool
) -> None:
    for control in (
        CancelJob(job_id, language),
        SendStdin(job_id, language, data, end),
    ):
        assert decode_control(encode_control(control)) == control


def test_a_report_comes_out_as_it_went_in() -> None:
    languages = (LanguageStatus("python", "3.13", 3, 1, "why"),)
    report = WorkerReport("w1", 12.5, languages)
    assert decode_report(encode_report(report)) == report


def in_a_batch(value: Any) -> bytes:
    return json.dumps({"v": 1, "events": value, "languages": value}).encode()


@given(st.binary() | json_values.map(in_a_batch))
def test_other_messages_are_read_or_refused(body: bytes) -> None:
    for read in (readable_events, decode_control, decode_report):
        try:
            read(body)
        except CodecError:
            continue


def readable_events(body: bytes) -> tuple[JobEvent, ...]:
    return decode_events(body, "w1", lambda _: None)


EVENTS = [
    JobEvent("j1", 1, Accepted("python", 12.5, "abc", "ann"), "w1"),
    JobEvent("j1", 1, Queued(3), "w1"),
    JobEvent("j1", 1, Started(), "w1"),
    JobEvent("j1", 1, Output("run", "stdout", b"hello"), "w1"),
    JobEvent(
        "j1",
        2,
        Finished(
            JobResult(
                Outcome.FAILURE,
                1,
                None,
                CompileResult(Outcome.SUCCESS, 0, None),
                Usage(1.0, 2.0, 3.0, 4.0, 5),
                message="why",
            )
        ),
        "w1",
    ),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to all values in a document."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path, *(one for key, of in inner for one in places(of, (*path, key)))]


def changed(found: Any, path: tuple[Any, ...], value: Any, *, is_gone: bool) -> bytes:
    at = found
    for key in path[:-1]:
        at = at[key]
    if is_gone:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return json.dumps(found).replace("Infinity", "1e400").encode()


PLACES = places(json.loads(encode_events(EVENTS)))[1:]
odd_values = json_values | st.sampled_from(
    [1e400, -1, 10**30, "\ud800", True, [], {}, "9" * 5000]
)


@given(st.sampled_from(PLACES), odd_values, st.booleans())
def test_an_event_with_any_one_value_changed_is_an_event_or_left_out(
    path: tuple[Any, ...], value: Any, is_gone: bool
) -> None:
    """The others are read, and what is read can be logged and shown."""
    found = json.loads(encode_events(EVENTS))
    body = changed(found, path, value, is_gone=is_gone)
    refused: list[str] = []
    try:
        read = decode_events(body, "w1", refused.append)
    except CodecError:
        assert len(path) == 1 or b"NaN" in body  # the batch is none
        return
    if len(path) > 1:
        assert [one for one in read if one in EVENTS] in (
            EVENTS,
            [one for one in EVENTS if one is not EVENTS[path[1]]],
        )
    logs: dict[str, JobLog] = {}
    for event in read:
        if isinstance(event.body, Accepted):
            logs.setdefault(event.job_id, JobLog(event.body))
        elif event.job_id in logs:
            logs[event.job_id].append(event, 0)
    for job_id, job in logs.items():
        assert pydantic_core.to_json(whole(job.view(job_id)))


CONTROL = json.loads(encode_control(SendStdin("j1", "python", b"x", end=True)))
REPORT = json.loads(
    encode_report(WorkerReport("w1", 1.5, (LanguageStatus("c", "14", 3, 1, ""),)))
)


@given(st.data(), odd_values, st.booleans())
def test_what_is_read_of_other_messages_has_its_types(
    data: st.DataObject, value: Any, is_gone: bool
) -> None:
    messages: list[tuple[Any, Any, Any]] = [
        (CONTROL, decode_control, encode_control),
        (REPORT, decode_report, encode_report),
    ]
    for document, read, write in messages:
        path = data.draw(st.sampled_from(places(document)[1:]))
        found = json.loads(json.dumps(document))
        body = changed(found, path, value, is_gone=is_gone)
        try:
            message = read(body)
        except CodecError:
            continue
        assert read(write(message)) == message


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"job": 3}, "job is no text"),
        ({"job": "\ud800"}, "half a surrogate"),
        ({"attempt": "1"}, "attempt is no whole number"),
        ({"attempt": 0}, "attempt is out of its range"),
        ({"is": ["accepted"]}, "unknown event"),
        ({"language": ["python"]}, "language is no text"),
        ({"created_at": "now"}, "created_at is no number"),
        ({"created_at": 1e400}, "created_at is out of its range"),
        ({"created_at": -1}, "created_at is no moment"),
        ({"client": None}, "client is no text"),
    ],
)
def test_an_entry_that_is_no_event_is_left_out_with_a_reason(
    changes: dict[str, Any], reason: str
) -> None:
    found = json.loads(encode_events(EVENTS))
    found["events"][0] |= changes
    body = json.dumps(found).replace("Infinity", "1e400").encode()
    refused: list[str] = []
    read = decode_events(body, "w1", refused.append)
    assert list(read) == EVENTS[1:]
    assert len(refused) == 1
    assert reason in refused[0]


def test_a_host_of_before_does_not_say_whose_a_job_is() -> None:
    found = json.loads(encode_events(EVENTS[:1]))
    del found["events"][0]["client"]
    (event,) = readable_events(json.dumps(found).encode())
    assert event.body == Accepted("python", 12.5, "abc", "")
