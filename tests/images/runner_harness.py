"""A real container, driven frame by frame as the Container actor does."""

from __future__ import annotations

import json
import os
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import gevent
from gevent.queue import Empty, Queue

from actors.bounds import Bounds
from actors.broker.job_schema import ADDED_LIMITS
from actors.engine import Engine
from actors.messages import CompileLimits, Job, Limits, SourceFile
from actors.outcome import job_result
from actors.runner_link import offered_socket
from actors.sandbox import LanguageDefaults, SandboxConfig, job_frame
from images import wire
from images.catalog import load_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGES = Path(__file__).parents[2] / "images"
WAIT_S = 40
CONFIG = SandboxConfig(
    service=f"test-runner-{os.getpid()}",
    runtime="runc",
    runtimes={},
    seccomp=(IMAGES / "seccomp.json").read_text(),
    reuse="always",
    jobs_max=1000,
    age_s_max=3600,
    scrub_s=5,
    grace_s=3,
    cpus=1.0,
    # Test runs beside each other share the kernel, which counts processes by uid.
    uid_first=20_000_000 + os.getpid() % 64 * 4_000_000,
    uids=1024,
    starts_max=4,
    processes_max=256,
    open_files_max=1024,
    stack_kb_max=262_144,
    cpu_s_max=30,
)
BOUNDS = Bounds("run", 10, 10, 256, 1024, 64, 65_536)
"""Of whatever job: they are for its message."""
CATALOG = load_catalog(IMAGES)

Frame = tuple[int, bytes]


@dataclass
class Report:
    """What a job's frames said, up to READY, DIRTY or the stream's end."""

    stdout: bytes = b""
    stderr: bytes = b""
    phases: list[str] = field(default_factory=list)
    done: dict[str, Any] | None = None
    dirty: dict[str, Any] | None = None
    scrub_ms: float | None = None
    ended: bool = False

    @property
    def clean(self) -> bool:
        return self.scrub_ms is not None

    @property
    def outcome(self) -> str:
        assert self.done is not None, self
        return job_result(self.done, 0.0, BOUNDS).outcome.value

    def take(self, kind: int, payload: bytes) -> None:
        if kind == wire.STDOUT:
            self.stdout += payload
        elif kind == wire.STDERR:
            self.stderr += payload
        elif kind == wire.PHASE:
            self.phases.append(json.loads(payload)["phase"])
        elif kind == wire.DONE:
            assert self.done is None
            self.done = json.loads(payload)
        elif kind == wire.DIRTY:
            self.dirty = json.loads(payload)
        elif kind == wire.READY:
            self.scrub_ms = json.loads(payload)["scrub_ms"]


class Box:
    """One container of one language.

    direct: go by the runner's socket where it can be had, as the service does.
    """

    def __init__(self, engine: Engine, language: str, *, direct: bool = True) -> None:
        found = CATALOG.resolve(language)
        assert found is not None
        self.engine = engine
        self.language = found
        self.defaults = LanguageDefaults(
            found,
            f"warmbox/{found.name}:latest",
            found.limits.processes,
            found.limits.memory_mb,
        )
        self.jobs = 0
        self.clean = True
        self._decoder = wire.Decoder(wire.RUNNER_KINDS, wire.REPLY_BYTES_MAX)
        self._frames: Queue[Frame | None] = Queue()
        self.reads: list[list[int]] = []
        """The kinds of the frames that each read has ended."""
        self.is_direct = False
        self._ahead: deque[Frame] = deque()
        self.attached = engine.start(self.defaults)
        self._reader = gevent.spawn(self._read)
        self._attach_reader: gevent.Greenlet[[], None] | None = None
        frame = self.frame()
        assert frame is not None
        assert frame[0] == wire.READY, frame
        offer = offered_socket(frame[1])
        if direct and offer and self.attached.go_direct(*offer):
            self.is_direct = True
            self._attach_reader = self._reader  # which goes on, as Docker must
            self._reader = gevent.spawn(self._read)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.discard(self.attached)

    def _read(self) -> None:
        direct = self.is_direct
        receive = self.attached.receive_direct if direct else self.attached.receive
        while data := receive():
            frames = self._decoder.feed(data)
            self.reads.append([kind for kind, _ in frames])
            for frame in frames:
                self._frames.put(frame)
        if direct == self.is_direct:
            self._frames.put(None)

    def frame(self, timeout_s: float = WAIT_S) -> Frame | None:
        """Return the next frame, None at the stream's end."""
        if self._ahead:
            return self._ahead.popleft()
        try:
            return self._frames.get(timeout=timeout_s)
        except Empty:
            raise AssertionError("no frame came") from None

    def pause(self) -> None:
        """Read no more until `resume`."""
        self._reader.kill()

    def resume(self) -> None:
        self._reader = gevent.spawn(self._read)

    def send(self, kind: int, payload: bytes = b"") -> None:
        self.attached.send(wire.encode(kind, payload))

    def start(self, source: str | dict[str, str], **options: Any) -> None:
        """Send a job; a dict gives several files, the main one first."""
        self.clean = False
        self.attached.send(self.job(source, **options))

    def job(self, source: str | dict[str, str], **options: Any) -> bytes:
        files = source if isinstance(source, dict) else {self.language.main: source}
        self.jobs += 1
        limits = Limits(
            options.get("wall_s", 10),
            options.get("cpu_s", 10),
            self.defaults.memory_mb,
            options.get("output_kb", 1024),
            options.get("processes", self.defaults.processes),
            **{name: options[name] for name in ADDED_LIMITS if name in options},
            compile=CompileLimits(*options["compile"])
            if "compile" in options
            else None,
        )
        job = Job(
            str(self.jobs),
            self.language.name,
            "client",
            tuple(SourceFile(name, text.encode()) for name, text in files.items()),
            options.get("stdin", b""),
            options.get("stdin_open", False),
            options.get("args", ()),
            options.get("env", ()),
            limits,
            0.0,
        )
        return job_frame(
            job,
            self.defaults,
            others_wait=options.get("others_wait", False),
        )

    def run_commands(self, *commands: str) -> Report:
        """Run shell commands as the language's steps, whatever its own would be."""
        frame = self.job("")
        header, blobs = wire.unpack_job(frame[5:])
        job = json.loads(header)
        job["warm"] = False
        for step, command in zip(job["steps"], commands, strict=True):
            step["argv"] = ["bash", "-c", command]
        payload = wire.pack_job(json.dumps(job).encode(), [blobs])
        self.clean = False
        self.send(wire.JOB, payload)
        return self.report()

    def until(self, *kinds: int) -> Iterator[Frame]:
        """Yield frames up to and with the first of these kinds, or the end."""
        while (frame := self.frame()) is not None:
            yield frame
            if frame[0] in kinds:
                return

    def report(self) -> Report:
        """Take all frames up to the next READY, DIRTY or the stream's end."""
        report = Report(ended=True)
        for kind, payload in self.until(wire.READY, wire.DIRTY):
            report.take(kind, payload)
            report.ended = kind not in {wire.READY, wire.DIRTY}
        self.clean = report.clean
        return report

    def run(self, source: str | dict[str, str], **options: Any) -> Report:
        """Run a job to the end of its scrub."""
        self.start(source, **options)
        return self.report()

    def exec(self, *argv: str) -> str:
        """Run a command beside the runner, as root: a look from outside."""
        client = self.engine._client  # noqa: SLF001 - tests look behind the port
        made = client.exec_create(self.attached.id, list(argv))
        return str(client.exec_start(made["Id"]).decode())


class Boxes:
    """A live container of each language that is asked for."""

    def __init__(self) -> None:
        self.engine = Engine(CONFIG)
        self._boxes: dict[str, Box] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.engine.close(60) == 0

    def start(self, language: str, **changes: Any) -> Box:
        """Start one that nobody else is given, with settings of its own."""
        if changes:
            # behind the others' uids
            base = CONFIG.uid_first + CONFIG.uids * 1000
            return Box(Engine(replace(CONFIG, uid_first=base, **changes)), language)
        return Box(self.engine, language)

    def get(self, language: str) -> Box:
        """Return one that is clean."""
        box = self._boxes.get(language)
        if box is None or not box.clean:
            box = self._boxes[language] = self.start(language)
        return box


def make_engine() -> Engine:
    return Engine(CONFIG)
