"""The listener: owns the gateway's server, which answers HTTP until the actor ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from actors.actor import Actor, Context

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.messages import Boot

STOP_S = 2.0
"""What open requests get to end in."""


class ServerPort(Protocol):
    """What a listener needs of a server; `gateway.server.GatewayServer` is one."""

    def start(self) -> None:
        """Begin to listen."""

    def stop(self, timeout_s: float) -> None:
        """Stop listening and end what is open."""


class Listener(Actor):
    """make: returns a new server, which has not begun to listen."""

    def __init__(self, context: Context, make: Callable[[], ServerPort]) -> None:
        super().__init__(context)
        self._make = make
        self._server: ServerPort | None = None

    def boot(self, message: Boot) -> None:
        """Listen; a port that is taken is a crash like any other."""
        server = self._make()
        server.start()
        self._server = server

    def clean_up(self, *, crashed: bool) -> None:
        """Give the port back."""
        if self._server is not None:
            self._server.stop(STOP_S)
