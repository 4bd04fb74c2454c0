"""The same programs, run plainly: a fresh interpreter a program, in the same image."""

from __future__ import annotations

import base64
import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from docker.types import Ulimit
from service_process import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from service_process import ServiceProcess

UID_FIRST = 54321
CONTAINERS = 4
LIMITS = {"core": 0, "nofile": 1024, "memlock": 65536, "stack": 8 << 20}
SECCOMP = (ROOT / "images/seccomp.json").read_text()

# Runs inside the container, as root there; each program gets a new, empty directory.
_HARNESS = """
import base64, json, os, resource, shutil, subprocess, sys, zlib
uid = int(sys.argv[1])
answers = []

def become():
    os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_NPROC, (64, 64))
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)

env = json.loads(sys.argv[2])
for program in json.loads(zlib.decompress(base64.b64decode(sys.argv[3]))):
    for folder in ("/box/work", "/box/home"):
        os.mkdir(folder, 0o700)
        os.chown(folder, uid, uid)
    for name, text in program["files"]:
        path = os.path.join("/box/work", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chown(path, uid, uid)
        os.chown(os.path.dirname(path), uid, uid)
    ended = subprocess.run(
        program["argv"], cwd="/box/work", env=env, input=program["stdin"].encode(),
        capture_output=True, start_new_session=True, preexec_fn=become, timeout=30,
    )
    answers.append([
        ended.returncode, ended.stdout.decode("latin-1"), ended.stderr.decode("latin-1")
    ])
    for folder in ("/box/work", "/box/home"):
        shutil.rmtree(folder)
print(json.dumps(answers))
"""


@dataclass(frozen=True)
class Program:
    """A small program that tries to tell how it was started."""

    name: str
    source: str
    stdin: str = ""
    args: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Ended:
    """What came of a program; a negative code is a signal's number."""

    code: int
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)


def read_programs(path: Path) -> list[Program]:
    """Read the programs of a file.

    `=== name` begins one; `args: [...]` and `stdin: "..."` may follow, in JSON, before
    its source; `--- name` begins a further file of it.
    """
    sections = path.read_text(encoding="utf-8").split("=== ")[1:]
    return [_read_program(section.removesuffix("\n")) for section in sections]


def _read_program(section: str) -> Program:
    main, *others = section.split("\n--- ")
    name, *lines = main.split("\n")
    options = {"args": [], "stdin": ""}
    while lines and lines[0].startswith(("args: ", "stdin: ")):
        key, _, value = lines.pop(0).partition(": ")
        options[key] = json.loads(value)
    files = (other.partition("\n") for other in others)
    return Program(
        name,
        "\n".join(lines).removesuffix("\n") + "\n",
        str(options["stdin"]),
        tuple(options["args"]),
        tuple((file, text.removesuffix("\n") + "\n") for file, _, text in files),
    )


def run_plainly(
    service: ServiceProcess,
    language: str,
    command: list[str],
    env: dict[str, str],
    programs: list[Program],
) -> dict[str, Ended]:
    """Run all programs in containers of the language's image; by name.

    Several, as most programs wait for something: their ends, or stdin.
    """
    work = [
        {
            "files": [(command[-1], program.source), *program.files],
            "argv": [*command, *program.args],
            "stdin": program.stdin,
        }
        for program in programs
    ]

    def run(number: int) -> list[Any]:
        share = json.dumps(work[number::CONTAINERS]).encode()
        packed = base64.b64encode(zlib.compress(share)).decode()
        uid = str(UID_FIRST + number)  # the kernel counts processes by uid
        args = [uid, json.dumps(env), packed]
        answers: list[Any] = _in_container(service, language, args)
        return answers

    with ThreadPoolExecutor(CONTAINERS) as threads:
        answers = list(threads.map(run, range(CONTAINERS)))
    ends = (answers[n % CONTAINERS][n // CONTAINERS] for n in range(len(work)))
    return {
        program.name: Ended(code, out.encode("latin-1"), err.encode("latin-1"))
        for program, (code, out, err) in zip(programs, ends, strict=True)
    }


def _in_container(service: ServiceProcess, language: str, args: list[str]) -> Any:
    docker = service.docker
    host = docker.create_host_config(
        network_mode="none",
        read_only=True,
        security_opt=["no-new-privileges", f"seccomp={SECCOMP}"],
        ulimits=[
            Ulimit(name=name, soft=value, hard=value) for name, value in LIMITS.items()
        ],
        tmpfs={"/box": "rw,exec,mode=0711", "/tmp": "rw,exec,mode=1777"},  # noqa: S108
    )
    container = docker.create_container(
        f"warmbox/{language}:latest",
        ["-c", _HARNESS, *args],
        entrypoint="python3",
        host_config=host,
    )
    try:
        docker.start(container)
        docker.wait(container, timeout=120)
        printed = docker.logs(container, stdout=True, stderr=False)
        assert printed, docker.logs(container, stderr=True).decode()
        return json.loads(printed)
    finally:
        docker.remove_container(container, force=True)


def run_warm(service: ServiceProcess, language: str, main: str, one: Program) -> Ended:
    """Run a program as a job."""
    files = [{"name": main, "content": one.source}]
    files += [{"name": name, "content": text} for name, text in one.files]
    result = service.api.run(
        language, files=files, stdin=one.stdin, args=list(one.args)
    )
    code = result.exit_code if result.signal is None else -result.signal
    assert code is not None
    return Ended(code, result.stdout, result.stderr)
