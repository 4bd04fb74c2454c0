"""Every instrument of the service. Only the owner of a fact writes it.

Labels are bounded: never a client, a job or a container id.
"""

from __future__ import annotations

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from metrics import plain_value

plain_value.use()

REGISTRY = CollectorRegistry(auto_describe=True)

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
# Finer where nearly all are, or else no share of them could be told from another.
_SCRUB_SECONDS = (
    *(0.002, 0.004, 0.006, 0.008, 0.01, 0.0125, 0.015, 0.02, 0.025, 0.035),
    *(0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


queue_depth = Gauge(
    "warmbox_queue_depth",
    "Leases waiting in a language's backlog.",
    ["language"],
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
guests = Gauge(
    "warmbox_guests",
    "Jobs running in slots beyond running_max, of clients that had nothing running.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
containers = Gauge(
    "warmbox_containers",
    "Containers by state: starting, idle, busy, scrubbing.",
    ["language", "state"],
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
jobs_total = Counter(
    "warmbox_jobs_total",
    "Jobs ended, by outcome.",
    ["language", "outcome"],
    registry=REGISTRY,
)
job_seconds = Histogram(
    "warmbox_job_seconds",
    "Time of a job's phases: queue, compile, run, total.",
    ["language", "phase"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
restarts_total = Counter(
    "warmbox_restarts_total",
    "Children that a supervisor started anew after they had ended.",
    ["child"],
    registry=REGISTRY,
)
pool_paused = Gauge(
    "warmbox_pool_paused",
    "1 while a pool waits before it starts containers again.",
    ["language"],
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
abandoned_total = Counter(
    "warmbox_abandoned_total",
    "Children that did not stop in their shutdown time and were left behind.",
    ["child"],
    registry=REGISTRY,
)
container_retirements_total = Counter(
    "warmbox_container_retirements_total",
    "Containers destroyed, by reason.",
    ["language", "reason"],
    registry=REGISTRY,
)
scrub_seconds = Histogram(
    "warmbox_scrub_seconds",
    "Time from a job's end in its container until we know that it is proven clean.",
    buckets=_SCRUB_SECONDS,
    registry=REGISTRY,
)
rate_limited_total = Counter(
    "warmbox_rate_limited_total",
    "Requests refused because their client's bucket was empty.",
    registry=REGISTRY,
)
rejected_total = Counter(
    "warmbox_rejected_total",
    "Requests refused, by problem code.",
    ["code"],
    registry=REGISTRY,
)
unreadable_total = Counter(
    "warmbox_unreadable_total",
    "Messages from the broker that could not be read: control, event, job, report.",
    ["kind"],
    registry=REGISTRY,
)
bound_fill = Gauge(
    "warmbox_bound_fill_ratio",
    "How full a bound is that clients share, from 0 to 1.",
    ["bound"],
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
watchers = Gauge(
    "warmbox_watchers",
    "Open event streams.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
answer_bytes = Gauge(
    "warmbox_answer_bytes",
    "Output that unfinished answers and event streams keep in memory.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
answer_bytes_max = Gauge(
    "warmbox_answer_bytes_max",
    "How much of it there may be: beyond, answers are refused (`answers_full`).",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
broker_up = Gauge(
    "warmbox_broker_up",
    "1 while the broker takes jobs.",
    multiprocess_mode="livemin",
    registry=REGISTRY,
)
loop_lag_seconds = Gauge(
    "warmbox_loop_lag_seconds",
    "How late the event loop last woke a timer; the longest of the last minute.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)


# To look one up by its labels takes longer than to change it. Only of what is never
# removed: these are kept for good.


@cache
def queue_depth_of(language: str) -> Gauge:
    """Return the one for a language."""
    return queue_depth.labels(language)


@cache
def jobs_total_of(language: str, outcome: str) -> Counter:
    """Return the one for an outcome."""
    return jobs_total.labels(language, outcome)


@cache
def job_seconds_of(language: str, phase: str) -> Histogram:
    """Return the one for a phase."""
    return job_seconds.labels(language, phase)
