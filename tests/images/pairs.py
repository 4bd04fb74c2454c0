"""Pairs of jobs: one that leaves what it can, and one that must not notice.

Whoever finds a way for a job to change what the next one is told, what it costs or how
it ends adds the pair to `PAIRS`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

HELLO = {
    "python": "print('hello')",
    "javascript": "console.log('hello')",
    "bash": "echo hello",
}


@dataclass(frozen=True)
class Pair:
    """What comes first, and what comes after it.

    second: nothing is the language's hello.
    first_kb: what the first has to be billed at least.
    memory_mb: of the container, from its start; the language's own if it is not said.
    options, second_options: limits and the like, as `Box.job` takes them.
    """

    name: str
    language: str
    first: str
    second: str = ""
    first_kb: int = 0
    memory_mb: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    second_options: dict[str, Any] = field(default_factory=dict)

    @property
    def after(self) -> str:
        """Return the second job's source."""
        return self.second or HELLO[self.language]


ORPHAN = """
import os, time
told, tells = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        data = b"x" * (100 << 20)
        os.dup2(tells, 999)
        os.closerange(0, 999)
        os.write(999, b"!")
        os.close(999)
        time.sleep(60)
    os._exit(0)
os.wait()
os.read(told, 1)
print("hello")
"""
"""An orphan of 100 MB that is there when the job ends, and holds none of its pipes."""

SIBLING = """
import ctypes, os, signal
CLONE, CLONE_PARENT = 56, 0x8000
told, tells = os.pipe()
libc = ctypes.CDLL(None)
if libc.syscall(CLONE, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0) == 0:
    data = b"x" * (110 << 20)
    os._exit(0)
os.close(tells)
os.read(told, 1)
print("hello")
"""
"""A child of the launcher's, not of the program's, that takes 110 MB and ends."""

NAMES = """
import os, time
until = time.monotonic() + 4
for number in range(1 << 22):
    try: os.stat("/usr/lib/%0200d" % number)
    except OSError: pass
    if number % 1000 == 0 and time.monotonic() > until: break
print(number)
"""
"""Names that don't exist: the kernel remembers each."""

FILL = """
data = bytearray(200 << 20)
print(len(data))
"""

READ_ALL = """
#include <stdlib.h>
int main() { system("find /usr -type f -print0 | xargs -0 cat > /dev/null"); }
"""
"""The files of the image, which the kernel keeps in memory."""

FILL_CPP = """
#include <cstdlib>
#include <cstring>
#include <cstdio>
int main() {
  void *data = memset(malloc(480 << 20), 1, 480 << 20);
  puts("full");
  free(data);
}
"""

TOUCH = (
    """
import os, time
for path in ("/dev/null", "/dev/zero", "/dev/full", "/dev/pts/ptmx", "/proc/keys"):
    try: os.utime(path)
    except OSError: pass
time.sleep(1)
data = bytearray(150 << 20)
"""
    + "#" * (6 << 20)
)
LOOK = """
import os, time
born = os.stat("/tmp").st_mtime
print(abs(os.stat("/dev/pts/ptmx").st_mtime - born) < 0.5)
for path in ("/dev/null", "/dev/zero", "/dev/full", "/proc/keys"):
    print(os.stat(path).st_mtime_ns <= os.stat("/dev").st_mtime_ns)
for line in open("/proc/1/status"):
    if line[:6] in ("VmPeak", "VmHWM:"): print(line[:7], int(line.split()[1]) >> 12)
for name in "memory/memory.max_usage_in_bytes", "memory.peak":
    try: print(open("/sys/fs/cgroup/" + name).read())
    except FileNotFoundError: print()
print(sorted(os.listdir("/sys/kernel")))
print(sorted(os.listdir("/proc/sys/net/ipv4")))
"""
"""What could tell of the job before: that it was there, how large it was."""

HUNGRY = """
data = []
while True: data.append(bytearray(1 << 20))
"""
IMPORTS = "import json, asyncio, http.client, decimal; print('imported')"

HEAP = """
const v8 = require("v8");
console.log(v8.getHeapStatistics().heap_size_limit, v8.getHeapSpaceStatistics().length);
"""
"""What waits for the second job starts where there is the memory of another one."""

PAIRS = [
    Pair("an orphan's memory", "python", ORPHAN, first_kb=100 << 10),
    Pair("a sibling's memory", "python", SIBLING, first_kb=110 << 10),
    Pair("names that don't exist", "python", NAMES, FILL),
    Pair("names that don't exist, and much memory", "python", NAMES, FILL, 0, 1024),
    Pair("all its memory", "python", HUNGRY, IMPORTS),
    Pair("times and counters", "python", TOUCH, LOOK),
    Pair("files read", "cpp", READ_ALL, FILL_CPP),
    Pair("more memory", "javascript", HELLO["javascript"], HEAP, memory_mb=1024),
]
