"""How long jobs wait while a pool grows, and how many containers it starts for them."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from service_process import ServiceProcess
from spread import percentile

if TYPE_CHECKING:
    from collections.abc import Iterator

WARM, MOST = 2, 12
POOLS = {
    f"always {MOST}": {"pool__warm": MOST, "pool__max": MOST},
    f"{WARM}, growing to {MOST}": {"pool__warm": WARM, "pool__max": MOST},
    f"always {WARM}": {"pool__warm": WARM, "pool__max": WARM},
}
JOB_S = 1.0
"""What each job of the rising load sleeps: as many run at once as come in a second."""
RISE_S = 15.0
SHORT_JOBS = 100


def elastic() -> list[dict[str, Any]]:
    """Let the same load meet a pool that grows, and two that don't."""
    return [{"containers": name} | _meet(pool) for name, pool in POOLS.items()]


def _meet(pool: dict[str, int]) -> dict[str, float]:
    settings = {"languages": "python", "running_max": MOST, **pool}
    with ServiceProcess(**settings) as service:
        short = _run_all(service, "print(1)", [0.0] * SHORT_JOBS)
        after_short = len(service.containers("python"))
        rising = _run_all(service, f"__import__('time').sleep({JOB_S})", [*_rise()])
        after_rise = len(service.containers("python"))
    return {
        f"wait of {SHORT_JOBS} short jobs at once, p95, ms": percentile(short, 0.95),
        "containers started for them": after_short - pool["pool__warm"],
        "wait under the rising load, mean, ms": statistics.mean(rising),
        "the same, p95": percentile(rising, 0.95),
        "containers started for it": after_rise - after_short,
    }


def _rise() -> Iterator[float]:
    """Yield when jobs come: at a rate from nothing to a few less than may run."""
    last = MOST - 2
    for number in range(int(last * RISE_S / 2)):
        yield (2 * number * RISE_S / last) ** 0.5


def _run_all(service: ServiceProcess, source: str, times: list[float]) -> list[float]:
    """Run a job at each of these times in seconds; return their waits in ms."""
    started = time.monotonic()

    def run(at: float) -> float:
        time.sleep(max(0, started + at - time.monotonic()))
        found = service.api.run("python", source)
        assert found.outcome == "success", found.document
        return float(found.document["usage"]["queue_ms"])

    with ThreadPoolExecutor(len(times)) as threads:
        return list(threads.map(run, times))
