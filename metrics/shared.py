"""The metrics of several processes that share a port, shown as those of one.

prometheus-client's own way: where the variable names a folder, each process keeps its
figures in files there, and whoever is asked adds all of them up.
"""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from metrics.instruments import REGISTRY

FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def shown() -> CollectorRegistry:
    """Return what Prometheus sees."""
    if FOLDER not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def forget_process(pid: int, folder: str) -> None:
    """Let the gauges of a process that has ended count no more."""
    mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
