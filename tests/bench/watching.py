"""Watchers: thousands of open event streams on one gateway, few of them with news."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from burst import address
from crowds import Crowds
from machine import cpu_seconds, resident_mb
from raw_http import RawClient, post_request
from service_process import wait_until
from spread import percentile

if TYPE_CHECKING:
    from service_process import ServiceProcess

GENERATORS = 2
SPEAKERS = 4
"""Programs with something to say; one in a hundred of the watchers follows one."""
ACTIVE_SHARE = 100
LIFE_S = 300
"""How long those programs stay, at most; the service is stopped before."""
HEARTBEAT_S = 15
"""The gateway's own: each stream gets a comment this often."""
_SPEAKER = """\
import sys, time
sys.stdin.readline()
for _ in range({lines}):
    print("now", time.time(), flush=True)
    time.sleep(0.25)
time.sleep({life})
"""
_WAITER = {"language": "python", "source": "print('Hello, world!')"}

SETTINGS = {
    "languages": "python",
    "pool__warm": SPEAKERS,
    "pool__max": SPEAKERS,
    "running_max": SPEAKERS,
    "caps__wall_time_s": LIFE_S,
    "drain_s": 0,
}
"""No more containers than speakers: all other jobs wait, with their streams."""


def watchers(service: ServiceProcess, count: int, lines: int) -> dict[str, Any]:
    """Open that many streams; return what each costs and how late its news come."""
    pid = service.process.pid
    speakers = [start_speaker(service, lines) for _ in range(SPEAKERS)]
    active = max(SPEAKERS, count // ACTIVE_SHARE)
    jobs = [speakers[n % SPEAKERS] for n in range(active)]
    jobs += waiting_jobs(service, count - active)
    streams = [(address(n % 1000), job_id) for n, job_id in enumerate(jobs)]
    todo = [
        {"kind": "watch", "port": service.port, "streams": streams[part::GENERATORS]}
        for part in range(GENERATORS)
    ]
    before = resident_mb(pid)
    with Crowds(todo) as crowds:
        crowds.wait_ready()
        each_kb = (resident_mb(pid) - before) * 1024 / count
        for job_id in speakers:
            service.api.send_stdin(job_id, b"go\n")
        time.sleep(lines * 0.25 + 2)
        at_rest = cpu_at_rest(pid)
        crowds.tell()
        seen = crowds.results()
    delays = [delay for part in seen for delay in part["delays_ms"]]
    return {
        "opened": sum(part["opened"] for part in seen),
        "closed": sum(part["closed"] for part in seen),
        "active": active,
        "memory_each_kb": each_kb,
        "events": len(delays),
        "event_p50_ms": percentile(delays, 0.5),
        "event_p99_ms": percentile(delays, 0.99),
        "cpu_at_rest_percent": at_rest,
    }


def start_speaker(service: ServiceProcess, lines: int) -> str:
    """Post a program that says the time, often, once it is told to begin."""
    job_id = service.api.submit(
        "python",
        _SPEAKER.format(lines=lines, life=LIFE_S),
        limits={"wall_time_s": LIFE_S},
        stdin_open=True,
    )
    wait_until(
        lambda: service.api.look(job_id)["state"] == "running", 30, "a speaker runs"
    )
    return job_id


def waiting_jobs(service: ServiceProcess, count: int) -> list[str]:
    """Post jobs that will wait for as long as the speakers live; return their ids."""
    post = post_request("/v1/jobs", _WAITER)

    def some(share: int) -> list[str]:
        client = RawClient(service.port)
        return [accepted(*client.call(post)) for _ in range(share)]

    parts = [count // 8 + (n < count % 8) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        return [job_id for part in pool.map(some, parts) for job_id in part]


def accepted(status: int, body: bytes) -> str:
    assert status == 202, body
    return str(json.loads(body)["id"])


def cpu_at_rest(pid: int) -> float:
    """Return the share of one core that the service uses over one heartbeat of all."""
    cpu, started = cpu_seconds(pid), time.monotonic()
    time.sleep(HEARTBEAT_S)
    return (cpu_seconds(pid) - cpu) * 100 / (time.monotonic() - started)
