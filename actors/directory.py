"""Names to living actors: what stays true across a restart is the name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pykka

if TYPE_CHECKING:
    from collections.abc import Iterable

AnyRef = pykka.ActorRef[Any]


def send(ref: AnyRef, message: object) -> bool:
    """Tell; False when the actor is dead, which is a normal thing to happen."""
    try:
        ref.tell(message)
    except pykka.ActorDeadError:
        return False
    return True


def depth(ref: AnyRef) -> int:
    """Return how many messages wait in the actor's mailbox.

    The inbox is a `Mailbox`, or a `queue.Queue` of pykka's; its type promises less.
    """
    return int(ref.actor_inbox.qsize())  # type: ignore[attr-defined]


class Directory:
    """The names of all living actors.

    An actor enters its name as the first thing it does and strikes it out as the
    last. Everybody else looks names up at the moment of sending, so that nobody
    holds a reference across a restart.

    Mail to a name that nobody has is not delivered, and its sender hears so; but an
    actor whose mail must not be lost has it kept for a successor when it crashes.
    """

    def __init__(self) -> None:
        self._refs: dict[str, AnyRef] = {}
        self._kept: dict[str, list[object]] = {}
        """Unread mail of those who crashed, and what has come since."""

    def enter(self, name: str, ref: AnyRef) -> None:
        """Let `name` mean this actor from now on."""
        self._refs[name] = ref

    def strike(self, name: str, ref: AnyRef) -> None:
        """Forget `name`, unless it means a successor already."""
        if self._refs.get(name) is ref:
            del self._refs[name]

    def keep(self, name: str, mail: Iterable[object]) -> None:
        """Keep this, and what is told from now on, until a successor collects it."""
        self._kept[name] = list(mail)

    def collect(self, name: str) -> list[object]:
        """Return what was kept for the name, in the order in which it was told.

        What is told from now on is not kept: the caller enters the name at once.
        """
        return self._kept.pop(name, [])

    def names(self, prefix: str = "") -> list[str]:
        """Return the names that start with `prefix`, in the order of entry."""
        return [name for name in self._refs if name.startswith(prefix)]

    def refs(self) -> dict[str, AnyRef]:
        """Return all living actors by name; to look at, not to keep."""
        return dict(self._refs)

    def tell(self, name: str, message: object) -> bool:
        """Send to the actor of this name; False when there is none just now."""
        kept = self._kept.get(name) if self._kept else None
        if kept is not None:
            kept.append(message)
            return True
        ref = self._refs.get(name)
        return ref is not None and send(ref, message)

    def ask(self, name: str, message: object, timeout_s: float) -> Any:
        """Ask from outside the actor system, and wait at most `timeout_s`.

        Raises LookupError when no such actor lives or it dies before the answer,
        and TimeoutError when it does not answer in time.
        """
        ref = self._refs.get(name)
        if ref is None:
            raise LookupError(name)
        try:
            return ref.ask(message, timeout=timeout_s)
        except pykka.ActorDeadError as error:
            raise LookupError(name) from error
        except pykka.Timeout as error:
            raise TimeoutError(name) from error
