"""`run.py`, with the time noted wherever a job is handed on.

Run as `python tests/bench/stamped_run.py <file> serve ...`: the notes go to the file
when the service ends, as JSON: pairs of a place and a time (`time.perf_counter`, which
is one clock for all processes of a machine).
"""

from __future__ import annotations

import atexit
import json
import sys
import time
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import run
from actors.container import Container
from actors.language_queue import LanguageQueue
from actors.runner_link import RunnerLink
from gateway.connection import Connection
from gateway.submission import Submission
from images import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.messages import FramesReceived

_notes: list[tuple[str, float]] = []


def note(place: str) -> None:
    _notes.append((place, time.perf_counter()))


def noted(owner: type, method: str, *, before: str = "", after: str = "") -> None:
    """Have the time noted when this method is called, or has returned."""
    original: Callable[..., Any] = getattr(owner, method)

    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if before:
            note(before)
        answer = original(*args, **kwargs)
        if after:
            note(after)
        return answer

    setattr(owner, method, call)


def note_frames() -> None:
    original = Container.frames_received

    def frames_received(self: Container, message: FramesReceived) -> None:
        kinds = {kind for kind, _ in message.frames}
        if wire.DONE in kinds:
            note("done came")
        original(self, message)
        if wire.READY in kinds:
            note("idle again")

    Container.frames_received = frames_received  # type: ignore[method-assign]


def main() -> int:
    file = Path(sys.argv.pop(1))
    atexit.register(lambda: file.write_text(json.dumps(_notes)))
    noted(Submission, "submit", before="request read")
    noted(Submission, "_publish", after="accepted")
    noted(RunnerLink, "send", after="sent to the runner")
    noted(LanguageQueue, "job_finished", before="end in the queue")
    noted(Connection, "_sendall", before="written", after="written")
    note_frames()
    return run.main()


if __name__ == "__main__":
    sys.exit(main())
