"""What a container is made of, and what a job's JOB frame says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pydantic_core

from actors.bounds import (
    COMPILE_RLIMITS,
    MIB,
    bounds_of,
    memory_mb_of,
)
from actors.hidden_paths import MASKED, READ_ONLY
from images import wire
from images.heap import fill_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.bounds import Phase
    from actors.messages import Job, Limits
    from images.catalog import Language, LanguageLimits, Step, Warm

BOX_GID = 990
"""The group that may make directories in /box; images/launcher.py has it too."""

HOST_NAME = "box"
"""What each container is called; it resolves."""
HOST_ADDRESS = "127.0.1.1"
"""Of its loopback, as Debian has it, but not localhost's own: that has another name."""

OVERHEAD_PIDS = 32
"""Processes and threads of our own: runner, launcher, this job's and the next one's."""

GVISOR_PIDS = 1024
"""Threads of gVisor's own kernel, which Docker counts with the container's."""

GVISOR_ANSWERS = {"clone3", "fadvise64", "sync", "syncfs"}

OVERHEAD_MB = 48
"""The most memory that is our own in a container: runner, launcher and what waits.

It takes a tenth of that. A runner says how much: the limit becomes that and what the
job may have: see `Engine.hold_back`. Where only Docker can set it, it stays this high.
"""

SYSCTLS = {
    # Else what a closed connection leaves for a minute would cost the container.
    "net.ipv4.tcp_max_tw_buckets": "0",
    # Else the next one to the same address would be told how this one went.
    "net.ipv4.tcp_no_metrics_save": "1",
}

SET_AT_START = {
    "fork": ("processes", "stack_kb"),
    "exec": ("processes", "stack_kb", "file_size_kb", "open_files"),
}
"""The limits that an interpreter that waits has from its start, by its way of waiting.

A fork gets all of them with its job, but by then its C library knows the stack's, which
it gives to each thread. A compiler's own are the same for all jobs. A heap has its size
from the start too (`Warm.sizes_heap`): by the limit of the language's own, whatever the
container has just then because of the job before.
"""


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """The settings that every container shares."""

    service: str
    """Whose containers these are: the value of the label."""
    runtime: str
    runtimes: Mapping[str, str]
    """The languages that have another runtime."""
    seccomp: str | None
    """The system calls to let through, in Docker's JSON; None: as the engine has it."""
    reuse: Literal["always", "tenant", "never"]
    jobs_max: int
    """Jobs after which a container is replaced."""
    age_s_max: float
    scrub_s: float
    grace_s: float
    """What the host allows beyond the limits that the runner enforces."""
    cpus: float
    uid_first: int
    uids: int
    """How many uids a container takes, one for each job."""
    starts_max: int
    """Containers that may be starting at once."""
    processes_max: int
    """The cap on a job's processes."""
    open_files_max: int
    """The cap on the descriptors of each of its processes."""
    stack_kb_max: int
    """The cap on its stack."""
    cpu_s_max: float
    """The cap on a job's CPU time."""


@dataclass(frozen=True, slots=True)
class LanguageDefaults:
    """One language as a container needs it, the settings' overrides applied."""

    language: Language
    image: str
    processes: int
    memory_mb: int


def runner_config(
    defaults: LanguageDefaults, config: SandboxConfig, uid_first: int
) -> str:
    """Return the runner's only argument."""
    language = defaults.language
    warm = language.warm
    return json.dumps(
        {
            "uid_first": uid_first,
            "uid_count": config.uids,
            "warm": warm and warm_config(defaults, warm),
            "env": dict(language.env),
            "processes": waiting_processes(defaults),
            "rlimits": COMPILE_RLIMITS
            if warm and warm.step == "compile"
            else rlimits(language.limits),
            "cpu_s_max": config.cpu_s_max,
            "scrub_s": config.scrub_s,
        }
    )


def waiting_processes(defaults: LanguageDefaults) -> int:
    """Return how many processes what waits for a job may have."""
    warm, compiler = defaults.language.warm, defaults.language.limits.compile
    if warm and compiler and warm.step == "compile":
        return compiler.processes
    return defaults.processes


def warm_config(defaults: LanguageDefaults, warm: Warm) -> dict[str, Any]:
    """Return what the runner is told of what waits for a job."""
    memory_mb, compiler = defaults.memory_mb, defaults.language.limits.compile
    if compiler and warm.step == "compile":
        memory_mb = compiler.memory_mb
    argv = fill_in(warm.argv, defaults.language.heap, memory_mb)
    return {"kind": warm.kind, "argv": argv, "step": warm.step}


def container_options(
    defaults: LanguageDefaults, config: SandboxConfig, uid_first: int
) -> dict[str, Any]:
    """Return the arguments of Docker's create call, the design's section 6 as data."""
    tmpfs = "rw,nosuid,nodev"
    runtime = config.runtimes.get(defaults.language.name, config.runtime)
    memory = (defaults.memory_mb + OVERHEAD_MB) * MIB
    return {
        "image": defaults.image,
        "command": [runner_config(defaults, config, uid_first)],
        "hostname": HOST_NAME,
        "labels": {
            "warmbox.service": config.service,
            "warmbox.language": defaults.language.name,
        },
        "host": {
            "network_mode": "none",
            "read_only": True,
            "cap_drop": ["ALL"],
            "cap_add": ["SETUID", "SETGID", "KILL"],
            "security_opt": security_options(config.seccomp, runtime),
            "mem_limit": memory,
            "memswap_limit": memory,
            "pids_limit": pids_limit(runtime, config.processes_max),
            "nano_cpus": int(config.cpus * 1e9),
            "tmpfs": {
                "/box": f"{tmpfs},exec,size=64m,nr_inodes=16k,mode=0771,gid={BOX_GID}",
                "/tmp": f"{tmpfs},exec,size=64m,nr_inodes=16k,mode=1777",  # noqa: S108
                "/dev/shm": f"{tmpfs},noexec,size=16m,nr_inodes=1k,mode=1777",  # noqa: S108
            },
            # Docker writes no name of its own where there is no network.
            "extra_hosts": {HOST_NAME: HOST_ADDRESS},
            # Else the host's own resolver would be named in there.
            "dns": ["127.0.0.1"],
            "dns_search": ["."],
            "sysctls": {} if is_gvisor(runtime) else SYSCTLS,
            "log_config": {"Type": "none", "Config": {}},
            "ipc_mode": "private",
            "runtime": runtime,
            "auto_remove": True,
        },
        "masked": MASKED,
        "read_only": READ_ONLY,
        "ulimits": ulimits(defaults, config),
    }


def rlimits(limits: Limits | LanguageLimits) -> dict[str, int]:
    """Return what a program may use that the kernel counts by process, in its terms."""
    return {
        "FSIZE": limits.file_size_kb * 1024,
        "NOFILE": limits.open_files,
        "STACK": limits.stack_kb * 1024,
    }


def ulimits(
    defaults: LanguageDefaults, config: SandboxConfig
) -> dict[str, tuple[int, int]]:
    """Return a container's soft and hard limits: what no step of a job goes beyond.

    Each step sets its own below them. The soft limit on the stack is what a waiting
    interpreter starts with.
    """
    hard = {
        "core": 0,
        "nofile": max(config.open_files_max, COMPILE_RLIMITS["NOFILE"]),
        "fsize": COMPILE_RLIMITS["FSIZE"],  # no cap is higher
        "memlock": 65536,
        "msgqueue": 0,  # a queue can be made without a system call of its own
    }
    stack = rlimits(defaults.language.limits)["STACK"]
    stack_max = max(config.stack_kb_max * 1024, COMPILE_RLIMITS["STACK"])
    return {name: (most, most) for name, most in hard.items()} | {
        "stack": (stack, stack_max)
    }


def pids_limit(runtime: str, processes: int) -> int:
    """Return how many processes and threads Docker has to allow for a container."""
    own = GVISOR_PIDS if is_gvisor(runtime) else 0
    return processes + OVERHEAD_PIDS + own


def is_gvisor(runtime: str) -> bool:
    """Tell whether a runtime is gVisor, under whatever variant's name."""
    return runtime.startswith("runsc")


def security_options(seccomp: str | None, runtime: str) -> list[str]:
    """Return what Docker calls so: no way up, and the list of system calls."""
    found = ["no-new-privileges"]
    if seccomp is not None:
        calls = for_gvisor(seccomp) if is_gvisor(runtime) else seccomp
        found.append(f"seccomp={calls}")
    return found


def for_gvisor(seccomp: str) -> str:
    """Return the list for gVisor, which knows no error but EPERM.

    Where another answer matters its own kernel gives it: that there is no clone3, which
    is what the C library has to hear, and that nothing is left to be synced.
    """
    profile = json.loads(seccomp)
    for rule in profile.get("syscalls", ()):
        rule.pop("errnoRet", None)
        if GVISOR_ANSWERS & set(rule["names"]):
            rule["action"] = "SCMP_ACT_ALLOW"
    return json.dumps(profile)


JOB_BYTES_MAX = wire.FRAME_BYTES_MAX
"""Of a whole job, as its container is given it."""


def job_frame(
    job: Job,
    defaults: LanguageDefaults,
    others_wait: bool = False,
    asks: bool = False,
) -> bytes:
    """Return the JOB frame of a job.

    asks: whether the runner is to wait for GO before the last step.
    others_wait: see `RunJob`; then this one's end may come along with READY.
    """
    language = defaults.language
    names = [file.name for file in job.files]
    main = names[0]
    limits = job.limits
    steps = []
    phases: dict[Phase, Step | None]
    phases = {"compile": language.compile, "run": language.run}
    for phase, step in phases.items():
        if step is None:
            continue
        bounds = bounds_of(phase, limits, language)
        steps.append(
            {
                "phase": phase,
                "argv": step.expand(
                    main,
                    names,
                    job.args,
                    language.heap,
                    bounds.memory_mb,
                    job.compile_args,
                ),
                "wall_s": bounds.wall_time_s,
                "cpu_s": bounds.cpu_time_s,
                "output_bytes": bounds.output_kb * 1024,
                "processes": bounds.processes,
                "rlimits": COMPILE_RLIMITS if phase == "compile" else rlimits(limits),
            }
        )
    steps[-1]["asks"] = asks
    header = {
        "files": [(file.name, len(file.content)) for file in job.files],
        "executable": [file.name for file in job.files if file.executable],
        "stdin_open": job.stdin_open,
        "env": dict(job.env),
        "processes": limits.processes,
        "steps": steps,
        "warm": is_warm(job, defaults),
        "others_wait": others_wait,
    }
    blobs = [file.content for file in job.files]
    payload = wire.pack_job(pydantic_core.to_json(header), [*blobs, job.stdin])
    return wire.encode(wire.JOB, payload)


def is_warm(job: Job, defaults: LanguageDefaults) -> bool:
    """Tell whether the interpreter or compiler that waits can take this job.

    It was started with the default environment and limits and the usual main file;
    a program must not be able to tell, so anything else starts cold.
    """
    language = defaults.language
    if language.warm is None or job.env or job.files[0].name != language.main:
        return False
    compiler, warm = language.limits.compile, language.warm
    if compiler and warm.step == "compile":
        usual_mb, memory_mb = compiler.memory_mb, memory_mb_of(job.limits, language)
        return memory_mb == usual_mb or not warm.sizes_heap()
    if job.limits.memory_mb != defaults.memory_mb and warm.sizes_heap():
        return False
    names = SET_AT_START[warm.kind]
    return all(
        getattr(job.limits, name) == getattr(language.limits, name) for name in names
    )
