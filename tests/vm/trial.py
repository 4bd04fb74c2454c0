"""The service on cgroup v2: what hostile jobs become there, and the hello after each.

Run by vm.sh as root of a virtual machine with systemd and Docker. Prints each outcome
with its evidence, and at the end whether all was as it should be.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]
sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "service")]

from service_process import ServiceProcess, wait_until  # noqa: E402 - found by the above

from actors.cpu_weight import PREFERRED, CpuWeight  # noqa: E402

if TYPE_CHECKING:
    from http_api import Result

IMAGE = Path("/dev/vdc")
CGROUPS = Path("/sys/fs/cgroup/system.slice")
COMMAND_S_MAX = 300
"""Without hardware to help, the machine takes some ten times as long for all."""
SETTLE_S_MAX = 120
PATIENCE = {"wall_time_s": 30, "cpu_time_s": 30}
TICK_S = 20
SIGKILL = 9
REQUIRED = "bounded memory,no swap,bounded processes,AppArmor or SELinux"
"""Checks of the doctor's, without which the service would not start."""

SETTINGS: dict[str, object] = {
    "languages": "python",
    "pool__warm": 1,
    "pool__max": 1,
    "require": REQUIRED,
    # A container that is not clean by then is destroyed and its job run again: the time
    # is right for a processor, not for a program that plays one.
    "scrub_s": 60,
}

HELLO = "print('Hello, world!')"
BOMB = "x = []\nwhile True: x.append(b'x' * 1_000_000)"
# It takes more than 64 MB and our own 48, and less than what a container has at first.
CHILD = """
import subprocess, sys
def group(name): return open("/sys/fs/cgroup/" + name).read().split()
code = subprocess.run([sys.executable, "-c", "x = b'x' * 200_000_000"]).returncode
events = group("memory.events")
print(f"child {code}, oom_kill {events[events.index('oom_kill') + 1]},",
      f"memory.max {int(group('memory.max')[0]) >> 20} MB")
sys.exit(code != 0)
"""
ITSELF = "import os\nos.kill(os.getpid(), 9)"
# What fills the memory is no process's; of those there are, the runner is the largest.
SMALL = """
import os
os.execv("/bin/sh", ["sh", "-c", '''
echo 0 > /proc/self/oom_score_adj
for folder in /tmp /dev/shm; do head -c 100000000 /dev/zero > $folder/kept; done
sleep 60
'''])
"""
FORKS = """
import errno, os
first, told = os.getpid(), False
while True:
    try: os.fork()
    except OSError as error:
        if os.getpid() == first and not told:
            told = True
            print("fork:", errno.errorcode[error.errno], flush=True)
"""


@dataclass(frozen=True)
class Trial:
    """A program and how it has to end."""

    name: str
    source: str
    outcome: str
    exit_code: int | None = None
    signal: int | None = None
    limits: dict[str, int] = field(default_factory=dict)
    says: str = ""
    is_killed: bool = False
    """Whether the kernel has to kill some of it for memory, which else it must not."""


TRIALS = (
    Trial("hello", HELLO, "success", 0, says="Hello, world!"),
    Trial("a memory bomb", BOMB, "out_of_memory", None, SIGKILL, is_killed=True),
    Trial(
        "a child that takes 200 MB, as may be",
        CHILD,
        "success",
        0,
        says="child 0, oom_kill 0",
    ),
    Trial(
        "a child that takes 200 MB of the 64 asked for",
        CHILD,
        "out_of_memory",
        1,
        limits={"memory_mb": 64},
        says="child -9, oom_kill 1",
        is_killed=True,
    ),
    Trial(
        "files that fill the memory, so that the kernel kills the runner",
        SMALL,
        "out_of_memory",
        limits={"memory_mb": 16},
        is_killed=True,
    ),
    Trial("a SIGKILL of its own", ITSELF, "signalled", None, SIGKILL),
    Trial(
        "a fork bomb",
        FORKS,
        "timed_out",
        None,
        SIGKILL,
        limits={"wall_time_s": 8},
        says="fork: EAGAIN",
    ),
)


def main() -> int:
    """Try them all; return the exit code."""
    say(f"booted, kernel {run('uname', '-r')}: starting Docker")
    threading.Thread(target=tick, daemon=True).start()
    run("systemctl", "start", "docker")
    describe()
    say("starting the service")
    with ServiceProcess(**SETTINGS) as service:
        say(f"it is ready, and has found: {REQUIRED}")
        wrongs = weigh(settle(service))
        wrongs += [wrong for trial in TRIALS for wrong in carry_out(service, trial)]
        if service.terminate() or service.containers():
            wrongs.append("the service did not stop in order")
        if wrongs:
            say(service.log())
    for wrong in wrongs:
        say(f"WRONG: {wrong}")
    say(f"{len(wrongs)} wrong" if wrongs else "all as it should be")
    return 1 if wrongs else 0


def describe() -> None:
    """Tell what is tried on; load the image."""
    client: Any = docker.APIClient(timeout=COMMAND_S_MAX)
    info = client.info()
    kind = run("stat", "-fc", "%T", "/sys/fs/cgroup")
    say(f"stat -fc %T /sys/fs/cgroup: {kind}")
    assert (kind, info["CgroupVersion"]) == ("cgroup2fs", "2")
    say(
        f"Docker {info['ServerVersion']}, cgroup version {info['CgroupVersion']} "
        f"by {info['CgroupDriver']}, {info['Driver']}: loading the image"
    )
    with IMAGE.open("rb") as archive:
        for message in client.load_image(archive):
            say(str(message.get("stream", message)).strip())
    client.close()


def weigh(container: str) -> list[str]:
    """Have a container preferred, and again not; return what was wrong."""
    file = CGROUPS / f"docker-{container}.scope" / "cpu.weight"
    weight = CpuWeight(container)
    usual = int(file.read_text())
    weight.prefer()
    preferred = int(file.read_text())
    weight.reset()
    after = int(file.read_text())
    say(f"a container's CPU weight: {usual}, preferred {preferred}, then {after}")
    if (preferred, after) != (usual * PREFERRED, usual):
        return ["the service does not reach a container's CPU weight"]
    return []


def carry_out(service: ServiceProcess, trial: Trial) -> list[str]:
    """Run a trial and the hello after it, and tell all; return what was wrong."""
    (before,) = service.containers()
    began_at = time.time()
    limits = {**PATIENCE, **trial.limits}
    result = service.api.run("python", trial.source, limits=limits)
    say(f"{trial.name}: {told(result)}")
    kills = oom_kills(before)
    for kill in kills:
        say(f"    kernel: {kill}")
    after = settle(service)
    fate = "is idle again"
    if after != before:
        seen = events(service.docker, before, began_at)
        fate = f"is gone (Docker: {seen}), {after[:12]} is idle"
    say(f"    container {before[:12]} {fate}; {processes(after)}")
    hello = service.api.run("python", HELLO)
    say(f"    then a hello: {told(hello)}")
    wrongs = differences(trial, result, len(kills))
    if (hello.outcome, hello.text) != ("success", "Hello, world!\n"):
        wrongs.append("the hello after it failed")
    return [f"{trial.name}: {wrong}" for wrong in wrongs]


def told(result: Result) -> str:
    """Return a job's end in words."""
    document = result.document
    words = [result.outcome]
    words += [
        f"{key} {document[key]}"
        for key in ("exit_code", "signal")
        if document[key] is not None
    ]
    if result.text:
        words.append(f"said {result.text.strip()!r}")
    words.append(f"{document['usage']['wall_ms'] or 0:.0f} ms")
    return ", ".join(words)


def differences(trial: Trial, result: Result, kills: int) -> list[str]:
    """Return in what it ended otherwise than it had to."""
    found = (result.outcome, result.exit_code, result.signal)
    wanted = (trial.outcome, trial.exit_code, trial.signal)
    wrongs = [] if found == wanted else [f"ended as {found}, not as {wanted}"]
    if trial.says not in result.text:
        wrongs.append(f"never said {trial.says!r}")
    if trial.is_killed != bool(kills):
        wrongs.append(f"the kernel killed {kills} times for memory")
    if any(event.name == "restarted" for event in result.events):
        wrongs.append("was run more than once")
    return wrongs


def oom_kills(container: str) -> list[str]:
    """Return what the kernel has said of each kill for the container's memory."""
    group = rf"oom_memcg=\S+docker-{container}\.scope,"
    killed = (
        rf"oom-kill:constraint=CONSTRAINT_MEMCG.*{group}.*task=(.+),pid=\d+,uid=(\d+)"
    )
    return [
        f"out of memory in {container[:12]}, killed {name} of uid {uid}"
        for name, uid in re.findall(killed, run("dmesg"))
    ]


def settle(service: ServiceProcess) -> str:
    """Wait until the container or its successor is idle; return its id."""

    def settled() -> bool:
        (language,) = service.api.get("/v1/system")["languages"]
        states = [one["state"] for one in language["containers"]]
        return states == ["idle"] and len(service.containers()) == 1

    wait_until(settled, SETTLE_S_MAX, "an idle container", poll_s=0.5)
    return service.containers()[0]


def events(client: Any, container: str, since: float) -> str:
    """Return what Docker has seen of a container that is gone, with its exit code."""
    wanted = {"container": container, "event": ["oom", "die"]}
    window = {"since": int(since), "until": int(time.time()) + 1}
    seen = client.events(**window, filters=wanted, decode=True)
    named = ((one["Action"], one["Actor"]["Attributes"]) for one in seen)
    return ", ".join(
        f"{action} {also.get('exitCode', '')}".strip() for action, also in named
    )


def processes(container: str) -> str:
    """Return how many processes are in a container, and how many there have been."""
    group = CGROUPS / f"docker-{container}.scope"
    now, peak, limit = (
        (group / f"pids.{name}").read_text().strip()
        for name in ("current", "peak", "max")
    )
    return f"processes {now}, at most {peak}, limit {limit}"


def run(*argv: str) -> str:
    """Return what a command prints."""
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=COMMAND_S_MAX, check=True
    )
    return done.stdout.strip()


def say(words: str) -> None:
    """Print a line at once, and in one piece, for there are two who do."""
    print(f"{words}\n", end="", flush=True)


def tick() -> None:
    """Tell for ever that there is still somebody."""
    while True:
        time.sleep(TICK_S)
        say(f"  ({time.clock_gettime(time.CLOCK_BOOTTIME):.0f} s since the boot)")


if __name__ == "__main__":
    sys.exit(main())
