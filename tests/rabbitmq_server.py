"""A RabbitMQ server for the tests alone: own folder, own ports, own node name."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BIN = Path("/usr/lib/rabbitmq/bin")
START_S = 90
STOP_S = 60
POLL_S = 0.05
GREETING = b"AMQP\0\0\x09\x01"
CONNECTION_METHOD = b"\x01"
"""The kind of frame that a server which is up answers with."""
VHOSTS = [f"test-{number}" for number in range(100)]
"""Made when the server starts: `rabbitmqctl` takes seconds to add one."""
SALT = b"salt"
GUEST = b64encode(SALT + sha256(SALT + b"guest").digest()).decode()
"""As RabbitMQ writes down the password `guest`."""


@dataclass(frozen=True)
class Company:
    """What the nodes of one cluster share."""

    home: Path
    """Where the secret is that they know each other by."""
    names: tuple[str, ...] = ()
    """All of them; none for a node alone."""
    epmd_port: int = field(default_factory=free_port)

    def lines(self) -> list[str]:
        """Return the configuration by which a node that is new joins the others."""
        if not self.names:
            return []
        peers = [
            f"cluster_formation.classic_config.nodes.{number} = {name}"
            for number, name in enumerate(self.names, start=1)
        ]
        return [
            "cluster_formation.peer_discovery_backend = classic_config",
            "cluster_partition_handling = pause_minority",
            *peers,
        ]


class RabbitServer:
    """One node. It keeps its data over `stop` and `start`."""

    def __init__(
        self, folder: Path, company: Company | None = None, name: str = ""
    ) -> None:
        self.folder = folder
        self._company = company or Company(folder)
        self.port = free_port()
        self.tls_port = free_port()
        self.certificate = folder / "certificate.pem"
        self._process: subprocess.Popen[bytes] | None = None
        self._vhosts = iter(VHOSTS)
        self.vhost = next(self._vhosts)
        self._environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self._company.home),
            "RABBITMQ_NODENAME": name or f"warmbox-tests-{os.getpid()}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            # An epmd of its own, so that nothing is left, and nothing shared.
            "ERL_EPMD_PORT": str(self._company.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        self._configure()

    def _configure(self) -> None:
        key = self.folder / "key.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec"),
                *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
                *("-keyout", key, "-out", self.certificate, "-days", "2"),
                *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            ],
            check=True,
            capture_output=True,
        )
        everything = dict.fromkeys(("configure", "read", "write"), ".*")
        definitions = self.folder / "definitions.json"
        definitions.write_text(
            json.dumps(
                {
                    "users": [
                        {
                            "name": "guest",
                            "password_hash": GUEST,
                            "hashing_algorithm": "rabbit_password_hashing_sha256",
                            "tags": "administrator",
                        }
                    ],
                    "vhosts": [{"name": name} for name in VHOSTS],
                    "permissions": [
                        {"user": "guest", "vhost": name, **everything}
                        for name in VHOSTS
                    ],
                }
            )
        )
        lines = [
            f"listeners.tcp.default = 127.0.0.1:{self.port}",
            f"listeners.ssl.default = 127.0.0.1:{self.tls_port}",
            f"ssl_options.certfile = {self.certificate}",
            f"ssl_options.keyfile = {key}",
            "log.file.level = warning",
            f"load_definitions = {definitions}",
            *self._company.lines(),
        ]
        (self.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")

    @property
    def url(self) -> str:
        """Return the address of what was new at the last `renew`."""
        return self.address(self.vhost)

    def address(self, vhost: str) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{vhost}"

    def renew(self) -> None:
        """Go on with a virtual host that nobody has used.

        Deleting the queues of the last test instead brings down the node: a quorum
        queue that is deleted just after it was declared crashes its dead-letter worker
        (`rabbit_fifo_dlx_worker` of 3.10), and after some of these no queue that
        dead-letters can be declared any more.
        """
        self.vhost = next(self._vhosts)

    def start(self) -> None:
        """Return when it serves.

        `rabbitmqctl` could wait for that, and stop it: it takes two seconds a call.
        """
        with (self.folder / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(
                [BIN / "rabbitmq-server"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            deadline = time.monotonic() + START_S
            while not self._serves():
                if self._process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail((self.folder / "output.txt").read_text()[-2000:])
                time.sleep(POLL_S)
        except BaseException:  # an interrupt, too, leaves no process
            self.kill()
            raise

    def stop(self) -> None:
        """Stop it in order; with force if it does not."""
        if self._process is None:
            return
        try:
            os.kill(int((self.folder / "pid").read_text()), signal.SIGTERM)
            self._process.wait(STOP_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """Let the node die without a word."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        while self._listens():  # the node goes after the script that started it
            time.sleep(POLL_S)

    def _serves(self) -> bool:
        """Tell whether it answers in its protocol: it listens last of all."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as one:
                one.sendall(GREETING)
                return one.recv(1) == CONNECTION_METHOD
        except OSError:
            return False

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    @property
    def is_up(self) -> bool:
        return self._process is not None

    def end(self) -> None:
        """Stop it and what it has started."""
        self.stop()
        epmd = shutil.which("epmd")
        if epmd is not None:
            subprocess.run(
                [epmd, "-kill"],
                env=self._environment,
                capture_output=True,
                check=False,
            )

    def ctl(self, *words: str | Path) -> str:
        """Run `rabbitmqctl`, which takes a second or two."""
        return self.run_tool("rabbitmqctl", *words)

    def run_tool(self, tool: str, *words: str | Path) -> str:
        """Run one of the server's tools, and return what it prints."""
        done = subprocess.run(
            [BIN / tool, *words],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=START_S + 30,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"{tool} {words}: {done.stdout}{done.stderr}")
        return done.stdout


class RabbitCluster:
    """Three nodes, of which one may always be away."""

    def __init__(self, folder: Path) -> None:
        names = tuple(f"warmbox-{n}-{os.getpid()}@localhost" for n in (1, 2, 3))
        company = Company(folder, names)
        self.nodes: list[RabbitServer] = []
        for name in names:
            own = folder / name
            own.mkdir()
            self.nodes.append(RabbitServer(own, company, name))
        self.vhost = self.nodes[0].vhost

    @property
    def url(self) -> str:
        """Return all addresses, as the broker setting has them."""
        return ",".join(node.address(self.vhost) for node in self.nodes)

    def start(self) -> None:
        """Return when all serve; each joins those that are there."""
        for node in self.nodes:
            node.start()

    def await_whole(self, stream: str) -> None:
        """Return when any node may die: all queues, and the stream, are on all three.

        Some seconds after its start a node has what was written while it was away.
        """
        for node in self.nodes:
            node.run_tool("rabbitmq-upgrade", "await_online_quorum_plus_one")
        deadline = time.monotonic() + START_S
        words = "stream_status", "--quiet", "--vhost", self.vhost, stream
        while True:
            status = self.nodes[0].run_tool("rabbitmq-streams", *words)
            if status.count("replica") == len(self.nodes) - 1:
                return
            if time.monotonic() > deadline:
                pytest.fail(f"the stream is not whole: {status}")

    def end(self) -> None:
        for node in self.nodes:
            node.kill()
        self.nodes[0].end()


Broker = TypeVar("Broker", RabbitServer, RabbitCluster)


def needs_package() -> None:
    """Without Debian's package there is nothing to start."""
    if not (BIN / "rabbitmq-server").exists():
        if os.environ.get("CI"):
            pytest.fail("rabbitmq-server is not installed")
        pytest.skip("rabbitmq-server is not installed")


@contextmanager
def running(kind: Callable[[Path], Broker]) -> Iterator[Broker]:
    """Start it in a folder of its own, and leave nothing of it."""
    needs_package()
    folder = Path(tempfile.mkdtemp(prefix="warmbox-rabbitmq-"))
    one = kind(folder)
    try:
        one.start()
        yield one
    finally:
        one.end()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitServer]:
    """Return one server for all tests."""
    with running(RabbitServer) as server:
        yield server
