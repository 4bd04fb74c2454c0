"""Faults of whole processes: signals, clocks, and what a machine has too little of."""

from __future__ import annotations

import resource
import signal
from typing import TYPE_CHECKING

import gevent
from calls import call
from gevent.pool import Pool
from scenario import scenario
from watchers import Watchers

if TYPE_CHECKING:
    from play import Play

HOUR_S = 3600
LAST_S = 4
WATCHERS = 10_000
GONE_S = 10
LONG: dict[str, object] = {
    "language": "python",
    "source": "import time\ntime.sleep(28)",
    "limits": {"wall_time_s": 30},
}


# -------------------------------------------------------------------------- clocks


@scenario(is_quick=True)
def the_clock_set_forward_by_an_hour(play: Play) -> None:
    """No limit, no lease and no log ends early: all count monotonic seconds."""
    play.order("shift_clock", seconds=HOUR_S)
    play.finish_some(20)
    play.order("shift_clock", seconds=0)


@scenario()
def the_clock_set_back_by_an_hour(play: Play) -> None:
    """Nothing waits for the hour to pass again."""
    play.order("shift_clock", seconds=-HOUR_S)
    play.finish_some(20)
    play.order("shift_clock", seconds=0)


# ------------------------------------------------------------------------- signals


def stop_in_order(play: Play, number: int) -> None:
    """Stop it while jobs run and wait; all that was accepted ends before it does."""
    play.history.wait_for(lambda: play.history.finished > 0)
    accepted = [one for one in play.history.records if one.job_id]
    play.node.send_stop(number)
    play.expect(play.node.wait() == 0, "it ended with 0")
    gevent.sleep(0)
    unfinished = [one for one in accepted if not one.is_over]
    play.wait_until(lambda: all(one.is_over for one in accepted), 5, "all have ended")
    play.expect(len(unfinished) < len(accepted), "it waited for its jobs")
    play.expect(play.node.containers() == [], "no container is left")


@scenario("fresh", whole_s=15, audits=False)
def SIGTERM_under_load(play: Play) -> None:  # noqa: N802 - as people write it
    """What was accepted ends, what comes is refused with 503 until the next start, and
    no container is left."""
    stop_in_order(play, signal.SIGTERM)


@scenario("fresh", whole_s=15, audits=False)
def SIGINT_under_load(play: Play) -> None:  # noqa: N802 - as people write it
    """The same as SIGTERM."""
    stop_in_order(play, signal.SIGINT)


@scenario("fresh", whole_s=20, is_loaded=False)
def kill_9_of_an_all_in_one_process(play: Play) -> None:
    """No container is left after 10 s, and the next start serves; jobs that the
    embedded broker held die with it, as is said of it."""
    for _ in range(6):
        call(play.node.port, "POST", "/v1/jobs", LONG)
    play.node.kill()
    play.wait_until(lambda: not play.node.containers(), GONE_S, "no container is left")


# --------------------------------------------------------------- too little of a thing


@scenario("fresh", whole_s=15)
def file_descriptors_run_out(play: Play) -> None:
    """Who can't be answered waits, or is refused; then all goes on."""
    pid = play.node.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (24, before[1]))
    gevent.sleep(LAST_S)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


# The heap of ten thousand streams stays in pieces, though nothing alive is in it: the
# next ten thousand need no more.
@scenario("fresh", whole_s=60, memory_mb=260)
def ten_thousand_watchers_leave_at_once(play: Play) -> None:
    """Ten thousand event streams of a job end together; jobs go on meanwhile. The heap
    may keep 260 MB in pieces, for the next ten thousand."""
    job = call(play.node.port, "POST", "/v1/jobs", LONG).document()
    with Watchers(play.node.port, job["id"], WATCHERS) as watchers:
        play.expect(watchers.count == WATCHERS, f"only {watchers.count} streams")
        play.finish_some()


@scenario("fresh", whole_s=20)
def a_hundred_jobs_of_a_megabyte(play: Play) -> None:
    """All at once: they leave no memory behind."""
    source = "#" + "x" * 1_000_000 + "\nprint(1)"
    job = {"language": "python", "source": source}
    posts = Pool(16)
    for _ in range(100):
        posts.spawn(call, play.node.port, "POST", "/v1/jobs", job)
    posts.join()
