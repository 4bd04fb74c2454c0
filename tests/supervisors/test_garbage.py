"""When garbage is collected."""

from __future__ import annotations

import pytest

from supervisors.garbage import GROWTH_MAX, OBJECTS_WORTH_IT, Since, is_due

MANY = OBJECTS_WORTH_IT + 1


@pytest.mark.parametrize(
    ("since", "busy", "took_s", "due"),
    [
        (Since(1, MANY, 0, 0), 0.05, 0.2, True),
        (Since(1, MANY, 0, 0), 0.5, 0.2, False),
        (Since(1, OBJECTS_WORTH_IT, GROWTH_MAX, 0), 0.0, 0.2, False),
        (Since(1, 0, GROWTH_MAX + 1, 0), 0.5, 0.2, True),
        (Since(1, 0, -GROWTH_MAX, 0), 0.0, 0.2, False),
        (Since(1, 0, 0, 1), 0.5, 0.0, True),
        (Since(1, 0, 0, 1), 0.5, 0.2, False),
        (Since(5, 0, 0, 1), 0.5, 0.2, True),
    ],
)
def test_at_rest_or_after_a_restart_or_when_memory_has_grown(
    since: Since, busy: float, took_s: float, due: bool
) -> None:
    assert is_due(since, busy, took_s) is due
