"""What clients saw, and a judge who decides from that alone.

Each client posts one job to one gateway and follows it on another; what breaks is
taken up again elsewhere. In the end every gateway is asked for every job: they must
all tell the same, with one end, the right output and nothing missed.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gevent
from calls import call, follow
from gevent.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calls import Call
    from stage import Node

CLIENTS = 64
PATIENCE_S = 120
"""For one job, with all its faults."""
PAUSE_S = 0.2
SLEEPER = "import time\ntime.sleep(RUN_S)\nprint(MARKER)"
"""What a job does; the two words are filled in."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An event as a client saw it."""

    id: int
    name: str
    data: dict[str, Any]


@dataclass(slots=True)
class Record:
    """All that a client knows of its job."""

    marker: str
    key: str | None
    posted_at: float = field(default_factory=time.monotonic)
    ended_at: float = 0.0
    job_id: str = ""
    refusals: Counter[str] = field(default_factory=Counter)
    breaks: Counter[str] = field(default_factory=Counter)
    events: list[Shown] = field(default_factory=list)
    logs: list[list[Shown]] = field(default_factory=list)
    """The whole log as each gateway tells it in the end."""

    @property
    def is_over(self) -> bool:
        return bool(self.events) and self.events[-1].name == "finished"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the history shows."""

    accepted: int
    finished: int
    lost: list[str]
    """Accepted, but without an end."""
    doubled: list[str]
    """With more than one end, on whichever gateway."""
    denied: list[str]
    """Accepted, and then called unknown by a gateway."""
    wrong: list[str]
    """With another output or outcome, a gap, or told differently by two gateways."""
    restarted: int
    refused: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"accepted {self.accepted}, finished {self.finished}, "
            f"lost {len(self.lost)}, doubled {len(self.doubled)}, "
            f"denied {len(self.denied)}, wrong {len(self.wrong)}; "
            f"restarted {self.restarted}, refused {self.refused}, {self.seconds:.1f} s"
        )

    def assert_perfect(self, count: int) -> None:
        assert self.accepted == count, self
        faults = self.lost + self.doubled + self.denied + self.wrong
        assert not faults, (str(self), faults)


class History:
    """Many clients' work on several gateways.

    programs: what jobs do, in turn; each prints its marker and nothing else.
    audits_at_once: ask every gateway for a job when it has ended, not when all have:
    for a run that is longer than logs are kept.
    """

    def __init__(
        self,
        gateways: Sequence[Node],
        run_s: float = 0,
        programs: Sequence[str] = (SLEEPER,),
        *,
        audits_at_once: bool = False,
    ) -> None:
        self._gateways = gateways
        self._run_s = run_s
        self._programs = programs
        self._audits_at_once = audits_at_once
        self._began = time.monotonic()
        self._name = secrets.token_hex(4)
        self._surprises: list[Call] = []
        self.records: list[Record] = []
        self._clients = Pool(CLIENTS)
        self._followers = Pool()

    @property
    def accepted(self) -> int:
        return sum(bool(one.job_id) for one in self.records)

    @property
    def finished(self) -> int:
        return sum(one.is_over for one in self.records)

    def post(self, count: int) -> None:
        """Have so many jobs posted and followed, the gateways by turns."""
        for number in range(len(self.records), len(self.records) + count):
            # every other one can be repeated without harm
            key = f"{self._name}-{number}" if number % 2 else None
            record = Record(f"job {number} says so", key)
            self.records.append(record)
            self._clients.spawn(self._post, record, number)

    def _post(self, record: Record, number: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        turn = number
        while not record.job_id and time.monotonic() < deadline:
            self._try_to_post(record, number, turn)
            if not record.job_id:
                turn += 1
                gevent.sleep(PAUSE_S)
        if record.job_id:
            self._followers.spawn(self._follow, record, turn + 1)

    def _try_to_post(self, record: Record, number: int, turn: int) -> None:
        gateway = self._gateways[turn % len(self._gateways)]
        program = self._programs[number % len(self._programs)]
        source = program.replace("RUN_S", str(self._run_s))
        source = source.replace("MARKER", repr(record.marker))
        job = {"language": "python", "source": source}
        headers = {"Idempotency-Key": record.key} if record.key else {}
        try:
            answer = call(gateway.port, "POST", "/v1/jobs", job, headers)
        except OSError as error:
            record.refusals[type(error).__name__] += 1
            return
        if answer.status == 202:
            record.job_id = answer.document()["id"]
        else:
            record.refusals[str(answer.status)] += 1
            if answer.status != 503 or "Retry-After" not in answer.headers:
                self._surprises.append(answer)

    def _follow(self, record: Record, turn: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not record.is_over and time.monotonic() < deadline:
            gateway = self._gateways[turn % len(self._gateways)]
            last_id = record.events[-1].id if record.events else 0
            try:
                for event in follow(gateway.port, record.job_id, last_id):
                    if event.name != "lagged":
                        record.events.append(shown(event))
            except OSError as error:
                record.breaks[str(error)[:60]] += 1
                gevent.sleep(PAUSE_S)
            turn += 1  # nothing but its end keeps a client at one gateway
        record.ended_at = time.monotonic()
        if self._audits_at_once:
            self._audit(record, patience_s=PATIENCE_S)

    def wait_for(self, true: Callable[[], bool]) -> None:
        """Wait until the clients have seen something."""
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < deadline, f"{self.accepted} {self.finished}"
            gevent.sleep(0.02)

    def judge(self, *, audits: bool = True) -> Verdict:
        """Wait for all clients; then ask every gateway for every job, and judge.

        audits: False when who knew the jobs is gone; what clients saw has to do.
        """
        self._clients.join()
        self._followers.join()
        assert not self._surprises, self._surprises[:3]
        seconds = time.monotonic() - self._began
        accepted = [one for one in self.records if one.job_id]
        auditors = Pool(CLIENTS)
        for record in accepted if audits and not self._audits_at_once else ():
            auditors.spawn(self._audit, record)
        auditors.join()
        named = {one.marker: one for one in accepted}
        return Verdict(
            len(accepted),
            sum(one.is_over for one in accepted),
            [name for name, one in named.items() if is_lost(one)],
            [name for name, one in named.items() if is_doubled(one)],
            [name for name, one in named.items() if is_denied(one)],
            [name for name, one in named.items() if is_wrong(one)],
            sum(has_restarted(one) for one in accepted),
            sum(sum(one.refusals.values()) for one in self.records),
            seconds,
        )

    def _audit(self, record: Record, patience_s: float = 0) -> None:
        deadline = time.monotonic() + patience_s
        for gateway in self._gateways:
            while not (log := self._whole_log(gateway, record)):
                if time.monotonic() >= deadline:
                    break
                gevent.sleep(PAUSE_S)
            record.logs.append(log)

    def _whole_log(self, gateway: Node, record: Record) -> list[Shown]:
        """Return the log as this gateway tells it; nothing when it does not."""
        try:
            events = follow(gateway.port, record.job_id, 0)
            return [shown(event) for event in events]
        except OSError as error:
            record.breaks[str(error)[:60]] += 1
            return []

    def story(self, marker: str) -> str:
        """Return what was seen of a job, and what each gateway told in the end."""
        record = next(one for one in self.records if one.marker == marker)
        told = "\n".join(f"  told: {log}" for log in record.logs)
        return f"{marker}, {record.job_id}\n  seen: {record.events}\n{told}"

    def latencies_s(self) -> list[float]:
        """Return how long each job took that has ended, from its first POST on."""
        return [one.ended_at - one.posted_at for one in self.records if one.is_over]

    def breaks(self) -> Counter[str]:
        """Return why streams broke, for whoever looks for a reason."""
        return sum((one.breaks for one in self.records), Counter())


def shown(event: Any) -> Shown:
    return Shown(int(event.id or 0), event.name, json.loads(event.data))


def ends(events: list[Shown]) -> int:
    return sum(event.name == "finished" for event in events)


def is_lost(record: Record) -> bool:
    return not record.is_over or not all(map(ends, record.logs))


def is_doubled(record: Record) -> bool:
    return any(ends(log) > 1 for log in [record.events, *record.logs])


def is_denied(record: Record) -> bool:
    return any(reason.startswith("404") for reason in record.breaks)


def is_wrong(record: Record) -> bool:
    if is_lost(record):
        return False  # that is worse, and counted
    if any(log != record.events for log in record.logs):
        return True
    if [event.id for event in record.events] != [*range(1, len(record.events) + 1)]:
        return True
    return (output(record), record.events[-1].data["outcome"]) != (
        f"{record.marker}\n",
        "success",
    )


def has_restarted(record: Record) -> bool:
    return any(event.name == "restarted" for event in record.events)


def output(record: Record) -> str:
    """Return what the last attempt wrote."""
    text = ""
    for event in record.events:
        if event.name == "restarted":
            text = ""
        elif event.name in {"stdout", "stderr"}:
            text += event.data["text"]
    return text
