"""Answers to questions: values, exceptions, and none in time."""

from __future__ import annotations

import gevent
import pykka
import pytest

from actors.answer import Answer


def test_a_value_ends_the_wait() -> None:
    answer = Answer()
    gevent.spawn(answer.set, 7)
    assert answer.get(timeout=5) == 7
    assert answer.get(timeout=0) == 7


def test_an_exception_is_raised_where_it_is_waited_for() -> None:
    answer = Answer()
    try:
        next(iter([]))
    except StopIteration:
        answer.set_exception()
    with pytest.raises(StopIteration):
        answer.get(timeout=5)


def test_a_given_exception_is_raised() -> None:
    answer = Answer()
    error = ValueError("given")
    answer.set_exception((ValueError, error, None))
    with pytest.raises(ValueError, match="given"):
        answer.get()


def test_no_answer_in_time_is_pykkas_timeout() -> None:
    with pytest.raises(pykka.Timeout):
        Answer().get(timeout=0.01)


def test_somebody_elses_timeout_is_left_to_him() -> None:
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
        Answer().get(timeout=60)


def test_a_hook_answers_instead() -> None:
    answer = Answer()
    answer.set_get_hook(lambda timeout: (timeout, "hooked"))
    assert answer.get(timeout=3) == (3, "hooked")
