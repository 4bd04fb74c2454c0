"""What a container is made of, and what a job's frame says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from samples import CONFIG, LIMITS, PYTHON, C, make_defaults, make_job

from actors.bounds import COMPILE_RLIMITS, MIB, bounds_of, memory_changes
from actors.messages import CompileLimits, Job, SourceFile
from actors.sandbox import (
    GVISOR_PIDS,
    OVERHEAD_MB,
    OVERHEAD_PIDS,
    container_options,
    is_warm,
    job_frame,
    runner_config,
)
from images import wire
from images.catalog import Language, Step, Warm, load_catalog
from images.heap import Heap

COMPILED = [
    one
    for one in load_catalog(Path(__file__).parents[2] / "images").languages.values()
    if one.compile
]
OPTIONS = container_options(make_defaults(), CONFIG, 123_000)
HOST = OPTIONS["host"]


def tmpfs(path: str) -> set[str]:
    return set(HOST["tmpfs"][path].split(","))


def megabytes(path: str) -> int:
    (size,) = (part for part in tmpfs(path) if part.startswith("size="))
    return int(size.removeprefix("size=").removesuffix("m"))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("network_mode", "none"),
        ("read_only", True),
        ("cap_drop", ["ALL"]),
        ("security_opt", ["no-new-privileges", f"seccomp={CONFIG.seccomp}"]),
        ("dns", ["127.0.0.1"]),
        ("dns_search", ["."]),
        ("log_config", {"Type": "none", "Config": {}}),
        ("ipc_mode", "private"),
        ("runtime", "runc"),
        ("nano_cpus", 1_500_000_000),
        ("pids_limit", 256 + OVERHEAD_PIDS),
        ("mem_limit", (256 + OVERHEAD_MB) * MIB),
        ("auto_remove", True),
    ],
)
def test_the_host_options_are_those_of_the_design(option: str, value: object) -> None:
    assert HOST[option] == value


def test_swap_is_no_way_around_the_memory_limit() -> None:
    assert HOST["memswap_limit"] == HOST["mem_limit"]


def test_only_the_capabilities_that_the_runner_needs_come_back() -> None:
    assert set(HOST["cap_add"]) == {"SETUID", "SETGID", "KILL"}


def test_no_host_path_device_or_privilege_is_handed_in() -> None:
    assert not {"binds", "devices", "privileged", "pid_mode", "userns_mode"} & set(HOST)


def test_the_ulimits_allow_no_core_and_bound_files() -> None:
    ulimits = OPTIONS["ulimits"]
    assert ulimits["core"] == (0, 0)
    assert ulimits["nofile"] == (1024, 1024)
    assert ulimits["fsize"] == (64 * MIB, 64 * MIB)


def test_a_container_leaves_room_for_the_caps_and_for_compilers() -> None:
    def made(**caps: int) -> dict[str, tuple[int, int]]:
        config = replace(CONFIG, **caps)  # type: ignore[arg-type]
        found = container_options(make_defaults(), config, 1)["ulimits"]
        return {name: found[name] for name in ("nofile", "stack")}

    low = made(open_files_max=8, stack_kb_max=128)
    assert low == {"nofile": (1024, 1024), "stack": (8 * MIB, 64 * MIB)}
    high = made(open_files_max=4096, stack_kb_max=1 << 20)
    assert high == {"nofile": (4096, 4096), "stack": (8 * MIB, 1024 * MIB)}


@pytest.mark.parametrize("path", ["/box", "/tmp", "/dev/shm"])  # noqa: S108
def test_every_tmpfs_is_bounded_in_bytes_and_inodes(path: str) -> None:
    options = tmpfs(path)
    assert {"nosuid", "nodev"} <= options
    assert any(option.startswith("nr_inodes=") for option in options)
    assert megabytes(path) <= 64


def test_all_mounts_together_stay_under_the_memory_limit() -> None:
    assert sum(map(megabytes, HOST["tmpfs"])) < HOST["mem_limit"] / MIB


def test_shared_memory_is_small_and_not_executable() -> None:
    assert megabytes("/dev/shm") <= 16  # noqa: S108
    assert "noexec" in tmpfs("/dev/shm")  # noqa: S108


def test_jobs_cannot_write_the_parent_of_their_directory() -> None:
    assert "mode=0771" in tmpfs("/box")


def test_the_name_of_the_host_resolves() -> None:
    assert OPTIONS["hostname"] == "box"
    assert HOST["extra_hosts"] == {"box": "127.0.1.1"}


def test_the_labels_say_whose_it_is() -> None:
    assert OPTIONS["labels"] == {
        "warmbox.service": "here:8000",
        "warmbox.language": "python",
    }


def test_without_a_list_of_calls_the_engine_has_its_own() -> None:
    options = container_options(make_defaults(), replace(CONFIG, seccomp=None), 1)
    assert options["host"]["security_opt"] == ["no-new-privileges"]


def test_the_runtime_is_the_settings() -> None:
    options = container_options(make_defaults(), replace(CONFIG, runtime="runsc"), 1)
    assert options["host"]["runtime"] == "runsc"
    assert options["host"]["sysctls"] == {} != HOST["sysctls"]
    # its kernel's own threads count as the container's
    assert options["host"]["pids_limit"] == HOST["pids_limit"] + GVISOR_PIDS


def test_a_language_may_have_a_runtime_of_its_own() -> None:
    config = replace(CONFIG, runtimes={"c": "runsc"})
    runtimes = [
        container_options(make_defaults(language), config, 1)["host"]["runtime"]
        for language in (PYTHON, C)
    ]
    assert runtimes == ["runc", "runsc"]


def test_the_runner_gets_its_own_uids_and_the_languages_ways() -> None:
    (argument,) = OPTIONS["command"]
    assert OPTIONS["image"] == "warmbox/python:latest"
    assert json.loads(argument) == {
        "uid_first": 123_000,
        "uid_count": 1024,
        "warm": {"kind": "fork", "argv": ["python3", "main.py"], "step": "run"},
        "env": {"LANG": "C.UTF-8"},
        "processes": 64,
        "rlimits": {"FSIZE": 64 * MIB, "NOFILE": 1024, "STACK": 8 * MIB},
        "cpu_s_max": 30,
        "scrub_s": 5,
    }


def test_a_compiled_language_may_have_nothing_that_waits() -> None:
    config = json.loads(runner_config(make_defaults(C), CONFIG, 1))
    assert config["warm"] is None


# ---------------------------------------------------------------------- JOB frames


def unpacked(job: Job, defaults: Any = None) -> tuple[dict[str, Any], bytes]:
    frame = job_frame(job, defaults or make_defaults())
    decoder = wire.Decoder(wire.HOST_KINDS, wire.FRAME_BYTES_MAX)
    ((kind, payload),) = decoder.feed(frame)
    assert kind == wire.JOB
    header, blobs = wire.unpack_job(payload)
    return json.loads(header), blobs


def test_a_job_is_sent_with_its_files_stdin_and_limits() -> None:
    job = make_job(
        files=(
            SourceFile("main.py", b"print()"),
            SourceFile("a/b.py", b"\xff\0", executable=True),
        ),
        stdin=b"in",
        stdin_open=True,
        args=("x", "y z"),
        env=(("A", "1"),),
        limits=replace(LIMITS, processes=7, file_size_kb=3, open_files=8, stack_kb=200),
    )
    header, blobs = unpacked(job)
    assert header == {
        "files": [["main.py", 7], ["a/b.py", 2]],
        "executable": ["a/b.py"],
        "stdin_open": True,
        "env": {"A": "1"},
        "processes": 7,
        "steps": [
            {
                "phase": "run",
                "argv": ["python3", "main.py", "x", "y z"],
                "wall_s": 5,
                "cpu_s": 4,
                "output_bytes": 1024 * 1024,
                "processes": 7,
                "rlimits": {"FSIZE": 3072, "NOFILE": 8, "STACK": 204_800},
                "asks": False,
            }
        ],
        "warm": False,
        "others_wait": False,
    }
    assert blobs == b"print()\xff\0in"


def test_a_compiled_job_is_first_compiled_within_the_languages_time() -> None:
    job = make_job(language="c", files=(SourceFile("main.c", b""),), args=("x",))
    header, _ = unpacked(job, make_defaults(C))
    compiling, running = header["steps"]
    assert (compiling["phase"], compiling["argv"]) == ("compile", ["gcc", "main.c"])
    assert (compiling["wall_s"], compiling["cpu_s"]) == (30, 10)
    assert (running["phase"], running["argv"]) == ("run", ["./a.out", "x"])
    assert (running["wall_s"], running["cpu_s"]) == (5, 4)


def test_a_compiler_has_files_and_a_stack_of_its_own_whatever_its_job_asks() -> None:
    least = replace(LIMITS, file_size_kb=1, open_files=8, stack_kb=128)
    job = make_job(language="c", limits=least)
    header, _ = unpacked(job, make_defaults(C))
    compiling, running = header["steps"]
    assert compiling["rlimits"] == COMPILE_RLIMITS
    assert running["rlimits"] == {"FSIZE": 1024, "NOFILE": 8, "STACK": 128 * 1024}


@pytest.mark.parametrize(
    ("changes", "warm"),
    [
        ({}, True),
        ({"args": ("x",), "stdin": b"in"}, True),
        ({"env": (("A", "1"),)}, False),
        ({"files": (SourceFile("other.py", b""),)}, False),
        ({"limits": replace(LIMITS, processes=63)}, False),
        ({"limits": replace(LIMITS, memory_mb=64)}, True),
        ({"limits": replace(LIMITS, stack_kb=8191)}, False),
        ({"limits": replace(LIMITS, open_files=16)}, True),
        ({"limits": replace(LIMITS, file_size_kb=1)}, True),
    ],
)
def test_the_waiting_interpreter_runs_only_what_cannot_tell(
    changes: dict[str, Any], warm: bool
) -> None:
    job = make_job(**changes)
    assert is_warm(job, make_defaults()) is warm
    assert unpacked(job)[0]["warm"] is warm


@pytest.mark.parametrize(
    "name", ["processes", "file_size_kb", "open_files", "stack_kb"]
)
def test_a_starter_has_its_limits_from_its_start(name: str) -> None:
    defaults = make_defaults(replace(PYTHON, warm=Warm("exec", ("node", "main.js"))))
    assert is_warm(make_job(), defaults)
    changed = replace(LIMITS, **{name: getattr(LIMITS, name) - 1})
    assert not is_warm(make_job(limits=changed), defaults)


SIZED = ("vm", "-Xmx{heap_mb}m")


@pytest.mark.parametrize("name", ["processes", "memory_mb", "stack_kb"])
def test_a_waiting_compiler_takes_jobs_whatever_their_programs_may_have(
    name: str,
) -> None:
    defaults = make_defaults(replace(C, warm=Warm("exec", SIZED, "compile")))
    job = make_job(language="c", files=(SourceFile("main.c", b""),))
    assert is_warm(job, defaults)
    changed = replace(LIMITS, **{name: getattr(LIMITS, name) - 1})
    assert is_warm(replace(job, limits=changed), defaults)
    other_heap = replace(LIMITS, compile=CompileLimits(30, 10, 257))
    assert not is_warm(replace(job, limits=other_heap), defaults)


HEAP = Heap(runtime_mb=56, share=0.8)


def test_what_waits_has_the_heap_of_its_languages_own_memory() -> None:
    warm = Warm("exec", SIZED)
    defaults = make_defaults(replace(PYTHON, warm=warm, heap=HEAP))
    assert is_warm(make_job(), defaults)
    for memory_mb in (LIMITS.memory_mb - 1, LIMITS.memory_mb + 1):
        limits = replace(LIMITS, memory_mb=memory_mb)
        assert not is_warm(make_job(limits=limits), defaults)
    config = json.loads(runner_config(defaults, CONFIG, 1))
    assert config["warm"] == {
        "kind": "exec",
        "argv": ["vm", "-Xmx160m"],
        "step": "run",
    }


def test_a_job_has_the_heap_of_its_own_memory() -> None:
    run = Step(("vm", "-Xmx{heap_mb}m", "{main}"))
    defaults = make_defaults(replace(PYTHON, run=run, heap=HEAP))
    job = make_job(limits=replace(LIMITS, memory_mb=1056))
    header, _ = unpacked(job, defaults)
    assert header["steps"][0]["argv"] == ["vm", "-Xmx800m", "main.py"]


def test_a_waiting_compiler_has_a_compilers_limits() -> None:
    language = replace(C, warm=Warm("exec", ("cc",), "compile"))
    config = json.loads(runner_config(make_defaults(language), CONFIG, 1))
    assert config["rlimits"] == COMPILE_RLIMITS


def test_a_compiler_has_its_languages_bounds_whatever_the_program_has() -> None:
    tight = replace(LIMITS, wall_time_s=0.1, memory_mb=16, output_kb=1, processes=1)
    for limits in (LIMITS, tight):
        found = bounds_of("compile", limits, C)
        assert (found.wall_time_s, found.cpu_time_s, found.memory_mb) == (30, 10, 256)
        assert (found.output_kb, found.processes) == (1024, 64)
        assert bounds_of("run", limits, C).memory_mb == limits.memory_mb


@pytest.mark.parametrize("language", COMPILED, ids=[one.name for one in COMPILED])
def test_of_a_compilers_bounds_cpu_time_comes_first(language: Language) -> None:
    tight = replace(LIMITS, wall_time_s=0.1, cpu_time_s=0.1)
    job = make_job(language=language.name, limits=tight)
    header, _ = unpacked(job, make_defaults(language))
    compiling, running = header["steps"]
    own = language.limits.compile
    assert own is not None
    assert (compiling["cpu_s"], compiling["wall_s"]) == (
        own.cpu_time_s,
        own.wall_time_s,
    )
    # Wall time is for when others compile too: as many as wait for two processors.
    assert compiling["wall_s"] >= 3 * compiling["cpu_s"]
    assert (running["cpu_s"], running["wall_s"]) == (0.1, 0.1)


def test_a_job_can_ask_for_more_for_its_compiler() -> None:
    limits = replace(LIMITS, compile=CompileLimits(60, 30, 1024))
    found = bounds_of("compile", limits, C)
    assert (found.wall_time_s, found.cpu_time_s, found.memory_mb) == (60, 30, 1024)
    assert bounds_of("run", limits, C).wall_time_s == LIMITS.wall_time_s


def test_memory_changes_between_two_steps_only_if_they_have_different_bounds() -> None:
    assert not memory_changes(LIMITS, C)
    assert memory_changes(replace(LIMITS, memory_mb=16), C)
    assert not memory_changes(replace(LIMITS, memory_mb=16), PYTHON)
