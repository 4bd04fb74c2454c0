"""How long Python's hello takes from the POST to the end of its event stream.

Against what a bare `python3 hello.py` takes on the same machine, in the same run, in
turns. One client, one kept connection. Numbers are proportions: compare the two. The
whole picture is `make bench`; this takes seconds.

Run as `python tests/bench/hello_latency.py [--port 8000] [--seconds 10]`; without a
port it starts a service of its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "service")]

from measure import latencies_of  # noqa: E402 - found by the lines above
from service_process import ServiceProcess  # noqa: E402
from spread import percentile  # noqa: E402
from ways import BARE, STREAM, Site  # noqa: E402
from workloads import WORKLOADS  # noqa: E402

PROMISED = 0.5


def report(site: Site, seconds: float) -> None:
    """Measure and print."""
    times = latencies_of(site, WORKLOADS["python hello"], (STREAM, BARE), seconds)
    for name, taken in times.items():
        p50, p95 = percentile(taken, 0.5), percentile(taken, 0.95)
        print(f"{name:24} p50 {p50:6.2f} ms   p95 {p95:6.2f} ms   of {len(taken)}")
    ratio = percentile(times[STREAM], 0.5) / percentile(times[BARE], 0.5)
    verdict = "kept" if ratio < PROMISED else "BROKEN"
    print(f"ratio {ratio:.2f}: the promise of less than {PROMISED} is {verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, help="of a service that is there already")
    parser.add_argument("--seconds", type=float, default=5)
    args = parser.parse_args()
    service = None if args.port else ServiceProcess(languages="python")
    with service or nullcontext(), tempfile.TemporaryDirectory() as folder:
        port = args.port or service.port  # type: ignore[union-attr]
        report(Site(folder, warmbox_port=port), args.seconds)


if __name__ == "__main__":
    main()
