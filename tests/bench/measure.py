"""One round of one figure: latencies in turns, throughput, processor time a job."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from load import Load, Loaded
from machine import (
    DAEMONS,
    busy_seconds,
    container_cpu_seconds,
    cpu_seconds,
    named,
    shims_of,
)
from ways import BARE, EXEC, NAIVE, RUN, WAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from service_process import ServiceProcess
    from ways import Run, Site
    from workloads import Workload

HERE = Path(__file__).parent
REST_S = {"python": 0.015}
"""Between two measurements, so that a scrub or an exit is over by then."""
REST_OF_OTHERS_S = 0.15
"""Likewise, when a start ahead of the next job takes longer than a fork does."""
TURNS_MIN = 6
EVERY = {EXEC: 3, RUN: 10}
"""Slow ways have their turn less often."""
REST_AFTER = {EXEC: 0.3, RUN: 0.5}
"""Docker clears up after its answer: whoever came next would be charged for that."""
_METER_TRIES = 5

Costs = dict[str, float]
"""Seconds or milliseconds of processor time, by process."""


# --------------------------------------------------------------------- latency


def latencies_of(
    site: Site, workload: Workload, ways: Iterable[str], seconds: float
) -> dict[str, list[float]]:
    """Measure this workload, with new clients, for about so many seconds."""
    rest_s = REST_S.get(workload.language, REST_OF_OTHERS_S)
    return latencies(clients(site, workload, ways), seconds, rest_s)


def clients(site: Site, workload: Workload, ways: Iterable[str]) -> dict[str, Run]:
    """Return a client of each way that has already run once: that warms it up."""
    runs = {way: WAYS[way](site, workload) for way in ways}
    for run in runs.values():
        run()
    time.sleep(max(REST_AFTER.values()))
    return runs


def latencies(
    runs: dict[str, Run], seconds: float, rest_s: float
) -> dict[str, list[float]]:
    """Let one client of each way take turns; return their times in milliseconds."""
    times: dict[str, list[float]] = {way: [] for way in runs}
    deadline = time.monotonic() + seconds
    turn = 0
    while turn < TURNS_MIN or time.monotonic() < deadline:
        for way, run in runs.items():
            if turn % EVERY.get(way, 1) == 0:
                times[way].append(taken_ms(run, rest_s))
                time.sleep(REST_AFTER.get(way, 0))
        turn += 1
    return times


def taken_ms(run: Run, rest_s: float) -> float:
    time.sleep(rest_s)
    started = time.perf_counter()
    run()
    return (time.perf_counter() - started) * 1e3


# ------------------------------------------------------------------ throughput


def run_load(load: Load) -> Loaded:
    """Let a load generator do it; what fails ends the whole measurement."""
    done = subprocess.run(
        load.argv,
        cwd=HERE,
        input=json.dumps(asdict(load)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    loaded = Loaded(**json.loads(done.stdout))
    if loaded.failures:
        raise AssertionError(f"{load.way}: {loaded.failures}")
    return loaded


def throughput(
    site: Site, way: str, workloads: list[str], count: int, seconds: float
) -> Loaded:
    return run_load(Load(asdict(site), way, workloads, count, seconds))


# ---------------------------------------------------------------- processor time


class CostMeter:
    """Whose processor time a job takes: all processes that have a part in it."""

    def __init__(self, service: ServiceProcess, site: Site, language: str) -> None:
        self._service = service
        self._site = site
        self._language = language

    def job_ms(self, way: str, workload: str, seconds: float) -> Costs:
        """Return the milliseconds a job takes of each process, with some clients.

        A container that was replaced meanwhile took its own along: then once more.
        """
        for _ in range(_METER_TRIES):
            containers = self._service.containers(self._language)
            costs = self._job_ms(way, workload, seconds)
            if self._service.containers(self._language) == containers:
                return costs
        raise AssertionError("containers were replaced whenever it was measured")

    def _job_ms(self, way: str, workload: str, seconds: float) -> Costs:
        before, busy = self._read(way), busy_seconds()
        loaded = throughput(self._site, way, [workload], 8, seconds)
        after, all_busy = self._read(way), busy_seconds() - busy
        costs = {name: after[name] - before[name] for name in after}
        if way == BARE:
            costs["processes"] = loaded.children_cpu_seconds
        costs["client"] = loaded.own_cpu_seconds
        costs["whole machine"] = all_busy
        return {name: cost * 1e3 / loaded.jobs for name, cost in costs.items()}

    def _read(self, way: str) -> Costs:
        return _READERS.get(way, CostMeter._read_warmbox)(self)

    def _read_warmbox(self) -> Costs:
        pid = self._service.process.pid
        containers = self._service.containers(self._language)
        return {"gateway": cpu_seconds(pid), **self._docker(containers)}

    def _read_exec(self) -> Costs:
        return self._docker([self._site.boxes[self._language]])

    def _docker(self, containers: list[str]) -> Costs:
        docker = self._service.docker
        found = named(DAEMONS)
        costs = {name: sum(map(cpu_seconds, found[name])) for name in DAEMONS}
        costs["shims"] = sum(map(cpu_seconds, shims_of(docker, containers)))
        costs["containers"] = sum(
            container_cpu_seconds(docker, one) for one in containers
        )
        return costs

    def _read_naive(self) -> Costs:
        return {"server and processes": cpu_seconds(self._site.naive_pid)}

    def _read_nothing(self) -> Costs:
        return {}


_READERS: dict[str, Callable[[CostMeter], Costs]] = {
    BARE: CostMeter._read_nothing,  # noqa: SLF001 - its own table
    NAIVE: CostMeter._read_naive,  # noqa: SLF001
    EXEC: CostMeter._read_exec,  # noqa: SLF001
}
