"""Hostile and odd programs: each ends as its evidence says, and leaves nothing."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from probing import check_all_clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from http_api import Api, Result
    from service_process import ServiceProcess

pytestmark = pytest.mark.docker

MIB = 1 << 20
DEFAULT_KB = 1024
SIGKILL, SIGTERM, SIGXFSZ = 9, 15, 25


@dataclass(frozen=True)
class Hostile:
    """A program and how it has to end."""

    name: str
    source: str
    outcome: str = "success"
    exit_code: int | None = 0
    signal: int | None = None
    language: str = "python"
    fields: dict[str, Any] = field(default_factory=dict)
    stdout: bytes | None = None
    check: Callable[[Result], object] = lambda result: result


def outlived(result: Result) -> None:
    assert result.document["usage"]["wall_ms"] < 4000, "it was waited for"


def used_cpu(result: Result) -> None:
    usage = result.document["usage"]
    assert 1000 <= usage["cpu_ms"] < 4000
    assert usage["wall_ms"] < 15_000


def flooded(result: Result) -> None:
    assert len(result.stdout) + len(result.stderr) == DEFAULT_KB * 1024
    assert result.document["truncated"]


def no_names(result: Result) -> None:
    assert result.stdout == result.stderr == b""
    assert {event.name for event in result.events} == {"queued", "started", "finished"}


def said_in_stderr(text: str) -> Callable[[Result], object]:
    def check(result: Result) -> None:
        assert text in result.stderr.decode(), result.stderr

    return check


MANY_CHILDREN_SPIN = """
import os
for _ in range(8):
    if os.fork() == 0:
        while True: pass
os.wait()
"""

FILLS = """
import errno, os
def fill(folder):
    try:
        for name in ("/half", "/other"):
            with open(folder + name, "wb", buffering=0) as file:
                for _ in range(60):
                    file.write(bytes(1 << 20))
    except OSError as error:
        return errno.errorcode[error.errno]
def sow(folder):
    try:
        for n in range(1_000_000):
            os.close(os.open(f"{folder}/{n}", os.O_CREAT))
    except OSError as error:
        return errno.errorcode[error.errno]
"""

BAD_NAMES = r"""
import os, socket
os.chdir("/tmp")
for name in (b"\n", b"-rf", b"\xff\xfe", b"a b", b"x" * 255, b"'", b"..."):
    os.close(os.open(name, os.O_CREAT, 0))
os.symlink("/etc/passwd", "link")
os.symlink("/nowhere", "dangling")
os.symlink(".", "loop")
os.mkfifo("pipe", 0)
os.link("pipe", "hard")
socket.socket(socket.AF_UNIX).bind("sock")
os.mkdir("dir", 0)
print("made")
"""

DEEP = """
import os
for place in ("/tmp", "."):
    os.chdir(place)
    try:
        for n in range(20_000):
            os.mkdir("d")
            os.chdir("d")
    except OSError as error:
        print(error.strerror, n > 5000)
    os.chdir(os.path.expanduser("~"))
"""

UNREADABLE = """
import os
os.makedirs("/tmp/a/b/c")
open("/tmp/a/b/c/file", "w").close()
for folder in ("/tmp/a/b/c", "/tmp/a/b", "/tmp/a"):
    os.chmod(folder, 0)
os.mkdir("work", 0)
os.chmod(os.path.expanduser("~"), 0)
os.chmod(".", 0)
os.chmod("..", 0) if os.access("..", os.W_OK) else None
print("shut")
"""

IPC = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.shmget(0, 4096, 0o1600), libc.semget(0, 3, 0o1600))
print(libc.msgget(0, 0o1600), libc.mq_open(b"/queue", 0o102, 0o600, None))
with open("/dev/shm/left", "w") as file:
    file.write("x")
"""

DAEMON = """
import os, signal, sys, time
print("parent", flush=True)
if os.fork() == 0:
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        while True:
            time.sleep(0.01)
    os._exit(0)
"""

ZOMBIES = """
import os, time
for n in range(25):          # of both together, fewer than a job may have
    pid = os.fork()
    if pid == 0:
        if os.fork() == 0:
            os._exit(0)      # an orphan: the runner's to bury
        os._exit(0)          # a zombie until we end
time.sleep(0.2)
"""

FORK_BOMB = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""

LOOK_AROUND = """
import os
shut = []
for pid in ("1", str(os.getppid())):
    for name in ("mem", "environ", "fd", "cwd", "exe", "maps"):
        path = f"/proc/{pid}/{name}"
        try:
            os.listdir(path) if name == "fd" else os.stat(path) and open(path, "rb")
        except OSError:
            continue
        else:
            print("open:", path)
for pid in (1, os.getppid()):
    try:
        os.kill(pid, 9)
        print("killed", pid)
    except PermissionError:
        pass
try:
    os.setuid(0)
    print("root")
except PermissionError:
    pass
"""

HOG = "x = []\nwhile True:\n    x.append(b'x' * 1_000_000)\n"
ALLOCATE = "x = b'x' * {mb}_000_000\nprint(len(x))\n"

HOSTILE = [
    Hostile(
        "cpu limit by children",
        MANY_CHILDREN_SPIN,
        "timed_out",
        None,
        SIGKILL,
        fields={"limits": {"cpu_time_s": 1, "wall_time_s": 20}},
        check=used_cpu,
    ),
    Hostile("memory bomb", HOG, "out_of_memory", None, SIGKILL),
    Hostile(
        "a child's memory bomb, noticed",
        f"""
import subprocess, sys
code = subprocess.run([sys.executable, "-c", {HOG!r}]).returncode
print(code)
sys.exit(1)
""",
        "out_of_memory",
        1,
        stdout=b"-9\n",
    ),
    Hostile(
        "a child's memory bomb, survived",
        f"""
import subprocess, sys
print(subprocess.run([sys.executable, "-c", {HOG!r}]).returncode)
""",
        stdout=b"-9\n",
    ),
    Hostile(
        "memory eaten by many",
        """
import os, time
for _ in range(50):
    if os.fork() == 0:
        x = b"x" * 20_000_000
        time.sleep(60)
os._exit(os.wait()[1] == 9)
""",
        "out_of_memory",
        1,
    ),
    Hostile(
        "memory eaten by many who are small",
        """
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    for (int n = 0; n < 60; n++)
        if (fork() == 0) { memset(malloc(6 << 20), 1, 6 << 20); pause(); }
    int status;
    wait(&status);
    return WTERMSIG(status) == 9;
}
""",
        "out_of_memory",
        1,
        language="c",
    ),
    Hostile(
        "memory eaten by a shared mapping",
        """
import mmap, time
maps = [mmap.mmap(-1, 400_000_000)]
while True:
    for at in range(0, 400_000_000, 4096):
        maps[0][at] = 1
""",
        "out_of_memory",
        None,
        SIGKILL,
    ),
    Hostile(
        "fork bomb",
        FORK_BOMB,
        "timed_out",
        None,
        SIGKILL,
        fields={"limits": {"wall_time_s": 2}},
    ),
    Hostile("bash's fork bomb", ":(){ :|:& };:\n", language="bash", check=outlived),
    Hostile(
        "c's fork bomb",
        "#include <unistd.h>\n#include <signal.h>\nint main(void) {\n"
        "  for (int n = 1; n < 65; n++) signal(n, SIG_IGN);\n"
        "  for (;;) { fork(); setsid(); }\n}\n",
        "timed_out",
        None,
        SIGKILL,
        language="c",
        fields={"limits": {"wall_time_s": 2}},
    ),
    Hostile(
        "output flood",
        "import os\nfor _ in range(100):\n    os.write(1, b'x' * 1_048_576)\n",
        "output_exceeded",
        None,
        SIGKILL,
        check=flooded,
    ),
    Hostile(
        "output flood on both",
        "while :; do echo out; echo err >&2; done",
        "output_exceeded",
        None,
        SIGKILL,
        language="bash",
        fields={"limits": {"wall_time_s": 30}},
        check=flooded,
    ),
    Hostile(
        "just as much as allowed",
        "print('x' * 1023)",
        fields={"limits": {"output_kb": 1}},
        stdout=b"x" * 1023 + b"\n",
    ),
    Hostile(
        "one byte more than allowed",
        "import time\nprint('x' * 1024, flush=True)\ntime.sleep(9)",
        "output_exceeded",
        None,
        SIGKILL,
        fields={"limits": {"output_kb": 1}},
        stdout=b"x" * 1024,
    ),
    Hostile(
        "a line of 1 MB", "print('x' * 1_000_000)", stdout=b"x" * 1_000_000 + b"\n"
    ),
    Hostile("nothing", "pass", check=no_names),
    Hostile(
        "every byte",
        "import os\nos.write(1, bytes(range(256)) * 9)\nos.write(1, b'\\0')",
        stdout=bytes(range(256)) * 9 + b"\0",
    ),
    Hostile(
        "closes its streams",
        "exec >&- 2>&-\nsleep 0.3\nexit 4",
        "failure",
        4,
        None,
        "bash",
    ),
    Hostile("closes all", "import os\nos.closerange(0, 99)\nos._exit(0)"),
    Hostile("leaves a daemon", DAEMON, stdout=b"parent\n", check=outlived),
    Hostile("exits with 137", "exit 137", "failure", 137, language="bash"),
    Hostile(
        "kills itself",
        "import os\nos.kill(os.getpid(), 9)",
        "signalled",
        None,
        SIGKILL,
    ),
    Hostile(
        "aborts",
        "#include <stdlib.h>\nint main(void) { abort(); }",
        "signalled",
        None,
        6,
        "c",
    ),
    Hostile(
        "segfaults",
        "int main(void) { *(volatile int *)0 = 1; }",
        "signalled",
        None,
        11,
        "c",
    ),
    Hostile(
        "stops itself",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
        "timed_out",
        None,
        SIGKILL,
        fields={"limits": {"wall_time_s": 0.5}},
    ),
    Hostile(
        "reads where there is nothing", "print(repr(open(0).read()))", stdout=b"''\n"
    ),
    Hostile(
        "reads nothing of much",
        "print('never mind')",
        fields={"stdin": "x" * 900_000},
        stdout=b"never mind\n",
    ),
    Hostile(
        "reads all of much",
        "import sys\nprint(len(sys.stdin.read()))",
        fields={"stdin": "x" * 900_000},
        stdout=b"900000\n",
    ),
    Hostile(
        "kills all that it can",
        "import os\nos.kill(-1, 9)\nprint('alone')",
        stdout=b"alone\n",
    ),
    Hostile(
        "kills all but itself with bash",
        "sleep 100 & kill -9 -1; echo alone",
        language="bash",
        stdout=b"alone\n",
    ),
    Hostile(
        "fills all places",
        FILLS + "print(*(fill(f) for f in ('/tmp', '.', '/dev/shm')))",
        stdout=b"ENOSPC ENOSPC ENOSPC\n",
        fields={"limits": {"memory_mb": 512}},
    ),
    Hostile(
        "uses up all inodes",
        FILLS + "print(*(sow(f) for f in ('/tmp', '.', '/dev/shm')))",
        stdout=b"ENOSPC ENOSPC ENOSPC\n",
        fields={"limits": {"memory_mb": 512}},
    ),
    Hostile(
        "writes where it may not",
        """
for path in ("/x", "/etc/passwd", "/usr/bin/python3", "/opt/warmbox/runner.py",
             "/proc/sys/kernel/hostname", "/sys/x", "/box/x", "/box/home/../x",
             "/dev/x"):
    try:
        open(path, "w").close()
        print("wrote", path)
    except OSError:
        pass
""",
        stdout=b"",
    ),
    Hostile("looks around", LOOK_AROUND, stdout=b""),
    Hostile(
        "calls home",
        """
import os, socket
print(os.listdir("/sys/class/net"))
for address in (("1.1.1.1", 53), ("172.17.0.1", 80), ("169.254.169.254", 80)):
    try:
        socket.create_connection(address, 2)
        print("connected")
    except OSError as error:
        print(error.strerror)
try:
    socket.gethostbyname("debian.org")
except OSError:
    print("unknown")
""",
        stdout=b"['lo']\n" + b"Network is unreachable\n" * 3 + b"unknown\n",
    ),
    Hostile(
        "talks to itself",
        """
import socket, threading
server = socket.create_server(("localhost", 0))
def answer():
    server.accept()[0].sendall(b"heard")
threading.Thread(target=answer).start()
print(socket.create_connection(("localhost", server.getsockname()[1])).recv(9))
""",
        stdout=b"b'heard'\n",
    ),
    Hostile(
        "a deep tree",
        DEEP,
        stdout=b"No space left on device True\n" * 2,
        fields={"limits": {"memory_mb": 512}},
    ),
    Hostile("unreadable directories", UNREADABLE, stdout=b"shut\n"),
    Hostile("odd names", BAD_NAMES, stdout=b"made\n"),
    Hostile(
        "removes its own directory",
        "rm -rf /box/work /box/home; echo $?",
        language="bash",
    ),
    Hostile(
        "100 MB file",
        "#include <unistd.h>\n#include <fcntl.h>\nint main(void) "
        '{ return ftruncate(open("/tmp/f", O_CREAT | O_RDWR, 0600), 100 << 20); }',
        "signalled",
        None,
        SIGXFSZ,
        "c",
    ),
    Hostile(
        "100 MB file in python",
        "open('/tmp/f', 'wb').truncate(100 << 20)",
        "failure",
        1,
        check=said_in_stderr("File too large"),
    ),
    Hostile("leaves zombies", ZOMBIES),
    Hostile("asks for IPC objects", IPC, stdout=b"-1 -1\n-1 -1\n"),
    Hostile(
        "more memory than usual",
        ALLOCATE.format(mb=400),
        fields={"limits": {"memory_mb": 512}},
        stdout=b"400000000\n",
    ),
    Hostile(
        "less memory than usual",
        ALLOCATE.format(mb=200),
        "out_of_memory",
        None,
        SIGKILL,
        fields={"limits": {"memory_mb": 64}},
    ),
    Hostile("the usual memory", ALLOCATE.format(mb=200), stdout=b"200000000\n"),
    Hostile(
        "fewer processes than usual",
        """
import os, time
made = 0
try:
    for _ in range(30):
        if os.fork() == 0:
            time.sleep(9)
        made += 1
except BlockingIOError:
    print(made)
""",
        fields={"limits": {"processes": 5}},
        stdout=b"4\n",
    ),
    Hostile(
        "more processes than usual",
        """
import os, time
for _ in range(150):
    if os.fork() == 0:
        time.sleep(9)
print("made")
""",
        fields={"limits": {"processes": 200}},
        stdout=b"made\n",
    ),
    Hostile(
        "half a second",
        "import time\ntime.sleep(9)",
        "timed_out",
        None,
        SIGKILL,
        fields={"limits": {"wall_time_s": 0.5}},
        check=lambda result: 500 <= result.document["usage"]["wall_ms"] < 3000,
    ),
    Hostile(
        "a compiler that eats memory",
        '#include "/dev/zero"\n',
        "out_of_memory",
        None,
        language="c",
    ),
    Hostile(
        "a compiler that writes too much",
        "int a[100 << 20] = {1}; int main(void) { return a[0]; }",
        "compile_failed",
        None,
        language="c",
    ),
    Hostile(
        "an interpreter that exhausts its heap",
        "const all = []; for (;;) all.push(new Array(100000).fill(Math.random()));",
        "out_of_memory",
        None,
        6,
        language="javascript",
        fields={"limits": {"memory_mb": 1024, "wall_time_s": 20, "cpu_time_s": 20}},
    ),
    Hostile(
        "unwilling to end",
        "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);",
        "timed_out",
        None,
        SIGKILL,
        language="javascript",
        fields={"limits": {"wall_time_s": 1}},
    ),
]


@pytest.mark.parametrize("hostile", [pytest.param(h, id=h.name) for h in HOSTILE])
def test_hostile(service: ServiceProcess, hostile: Hostile) -> None:
    source = textwrap.dedent(hostile.source)
    result = service.api.run(hostile.language, source, **hostile.fields)
    assert result.outcome == hostile.outcome, result
    assert result.exit_code == hostile.exit_code, result
    assert result.signal == hostile.signal, result
    assert result.document["attempt"] == 1
    if hostile.stdout is not None:
        assert result.stdout == hostile.stdout, result.stderr
    assert hostile.check(result) is not False, result
    check_all_clean(service, hostile.language)


FOREVER = {
    "spins": "while True: pass",
    "sleeps": "import time\ntime.sleep(99)",
    "forks and ignores signals": """
import os, signal, time
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
for _ in range(5):
    os.fork()
    os.setsid() if os.getpid() != os.getsid(0) and os.getpgrp() != os.getpid() else None
while True:
    time.sleep(0.01)
""",
}


def test_what_never_ends_is_ended_after_the_default_5_s(
    service: ServiceProcess,
) -> None:
    api = service.api
    ids = [api.submit("python", source) for source in FOREVER.values()]
    for job_id in ids:
        result = api.result(job_id)
        assert result.outcome == "timed_out"
        assert 4900 <= result.document["usage"]["wall_ms"] < 8000
    check_all_clean(service, "python")
    hello = api.run("python", "print('Hello, world!')")
    assert (hello.outcome, hello.text) == ("success", "Hello, world!\n")


def test_a_job_does_not_change_the_next_ones_memory(service: ServiceProcess) -> None:
    api = service.api
    want = {"limits": {"memory_mb": 64}}
    ids = [
        api.submit("python", "import time\ntime.sleep(.2)", **want) for _ in range(5)
    ]
    for job_id in ids:
        assert api.result(job_id).outcome == "success"
    source = ALLOCATE.format(mb=200) + "import time\ntime.sleep(.2)"
    ids = [api.submit("python", source) for _ in range(5)]
    for job_id in ids:
        assert api.result(job_id).outcome == "success"


# ----------------------------------------------------------------------- cancel

SLEEP = "import time\nprint('up', flush=True)\ntime.sleep(25)"
LONG = {"limits": {"wall_time_s": 30}}


def test_cancel_while_it_runs(service: ServiceProcess) -> None:
    api = service.api
    job_id = api.submit("python", SLEEP, **LONG)
    with api.follow(job_id) as events:
        events.until("stdout", "up")
        answer = api.cancel(job_id)
        assert answer.status == 200
        finished = events.until("finished")
        assert events.next() is None  # the stream ends with it
    assert finished.data["outcome"] == "cancelled"
    assert answer.document["outcome"] == "cancelled"
    assert answer.document["stdout"] == "up\n"
    again = api.cancel(job_id)
    assert (again.status, again.document["outcome"]) == (200, "cancelled")
    check_all_clean(service, "python")


def test_cancel_while_it_compiles(service: ServiceProcess) -> None:
    api = service.api
    source = "#include <regex>\n" + "".join(
        f"template class std::basic_regex<char, X<{n}>>;\n" for n in range(0)
    )
    source += "\n".join(
        f"template<int N> struct S{n} {{ static const int v = S{n}<N-1>::v + "
        f"S{n}<N-2>::v; }};\ntemplate<> struct S{n}<0> {{ static const int v = 1; }};\n"
        f"template<> struct S{n}<1> {{ static const int v = 1; }};\n"
        f"static_assert(S{n}<800>::v != 7);"
        for n in range(300)
    )
    job_id = api.submit("cpp", source + "\nint main() {}")
    with api.follow(job_id) as events:
        events.until("started")
        api.cancel(job_id)
        finished = events.until("finished")
    assert finished.data["outcome"] == "cancelled"
    assert finished.data["compile"]["outcome"] == "cancelled"
    assert finished.data["usage"]["wall_ms"] is None


def test_cancel_while_it_waits(service: ServiceProcess) -> None:
    api = service.api
    blockers = [api.submit("ruby", "sleep 25", **LONG) for _ in range(5)]
    for blocker in blockers:
        with api.follow(blocker) as events:
            events.until("started")
    job_id = api.submit("ruby", "puts 1")
    waiting = api.look(job_id)
    assert waiting["state"] == "queued"
    assert waiting["position"] == 1
    assert api.metric("warmbox_queue_depth", language="ruby") == 1
    assert api.cancel(job_id).document["outcome"] == "cancelled"
    names = [event.name for event in api.wait(job_id)]
    assert names == ["queued", "finished"]
    assert api.metric("warmbox_queue_depth", language="ruby") == 0
    for blocker in blockers:
        assert api.cancel(blocker).document["outcome"] == "cancelled"
    service.wait_settled("ruby")


def test_the_text_of_bytes_that_are_no_text(api: Api) -> None:
    job_id = api.submit("python", "import os\nos.write(1, b'a\\0\\xff\\xfeb')")
    api.wait(job_id)
    document = api.look(job_id)
    assert document["stdout"] == "a\0\ufffd\ufffdb"
    assert json.dumps(document)
