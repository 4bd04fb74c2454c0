"""What a hostile program can do to the runner, and to the job that comes after it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from runner_harness import Boxes

from images import wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner_harness import Box, Report

pytestmark = pytest.mark.docker

SCORES = int(os.environ.get("WARMBOX_TEST_SCORES", "2"))
IGNORE_SIGNALS = """
import os, signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
"""


@pytest.fixture(scope="module")
def boxes() -> Iterator[Boxes]:
    with Boxes() as found:
        yield found


def attack(boxes: Boxes, source: str, **options: float) -> Report:
    """Run a program, and then one that must find everything in order."""
    box = boxes.get("python")
    report = box.run(source, **{"wall_s": 1, "cpu_s": 10, **options})
    if report.clean:
        assert_as_new(box)
    return report


def assert_as_new(box: Box) -> None:
    look = """
import os
def uids():  # of all that isn't root's: ours, and the next job's who waits
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with open(f"/proc/{pid}/status") as file:
            words = next(line for line in file if line.startswith("Uid:")).split()
        if words[1] != "0": yield int(words[1])
print([os.listdir(p) for p in ("/box/home", "/tmp", "/dev/shm", "/dev/mqueue")])
print(os.listdir(), {uid - os.getuid() for uid in uids()} <= {0, 1})
print(os.listxattr("."), os.listxattr("/box/home"), os.stat(".").st_mode & 0o7777)
"""
    report = box.run(look)
    assert report.stdout.decode() == "[[], [], [], []]\n['main.py'] True\n[] [] 448\n"
    assert report.clean


FOREVER = {
    "fork bomb": """
while True:
    try:
        if os.fork() == 0: os.setsid()
    except OSError: pass
""",
    "stops and kills whom it can": """
for _ in range(5): os.fork()
while True:
    for name in os.listdir("/proc"):
        if name.isdigit() and name != str(os.getpid()):
            try: os.kill(int(name), signal.SIGSTOP)
            except OSError: pass
""",
    "lowers the priority of whom it can": """
for _ in range(3): os.fork()
while True:
    for pid in range(1, 300):
        try: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
        except OSError: pass
        try: os.setpriority(os.PRIO_PROCESS, pid, 19)
        except OSError: pass
""",
    "spins in every process that it may have": """
for _ in range(252):
    if os.fork() == 0: break
while True: pass
""",
    "has many mappings in each process": """
import ctypes
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
for _ in range(20_000):  # each other one for reading only, or they would be one
    libc.mmap(None, 4096, 1 + 2 * (_ & 1), 0x22, -1, 0)
for _ in range(30):
    if os.fork() == 0: break
while True: pass
""",
    "makes and moves directories": """
for _ in range(4): os.fork()
number = 0
while True:
    number += 1
    name = "%d.%d" % (os.getpid(), number)
    try:
        os.mkdir("/tmp/" + name)
        os.rename("/tmp/" + name, "/box/work/" + name)
    except OSError: pass
""",
    "orphans without end": """
while True:
    try:
        if os.fork() == 0:
            os.fork()
            os._exit(0)
    except OSError: pass
""",
    "stopped": "os.kill(os.getpid(), signal.SIGSTOP)",
    "no descriptors": "os.closerange(0, 1024)\nwhile True: pass",
}


@pytest.mark.parametrize("source", FOREVER.values(), ids=FOREVER)
def test_what_will_not_end_is_ended(boxes: Boxes, source: str) -> None:
    report = attack(boxes, IGNORE_SIGNALS + source)
    assert report.outcome == "timed_out"
    assert report.clean
    assert report.done is not None
    assert report.done["wall_ms"] < 5000


LEFT_BEHIND = {
    "a writing daemon": """
import os, time
if os.fork() == 0:
    os.setsid()
    while True:
        os.write(1, b"x"); time.sleep(0.001)
""",
    "a forking daemon": """
import os
if os.fork() == 0:
    os.setsid()
    while True:
        if os.fork() == 0: os._exit(0)
        os.wait()
""",
    "stopped children and zombies": """
import os, signal
for number in range(30):
    if os.fork() == 0:
        if number % 2: os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
""",
    "pipes inside a socket": """
import socket
a, b = socket.socketpair()
socket.send_fds(a, [b"x"], [1, 2, a.fileno(), b.fileno()])
""",
    "names of all kinds": r"""
import os, socket
for base in ("/box/work", "/box/home", "/tmp", "/dev/shm"):
    os.chdir(base)
    os.makedirs("d/e"); os.mkdir(b"d/\xff\xfe"); os.mkdir(b"a\nb"); os.mkdir("-rf")
    os.mkdir("n" * 255); os.mkdir("n" * 255 + "/" + "m" * 255)
    for number in range(20): os.makedirs("%d.moved/%d.moved/x" % (number, number))
    open(b"d/\xff.x", "w").close(); os.link(b"d/\xff.x", "hard"); os.mkfifo("fifo")
    for name, target in (("l1", "/etc/passwd"), ("l2", "/box"), ("l3", ".")):
        os.symlink(target, name)
    socket.socket(socket.AF_UNIX).bind("sock")
    os.chmod("d/e", 0); os.chmod("d", 0)
for base in ("/box/work", "/box/home"):
    os.setxattr(base, "user.left", b"secret"); os.chmod(base, 0)
""",
    "full file systems": """
for base in ("/box/work", "/box/home", "/tmp", "/dev/shm"):
    try:
        with open(base + "/fill", "wb") as file:
            while True: file.write(bytes(65536))
    except OSError: pass
""",
    "no inodes": """
for number in range(20000):
    try: open("/tmp/%d" % number, "w").close()
    except OSError: break
""",
    "a deep tree": """
import os
try:
    while True: os.mkdir("a"); os.chdir("a")
except OSError: pass
""",
}


LEFT_BEHIND["a connection"] = """
import socket
with socket.create_server(("127.0.0.1", 8000)) as server:
    client = socket.create_connection(("127.0.0.1", 8000))
    server.accept()[0].close()
    client.close()
"""


@pytest.mark.parametrize("source", LEFT_BEHIND.values(), ids=LEFT_BEHIND)
def test_what_is_left_behind_is_removed(boxes: Boxes, source: str) -> None:
    report = attack(boxes, source, wall_s=10)
    assert report.outcome == "success", report
    assert report.clean, report.dirty


FOR_GOOD = {
    "shared memory": ("libc.shmget(0, 4096, 0o1600)", "ipc"),
    "semaphores": ("libc.semget(0, 1, 0o1600)", "ipc"),
    "messages": ("libc.msgget(0, 0o1600)", "ipc"),
    "a flow's label": (
        """
import socket, struct
label = struct.pack("!16sI", socket.inet_pton(socket.AF_INET6, "fd00::1"), 0x10000)
label += struct.pack("=BBHHHI", 0, 255, 1, 60, 60, 0)
socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).setsockopt(41, 32, label)
""",
        "labels",
    ),
}


# Behind the list of system calls stands the scrub, which must do without it too: so
# these run under the engine's own list, which lets them through.
LIBC = "import ctypes\nlibc = ctypes.CDLL(None)\n"


def test_there_are_no_message_queues_either(boxes: Boxes) -> None:
    box = boxes.start("python", seccomp=None)
    source = """
import os
print(libc.mq_open(b"/left", 0o102, 0o600, 0))
try: os.open("/dev/mqueue/left", os.O_CREAT)
except OSError as error: print(error.strerror)
"""
    report = box.run(LIBC + source)
    assert report.stdout == b"-1\nToo many open files\n", report
    assert_as_new(box)


@pytest.mark.parametrize(("source", "what"), FOR_GOOD.values(), ids=FOR_GOOD)
def test_what_can_not_be_removed_is_told(boxes: Boxes, source: str, what: str) -> None:
    report = boxes.start("python", seccomp=None).run(LIBC + source)
    assert report.outcome == "success", report
    assert report.dirty == {"reason": f"left behind: {what}", "out_of_memory": False}


def test_what_the_kernel_keeps_for_a_job_is_told(boxes: Boxes) -> None:
    """Names that don't exist, 200 bytes each: it remembers that they don't."""
    source = """
import os
for number in range(100_000):
    try: os.stat("/usr/lib/%0200d" % number)
    except OSError: pass
"""
    report = boxes.start("python").run(source, wall_s=30, cpu_s=30)
    assert report.outcome == "success", report
    assert report.dirty is not None, "it is kept, for the next job to pay"
    assert report.dirty["reason"] == "left behind: kernel memory"


@pytest.mark.parametrize("turn", [0, 1], ids=["runner", "launcher"])
def test_a_process_of_ours_that_was_slowed_down_is_noticed(
    boxes: Boxes, turn: int
) -> None:
    # Only gVisor lets a program do this, so we do it
    box = boxes.start("python")
    slow = f"""
import os
pids = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
os.setpriority(os.PRIO_PROCESS, pids[{turn}], 5)
"""
    assert box.exec("python3", "-c", slow) == ""
    report = box.run("print(1)")
    assert report.dirty == {
        "reason": "left behind: scheduling",
        "out_of_memory": False,
    }


def test_the_next_jobs_process_is_out_of_reach(boxes: Boxes) -> None:
    # It is made while the program runs, and has the uid after its own
    source = """
import ctypes, os, resource, signal, time
def next_one():
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            with open(f"/proc/{pid}/status") as file:
                words = next(line for line in file if line[:4] == "Uid:").split()
        except ProcessLookupError: continue
        if int(words[1]) == os.getuid() + 1: return pid
while not (pid := next_one()): time.sleep(0.001)
libc = ctypes.CDLL(None, use_errno=True)
def ptrace():
    if libc.ptrace(16, pid, None, None): raise OSError(ctypes.get_errno(), "ptrace")
attempts = {
    "stop": lambda: os.kill(pid, signal.SIGSTOP),
    "kill": lambda: os.kill(pid, signal.SIGKILL),
    "trace": ptrace,
    "memory": lambda: open(f"/proc/{pid}/mem", "rb"),
    "write": lambda: open(f"/proc/{pid}/mem", "wb"),
    "maps": lambda: open(f"/proc/{pid}/maps").read(),
    "environment": lambda: open(f"/proc/{pid}/environ").read(),
    "descriptors": lambda: os.listdir(f"/proc/{pid}/fd"),
    "stdin": lambda: open(f"/proc/{pid}/fd/0", "wb"),
    "root": lambda: os.listdir(f"/proc/{pid}/root"),
    "nice": lambda: os.setpriority(os.PRIO_PROCESS, pid, 9),
    "processors": lambda: os.sched_setaffinity(pid, {0}),
    "limits": lambda: resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1)),
    "score": lambda: open(f"/proc/{pid}/oom_score_adj", "w").write("1000"),
}
for name, attempt in attempts.items():
    try: attempt()
    except OSError as error: pass
    else: print(name)
print("tried", len(attempts))
"""
    report = attack(boxes, source, wall_s=20)
    assert report.stdout == b"tried 14\n", report
    assert report.clean


KILL_THE_NEXT = """
import os, signal
found = {}
for pid in filter(str.isdigit, os.listdir("/proc")):
    with open(f"/proc/{pid}/status") as file:
        words = next(line for line in file if line.startswith("Uid:")).split()
    found[int(words[1])] = int(pid)
os.kill(found[max(found)], signal.SIGKILL)
"""


@pytest.mark.parametrize("limit", ["none", "wall"])
def test_a_container_whose_next_process_died_is_not_clean(
    boxes: Boxes, limit: str
) -> None:
    # As the kernel may do that wants its memory; the job has its end all the same
    box = boxes.start("python")
    last = "sys.stdin.read()" if limit == "none" else "time.sleep(60)"
    source = f"import sys, time; print(1, flush=True); sys.stdin.readline(); {last}"
    box.start(source, stdin_open=True, wall_s=3)
    assert next(box.until(wire.STDOUT))
    assert box.exec("python3", "-c", KILL_THE_NEXT) == ""
    box.send(wire.STDIN, b"\n")
    box.send(wire.STDIN_END)
    report = box.report()
    assert report.done is not None
    assert report.done["stopped"] == (None if limit == "none" else "wall")
    assert report.dirty == {
        "reason": "a waiting child has ended",
        "out_of_memory": False,
    }


@pytest.mark.parametrize("language", ["python", "bash", "javascript"])
def test_a_child_that_never_began_is_no_end_of_a_job(
    boxes: Boxes, language: str
) -> None:
    box = boxes.start(language)
    header, blobs = wire.unpack_job(box.job("")[5:])
    job = json.loads(header)
    job["files"] *= 2
    box.send(wire.JOB, wire.pack_job(json.dumps(job).encode(), [blobs]))
    report = box.report()
    assert report.done is None
    assert report.dirty is not None
    assert report.dirty["reason"].startswith("a child failed: !FileExistsError")


HUNGRY = {
    "one": "x = []\nwhile True: x.append(bytearray(1 << 20))",
    "many": """
import os
for _ in range(60):
    if os.fork() == 0:
        x = []
        while True: x.append(bytearray(1 << 18))
while True: pass
""",
    "with full file systems": """
for base in ("/box/work", "/tmp", "/dev/shm"):
    try:
        with open(base + "/fill", "wb") as file:
            while True: file.write(bytes(65536))
    except OSError: pass
x = []
while True: x.append(bytearray(1 << 20))
""",
}


@pytest.mark.parametrize("source", HUNGRY.values(), ids=HUNGRY)
def test_memory_kills_the_program_and_not_the_runner(boxes: Boxes, source: str) -> None:
    report = attack(boxes, source, wall_s=30, cpu_s=30)
    assert report.done is not None
    assert report.done["oom"] > 0
    assert report.clean, report.dirty


@pytest.mark.parametrize("processes", [1, 20])
def test_who_takes_his_offer_back_dies_all_the_same(
    boxes: Boxes, processes: int
) -> None:
    """The kernel may kill whom it likes, then, and finds the largest."""
    source = f"""
import os
for _ in range({processes - 1}):
    if os.fork() == 0: break
with open("/proc/self/oom_score_adj", "w") as file: file.write("0")
x = []
while True: x.append(bytearray(1 << 20))
"""
    for _ in range(SCORES):
        report = attack(boxes, source, wall_s=30, cpu_s=30)
        assert report.outcome == "out_of_memory"
        assert report.clean, report.dirty


def test_a_program_holds_nothing_of_ours(boxes: Boxes) -> None:
    look = r"""
import os, resource, signal
print("fds", sorted(os.listdir("/proc/self/fd"), key=int))
with open("/proc/self/status") as file:
    status = dict(line.partition(":")[::2] for line in file)
for name in ("Umask", "Groups", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs", "SigBlk"):
    print(name + ':' + status[name].strip())
print("alone", os.getsid(0) == os.getpgrp() == os.getpid(), os.getcwd())
print("core", resource.getrlimit(resource.RLIMIT_CORE))
print("oom", open("/proc/self/oom_score_adj").read().strip())
try: open("/dev/tty")
except OSError as error: print("tty", error.errno)
print("home", os.access(os.environ["HOME"], os.W_OK))
"""
    report = attack(boxes, look)
    assert not report.stderr, report
    assert report.stdout.decode().splitlines() == [
        "fds ['0', '1', '2', '3']",  # the last is the listing's own
        "Umask:0022",
        "Groups:",
        "CapPrm:0000000000000000",
        "CapEff:0000000000000000",
        "CapAmb:0000000000000000",
        "NoNewPrivs:1",
        "SigBlk:0000000000000000",
        "alone True /box/work",
        "core (0, 0)",
        "oom 500",
        "tty 6",
        "home True",
    ]


# The C library's own, which no program may set: posix_spawn leaves them ignored, so
# an engine that was started so (by make, say) hands that down to all containers.
C_LIBRARY_SIGNALS = 1 << 31 | 1 << 32


@pytest.mark.parametrize("language", ["bash", "c", "javascript"])
def test_a_program_starts_as_under_a_shell(boxes: Boxes, language: str) -> None:
    look = 'ls /proc/$PPID/fd | head -3; grep -E "SigIgn|SigBlk" /proc/$PPID/status'
    source = {
        "bash": f"bash -c '{look}'",
        "c": '#include <stdlib.h>\nint main(){return system("'
        + look.replace('"', "'")
        + '");}',
        "javascript": f"require('child_process').execFileSync('bash', ['-c', "
        f"'{look.replace('|', '|', 1)}'], {{stdio: 'inherit'}})",
    }[language]
    lines = boxes.get(language).run(source).stdout.decode().splitlines()
    assert (
        lines[:3] == ["0", "1", "10"] if language == "javascript" else ["0", "1", "2"]
    )
    # bash ignores SIGQUIT while it waits, system() SIGINT too, Node SIGPIPE and SIGXFSZ
    ignored = {"bash": 0x4, "c": 0x6, "javascript": 0x1001000}[language]
    assert int(lines[-1].removeprefix("SigIgn:"), 16) & ~C_LIBRARY_SIGNALS == ignored


def test_our_processes_are_closed_to_a_program(boxes: Boxes) -> None:
    look = r"""
import os
reached = []
def tried(what, act):
    try: act()
    except OSError: return
    reached.append((pid, what))
for pid in {int(p) for p in os.listdir("/proc") if p.isdigit()} - {os.getpid()}:
    for name in ("fd", "fdinfo", "root", "cwd", "map_files"):
        tried(name, lambda: os.listdir(f"/proc/{pid}/{name}"))
    for name in ("mem", "environ", "maps", "stack", "syscall", "auxv", "io"):
        tried(name, lambda: open(f"/proc/{pid}/{name}", "rb").read(1))
    for name in ("exe", "ns/mnt"):
        tried(name, lambda: os.readlink(f"/proc/{pid}/{name}"))
    tried("signal", lambda: os.kill(pid, 0))
    tried("renice", lambda: os.setpriority(os.PRIO_PROCESS, pid, 5))
    tried("affinity", lambda: os.sched_setaffinity(pid, {0}))
for folder in ("/", "/box", "/dev", "/run", "/var/tmp", "/etc", "/opt/warmbox", "/sys"):
    pid = folder
    tried("write", lambda: open(folder + "/x", "w"))
for pid, act in enumerate((
    lambda: os.rename("/box/work", "/box/other"), lambda: os.rmdir("/box/home"),
    lambda: os.setxattr("/tmp", "user.left", b""), lambda: os.utime("/tmp", (1, 1)),
)):
    tried("change", act)
print(reached)
"""
    assert attack(boxes, look).stdout == b"[]\n"


def test_proc_shows_nothing_of_our_argument(boxes: Boxes) -> None:
    look = "print(open('/proc/1/cmdline').read().rstrip(chr(0)).split(chr(0)))"
    assert boxes.get("python").run(look).stdout == b"['python3', 'main.py']\n"
    said = boxes.get("bash").run("tr '[:cntrl:]' '[\\n*]' < /proc/1/cmdline").stdout
    assert said.decode().split()[-1] == "/opt/warmbox/runner.pyc"


def test_a_program_finds_nothing_of_our_argument_in_its_memory(boxes: Boxes) -> None:
    look = """
import re
memory, found, seen = open("/proc/self/mem", "rb", 0), [], 0
for line in open("/proc/self/maps"):
    span, rights = line.split()[:2]
    first, end = (int(text, 16) for text in span.split("-"))
    if rights[0] == "r" and "[v" not in line:
        memory.seek(first)
        data = memory.read(end - first)
        seen += b"Hello, w" + b"orld: ours" in data
        found += re.findall(b"uid_coun[t]|scrub_[s]", data)
print(found, seen > 0)
"""
    assert boxes.get("python").run(look).stdout == b"[] True\n"


def test_a_program_has_no_descriptor_but_its_streams(boxes: Boxes) -> None:
    look = "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"
    assert boxes.get("python").run(look).stdout == b"[0, 1, 2, 3]\n"  # 3 lists them


def test_when_a_job_wrote_is_not_for_the_next_to_know(boxes: Boxes) -> None:
    box = boxes.get("python")
    times = """
import os
for folder in ("/tmp", "/dev/shm"):
    {act}
    seen = os.stat(folder)
    print(seen.st_mtime_ns, seen.st_ctime_ns)
"""
    act = "os.close(os.open(folder + '/x', os.O_CREAT)); os.unlink(folder + '/x')"
    # The kernel counts in ticks, and the cleaning may come in the same one
    later = "import time; time.sleep(0.05)"
    wrote = box.run(times.format(act=act) + later).stdout.split()
    seen = box.run(times.format(act="pass")).stdout.split()
    assert len(wrote) == len(seen) == 4
    assert not set(wrote) & set(seen)
    again = box.run(times.format(act="pass")).stdout.split()
    assert not set(again) & set(seen)


def test_the_uid_changes_with_each_job(boxes: Boxes) -> None:
    box = boxes.get("python")
    source = "import os; print(*os.getresuid(), *os.getresgid(), *os.getgroups())"
    seen = [box.run(source).stdout.split() for _ in range(3)]
    assert [len(set(ids)) for ids in seen] == [1, 1, 1]
    assert len({ids[0] for ids in seen}) == 3


BETWEEN = {
    "a daemon": "setsid sleep 60 >/dev/null 2>&1 </dev/null &",
    "a daemon that holds the pipes": "setsid sleep 60 &",
    "a writing daemon": "setsid yes &",
}


@pytest.mark.parametrize("command", BETWEEN.values(), ids=BETWEEN)
def test_what_a_compile_step_leaves_running_is_killed_before_the_next(
    boxes: Boxes, command: str
) -> None:
    box = boxes.get("c")
    report = box.run_commands(command + " exit 0", "cat /proc/*/comm; ls")
    assert report.phases == ["compile", "run"]
    seen = report.stdout.removeprefix(b"y\n" * report.stdout.count(b"y\n")).split()
    assert seen[-1] == b"main.c"
    assert b"cat" in seen
    assert not {b"sleep", b"yes"} & set(seen)
    assert report.outcome == "success"
    assert report.clean


def test_a_compile_step_that_kills_all_it_can_harms_itself_only(boxes: Boxes) -> None:
    box = boxes.get("c")
    report = box.run_commands("kill -9 -1; exit 0", "echo made later")
    assert report.stdout == b"made later\n"
    assert report.clean
    assert box.run("int main(){}").outcome == "success"


def test_a_compiler_leaves_nothing_to_the_program_but_files(boxes: Boxes) -> None:
    look = "ls; ls /proc > seen; grep -c ^[0-9] seen"
    source = f'#include <stdlib.h>\nint main(){{return system("{look}");}}'
    report = boxes.get("c").run(source)
    # the runner, the launcher, the next job's child, the program, its shell and ls
    assert report.stdout.decode().split() == ["a.out", "main.c", "6"]
