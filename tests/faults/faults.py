"""`make faults`: plays every scenario, one line each, and fails if one does.

With words, only those whose name holds one of them. What came of each goes into the
table of `docs/reliability.md`.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import traceback
from typing import TYPE_CHECKING

import of_actors  # noqa: F401 - the scenarios enter themselves
import of_clusters  # noqa: F401
import of_containers  # noqa: F401
import of_docker  # noqa: F401
import of_processes  # noqa: F401
import pytest
import row_table
from places import Places
from play import Play
from scenario import SCENARIOS

if TYPE_CHECKING:
    from places import Here
    from play import Result
    from scenario import Scenario

DESCRIPTORS = 20_000
LOG_CHARS = 3000
"""Of what a process said, when a scenario has failed."""


def play_one(scenario: Scenario, places: Places) -> Result | None:
    """Play it; None when it could not even be judged."""
    here = places.enter(scenario.place)
    result = attempt(scenario, here)
    failed = result is None or bool(result.faults)
    if failed:
        for node in here.nodes:
            words = f"---- {node.role} {node.port}\n{node.log()[-LOG_CHARS:]}"
            print(words, file=sys.stderr)
    if failed or scenario.place == "fresh":
        for what in places.leave(scenario.place):
            print(f"         at its end: {what}")
    return result


def attempt(scenario: Scenario, here: Here) -> Result | None:
    try:
        result = Play.begin(scenario, here).run()
    # whatever it is, the others are to be played
    except (Exception, pytest.fail.Exception):  # noqa: BLE001
        print(f"FAILED {scenario.name}", flush=True)
        traceback.print_exc()
        return None
    print(result, *result.faults, sep="\n         ", flush=True)
    return result


def chosen(words: list[str]) -> list[Scenario]:
    return [
        one for one in SCENARIOS if not words or any(word in one.name for word in words)
    ]


def prepare() -> None:
    """Have the descriptors of ten thousand streams, and end in order when told to."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("word", nargs="*", help="a part of a scenario's name")
    args = parser.parse_args()
    prepare()
    with Places() as places:
        results: list[Result] = []
        unjudged: list[Scenario] = []
        for one in chosen(args.word):
            result = play_one(one, places)
            if result is None:
                unjudged.append(one)
            else:
                results.append(result)
            row_table.write(results, unjudged)
    failed = len(unjudged) + sum(bool(one.faults) for one in results)
    print(f"{len(results) + len(unjudged)} scenarios, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
