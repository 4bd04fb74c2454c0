"""Crowds in processes of their own: started together, heard together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

_HERE = Path(__file__).parent
_COMMAND = [sys.executable, "-m", "gevent.monkey", "--module", "crowd"]


class Crowds:
    """Some processes of `crowd.py`, each with its share of what is to be done."""

    def __init__(self, shares: list[dict[str, Any]]) -> None:
        self._processes = [self._start(share) for share in shares]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def wait_ready(self) -> None:
        for process in self._processes:
            said = self._hear(process)
            if said != "ready\n":
                raise AssertionError(f"a crowd said {said!r}")

    def tell(self) -> None:
        """Let all begin, or end."""
        for process in self._processes:
            self._say(process, "go")

    def results(self) -> list[Any]:
        """Wait until all have said what they have seen."""
        return [json.loads(self._hear(process)) for process in self._processes]

    def _start(self, share: dict[str, Any]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            _COMMAND,
            cwd=_HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._say(process, json.dumps(share))
        return process

    @staticmethod
    def _say(process: subprocess.Popen[str], line: str) -> None:
        assert process.stdin is not None
        process.stdin.write(line + "\n")
        process.stdin.flush()

    @staticmethod
    def _hear(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline()
