"""Ten minutes of hostile requests, and one innocent client who must not notice."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import gevent
from answers import Contract
from fuzz_client import FuzzClient, Seen
from gevent.event import Event
from http_api import Api
from schema_values import SchemaValues
from service_process import wait_until
from vitals import LANGUAGES, WARM, change
from well_formed import Grammar

if TYPE_CHECKING:
    from vitals import Holdings, Victim

CLIENTS = (
    *["requests"] * 4,
    *["quick"] * 3,
    *["stream"] * 6,
    *["slow"] * 6,
    "crowd",
)
"""What each client sends, all at once."""
INNOCENT_EVERY_S = 0.7
INNOCENT = "127.0.0.99"
WATCH_EVERY_S = 0.5
MINUTE_S = 60
LOGGED_LINES = 20
"""Of what is new, so many lines are printed."""
WAITING_MAX = 40
"""Jobs in the queues up to which new ones are sent: the end must not be far."""
RETURN_S = 120
LAST_SESSION_S = 90
MEMORY_MB_SLACK = 128
"""What the allocator keeps of a peak: clients' bodies of 1 MiB, in some copies.

Half a minute on a quiet machine takes as much of it as ten minutes do, and that tells
it from a leak.
"""
DESCRIPTORS_SLACK = 16
"""Connections to Docker that are kept for the next time."""
GREENLETS_SLACK = 24
"""Rate buckets that are not yet full again, and threads of the Docker client."""


@dataclass
class Report:
    """What came of it."""

    seen: Seen = field(default_factory=Seen)
    innocents: int = 0
    harmed: list[str] = field(default_factory=list)
    crashed: int = 0
    troubles: list[str] = field(default_factory=list)
    grown: str = ""
    held: list[Holdings] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether the service has stood it all."""
        bad = (self.seen.wrong, self.harmed, self.crashed, self.troubles, self.grown)
        return bool(self.innocents and self.seen.requests) and not any(bad)

    def line(self) -> str:
        """Return the figures."""
        right = self.innocents - len(self.harmed)
        head = (
            f"requests {self.seen.requests}, 5xx {self.seen.undocumented}, "
            f"wrong {len(self.seen.wrong)}, crashed {self.crashed}, "
            f"log lines of trouble {len(self.troubles)}, "
            f"innocents {right} of {self.innocents} right"
        )
        return f"{head}; {change(self.held[0], self.held[-1])}" if self.held else head


class Fuzzing:
    """One run against one service."""

    def __init__(self, victim: Victim, seed: int, seconds: float) -> None:
        self._victim = victim
        self._seed = seed
        self._end = time.monotonic() + seconds
        self._calm = Event()
        self._calm.set()
        self.report = Report()

    def run(self) -> Report:
        """Send all that there is to send, wait until all is quiet, and tell."""
        self._begin()
        sending = [
            gevent.spawn(client.run, kind, self._again)
            for kind, client in self._clients()
        ]
        looking = [gevent.spawn(self._watch), gevent.spawn(self._be_innocent)]
        gevent.joinall(looking)
        gevent.joinall(sending, LAST_SESSION_S)
        parts: list[Any] = [*looking, *sending]
        for greenlet in parts:
            if not greenlet.ready():
                self.report.seen.wrong.append("a session without an end")
            elif greenlet.exception:
                words = f"no part of the fuzzer may fail: {greenlet.exception!r}"
                self.report.seen.wrong.append(words)
        self._settle()
        return self.report

    def replay(self, number: int, session: int) -> Report:
        """Send one session of a client again, all by itself."""
        self._begin()
        kind, client = self._clients()[number]
        client.session(kind, session)
        self._settle()
        return self.report

    def _begin(self) -> None:
        self._innocent(0)
        self.report.held.append(settled(self._victim))
        self._print()

    def _clients(self) -> list[tuple[str, FuzzClient]]:
        victim = self._victim
        document = victim.api.get("/openapi.json")
        contract = Contract(document)
        grammar = Grammar(document, SchemaValues(document))
        return [
            (
                kind,
                FuzzClient(
                    number, self._seed, victim.port, contract, grammar, self.report.seen
                ),
            )
            for number, kind in enumerate(CLIENTS)
        ]

    def _again(self) -> bool:
        self._calm.wait()
        gevent.sleep(0)
        return time.monotonic() < self._end and not self.report.crashed

    # -------------------------------------------------------------------- innocents

    def _be_innocent(self) -> None:
        number = 1
        while self._again():
            self._innocent(number)
            number += 1
            gevent.sleep(INNOCENT_EVERY_S)

    def _innocent(self, number: int) -> None:
        word = f"innocent {self._seed} {number}"
        language = "bash" if number % 3 == 0 else "python"
        source = {"bash": f"echo '{word}'", "python": f"print({word!r})"}[language]
        self.report.innocents += 1
        try:
            result = Api(self._victim.port, INNOCENT).run(language, source)
        except (AssertionError, OSError, ValueError) as error:
            self._harm(f"{word}: {error!r}")
            return
        shown = result.outcome, result.stdout, result.stderr
        if shown != ("success", f"{word}\n".encode(), b""):
            self._harm(f"{word}: {result}")

    def _harm(self, words: str) -> None:
        self.report.harmed.append(words)
        sys.stdout.write(f"HARMED: {words}\n")

    # ------------------------------------------------------------------- the watch

    def _watch(self) -> None:
        """Look at the service twice a second, and print a line a minute."""
        minute = time.monotonic() + MINUTE_S
        try:
            while time.monotonic() < self._end and not self._is_dead():
                gevent.sleep(WATCH_EVERY_S)
                self._pace()
                self._read_log()
                if time.monotonic() > minute:
                    minute += MINUTE_S
                    self.report.held.append(self._victim.holdings())
                    self._print()
        finally:
            self._calm.set()  # nobody may wait for us any more

    def _pace(self) -> None:
        """Let no more be sent while many jobs wait."""
        waiting = self._victim.api.metric("warmbox_queue_depth")
        (self._calm.clear if waiting > WAITING_MAX else self._calm.set)()

    def _is_dead(self) -> bool:
        if self._victim.process.poll() is None:
            return False
        self.report.crashed = 1
        return True

    def _read_log(self) -> None:
        self._victim.read_log()
        new = self._victim.troubles[len(self.report.troubles) :]
        for line in new[:LOGGED_LINES]:
            sys.stdout.write(f"LOGGED: {line}\n")
        self.report.troubles += new

    def _print(self) -> None:
        sys.stdout.write(f"{self.report.line()}\n")
        sys.stdout.flush()

    def _settle(self) -> None:
        report = self.report
        if self._is_dead():
            return
        try:
            report.held.append(settled(self._victim, report.held[0]))
        except AssertionError as error:
            report.grown = str(error)
            report.held.append(self._victim.holdings())
        self._read_log()
        restarts = self._victim.api.metric("warmbox_restarts_total")
        if restarts:
            report.seen.wrong.append(f"{restarts:.0f} restarts")


def settled(victim: Victim, before: Holdings | None = None) -> Holdings:
    """Return what is held when all is quiet: no more than before, if that is given."""
    depth = partial(victim.api.metric, "warmbox_queue_depth")
    wait_until(lambda: not depth(), RETURN_S, "no job waits")
    for language in LANGUAGES:
        victim.wait_settled(language, WARM)
    if before is None:
        return victim.holdings()
    now = victim.holdings()

    def back() -> bool:
        nonlocal now
        now = victim.holdings()
        return _is_back(now, before)

    try:
        wait_until(back, RETURN_S, "", 1)
    except AssertionError:
        raise AssertionError(f"not back at {before}: {now}") from None
    return now


def _is_back(now: Holdings, before: Holdings) -> bool:
    return (
        now.containers == before.containers
        and now.children <= before.children
        and now.descriptors <= before.descriptors + DESCRIPTORS_SLACK
        and now.greenlets <= before.greenlets + GREENLETS_SLACK
        and now.memory_mb <= before.memory_mb + MEMORY_MB_SLACK
    )
