"""One job on a terminal: its output as it comes, its exit code at the end."""

from __future__ import annotations

import base64
import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TextIO

from gateway.client import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from gateway.client import Client
    from gateway.event_stream import ServerEvent
    from images.catalog import Catalog

OUR_ERROR = 1
TIMED_OUT = 124
"""As of coreutils' `timeout`."""
SIGNAL_BASE = 128
"""Shells add a signal's number to it."""
KILLED = SIGNAL_BASE + 9
INTERRUPTED = SIGNAL_BASE + 2

_EXIT_CODES = {
    "success": 0,
    "timed_out": TIMED_OUT,
    "out_of_memory": KILLED,
    "output_exceeded": KILLED,
    "cancelled": INTERRUPTED,
}


def request_for(file: Path, language: str, args: Sequence[str]) -> dict[str, Any]:
    """Return the request that runs this file."""
    content = file.read_bytes()
    text = _as_text(content)
    if text is None:
        coded = base64.b64encode(content).decode()
        entry = {"name": file.name, "content": coded, "encoding": "base64"}
    else:
        entry = {"name": file.name, "content": text}
    return {"language": language, "files": [entry], "args": list(args)}


def guess_language(file: Path, catalog: Catalog) -> str:
    """Tell a program's language by its suffix."""
    for language in catalog.languages.values():
        if PurePath(language.main).suffix == file.suffix:
            return language.name
    language_called_so = catalog.resolve(file.suffix.removeprefix("."))
    if language_called_so:
        return language_called_so.name
    raise ClientError(f"the language of {file.name} can't be guessed: use --language")


def run_on_terminal(
    client: Client,
    request: Mapping[str, Any],
    stdin: bytes,
    stdout: TextIO,
    stderr: TextIO,
) -> int:
    """Run the job and show it; return the exit code. An interrupt cancels the job."""
    text = _as_text(stdin)
    if text is None:
        job_id = client.submit({**request, "stdin_open": True})
    else:
        job_id = client.submit({**request, "stdin": text})
    try:
        if text is None:
            client.send_stdin(job_id, stdin)
        return exit_code(_show(client.follow(job_id), stdout, stderr))
    except (KeyboardInterrupt, BrokenPipeError):
        client.cancel(job_id)
        _say(stderr, "stopped")
        return INTERRUPTED


def exit_code(result: Mapping[str, Any]) -> int:
    """Return what a shell would have shown for this end of a program."""
    match result["outcome"]:
        case "failure":
            return int(result["exit_code"])
        case "signalled":
            return SIGNAL_BASE + int(result["signal"])
        case outcome:
            return _EXIT_CODES.get(outcome, OUR_ERROR)


def _show(
    events: Iterable[ServerEvent], stdout: TextIO, stderr: TextIO
) -> Mapping[str, Any]:
    data: dict[str, Any] = {"outcome": "internal_error"}
    for event in events:
        data = json.loads(event.data)
        match event.name:
            case "stdout":
                _write(stdout, data["text"])
            case "stderr" | "compile":
                _write(stderr, data["text"])
            case "restarted":
                _say(stderr, "what ran it broke: the output so far is void")
            case "queued" if stderr.isatty():
                _say(stderr, f"waiting, number {data['position']} in line")
            case "finished":
                _tell_end(data, stderr)
            case _:
                pass
    return data


def _tell_end(result: Mapping[str, Any], stderr: TextIO) -> None:
    if result["outcome"] not in {"success", "failure"}:
        words = result.get("message") or result["outcome"].replace("_", " ")
        _say(stderr, words)
    if result.get("truncated"):
        _say(stderr, "output past the limit was thrown away")


def _as_text(data: bytes) -> str | None:
    """Return the text, if it is any: a request is JSON and holds no other bytes."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _write(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()


def _say(stderr: TextIO, words: str) -> None:
    _write(stderr, f"warmbox: {words}\n")
