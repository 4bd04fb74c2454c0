"""`make soak MINUTES=30`: mixed jobs and faults for long, measured and drawn.

Every few seconds it notes the service's memory, descriptors, greenlets and containers,
and how long jobs took; at the end it draws all that and prints the memory's slope.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import gevent
from chaos import LOST_DOOR, Chaos, is_sound
from faults import prepare
from history import History
from leaks import look
from places import Places
from play import warm_up
from schedule import make_schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faulty_node import FaultyNode

EVERY_S = 5.0
TTL_S = 60.0
"""How long logs are kept: after that long, memory should not grow any more."""
SETTLED_SHARE = 1 / 4
"""Of a run, what the slope leaves out: caches fill, and logs are not yet expired."""
SLOPE_MB_MAX = 10.0
"""An hour."""
PROGRAMS = (
    "print(MARKER)",
    "import time\ntime.sleep(0.3)\nprint(MARKER)",
    "sum(n * n for n in range(200_000))\nprint(MARKER)",
    "kept = bytearray(64 << 20)\nprint(MARKER)",
    "import subprocess\nsubprocess.run(['/bin/echo', MARKER])",
    "open('file', 'wb').write(bytes(8 << 20))\nprint(MARKER)",
    "import os\nfor _ in range(20):\n    os.fork() or os._exit(0)\nprint(MARKER)",
    "import sys\nfor one in MARKER:\n    print(one, end='', flush=True)\nprint()",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """All that is drawn, at one moment; latencies are of the last jobs that ended."""

    at_s: float
    memory_mb: float
    descriptors: int
    greenlets: int
    containers: int
    p50_ms: float | None
    p95_ms: float | None


class Sampler:
    """Notes how a process stands, for as long as it lives."""

    def __init__(self, node: FaultyNode, history: History) -> None:
        self._node = node
        self._history = history
        self._began = time.monotonic()
        self._told = 0
        self.samples: list[Sample] = []

    def run(self) -> None:
        while True:
            gevent.sleep(EVERY_S)
            try:
                seen = look(self._node)
            except LOST_DOOR:
                continue
            latencies = self._history.latencies_s()
            new, self._told = sorted(latencies[self._told :]), len(latencies)
            self.samples.append(
                Sample(
                    round(time.monotonic() - self._began, 1),
                    round(seen.memory_mb, 2),
                    seen.descriptors,
                    seen.greenlets,
                    seen.containers,
                    share(new, 0.5),
                    share(new, 0.95),
                )
            )


def share(ordered: Sequence[float], part: float) -> float | None:
    """Return this quantile in ms; None without any."""
    if not ordered:
        return None
    return round(ordered[int(part * (len(ordered) - 1))] * 1e3, 1)


def slope_mb(samples: Sequence[Sample]) -> float:
    """Return by how much memory grows an hour, after the time to settle."""
    rest = samples[int(len(samples) * SETTLED_SHARE) :]
    times = [one.at_s / 3600 for one in rest]
    return statistics.linear_regression(times, [one.memory_mb for one in rest]).slope


def draw(samples: Sequence[Sample], slope: float, file: Path) -> None:
    """Draw one panel for each thing, over time."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and only this needs it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    panels: list[tuple[str, Callable[[Sample], object]]] = [
        (f"memory, MB ({slope:+.1f} MB/h)", lambda one: one.memory_mb),
        ("descriptors", lambda one: one.descriptors),
        ("greenlets", lambda one: one.greenlets),
        ("containers", lambda one: one.containers),
        ("latency p50, ms", lambda one: one.p50_ms),
        ("latency p95, ms", lambda one: one.p95_ms),
    ]
    figure, axes = plt.subplots(len(panels), sharex=True, figsize=(9, 12))
    minutes = [one.at_s / 60 for one in samples]
    for axis, (title, value) in zip(axes, panels, strict=True):
        axis.plot(minutes, [value(one) for one in samples], linewidth=1)
        axis.set_title(title, loc="left", fontsize=9)
        axis.set_ylim(bottom=0, top=1.1 * axis.get_ylim()[1])
        axis.grid(visible=True, linewidth=0.3)
    axes[-1].set_xlabel("minutes")
    figure.tight_layout()
    figure.savefig(file, dpi=110)


def soak(minutes: float, seed: int, file: Path) -> bool:
    """Run it; tell whether nothing was lost and the memory is flat."""
    with Places(result_ttl_s=TTL_S) as places:
        here = places.enter("one")
        warm_up(here)
        history = History(here.gateways, programs=PROGRAMS, audits_at_once=True)
        sampler = Sampler(here.nodes[0], history)
        sampling = gevent.spawn(sampler.run)
        chaos = Chaos(here, make_schedule(seed, minutes * 60, "embedded"), history)
        verdict = chaos.run()
        sampling.kill()
    slope = slope_mb(sampler.samples)
    file.with_suffix(".json").write_text(
        json.dumps([asdict(one) for one in sampler.samples])
    )
    draw(sampler.samples, slope, file)
    print(f"{verdict}\nfaults: {dict(chaos.done)}")
    print(f"memory: {slope:+.2f} MB an hour; drawn in {file}")
    for words in sorted(chaos.violations)[:20]:
        print(f"VIOLATED {words}")
    return is_sound(verdict) and not chaos.violations and slope < SLOPE_MB_MAX


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file", type=Path, default=Path("soak.png"))
    args = parser.parse_args()
    prepare()
    return 0 if soak(args.minutes, args.seed, args.file) else 1


if __name__ == "__main__":
    sys.exit(main())
