"""An engine whose containers do only what the test has them do, and keep count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from engine_twin import AttachedTwin, EngineTwin
from samples import evidence

from images import wire

if TYPE_CHECKING:
    from actors.engine import Attached
    from actors.sandbox import LanguageDefaults, SandboxConfig

State = Literal["starting", "idle", "busy", "scrubbing"]


class EngineModel(EngineTwin):
    """What each container does, seen from inside it."""

    def __init__(self, config: SandboxConfig) -> None:
        super().__init__(config)
        self.states: dict[AttachedTwin, State] = {}
        self.jobs: dict[AttachedTwin, str] = {}
        self.cancelled: set[AttachedTwin] = set()
        self.void: set[AttachedTwin] = set()
        """Those whose job has been begun elsewhere meanwhile."""
        self.begun: dict[str, int] = {}
        """How often each job was begun here."""
        self.faults: list[str] = []
        self.languages: dict[AttachedTwin, str] = {}
        self.tenants: dict[AttachedTwin, str] = {}
        """Whose job was the last in each."""
        self.clients: dict[str, str] = {}
        """Whose jobs there are."""

    # ------------------------------------------------------------ what is done to it

    def on_start(self, attached: AttachedTwin, defaults: LanguageDefaults) -> None:
        self.states[attached] = "starting"
        self.languages[attached] = defaults.language.name

    def on_frame(self, attached: AttachedTwin, kind: int, payload: bytes) -> None:
        if kind == wire.JOB:
            if self.states.get(attached) != "idle":
                self.faults.append("a job came to a container that is not clean")
            _, source = wire.unpack_job(payload)
            job_id = source.decode()
            client = self.clients[job_id]
            if not self._is_for(attached, client):
                self.faults.append("a job came to another client's container")
            self.tenants[attached] = client
            self.states[attached], self.jobs[attached] = "busy", job_id
            self.begun[job_id] = self.begun.get(job_id, 0) + 1
            attached.put(wire.PHASE, {"phase": "run"})
            attached.put(wire.STDOUT, source)
        elif kind == wire.CANCEL and attached in self.jobs:
            self.cancelled.add(attached)

    def discard(self, attached: Attached, *, kill: bool = False) -> None:
        super().discard(attached, kill=kill)
        assert isinstance(attached, AttachedTwin)
        self._forget(attached)

    def _forget(self, attached: AttachedTwin) -> None:
        self.states.pop(attached, None)
        self.jobs.pop(attached, None)
        self.cancelled.discard(attached)
        self.void.discard(attached)

    def _is_for(self, attached: AttachedTwin, client: str) -> bool:
        whose = self.tenants.get(attached, client)
        return self.config.reuse != "tenant" or whose == client

    def idle_for(self, language: str, client: str) -> int:
        """Return how many idle containers can take a job of this client."""
        return sum(
            self.languages[one] == language and self._is_for(one, client)
            for one in self.those("idle")
        )

    def make_void(self, job_id: str) -> None:
        """The job was given to another worker: what runs of it here is void."""
        self.void |= {one for one, job in self.jobs.items() if job == job_id}

    # ---------------------------------------------------------------- what it does

    def those(self, *states: State) -> list[AttachedTwin]:
        return [one for one, state in self.states.items() if state in states]

    def boxes_with(self, job_id: str) -> list[AttachedTwin]:
        """Return those that run the job for the worker's present lease."""
        return [
            box
            for box, job in self.jobs.items()
            if job == job_id and box not in self.void
        ]

    def be_clean(self, attached: AttachedTwin) -> None:
        self.states[attached] = "idle"
        attached.put(wire.READY, {"scrub_ms": 1.0})

    def be_dirty(self, attached: AttachedTwin) -> None:
        attached.put(wire.DIRTY, {"reason": "a mess", "out_of_memory": False})

    def end_job(self, attached: AttachedTwin) -> None:
        self.states[attached] = "scrubbing"
        del self.jobs[attached]
        self.void.discard(attached)
        changes: dict[str, Any] = {}
        if attached in self.cancelled:
            self.cancelled.discard(attached)
            changes["stopped"] = "cancelled"
        attached.put(wire.DONE, evidence(**changes))

    def die(self, attached: AttachedTwin) -> None:
        self._forget(attached)
        attached.broken = True
        attached.close()
