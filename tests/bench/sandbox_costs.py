"""What a container costs while it idles, and what its cleaning takes."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from machine import family, pss_mb, shims_of
from service_process import wait_until

if TYPE_CHECKING:
    from service_process import ServiceProcess

_BUCKET = re.compile(r'warmbox_scrub_seconds_bucket\{le="([^"]+)"\} (\S+)')
_RETIRED = re.compile(
    r'warmbox_container_retirements_total\{.*?reason="([^"]+)".*?\} (\S+)'
)
_SETTLED_S = 90
SURPLUS = "surplus"
_FAMILY = ("shim", "runner", "launcher", "next process")
"""An idle container's processes, each the parent of the following."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The service's own counters at one moment."""

    buckets: dict[float, float]
    """Scrubs by the longest time in seconds that they took."""
    retired: dict[str, float]
    """Containers destroyed, by reason."""


def read_counts(service: ServiceProcess) -> Counts:
    text = service.api.call("GET", "/metrics").body.decode()
    buckets = {float(le): float(count) for le, count in _BUCKET.findall(text)}
    retired: dict[str, float] = {}
    for reason, count in _RETIRED.findall(text):
        retired[reason] = retired.get(reason, 0) + float(count)
    return Counts(buckets, retired)


def scrub_bound_ms(before: Counts, after: Counts, share: float = 0.95) -> float:
    """Return a bound that this share of the scrubs in between kept, linear in a bucket.

    The service counts in buckets: within one, all times are taken as equally likely.
    """
    counts = [
        (bound, after.buckets[bound] - before.buckets[bound]) for bound in after.buckets
    ]
    wanted = share * counts[-1][1]
    low, below = 0.0, 0.0
    for bound, count in counts:
        if count >= wanted:
            within = (wanted - below) / max(1, count - below)
            return (low + within * (bound - low)) * 1e3
        low, below = bound, count
    return float("nan")


def retired_between(before: Counts, after: Counts) -> dict[str, float]:
    counts = {
        reason: count - before.retired.get(reason, 0)
        for reason, count in after.retired.items()
    }
    return {reason: count for reason, count in counts.items() if count}


def wait_idle(service: ServiceProcess) -> None:
    """Wait until no container is busy, being cleaned or starting."""

    def idle() -> bool:
        states = ("busy", "scrubbing", "starting")
        metric = service.api.metric
        return not any(metric("warmbox_containers", state=state) for state in states)

    wait_until(idle, _SETTLED_S, "all containers idle", poll_s=0.3)


def idle_container_mb(service: ServiceProcess, language: str) -> dict[str, float]:
    """Return what an idle container costs, the mean of all, in MB of 2**20.

    All host memory by PSS: its shim, and every process in it.
    """
    wait_idle(service)
    shims = shims_of(service.docker, service.containers(language))
    costs = [[*map(pss_mb, family(pid))] for pid in shims]
    each = dict(
        zip(_FAMILY, map(statistics.mean, zip(*costs, strict=True)), strict=True)
    )
    return {**each, "whole": sum(each.values())}
