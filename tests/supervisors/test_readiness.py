from __future__ import annotations

from typing import Any

import pytest

from actors.messages import (
    BrokerStatus,
    DescribeBroker,
    FleetStatus,
    LanguageStatus,
)
from supervisors.readiness import ready_line, wait_until_ready
from supervisors.settings_model import Settings

OPEN = BrokerStatus("open", "")
AWAY = BrokerStatus("backing_off", "connection refused")


def language(name: str, ready: int = 0, paused: str = "") -> LanguageStatus:
    return LanguageStatus(name, "1", ready, 1, paused)


class Directory:
    """Answers each round as a list says; its last entry holds for ever."""

    def __init__(self, *rounds: dict[str, Any]) -> None:
        self.rounds = [*rounds]

    def names(self, _: str = "") -> list[str]:
        return list(self.rounds[0])

    def ask(self, name: str, message: object, _: float) -> Any:
        answer = self.rounds[0].get(name)
        if answer is None:
            raise LookupError(name)
        expected = BrokerStatus if isinstance(message, DescribeBroker) else FleetStatus
        assert isinstance(answer, expected)
        return answer

    def next(self, _: float) -> None:
        del self.rounds[0]


def wait(*rounds: dict[str, Any], languages: tuple[str, ...] = ("c",)) -> object:
    """Return what it comes to, and how many rounds it took."""
    directory = Directory(*rounds)
    paused = wait_until_ready(directory, languages, directory.next)  # type: ignore[arg-type]  # a twin
    assert len(directory.rounds) == 1, "it did not wait for the last round"
    return paused


def parts(*languages: LanguageStatus, broker: object = OPEN) -> dict[str, Any]:
    fleet = FleetStatus(1, languages)
    return {"root/broker": broker, "root/fleet": fleet, "root/gateway": "listens"}


READY = parts(language("c", ready=1))


@pytest.mark.parametrize(
    "early",
    [
        {},
        parts(),
        parts(language("c")),
        parts(language("python", ready=1)),
        parts(language("c", ready=1), broker=AWAY),
        {**READY, "root/events": AWAY},
        {name: one for name, one in READY.items() if name != "root/gateway"},
        {name: one for name, one in READY.items() if name != "root/fleet"},
    ],
)
def test_it_waits_for_what_is_missing(early: dict[str, Any]) -> None:
    assert wait(early, READY) == {}


def test_a_language_that_is_paused_is_not_waited_for() -> None:
    paused = language("python", paused="no image")
    assert wait(parts(language("c", ready=1), paused), languages=("c", "python")) == {
        "python": "no image"
    }


def test_a_gateway_waits_for_no_container() -> None:
    assert wait(parts(broker=AWAY), parts(), languages=()) == {}


def test_the_line_tells_address_languages_broker_and_runtime() -> None:
    settings = Settings(runtimes=("java=runsc",))
    line = ready_line(settings, "http://h:1", {"c": None, "java": "no image"})

    assert line == (
        "ready at http://h:1; languages c, java (paused: no image); broker embedded; "
        "runtime runc, java: runsc"
    )


def test_the_line_has_no_password() -> None:
    settings = Settings(broker="amqp://u:secret@a,amqp://u:secret@b", role="gateway")
    line = ready_line(settings, "http://h:1", {"c": None})

    assert line == "ready at http://h:1; languages c; broker a, b"
