"""What can be set, its type and its default. `settings` reads it from all sides."""

from __future__ import annotations

import os
import re
from ipaddress import ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from supervisors.broker_url import EMBEDDED, check_urls, split_urls

SECRET_LENGTH_MIN = 16

# ------------------------------------------------------------------- values


def _running_max() -> int:
    return 2 * len(os.sched_getaffinity(0))


def _body_kb_max(http: dict[str, Any]) -> int:
    # what JSON writes as \u04e6 is a third as long in UTF-8
    return 3 * int(http["source_kb_max"] + http["stdin_kb_max"]) + 256


def _guests_max(given: dict[str, Any]) -> int:
    return 2 * int(given.get("running_max", 1))  # none, if that was refused


def _guests_mb_max() -> int:
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return max(1, pages * page // 4 >> 20)


def _split(value: object) -> object:
    # where only text can be written, lists are comma separated
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return tuple(value) if isinstance(value, list) else value


def _pairs(value: tuple[str, ...]) -> tuple[str, ...]:
    pairs = [[part.strip() for part in entry.split("=")] for entry in value]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):  # noqa: PLR2004
        raise ValueError("should be a list of LANGUAGE=RUNTIME")
    return tuple("=".join(pair) for pair in pairs)


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for entry in value:
        ip_network(entry)
    return value


def _host_names(value: tuple[str, ...]) -> tuple[str, ...]:
    for name in value:
        if name != "*" and not re.fullmatch(r"[A-Za-z0-9._-]+", name):
            raise ValueError(f"{name!r} should be a name without scheme and port, or *")
    return value


def _origins(value: tuple[str, ...]) -> tuple[str, ...]:
    for origin in value:
        if origin != "*" and not re.fullmatch(
            r"[a-z][a-z0-9+.-]*://[^/?#@\s]+", origin
        ):
            raise ValueError(f"{origin!r} should be as https://learn.example, or *")
    return value


def _known_broker(value: str) -> str:
    if value != EMBEDDED:
        check_urls(value)
    return value


def _strong_secret(value: str) -> str:
    if value and len(value) < SECRET_LENGTH_MIN:
        raise ValueError(f"should have at least {SECRET_LENGTH_MIN} characters")
    return value


Broker = Annotated[str, AfterValidator(_known_broker)]
Secret = Annotated[str, AfterValidator(_strong_secret)]
# a header carries it
AdminKey = Annotated[Secret, Field(pattern=r"^[!-~]*$")]
# RabbitMQ's names hold 255 bytes, and metrics and logs show this one
WorkerId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")]
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Networks = Annotated[Names, AfterValidator(_networks)]
HostNames = Annotated[Names, AfterValidator(_host_names)]
Origins = Annotated[Names, AfterValidator(_origins)]
Runtimes = Annotated[Names, AfterValidator(_pairs)]
Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
CountOrNone = Annotated[int, Field(ge=0)]
# docker refuses less
Cpus = Annotated[float, Field(ge=0.01, allow_inf_nan=False)]
# what waits in a container waits in milliseconds, of which there are 2**31
Seconds = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# docker refuses less than 6 MB; no interpreter starts in less than this
MemoryMb = Annotated[int, Field(ge=16)]
# the kernel knows of no more
Processes = Annotated[int, Field(ge=1, le=4_194_304)]
# no place that a program can write to holds a longer file
FileSizeKb = Annotated[int, Field(ge=1, le=65_536)]
# What all jobs may have must let each language's interpreter start: Node opens 24 files
# at once, and V8 believes to have 984 KiB of stack. One job may ask for less. What is
# above, the doctor takes for no bound.
OpenFiles = Annotated[int, Field(ge=64, le=4096)]
StackKb = Annotated[int, Field(ge=1024, le=1_048_576)]


# ------------------------------------------------------------------- models


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pool(_Group):
    """How many containers each language keeps."""

    warm: CountOrNone = 5
    max: Count = 10
    idle_s: Seconds = 60
    """How long a container above `warm` may idle before it goes."""
    starts_max: Count = 8
    """Containers starting at once, over all pools: starting is what slows a host."""


class RateLimit(_Group):
    """One client's token bucket."""

    per_second: Rate = 10
    burst: Count = 20
    clients_max: Count = 10_000
    reads_per_second: Rate | None = None
    """Requests that need no token; None means ten times `per_second`."""
    reads_burst: Count | None = None
    """None means ten times `burst`."""


class DefaultLimits(_Group):
    """What a job gets that asks for nothing; None leaves it to its language."""

    wall_time_s: Seconds | None = None
    cpu_time_s: Seconds | None = None
    memory_mb: MemoryMb | None = None
    output_kb: Count | None = None
    processes: Count | None = None
    file_size_kb: FileSizeKb | None = None
    open_files: OpenFiles | None = None
    stack_kb: StackKb | None = None


class CompileCaps(_Group):
    """The most that a job may ask for its compile step."""

    wall_time_s: Seconds = 60
    cpu_time_s: Seconds = 30
    memory_mb: MemoryMb = 1024


class Caps(_Group):
    """The most that a job may ask for."""

    wall_time_s: Seconds = 30
    cpu_time_s: Seconds = 30
    memory_mb: MemoryMb = 1024
    output_kb: Count = 8192
    processes: Processes = 256
    file_size_kb: FileSizeKb = 65_536
    open_files: OpenFiles = 1024
    stack_kb: StackKb = 262_144
    """What it uses of it counts as memory: a large one is no more than a promise."""
    compile: CompileCaps = CompileCaps()


class Http(_Group):
    """What one request may carry and hold."""

    source_kb_max: Count = 1024
    files_max: Count = 64
    stdin_kb_max: Count = 1024
    job_stdin_kb_max: Annotated[int, Field(ge=1, le=8192)] = 4096
    """What may be sent to one job while it waits and runs. A worker keeps no more."""
    stdins_mb_max: Annotated[int, Field(ge=1, le=48)] = 32
    """The same of all jobs together. Who publishes to RabbitMQ keeps no more."""
    body_kb_max: Count = Field(default_factory=_body_kb_max)
    """Of a whole request."""
    bodies_mb_max: Count = 32
    """Bodies of all clients together, while they are read and made into jobs."""
    args_max: CountOrNone = 64
    env_max: CountOrNone = 64
    connections_max: Count = 12_000
    connections_per_client_max: Count = 1000
    """Of one address, unless it is one of `proxies`."""
    hosts: HostNames = ()
    """Names that the service answers to, beside localhost and all addresses; `*`: any.
    """
    origins: Origins = ()
    """Of web pages that may use the service from elsewhere; `*`: any."""
    proxies: Networks = ()
    """Addresses or networks whose `X-Forwarded-For` is believed."""
    wait_s_max: Count = 60
    body_timeout_s: Seconds = 10
    answers_mb_max: Count = 64
    """Of output that unfinished answers and event streams keep, all together."""
    answers_per_client_mb_max: Count = 16
    """Who has none under way may have one of any size."""
    send_timeout_s: Seconds = 20
    """How long a client may take over one piece of an answer, 69 KB at most."""
    send_kb_s_min: Rate = 16
    """How fast it must take an answer on the whole, beyond that time."""
    streams_per_client_max: Count = 500
    """Event streams that one client may have open."""
    streams_per_job_max: Count = 500


# who listens everywhere is found here
_LOOPBACKS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - a key only


class Settings(_Group):
    """Everything that can be set, with its default."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Port = 8000
    broker: Broker = EMBEDDED
    """`embedded`, or the URLs of RabbitMQ's nodes, comma separated."""
    role: Literal["all", "gateway", "worker"] = "all"
    gateways: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that share the port; more than one only for the role `gateway`."""
    nice: Annotated[int, Field(ge=-20, le=19)] = -10
    """The service's own priority, where the kernel allows it: programs run after it."""
    secret: Secret = ""
    """What makes idempotency keys mean the same on all gateways; see `secret_of`."""
    admin_key: AdminKey = ""
    """Opens the live tree (`/v1/system`), and nothing else does; empty leaves it to who
    is on this machine, unless `http.hosts` or `http.proxies` tell of a proxy."""
    worker_id: WorkerId = ""
    """This worker among all; empty means one made up at each start."""
    languages: Names = ()
    """Empty means all whose images are built; for a gateway, all there are."""
    pool: Pool = Pool()
    running_max: Count = Field(default_factory=_running_max)
    guests_max: CountOrNone = Field(default_factory=_guests_max)
    """Slots beyond `running_max` for clients that have nothing running, and containers
    of a language beyond `pool.max`."""
    guests_mb_max: Count = Field(default_factory=_guests_mb_max)
    """What all jobs in these slots may have of memory, in MB; one may run in any case.
    """
    queue_max: Count = 20_000
    """Unfinished jobs a language; one more is refused."""
    queue_mb_max: Count = 128
    """What all unfinished jobs hold together: sources, files, stdin."""
    result_ttl_s: Seconds = 600
    results_mb_max: Count = 256
    rate: RateLimit = RateLimit()
    client_share: Share = 0.5
    """Of what the others leave of a shared bound, the part that one client may have."""
    limits: DefaultLimits = DefaultLimits()
    caps: Caps = Caps()
    http: Http = Http()
    runtime: Annotated[str, Field(min_length=1)] = "runc"
    runtimes: Runtimes = ()
    """Languages that run under another one, as `java=runsc`."""
    require: Names = ()
    """Checks of the doctor's without which the service does not start."""
    reuse: Literal["always", "tenant", "never"] = "always"
    jobs_per_container_max: Count = 10_000
    container_age_s_max: Seconds = 3600
    scrub_s: Seconds = 5
    deadline_grace_s: Seconds = 3
    cpus: Cpus = 1.0
    uid_first: Annotated[int, Field(ge=1000, le=2**31)] = 100_000
    uids_per_container: Annotated[int, Field(ge=3, le=65_536)] = 10_240
    attempts_max: Count = 3
    drain_s: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] = 10

    @property
    def runtime_of(self) -> dict[str, str]:
        """The runtimes of the languages that have one of their own."""
        return dict(entry.split("=", 1) for entry in self.runtimes)

    @property
    def broker_urls(self) -> tuple[str, ...]:
        """The nodes of RabbitMQ, in the order they are tried; none when embedded."""
        return () if self.broker == EMBEDDED else split_urls(self.broker)

    @property
    def url(self) -> str:
        """The address under which a client on this machine finds the service."""
        host = _LOOPBACKS.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
