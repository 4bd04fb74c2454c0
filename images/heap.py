"""The heap of a language's runtime: how large it may be, and how its end is known."""

from __future__ import annotations

import re
from dataclasses import dataclass

PLACEHOLDER = "{heap_mb}"
"""In a command: the size that the job's memory allows, in MiB."""
REPORT_BYTES_MAX = 64 * 1024
"""Of a program's last words: a runtime's report holds a stack of a thousand calls."""


@dataclass(frozen=True, slots=True)
class Heap:
    """What a runtime is told of its heap, rather than to look for itself.

    What it finds when it starts may be another job's limit, if it waits for one.
    """

    runtime_mb: int
    """What the runtime needs beside it: code, stacks, tables."""
    share: float
    """How much of the rest it may fill: the collector needs some for its work."""
    exit_code: int | None = None
    """How the process ends when the heap is full, if not by a signal."""
    signal: int | None = None
    report: str = ""
    """What it says then, in the last lines of stderr; a regular expression."""

    def size_mb(self, memory_mb: int) -> int:
        """Return the size under a memory limit; half where little would be left."""
        return max(memory_mb // 2, int((memory_mb - self.runtime_mb) * self.share))

    def was_full(self, exit_code: int | None, signal: int | None, said: bytes) -> bool:
        """Tell whether the runtime itself ended the program for want of heap.

        A program can say the same, of itself only.
        """
        if not self.report or (exit_code, signal) != (self.exit_code, self.signal):
            return False
        text = said.decode("utf-8", "replace")
        return re.search(self.report, text, re.MULTILINE) is not None


def fill_in(argv: tuple[str, ...], heap: Heap | None, memory_mb: int) -> list[str]:
    """Return the command with the size of the heap in it, if it says one."""
    if heap is None:  # then none of it says so: see the catalog
        return [*argv]
    size = str(heap.size_mb(memory_mb))
    return [argument.replace(PLACEHOLDER, size) for argument in argv]
