"""A program is told nothing of how long its interpreter waited, nor of the job before.

One container a language: each job runs in the one that the last job has left.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from plain_run import Program, run_plainly
from service_process import ServiceProcess, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from http_api import Api

pytestmark = pytest.mark.docker

HEAP = """
const v8 = require('v8');
console.log(v8.getHeapStatistics().heap_size_limit >> 20);
"""
FILL = "const a = []; for (;;) a.push(new Array(100000).fill(1.5));"
FOUR_HUNDRED = """
const a = [];
for (let i = 0; i < 500; i++) a.push(new Array(100000).fill(0.5));
console.log(process.memoryUsage().heapUsed > 400e6);
"""
IDLE_S = 2
ANOTHER_S = 30
LEISURE_S = 0.6
"""Twice what the launcher takes for leisure: the container may be late."""
START_MS = IDLE_S * 500
"""More than an interpreter takes for its start, and less than it has waited."""
WHILE_OTHERS_IDLE = f"import time; time.sleep({IDLE_S})"
CLOCKS = """
const { performance } = require('perf_hooks');
console.log(JSON.stringify({
  uptime: process.uptime() * 1e3,
  now: performance.now(),
  origin: Date.now() - performance.timeOrigin,
  bootstrap: performance.nodeTiming.bootstrapComplete,
  duration: performance.nodeTiming.duration,
  mark: performance.mark('a').startTime,
  timer: setTimeout(() => {}, 1)._idleStart,
  event: new Event('a').timeStamp,
}));
"""
JAVA_FILLS = """
import java.util.*;
class Main {
    void main() { fill(); }
    void fill() {
        List<long[]> all = new ArrayList<>();
        while (true) all.add(new long[100000]);
    }
}
"""


SHOWS = [
    "console.log(process.argv, process.execArgv, process._preload_modules)",
    "console.log(Object.keys(require.cache), module.children.length)",
    """const { Worker, isMainThread } = require('worker_threads');
console.log(process.execArgv, Object.keys(require.cache));
if (isMainThread) new Worker(__filename);""",
    """if (process.send) console.log(process.execArgv);
else require('child_process').fork(__filename);""",
    "console.log(new Error('here').stack, Object.keys(process.env).sort())",
]
PATIENCE = {"wall_time_s": 30, "cpu_time_s": 30}


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceProcess]:
    languages = "java,javascript,python,ruby"
    with ServiceProcess(languages=languages, pool__warm=1, pool__max=1) as one:
        yield one


@pytest.fixture
def api(service: ServiceProcess) -> Api:
    return service.api


def heap_mb(api: Api, memory_mb: int) -> int:
    return int(
        api.run("javascript", HEAP, limits={"memory_mb": memory_mb, **PATIENCE}).text
    )


def test_the_heap_depends_on_the_job_alone(api: Api) -> None:
    sizes = [64, *[1024] * 6, *[256] * 6, 64, 1024]
    found: dict[int, set[int]] = {}
    for size in sizes:
        found.setdefault(size, set()).add(heap_mb(api, size))
    assert {size: len(heaps) for size, heaps in found.items()} == {
        64: 1,
        1024: 1,
        256: 1,
    }
    for size, (heap,) in found.items():
        assert size / 2 <= heap < size
    assert found[256].pop() > 0.75 * 256


def test_the_heap_is_what_the_memory_allows(api: Api) -> None:
    for _ in range(2):
        found = api.run(
            "javascript", FOUR_HUNDRED, limits={"memory_mb": 1024, **PATIENCE}
        )
        assert found.stdout == b"true\n"


def test_a_python_job_that_does_not_come_at_once_has_a_hash_seed_of_its_own(
    api: Api,
) -> None:
    seen: set[str] = set()

    def is_another() -> bool:
        before = len(seen)
        seen.add(api.run("python", "print(hash('a'))", limits=PATIENCE).text)
        return len(seen) > before

    for _ in range(3):
        wait_until(is_another, ANOTHER_S, "another seed", poll_s=LEISURE_S)


@pytest.mark.parametrize("memory_mb", [64, 256, 1024])
def test_a_full_heap_is_out_of_memory(api: Api, memory_mb: int) -> None:
    for _ in range(3):
        ended = api.run("javascript", FILL, limits={"memory_mb": memory_mb, **PATIENCE})
        assert ended.outcome == "out_of_memory"
        assert b"JavaScript heap out of memory" in ended.stderr
        assert f"{memory_mb} MB" in ended.document["message"]
        api.run("javascript", HEAP, limits={"memory_mb": 1024, **PATIENCE})


def test_nodes_clocks_begin_with_the_program(api: Api) -> None:
    for _ in range(2):
        api.run("python", WHILE_OTHERS_IDLE, limits=PATIENCE)
        told = json.loads(api.run("javascript", CLOCKS, limits=PATIENCE).text)
        # Node's own start is in them, as it is under `node main.js`, and no idling.
        assert {name: ms for name, ms in told.items() if ms > START_MS} == {}
        assert told["now"] > told["bootstrap"] > 0


SINCE_THE_START = {
    "python": """
import time
print(max(time.process_time(), time.thread_time(), sum(__import__("os").times()[:2])))
""",
    "ruby": """
cpu = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID)
puts [cpu, Process.times.utime + Process.times.stime].max
""",
    "java": """
import java.lang.management.*;
class Main {
    void main() {
        var runtime = ManagementFactory.getRuntimeMXBean();
        var since = System.currentTimeMillis() - runtime.getStartTime();
        IO.println(Math.max(runtime.getUptime(), since) / 1e3);
    }
}
""",
}
"""Seconds, by whatever clock of the language begins with the process."""


@pytest.mark.parametrize("language", SINCE_THE_START)
def test_no_other_languages_clock_counts_the_wait(api: Api, language: str) -> None:
    for _ in range(2):
        api.run("python", WHILE_OTHERS_IDLE, limits=PATIENCE)
        told = api.run(language, SINCE_THE_START[language], limits=PATIENCE)
        # Ruby's own start is in it, as it is in that of `ruby main.rb`.
        assert float(told.text) * 1e3 < told.document["usage"]["wall_ms"] + START_MS


def test_a_program_that_waits_by_the_clock_waits(api: Api) -> None:
    source = f"""
let n = 0;
while (performance.now() < {START_MS}) n++;
console.log(n > 0);
"""
    api.run("python", WHILE_OTHERS_IDLE, limits=PATIENCE)
    assert api.run("javascript", source, limits=PATIENCE).stdout == b"true\n"


@pytest.mark.parametrize(
    "source",
    SHOWS,
)
def test_options_of_ours_are_not_seen_in_a_cold_start(
    service: ServiceProcess, source: str
) -> None:
    limits = {"memory_mb": 200, **PATIENCE}
    show = "console.log(JSON.stringify(process.env))"
    env = json.loads(service.api.run("javascript", show, limits=limits).text)
    one = Program("one", source)
    plain = run_plainly(service, "javascript", ["node", "main.js"], env, [one])["one"]
    for given in (limits, PATIENCE):
        found = service.api.run("javascript", source, limits=given)
        assert (found.stdout, found.stderr) == (plain.stdout, plain.stderr)


def test_java_may_fill_what_the_jvm_does_not_need(api: Api) -> None:
    source = (
        "class Main { void main() { byte[][] b = new byte[300][];"
        " for (int i = 0; i < 300; i++) b[i] = new byte[1 << 20];"
        " IO.println(b.length); } }"
    )
    assert (
        api.run("java", source, limits={"memory_mb": 512, **PATIENCE}).text == "300\n"
    )


@pytest.mark.parametrize("memory_mb", [128, 512, 1024])
def test_javas_full_heap_is_out_of_memory(api: Api, memory_mb: int) -> None:
    ended = api.run("java", JAVA_FILLS, limits={"memory_mb": memory_mb, **PATIENCE})
    assert (ended.outcome, ended.exit_code) == ("out_of_memory", 1)
    assert f"{memory_mb} MB" in ended.document["message"]


def test_a_program_may_catch_that_its_heap_is_full(api: Api) -> None:
    catches = (
        "try { fill(); } catch (OutOfMemoryError e) { end(e); } } void end(Error e) {"
    )
    ends = " e.printStackTrace(); IO.println(1); System.exit(1);"
    source = JAVA_FILLS.replace("{ fill();", "{ " + catches + ends)
    ended = api.run("java", source, limits=PATIENCE)
    assert (ended.outcome, ended.stdout) == ("failure", b"1\n")


def test_no_thread_is_no_full_heap(api: Api) -> None:
    source = (
        "class Main { void main() { while (true) Thread.ofPlatform().start(() -> {"
        " try { Thread.sleep(100000); } catch (Exception e) { } }); } }"
    )
    ended = api.run("java", source, limits=PATIENCE)
    assert b"OutOfMemoryError: unable to create native thread" in ended.stderr
    assert ended.outcome != "out_of_memory"
