"""What the container's control group is charged with, by kind, and how much may stay.

A job's own memory goes with its processes. What it had the kernel keep stays: the names
that it looked up, the pages of files that it read. That is memory which the next job
lacks, and it is that one's time in which the kernel takes it back.
"""

from __future__ import annotations

from images.runner_kernel import CGROUP, Text

MIB = 1 << 20
SLACK_BYTES = {
    "memory": 16 * MIB,
    "kernel memory": 16 * MIB,
    "file cache": 128 * MIB,
}
"""How much more than at the start is no reason to end a container.

To take it back costs 1.5 ms a megabyte of names and 0.3 ms of file cache. A search
through all of /usr leaves 7 MB of names, a compiler up to 80 MB of its own files, which
the next one needs too.
"""
_STATS = ("memory.stat", "memory/memory.stat")
"""Of version 2 of control groups, and of 1."""
_KEYS = {
    "memory": (("anon", "shmem"), ("total_rss", "total_shmem")),
    "kernel memory": (
        ("kernel", "sock"),
        ("slab", "kernel_stack", "pagetables", "percpu", "sock"),  # before Linux 5.18
    ),
    "file cache": (("file",), ("total_cache",)),
}
"""What adds up to each kind: the first line whose first key there is."""
_COUNTERS = (
    "memory/memory.kmem.usage_in_bytes",
    "memory/memory.kmem.tcp.usage_in_bytes",
)
"""Of version 1, which has the kernel's memory in files of their own."""


class Memory:
    """Reads the amounts again and again."""

    def __init__(self, root: str = CGROUP) -> None:
        stats = (Text(f"{root}/{file}") for file in _STATS)
        self._stat = next((text for text in stats if text.read()), None)
        self._last: dict[str, int] = {}
        self._counters = [Text(f"{root}/{file}") for file in _COUNTERS]

    def read(self) -> dict[str, int]:
        """Return the bytes of each kind that the kernel shows."""
        if self._stat is None:
            return {}
        lines = map(str.split, self._stat.read().splitlines())
        stat = {key: int(value) for key, value in lines}
        found = {kind: _sum(stat, choices) for kind, choices in _KEYS.items()}
        if found["kernel memory"] is None:
            told = [text.read() for text in self._counters]
            found["kernel memory"] = sum(map(int, filter(None, told)))
        self._last = {kind: had for kind, had in found.items() if had is not None}
        return self._last

    def own_kb(self) -> int | None:
        """Return what the clean container took when that was last read.

        What waits in it is the next job's; when that runs, as much waits for the one
        behind it. None where the kernel doesn't show it.
        """
        if "memory" not in self._last:
            return None
        return (self._last["memory"] + self._last.get("kernel memory", 0)) >> 10

    def own_kb_now(self) -> int | None:
        """Return that, with what the kernel keeps now of a step that is over.

        Go's compiler looks at so many files that it is some megabytes: of its program's
        memory nothing is to be missing for that.
        """
        clean = self._last
        kept = self.read().get("kernel memory", 0)
        self._last = {**clean, "kernel memory": kept} if clean else {}
        return self.own_kb()

    def limits(self) -> dict[str, int]:
        """Return what may be there after any job, if all is well now."""
        return {
            kind: amount + SLACK_BYTES[kind] for kind, amount in self.read().items()
        }


def _sum(stat: dict[str, int], choices: tuple[tuple[str, ...], ...]) -> int | None:
    for keys in choices:
        if keys[0] in stat:
            return sum(stat.get(key, 0) for key in keys)
    return None
