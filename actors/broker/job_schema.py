"""A job as bytes: the message that any producer may publish.

`docs/job.schema.json` is the same, for readers and for other programs; a test keeps
the two true to each other. What a schema can't say is checked here in addition: that
base64 is base64, that text is encodable, and that no file is also a folder.

Limits are taken as they are: who may publish jobs has been trusted with them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from actors.broker.codec import CodecError, dump, from_base64, load, to_base64
from actors.broker.fields import NUMBER_MAX, TIME_MAX
from actors.messages import CompileLimits, Job, Limits, SourceFile

ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NAME = re.compile(
    r"(?!\.{1,2}(/|$))[^/\\\x00-\x1f\x7f-\x9f]+"
    r"(/(?!\.{1,2}(/|$))[^/\\\x00-\x1f\x7f-\x9f]+)*"
)
NAME_BYTES_MAX = 255
PLAIN_BYTES_MAX = 65_536
"""Of a content that is written as text whatever is in it."""
ESCAPED = bytes({*range(256)} - {*range(32, 127)}) + b'"\\'
"""JSON writes each with up to six bytes: megabytes of them would take the thread for
50 ms, base64 takes it for 20 at most."""

ADDED_LIMITS = ("file_size_kb", "open_files", "stack_kb")
"""Limits that version 1 did not begin with: a message without them has the defaults."""

Document = Mapping[str, Any]


class JobSchemaError(CodecError):
    """A message that is no job; its text says why."""


def encode_job(job: Job) -> bytes:
    """Return the job as a message."""
    stdin, stdin_encoding = _to_text(job.stdin)
    return dump(
        {
            "id": job.id,
            "language": job.language,
            "client": job.client,
            "files": [_file_document(file) for file in job.files],
            "stdin": stdin,
            "stdin_encoding": stdin_encoding,
            "stdin_open": job.stdin_open,
            "args": job.args,
            "compile_args": job.compile_args,
            "env": dict(job.env),
            "limits": {
                "wall_time_s": job.limits.wall_time_s,
                "cpu_time_s": job.limits.cpu_time_s,
                "memory_mb": job.limits.memory_mb,
                "output_kb": job.limits.output_kb,
                "processes": job.limits.processes,
                **{name: getattr(job.limits, name) for name in ADDED_LIMITS},
                **_compile_document(job.limits.compile),
            },
            "created_at": job.created_at,
            "fingerprint": job.fingerprint,
        }
    )


def decode_job(body: bytes) -> Job:
    """Return the job, or raise a JobSchemaError."""
    try:
        document = load(body)
        return Job(
            id=_id(document),
            language=_text(document, "language"),
            client=_text(document, "client", ""),
            files=_files(document),
            stdin=_bytes(document, "stdin", "stdin_encoding", ""),
            stdin_open=_typed(document, "stdin_open", bool, False),
            args=_words(document, "args"),
            compile_args=_words(document, "compile_args"),
            env=_env(document),
            limits=_limits(_typed(document, "limits", dict)),
            created_at=_number(document, "created_at", least=0),
            fingerprint=_text(document, "fingerprint", ""),
        )
    except JobSchemaError:
        raise
    except CodecError as error:
        raise JobSchemaError(str(error)) from error


# ------------------------------------------------------------------------- writing


def _to_text(data: bytes) -> tuple[str, str]:
    if len(data) > PLAIN_BYTES_MAX and _escapes(data) > len(data) // 8:
        return to_base64(data), "base64"
    try:
        return data.decode(), "utf-8"
    except UnicodeDecodeError:
        return to_base64(data), "base64"


def _escapes(data: bytes) -> int:
    """Return how many bytes JSON does not write as they are."""
    return len(data) - len(data.translate(None, ESCAPED))


def _compile_document(limits: CompileLimits | None) -> dict[str, Any]:
    return {} if limits is None else {"compile": asdict(limits)}


def _file_document(file: SourceFile) -> dict[str, str]:
    content, encoding = _to_text(file.content)
    mode = {"mode": "755"} if file.executable else {}
    return {"name": file.name, "content": content, "encoding": encoding, **mode}


# ------------------------------------------------------------------------- reading


def _typed(document: Document, name: str, kind: type, absent: Any = None) -> Any:
    value = document.get(name, absent)
    if value is None and name not in document:
        raise JobSchemaError(f"{name} is missing")
    if not isinstance(value, kind):
        raise JobSchemaError(f"{name} is not of type {kind.__name__}")
    return value


def _text(document: Document, name: str, absent: str | None = None) -> str:
    text = _typed(document, name, str, absent)
    _encode(text, name)
    if absent is None and not text:
        raise JobSchemaError(f"{name} is empty")
    return str(text)


def _encode(text: str, name: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise JobSchemaError(f"{name} has half a surrogate pair in it") from error


def _id(document: Document) -> str:
    job_id = _text(document, "id")
    if not ID.fullmatch(job_id):
        raise JobSchemaError("id has other characters than A-Z a-z 0-9 _ -, or is long")
    return job_id


def _bytes(
    document: Document, name: str, encoding: str, absent: str | None = None
) -> bytes:
    text = _typed(document, name, str, absent)
    match document.get(encoding, "utf-8"):
        case "utf-8":
            return _encode(text, name)
        case "base64":
            return from_base64(text)
        case _:
            raise JobSchemaError(f"{encoding} is neither utf-8 nor base64")


def _files(document: Document) -> tuple[SourceFile, ...]:
    listed = _typed(document, "files", list)
    files = tuple(_file(one) for one in listed)
    names = {file.name for file in files}
    folders = {
        name[:end] for name in names for end, one in enumerate(name) if one == "/"
    }
    if not files:
        raise JobSchemaError("files is empty")
    if len(names) < len(files) or names & folders:
        raise JobSchemaError("files has a name twice, or one that is also a folder")
    return files


def _file(one: object) -> SourceFile:
    if not isinstance(one, dict):
        raise JobSchemaError("files has an entry that is no object")
    name = _text(one, "name")
    if not NAME.fullmatch(name) or len(name.encode()) > NAME_BYTES_MAX:
        raise JobSchemaError("a file's name is no clean relative path")
    return SourceFile(name, _bytes(one, "content", "encoding"), _executable(one))


def _executable(one: Document) -> bool:
    mode = one.get("mode", "644")
    if mode not in {"644", "755"}:
        raise JobSchemaError("a file's mode is neither 644 nor 755")
    return bool(mode == "755")


def _word(word: object, name: str) -> str:
    if not isinstance(word, str) or "\0" in word:
        raise JobSchemaError(f"{name} has an entry that no program can be given")
    _encode(word, name)
    return word


def _words(document: Document, name: str) -> tuple[str, ...]:
    return tuple(_word(one, name) for one in _typed(document, name, list, []))


def _env(document: Document) -> tuple[tuple[str, str], ...]:
    env = _typed(document, "env", dict, {})
    for name in env:
        if not VARIABLE.fullmatch(name):
            raise JobSchemaError("env has a name that is no variable's")
    return tuple((name, _word(value, "env")) for name, value in env.items())


def _limits(document: Document) -> Limits:
    return Limits(
        wall_time_s=_number(document, "wall_time_s", above=0),
        cpu_time_s=_number(document, "cpu_time_s", above=0),
        memory_mb=_whole(document, "memory_mb"),
        output_kb=_whole(document, "output_kb"),
        processes=_whole(document, "processes"),
        **{name: _whole(document, name) for name in ADDED_LIMITS if name in document},
        compile=_compile_limits(document) if "compile" in document else None,
    )


def _compile_limits(document: Document) -> CompileLimits:
    limits = _typed(document, "compile", dict)
    return CompileLimits(
        wall_time_s=_number(limits, "wall_time_s", above=0),
        cpu_time_s=_number(limits, "cpu_time_s", above=0),
        memory_mb=_whole(limits, "memory_mb"),
    )


def _number(
    document: Document, name: str, *, least: float = 0, above: float | None = None
) -> float:
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise JobSchemaError(f"{name} is missing or not a number")
    if value < least or (above is not None and value <= above):
        raise JobSchemaError(f"{name} is too small")
    if value > (TIME_MAX if name == "created_at" else NUMBER_MAX):
        raise JobSchemaError(f"{name} is too large")
    return value


def _whole(document: Document, name: str) -> int:
    value = _number(document, name, above=0)
    if value != int(value):
        raise JobSchemaError(f"{name} is not a whole number")
    return int(value)
