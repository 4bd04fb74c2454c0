"""A service with one container a language, so that a probe meets what was before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attacking import CATALOG, Looks, Report, look_around, run
from figures import attack_figures, scrub_times
from runtime import RUNTIME
from service_process import ServiceProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

FIGURES = pytest.StashKey[list[str]]()
READERS = {
    "bash": "rm -rf --no-preserve-root / 2>/dev/null; echo read",
    "cpp": "#include <bits/stdc++.h>\nint main() {}",
}
"""What there is to read of which an attack reads all: every name, and the precompiled
header."""


@pytest.fixture(scope="session")
def alone() -> Iterator[ServiceProcess]:
    # One container a language, so that what looks is where the attack has been.
    settings = {"pool__max": 1, "guests_max": 0, "runtime": RUNTIME}
    with ServiceProcess(pool__warm=1, **settings) as one:
        yield one
        assert one.terminate() == 0
        assert one.containers() == []


@pytest.fixture(scope="session")
def looks(alone: ServiceProcess) -> Looks:
    """What a program sees in each language's container before any attack."""
    # Who reads much first, since this machine has forgotten it, fills the container's
    # caches, and the container goes: that is no attack's doing.
    for language, source in READERS.items():
        run(alone.api, {"language": language, "source": source})
    found = Looks({}, {})
    for language in CATALOG.languages:
        seen = look_around(alone.api, language)
        found.hosts[language], found.as_new[language] = seen
    return found


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> list[str]:
    """Lines to be printed at the end of the run."""
    return request.config.stash.setdefault(FIGURES, [])


@pytest.fixture(scope="session")
def reports(alone: ServiceProcess, figures: list[str]) -> Iterator[list[Report]]:
    """What became of each attack so far."""
    found: list[Report] = []
    yield found
    figures += attack_figures(found, scrub_times(alone.api))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the figures, whether all went well or not."""
    for line in config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)
