"""The record of how things stand: bounded, and nobody's but its owners'."""

from __future__ import annotations

from metrics.live import HAPPENINGS_MAX, REASON_CHARS_MAX, DownFact, Live


def test_what_happens_is_kept_in_order_and_bounded() -> None:
    live = Live()
    for _ in range(HAPPENINGS_MAX + 5):
        live.retired("root/a", "x" * 1000)
    assert len(live.happenings) == HAPPENINGS_MAX
    assert [one.number for one in live.happenings][:2] == [6, 7]
    assert len(live.happenings[0].reason) == REASON_CHARS_MAX


def test_a_restart_is_counted_and_ends_being_down() -> None:
    live = Live()
    live.down["root/a"] = DownFact("it broke", 1.0)
    live.restarted("root/a", "it broke", attempt=1, delay_s=0.5)
    live.restarted("root/a", "it broke", attempt=2, delay_s=0.5)
    assert live.down == {}
    assert live.restarts["root/a"] == 2


def test_what_is_below_goes_with_what_is_above() -> None:
    live = Live()
    for name in ("root/a", "root/a/b", "root/ab"):
        live.down[name] = DownFact("", 1.0)
    live.forget_below("root/a")
    assert set(live.down) == {"root/a", "root/ab"}


def test_who_is_abandoned_is_told_with_the_time_it_had() -> None:
    live = Live()
    live.abandoned("root/a", 5)
    (one,) = live.happenings
    assert (one.kind, one.delay_s) == ("abandoned", 5)
