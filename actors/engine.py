"""The engine port: all that the service asks of Docker while it runs.

Its calls take time, so actors make them in greenlets of their own. The Docker SDK's
sharp edges live here and nowhere else: how to read and write an attach stream, how to
close one, and in which order to let a container go.
"""

from __future__ import annotations

import _socket
import logging
import os
import socket
import ssl
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

import docker
import docker.errors
import gevent
import requests
from docker.types import Ulimit
from docker.utils import kwargs_from_env
from gevent.lock import BoundedSemaphore

from actors.bounds import MIB
from actors.direct_socket import take_over
from actors.memory_limit import set_memory_limit
from actors.runner_priority import prefer_runner
from actors.sandbox import OVERHEAD_MB, container_options
from actors.socket_memory import bound_socket_memory
from images import wire

if TYPE_CHECKING:
    from actors.sandbox import LanguageDefaults, SandboxConfig

log = logging.getLogger("warmbox.engine")

Condition = Literal["not-running", "removed"]

ENGINE_ERRORS = (docker.errors.DockerException, requests.RequestException, OSError)
TIMEOUT_S = 30
END_S = 10
"""For a container to end once its stdin has, which takes it milliseconds."""
SWEEP_POLL_S = 0.1
DEATH_WAIT_S = 2.0
DEATH_POLL_S = 0.01
DEATH_SINCE_S = 3600.0
SWEEP_ASK_S = 3.0
SWEEP_TELL_S = 5.0
RECV_BYTES = 65536
STDERR_KEPT = 2000
_HEAD = struct.Struct(">BxxxI")
_STDOUT = 1


class EngineError(Exception):
    """Docker did not do what was asked; the text is for people."""


class EngineRefusedError(EngineError):
    """Docker has answered that it would not: it is there, but asked for too much."""


class Attached:
    """A running container and the ways to it: one reader each, one writer.

    pid: of its runner, on the engine's host.
    """

    pid = 0
    own_bytes = OVERHEAD_MB * MIB
    """The memory that the container itself takes."""
    _direct: socket.socket | None = None

    def __init__(self, container_id: str, response_socket: Any, uid_first: int) -> None:
        self.id = container_id
        self.uid_first = uid_first
        self.stderr = b""
        self._io = response_socket
        self._socket = response_socket._sock  # noqa: SLF001 - the SDK's is read-only
        self._buffer = bytearray()

    def send(self, data: bytes) -> None:
        """Write to the container's stdin; blocks while it does not read."""
        (self._direct or self._socket).sendall(data)

    def send_now(self, data: bytes) -> int:
        """Write as much to the container's stdin as goes without waiting."""
        way = self._direct or self._socket
        if isinstance(way, ssl.SSLSocket):
            return 0
        try:
            return os.write(way.fileno(), data)  # non-blocking under gevent
        except OSError:
            return 0  # full, or at its end: `send` waits, or tells

    def receive(self) -> bytes:
        """Return the next bytes of stdout, or nothing at the end of the stream.

        Takes Docker's own framing apart (a head of eight bytes: stream and length);
        stderr is kept for a post mortem.
        """
        while True:
            data = self._take()
            if data:
                return data
            try:
                received = self._socket.recv(RECV_BYTES)
            except OSError:
                return b""  # closed from our side
            if not received:
                return b""
            self._buffer += received

    def _take(self) -> bytes:
        parts = []
        while len(self._buffer) >= _HEAD.size:
            stream, length = _HEAD.unpack_from(self._buffer)
            end = _HEAD.size + length
            if len(self._buffer) < end:
                break
            data = bytes(self._buffer[_HEAD.size : end])
            del self._buffer[:end]
            if stream == _STDOUT:
                parts.append(data)
            else:
                self.stderr = (self.stderr + data)[-STDERR_KEPT:]
        return b"".join(parts)

    def go_direct(self, fd: int, inode: int) -> bool:
        """Go on by the socket that the runner offers; False if it can't be had.

        From then on frames come by `receive_direct`. The attach stream has the
        container's last words, and ends with it.
        """
        direct = take_over(self.pid, fd, inode) if self.pid else None
        if direct is None:
            return False
        try:
            self._socket.sendall(wire.encode(wire.SWITCH))
        except OSError:
            direct.close()
            return False  # it has ended already
        self._direct = direct
        prefer_runner(self.pid)  # which is certain to be the runner's by now
        return True

    def receive_direct(self) -> bytes:
        """Return the next bytes of the direct way, or nothing at its end."""
        assert self._direct is not None  # noqa: S101 - after go_direct
        try:
            return self._direct.recv(RECV_BYTES)
        except OSError:
            return b""  # closed from our side

    def end_direct(self) -> None:
        """Have `receive_direct` come to its end when all that is there is read."""
        if self._direct is not None:
            with suppress(OSError):
                # Not gevent's: that has a waiting reader give up, with what has come.
                _shut(self._direct.fileno())

    def close(self) -> None:
        """Give the descriptors back. Closing the SDK's socket object does not."""
        if self._direct is not None:
            self._direct.close()
        with suppress(OSError, ValueError):
            self._io._response.close()  # noqa: SLF001 - see above


class Engine:
    """Docker, as far as the service needs it while it runs."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        # the engine that the environment names, as for the images: DOCKER_HOST
        self._client = docker.APIClient(
            timeout=TIMEOUT_S, max_pool_size=64, **kwargs_from_env()
        )
        self._starting = BoundedSemaphore(config.starts_max)
        self._uid_slots: set[int] = set()
        self._starts = 0
        """How many starts are under way."""
        self._closed = False

    # ------------------------------------------------------------------- start

    def start(self, defaults: LanguageDefaults) -> Attached:
        """Create, attach and start a container; blocks. Raises EngineError."""
        self._starts += 1
        try:
            with self._starting:
                return self._start(defaults)
        finally:
            self._starts -= 1

    def _start(self, defaults: LanguageDefaults) -> Attached:
        if self._closed:
            raise EngineError("the service is being stopped")
        uid_first = self._take_uids()
        container_id = ""
        try:
            container_id = self._create(defaults, uid_first)
            return self._attach_and_start(container_id, uid_first)
        except ENGINE_ERRORS as error:
            self._give_uids_back(uid_first)
            if container_id:
                self._remove(container_id)
            raise engine_error(error) from error

    def _create(self, defaults: LanguageDefaults, uid_first: int) -> str:
        options = container_options(defaults, self.config, uid_first)
        host = self._client.create_host_config(
            **options["host"],
            oom_score_adj=0,
            ulimits=[
                Ulimit(name=name, soft=soft, hard=hard)
                for name, (soft, hard) in options["ulimits"].items()
            ],
        )
        # The SDK has no words for these.
        host["MaskedPaths"] = list(options["masked"])
        host["ReadonlyPaths"] = list(options["read_only"])
        created = self._client.create_container(
            options["image"],
            options["command"],
            hostname=options["hostname"],
            labels=options["labels"],
            stdin_open=True,
            tty=False,
            host_config=host,
        )
        return str(created["Id"])

    def _attach_and_start(self, container_id: str, uid_first: int) -> Attached:
        params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        attached = Attached(
            container_id,
            self._client.attach_socket(container_id, params=params),
            uid_first,
        )
        try:
            self._client.start(container_id)
        except ENGINE_ERRORS:
            attached.close()
            raise
        bound_socket_memory(container_id)
        with suppress(*ENGINE_ERRORS, LookupError, TypeError):  # Docker's way is enough
            attached.pid = self._client.inspect_container(container_id)["State"]["Pid"]
        return attached

    def _take_uids(self) -> int:
        slot = next(n for n in range(1 << 20) if n not in self._uid_slots)
        self._uid_slots.add(slot)
        return self.config.uid_first + slot * self.config.uids

    def _give_uids_back(self, uid_first: int) -> None:
        slot = (uid_first - self.config.uid_first) // self.config.uids
        self._uid_slots.discard(slot)

    # --------------------------------------------------------------------- life

    def set_memory(
        self, attached: Attached, memory_mb: int, own_kb: int | None = None
    ) -> None:
        """Change a container's memory limit; blocks. Raises EngineError.

        own_kb: what the container itself takes, if that is known anew.
        """
        if own_kb is not None:
            attached.own_bytes = _own_bytes(own_kb)
        memory = attached.own_bytes + memory_mb * MIB
        try:
            # In a thread: it may take the kernel a while to make room.
            pool = gevent.get_hub().threadpool
            if pool.apply(set_memory_limit, (attached.id, memory)):
                return
        except OSError as error:
            raise EngineRefusedError(f"more is in use: {error}") from error
        try:
            self._client.update_container(
                attached.id, mem_limit=memory, memswap_limit=memory
            )
        except ENGINE_ERRORS as error:
            raise engine_error(error) from error

    def hold_back(self, attached: Attached, own_kb: int, memory_mb: int) -> bool:
        """Have a program find all of its memory beside what the container itself takes.

        own_kb: that, as its runner has seen it. Does not block: next to nothing is in
        use. False where only Docker can set the limit; then that has room for more.
        """
        own_bytes = _own_bytes(own_kb)
        try:
            done = set_memory_limit(attached.id, own_bytes + memory_mb * MIB)
        except OSError as error:
            log.warning("container %s: %s", attached.id[:12], error)
            return False
        if done:
            attached.own_bytes = own_bytes
        return done

    def died_of_memory(self, attached: Attached) -> bool:
        """Tell whether a container died for want of memory; blocks until it is known.

        The engine remembers for a while what it has seen, also of what is gone.
        """
        deadline = time.monotonic() + DEATH_WAIT_S
        seen: set[str] = set()
        while "die" not in seen and time.monotonic() < deadline:
            gevent.sleep(DEATH_POLL_S)
            try:
                seen = self._events(attached.id)
            except ENGINE_ERRORS as error:
                log.warning("container %s: %s", attached.id[:12], explain(error))
                break
        return "oom" in seen

    def _events(self, container_id: str) -> set[str]:
        """Return what has befallen a container so far."""
        now = time.time()
        window: dict[
            str, Any
        ] = {  # in parts of a second, of which the SDK knows nothing
            "since": f"{now - DEATH_SINCE_S:.3f}",
            "until": f"{now:.3f}",
        }
        filters = {"container": container_id, "event": ["oom", "die"]}
        events = self._client.events(**window, filters=filters, decode=True)
        return {str(event["Action"]) for event in events}

    def discard(self, attached: Attached, *, kill: bool = False) -> None:
        """Have a container end, in a greenlet; its uids are free when it is gone.

        It ends by itself when its stdin does, and Docker then removes it. That is
        waited for: a kill would meet a container that is just ending, and Docker has
        a lock on it for as long as the kill takes, which with gVisor may be for ever.
        kill: it is known that it will not end by itself.
        """
        if kill:
            gevent.spawn(self._kill, attached)
        else:
            attached.close()
            gevent.spawn(self._see_off, attached)

    def _kill(self, attached: Attached) -> None:
        # While its stream is read: a kill hangs where one is open and is not.
        gone = self._remove(attached.id)
        attached.close()
        if gone:
            self._give_uids_back(attached.uid_first)

    def _see_off(self, attached: Attached) -> None:
        if self._wait(attached.id, "not-running", END_S):
            gone = self._wait(attached.id, "removed", TIMEOUT_S)
        else:
            gone = self._remove(attached.id)
        if gone:
            self._give_uids_back(attached.uid_first)

    def _wait(self, container_id: str, condition: Condition, timeout_s: int) -> bool:
        """Wait for a container's end or removal; False when it does not come."""
        try:
            self._client.wait(container_id, timeout_s, condition)
        except docker.errors.NotFound:
            return True
        except ENGINE_ERRORS as error:
            log.warning("container %s: %s", container_id[:12], explain(error))
            return False
        return True

    def _remove(self, container_id: str) -> bool:
        try:
            self._client.remove_container(container_id, force=True)
        except docker.errors.NotFound:
            return True
        except docker.errors.APIError as error:
            if error.status_code == requests.codes.conflict:
                return True  # it is being removed already
            log.warning("container %s: %s", container_id[:12], explain(error))
            return False
        except ENGINE_ERRORS as error:
            log.warning("container %s: %s", container_id[:12], explain(error))
            return False
        return True

    # ---------------------------------------------------------------- leftovers

    def close(self, timeout_s: float) -> int:
        """Start nothing more and destroy all; returns how many containers are left."""
        self._closed = True
        return self.sweep(timeout_s)

    def sweep(self, timeout_s: float) -> int:
        """Destroy every container that bears our label; returns how many are left.

        Waits until they are gone, which takes long where the disk is slow. Those of a
        process that has died are ending by themselves: see `discard`.
        """
        asked_at = told_at = time.monotonic()
        deadline = asked_at + timeout_s
        asked: dict[str, gevent.Greenlet[..., bool]] = {}
        while True:
            ours = self._ours()
            left = len(ours) + self._starts
            now = time.monotonic()
            if not left or now >= deadline:
                return left
            if now - asked_at >= SWEEP_ASK_S:
                asked_at = now
                for container_id in ours:
                    # An engine that hangs would collect what it is asked.
                    if container_id not in asked or asked[container_id].ready():
                        asked[container_id] = gevent.spawn(self._remove, container_id)
            if now - told_at >= SWEEP_TELL_S:
                told_at = now
                log.info("waiting for Docker to remove %d containers", left)
            gevent.sleep(SWEEP_POLL_S)

    def _ours(self) -> list[str]:
        label = f"warmbox.service={self.config.service}"
        try:
            found = self._client.containers(all=True, filters={"label": label})
        except ENGINE_ERRORS as error:
            raise EngineError(explain(error)) from error
        return [str(container["Id"]) for container in found]


def _shut(fd: int) -> None:
    """Let nothing more come by a socket; what is there can be read."""
    native = _socket.socket(fileno=os.dup(fd))
    try:
        native.shutdown(socket.SHUT_RD)
    finally:
        native.close()


def _own_bytes(own_kb: int) -> int:
    """Return what may count as a container's own memory: what it takes, in bounds."""
    return min(own_kb << 10, OVERHEAD_MB * MIB)


def engine_error(error: Exception) -> EngineError:
    """Return what is to be raised for an error of the SDK's."""
    refused = isinstance(error, docker.errors.APIError)
    return (EngineRefusedError if refused else EngineError)(explain(error))


def explain(error: Exception) -> str:
    """Return one line for people."""
    if isinstance(error, docker.errors.APIError) and error.explanation:
        return str(error.explanation)
    return f"{type(error).__name__}: {error}"
