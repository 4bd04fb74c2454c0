"""What one job is charged with.

A bill is made anew for each job, and nothing else keeps a figure of a job's: so none
can come to the next one's account.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from images.runner_children import Exit
    from images.runner_kernel import Gauge


class Bill:
    """A step's CPU time, its largest process, and how often its memory ran out.

    uid: the job's, which none of another job's processes has.
    cpu, oom_kills: of the whole container.
    others_ms: the CPU time of what is at work for the next job.
    told: who has ended before, on another bill.
    """

    def __init__(
        self,
        uid: int,
        cpu: Gauge,
        oom_kills: Gauge,
        others_ms: Callable[[], float],
        told: Iterable[Exit] = (),
    ) -> None:
        self._told = list(told)
        self._uid = uid
        self._cpu = cpu
        self._oom_kills = oom_kills
        self._others_ms = others_ms
        self._others_before_ms = others_ms()
        self._cpu_before = cpu.read()
        self._ooms_before = oom_kills.read() or 0
        self._orphans_kb = 0

    def bury(self, memory_kb: int) -> None:
        """Charge an orphan that has ended."""
        self._orphans_kb = max(self._orphans_kb, memory_kb)

    def memory_kb(self, exits: Iterable[Exit]) -> int:
        """Return the size of the job's largest process so far.

        exits: the launcher's children that have ended. A program can make such, too.
        """
        new = [ended for ended in exits if ended not in self._told]
        own = [ended.memory_kb for ended in new if ended.uid == self._uid]
        return max(self._orphans_kb, *own, 0)

    def cpu_ms(self) -> float | None:
        """Return the CPU time so far, without that of what is the next job's."""
        # In this order: a process that runs just now is brought up to date by it.
        others_ms = self._others_ms() - self._others_before_ms
        whole = self._cpu.since(self._cpu_before)
        return None if whole is None else round(max(0.0, whole - others_ms), 3)

    def ooms(self) -> float:
        """Return how many processes the kernel has killed for memory so far."""
        return (self._oom_kills.read() or 0) - self._ooms_before
