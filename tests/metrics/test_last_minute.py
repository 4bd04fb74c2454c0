"""The last minute: counts by second, waiting times within a fixed factor."""

from __future__ import annotations

from collections import Counter

import pytest

from metrics.last_minute import (
    BINS_MAX,
    FACTOR,
    SECONDS,
    LastMinute,
    bin_of,
    percentile,
    together,
)

NOW = 1000.0


def counted(*times: float, wait_ms: float | None = 1) -> LastMinute:
    minute = LastMinute()
    for at in times:
        minute.add(at, wait_ms, ours=False)
    return minute


def jobs(minute: LastMinute, now: float = NOW) -> list[int]:
    return [second.jobs for second in minute.seconds(now)]


def test_a_quiet_minute_has_sixty_empty_seconds() -> None:
    assert jobs(LastMinute()) == [0] * SECONDS


def test_jobs_are_counted_in_their_second() -> None:
    minute = counted(NOW - 60, NOW - 2.5, NOW - 2.1, NOW - 0.1)
    shown = jobs(minute)
    assert (shown[0], shown[-3], shown[-1]) == (1, 2, 1)
    assert sum(shown) == 4


def test_the_second_that_has_just_begun_is_not_shown_yet() -> None:
    minute = counted(NOW + 0.1)
    assert sum(jobs(minute, NOW + 0.5)) == 0
    assert jobs(minute, NOW + 1)[-1] == 1


def test_what_is_older_is_forgotten() -> None:
    minute = counted(*(NOW + n for n in range(200)))
    assert sum(jobs(minute, NOW + 200)) == SECONDS
    assert sum(jobs(minute, NOW + 300)) == 0


def test_our_own_errors_are_told_apart() -> None:
    minute = LastMinute()
    minute.add(NOW, None, ours=True)
    minute.add(NOW, 1, ours=False)
    second = minute.seconds(NOW + 1)[-1]
    assert (second.jobs, second.ours, second.waits.total()) == (2, 1, 1)


@pytest.mark.parametrize("wait_ms", [0, 0.01, 0.05, 0.3, 4, 100, 5000, 600_000])
def test_a_percentile_is_right_within_the_factor(wait_ms: float) -> None:
    found = percentile(Counter({bin_of(wait_ms): 3}), 0.5)
    assert found is not None
    assert wait_ms / FACTOR <= found + 0.05
    assert found <= max(wait_ms * FACTOR, 0.05) + 0.01


def test_a_percentile_counts_all() -> None:
    waits = Counter({bin_of(1): 90, bin_of(1000): 10})
    median, high = percentile(waits, 0.5), percentile(waits, 0.95)
    assert median is not None
    assert high is not None
    assert median < 2
    assert high > 800
    assert percentile(Counter(), 0.5) is None


def test_there_is_a_last_bin() -> None:
    assert bin_of(1e12) == BINS_MAX


def test_minutes_are_added_second_by_second() -> None:
    one, other = counted(NOW - 1), counted(NOW - 1, NOW - 2)
    total = together([one.seconds(NOW), other.seconds(NOW)])
    assert [second.jobs for second in total][-2:] == [1, 2]
    assert len(total) == SECONDS
    assert total[-1].waits.total() == 2
    assert sum(jobs(one)) == 1, "adding changes nothing"
