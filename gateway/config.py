"""What the gateway is told from outside, and every bound that it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from actors.messages import CompileLimits, Limits

IpNetwork = IPv4Network | IPv6Network

_CAPS = Limits(
    wall_time_s=30,
    cpu_time_s=30,
    memory_mb=1024,
    output_kb=8192,
    processes=256,
    stack_kb=262_144,
    compile=CompileLimits(wall_time_s=60, cpu_time_s=30, memory_mb=1024),
)


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """The gateway's settings, handed down at the start."""

    secret: bytes
    """Makes the ids of jobs with an idempotency key: the same on all gateways."""
    admin_key: str = ""
    """Opens `/v1/system`; empty leaves it to local clients, where no proxy is told of
    (`hosts`, `proxies`)."""
    host: str = "127.0.0.1"
    port: int = 8000
    """0 lets the system choose."""
    source_kb_max: int = 1024
    """Of all files of a job together."""
    body_kb_max: int = 6400
    bodies_mb_max: int = 32
    """Of all clients, while they are read and made into jobs."""
    client_share: float = 0.5
    """The part that one client may have of what the others leave of such a bound."""
    files_max: int = 64
    args_max: int = 64
    env_max: int = 64
    stdin_kb_max: int = 1024
    wait_s_max: int = 60
    """The longest `Prefer: wait`."""
    body_timeout_s: float = 10
    idle_timeout_s: float = 75
    """How long a kept connection may stay without a request."""
    header_timeout_s: float = 10
    publish_timeout_s: float = 5
    unknown_wait_s: float = 0
    """How long a job that is unknown here may still arrive from another gateway.

    0 where there is no other; else idempotency keys are looked up here first, since
    the broker does not know them.
    """
    connections_max: int = 12000
    connections_per_client_max: int = 1000
    """Of one address, unless it is a proxy's."""
    proxies: tuple[IpNetwork, ...] = ()
    """Whose `X-Forwarded-For` is believed."""
    hosts: tuple[str, ...] = ()
    """The service's names, beside localhost, `host` and all addresses; `*` is any."""
    origins: tuple[str, ...] = ()
    """Of web pages that may ask from elsewhere, as `https://learn.example`; `*`: any.
    """
    heartbeat_s: float = 15
    answers_mb_max: int = 64
    """Of output that unfinished answers and event streams keep, all together."""
    answers_per_client_mb_max: int = 16
    """Who has none under way may have one of any size."""
    send_timeout_s: float = 20
    """How long a client may take over one piece of an answer (69 KB at most)."""
    send_kb_s_min: float = 16
    """How fast it must take an answer on the whole, beyond that time."""
    streams_per_client_max: int = 500
    streams_per_job_max: int = 500
    reads_per_second: float = 100
    """Requests of one client that need no token."""
    reads_burst: int = 200
    reads_clients_max: int = 10_000
    """Whose rate is known; more share one."""
    watcher_events_max: int = 1024
    """How far a watcher may fall behind before it has to come back."""
    caps: Limits = _CAPS
    """The most that a request may ask for."""
