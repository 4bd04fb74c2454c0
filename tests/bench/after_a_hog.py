"""How long a hello takes right after a hog, against how long after idleness.

The hog spins in more processes than there are processors, fills its mounts or forks
without end until it is stopped; as soon as its result is there, the hello is posted.
In turns with hellos after a rest, by one client, over the same containers.

Run as `python tests/bench/after_a_hog.py [--rounds 40] [--warm 5]`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]
sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "service")]

from service_process import ServiceProcess  # noqa: E402 - found by the lines above

HELLO = "print('Hello, world!')"
HOGS = {
    "spins": "import os\nfor _ in range(5): os.fork()\nwhile True: pass",
    "forks": """
import os
while True:
    try: os.fork()
    except OSError: pass
""",
    "fills": """
for folder in ("/tmp", "/box/work", "/dev/shm"):
    try:
        with open(folder + "/x", "wb") as file:
            while True: file.write(bytes(1 << 16))
    except OSError: pass
while True: pass
""",
}
LIMITS = {"wall_time_s": 0.7, "memory_mb": 256}
REST_S = 0.5
PROMISED = 1.2


def hello_ms(service: ServiceProcess) -> float:
    """Return how long one hello takes, from the POST to its result."""
    started = time.perf_counter()
    request = {"language": "python", "source": HELLO}
    answer = service.api.post(request, Prefer="wait=20")
    if answer.document.get("stdout") != "Hello, world!\n":
        raise SystemExit(f"the hello failed: {answer}")
    return (time.perf_counter() - started) * 1e3


def p95(times: list[float]) -> float:
    """Return what 95 of 100 stay below."""
    return statistics.quantiles(times, n=20)[-1]


def main() -> None:
    """Measure, and print the two and their proportion."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--warm", type=int, default=5)
    args = parser.parse_args()
    pool = {"pool__warm": args.warm, "pool__max": args.warm}
    with ServiceProcess(languages="python", **pool) as service:
        for name, source in HOGS.items():
            rested, after = [], []
            for _ in range(args.rounds):
                time.sleep(REST_S)
                rested.append(hello_ms(service))
                service.api.run("python", source, limits=LIMITS)
                after.append(hello_ms(service))
            proportion = p95(after) / p95(rested)
            print(
                f"{name}: p50 {statistics.median(rested):.1f} -> "
                f"{statistics.median(after):.1f} ms, p95 {p95(rested):.1f} -> "
                f"{p95(after):.1f} ms: {proportion:.2f} times (promised: {PROMISED})"
            )


if __name__ == "__main__":
    main()
