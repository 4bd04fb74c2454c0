"""Where scenarios play: processes, and what they rely on, made when first needed."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine_proxy import EngineProxy
from faulty_node import WHOLE_S, FaultyNode
from own_engine import OwnEngine
from rabbitmq_server import RabbitServer
from scene import Scene
from silent_proxy import SilentProxy
from stage import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Self

    from scenario import Place


@dataclass(slots=True)
class Here:
    """The processes of a scenario, and what stands behind them."""

    nodes: list[FaultyNode]
    engine_proxy: EngineProxy | None = None
    own_engine: OwnEngine | None = None
    scene: Scene | None = None
    silent_proxy: SilentProxy | None = None

    @property
    def gateways(self) -> list[FaultyNode]:
        return [node for node in self.nodes if node.role != "worker"]

    @property
    def workers(self) -> list[FaultyNode]:
        return [node for node in self.nodes if node.role != "gateway"]

    def start_again(self) -> None:
        """Start what has ended, as an init system would."""
        for node in self.nodes:
            if not node.is_up:
                node.start()

    def wait_whole(self) -> None:
        wait_until(self._is_whole, WHOLE_S, "everything is whole")

    def _is_whole(self) -> bool:
        return all(node.is_whole() for node in self.nodes) and all(
            node.readiness().get("workers") == len(self.workers)
            for node in self.nodes
            if node.role == "gateway"
        )

    def stop(self) -> list[str]:
        """Stop all in order; return what was not as it should be."""
        living = [node for node in self.nodes if node.is_up]
        for node in living:
            node.send_stop()
        codes = [node.wait() for node in living]
        left = [one for node in self.nodes for one in node.containers()]
        found = [f"exit codes {codes}"] if any(codes) else []
        return found + ([f"{len(left)} containers left"] if left else [])


DOCKER_SOCKET = "/var/run/docker.sock"
IMAGE = "warmbox/python:latest"


class Places:
    """All places; each is kept for the next scenario that wants the like of it.

    settings: what processes have otherwise than usual.
    """

    def __init__(self, **settings: Any) -> None:
        self._held = ExitStack()
        self._settings = settings
        self._open: dict[Place, Here] = {}
        self._server: RabbitServer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for place in list(self._open):
            self.leave(place)
        self._held.close()

    def enter(self, place: Place) -> Here:
        """Return the place, with its processes started."""
        if place not in self._open:
            others = [one for one in self._open if one != place]
            for other in others:  # two cores: what nobody uses must not take part
                self.leave(other)
            self._open[place] = self._make(place)
            self._open[place].start_again()
        return self._open[place]

    def leave(self, place: Place) -> list[str]:
        """Stop the place's processes; return what was not as it should be."""
        here = self._open.pop(place)
        found = here.stop()
        if here.engine_proxy is not None:
            here.engine_proxy.close()
        if here.silent_proxy is not None:
            here.silent_proxy.close()
        if here.own_engine is not None:
            here.own_engine.end()
        return found

    def _make(self, place: Place) -> Here:
        make: dict[Place, Callable[[], Here]] = {
            "one": self._make_one,
            "fresh": self._make_one,
            "proxied": self._make_proxied,
            "own engine": self._make_own_engine,
            "cluster": self._make_cluster,
            "silent cluster": self._make_silent_cluster,
        }
        return make[place]()

    def _make_one(self) -> Here:
        return Here([FaultyNode("all", "embedded", **self._settings)])

    def _make_proxied(self) -> Here:
        proxy = EngineProxy(DOCKER_SOCKET)
        node = FaultyNode("all", "embedded", proxy.address, **self._settings)
        return Here([node], proxy)

    def _make_own_engine(self) -> Here:
        engine = OwnEngine()
        engine.start()
        engine.load(IMAGE)
        node = FaultyNode("all", "embedded", engine.address, **self._settings)
        return Here([node], own_engine=engine)

    def _nodes(self, url: str) -> list[FaultyNode]:
        roles = ("gateway", "gateway", "worker", "worker")
        return [FaultyNode(role, url, **self._settings) for role in roles]

    def _make_cluster(self) -> Here:
        scene = self._new_scene()
        return Here(self._nodes(scene.url), scene=scene)

    def _make_silent_cluster(self) -> Here:
        scene = self._new_scene()
        proxy = SilentProxy(scene.server.port)
        nodes = self._nodes(scene.url_through(proxy.port))
        return Here(nodes, scene=scene, silent_proxy=proxy)

    def _new_scene(self) -> Scene:
        if self._server is None:
            folder = Path(tempfile.mkdtemp(prefix="warmbox-rabbitmq-"))
            self._held.callback(shutil.rmtree, folder, ignore_errors=True)
            self._server = RabbitServer(folder)
            self._held.callback(self._server.end)
            self._server.start()
        self._server.renew()
        return Scene(self._server, self._server.vhost)
