"""What a program wrote to stderr last: there a runtime says that its heap was full."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from actors.messages import Outcome
from images.heap import REPORT_BYTES_MAX

if TYPE_CHECKING:
    from actors.messages import JobResult, Limits
    from images.heap import Heap


class LastWords:
    """The end of one step's stderr, kept where the language's runtime has a heap.

    A program can write what the runtime would, and end in its way: that tells wrong
    things of itself, and of nobody else.
    """

    def __init__(self, heap: Heap | None) -> None:
        self._heap = heap
        self._said = bytearray()

    def add(self, data: bytes) -> None:
        """Take what comes next."""
        if self._heap is not None:
            self._said += data
            del self._said[:-REPORT_BYTES_MAX]

    def clear(self) -> None:
        """Forget it: another step begins."""
        self._said.clear()

    def judge(self, result: JobResult, limits: Limits) -> JobResult:
        """Return the result, with the runtime's own reason where there is one."""
        heap = self._heap
        if heap is None:
            return result
        said = bytes(self._said)
        self.clear()
        if result.outcome not in {Outcome.FAILURE, Outcome.SIGNALLED}:
            return result
        if not heap.was_full(result.exit_code, result.signal, said):
            return result
        size_mb = heap.size_mb(limits.memory_mb)
        text = (
            f"Ended at the limit of {limits.memory_mb} MB of memory: "
            f"the runtime's heap of {size_mb} MB was full."
        )
        return replace(result, outcome=Outcome.OUT_OF_MEMORY, message=text)
