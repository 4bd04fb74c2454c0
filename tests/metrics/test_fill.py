"""How full a bound is, as it is shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from metrics.fill import STEP, Fill
from metrics.instruments import REGISTRY


@given(st.lists(st.floats(0, 1) | st.floats(0, 3 * STEP), min_size=1))
def test_what_is_shown_is_true_within_a_step(fills: list[float]) -> None:
    shown = Fill("a test's")
    for fill in [*fills, 0]:
        shown.show(fill)
        assert abs(_value() - fill) < STEP
    assert _value() == 0


def _value() -> float:
    bound = {"bound": "a test's"}
    value = REGISTRY.get_sample_value("warmbox_bound_fill_ratio", bound)
    assert value is not None
    return value
