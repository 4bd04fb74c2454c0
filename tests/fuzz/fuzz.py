"""Attack the service through its own API for some minutes, and print what came of it.

Run as `python -m gevent.monkey tests/fuzz/fuzz.py --minutes 10 --seed 1`; one seed
gives one sequence of requests for each client.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "service"), str(_HERE.parents[1])]

from fuzzing import Fuzzing, Report
from vitals import Victim

SHOWN = 50


def main() -> int:
    """Fuzz; return 1 when anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", metavar="CLIENT/SESSION", help="send one session again, as 5/14"
    )
    args = parser.parse_args()
    with Victim() as victim:
        fuzzing = Fuzzing(victim, args.seed, args.minutes * 60)
        if args.only:
            number, _, session = args.only.partition("/")
            report = fuzzing.replay(int(number), int(session))
        else:
            report = fuzzing.run()
    show(report, args.seed)
    return 0 if report.is_good else 1


def show(report: Report, seed: int) -> None:
    """Print what was wrong, and the figures."""
    for line in (*report.seen.wrong[:SHOWN], *report.harmed[:SHOWN], report.grown):
        if line:
            print(line)
    counted = sorted(report.seen.statuses.items())
    answers = ", ".join(f"{status}: {count}" for status, count in counted)
    print(f"seed {seed}; answers {answers}")
    print(report.line())


if __name__ == "__main__":
    sys.exit(main())
