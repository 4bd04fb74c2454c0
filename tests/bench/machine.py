"""What the kernel tells: of the machine, its mood, and what processes cost."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spread import percentile

if TYPE_CHECKING:
    from collections.abc import Iterable

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
DAEMONS = ("dockerd", "containerd")
SHIM = "containerd-shim"
_SPINS = 100_000
QUIET_CORES = 0.2


def describe() -> dict[str, str]:
    """Return what the figures depend on."""
    model = [
        line.partition(":")[2].strip()
        for line in (PROC / "cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory_kb = int((PROC / "meminfo").read_text().split()[1])
    return {
        "processor": model[0] if model else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory_kb / (1 << 20):.0f} GiB",
        "kernel": platform.release(),
        "docker": first_line(["docker", "version", "--format={{.Server.Version}}"]),
    }


def first_line(command: list[str]) -> str:
    """Return what a command says first, as `--version` does; empty if it fails."""
    done = subprocess.run(
        command,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.stdout.partition("\n")[0] if done.returncode == 0 else ""


def raise_files_max() -> None:
    """Allow as many open files as may be: the service gets it from us."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# ------------------------------------------------------------------------ mood


def spin_ms() -> float:
    """Return how long the same short piece of work takes just now."""
    started = time.perf_counter()
    for _ in range(_SPINS):
        pass
    return (time.perf_counter() - started) * 1e3


def busy_seconds() -> float:
    """Return how long the processors have been at work since the start."""
    fields = (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields)
    return (user + nice + system + irq + softirq + steal) / TICKS


def others_cores() -> float:
    """Return how many processors are busy just now, with ours at rest."""
    busy, started = busy_seconds(), time.monotonic()
    time.sleep(0.5)
    return (busy_seconds() - busy) / (time.monotonic() - started)


def await_quiet(limit_s: float) -> None:
    """Wait until hardly anything runs: compilers that wake up, what a load has left.

    No longer than `limit_s`: it may be that others never rest.
    """
    give_up = time.monotonic() + limit_s
    while others_cores() > QUIET_CORES and time.monotonic() < give_up:
        pass


def mood(count: int = 60) -> dict[str, float]:
    """Return what others take of the machine, and how evenly it works."""
    others = others_cores()
    times = [spin_ms() for _ in range(count)]
    return {
        "others_cores": others,
        "spin_p50_ms": percentile(times, 0.5),
        "spin_p95_ms": percentile(times, 0.95),
    }


# ------------------------------------------------------------------- processes


def children() -> dict[int, list[int]]:
    """Return the processes by their parent."""
    found: dict[int, list[int]] = {}
    for pid in pids():
        stat = _stat(pid)
        if stat:
            found.setdefault(int(stat[1]), []).append(pid)
    return found


def pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> list[str]:
    """Return `stat` from the third field on; nothing if the process has ended."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def cpu_seconds(pid: int) -> float:
    """Return a process's processor time, with that of the children it has reaped."""
    stat = _stat(pid)
    return sum(map(int, stat[11:15])) / TICKS if stat else 0.0


def named(names: Iterable[str]) -> dict[str, list[int]]:
    """Return the processes with these names."""
    found: dict[str, list[int]] = {name: [] for name in names}
    for pid in pids():
        try:
            name = (PROC / str(pid) / "comm").read_text().strip()
        except OSError:
            continue
        if name in found:
            found[name].append(pid)
    return found


def family(pid: int) -> list[int]:
    """Return the process and all beneath it."""
    below = children()
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        left += below.get(found[-1], [])
    return found


def parent(pid: int) -> int:
    stat = _stat(pid)
    return int(stat[1]) if stat else 0


def pss_mb(pid: int) -> float:
    """Return what a process costs, its part of what it shares; in MB of 2**20."""
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return (
        next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    )


def resident_mb(pid: int, what: str = "VmRSS") -> float:
    """Return a process's memory; `VmHWM` is the most that it ever was."""
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    return next(int(one.split()[1]) for one in lines if one.startswith(what)) / 1024


def reset_peak(pid: int) -> None:
    """Let `VmHWM` begin anew."""
    (PROC / str(pid) / "clear_refs").write_text("5")


# ------------------------------------------------------------------ containers


def shims_of(docker: Any, containers: Iterable[str]) -> list[int]:
    """Return the shim of each container: its first process's parent."""
    states = (docker.inspect_container(one)["State"] for one in containers)
    return [parent(state["Pid"]) for state in states]


def container_cpu_seconds(docker: Any, container: str) -> float:
    """Return the processor time of all that has ever run in a container."""
    stats = docker.stats(container, stream=False, one_shot=True)
    return float(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9
