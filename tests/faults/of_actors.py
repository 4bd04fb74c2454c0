"""Faults of actors: what a bug in any of them would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenario import scenario

if TYPE_CHECKING:
    from play import Play

LANGUAGE = "root/languages/python"
BUCKET = "root/buckets/bucket"
KILLS = 1000
SLOWER, NOISE_MS = 2.0, 10.0
"""So many times as long, and so much more, the last recoveries may take: they take some
milliseconds, which on a machine that others use is what a turn of theirs takes, too.
"""


# --------------------------------------------------------------- an unknown message


@scenario(is_quick=True)
def unknown_message_to_the_scheduler(play: Play) -> None:
    """A new scheduler asks everybody how things stand; jobs that run go on."""
    play.order("crash", name="root/scheduler")


@scenario(is_quick=True)
def unknown_message_to_the_broker(play: Play) -> None:
    """Its store outlives it, with the mail that it had not read."""
    play.order("crash", name="root/broker")


@scenario(whole_s=12)
def unknown_message_to_the_queue(play: Play) -> None:
    """Its pool goes down with it, and the broker delivers its jobs again."""
    play.order("crash", name=f"{LANGUAGE}/queue")


@scenario()
def unknown_message_to_the_relay(play: Play) -> None:
    """Jobs' logs are rebuilt from the event stream; watchers come back for the rest."""
    play.order("crash", name="root/relay")


@scenario(whole_s=12)
def unknown_message_to_a_container(play: Play) -> None:
    """Its job runs again elsewhere, and its watchers are told."""
    play.order("crash", name=f"{LANGUAGE}/pool/1")


@scenario(whole_s=15)
def unknown_message_to_every_container(play: Play) -> None:
    """The pool pauses for a moment, and is filled again."""
    for number in range(1, 5):
        play.order("crash", name=f"{LANGUAGE}/pool/{number}")


@scenario(whole_s=12)
def unknown_message_to_the_pool(play: Play) -> None:
    """Its containers end with it; their jobs run again in its successor's."""
    play.order("crash", name=f"{LANGUAGE}/pool")


@scenario(whole_s=15)
def unknown_message_to_the_supervisor_of_a_language(play: Play) -> None:
    """The language goes down and comes up as a whole."""
    play.order("crash", name=LANGUAGE)


@scenario(whole_s=15)
def unknown_message_to_the_supervisor_of_languages(play: Play) -> None:
    """All languages go down and come up again; what was accepted is run."""
    play.order("crash", name="root/languages")


@scenario()
def unknown_message_to_the_fleet(play: Play) -> None:
    """A new one asks the pools how they stand."""
    play.order("crash", name="root/fleet")


@scenario()
def unknown_message_to_the_supervisor_of_rate_limits(play: Play) -> None:
    """Clients start with full buckets."""
    play.order("crash", name="root/buckets")


@scenario()
def unknown_message_to_a_rate_limit(play: Play) -> None:
    """The client's next request starts a full bucket."""
    play.order("crash", name=BUCKET)


@scenario()
def unknown_message_to_the_gateway(play: Play) -> None:
    """Open connections end, the port is taken again, and watchers come back."""
    play.order("crash", name="root/gateway")


@scenario("fresh", whole_s=20, is_loaded=False)
def unknown_message_to_the_root(play: Play) -> None:
    """The process ends with 1 and leaves no container: its manager starts it anew."""
    play.order("crash", name="root")
    play.expect(play.node.wait() == 1, "it ended with 1")
    play.wait_until(lambda: not play.node.containers(), 10, "no container is left")


# --------------------------------------------------------------- boots that fail


@scenario()
def exception_in_the_boot_of_the_scheduler(play: Play) -> None:
    """It is started again until it boots, which here is the third time."""
    play.order("fail_boot", name="root/scheduler", times=2)


@scenario()
def exception_in_the_boot_of_the_broker(play: Play) -> None:
    """The second successor finds the store as the first did."""
    play.order("fail_boot", name="root/broker", times=1)


@scenario(whole_s=20)
def exception_in_the_boot_of_containers(play: Play) -> None:
    """The pool pauses longer each time, and says why; the others work on."""
    play.order("fail_boot", name=f"{LANGUAGE}/pool/1", times=3)


# --------------------------------------------------- exit signals that escape


@scenario()
def a_timeout_that_leaks_from_the_scheduler(play: Play) -> None:
    """It ends the actor alone, though pykka would stop every actor there is."""
    play.order("leak", name="root/scheduler", kind="Timeout")


@scenario(whole_s=12)
def a_timeout_that_leaks_from_a_container(play: Play) -> None:
    """The container is destroyed and its job runs again."""
    play.order("leak", name=f"{LANGUAGE}/pool/2", kind="Timeout")


@scenario()
def a_greenlet_exit_that_leaks_from_the_relay(play: Play) -> None:
    """It ends the actor alone."""
    play.order("leak", name="root/relay", kind="GreenletExit")


# -------------------------------------------------------------- handlers that block


@scenario()
def a_scheduler_whose_handler_blocks(play: Play) -> None:
    """For 3 s nothing new starts; what runs goes on, and nothing is lost."""
    play.order("block", name="root/scheduler", seconds=3)


@scenario()
def a_relay_whose_handler_blocks(play: Play) -> None:
    """For 3 s watchers see nothing new; then all, in order."""
    play.order("block", name="root/relay", seconds=3)


@scenario()
def a_container_whose_handler_blocks(play: Play) -> None:
    """For 3 s its job seems to stand still."""
    play.order("block", name=f"{LANGUAGE}/pool/1", seconds=3)


@scenario()
def a_process_that_stands_still(play: Play) -> None:
    """For 3 s nobody gets an answer; no limit takes this for a program's fault."""
    play.order("freeze", seconds=3)


# ------------------------------------------------------------------ again and again


def kill_again_and_again(play: Play, name: str) -> None:
    """Kill the actor 1,000 times; the last recoveries are as quick as the first."""
    play.order("allow_restarts")
    times = []
    for number in range(KILLS):
        times.append(play.order("crash_and_wait", name=name))
        if number % 20 == 0:
            play.finish_some(1)
    first, last = (sorted(part)[50] * 1e3 for part in (times[:100], times[-100:]))
    print(
        f"       recoveries, median: first 100 {first:.2f} ms, last 100 {last:.2f} ms"
    )
    play.expect(last < SLOWER * first + NOISE_MS, f"{last:.2f} ms after {first:.2f} ms")


@scenario("fresh", jobs=120)
def the_scheduler_is_killed_1000_times(play: Play) -> None:
    """The thousandth recovery is as quick as the first, and nothing grows."""
    kill_again_and_again(play, "root/scheduler")


@scenario("fresh", jobs=120)
def the_relay_is_killed_1000_times(play: Play) -> None:
    """The thousandth recovery is as quick as the first, and nothing grows."""
    kill_again_and_again(play, "root/relay")
