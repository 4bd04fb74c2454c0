"""What large answers and crowded streams of one client cost another one.

One client asks again and again for a document of 50 MB (8 MB of a byte that JSON writes
with six), from one and from eight connections, then follows one talkative job with many
event streams. Meanwhile another client runs Python's hello, from the POST to the end of
its event stream. Run as `python tests/bench/large_answers.py [--seconds 10]`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "service")]

from machine import cpu_seconds, raise_files_max, resident_mb  # noqa: E402 - found above
from raw_http import RawClient, get_request, post_request  # noqa: E402
from service_process import ServiceProcess, wait_until  # noqa: E402
from spread import percentile  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

INNOCENT, GREEDY = "127.0.0.7", "127.0.0.66"
HELLO = post_request("/v1/jobs", {"language": "python", "source": "print('hello')"})
LARGE = "import os\nfor _ in range(128): os.write(1, b'\\x01' * 65536)"
TALKATIVE = """\
import time
while True:
    print(time.time(), flush=True)
    time.sleep(0.01)
"""


def hello_ms(port: int, seconds: float) -> list[float]:
    """Run hello after hello; return how long each took."""
    client = RawClient(port, INNOCENT)
    times = []
    end = time.monotonic() + seconds
    while (started := time.monotonic()) < end:
        status, body = client.call(HELLO)
        assert status == 202, body
        job_id = json.loads(body)["id"]
        client.call(get_request(f"/v1/jobs/{job_id}/events"))
        times.append((time.monotonic() - started) * 1e3)
    return times


def attack(port: int, path: str, count: int, *, reads: bool) -> None:
    """Ask for this path from so many connections, again and again, until killed."""
    raise_files_max()
    # What it takes to read all that is no matter here, on a machine that both share.
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    threading.stack_size(65536)
    todo = _ask_and_read if reads else _ask_only
    threads = [
        threading.Thread(target=todo, args=(port, path), daemon=True)
        for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    sys.stdin.read()


def _ask_and_read(port: int, path: str) -> None:
    while True:
        with suppress(OSError):
            client = RawClient(port, GREEDY)
            client.send(get_request(path))
            tail = b""
            while not tail.endswith((b"\r\n0\r\n\r\n", b"}")):
                tail = client.receive()[-16:]
            client.close()
            if b"\r\n0\r\n" not in tail:
                time.sleep(0.01)


def _ask_only(port: int, path: str) -> None:
    client = RawClient(port, GREEDY)
    client.send(get_request(path))
    time.sleep(1e6)


@contextmanager
def under_attack(*words: str) -> Iterator[None]:
    command = [sys.executable, __file__, "--attack", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        time.sleep(2)
        try:
            yield
        finally:
            process.kill()


def report(service: ServiceProcess, what: str, seconds: float) -> None:
    pid, cpu = service.process.pid, cpu_seconds(service.process.pid)
    taken = hello_ms(service.port, seconds)
    p50, p95, p99 = (percentile(taken, share) for share in (0.5, 0.95, 0.99))
    busy = (cpu_seconds(pid) - cpu) / seconds
    print(
        f"{what:36} hello p50 {p50:7.1f}  p95 {p95:7.1f}  p99 {p99:7.1f} ms of "
        f"{len(taken)}; service {resident_mb(pid):.0f} MB, {busy:.0%} of a core",
        flush=True,
    )


def measure(seconds: float, only: str) -> None:
    settings = {"languages": "python", "caps__wall_time_s": 300, "running_max": 4}
    with ServiceProcess(**settings) as service:
        large = service.api.submit("python", LARGE, limits={"output_kb": 8192})
        wait_until(
            lambda: service.api.look(large)["state"] == "done", 60, "it is written"
        )
        talkative = service.api.submit("python", TALKATIVE, limits={"wall_time_s": 300})
        report(service, "alone, and a talkative job", seconds)
        for name, path, count, more in _attacks(f"/v1/jobs/{large}", talkative):
            if only in name:
                with under_attack(str(service.port), path, str(count), *more):
                    report(service, f"{name}, from {count}", seconds)
        report(service, "alone again", seconds)


def _attacks(large: str, talkative: str) -> list[tuple[str, str, int, list[str]]]:
    """Return name, path, connections and options of each."""
    unread = ["--unread"]
    follow = f"/v1/jobs/{talkative}/events"
    return [
        ("GETs of 50 MB", large, 1, []),
        ("GETs of 50 MB", large, 8, []),
        ("GETs of its events", f"{large}/events", 8, []),
        ("GETs of it in base64", f"{large}?encoding=base64", 8, []),
        ("readers that do not read", large, 12, unread),
        ("/readyz", "/readyz", 1, []),
        ("/metrics", "/metrics", 1, []),
        ("/openapi.json", "/openapi.json", 1, []),
        ("streams of a talkative job", follow, 250, unread),
        ("streams of a talkative job", follow, 900, unread),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--attack", nargs=3, metavar=("PORT", "PATH", "COUNT"))
    parser.add_argument("--only", default="", help="part of the attack's name")
    parser.add_argument("--unread", action="store_true", help="read no answer")
    args = parser.parse_args()
    if args.attack:
        port, path, count = args.attack
        attack(int(port), path, int(count), reads=not args.unread)
    else:
        measure(args.seconds, args.only)


if __name__ == "__main__":
    main()
