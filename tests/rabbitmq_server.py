"""A RabbitMQ server of our own: Debian's program on free ports, in its own folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Debian's wrappers in /usr/sbin change the user and the folder; these do not.
PROGRAMS = Path("/usr/lib/rabbitmq/bin")
START_S = 60
STOP_S = 40
USER = "warmbox"
PASSWORD = "word-for-tests"  # noqa: S105 - of a server that lives as long as the tests


def is_installed() -> bool:
    """Tell whether Debian's package is here."""
    return (PROGRAMS / "rabbitmq-server").exists()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


class RabbitServer:
    """Can be stopped, killed and started again; what is durable stays in its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port, dist_port, self._epmd_port = free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None
        config = folder / "rabbitmq.conf"
        config.write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"default_user = {USER}\ndefault_pass = {PASSWORD}\n"
            "disk_free_limit.absolute = 50MB\n"
            "log.file.level = warning\n"
        )
        (folder / "plugins").write_text("[].\n")
        self._environ = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(folder),  # the node's cookie lies there
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_NODENAME": f"warmbox{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(dist_port),
            "RABBITMQ_CONFIG_FILE": str(config.with_suffix("")),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
        }

    def url(self, vhost: str = "", port: int | None = None) -> str:
        """Return where clients find it, through another port if they are to."""
        place = f"127.0.0.1:{port or self.port}/{vhost}".removesuffix("/")
        return f"amqp://{USER}:{PASSWORD}@{place}"

    def add_vhost(self, vhost: str) -> None:
        """Add a virtual host: all in it is as new."""
        self.control("add_vhost", vhost)
        self.control("set_permissions", "-p", vhost, USER, ".*", ".*", ".*")

    def delete_vhost(self, vhost: str) -> None:
        self.control("delete_vhost", vhost)

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        log = (self._folder / "output").open("ab")
        with log:
            self._process = subprocess.Popen(
                [PROGRAMS / "rabbitmq-server"],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while not self._takes_connections():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"RabbitMQ does not start: {self.output()}")
            time.sleep(0.1)
        self.control("await_startup")

    def _takes_connections(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    @property
    def is_up(self) -> bool:
        return self._process is not None

    def output(self) -> str:
        return (self._folder / "output").read_text()[-3000:]

    def stop(self) -> None:
        """Stop in an orderly way; clients are told."""
        if self._process is not None:
            self.control("stop")
            self._process.wait(STOP_S)
            self._process = None

    def kill(self) -> None:
        """Let the node die without a word."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(STOP_S)
            self._process = None
            while self._takes_connections():  # the node goes after its script
                time.sleep(0.05)

    def control(self, *words: str) -> str:
        """Have rabbitmqctl do something; return what it prints."""
        done = subprocess.run(
            [PROGRAMS / "rabbitmqctl", "--quiet", *words],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def close_connections(self) -> None:
        """Close every client's connection from the server's side."""
        self.control("close_all_connections", "by a test")

    def depths(self, vhost: str = "/") -> dict[str, int]:
        """Return how many messages each queue holds, delivered ones as well."""
        words = ("list_queues", "-p", vhost, "--no-table-headers", "name", "messages")
        rows = self.control(*words).splitlines()
        return {name: int(count) for name, count in (row.split() for row in rows)}

    def raise_alarm(self) -> None:
        """Have the server find that it has too little memory: it takes no messages."""
        self.control("set_vm_memory_high_watermark", "0.0000001")

    def end_alarm(self) -> None:
        self.control("set_vm_memory_high_watermark", "0.4")

    def end(self) -> None:
        """Leave nothing behind: not the node, nor the daemon that knows its port."""
        self.kill()
        daemon = ["epmd", "-port", str(self._epmd_port), "-kill"]
        subprocess.run(daemon, env=self._environ, capture_output=True, check=False)


@contextmanager
def rabbit_server() -> Iterator[RabbitServer]:
    """Run a server for as long as it is needed."""
    folder = Path(tempfile.mkdtemp(prefix="warmbox-rabbitmq-"))
    server = RabbitServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)
