"""One job on a terminal: its output as it comes, its exit code at the end."""

from __future__ import annotations

import json
import os
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

import gevent

from gateway.stdin_source import Descriptor, Known, feed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gateway.client import Client
    from gateway.event_stream import ServerEvent

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


class Terminal:
    """Where a job is shown: its output on the one stream, our own words on the other.

    as_json: show nothing until the end, then the whole result.
    """

    def __init__(
        self, stdout: TextIO, stderr: TextIO, *, as_json: bool = False
    ) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self._as_json = as_json

    def run(
        self, client: Client, request: Mapping[str, Any], stdin: bytes | Descriptor
    ) -> int:
        """Run the job and show it; return the exit code. An interrupt cancels it."""
        text = _as_text(stdin) if isinstance(stdin, bytes) else None
        known = {"stdin_open": True} if text is None else {"stdin": text}
        with _interrupts_here():
            job_id = client.submit({**request, **known})
            feeder = None
            try:
                if isinstance(stdin, Descriptor):
                    feeder = gevent.spawn(feed, client, job_id, stdin, self._say)
                elif text is None:
                    feed(client, job_id, Known(stdin), self._say)
                return self._follow(client, job_id)
            except (KeyboardInterrupt, BrokenPipeError) as end:
                self._give_up(client, job_id, end)
                return INTERRUPTED
            finally:
                if feeder:
                    feeder.kill()

    def _follow(self, client: Client, job_id: str) -> int:
        code = exit_code(self._show(client.follow(job_id)))
        if self._as_json:
            document = json.dumps(client.job(job_id), ensure_ascii=False, indent=2)
            _write(self._stdout, f"{document}\n")
        return code

    def _give_up(self, client: Client, job_id: str, end: BaseException) -> None:
        if isinstance(end, BrokenPipeError):
            _discard_the_rest(self._stdout)
        client.cancel(job_id)
        self._say("stopped")

    def _show(self, events: Iterable[ServerEvent]) -> Mapping[str, Any]:
        data: dict[str, Any] = {"outcome": "internal_error"}
        for event in events:
            data = json.loads(event.data)
            if not self._as_json:
                self._show_one(event.name, data)
        return data

    def _show_one(self, name: str, data: Mapping[str, Any]) -> None:
        match name:
            case "stdout":
                _write(self._stdout, data["text"])
            case "stderr" | "compile":
                _write(self._stderr, data["text"])
            case "restarted":
                self._say("what ran it broke: the output so far is void")
            case "queued" if self._stderr.isatty():
                self._say(f"waiting, number {data['position']} in line")
            case "finished":
                self._tell_end(data)
            case _:
                pass

    def _tell_end(self, result: Mapping[str, Any]) -> None:
        if result["outcome"] not in {"success", "failure"}:
            self._say(result.get("message") or result["outcome"].replace("_", " "))
        if result.get("truncated"):
            self._say("output past the limit was thrown away")

    def _say(self, words: str) -> None:
        _write(self._stderr, f"warmbox: {words}\n")


def exit_code(result: Mapping[str, Any]) -> int:
    """Return what a shell would have shown for this end of a program."""
    match result["outcome"]:
        case "failure":
            return int(result["exit_code"])
        case "signalled":
            return SIGNAL_BASE + int(result["signal"])
        case outcome:
            return _EXIT_CODES.get(outcome, OUR_ERROR)


@contextmanager
def _interrupts_here() -> Iterator[None]:
    """Have Ctrl-C raise KeyboardInterrupt here.

    By Python's own way it comes up in the event loop, which prints a traceback.
    """
    here = gevent.getcurrent()
    watcher = gevent.signal_handler(
        signal.SIGINT, lambda: gevent.kill(here, KeyboardInterrupt)
    )
    try:
        yield
    finally:
        watcher.cancel()


def _discard_the_rest(stream: TextIO) -> None:
    """Have what is left in it go nowhere: at exit, Python would complain of it."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _as_text(data: bytes) -> str | None:
    """Return the text, if it is any: a request is JSON and holds no other bytes."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _write(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()
