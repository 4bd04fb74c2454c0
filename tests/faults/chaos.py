"""`make chaos MINUTES=10 SEED=1`: seeded faults and load, with invariants throughout.

The same seed gives the same schedule (`schedule.py`); what the machine makes of it is
its own. Ends with 1 when a job was lost, doubled or wrong, when an invariant did not
hold, and when something was left over.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import docker
import gevent
from faults import prepare
from history import History
from leaks import Leaks, leaks, look
from places import Places
from play import warm_up
from schedule import make_schedule

if TYPE_CHECKING:
    from faulty_node import FaultyNode
    from history import Verdict
    from places import Here
    from schedule import Broker, Planned, Schedule

LOOK_S = 0.1
HOLDS_WITHIN = 20
"""Looks in a row that may see a message on its way; one more is a violation."""
MEMORY_MB = 48.0
HOLD_S = 2.0
KEPT_S = 300.0
BLOCK_S = 1.0
RUN_S = 0.2
LOST_DOOR = (OSError, RuntimeError, ValueError)
"""What an order to a process that is just ending meets."""
PLACES = {"embedded": "one", "rabbitmq": "cluster"}


class Chaos:
    """One run of a schedule, on processes that are ready."""

    def __init__(self, here: Here, schedule: Schedule, history: History) -> None:
        self._here = here
        self._schedule = schedule
        self._history = history
        self._began = time.monotonic()
        self._seen: Counter[tuple[int, str]] = Counter()
        self.violations: set[str] = set()
        self.done: Counter[str] = Counter()

    def run(self) -> Verdict:
        """Play the whole schedule; return what clients saw."""
        self._began = time.monotonic()
        watching = gevent.spawn(self._watch)
        posting = gevent.spawn(self._post)
        for fault in self._schedule.faults:
            gevent.sleep(max(0, fault.at_s - self._now()))
            gevent.spawn(self._make, fault)
        posting.get()
        self._here.start_again()
        verdict = self._history.judge()
        self._here.wait_whole()
        watching.kill()
        return verdict

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _post(self) -> None:
        for (at_s, rate), (until_s, _) in zip(
            self._schedule.loads,
            [*self._schedule.loads[1:], (self._schedule.seconds, 0)],
            strict=True,
        ):
            count = int((until_s - at_s) * rate)
            for number in range(count):
                gevent.sleep(max(0, at_s + number / rate - self._now()))
                self._history.post(1)
        gevent.sleep(max(0, self._schedule.seconds - self._now()))

    # ------------------------------------------------------------------ invariants

    def _watch(self) -> None:
        while True:
            gevent.sleep(LOOK_S)
            for node in self._here.nodes:
                if node.role != "gateway":
                    self._look(node)

    def _look(self, node: FaultyNode) -> None:
        try:
            found = set(node.order("violations"))
        except LOST_DOOR:
            return  # it is being started
        kinds = {(node.port, words.partition(":")[0]): words for words in found}
        for key in [one for one in self._seen if one[0] == node.port]:
            if key not in kinds:
                del self._seen[key]
        for key, words in kinds.items():
            self._seen[key] += 1
            if self._seen[key] > HOLDS_WITHIN or key[1] == "running":
                self.violations.add(f"{self._now():.1f} s: {words}")

    # ---------------------------------------------------------------------- faults

    def _make(self, fault: Planned) -> None:
        self.done[fault.kind] += 1
        # What it is aimed at may just be down from the last one.
        with suppress(*LOST_DOOR, docker.errors.APIError):
            role, _, kind = fault.kind.rpartition(" ")
            if kind in {"crash", "leak", "block"}:
                self._break_actor(self._pick(role, fault), kind, fault)
            elif kind == "process":
                self._break_process(role, fault)
            elif fault.kind == "close connections":
                assert self._here.scene is not None
                self._here.scene.close_connections()
            else:
                self._break_container(fault)

    def _pick(self, role: str, fault: Planned) -> FaultyNode:
        nodes = [one for one in self._here.nodes if not role or one.role == role]
        return nodes[int(fault.pick * len(nodes))]

    def _break_actor(self, node: FaultyNode, kind: str, fault: Planned) -> None:
        words: dict[str, dict[str, object]] = {
            "crash": {},
            "leak": {"kind": "Timeout" if fault.pick < 1 / 2 else "GreenletExit"},
            "block": {"seconds": BLOCK_S},
        }
        node.order(kind, name=fault.name, **words[kind])

    def _break_process(self, how: str, fault: Planned) -> None:
        node = self._pick("", fault)
        if how == "kill":
            node.kill()
        else:
            node.send_stop()
            node.wait()
        node.start()

    def _break_container(self, fault: Planned) -> None:
        workers = self._here.workers
        node = workers[int(fault.pick * len(workers))]
        if fault.kind == "crash container":
            number = 1 + int(fault.pick * 4)
            node.order("crash", name=f"root/languages/python/pool/{number}")
            return
        containers = sorted(node.containers())
        one = containers[int(fault.pick * len(containers))]
        if fault.kind == "kill":
            node.docker.kill(one)
        elif fault.kind == "remove":
            node.docker.remove_container(one, force=True)
        elif fault.kind == "pause":
            node.docker.pause(one)
            gevent.sleep(HOLD_S)
            node.docker.unpause(one)
        elif fault.kind == "babble":
            node.babble(one)
        else:
            os.kill(pid := node.runner_pid(one), signal.SIGSTOP)
            gevent.sleep(HOLD_S)
            os.kill(pid, signal.SIGCONT)


def play(broker: Broker, seed: int, minutes: float, places: Places) -> bool:
    """Play one seed on one broker; tell whether all held."""
    schedule = make_schedule(seed, minutes * 60, broker)
    print(f"seed {seed}, {broker}: {len(schedule.faults)} faults", flush=True)
    here = places.enter("one" if broker == "embedded" else "cluster")
    warm_up(here)
    before = [look(node) for node in here.nodes]
    history = History(here.gateways, RUN_S)
    chaos = Chaos(here, schedule, history)
    verdict = chaos.run()
    left = leaks(before, here.nodes)
    print(f"  {verdict}\n  faults: {dict(chaos.done)}\n  leaked {left}", flush=True)
    for words in sorted(chaos.violations)[:20]:
        print(f"  VIOLATED {words}")
    holds = is_sound(verdict) and not chaos.violations and not left.is_any(MEMORY_MB)
    if not holds:
        explain(here, verdict, left)
        for marker in [*verdict.lost[:2], *verdict.wrong[:2], *verdict.doubled[:2]]:
            print(history.story(marker), file=sys.stderr)
    return holds


def is_sound(verdict: Verdict) -> bool:
    return not (verdict.lost or verdict.doubled or verdict.denied or verdict.wrong)


def explain(here: Here, verdict: Verdict, left: Leaks) -> None:
    print(f"  FAILED: {left}; lost {verdict.lost[:5]}, wrong {verdict.wrong[:5]}")
    print(f"  doubled {verdict.doubled[:5]}, denied {verdict.denied[:5]}")
    for node in here.nodes:
        print(f"---- {node.role} {node.port}\n{node.log()}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None, help="the first one")
    parser.add_argument("--seeds", type=int, default=1, help="how many, counting up")
    parser.add_argument("--broker", choices=[*PLACES, "both"], default="both")
    parser.add_argument("--show", action="store_true", help="only show the schedule")
    args = parser.parse_args()
    first = int.from_bytes(os.urandom(2)) if args.seed is None else args.seed
    brokers: list[Broker] = ["embedded", "rabbitmq"]
    brokers = [one for one in brokers if args.broker in {one, "both"}]
    seeds = range(first, first + args.seeds)
    if args.show:
        for broker in brokers:
            for fault in make_schedule(first, args.minutes * 60, broker).faults:
                print(broker, fault)
        return 0
    prepare()
    # so that every job can be asked for in the end
    with Places(result_ttl_s=args.minutes * 60 + KEPT_S) as places:
        held = [
            play(broker, seed, args.minutes, places)
            for broker in brokers
            for seed in seeds
        ]
    print(f"{len(held)} runs, {held.count(False)} failed")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
