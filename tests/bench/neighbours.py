"""How long a hello takes while another client does what holds things up.

The other one has an address of its own: its programs sleep in every slot, or run out of
memory ten times a second. In turns with hellos while it does nothing.

Run as `python tests/bench/neighbours.py [--seconds 10] [--warm 2]`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]
sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "service")]

from service_process import ServiceProcess  # noqa: E402 - found by the lines above

if TYPE_CHECKING:
    from collections.abc import Mapping

HELLO: dict[str, Any] = {"language": "python", "source": "print('Hello, world!')"}
SLEEPER: dict[str, Any] = {
    "language": "python",
    "source": "import time; time.sleep(20)",
    "limits": {"wall_time_s": 6},
}
STARVED: dict[str, Any] = {
    "language": "python",
    "source": "x = []\nwhile True: x.append(bytes(1 << 20))",
    "limits": {"memory_mb": 64},
}
OTHER = "127.0.0.2"
"""Any address of the loopback is one more client."""
PER_SECOND = 10
PAUSE_S = 0.1


def post(port: int, request: Mapping[str, object], address: str) -> dict[str, Any]:
    """Run a program as the client of this address; returns its document."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=60, source_address=(address, 0)
    )
    headers = {"Content-Type": "application/json", "Prefer": "wait=40"}
    connection.request("POST", "/v1/jobs", json.dumps(request), headers)
    document: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return document


class Other(threading.Thread):
    """The client that holds things up, at the default rate, until it is stopped."""

    def __init__(self, port: int, request: Mapping[str, object], count: int) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.ended: list[str] = []
        self._port, self._request, self._count = port, request, count

    def run(self) -> None:
        """Keep up to `count` at once, ten new ones a second."""
        free = threading.BoundedSemaphore(self._count)
        while not self.over.wait(1 / PER_SECOND):
            if free.acquire(blocking=False):
                threading.Thread(target=self._one, args=(free,), daemon=True).start()

    def _one(self, free: threading.BoundedSemaphore) -> None:
        document = post(self._port, self._request, OTHER)
        self.ended.append(str(document.get("outcome")))
        free.release()


def hellos(port: int, seconds: float) -> list[tuple[float, float]]:
    """Return what hellos take, one after another, in ms, and their wait to begin."""
    times = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        started = time.perf_counter()
        document = post(port, HELLO, "127.0.0.1")
        if document.get("outcome") != "success":
            raise SystemExit(f"the hello ended otherwise: {document}")
        taken_ms = (time.perf_counter() - started) * 1e3
        times.append((taken_ms, document["usage"]["queue_ms"]))
        time.sleep(PAUSE_S)
    return times


def show(name: str, times: list[tuple[float, float]]) -> None:
    """Print one line of figures."""
    figures = []
    for values in zip(*times, strict=True):
        p95 = statistics.quantiles(values, n=20)[-1]
        p50 = statistics.median(values)
        figures.append(f"p50 {p50:7.1f}  p95 {p95:7.1f}  max {max(values):7.1f} ms")
    total, waiting = figures
    print(f"{name:22} {total}; to begin {waiting}; of {len(times)}", flush=True)


def main() -> None:
    """Measure each kind, after the same alone."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--warm", type=int, default=2)
    args = parser.parse_args()
    kinds = {
        "sleepers": (SLEEPER, 12),
        "out of memory": (STARVED, 10),
    }
    for name, (request, count) in kinds.items():
        with ServiceProcess(languages="python", pool__warm=args.warm) as service:
            show("alone", hellos(service.port, args.seconds / 2))
            other = Other(service.port, request, count)
            other.start()
            time.sleep(2)
            show(f"beside {name}", hellos(service.port, args.seconds))
            other.over.set()
            said = {one: other.ended.count(one) for one in set(other.ended)}
            print(f"{'':28} the other's ended: {said}", flush=True)


if __name__ == "__main__":
    main()
