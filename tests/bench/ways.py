"""The ways to run a program: Warmbox, and what one would do without it.

A way makes a client for one workload: something to call, which returns once the program
has ended and its output is there, and raises when that is not what it must say.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
from docker.utils import kwargs_from_env
from raw_http import RawClient, get_request, post_request
from workloads import steps

if TYPE_CHECKING:
    from workloads import Workload

Run = Callable[[], None]

STREAM = "Warmbox, POST then SSE"
WAIT = "Warmbox, POST that waits"
BARE = "bare process"
NAIVE = "a process per request"
EXEC = "docker exec"
RUN = "docker run"

WAIT_S = 60
# Neither a version manager's shim, which costs more than the interpreter itself, nor
# what the caller's environment makes a tool load at its start.
TOOLS_PATH = "/usr/bin:/bin:/usr/local/go/bin"
ENVIRONMENT = {
    "HOME": "/box/home",
    "LANG": "C.UTF-8",
    "PATH": f"/usr/local/bin:{TOOLS_PATH}",
    # a job's modules have never been compiled, so a baseline keeps no compiled ones
    "PYTHONDONTWRITEBYTECODE": "1",
}


@dataclass(frozen=True, slots=True)
class Site:
    """Where everything is; goes to the load generators as JSON."""

    folder: str
    """For the programs' files; at the same place in the baselines' containers."""
    warmbox_port: int = 0
    naive_port: int = 0
    naive_pid: int = 0
    boxes: dict[str, str] = field(default_factory=dict)
    """The container of `docker exec`, by language."""
    insides: dict[str, int] = field(default_factory=dict)
    """Its first process, by language."""


# --------------------------------------------------------------------- Warmbox


def warmbox_stream(site: Site, workload: Workload) -> Run:
    """Post the job, then read its events to the end."""
    client = RawClient(site.warmbox_port)
    post = post_request("/v1/jobs", workload.request)
    ended = f'"outcome":"{workload.outcome}"'.encode()

    def run() -> None:
        status, answer = client.call(post)
        if status != 202:
            raise AssertionError(f"refused: {answer!r}")
        job_id = json.loads(answer)["id"]
        _, events = client.call(get_request(f"/v1/jobs/{job_id}/events"))
        if ended not in events:
            raise AssertionError(f"{workload.name} ended otherwise: {events[-500:]!r}")
        workload.check(events, STREAM)

    return run


def warmbox_wait(site: Site, workload: Workload) -> Run:
    """Post the job; the answer is its whole result."""
    client = RawClient(site.warmbox_port)
    post = post_request("/v1/jobs", workload.request, Prefer=f"wait={WAIT_S}")
    ended = f'"outcome":"{workload.outcome}"'.encode()

    def run() -> None:
        status, answer = client.call(post)
        if status != 200 or ended not in answer:
            raise AssertionError(f"{workload.name} ended otherwise: {answer[-500:]!r}")
        workload.check(answer, WAIT)

    return run


# ------------------------------------------------------------------- processes


def entering(site: Site, language: str, tool: str) -> list[str]:
    """Return what has to stand before a tool that this machine lacks.

    It is then run from the image's files: in a container's namespaces of mounts and of
    processes (Go looks itself up in /proc), but with nothing else of it.
    """
    if tool.startswith("/") or shutil.which(tool, path=TOOLS_PATH):
        return []
    inside = f"--target={site.insides[language]}"
    return ["/usr/bin/nsenter", inside, "--mount", "--pid", "--"]


def commands(site: Site, language: str, folder: str) -> list[list[str]]:
    """Return the steps with the tools themselves, not what is first on the PATH."""
    return [
        [
            *entering(site, language, tool),
            shutil.which(tool, path=TOOLS_PATH) or tool,
            *rest,
        ]
        for tool, *rest in steps(language, folder)
    ]


def environment(site: Site, language: str) -> dict[str, str]:
    """Return what the tools get; those of this machine keep their caches with us."""
    tool = steps(language, "")[0][0]
    if entering(site, language, tool):
        return ENVIRONMENT
    return {**ENVIRONMENT, "HOME": site.folder}


def version(site: Site, language: str) -> str:
    """Return what a bare process runs, as it calls itself."""
    tool = steps(language, "")[0][0]
    enter = entering(site, language, tool)
    path = shutil.which(tool, path=TOOLS_PATH) or tool
    ask = "version" if language == "go" else "--version"
    _, output = spawn([*enter, path, ask], environment(site, language))
    said = output.decode(errors="replace").partition("\n")[0]
    return f"{said} (the image's)" if enter else said


def spawn(command: list[str], env: dict[str, str]) -> tuple[int, bytes]:
    """Run a process to its end; return its status and what it wrote."""
    read_end, write_end = os.pipe()
    pid = os.posix_spawn(
        command[0],
        command,
        env,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, write_end, 1),
            (os.POSIX_SPAWN_DUP2, write_end, 2),
        ],
    )
    os.close(write_end)
    pieces = []
    while piece := os.read(read_end, 1 << 16):
        pieces.append(piece)
    os.close(read_end)
    return os.waitpid(pid, 0)[1], b"".join(pieces)


def spawn_all(all_commands: list[list[str]], env: dict[str, str]) -> bytes:
    """Run one step after the other up to the first that fails."""
    output = b""
    for command in all_commands:
        status, said = spawn(command, env)
        output += said
        if status:
            break
    return output


def own_folder(site: Site, workload: Workload) -> str:
    """Return a new folder with the program's files."""
    folder = Path(tempfile.mkdtemp(dir=site.folder))
    workload.write_to(folder)
    return str(folder)


def forget(folder: str) -> None:
    """Remove what the last run has compiled: Go does nothing where that is there."""
    (Path(folder) / "a.out").unlink(missing_ok=True)


def bare(site: Site, workload: Workload) -> Run:
    """Start a process for each step; the files lie there already."""
    folder = own_folder(site, workload)
    todo = commands(site, workload.language, folder)
    env = environment(site, workload.language)

    def run() -> None:
        forget(folder)
        workload.check(spawn_all(todo, env), BARE)

    return run


def naive(site: Site, workload: Workload) -> Run:
    """Ask the server of `naive_server.py`."""
    client = RawClient(site.naive_port)
    post = post_request("/run", workload.request)
    return lambda: workload.check(client.call(post)[1], NAIVE)


# ---------------------------------------------------------------------- Docker


def one_command(workload: Workload, folder: str) -> list[str]:
    """Return all steps as one command, through a shell only if it needs one."""
    todo = steps(workload.language, folder)
    if len(todo) == 1:
        return todo[0]
    return ["sh", "-c", " && ".join(shlex.join(command) for command in todo)]


def docker_exec(site: Site, workload: Workload) -> Run:
    """Let Docker start the commands in a container that is up, by its API.

    The command line `docker` does the same and takes a fifth longer. Docker has been
    seen to lose all that a quick program said: it is then run again, within its time.
    """
    api = docker.APIClient(timeout=300, **kwargs_from_env())
    box = site.boxes[workload.language]
    folder = own_folder(site, workload)
    command = one_command(workload, folder)

    def once() -> bytes:
        forget(folder)
        made = api.exec_create(box, command, environment=ENVIRONMENT)
        said: bytes = api.exec_start(made["Id"])
        return said

    return lambda: workload.check(once() or once(), EXEC)


def docker_run(site: Site, workload: Workload) -> Run:
    """Make a container for each job, by Docker's command line."""
    folder = own_folder(site, workload)
    command = one_command(workload, folder)
    argv = ["docker", "run", "--rm", "--network=none", "--tmpfs=/box/home"]
    argv += [f"--env={key}={value}" for key, value in ENVIRONMENT.items()]
    argv += [f"--volume={site.folder}:{site.folder}", f"--entrypoint={command[0]}"]
    argv += [f"warmbox/{workload.language}:latest", *command[1:]]
    start: Any = partial(
        subprocess.run, argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )

    def run() -> None:
        forget(folder)
        workload.check(start().stdout, RUN)

    return run


WAYS: dict[str, Callable[[Site, Workload], Run]] = {
    STREAM: warmbox_stream,
    WAIT: warmbox_wait,
    BARE: bare,
    NAIVE: naive,
    EXEC: docker_exec,
    RUN: docker_run,
}
PATCHED = frozenset({STREAM, WAIT, NAIVE})
"""Ways whose clients are sockets only, and so greenlets when there are many."""
