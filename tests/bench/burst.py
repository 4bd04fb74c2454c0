"""The burst: thousands of jobs from a thousand clients, all at once."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from crowds import Crowds
from machine import cpu_seconds, reset_peak, resident_mb
from raw_http import RawClient, get_request
from spread import percentile

GENERATORS = 2
HEAVY = 20
"""Clients that post half of all jobs; as many clients post a single job each."""
PAGE_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Plan:
    """How many jobs, and how many clients share them."""

    jobs: int
    clients: int

    def shares(self) -> list[tuple[str, int]]:
        """Return each client's address and its number of jobs."""
        single = heavy = min(HEAVY, self.clients // 4)
        others = self.clients - heavy - single
        left = self.jobs // 2 - single
        counts = [1] * single + [self.jobs // 2 // heavy] * heavy
        counts += [left // others + (n < left % others) for n in range(others)]
        return [(address(number), count) for number, count in enumerate(counts)]


def address(number: int) -> str:
    """Return an address of this host: to Warmbox, a client is an address."""
    return f"127.1.{number // 250}.{number % 250 + 1}"


class PageVisitor:
    """Somebody who loads the home page again and again, on new connections."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._visit)
        self.times_ms: list[float] = []
        self.failed = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _visit(self) -> None:
        while not self._over.wait(PAGE_EVERY_S):
            started = time.monotonic()
            try:
                client = RawClient(self._port)
                status, _ = client.call(get_request("/"))
                client.close()
            except OSError:
                status = 0
            self.failed += status != 200
            self.times_ms.append((time.monotonic() - started) * 1e3)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the burst goes."""

    port: int
    pid: int
    """The server, whose memory is looked at."""
    path: str = "/v1/jobs"


def burst(target: Target, plan: Plan) -> dict[str, Any]:
    """Let them all come; return what became of them."""
    shares = plan.shares()
    todo = [
        {
            "kind": "burst",
            "port": target.port,
            "path": target.path,
            "shares": shares[part::GENERATORS],
        }
        for part in range(GENERATORS)
    ]
    visitor = PageVisitor(target.port)
    with Crowds(todo) as crowds:
        crowds.wait_ready()
        rest = resident_mb(target.pid)
        reset_peak(target.pid)
        visitor.start()
        started, cpu = time.monotonic(), cpu_seconds(target.pid)
        try:
            crowds.tell()
            jobs = [job for part in crowds.results() for job in part]
        finally:
            visitor.stop()
    tell_what_failed(jobs)
    return {
        **summary(jobs, started),
        "clients": plan.clients,
        "page_p50_ms": percentile(visitor.times_ms, 0.5),
        "page_p99_ms": percentile(visitor.times_ms, 0.99),
        "page_failed": visitor.failed,
        "memory_at_rest_mb": rest,
        "memory_above_rest_mb": resident_mb(target.pid, "VmHWM") - rest,
        "server_cpu_ms_a_job": (cpu_seconds(target.pid) - cpu) * 1e3 / plan.jobs,
    }


def tell_what_failed(jobs: list[dict[str, Any]]) -> None:
    """Say how the jobs ended that did not succeed: the summary only counts them."""
    ends = Counter(
        (job["status"], job["outcome"]) for job in jobs if job["outcome"] != "success"
    )
    for (status, outcome), count in ends.items():
        print(f"{count} of {len(jobs)} ended otherwise: {status} {outcome!r}")


def summary(jobs: list[dict[str, Any]], started: float) -> dict[str, Any]:
    """Return the figures of the jobs themselves; times in seconds since the start."""
    accepted = [job for job in jobs if job["status"] in {200, 202}]
    good = [job for job in accepted if job["outcome"] == "success"]
    last = max((job["ended"] for job in good), default=started) - started
    return {
        "jobs": len(jobs),
        "accepted": len(accepted),
        "refused": len(jobs) - len(accepted),
        "failed": len(accepted) - len(good),
        "last_answer_s": max(job["answered"] for job in jobs) - started,
        "answer_p99_ms": percentile(
            [(job["answered"] - job["posted"]) * 1e3 for job in accepted], 0.99
        ),
        "last_result_s": last,
        "jobs_a_second": len(good) / last if last else 0.0,
        **fairness(good, started),
    }


def fairness(jobs: list[dict[str, Any]], started: float) -> dict[str, float]:
    """Return when a client has all that it asked for, by how much that was."""
    ends: dict[str, list[float]] = {}
    for job in jobs:
        ends.setdefault(job["source"], []).append(job["ended"] - started)
    by_size = sorted(ends.values(), key=len)
    single = [max(times) for times in by_size if len(times) == 1]
    largest = [max(times) for times in by_size if len(times) == len(by_size[-1])]
    return {
        "client_of_one_done_s": statistics.median(single or [0.0]),
        "client_of_most_done_s": statistics.median(largest),
    }
