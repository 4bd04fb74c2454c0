"""What is told of a job's client."""

from __future__ import annotations

from samples import make_job

from actors.acceptance import CLIENT_BYTES, acceptance


def test_clients_are_told_apart_by_what_is_no_address() -> None:
    ann, bob = (acceptance(make_job(client=one)) for one in ("10.0.0.1", "10.0.0.2"))
    assert ann.client != bob.client
    assert "10.0.0" not in ann.client
    assert acceptance(make_job("j2", client="10.0.0.1")).client == ann.client


def test_however_long_a_clients_name_is_what_is_told_is_short() -> None:
    assert len(acceptance(make_job(client="x" * 10_000)).client) == 2 * CLIENT_BYTES


def test_jobs_of_nobody_are_one_clients() -> None:
    assert acceptance(make_job(client="")).client == ""
