"""An engine without Docker: containers whose runner's side a test plays."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from actor_world import settle
from gevent.event import Event
from gevent.queue import Queue
from samples import CONFIG, evidence

from actors.engine import Attached, EngineError, EngineRefusedError
from images import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.sandbox import LanguageDefaults, SandboxConfig


class AttachedTwin(Attached):
    """A container and both ends of its stream.

    on_frame: plays the runner; called with each frame that the host has sent.
    taken_at_once: how many bytes the stream takes without waiting.
    """

    taken_at_once = 1 << 20

    def __init__(
        self, number: int, on_frame: Callable[[AttachedTwin, int, bytes], None]
    ) -> None:
        self.id = f"container{number}"
        self.uid_first = number
        self.stderr = b""
        self.heard: list[tuple[int, bytes]] = []
        self.closed = False
        self.broken = False
        self._on_frame = on_frame
        self._decoder = wire.Decoder(wire.HOST_KINDS, wire.FRAME_BYTES_MAX)
        self._stdout: Queue[bytes] = Queue()

    # ------------------------------------------------------------ the host's side

    def send(self, data: bytes) -> None:
        if self.closed or self.broken:
            raise BrokenPipeError
        for kind, payload in self._decoder.feed(data):
            self.heard.append((kind, payload))
            self._on_frame(self, kind, payload)

    def send_now(self, data: bytes) -> int:
        taken = data[: self.taken_at_once]
        with suppress(BrokenPipeError):
            self.send(taken)
        return len(taken)

    def receive(self) -> bytes:
        return self._stdout.get()

    def close(self) -> None:
        self.closed = True
        self._stdout.put(b"")

    # ---------------------------------------------------------- the runner's side

    def put(self, kind: int, payload: bytes | dict[str, Any] = b"") -> None:
        """Write a frame to the host, which reads it later."""
        if isinstance(payload, dict):
            payload = json.dumps(payload).encode()
        self._stdout.put(wire.encode(kind, payload))

    def write(self, data: bytes) -> None:
        """Write to the host, and let it do what it does then."""
        self._stdout.put(data)
        settle()

    def say(self, kind: int, payload: bytes | dict[str, Any] = b"") -> None:
        """Write a frame to the host, and let it do what it does then."""
        self.put(kind, payload)
        settle()

    def ready(self) -> None:
        self.say(wire.READY, {"scrub_ms": 1.0})

    def done(self, **changes: Any) -> None:
        self.say(wire.DONE, evidence(**changes))

    def dirty(
        self, reason: str = "a mess", *, out_of_memory: bool = False, **charges: object
    ) -> None:
        verdict = {"reason": reason, "out_of_memory": out_of_memory, **charges}
        self.say(wire.DIRTY, verdict)

    def die(self) -> None:
        """Let the container end by itself."""
        self.broken = True
        self.write(b"")

    def take(self) -> list[tuple[int, bytes]]:
        """Return the frames that have come since the last time."""
        settle()
        heard, self.heard = self.heard, []
        return heard

    def take_kinds(self) -> list[int]:
        return [kind for kind, _ in self.take()]


class EngineTwin:
    """Keeps the contract of `actors.engine.Engine`.

    fault: why nothing can be done now. refusal: what Docker answers to whatever is
    asked. memory_fault: what it answers to a change of memory. gate: cleared, whatever
    takes time waits.
    """

    def __init__(self, config: SandboxConfig = CONFIG) -> None:
        self.config = config
        self.fault = ""
        self.refusal = ""
        self.memory_fault = ""
        self.gate = Event()
        self.gate.set()
        self.started: list[AttachedTwin] = []
        self.discarded: list[Attached] = []
        self.killed: list[Attached] = []
        self.memory_mb: list[int] = []
        self.held_back: list[tuple[int, int]] = []
        self.is_root = True
        self.made_mb: list[int] = []
        """The memory of each container that was started."""
        self.own_kb: list[int | None] = []
        """What was counted as the container's own with each change of its memory."""
        self.starved: list[Attached] = []
        """Those of which Docker says that they died of memory."""

    def start(self, defaults: LanguageDefaults) -> Attached:
        self._wait()
        attached = AttachedTwin(len(self.started), self.on_frame)
        self.started.append(attached)
        self.made_mb.append(defaults.memory_mb)
        self.on_start(attached, defaults)
        return attached

    def set_memory(
        self, attached: Attached, memory_mb: int, own_kb: int | None = None
    ) -> None:
        assert attached in self.started
        self.own_kb.append(own_kb)
        self._wait()
        if self.memory_fault:
            raise EngineRefusedError(self.memory_fault)
        self.memory_mb.append(memory_mb)

    def hold_back(self, attached: Attached, own_kb: int, memory_mb: int) -> bool:
        assert attached in self.started
        self.held_back.append((own_kb, memory_mb))
        return self.is_root

    def died_of_memory(self, attached: Attached) -> bool:
        return attached in self.starved

    def discard(self, attached: Attached, *, kill: bool = False) -> None:
        assert attached not in self.discarded, "a container is discarded once"
        if kill:
            self.killed.append(attached)
        attached.close()
        self.discarded.append(attached)

    def _wait(self) -> None:
        self.gate.wait()
        if self.fault:
            raise EngineError(self.fault)
        if self.refusal:
            raise EngineRefusedError(self.refusal)

    # ----------------------------------------------------------------- to override

    def on_start(self, attached: AttachedTwin, defaults: LanguageDefaults) -> None:
        """Do what a container does when it starts: nothing, until a test does."""

    def on_frame(self, attached: AttachedTwin, kind: int, payload: bytes) -> None:
        """Do what a runner does with a frame."""

    def living(self) -> list[AttachedTwin]:
        return [one for one in self.started if one not in self.discarded]


class RunningEngineTwin(EngineTwin):
    """Its runners play themselves: each job writes its id and ends well.

    hold: set, jobs do not come to their end before `release`.
    """

    def __init__(self, config: SandboxConfig = CONFIG) -> None:
        super().__init__(config)
        self.hold = False
        self.held: list[AttachedTwin] = []
        self.runs = 0

    def on_start(self, attached: AttachedTwin, _: LanguageDefaults) -> None:
        attached.put(wire.READY, {"scrub_ms": 1.0})

    def on_frame(self, attached: AttachedTwin, kind: int, payload: bytes) -> None:
        if kind == wire.JOB:
            self.runs += 1
            _, source = wire.unpack_job(payload)
            attached.put(wire.PHASE, {"phase": "run"})
            attached.put(wire.STDOUT, source)
            if self.hold:
                self.held.append(attached)
            else:
                self._end(attached)
        elif kind == wire.CANCEL and attached in self.held:
            self.held.remove(attached)
            self._end(attached, stopped="cancelled")

    def _end(self, attached: AttachedTwin, **changes: Any) -> None:
        attached.put(wire.DONE, evidence(**changes))
        attached.put(wire.READY, {"scrub_ms": 1.0})

    def release(self, count: int | None = None) -> None:
        """Let jobs that are held end, the oldest first."""
        ending, self.held = self.held[:count], self.held[len(self.held[:count]) :]
        for attached in ending:
            self._end(attached)
        settle()
