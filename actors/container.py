"""One container: its state machine.

    starting --READY--> idle --RunJob--> busy --DONE--> scrubbing --READY--> idle
        |                 |                |                |
        '-----------------+-------> retired (the actor ends, the container with it)

A container is dirty from the moment a job is sent until the runner has positively
said that it is clean; whatever else happens meanwhile ends it. Its supervisor starts
another; the language queue has its job run again.

A runtime may be unable to change the memory limit of what runs (gVisor's). Then the
container is made anew for the job, with the memory that it asked for, while the actor
stays busy. What fails meanwhile is the job's affair: neither its pool nor other jobs
shall suffer from what one client has asked for.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import gevent
import pydantic_core

from actors import cause
from actors.actor import Actor, Context
from actors.bounds import (
    bounds_of,
    memory_changes,
    memory_mb_of,
    most_memory_mb_of,
)
from actors.cpu_weight import CpuWeight
from actors.directory import send
from actors.engine import EngineError, EngineRefusedError
from actors.last_words import LastWords
from actors.messages import (
    ContainerBusy,
    ContainerFailed,
    ContainerGone,
    ContainerIdle,
    ContainerReady,
    DeathExplained,
    EngineFailed,
    GuestDispatched,
    JobEvent,
    JobFinished,
    JobResult,
    JobReturned,
    MemoryRefused,
    MemorySet,
    Outcome,
    Output,
    PublishEvents,
    SlotFreed,
    Started,
    Usage,
)
from actors.outcome import job_result, scrub_seconds, unheard_result
from actors.output_buffer import OutputBuffer
from actors.runner_link import RunnerLink
from actors.sandbox import is_gvisor, job_frame
from images import wire
from metrics import instruments
from metrics.live import LIVE, ContainerFact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actors.bounds import Bounds
    from actors.engine import Attached
    from actors.messages import (
        Boot,
        CancelJob,
        EventBody,
        FramesReceived,
        ReportState,
        Retire,
        RunJob,
        SendStdin,
        StreamEnded,
    )
    from actors.sandbox import LanguageDefaults, SandboxConfig

log = logging.getLogger("warmbox.container")

START_S = 60.0
BEGIN_S = 15.0
"""A runner that has not begun with a job after so long will not."""
FLUSH_S = 0.015
"""Output is shown at most this much later than it comes, in fewer, larger events. The
runner may have held it for a few milliseconds (`HOLD_S` in images/runner_host.py)."""
FIRST_FLUSH_S = 0.005
"""The first output after a while: a quick program's end comes along with it."""
STARTED_S = 0.050
"""A start that no output has followed is told so late: mostly some does."""
FLUSH_BYTES = 32 * 1024
PREFER_AFTER_S = 0.003
"""A scrub that takes longer waits for a processor, and then goes before programs."""
PREFERRED_S = 0.025
"""For how long: nearly all take less. Who leaves so much that it takes longer does not
keep others' programs waiting."""
OWN_SLACK_KB = 512
"""A container's own memory changes by less than this without being reckoned anew."""
LOGGED_BYTES = 300
"""Of what a runner says, if it is nothing that it should say."""
STUCK = {"deadline", "scrub"}
"""The timers that show a runner which does not listen."""

EXPECTED = frozenset({"age", "failed", "jobs", "reuse", "surplus", "tenant"})
"""Ends that are no news: they are planned, or it is the pool that tells of them."""

State = Literal["starting", "idle", "busy", "scrubbing"]


class EnginePort(Protocol):
    """What a container needs of the engine; `actors.engine.Engine` or a twin."""

    config: SandboxConfig

    def start(self, defaults: LanguageDefaults) -> Attached:
        """Make and start a container."""

    def set_memory(
        self, attached: Attached, memory_mb: int, own_kb: int | None = None
    ) -> None:
        """Change its memory limit, and what counts as the container's own."""

    def hold_back(self, attached: Attached, own_kb: int, memory_mb: int) -> bool:
        """Set the limit beside what the container takes, at once; False if it can't."""

    def died_of_memory(self, attached: Attached) -> bool:
        """Tell whether the kernel killed it for want of memory."""

    def discard(self, attached: Attached, *, kill: bool = False) -> None:
        """Destroy it, without waiting. kill: it will not end by itself."""


class Container(Actor):
    """One Docker container of one language.

    queue, scheduler, broker: the names of the actors that it serves.
    """

    def __init__(
        self,
        context: Context,
        defaults: LanguageDefaults,
        engine: EnginePort,
        queue: str,
        scheduler: str,
        broker: str,
    ) -> None:
        super().__init__(context)
        self._defaults = defaults
        self._language = defaults.language.name
        warm = defaults.language.warm
        self._wakes = warm is not None and warm.kind == "exec"
        """What waits for a job starts only when the container is idle."""
        self._engine = engine
        self._config = engine.config
        self._queue = queue
        self._scheduler = scheduler
        self._broker = broker
        self._state: State | None = None
        self._gauges = {
            state: instruments.containers.labels(self._language, state)
            for state in get_args(State)
        }
        self._link: RunnerLink | None = None
        self._weight: CpuWeight | None = None
        self._run: RunJob | None = None
        self._tenant: str | None = None
        runtimes, name = self._config.runtimes, self._language
        self._can_change = not is_gvisor(runtimes.get(name, self._config.runtime))
        """Whether the runtime can change the memory limit between two steps."""
        self._own_kb = -OWN_SLACK_KB
        """The memory that the container itself takes, as it is reckoned with."""
        self._asks = False
        """Whether the runner will ask for the memory of the job's last step."""
        self._memory_mb = defaults.memory_mb
        self._phase: Literal["compile", "run"] = "run"
        self._begun = False
        self._began_at = self._limit_s = 0.0
        """When the step began, by our clock, and the time that it may take."""
        self._lost_at: float | None = None
        self._output = OutputBuffer()
        self._last_words = LastWords(defaults.language.heap)
        self._output_left = 0
        self._steps_left = 0
        self._unsent: list[JobEvent] = []
        self._held: list[bytes] = []
        self._flushed_at = 0.0
        self._flush_due = False
        self._jobs = 0
        self._born_at = context.now()
        self._fact = ContainerFact(self._language, self._born_at)
        self._sent_at = self._done_at = 0.0
        self._owes_slot = False
        """Whether the scheduler is yet to hear that the job has ended."""
        self._making = False
        """Whether the container is being made anew for the job in hand."""
        self._retiring = ""
        self._over = False

    # ------------------------------------------------------------------ starting

    def boot(self, message: Boot) -> None:
        """Have a container made."""
        LIVE.containers[self.name] = self._fact
        self._enter("starting")
        self.set_timer("start", START_S)
        gevent.spawn(self._start)

    def _start(self) -> None:
        try:
            attached = self._engine.start(self._defaults)
        except EngineError as error:
            refused = isinstance(error, EngineRefusedError)
            send(self.actor_ref, EngineFailed(str(error), refused))
            return
        if self._over:
            self._engine.discard(attached)  # the actor ended meanwhile
            return
        # Not by message: one behind a stop would be dropped, and the container stay.
        self._link = RunnerLink(attached, self.actor_ref, self.name)
        self._link.read()

    def engine_failed(self, message: EngineFailed) -> None:
        """Docker could not: the pool waits before it tries again."""
        if self._making and not message.refused and not self._retiring:
            self._give_back("failed")  # Docker is away, of which the pool will hear
        else:
            self._fail(message.reason)

    def _fail(self, reason: str) -> None:
        if self._retiring:
            return  # for a reason that was heard just before
        if self._making:
            self._refuse(reason)
            return
        if self.context.parent is not None:
            send(self.context.parent, ContainerFailed(self.name, reason))
        self._retire("failed")

    # -------------------------------------------------------------------- frames

    def frames_received(self, message: FramesReceived) -> None:
        """Handle what the runner wrote, then show what there is to show."""
        for kind, payload in message.frames:
            try:
                self._handle_frame(kind, payload)
            except (ValueError, LookupError, TypeError, RecursionError):
                said = payload[:LOGGED_BYTES]
                log.warning("%s: a report that is none: %r", self.name, said)
                self._retire("protocol")
            if self._retiring:
                return
        self._free_slot()
        if self._output.size:
            self._flush_soon()

    def _free_slot(self) -> None:
        """Tell that the job has ended, unless that is known."""
        if self._owes_slot:
            self._owes_slot = False
            self.tell(self._scheduler, SlotFreed(self.name))

    def _handle_frame(self, kind: int, payload: bytes) -> None:
        if kind in {wire.STDOUT, wire.STDERR} and self._run is not None:
            stream: Literal["stdout", "stderr"]
            stream = "stdout" if kind == wire.STDOUT else "stderr"
            self._count_output(len(payload))
            self._output.add(self._phase, stream, payload)
            if stream == "stderr":
                self._last_words.add(payload)
        elif kind == wire.READY and self._making:
            self._made()
        elif kind == wire.READY and self._state in {"starting", "scrubbing"}:
            self._clean(_document(payload))
        elif kind == wire.PHASE and self._run is not None:
            self._begin(_phase(_document(payload)["phase"]))
        elif kind == wire.NEXT and self._run is not None:
            # A runner of before has nothing to say.
            self._next_step(_document(payload) if payload else {})
        elif kind == wire.DONE and self._state == "busy":
            self._done(_document(payload))
        elif kind == wire.DIRTY:
            # A name in its reason may have half a surrogate pair.
            self._dirty(_document(payload, json.loads))
        else:
            self._retire("protocol")

    def _count_output(self, size: int) -> None:
        """Keep the limit outside too: the runner's word would cost our memory."""
        self._output_left -= size
        if self._output_left < 0:
            raise ValueError("more output than any step may write")

    def _begin(self, phase: Literal["compile", "run"]) -> None:
        """A step begins: its output is its own, and so is its time."""
        assert self._run is not None  # noqa: S101 - it has steps
        rest = self._output.take_all(self._phase)
        if rest:
            self._publish(rest)
        self._phase, self._begun = phase, True
        self._last_words.clear()
        self._steps_left -= 1
        if self._steps_left < 0:
            raise ValueError("more steps than the job has")
        bounds = self._bounds()
        self._output_left = bounds.output_kb * 1024
        self._began_at, self._limit_s = self.now(), bounds.wall_time_s
        wait_s = bounds.wall_time_s + self._config.scrub_s + self._config.grace_s
        self.set_timer("deadline", wait_s)

    def _bounds(self) -> Bounds:
        """Return what bounds the step that runs."""
        assert self._run is not None  # noqa: S101 - it has steps
        limits = self._run.lease.job.limits
        return bounds_of(self._phase, limits, self._defaults.language)

    def _clean(self, evidence: dict[str, Any]) -> None:
        """Be idle, or end if this was the last job."""
        self._hold_back(evidence)
        self.cancel_timer("start")
        self.cancel_timer("scrub")
        if self._weight is None:
            self._weight = self._weigh()
            if self.context.parent is not None:
                send(self.context.parent, ContainerReady(self.name))
        else:
            self.cancel_timer("preferred")
            self.cancel_timer("prefer")
            self._jobs += 1
            self._fact.jobs = self._jobs
            told = self._sent_at, self._done_at
            taken_s = scrub_seconds(evidence, *told, self.now())
            instruments.scrub_seconds.observe(taken_s)
        reason = self._reason_to_end()
        if reason:
            self._retire(reason)
            return
        self._enter("idle")
        if self._wakes:
            self._weight.give_way()
        else:
            self._weight.reset()
        self._tell_idle()

    def _hold_back(self, evidence: dict[str, Any]) -> None:
        """Have the next job find the usual memory, beside what is the container's own.

        Before anything starts that waits for it: that chooses its heap by it.
        """
        own_kb = _own_kb(evidence)
        if own_kb is None or not self._can_change:
            return
        assert self._link is not None  # noqa: S101 - by which it became ready
        usual_mb = self._defaults.memory_mb
        moved_kb = abs(own_kb - self._own_kb)
        if usual_mb == self._memory_mb and moved_kb < OWN_SLACK_KB:
            return
        if self._engine.hold_back(self._link.attached, own_kb, usual_mb):
            self._own_kb, self._memory_mb = own_kb, usual_mb

    def _weigh(self) -> CpuWeight:
        assert self._link is not None  # noqa: S101 - by which it became ready
        return CpuWeight(self._link.attached.id)

    def _tell_idle(self, asker: str = "") -> None:
        self._owes_slot = False  # to be idle says so
        tenant = self._tenant if self._config.reuse == "tenant" else None
        idle = (self.name, self._language, self._wakes, tenant or "", asker)
        self.tell(self._scheduler, ContainerIdle(*idle))

    def _reason_to_end(self) -> str:
        if self._jobs >= self._config.jobs_max:
            return "jobs"
        if self.now() - self._born_at >= self._config.age_s_max:
            return "age"
        if self._jobs and self._config.reuse == "never":
            return "reuse"
        return ""

    def _dirty(self, verdict: dict[str, Any]) -> None:
        """End; a job that was killed for memory has its outcome all the same."""
        reason = str(verdict["reason"])[:LOGGED_BYTES]
        log.warning("%s is dirty: %s", self.name, reason)
        if self._state == "starting" or self._making:
            self._fail(reason)
            return
        oom = self._end_unheard(verdict, oom=bool(verdict["out_of_memory"]))
        self._retire("oom" if oom or reason == "oom" else "dirty")

    def _end_unheard(self, verdict: dict[str, Any], *, oom: bool) -> bool:
        """Give a job the end that is plain without a DONE; else it will run again.

        Returns whether that is that its memory has run out. Of a job that was not begun
        it was what waited for it, and the one before it.
        """
        if self._run is None or not self._begun:
            return False
        if oom:
            text = cause.memory(self._bounds())
            self._finish(self._unheard(Outcome.OUT_OF_MEMORY, verdict, text))
        elif self._took_s() >= self._limit_s:
            text = f"{cause.wall_time(self._bounds())} Its sandbox was lost."
            self._finish(self._unheard(Outcome.TIMED_OUT, verdict, text))
        return oom

    def _took_s(self) -> float:
        """Return how long the step has been running, or had when all was lost."""
        return (self._lost_at or self.now()) - self._began_at

    def _unheard(
        self, outcome: Outcome, verdict: dict[str, Any], text: str = ""
    ) -> JobResult:
        """Return a result with the times by our own clock."""
        assert self._run is not None  # noqa: S101 - whose result it is
        took_ms = round(self._took_s() * 1e3, 3)
        usage = Usage(
            queue_ms=round(self._run.queued_s * 1e3, 3),
            compile_ms=took_ms if self._phase == "compile" else None,
            wall_ms=took_ms if self._phase == "run" else None,
        )
        return unheard_result(outcome, verdict, usage, text)

    def stream_ended(self, message: StreamEnded) -> None:
        """The container has died under us."""
        if self._link is None or message.container_id != self._link.attached.id:
            return  # we have let go of that one already
        if self._state == "starting" or self._making:
            self._fail(message.reason)
            return
        if message.reason.startswith("protocol"):
            self._retire("protocol")
        elif self._state == "busy" and self._begun:
            self._lost_at = self.now()
            gevent.spawn(self._explain_death)
        else:
            self._retire("died")

    def _explain_death(self) -> None:
        """Ask whether the job did it: its memory may cost the runner's life too."""
        assert self._link is not None  # noqa: S101 - it was busy
        oom = self._engine.died_of_memory(self._link.attached)
        send(self.actor_ref, DeathExplained(oom))

    def death_explained(self, message: DeathExplained) -> None:
        """The job ended with the container, or is run again in another."""
        self._end_unheard({}, oom=message.out_of_memory)
        self._retire("oom" if message.out_of_memory else "died")

    # ----------------------------------------------------------------------- job

    def run_job(self, message: RunJob) -> None:
        """Send the job to the runner, or give it back when it can't be taken."""
        job = message.lease.job
        foreign = self._config.reuse == "tenant" and self._tenant not in {
            None,
            job.client,
        }
        if self._state != "idle" or foreign:
            self.tell(self._queue, JobReturned(job.id, self.name))
            if self._state == "idle":
                self._retire("tenant")
            return
        self._enter("busy")
        assert self._weight is not None  # noqa: S101 - it has been idle
        self._weight.reset()
        self._run, self._tenant, self._begun = message, job.client, False
        if message.is_guest:
            most_mb = self._most_memory_mb()
            self.tell(self._scheduler, GuestDispatched(self.name, most_mb))
        self._unsent.append(JobEvent(job.id, message.attempt, Started()))
        self.set_timer("flush", STARTED_S)  # a quick job's output goes along with it
        memory_mb = self._first_memory_mb()
        if memory_mb != self._memory_mb:
            gevent.spawn(self._set_memory, memory_mb)
        else:
            self._send_job()

    def _first_memory_mb(self) -> int:
        """Return the memory for the job's first step; for all, if it can't change."""
        assert self._run is not None  # noqa: S101 - run_job set it
        limits, language = self._run.lease.job.limits, self._defaults.language
        can_change = self._can_change
        return (memory_mb_of if can_change else most_memory_mb_of)(limits, language)

    def _most_memory_mb(self) -> int:
        """Return the most memory that any step of the job may have."""
        assert self._run is not None  # noqa: S101 - it has steps
        limits = self._run.lease.job.limits
        return most_memory_mb_of(limits, self._defaults.language)

    def _next_step(self, evidence: dict[str, Any]) -> None:
        """The program may have another amount of memory than its compiler had.

        What its compiler had the kernel keep is not the program's.
        """
        assert self._run is not None  # noqa: S101 - it has steps
        if not self._asks or self._phase != "compile":
            raise ValueError("there is nothing to ask for")
        self._asks = False
        own_kb = _own_kb(evidence) if self._own_kb >= 0 else None
        self._own_kb = self._own_kb if own_kb is None else own_kb
        gevent.spawn(self._set_memory, self._run.lease.job.limits.memory_mb, own_kb)

    def _set_memory(self, memory_mb: int, own_kb: int | None = None) -> None:
        assert self._link is not None  # noqa: S101 - an idle container has it
        try:
            self._engine.set_memory(self._link.attached, memory_mb, own_kb)
        except EngineError as error:
            refused = isinstance(error, EngineRefusedError)
            send(self.actor_ref, MemoryRefused(str(error), refused))
        else:
            send(self.actor_ref, MemorySet(memory_mb))

    def memory_set(self, message: MemorySet) -> None:
        """The limit that the job asked for is in force."""
        self._memory_mb = message.memory_mb
        if self._run is None or self._retiring:
            return  # it has ended meanwhile
        if self.has_timer("deadline"):
            self._to_runner(wire.encode(wire.GO))
        else:
            self._send_job()

    def memory_refused(self, message: MemoryRefused) -> None:
        """Have the container made anew, with the memory that the job asked for."""
        if self._run is None or self._retiring:
            return  # it has ended meanwhile
        if self.has_timer("deadline"):
            log.warning("%s: %s", self.name, message.reason)
            if message.refused:  # there is more in it than the program may have
                self._phase = "run"
                text = cause.memory(self._bounds())
                self._finish(JobResult(Outcome.OUT_OF_MEMORY, message=text))
            self._retire("memory" if message.refused else "failed")
            return
        memory_mb = self._first_memory_mb()
        log.warning(
            "%s: made anew with %d MB: %s", self.name, memory_mb, message.reason
        )
        self._let_go()
        self.cancel_timer("flush")
        self._making = True
        self._memory_mb = memory_mb
        self._defaults = replace(self._defaults, memory_mb=memory_mb)
        self._jobs, self._born_at = 0, self.now()
        self.set_timer("start", START_S)
        gevent.spawn(self._start)

    def _made(self) -> None:
        """The job can begin in the container that was made for it."""
        self._making = False
        self.cancel_timer("start")
        self.set_timer("flush", STARTED_S)
        self._weight = self._weigh()
        self._send_job()

    def _refuse(self, reason: str) -> None:
        """No container with so much, or so little, memory comes up: the job ends."""
        assert self._run is not None  # noqa: S101 - for which it was made
        log.warning("%s: %s", self.name, reason)
        memory_mb = self._first_memory_mb()
        text = f"no sandbox with a memory limit of {memory_mb} MB could be started"
        self._unsent.clear()  # it has not begun
        self._finish(JobResult(Outcome.OUT_OF_MEMORY, message=text))
        self._retire("memory")

    def _give_back(self, reason: str) -> None:
        """Let the job run elsewhere; it has not begun here."""
        assert self._run is not None  # noqa: S101 - busy
        self.tell(self._queue, JobReturned(self._run.lease.job.id, self.name))
        self._run = None
        self._unsent.clear()
        self._retire(reason)

    def _send_job(self) -> None:
        assert self._run is not None  # noqa: S101 - run_job set it
        job = self._run.lease.job
        others_wait = self._run.others_wait
        self._sent_at = self.now()
        self._asks = self._can_change and memory_changes(
            job.limits, self._defaults.language
        )
        self._to_runner(job_frame(job, self._defaults, others_wait, self._asks))
        self._steps_left = 1 if self._defaults.language.compile is None else 2
        self._output_left = job.limits.output_kb * 1024
        self.set_timer("deadline", BEGIN_S)
        held, self._held = self._held, []
        for frame in held:
            self._to_runner(frame)

    def _to_runner(self, frame: bytes) -> None:
        assert self._link is not None  # noqa: S101 - an idle container has it
        self._link.send(frame)

    def _pass_on(self, frame: bytes) -> None:
        """Send what follows the job, which may still wait for its memory limit.

        The runner drops what belongs to no job that it has.
        """
        if self.has_timer("deadline"):
            self._to_runner(frame)
        else:
            self._held.append(frame)

    def cancel_job(self, message: CancelJob) -> None:
        """Have the runner stop the job."""
        if self._run is not None and self._run.lease.job.id == message.job_id:
            self._pass_on(wire.encode(wire.CANCEL))

    def send_stdin(self, message: SendStdin) -> None:
        """Pass bytes for the program on."""
        if self._run is None or self._run.lease.job.id != message.job_id:
            return  # it has ended meanwhile
        if message.data:
            self._pass_on(wire.encode(wire.STDIN, message.data))
        if message.end:
            self._pass_on(wire.encode(wire.STDIN_END))

    def _done(self, evidence: dict[str, Any]) -> None:
        assert self._run is not None  # noqa: S101 - busy
        self.set_timer("prefer", PREFER_AFTER_S)
        result = job_result(evidence, self._run.queued_s, self._bounds())
        self._finish(self._last_words.judge(result, self._run.lease.job.limits))
        self._enter("scrubbing")
        self.set_timer("scrub", self._config.scrub_s + self._config.grace_s)

    def _finish(self, result: JobResult) -> None:
        """Hand the job's end to its queue; the slot is free."""
        run = self._run
        assert run is not None  # noqa: S101 - busy
        self._note(self._output.take_all(self._phase))
        rest, self._unsent = tuple(self._unsent), []
        job_id = run.lease.job.id
        self.tell(self._queue, JobFinished(job_id, run.attempt, result, rest))
        self._run = None
        self.cancel_timer("deadline")
        self.cancel_timer("flush")
        self._flush_due = False
        self._done_at = self.now()
        self._owes_slot = True

    # ------------------------------------------------------------------- output

    def _flush_soon(self) -> None:
        """Show the first output nearly at once, and what follows close on it together.

        Nearly: a quick program's end comes along with all that it wrote.
        """
        if self._output.size >= FLUSH_BYTES:
            self._flush()
        elif not self._flush_due:
            quiet = self.now() - self._flushed_at >= FLUSH_S
            self.set_timer("flush", FIRST_FLUSH_S if quiet else FLUSH_S)
            self._flush_due = True

    def _flush(self) -> None:
        self._flushed_at = self.now()
        self._flush_due = False
        self._publish(self._output.take())

    def _publish(self, bodies: Iterable[EventBody | Output]) -> None:
        self._note(bodies)
        if not self._unsent:
            return
        if self.tell(self._broker, PublishEvents(tuple(self._unsent))):
            self._unsent.clear()
        else:
            self.set_timer("unsent", FLUSH_S)  # the broker is being restarted

    def _note(self, bodies: Iterable[EventBody | Output]) -> None:
        run = self._run
        if run is not None:
            job_id = run.lease.job.id
            self._unsent += [JobEvent(job_id, run.attempt, body) for body in bodies]

    # ----------------------------------------------------------------------- end

    def time_out(self, name: str) -> None:
        """Flush, or end what takes too long."""
        if name == "flush":
            self._flush()
        elif name == "unsent":
            self._publish(())
        elif name == "prefer" and self._weight is not None:
            self._weight.prefer()
            self.set_timer("preferred", PREFERRED_S)
        elif name == "preferred" and self._weight is not None:
            self._weight.reset()
        elif name == "start":
            self._fail(f"not ready after {START_S:.0f} s")
        else:
            # A job that was never begun is no job that took too long: it runs again.
            if self._run is not None and self._begun:
                limit = cause.wall_time(self._bounds())
                text = f"{limit} Its sandbox did not stop it and was destroyed."
                self._finish(self._unheard(Outcome.TIMED_OUT, {}, text))
            self._retire(name)

    def report_state(self, message: ReportState) -> None:
        """Tell a new scheduler whether we are idle, run a job, or neither."""
        asker = message.asker
        if self._state == "idle":
            self._tell_idle(asker)
        elif self._state == "busy" and self._run is not None:
            most_mb, client = self._most_memory_mb(), self._run.lease.job.client
            busy = (self.name, self._language, client, most_mb, asker)
            self.tell(self._scheduler, ContainerBusy(*busy))
        else:
            self.tell(self._scheduler, SlotFreed(self.name, asker))

    def retire(self, message: Retire) -> None:
        """End, unless a job has come meanwhile."""
        if self._state == "idle":
            self._retire(message.reason)

    def _retire(self, reason: str) -> None:
        if not self._retiring:
            self._retiring = reason
            labels = instruments.container_retirements_total.labels
            labels(self._language, reason).inc()
            if reason not in EXPECTED:
                LIVE.retired(self.name, reason)
            self._free_slot()
            self._enter(None)
            self.stop()

    def _enter(self, state: State | None) -> None:
        """Change state, and what is shown of it."""
        for known, step in ((self._state, -1), (state, 1)):
            if known is not None:
                self._gauges[known].inc(step)
        self._state = state
        if state is not None:
            self._fact.state, self._fact.since = state, self.now()

    def clean_up(self, *, crashed: bool) -> None:
        """Destroy the container and tell who relied on it."""
        self._over = True
        self._enter(None)
        if LIVE.containers.get(self.name) is self._fact:
            del LIVE.containers[self.name]
        self._publish(())
        spoiled = bool(self._retiring) and self._retiring not in EXPECTED
        gone = ContainerGone(self.name, self._language, spoiled)
        self.tell(self._queue, gone)
        self.tell(self._scheduler, gone)
        self._let_go()

    def _let_go(self) -> None:
        """Destroy the container, of which nothing more is heard."""
        if self._weight is not None:
            self._weight.reset()  # what a job has left in it shall not die first
            self._weight.close()
        if self._link is not None:
            self._link.close()
            stuck = self._retiring in STUCK
            self._engine.discard(self._link.attached, kill=stuck)
        self._weight = self._link = None


def _document(
    payload: bytes, parse: Callable[[bytes], object] = pydantic_core.from_json
) -> dict[str, Any]:
    """Return what a frame says; raises ValueError or TypeError if that is nothing."""
    document = parse(payload)
    if not isinstance(document, dict):
        raise TypeError("what is said has no names")
    return document


def _own_kb(evidence: dict[str, Any]) -> int | None:
    """Return what the container itself takes, if that is said."""
    own_kb = evidence.get("own_kb")  # a runner of before does not say it
    return own_kb if type(own_kb) is int and own_kb >= 0 else None


def _phase(said: object) -> Literal["compile", "run"]:
    if said == "compile" or said == "run":  # noqa: PLR1714 - mypy narrows only so
        return said
    raise ValueError("there is no such phase")
