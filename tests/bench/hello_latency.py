"""How long Python's hello takes from the POST to the end of its event stream.

Against what a bare `python3 hello.py` takes on the same machine, in the same run, in
turns. One client, one kept connection. Numbers are proportions: compare the two.

Run as `python tests/bench/hello_latency.py [--url http://127.0.0.1:8000]`; without a
URL it starts a service of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
HELLO = ROOT / "images" / "python" / "hello.py"
SAID = b"Hello, world!"
READY_S = 120
REST_S = 0.015
"""Between two measurements, so that a scrub or an exit is over by then."""
PROMISED = 0.5


class KeptConnection:
    """One client: a socket, and no more of HTTP than these two requests need."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc
        address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._socket = socket.create_connection(address, timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        job = {"language": "python", "source": HELLO.read_text()}
        body = json.dumps(job).encode()
        self._post = (
            f"POST /v1/jobs HTTP/1.1\r\nHost: {self._host}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def run_hello(self) -> None:
        """Post the job and read its events to the end."""
        self._socket.sendall(self._post)
        answer = self._receive(lambda data: data.endswith(b"}"))
        if not answer.startswith(b"HTTP/1.1 202 "):
            raise SystemExit(f"the service refused: {answer.decode()}")
        job_id = json.loads(answer.partition(b"\r\n\r\n")[2])["id"]
        request = f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: {self._host}\r\n\r\n"
        self._socket.sendall(request.encode())
        events = self._receive(lambda data: data.endswith(b"\r\n0\r\n\r\n"))
        if SAID not in events or b'"outcome":"success"' not in events:
            raise SystemExit(f"that is no hello: {events.decode()}")

    def _receive(self, is_whole: Callable[[bytes], bool]) -> bytes:
        data = b""
        while not is_whole(data):
            piece = self._socket.recv(65536)
            if not piece:
                raise SystemExit(f"the connection was closed after: {data.decode()}")
            data += piece
        return data


def run_bare(python: str) -> None:
    """Start a process, read what it says, and wait for its end."""
    read_end, write_end = os.pipe()
    pid = os.posix_spawn(
        python,
        [python, str(HELLO)],
        {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"},
        file_actions=[(os.POSIX_SPAWN_DUP2, write_end, 1)],
    )
    os.close(write_end)
    said = os.read(read_end, 100)
    os.waitpid(pid, 0)
    os.close(read_end)
    if SAID not in said:
        raise SystemExit(f"that is no hello: {said!r}")


def measure(ways: dict[str, Callable[[], None]], count: int) -> dict[str, list[float]]:
    """Return each way's times in milliseconds, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(-count // 4, count):
        for name, way in ways.items():
            time.sleep(REST_S)
            began = time.perf_counter()
            way()
            took = (time.perf_counter() - began) * 1e3
            if turn >= 0:  # before that they only warm up
                times[name].append(took)
    return times


@contextmanager
def own_service() -> Iterator[str]:
    """Start a service for this measurement only; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "languages": "python",
        "rate.per_second": 10_000,
        "rate.burst": 10_000,
        "uid_first": 200_000_000 + port * 20_000,
    }
    command = [sys.executable, "run.py", "serve", "--port", str(port)]
    command += [f"--set={key}={value}" for key, value in settings.items()]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, process)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Poll until all warm containers are there."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url + "/readyz") as answer:  # noqa: S310
                pools = json.load(answer)["languages"].values()
            if not any(pool["starting"] for pool in pools):
                return
        except OSError:
            pass  # not yet
        time.sleep(0.1)
    raise SystemExit("the service did not become ready")


def report(url: str, python: str, count: int) -> None:
    """Measure and print."""
    client = KeptConnection(url)
    bare, warm = f"bare {python} hello.py", "Warmbox, POST to the stream's end"
    ways = {warm: client.run_hello, bare: lambda: run_bare(python)}
    times = measure(ways, count)
    for name, taken in times.items():
        p50, p95 = statistics.median(taken), statistics.quantiles(taken, n=20)[-1]
        print(f"{name:36} p50 {p50:6.2f} ms   p95 {p95:6.2f} ms   of {count}")
    ratio = statistics.median(times[warm]) / statistics.median(times[bare])
    verdict = "kept" if ratio < PROMISED else "BROKEN"
    print(f"ratio {ratio:.2f}: the promise of less than {PROMISED} is {verdict}")


def real_python() -> str:
    """Return an interpreter itself: a version manager's shim costs more than it."""
    system = Path("/usr/bin/python3")
    return str((system if system.exists() else Path(sys.executable)).resolve())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", help="a service that is there already")
    parser.add_argument("--python", default=real_python(), help="what to compare with")
    parser.add_argument("--count", type=int, default=100)
    args = parser.parse_args()
    if args.url:
        report(args.url, args.python, args.count)
        return
    with own_service() as url:
        report(url, args.python, args.count)


if __name__ == "__main__":
    main()
