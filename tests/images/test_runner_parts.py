"""The runner's parts that need no container."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images import runner, runner_json
from images.recipe import RUNNER_FILES
from images.runner_bill import Bill
from images.runner_children import Exit
from images.runner_host import Dirty
from images.runner_job import rlimits
from images.runner_kernel import (
    CPU_MS,
    OOM_KILLS,
    Gauge,
    Mounts,
    Observer,
    Place,
    Text,
    cpu_ms_of,
    parse_figure,
    parse_sockets,
)
from images.runner_memory import SLACK_BYTES, Memory
from images.runner_step import STDIN_BYTES_MAX, Stdin

if TYPE_CHECKING:
    from collections.abc import Iterator

V2 = {
    "cpu.stat": "usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\n"
    "core_sched.force_idle_usec 0\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
    "memory.events": "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n",
    "memory.stat": "anon 8192\nfile 4096000\nkernel 1000\nshmem 4096\n"
    "file_mapped 0\nanon_thp 77\nshmem_thp 99\ninactive_anon 5\n",
}
V1 = {
    "cpuacct/cpuacct.usage": "1234567000\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "memory/memory.stat": "cache 9\nrss 1\nshmem 2\ntotal_cache 9000\n"
    "total_rss 8192\ntotal_rss_huge 5\ntotal_shmem 4096\n",
    "memory/memory.kmem.usage_in_bytes": "77\n",
    "memory/memory.kmem.tcp.usage_in_bytes": "3\n",
}
SOCKSTAT = """\
sockets: used 4
TCP: inuse 0 orphan 9 tw 1 alloc 4 mem 7
UDP: inuse 0 mem 3
UDPLITE: inuse 0
RAW: inuse 0
FRAG: inuse 0 memory 0
"""


def plant(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return str(root)


@pytest.mark.parametrize("files", [V2, V1, {**V1, **V2}], ids=["v2", "v1", "both"])
def test_gauges_read_either_version_of_cgroups(
    files: dict[str, str], tmp_path: Path
) -> None:
    root = plant(tmp_path, files)
    assert Gauge(CPU_MS, root).read() == pytest.approx(1234.567)
    assert Gauge(OOM_KILLS, root).read() == 2


def test_a_gauge_reads_the_figure_of_now(tmp_path: Path) -> None:
    root = plant(tmp_path, V2)
    gauge = Gauge(OOM_KILLS, root)
    (tmp_path / "memory.events").write_text("oom_kill 5\n")
    assert gauge.read() == 5


@pytest.mark.parametrize("files", [{}, {"cpu.stat": "nr_periods 0\n"}])
def test_a_gauge_without_its_figure_shows_none(
    files: dict[str, str], tmp_path: Path
) -> None:
    assert Gauge(CPU_MS, plant(tmp_path, files)).read() is None


def test_a_key_is_matched_whole() -> None:
    assert parse_figure("oom 3\noom_kill 2\n", ("oom",)) == 3
    assert parse_figure("anon_thp 3\n", ("anon",)) is None
    assert parse_figure("17\n", Place("x").keys) == 17


def test_sockets_are_told_from_the_hosts() -> None:
    present, closed = parse_sockets(SOCKSTAT)
    assert closed == [("TCP:", "tw", 1)]
    assert present[:2] == [
        ("sockets:", "used", 4),
        ("TCP:", "inuse", 0),
    ]


def test_a_text_is_read_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("x" * 200_000)
    text = Text(str(path))
    assert text.read() == "x" * 200_000
    path.write_text("less")
    assert text.read() == "less"
    assert Text(str(tmp_path / "absent")).read() == ""


def test_mounts_are_read_anew_where_nobody_tells_of_a_change(tmp_path: Path) -> None:
    path = tmp_path / "mountinfo"
    path.write_text("1 0 0:1 / /")
    mounts = Mounts(str(path))
    assert mounts.read() == "1 0 0:1 / /"
    path.write_text("1 0 0:1 / / and more")
    assert mounts.read() == "1 0 0:1 / / and more"
    assert Mounts(str(tmp_path / "absent")).read() == ""


MOUNTING = """
import subprocess
from images.runner_kernel import Observer, Mounts

observer = Observer(places=[])
before = observer.observe()
real = Mounts("/proc/self/mountinfo")
assert real.read() is real.read(), "read for nothing"
assert observer.observe()["mounts"] == before["mounts"]
subprocess.run(["mount", "-t", "tmpfs", "none", "/mnt"], check=True)
after = observer.observe()["mounts"]
assert after != before["mounts"], "a mount was not seen"
assert observer.observe()["mounts"] == after
subprocess.run(["umount", "/mnt"], check=True)
assert observer.observe()["mounts"] == before["mounts"], "an end was not seen"
print("seen")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_the_kernel_tells_of_each_mount() -> None:
    command = ["unshare", "-m", sys.executable, "-c", MOUNTING]
    root = Path(runner.__file__).parents[1]
    done = subprocess.run(
        command, cwd=root, capture_output=True, check=False, text=True
    )
    assert done.stdout == "seen\n", done.stderr


def test_what_is_the_same_looks_the_same(tmp_path: Path) -> None:
    root = plant(tmp_path, {"net/sockstat": SOCKSTAT})
    observer = Observer(root, places=[])
    before = observer.observe()
    assert before["connections"] == [[("TCP:", "tw", 1)], []]
    plant(tmp_path, {"net/sockstat": SOCKSTAT.replace("mem 7", "mem 8")})
    assert observer.observe()["sockets"] == before["sockets"]
    plant(tmp_path, {"net/sockstat": SOCKSTAT.replace("used 4", "used 5")})
    assert observer.observe()["sockets"] != before["sockets"]


def test_stdin_goes_as_far_as_the_pipe_takes_it() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    stdin = Stdin(b"x" * 200_000, ended=True)
    assert stdin.write(writer)
    assert len(os.read(reader, 200_000)) + len(stdin.data) == 200_000
    while stdin.write(writer):
        os.read(reader, 200_000)
    assert not stdin.data
    os.close(reader)
    stdin.data += b"more"
    assert not stdin.write(writer)
    assert not stdin.data
    os.close(writer)


def test_stdin_stays_open_until_it_has_ended() -> None:
    reader, writer = os.pipe()
    stdin = Stdin(b"x", ended=False)
    assert stdin.write(writer)
    stdin.ended = True
    assert not stdin.write(writer)
    stdin.add(bytes(STDIN_BYTES_MAX))
    with pytest.raises(Dirty):
        stdin.add(b"x")
    os.close(reader)
    os.close(writer)


def test_limits_leave_the_kernel_behind_our_own_watch() -> None:
    limits = rlimits(64, 5.5, {})
    assert limits == {"NPROC": (64, 64), "CPU": (7, 8), "CORE": (0, 0)}


def test_what_the_host_bounds_can_not_be_raised() -> None:
    limits = rlimits(64, 5.5, {"NOFILE": 16, "STACK": 1 << 20})
    assert limits["NOFILE"] == (16, 16)
    assert limits["STACK"] == (1 << 20, 1 << 20)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "collections.abc":
            yield "collections"
        elif isinstance(node, ast.ImportFrom) and node.module == "images":
            yield from (f"images.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


@pytest.mark.parametrize("name", RUNNER_FILES)
def test_a_file_of_the_runner_needs_but_its_like_and_the_standard_library(
    name: str,
) -> None:
    ours = {f"images.{Path(file).stem}" for file in RUNNER_FILES}
    known = ours | sys.stdlib_module_names | {"sitecustomize"}
    assert set(imports(Path(runner.__file__).parent / name)) <= known


# --------------------------------------------------------------------------- json

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(ANYTHING)
def test_json_is_what_others_take_for_it(value: object) -> None:
    assert runner_json.loads(json.dumps(value)) == value
    assert json.loads(runner_json.dumps(value)) == value


@pytest.mark.parametrize("text", ["", "{", "{} {}", "nonsense", "[1,]", '"a'])
def test_what_does_not_hold_one_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of several kinds
        runner_json.loads(text)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError):
        runner_json.dumps({"a": {1, 2}})


def test_a_runner_holds_no_module_that_it_can_do_without() -> None:
    """Each costs memory in every container, for as long as it is there."""
    code = "import images.runner, sys; print(*sys.modules)"
    path = Path(runner.__file__).parents[1]
    command = [sys.executable, "-S", "-c", code]
    done = subprocess.run(command, cwd=path, capture_output=True, check=True, text=True)
    heavy = {"collections", "contextlib", "enum", "json", "re", "socket", "typing"}
    assert heavy.isdisjoint(done.stdout.split())


def test_a_process_has_a_clock_of_its_cpu_time() -> None:
    before = time.process_time() * 1e3
    told = cpu_ms_of(os.getpid())
    assert before <= told <= time.process_time() * 1e3
    child = subprocess.Popen(["true"])
    child.wait()
    assert cpu_ms_of(child.pid) == 0  # it has gone


@pytest.mark.parametrize(
    ("whole_ms", "told_ms"), [(100.0, 60.0), (30.0, 0.0), (None, None)]
)
def test_a_steps_cpu_time_is_without_that_of_the_next_ones(
    monkeypatch: pytest.MonkeyPatch, whole_ms: float | None, told_ms: float | None
) -> None:
    others_ms = iter([10.0, 50.0])
    cpu, ooms = Gauge(()), Gauge(())
    monkeypatch.setattr(cpu, "since", lambda _: whole_ms)
    bill = Bill(7, cpu, ooms, lambda: next(others_ms))
    assert bill.cpu_ms() == told_ms


def test_a_bill_is_of_one_jobs_processes() -> None:
    exits = [Exit(7, 0, 0.0, 300), Exit(8, 0, 0.0, 900), Exit(0, 0, 0.0, 800)]
    bill = Bill(7, Gauge(()), Gauge(()), lambda: 0.0)
    assert bill.memory_kb([]) == 0
    assert bill.memory_kb(exits) == 300
    bill.bury(500)
    bill.bury(400)
    assert bill.memory_kb(exits) == 500
    assert Bill(9, Gauge(()), Gauge(()), lambda: 0.0).memory_kb(exits) == 0


def test_a_bill_is_of_one_step() -> None:
    exits = [Exit(7, 0, 0.0, 9000)]
    bill = Bill(7, Gauge(()), Gauge(()), lambda: 0.0, exits)
    assert bill.memory_kb(exits) == 0
    assert bill.memory_kb([*exits, Exit(7, 0, 0.0, 300)]) == 300


SLABS = "anon 8192\nfile 9000\nkernel_stack 1\nslab 20\nsock 300\npagetables 4000\n"


@pytest.mark.parametrize(
    ("files", "kernel", "cache"),
    [
        (V2, 1000, 4096000),
        ({"memory.stat": SLABS}, 4321, 9000),
        (V1, 77 + 3, 9000),
        ({**V1, **V2}, 1000, 4096000),
    ],
    ids=["v2", "before 5.18", "v1", "both"],
)
def test_memory_is_told_by_kind(
    files: dict[str, str], kernel: int, cache: int, tmp_path: Path
) -> None:
    memory = Memory(plant(tmp_path, files))
    told = memory.read()
    assert (told["kernel memory"], told["file cache"]) == (kernel, cache)
    own = 8192 if files == {"memory.stat": SLABS} else 8192 + 4096
    assert told["memory"] == own
    assert memory.limits()["kernel memory"] == kernel + SLACK_BYTES["kernel memory"]


def test_what_the_kernel_keeps_of_a_step_is_the_containers_own(tmp_path: Path) -> None:
    stat = "anon {}\nshmem 0\nkernel {}\nsock 0\nfile 0\n"
    memory = Memory(plant(tmp_path, {"memory.stat": stat.format(4 << 20, 1 << 20)}))
    memory.read()
    # Memory that is not the kernel's is the job's: its files, and who waits for it.
    plant(tmp_path, {"memory.stat": stat.format(90 << 20, 3 << 20)})
    assert memory.own_kb_now() == 7 << 10


def test_memory_that_is_not_shown_is_not_compared(tmp_path: Path) -> None:
    assert Memory(str(tmp_path)).read() == {}
