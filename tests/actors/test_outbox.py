"""The outbox: everything arrives, in its order, whatever happens on the way."""

from __future__ import annotations

from actors.broker.outbox import ACCEPTED_MAX, CONTROL_BYTES_MAX, Outbox, Parcel
from actors.broker.seen import SPREAD_MAX, WINDOW, Seen, is_new

EVENTS = ("", "events")


def take_all(outbox: Outbox) -> list[Parcel]:
    taken = []
    while (parcel := outbox.take()) is not None:
        taken.append(parcel)
    return taken


def test_parcels_leave_in_order_and_once() -> None:
    outbox = Outbox("me")
    for body in (b"a", b"b"):
        outbox.add("events", EVENTS, body)
    taken = take_all(outbox)
    assert [(one.seq, one.body) for one in taken] == [(1, b"a"), (2, b"b")]
    assert outbox.take() is None
    assert not outbox.is_empty
    for parcel in taken:
        outbox.confirm(parcel)
    assert outbox.is_empty


def test_a_new_connection_begins_with_the_oldest_that_is_not_confirmed() -> None:
    outbox = Outbox()
    for body in (b"a", b"b", b"c"):
        outbox.add("events", EVENTS, body)
    first, second = outbox.take(), outbox.take()
    assert first is not None
    assert second is not None
    outbox.confirm(first)
    outbox.rewind()
    outbox.add("events", EVENTS, b"d")
    taken = take_all(outbox)
    assert [one.body for one in taken] == [b"b", b"c", b"d"]
    assert taken[0].seq == second.seq


def test_what_is_sent_is_never_far_from_the_oldest() -> None:
    outbox = Outbox()
    for _ in range(SPREAD_MAX + 5):
        outbox.add("events", EVENTS, b"")
    taken = take_all(outbox)
    assert len(taken) == SPREAD_MAX
    for parcel in taken[1:]:
        outbox.confirm(parcel)
    assert outbox.take() is None
    outbox.confirm(taken[0])
    assert len(take_all(outbox)) == 5


def test_controls_are_bounded_and_make_room_when_they_arrive() -> None:
    outbox = Outbox()
    half = bytes(CONTROL_BYTES_MAX // 2)
    assert outbox.add_control("stdin", "control", half)
    assert outbox.add_control("stdin", "control", half)
    assert not outbox.add_control("stdin", "control", b"x")
    outbox.add("events", EVENTS, half)
    for parcel in take_all(outbox):
        outbox.confirm(parcel)
        outbox.confirm(parcel)
    assert outbox.add_control("stdin", "control", bytes(CONTROL_BYTES_MAX))


def test_publishers_have_names_of_their_own() -> None:
    assert Outbox().publisher != Outbox().publisher


def test_accepted_jobs_are_remembered_up_to_a_bound() -> None:
    outbox = Outbox()
    for number in range(ACCEPTED_MAX + 1):
        outbox.remember(f"j{number}", "abc")
    assert outbox.fingerprint("j0") is None
    assert outbox.fingerprint("j1") == "abc"


# ----------------------------------------------------------------------------- seen


def test_a_number_is_new_once_for_each_publisher() -> None:
    seen = Seen()
    assert [seen.is_new("a", 1), seen.is_new("a", 1), seen.is_new("b", 1)] == [
        True,
        False,
        True,
    ]


def test_late_numbers_within_the_window_are_new() -> None:
    seen = Seen()
    assert seen.is_new("a", 10)
    assert seen.is_new("a", 3)
    assert not seen.is_new("a", 3)


def test_what_is_far_back_is_known_and_the_memory_is_bounded() -> None:
    seen = Seen()
    for seq in range(1, 5 * WINDOW):
        assert seen.is_new("a", seq)
    assert not any(seen.is_new("a", seq) for seq in range(1, 5 * WINDOW))
    assert len(seen._publishers["a"]._seqs) <= 2 * WINDOW + 1  # noqa: SLF001


def test_a_replay_of_all_that_can_be_repeated_is_known() -> None:
    seen = Seen()
    newest = 10 * WINDOW
    for seq in range(newest - SPREAD_MAX, newest + 1):
        seen.is_new("a", seq)
    repeated = range(newest - SPREAD_MAX, newest + 1)
    assert not any(seen.is_new("a", seq) for seq in repeated)


def test_what_nobody_has_numbered_is_always_new() -> None:
    seen = Seen()
    for headers in ({}, {"publisher": "a"}, {"publisher": 3, "seq": 1}):
        assert is_new(seen, headers)
        assert is_new(seen, headers)
