"""A look at a sandbox from its inside: a job in a container as the pools have them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import gevent

from actors.engine import EngineError
from actors.messages import Job, Limits, SourceFile
from actors.sandbox import job_frame
from images import wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.engine import Attached, Engine
    from actors.sandbox import LanguageDefaults

LOOK_S = 30
_TIME_S = 10
_OUTPUT_KB = 64


def look_inside(engine: Engine, defaults: LanguageDefaults, source: bytes) -> Any:
    """Return what a program that prints JSON finds inside. Raises EngineError.

    defaults: of the language of `source`.
    """
    attached = engine.start(defaults)
    try:
        with gevent.Timeout(LOOK_S, EngineError("the sandbox does not answer")):
            return _run(attached, defaults, source)
    finally:
        engine.discard(attached)


def _run(attached: Attached, defaults: LanguageDefaults, source: bytes) -> Any:
    frames = _frames(attached)
    kind, payload = next(frames)
    if kind != wire.READY:
        raise EngineError(f"the sandbox is not ready: {payload.decode()}")
    attached.send(job_frame(_job(defaults, source), defaults))
    output = {wire.STDOUT: b"", wire.STDERR: b""}
    for kind, payload in frames:
        if kind in output:
            output[kind] += payload
        if kind in {wire.DONE, wire.DIRTY}:
            break
    try:
        return json.loads(output[wire.STDOUT])
    except ValueError:
        said = output[wire.STDERR].decode(errors="replace")
        raise EngineError(f"the sandbox can't be looked at: {said[-500:]}") from None


def _job(defaults: LanguageDefaults, source: bytes) -> Job:
    language = defaults.language
    return Job(
        id="doctor",
        language=language.name,
        client="doctor",
        files=(SourceFile(language.main, source),),
        stdin=b"",
        stdin_open=False,
        args=(),
        env=(),
        limits=Limits(
            wall_time_s=_TIME_S,
            cpu_time_s=_TIME_S,
            memory_mb=defaults.memory_mb,
            output_kb=_OUTPUT_KB,
            processes=defaults.processes,
            file_size_kb=language.limits.file_size_kb,
            open_files=language.limits.open_files,
            stack_kb=language.limits.stack_kb,
        ),
        created_at=time.time(),
    )


def _frames(attached: Attached) -> Iterator[tuple[int, bytes]]:
    decoder = wire.Decoder(wire.RUNNER_KINDS, wire.REPLY_BYTES_MAX)
    while data := attached.receive():
        yield from decoder.feed(data)
    raise EngineError("the sandbox has ended")
