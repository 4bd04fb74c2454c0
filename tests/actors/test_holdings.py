"""Who holds most, by whatever was counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.holdings import STEPS, Holdings, level_of, sizes_of
from actors.tombstones import Tombstones


def test_nobody_can_go_where_nobody_has_anything() -> None:
    holdings = Holdings()
    holdings.grow("ann", 5)
    assert holdings.first_to_go() is None
    assert holdings.total == 5


def test_the_oldest_of_whoever_holds_most_goes_first() -> None:
    holdings = Holdings()
    for client, key, size in [("ann", "a1", 10), ("bob", "b1", 9), ("bob", "b2", 9)]:
        holdings.grow(client, size)
        holdings.loosen(client, key)
    assert holdings.first_to_go() == "b1"
    holdings.drop("bob", "b1", 9)
    assert holdings.first_to_go() == "a1"
    holdings.drop("ann", "a1", 10)
    assert (holdings.first_to_go(), holdings.total) == ("b2", 9)


def test_what_is_in_use_cannot_go_and_neither_does_its_client_stand_for_it() -> None:
    holdings = Holdings()
    holdings.grow("ann", 1_000_000)
    holdings.grow("ann", 1)
    holdings.loosen("ann", "a1")
    holdings.grow("bob", 5)
    holdings.loosen("bob", "b1")
    assert holdings.first_to_go() == "a1"
    holdings.drop("ann", "a1", 1)
    assert holdings.first_to_go() == "b1"


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_levels_grow_with_sizes_and_tell_large_differences(a: int, b: int) -> None:
    small, large = sorted((a, b))
    assert level_of(small) <= level_of(large)
    if large > small * (1 + 2 / STEPS) + 1:
        assert level_of(small) < level_of(large)


@given(st.integers(0, 1 << 40))
def test_a_level_knows_its_sizes(size: int) -> None:
    least, below = sizes_of(level_of(size))
    assert least <= size < below
    assert level_of(least) == level_of(below - 1) < level_of(below)


changes = st.tuples(st.integers(0, 5), st.integers(1, 1000), st.booleans())


@given(st.lists(changes, max_size=60))
def test_whoever_gives_way_holds_about_as_much_as_anybody(
    steps: list[tuple[int, int, bool]],
) -> None:
    holdings = Holdings()
    kept: dict[str, tuple[str, int]] = {}
    sizes: dict[str, int] = {}
    for number, (who, size, goes) in enumerate(steps):
        client, key = f"c{who}", f"k{number}"
        holdings.grow(client, size)
        holdings.loosen(client, key)
        kept[key] = client, size
        sizes[client] = sizes.get(client, 0) + size
        if goes:
            first = holdings.first_to_go()
            assert first is not None
            owner, its = kept[first]
            assert level_of(sizes[owner]) == max(map(level_of, sizes.values()))
            assert first == next(one for one in kept if kept[one][0] == owner)
            holdings.drop(owner, first, its)
            del kept[first]
            sizes[owner] -= its
        assert holdings.total == sum(sizes.values())


def test_tombstones_are_bounded_in_number() -> None:
    stones = Tombstones(count_max=3)
    assert stones.add("hers", "ann", "abc") == []
    forgotten = [one for n in range(5) for one in stones.add(f"his {n}", "bob", "xyz")]
    assert forgotten == ["his 0", "his 1", "his 2"]
    hers = stones.get("hers")
    assert hers is not None
    assert hers.fingerprint == "abc"
    stones.discard("hers")
    stones.discard("hers")
    assert "hers" not in stones
