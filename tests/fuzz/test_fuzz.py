"""Ten seconds of hostile requests, with every check of the ten minutes.

`make fuzz MINUTES=10 SEED=1` is the long run.
"""

from __future__ import annotations

import pytest
from fuzzing import Fuzzing
from vitals import Victim

pytestmark = pytest.mark.docker

SEED = 2026
SECONDS = 10


def test_no_request_breaks_the_service_or_harms_the_innocent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Victim() as victim:
        report = Fuzzing(victim, SEED, SECONDS).run()
        assert victim.terminate() == 0
    assert report.is_good, capsys.readouterr().out + report.line()
    assert report.seen.requests > 500
    assert victim.containers() == []
