"""Attack a service of its own as one client at the default rate, beside innocent ones.

Clients have addresses of their own from 198.18.0.0/15, which is set aside for such
measurements (RFC 2544): the machine's loopback answers for it meanwhile. Needs root.
What bounds a client holds for it as for any from elsewhere. Prints what others waited,
alone and beside it. Exits with 1 when a result was wrong or lost.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import gevent
from innocent import Innocent, measure, percentile
from service_process import ServiceProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

NETWORK = "198.18.0.0/15"
HOST, HOSTILE, RUNS, LOOKS, KEEPS = (f"198.18.0.{n}" for n in range(1, 6))
DEFAULTS = {"rate__per_second": 10, "rate__burst": 20, "host": "0.0.0.0"}  # noqa: S104 - all of this machine's
ALONE_S = 20.0
SETTLE_S = 3.0
SAMPLE_S = 0.5
RATIO_MAX, PAGE_MS_MAX, MEMORY_MB_MAX = 3.0, 100.0, 500.0


@contextmanager
def network() -> Iterator[None]:
    """Have this machine answer for the clients' addresses."""
    route = ["local", NETWORK, "dev", "lo"]
    subprocess.run(["ip", "route", "replace", *route], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "route", "del", *route], check=True)


class Watch:
    """The most memory that the service has had, in MB."""

    def __init__(self, pid: int) -> None:
        self._statm = Path(f"/proc/{pid}/statm")
        self.memory_mb = 0.0

    def run(self) -> None:
        while True:
            pages = int(self._statm.read_text().split()[1])
            now_mb = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
            self.memory_mb = max(self.memory_mb, now_mb)
            gevent.sleep(SAMPLE_S)


def beside(until: float, runs: Innocent, looks: Innocent, watch: Watch) -> Waits:
    """Return how long hellos and pages took until that moment."""
    hellos = gevent.spawn(measure, runs.hello, until)
    pages = gevent.spawn(measure, looks.page, until)
    return Waits(hellos.get(), pages.get(), watch.memory_mb)


def attack(port: int, seconds: float) -> list[subprocess.Popen[str]]:
    """Start the hostile client."""
    todo = {"host": HOST, "port": port, "source": HOSTILE, "seconds": seconds}
    return [start_part({**todo, "part": part}) for part in ("jobs", "flood")]


def start_part(todo: dict[str, object]) -> subprocess.Popen[str]:
    """Start a process of the hostile client's."""
    client = subprocess.Popen(
        [sys.executable, "-m", "gevent.monkey", "--module", "hostile_client"],
        cwd=Path(__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdin is not None
    client.stdin.write(json.dumps(todo))
    client.stdin.close()
    return client


def answers_of(parts: list[subprocess.Popen[str]], timeout_s: float) -> dict[str, int]:
    """Return what the hostile client was answered, when it has ended."""
    answers: Counter[str] = Counter()
    for part in parts:
        answers.update(json.loads(part.communicate(timeout=timeout_s)[0] or "{}"))
    return answers


@dataclass(frozen=True, slots=True)
class Waits:
    """How long each hello and each page took, in ms, and the service's memory."""

    hellos: list[float]
    pages: list[float]
    memory_mb: float


def run(seconds: float) -> int:
    """Measure alone, then beside the hostile client; return the exit code."""
    with ServiceProcess(**DEFAULTS) as service:
        runs, looks, keeps = (
            Innocent(HOST, service.port, source) for source in (RUNS, LOOKS, KEEPS)
        )
        watch = Watch(service.process.pid)
        watching = gevent.spawn(watch.run)
        ids = keeps.leave_results()
        until = time.monotonic() + ALONE_S
        alone = beside(until, runs, looks, watch)
        parts = attack(service.port, seconds)
        gevent.sleep(SETTLE_S)
        until = time.monotonic() + seconds - SETTLE_S
        attacked = beside(until, runs, looks, watch)
        answers = answers_of(parts, seconds)
        watching.kill()
        lost = keeps.missing(ids)
        wrong = [*runs.wrong, *looks.wrong, *keeps.wrong]
    print(f"\n{seconds:g} s beside one hostile client; what it was answered:")
    print("  " + ", ".join(f"{what} x {count}" for what, count in answers.items()))
    compare(alone, attacked)
    tell("others' results lost", f"{lost} of {len(ids)}", "none", met=not lost)
    tell("others' answers wrong", f"{len(wrong)}", "none", met=not wrong)
    for one in wrong[:5]:
        print(f"  {one}")
    return 1 if lost or wrong else 0


def compare(alone: Waits, attacked: Waits) -> None:
    """Print each figure, alone and attacked, beside its bound."""
    print(f"\n{len(alone.hellos)} hellos alone, {len(attacked.hellos)} attacked")
    for percent, bound in ((95, RATIO_MAX), (50, RATIO_MAX)):
        was = percentile(alone.hellos, percent)
        now = percentile(attacked.hellos, percent)
        figure = f"{was:.1f} -> {now:.1f} ms, x {now / was:.1f}"
        met = now / was <= bound
        tell(f"another's Python hello, p{percent}", figure, f"x {bound:g}", met=met)
    was, now = (percentile(one.pages, 99) for one in (alone, attacked))
    figure, met = f"{was:.1f} -> {now:.1f} ms", now < PAGE_MS_MAX
    tell("GET /, p99", figure, f"{PAGE_MS_MAX:g} ms", met=met)
    figure = f"{alone.memory_mb:.0f} -> {attacked.memory_mb:.0f} MB"
    met = attacked.memory_mb < MEMORY_MB_MAX
    tell("the service's memory", figure, f"{MEMORY_MB_MAX:g} MB", met=met)


def tell(what: str, figure: str, most: str, *, met: bool) -> None:
    """Print a line of the report."""
    print(f"{what:<30} {figure:>32}   {most:<8} {'met' if met else 'NOT MET'}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    seconds = parser.parse_args().seconds
    with network():
        return run(seconds)


if __name__ == "__main__":
    sys.exit(main())
