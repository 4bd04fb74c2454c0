"""The service with a door for faults: `door.py SOCKET serve ...` is `run.py serve ...`.

Run patched: `python -m gevent.monkey tests/faults/door.py`. The door is a unix socket.
Each connection brings one order as a line of JSON, `[method, arguments]`, and gets one
line back: what the method of `Door` returns. Only this program has one: it takes the
service's parts as they are and holds on to the directory and the engine.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import gevent
from gevent import socket
from gevent.server import StreamServer
from greenlet import greenlet
from invariants import actor_of, violations

import run
from actors.directory import Directory
from supervisors.child_spec import Intensity
from supervisors.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.actor import Actor
    from actors.engine import Engine
    from supervisors.settings import Settings

LIBC = ctypes.CDLL(None)
SUCCESSOR_S = 30.0
LOOK_S = 0.001
EXITS = {"Timeout": gevent.Timeout, "GreenletExit": gevent.GreenletExit}


class Unheard:
    """A message that no actor knows."""


class Order:
    """A message whose handler the door puts into one actor."""


class Door:
    """What can be ordered."""

    def __init__(self) -> None:
        self.directory = Directory()
        self.engine: Engine | None = None
        self._shift_s = 0.0
        self._real_time = time.time

    # -------------------------------------------------------------------- faults

    def crash(self, name: str) -> None:
        """Send the actor a message that it does not know."""
        self._ref(name).tell(Unheard())

    def crash_and_wait(self, name: str) -> float:
        """Do so; return after how many seconds it had a successor that has booted."""
        ref = self._ref(name)
        began = time.monotonic()
        ref.tell(Unheard())
        with gevent.Timeout(SUCCESSOR_S):
            while self.directory.refs().get(name, ref) is ref:
                gevent.sleep(LOOK_S)
        return time.monotonic() - began

    def fail_boot(self, name: str, times: int = 1) -> None:
        """Crash the actor, and let so many of its successors fail to boot."""
        kind: Any = type(self._actor(name))
        sound = kind.boot
        left = iter(range(times))

        def boot(actor: Any, message: Any) -> None:
            if next(left, None) is None:
                kind.boot = sound
                sound(actor, message)
            else:
                raise RuntimeError("a boot that fails, by the test's wish")

        kind.boot = boot
        self.crash(name)

    def leak(self, name: str, kind: str) -> None:
        """Let a greenlet's exit signal escape from a handler."""

        def handler(_: object) -> None:
            raise EXITS[kind]

        self._handle(name, handler)

    def block(self, name: str, seconds: float) -> None:
        """Let one handler of the actor take so long."""
        self._handle(name, lambda _: gevent.sleep(seconds))

    def freeze(self, seconds: float) -> None:
        """Let the whole process do nothing for so long."""
        LIBC.usleep(int(seconds * 1e6))

    def shift_clock(self, seconds: float) -> None:
        """Set the wall clock of this process, relative to the true one."""
        self._shift_s = seconds
        time.time = lambda: self._real_time() + self._shift_s

    def eat(self, megabytes: int, seconds: float) -> None:
        """Take so much memory for so long."""
        hog = bytearray(megabytes << 20)
        gevent.spawn_later(seconds, hog.clear)

    def allow_restarts(self) -> None:
        """Let children be restarted as often as it takes."""
        for ref in self.directory.refs().values():
            if issubclass(ref.actor_class, Supervisor):
                actor_of(ref)._intensity = Intensity(1 << 30, 30)  # noqa: SLF001

    def _handle(self, name: str, handler: Callable[[object], None]) -> None:
        self._actor(name)._handlers[Order] = handler  # noqa: SLF001
        self._ref(name).tell(Order())

    def _ref(self, name: str) -> Any:
        return self.directory.refs()[name]

    def _actor(self, name: str) -> Actor:
        actor: Actor = actor_of(self._ref(name))
        return actor

    # ------------------------------------------------------------------ to look at

    def names(self) -> list[str]:
        """Return the names of all living actors."""
        return self.directory.names()

    def counts(self) -> dict[str, int]:
        """Return how much there is of what can leak.

        Memory that is free, but which the allocator keeps, is given back before.
        """
        gc.collect()
        LIBC.malloc_trim(0)
        living = [one for one in gc.get_objects() if isinstance(one, greenlet)]
        return {
            "greenlets": sum(not one.dead for one in living),
            "actors": len(self.directory.names()),
            "kept connections": self._kept_connections(),
        }

    def _kept_connections(self) -> int:
        """Return how many connections to Docker wait in the SDK to be used again."""
        if self.engine is None:
            return 0
        adapter: Any = self.engine._client.get_adapter("http+docker://")  # noqa: SLF001
        pools = [adapter.pools.get(key) for key in adapter.pools.keys()]  # noqa: SIM118
        return sum(
            one is not None and one.sock is not None
            for pool in pools
            for one in pool.pool.queue
        )

    def restarts_left(self) -> int:
        """Return how many more restarts every supervisor allows just now."""
        now = time.monotonic()
        left = [
            limit.restarts_max - sum(at > now - limit.period_s for at in times)
            for ref in self.directory.refs().values()
            if issubclass(ref.actor_class, Supervisor)
            for one in [actor_of(ref)]
            for limit, times in [(one._intensity, one._restarts)]  # noqa: SLF001
        ]
        return min(left, default=0)

    def violations(self) -> list[str]:
        """Return which invariants do not hold at this very moment."""
        return violations(self.directory)

    # ---------------------------------------------------------------------- orders

    def serve(self, path: str) -> None:
        """Take orders, in greenlets of their own."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        StreamServer(listener, self._answer).start()

    def _answer(self, connection: Any, _: object) -> None:
        with connection, connection.makefile("rw") as lines:
            method, arguments = json.loads(lines.readline())
            try:
                answer = {"is": getattr(self, method)(**arguments)}
            except Exception as error:  # noqa: BLE001 - told to whoever ordered it
                answer = {"error": repr(error)}
            lines.write(json.dumps(answer) + "\n")


def main() -> int:
    door = Door()
    made = run.make_engine

    def make_engine(settings: Settings) -> Engine:
        door.engine = made(settings)
        return door.engine

    run.Directory = lambda: door.directory  # type: ignore[attr-defined,assignment]
    run.make_engine = make_engine
    door.serve(sys.argv.pop(1))
    return run.main()


if __name__ == "__main__":
    sys.exit(main())
