"""Several gateways behind one port of one host, each a process of its own.

The parent holds the listening socket and never accepts: the processes inherit it, and
the kernel gives each connection to one of them. So a process that dies takes only its
own connections along; those that nobody has accepted yet wait for the others. It is
started anew, later each time while it lives only for moments; when all of them together
end too often, the parent gives up, as a supervisor does.

A pipe that only the parent can write to, and never does, tells them of its end.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import deque
from typing import TYPE_CHECKING

import gevent
from gevent.socket import wait_read

from metrics.shared import FOLDER, forget_process
from supervisors.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gevent.event import Event

_log = logging.getLogger("warmbox.processes")

OPTION = "--inherited"
_BACKLOG = 1024
_STEADY_S = 10.0
"""A process that lived as long has not failed to start."""
_ENDS_MAX = 5
_WITHIN_S = 30.0
"""More ends than these, times the number of processes, and the parent gives up."""


class Processes:
    """`count` processes of one command, from `start` to `stop`.

    command: what starts one; it is given `OPTION` with two descriptors: the socket, and
    the pipe that becomes readable when the parent has ended.
    """

    def __init__(
        self, command: Sequence[str], count: int, host: str, port: int
    ) -> None:
        self._listener = listen(host, port)
        self._lifeline, self._ours = os.pipe()
        fds = (self._listener.fileno(), self._lifeline)
        self._command = [*command, OPTION, *map(str, fds)]
        self._fds = fds
        self._count = count
        self._running: set[subprocess.Popen[bytes]] = set()
        self._ends: deque[float] = deque(maxlen=_ENDS_MAX * count)
        self._have_fallen = False

    def run(self, stopping: Event) -> bool:
        """Keep them running until `stopping` is set; tell whether all ended well."""
        with tempfile.TemporaryDirectory(prefix="warmbox-metrics-") as folder:
            environ = {**os.environ, FOLDER: folder}
            keepers = [
                gevent.spawn(self._keep, environ, stopping) for _ in range(self._count)
            ]
            stopping.wait()
            for process in self._running:
                process.send_signal(signal.SIGTERM)
            gevent.joinall(keepers)
        os.close(self._ours)
        self._listener.close()
        return not self._have_fallen and not any(one.value for one in keepers)

    def _keep(self, environ: dict[str, str], stopping: Event) -> int:
        """Start one again and again; return how the last one ended."""
        backoff, failures = Backoff(max_s=_STEADY_S), 0
        while True:
            started = time.monotonic()
            code = self._run_one(environ, stopping)
            if stopping.is_set():
                return code
            now = time.monotonic()
            failures = 1 if now - started > _STEADY_S else failures + 1
            if self._too_often(now):
                _log.error("processes: too many have ended, the last with %s", code)
                self._have_fallen = True
                stopping.set()
                return code
            delay_s = backoff.delay_s(failures)
            words = "a process has ended with %s: another one starts in %.1f s"
            _log.warning(words, code, delay_s)
            if stopping.wait(delay_s):
                return 0

    def _run_one(self, environ: dict[str, str], stopping: Event) -> int:
        """Start one, wait for its end, and return its exit code."""
        try:
            process = subprocess.Popen(
                self._command,
                env=environ,
                stdin=subprocess.DEVNULL,
                pass_fds=self._fds,
                start_new_session=True,  # a terminal's Ctrl-C is for the parent
            )
        except OSError as error:  # no memory, or no process, just now
            _log.warning("a process can't be started: %s", error)
            return 1
        self._running.add(process)
        if stopping.is_set():  # just while it was being started
            process.send_signal(signal.SIGTERM)
        code = process.wait()
        self._running.discard(process)
        forget_process(process.pid, environ[FOLDER])
        return 0 if stopping.is_set() and code == -signal.SIGTERM else code

    def _too_often(self, now: float) -> bool:
        self._ends.append(now)
        is_full = len(self._ends) == self._ends.maxlen
        return is_full and now - self._ends[0] < _WITHIN_S


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens and never blocks."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        reason = f"cannot listen on {host}:{port}: {error.strerror}"
        raise OSError(error.errno, reason) from error
    return listener


class Inherited:
    """What a process has from its parent: the descriptors behind `OPTION`."""

    def __init__(self, fds: Sequence[int]) -> None:
        self._listener, self._lifeline = fds

    def listener(self) -> socket.socket:
        """Return the socket; closing it leaves the parent's open."""
        return socket.socket(fileno=os.dup(self._listener))

    def follow(self, stopping: Event) -> None:
        """End with the parent: in order if it just died, at once if we are ending."""
        gevent.spawn(self._follow, stopping)

    def _follow(self, stopping: Event) -> None:
        wait_read(self._lifeline)
        # Nobody else is left to do it, and none of us will be asked any more.
        shutil.rmtree(os.environ.get(FOLDER, ""), ignore_errors=True)
        if stopping.is_set():
            os._exit(1)
        stopping.set()
