"""The whole vocabulary: what actors, gateway and supervisors say to each other.

A command is an imperative (`RunJob`), a fact a past participle (`JobDelivered`).
Everything is frozen: messages are not copied on their way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

# --------------------------------------------------------------------- jobs


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One uploaded file. `name` is a checked relative path with forward slashes."""

    name: str
    content: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class CompileLimits:
    """What the compile step of one job may use, already capped by the settings."""

    wall_time_s: float
    cpu_time_s: float
    memory_mb: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may use, already capped by the settings.

    The defaults are what every job had before it could ask, and so what a message
    means that does not name them.
    """

    wall_time_s: float
    cpu_time_s: float
    memory_mb: int
    output_kb: int
    processes: int
    file_size_kb: int = 65_536
    """Of the longest file that it may write, in KiB."""
    open_files: int = 1024
    """Descriptors that each of its processes may have at once."""
    stack_kb: int = 8192
    """Of each process's main thread, in KiB, and of the C library's other threads."""
    compile: CompileLimits | None = None
    """None leaves a compile step what its language says."""


@dataclass(frozen=True, slots=True)
class Job:
    """One accepted request to run a program."""

    id: str
    language: str
    client: str
    """Whose turn it takes: the rate-limit and fairness key."""
    files: tuple[SourceFile, ...]
    """The first is the main one."""
    stdin: bytes
    stdin_open: bool
    """Whether stdin stays open after `stdin` for more bytes to follow."""
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    limits: Limits
    created_at: float
    """Seconds since the epoch; shown to people, never used to measure."""
    fingerprint: str = ""
    """A digest of the request under an idempotency key; empty without a key."""
    compile_args: tuple[str, ...] = ()
    """Words for the compiler, behind the language's own."""


class Outcome(StrEnum):
    """How a job ended, told by evidence."""

    SUCCESS = "success"
    FAILURE = "failure"
    SIGNALLED = "signalled"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    OUTPUT_EXCEEDED = "output_exceeded"
    COMPILE_FAILED = "compile_failed"
    CANCELLED = "cancelled"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True)
class CompileUsage:
    """What the compile step used. None means not measured."""

    wall_ms: float | None = None
    cpu_ms: float | None = None
    memory_kb: int | None = None


@dataclass(frozen=True, slots=True)
class CompileResult:
    """How the compile step ended; its output travels as events."""

    outcome: Outcome
    exit_code: int | None
    signal: int | None
    usage: CompileUsage = CompileUsage()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a job's run used. None means not measured, or that it did not get so far."""

    queue_ms: float | None = None
    compile_ms: float | None = None
    """The compile step's wall time: `CompileUsage` has the rest of it."""
    wall_ms: float | None = None
    cpu_ms: float | None = None
    memory_kb: int | None = None


@dataclass(frozen=True, slots=True)
class JobResult:
    """The end of a job, without its texts."""

    outcome: Outcome
    exit_code: int | None = None
    signal: int | None = None
    compile: CompileResult | None = None
    usage: Usage = field(default_factory=Usage)
    truncated: bool = False
    """True when output past the limit was thrown away."""
    message: str = ""
    """One sentence for people; empty when the outcome says it all."""


# ------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker has the job. Opens the job's log; watchers do not see it."""

    language: str
    created_at: float
    fingerprint: str = ""
    """Of the request under an idempotency key, so that every gateway can compare."""
    client: str = ""
    """A digest of whose job it is: who has most loses logs and is refused jobs first.
    Empty when a host of before does not say it; all such are one client's."""
    size: int = field(default=0, compare=False)
    """About how many bytes the job holds until its end."""
    stdin_open: bool = field(default=True, compare=False)
    """Whether more stdin may follow."""


@dataclass(frozen=True, slots=True)
class Queued:
    """The job waits in its language queue, `position` counting from 1."""

    position: int


@dataclass(frozen=True, slots=True)
class Started:
    """A container has begun with the job."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """What ran the job died; output so far is void and the job waits again."""


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes that the program or its compiler wrote.

    A chunk never ends within a UTF-8 sequence that its program went on to finish.
    """

    phase: Literal["compile", "run"]
    stream: Literal["stdout", "stderr"]
    data: bytes


@dataclass(frozen=True, slots=True)
class Finished:
    """The terminal event: exactly one is shown for each job."""

    result: JobResult


@dataclass(frozen=True, slots=True)
class Expired:
    """The job has ended, and the broker has let its events go; follows `Accepted`.

    Only a broker within the process says it, to who reads its stream anew.
    """


EventBody = Accepted | Queued | Started | Restarted | Output | Finished | Expired


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened to a job in one of its attempts.

    A later attempt has a higher number, but numbers may be left out: the relay counts
    anew what it shows, from 1.
    """

    job_id: str
    attempt: int
    body: EventBody
    run: str = ""
    """Whose event it is, where several workers can run one job: the process that has
    published it. Set by who reads the stream."""


# ----------------------------------------------- gateway and broker: publish


@dataclass(frozen=True, slots=True)
class PublishJob:
    """Take the job for good. `reply` gets exactly one `PublishReply`."""

    job: Job
    reply: Callable[[PublishReply], None]


@dataclass(frozen=True, slots=True)
class PublishReply:
    """The broker's answer to a `PublishJob`."""

    status: Literal[
        "accepted",
        "duplicate",
        "queue_full",
        "client_full",
        "unavailable",
        "unknown",
        "draining",
    ]
    """`unknown`: the job may have been taken, and may be run."""
    fingerprint: str = ""
    """With `duplicate`: the fingerprint of the job that has this id already."""


@dataclass(frozen=True, slots=True)
class CancelJob:
    """Stop the job, whether queued, compiling or running."""

    job_id: str
    language: str


@dataclass(frozen=True, slots=True)
class SendStdin:
    """Bytes for the job's stdin; `end` closes it after them."""

    job_id: str
    language: str
    data: bytes
    end: bool


JobControl = CancelJob | SendStdin


@dataclass(frozen=True, slots=True)
class BeginDrain:
    """Refuse new jobs from now on. `reply` is called once none is unfinished."""

    reply: Callable[[], None]


@dataclass(frozen=True, slots=True)
class EndUnfinished:
    """The drain time is over: let go of every unfinished job.

    A broker that outlives the process takes them back; with the embedded one they end
    as internal errors.
    """

    reply: Callable[[int], None]
    """Gets the number of these jobs."""


@dataclass(frozen=True, slots=True)
class DescribeBroker:
    """Asked from outside; answered with a `BrokerStatus`."""


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """How a broker connection stands."""

    state: str
    """`open` when all is well; else connecting, opening, blocked, backing_off or
    closing."""
    reason: str
    """Why it is not open, in the server's words if they are; empty when it is."""
    is_up: bool = False
    """Whether all connections of this process are open, as far as they are known."""


# --------------------------------------------- broker and its other customers


@dataclass(frozen=True, slots=True)
class Lease:
    """An unacknowledged delivery that a language queue holds."""

    tag: int
    generation: int
    """Counts subscriptions: a lease of an earlier one is stale, never acked."""
    job: Job
    attempt: int
    """The number of this attempt: above that of any attempt of an earlier delivery."""
    begun: int = 0
    """How many attempts are known to have been begun before this delivery."""
    delivered: int = 0
    """How often the job was delivered before, here or elsewhere, by a broker that has
    several workers to choose from; one that has not leaves it at 0."""


@dataclass(frozen=True, slots=True)
class SubscribeJobs:
    """Deliver the language's jobs and controls to the actor of this name."""

    language: str
    queue_name: str


@dataclass(frozen=True, slots=True)
class JobDelivered:
    """A job for the language queue to look after."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class AckJob:
    """The job has ended and its terminal event is confirmed."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class ReturnJob:
    """The job was not begun: deliver it to somebody else."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class LeasesLost:
    """The connection is gone: every lease of this language is stale.

    What waits is delivered again, here or elsewhere. What runs goes on: if it is
    delivered here again, it joins.
    """

    language: str


@dataclass(frozen=True, slots=True)
class ReturnWaiting:
    """The process drains: return what waits, now and from now on."""

    language: str


@dataclass(frozen=True, slots=True)
class PublishDead:
    """Keep a copy of a message that can't be worked on, and why.

    Once it is kept for good, `confirm_to` gets a `DeadPublished`.
    """

    body: bytes
    reason: str
    tag: int
    generation: int
    confirm_to: str


@dataclass(frozen=True, slots=True)
class DeadPublished:
    """The copy is kept: the message of this tag may be acknowledged."""

    tag: int
    generation: int


@dataclass(frozen=True, slots=True)
class PublishEvents:
    """Append to the event stream, in this order."""

    events: tuple[JobEvent, ...]
    confirm_to: str | None = None
    """The actor that gets an `EventsConfirmed`, if any."""


@dataclass(frozen=True, slots=True)
class EventsConfirmed:
    """These events are in the stream for good."""

    events: tuple[JobEvent, ...]


@dataclass(frozen=True, slots=True)
class SubscribeEvents:
    """Send the actor of this name the stream from `offset` on, then the live."""

    subscriber: str
    offset: int


@dataclass(frozen=True, slots=True)
class EventsReceived:
    """The next events of the stream."""

    events: tuple[JobEvent, ...]
    offset: int
    """What was asked for, or of the first. The stream may have holes: between it and
    `next_offset` there may have been more events than are left."""
    next_offset: int
    """Follows the last."""


@dataclass(frozen=True, slots=True)
class BrokerStarted:
    """A broker connection is up anew: subscribe again."""


@dataclass(frozen=True, slots=True)
class ControlsHeard:
    """What is said to jobs from now on is kept for this worker: it may take some."""


@dataclass(frozen=True, slots=True)
class PublisherStarted:
    """What publishes was started anew: publish again what is not confirmed."""


# ----------------------------------- scheduler, language queues and containers


@dataclass(frozen=True, slots=True)
class JobsWaiting:
    """By how many more, or fewer, jobs of which clients wait in a language's backlog.

    What a `DispatchJob` takes out is not told: who has sent that knows it.
    """

    language: str
    changes: tuple[tuple[str, int], ...]
    """Client and number."""
    first: str = ""
    """The client whose turn is the next one, since one of its jobs waits again."""
    is_all: bool = False
    """Whether this is all that waits, and whatever was told before is void."""


@dataclass(frozen=True, slots=True)
class DispatchJob:
    """Hand this client's next lease to this idle container."""

    container: str
    client: str
    others_wait: bool = False
    """Whether jobs wait that can't be dispatched now, of whatever language."""
    is_guest: bool = False
    """Whether the scheduler wants to know what memory the job may have."""


@dataclass(frozen=True, slots=True)
class GuestDispatched:
    """What memory a guest's job may have in any of its steps, in MB."""

    container: str
    memory_mb: int


@dataclass(frozen=True, slots=True)
class DispatchDeclined:
    """None of the client's jobs waits here: the container is still idle."""

    container: str
    language: str
    client: str


@dataclass(frozen=True, slots=True)
class RunJob:
    """Run the lease's job; the container is idle."""

    lease: Lease
    attempt: int
    queued_s: float
    """How long the job has waited, for its usage."""
    others_wait: bool = False
    """Whether jobs wait that could not be dispatched either, of whatever language."""
    is_guest: bool = False
    """Whether the scheduler wants to know what memory the job may have."""


@dataclass(frozen=True, slots=True)
class JobFinished:
    """A container is through with a job; the queue makes the end known."""

    job_id: str
    attempt: int
    result: JobResult
    rest: tuple[JobEvent, ...] = ()
    """The job's last events before its end, to be published along with it."""


@dataclass(frozen=True, slots=True)
class JobReturned:
    """A container could not take the job, and has not begun with it."""

    job_id: str
    container: str


@dataclass(frozen=True, slots=True)
class ContainerIdle:
    """The container is proven clean and waits for a job.

    wakes: what is to wait there for the job has yet to start, which takes a moment.
    tenant: the only client whose jobs may run there; empty where all may.
    answers: who asked how things stand; empty where nobody did.
    """

    container: str
    language: str
    wakes: bool = False
    tenant: str = ""
    answers: str = ""


@dataclass(frozen=True, slots=True)
class ContainerBusy:
    """The container runs a job; an answer to `ReportState`."""

    container: str
    language: str
    client: str
    """Whose job it is."""
    memory_mb: int
    """What memory the job may have in any of its steps."""
    answers: str = ""
    """Who asked."""


@dataclass(frozen=True, slots=True)
class SlotFreed:
    """The container holds no slot: its job has ended, or it has had none yet.

    answers: who asked how things stand; empty where nobody did.
    """

    container: str
    answers: str = ""


@dataclass(frozen=True, slots=True)
class ContainerGone:
    """The container is dead or retired and will not be heard of again."""

    container: str
    language: str
    spoiled: bool = False
    """Whether it had to go because of what a job has left there."""


@dataclass(frozen=True, slots=True)
class ReportState:
    """A new scheduler asks queues and containers how things stand.

    asker: what a container's answer repeats. What it tells by itself may be on its way
    just then, and is no answer: another one comes behind it.
    """

    asker: str = ""


# ------------------------------------------------------------------- engine


@dataclass(frozen=True, slots=True)
class EngineFailed:
    """The engine could not start the container.

    refused: it is there, and has answered that it would not.
    """

    reason: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class FramesReceived:
    """What the runner wrote, decoded, in order."""

    frames: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The attach stream is at its end: the container has died or babbled.

    container_id: which it was; there may be another by now.
    """

    reason: str
    container_id: str


@dataclass(frozen=True, slots=True)
class DeathExplained:
    """What the engine knows of a container's death under a job."""

    out_of_memory: bool


@dataclass(frozen=True, slots=True)
class MemorySet:
    """The container's memory limit is in force."""

    memory_mb: int


@dataclass(frozen=True, slots=True)
class MemoryRefused:
    """The engine could not change the memory limit of the container that runs.

    refused: it is there, and has answered that it would not.
    """

    reason: str
    refused: bool = False


# --------------------------------------------------------------- supervision


@dataclass(frozen=True, slots=True)
class Boot:
    """Set yourself up. Every actor's first message, sent by itself."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A timer of the actor has run out."""

    name: str
    generation: int
    """A tick whose timer was set anew or cancelled is stale."""


@dataclass(frozen=True, slots=True)
class ChildExited:
    """The death notice to the supervisor."""

    name: str
    urn: str
    crashed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class RestartChildren:
    """A supervisor's note to itself: start what is down, in order."""


# -------------------------------------------------------------------- pools


@dataclass(frozen=True, slots=True)
class GrowPool:
    """Jobs wait, none of the language's containers is idle, slots are free."""

    wanted: int
    guests: int = 0
    """How many of these are for clients that have nothing running: for them a pool may
    grow beyond its maximum."""


@dataclass(frozen=True, slots=True)
class ExpectDemand:
    """So many of the language's containers will be in use when one could be ready."""

    containers: int


@dataclass(frozen=True, slots=True)
class StartTook:
    """So long it took one of the language's containers to be ready."""

    language: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TrimIdle:
    """Retire at most `excess` containers that have been idle for `idle_s`."""

    language: str
    excess: int
    idle_s: float


@dataclass(frozen=True, slots=True)
class Retire:
    """End after this: you are idle and no longer needed."""

    reason: str


@dataclass(frozen=True, slots=True)
class ContainerReady:
    """A container that was starting is ready for jobs."""

    container: str


@dataclass(frozen=True, slots=True)
class ContainerFailed:
    """A container could not start or broke; for the pool's back-off."""

    container: str
    reason: str


@dataclass(frozen=True, slots=True)
class DescribePool:
    """Asked from outside; answered with a `PoolStatus`."""


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """How one language's pool stands."""

    language: str
    ready: int
    starting: int
    paused: str
    """Why no container is being started; empty when all is well."""


# ------------------------------------------------------- position and buckets


@dataclass(frozen=True, slots=True)
class FindPosition:
    """Asked from outside where a job stands in its queue.

    Answered with its turn, from 1; "running" from when a container has been given it
    until its end is known to all; None when it is not here.
    """

    job_id: str


@dataclass(frozen=True, slots=True)
class TakeToken:
    """Ask for tokens of this client's bucket."""

    client: str
    reply: Callable[[TokenReply], None]
    cost: float = 1
    """How many: all or none. Of more than the bucket holds, it asks for a full one."""


@dataclass(frozen=True, slots=True)
class TokenReply:
    """The bucket's answer."""

    granted: bool
    limit: int
    """The bucket's size."""
    remaining: int
    retry_after_s: float
    """Until there are as many as were asked for; 0 when granted."""
    reset_s: float
    """Until the bucket is full again."""


@dataclass(frozen=True, slots=True)
class BucketFull:
    """The bucket is full again and remembers nothing: it may go."""

    client: str
    asked: int
    """How many requests it has answered; if more were passed to it, it stays."""


# -------------------------------------------------------------------- relay


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    """An event as watchers see it; `id` counts from 1 within its job."""

    id: int
    event: JobEvent


@dataclass(frozen=True, slots=True)
class WatchJob:
    """Hand over the job's events after `after_id`, then the live ones.

    `deliver` is called with a batch and must neither block nor raise. It returns
    False when its watcher can't keep up, and is then forgotten, as it is with the
    job's end. An empty batch says that no more will come, though the job has not ended:
    watch again. Answered (when asked) with True, False when the job is unknown, or
    "unread" when that can't be told yet.
    """

    job_id: str
    after_id: int
    deliver: Callable[[tuple[NumberedEvent, ...]], bool]


@dataclass(frozen=True, slots=True)
class AwaitRead:
    """Call `reply` once the relay has read what the stream held when it started.

    `reply` must neither block nor raise.
    """

    reply: Callable[[], None]


@dataclass(frozen=True, slots=True)
class StreamRead:
    """To the relay, by the fleet: what the stream held when you asked is read."""


@dataclass(frozen=True, slots=True)
class UnwatchJob:
    """Forget this watcher."""

    job_id: str
    deliver: Callable[[tuple[NumberedEvent, ...]], bool]


@dataclass(frozen=True, slots=True)
class LookUpJob:
    """Asked from outside; answered with a `JobView`, a `JobExpired` or None.

    "unread" says that the stream has not been read yet, and what is known may be half
    of it (see `AwaitRead`).
    """

    job_id: str


@dataclass(frozen=True, slots=True)
class JobExpired:
    """The job has ended, and nothing else is left of it."""

    fingerprint: str
    """Of the request under its idempotency key."""


@dataclass(frozen=True, slots=True)
class ReserveStdin:
    """Asked from outside, whether so many bytes more may be sent to the job's stdin.

    Answered with "reserved", "done", "closed", "too_large", "full" or "client_full", or
    where there is no such job as `LookUpJob` is.
    """

    job_id: str
    size: int
    end: bool


@dataclass(frozen=True, slots=True)
class StdinClosed:
    """The end of the job's stdin has been sent: nothing may follow."""

    job_id: str


@dataclass(frozen=True, slots=True)
class AwaitJob:
    """Call `reply` once the relay knows this job: it may be new to this gateway.

    `reply` must neither block nor raise. It may never be called: its caller has an
    end to its patience.
    """

    job_id: str
    reply: Callable[[], None]


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as its events tell it."""

    id: str
    language: str
    created_at: float
    state: Literal["queued", "running", "done"]
    attempt: int
    events: tuple[NumberedEvent, ...]
    result: JobResult | None
    fingerprint: str = ""


# -------------------------------------------------------------------- fleet


@dataclass(frozen=True, slots=True)
class LanguageStatus:
    """How one language stands on one worker."""

    name: str
    version: str
    """As the image's own tool prints it."""
    ready: int
    starting: int
    paused: str
    """Why no container is being started; empty when all is well."""


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What one worker can run."""

    worker_id: str
    at: float
    """Seconds since the epoch, by the worker's clock."""
    languages: tuple[LanguageStatus, ...]


@dataclass(frozen=True, slots=True)
class PublishReport:
    """Let all gateways know. It is not kept when the broker is away."""

    report: WorkerReport


@dataclass(frozen=True, slots=True)
class WorkerReported:
    """A worker's report has come through the broker; it may be an old one."""

    report: WorkerReport


@dataclass(frozen=True, slots=True)
class DescribeFleet:
    """Asked from outside; answered with a `FleetStatus`."""


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """What can run where: each language summed over all workers that are heard of."""

    workers: int
    languages: tuple[LanguageStatus, ...]
    """`paused` only where it is paused at every worker that has it."""


@dataclass(frozen=True, slots=True)
class AwaitEcho:
    """Call `reply` once all is read here that the stream held when this was asked.

    `reply` must neither block nor raise. It is never called while the broker is away.
    """

    reply: Callable[[], None]
