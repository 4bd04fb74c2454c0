"""Where a program's stdin comes from: known bytes, or a stream that goes on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import gevent
from gevent.select import select

from gateway.client import ClientError, JobEndedError, ServiceAwayError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.client import Client

PIECE_BYTES = 65536
RETRIES_MAX = 5
"""In a row, of a piece that the service can't take just now."""


class Known:
    """Bytes that are all there."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def read(self) -> bytes:
        """Return what comes next; nothing at its end."""
        piece, self._rest = self._rest[:PIECE_BYTES], self._rest[PIECE_BYTES:]
        return piece


class Descriptor:
    """An open descriptor: a terminal on which somebody types, a pipe, a file."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self) -> bytes:
        """Wait for what comes next; nothing at its end.

        Not by a thread, which could not be ended when the program does; and without
        O_NONBLOCK, which a terminal shares with the shell behind us.
        """
        try:
            os.fstat(self._fd)  # else the event loop would wait for ever
            select([self._fd], [], [])
            return os.read(self._fd, PIECE_BYTES)
        except (OSError, ValueError):
            return b""  # it is not open, or no longer


def feed(
    client: Client,
    job_id: str,
    source: Descriptor | Known,
    say: Callable[[str], None],
    pause: Callable[[float], None] = gevent.sleep,
) -> None:
    """Hand all of it to the job, then its end. A job that ends meanwhile ends this."""
    try:
        while data := source.read():
            _send(client, job_id, data, pause)
        _send(client, job_id, b"", pause, end=True)
    except JobEndedError:
        return  # it read as much as it wanted
    except ClientError as error:
        say(f"stdin is cut off: {error}")


def _send(
    client: Client,
    job_id: str,
    data: bytes,
    pause: Callable[[float], None],
    *,
    end: bool = False,
) -> None:
    for attempt in range(RETRIES_MAX):
        try:
            client.send_stdin(job_id, data, end=end)
        except ServiceAwayError as error:
            if attempt == RETRIES_MAX - 1:
                raise
            pause(error.retry_after_s)
        else:
            return
