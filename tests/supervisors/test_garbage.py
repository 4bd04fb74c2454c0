"""When garbage is collected."""

from __future__ import annotations

import pytest

from supervisors.garbage import GROWTH_MAX, OBJECTS_WORTH_IT, is_due


@pytest.mark.parametrize(
    ("objects", "busy", "growth", "due"),
    [
        (OBJECTS_WORTH_IT + 1, 0.05, 0, True),
        (OBJECTS_WORTH_IT + 1, 0.5, 0, False),
        (OBJECTS_WORTH_IT + 1, 0.5, GROWTH_MAX + 1, True),
        (OBJECTS_WORTH_IT, 0.0, GROWTH_MAX, False),
        (0, 0.0, -GROWTH_MAX, False),
    ],
)
def test_at_rest_or_when_memory_has_grown(
    objects: int, busy: float, growth: int, due: bool
) -> None:
    assert is_due(objects, busy, growth) is due
