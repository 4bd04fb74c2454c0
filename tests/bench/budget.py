"""Where the time of a Python hello goes, from the POST to the last event."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import docker
from docker.utils import kwargs_from_env
from raw_http import RawClient, get_request, post_request
from service_process import ServiceProcess
from spread import percentile

if TYPE_CHECKING:
    from collections.abc import Callable

JOBS = 300
REST_S = 0.015
_STAMPED = Path(__file__).with_name("stamped_run.py")
_HELLO = "import time; a = time.perf_counter(); print('Hello, world!'); print(a)"
_ROUTE = (
    ("posted", "request read", "the request to us, and its head read"),
    ("request read", "accepted", "checked, and confirmed by the broker"),
    ("accepted", "sent to the runner", "queue, scheduler, queue, container"),
    ("sent to the runner", "begun", "through Docker; files written; main file begun"),
    ("begun", "done came", "the program, its end, and the evidence through Docker"),
    ("done came", "end in the queue", "the container's actor"),
    ("end in the queue", "written", "queue, broker, relay, stream"),
    ("written", "over", "the last event to the client"),
)
"""From where to where, and what happens there."""


class _Stamped(ServiceProcess):
    """A service that notes the time at each step, and leaves the notes in a file."""

    def __init__(self, file: Path, **settings: object) -> None:
        self.program = (str(_STAMPED), str(file))
        super().__init__(**settings)


def budget() -> dict[str, Any]:
    """Return the median time in ms of each step, and what bounds some of them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "notes.json"
        with _Stamped(file, languages="python") as service:
            client = RawClient(service.port)
            jobs = [_run(client) for _ in range(JOBS)]
            client.close()
        notes = [(str(place), float(at)) for place, at in json.loads(file.read_text())]
    return {"steps": _steps(jobs, notes), "floors": _floors()}


def _run(client: RawClient) -> dict[str, float]:
    """Run one hello; return when what was seen of it from outside."""
    time.sleep(REST_S)
    posted = time.perf_counter()
    request = {"language": "python", "source": _HELLO}
    _, answer = client.call(post_request("/v1/jobs", request))
    job_id = json.loads(answer)["id"]
    _, events = client.call(get_request(f"/v1/jobs/{job_id}/events"))
    over = time.perf_counter()
    begun = events.partition(b"Hello, world!\\n")[2].partition(b"\\n")[0]
    return {"posted": posted, "begun": float(begun), "over": over}


def _steps(
    jobs: list[dict[str, float]], notes: list[tuple[str, float]]
) -> dict[str, float]:
    """Return each step's median, the whole and the time until idle, in ms."""
    times: dict[str, list[float]] = {what: [] for _, _, what in _ROUTE}
    whole, cleaned = [], []
    for job, following in zip(jobs, [*jobs[1:], None], strict=True):
        until = following["posted"] if following else float("inf")
        inside = [one for one in notes if job["posted"] <= one[1] < until]
        seen = dict(inside) | job  # of several at one place the last
        seen |= _first(inside, "request read", "accepted", "sent to the runner")
        seen["written"] = max(
            at for place, at in inside if place == "written" and at <= job["over"]
        )
        for start, end, what in _ROUTE:
            times[what].append((seen[end] - seen[start]) * 1e3)
        whole.append((job["over"] - job["posted"]) * 1e3)
        if "idle again" in seen:
            cleaned.append((seen["idle again"] - seen["done came"]) * 1e3)
    return {
        **{what: percentile(found, 0.5) for what, found in times.items()},
        "the whole": percentile(whole, 0.5),
        "afterwards, while nobody waits: from the end to idle": percentile(
            cleaned, 0.5
        ),
    }


def _first(notes: list[tuple[str, float]], *places: str) -> dict[str, float]:
    return {name: at for name, at in reversed(notes) if name in places}


# ---------------------------------------------------------------------- floors


def _floors() -> dict[str, float]:
    """Return what nothing that works in this way can be faster than, in ms."""
    with _Echo() as echo:
        through_docker = _median(echo.once)
    return {
        "a byte through Docker to a container and back": through_docker,
        "a byte to another process and back, through sockets": _median_of_socket(),
        "a bare Python that does nothing": _median(_nothing),
    }


def _median(call: Callable[[], object], times: int = 100) -> float:
    taken = []
    for _ in range(times):
        time.sleep(REST_S)
        started = time.perf_counter()
        call()
        taken.append((time.perf_counter() - started) * 1e3)
    return percentile(taken, 0.5)


class _Echo:
    """A container that says what it hears, attached as ours are."""

    def __init__(self) -> None:
        self._docker: Any = docker.APIClient(timeout=30, **kwargs_from_env())

    def __enter__(self) -> Self:
        self._container = self._docker.create_container(
            "warmbox/python:latest",
            entrypoint=["cat"],
            command=[],
            stdin_open=True,
            host_config=self._docker.create_host_config(network_mode="none"),
        )
        params = {"stdin": 1, "stdout": 1, "stream": 1}
        self._stream = self._docker.attach_socket(self._container, params=params)
        self._socket: socket.socket = self._stream._sock  # noqa: SLF001 - the only way
        self._docker.start(self._container)
        self.once()
        return self

    def once(self) -> None:
        self._socket.sendall(b"x")
        seen = b""
        while b"x" not in seen:
            seen += self._socket.recv(64)

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._docker.remove_container(self._container, force=True)
        self._docker.close()


def _median_of_socket() -> float:
    ours, theirs = socket.socketpair()
    code = "import os\nwhile data := os.read(0, 64): os.write(1, data)"
    command = [sys.executable, "-I", "-S", "-c", code]
    with subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno()):
        theirs.close()

        def once() -> None:
            ours.sendall(b"x")
            ours.recv(64)

        once()
        median = _median(once)
        ours.close()
    return median


def _nothing() -> None:
    subprocess.run(["/usr/bin/python3", "-c", ""], check=True)
