"""The listener: the gateway's server lives as long as its actor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.listener import STOP_S, Listener

if TYPE_CHECKING:
    from actor_world import World


class ServerTwin:
    """Notes what it is told; a taken port makes it fail."""

    def __init__(self, *, port_taken: bool = False) -> None:
        self.log: list[object] = []
        self.port_taken = port_taken

    def start(self) -> None:
        if self.port_taken:
            raise OSError("address in use")
        self.log.append("start")

    def stop(self, timeout_s: float) -> None:
        self.log.append(timeout_s)


def test_a_server_listens_until_its_actor_ends(world: World) -> None:
    server = ServerTwin()
    world.start(Listener, "gateway", lambda: server)
    assert server.log == ["start"]
    world.stop("gateway")
    assert server.log == ["start", STOP_S]


def test_a_crash_gives_the_port_back(world: World) -> None:
    server = ServerTwin()
    world.start(Listener, "gateway", lambda: server)
    world.crash("gateway")
    assert server.log == ["start", STOP_S]


def test_a_port_that_is_taken_is_a_crash(world: World) -> None:
    server = ServerTwin(port_taken=True)
    world.start(Listener, "gateway", lambda: server)
    (notice,) = world.exits()
    assert notice.crashed
    assert server.log == []
