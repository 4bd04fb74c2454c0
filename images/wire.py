"""The framed protocol between a container's runner and the host, without I/O.

A frame is a kind (one byte), a length (four bytes, big-endian) and that many bytes
of payload. Both ends use this file; inside the images it stands beside runner.py.
Bytes in, frames out: reading and writing are the caller's.
"""

from __future__ import annotations

import struct

_HEAD = struct.Struct(">BI")

FRAME_BYTES_MAX = 24 * 1024 * 1024
"""The longest payload: a whole job with its files and stdin."""

REPLY_BYTES_MAX = 256 * 1024
"""The longest payload that a runner sends."""

# Host to runner. Payloads: JSON for JOB, raw bytes for STDIN, none for the others.
JOB = 1
STDIN = 2
STDIN_END = 3
CANCEL = 4
SWITCH = 5
"""What follows goes through the socket that the first READY spoke of, both ways."""

GO = 6
"""The answer to NEXT: go on with the job's next step."""

# Runner to host. Payloads: raw bytes for the output kinds, JSON for the others.
READY = 16
PHASE = 17
STDOUT = 18
STDERR = 19
DONE = 20
DIRTY = 21
NEXT = 22
"""A step that succeeded is over, and the next may have another amount of memory. The
runner waits for GO."""

HOST_KINDS = frozenset((JOB, STDIN, STDIN_END, CANCEL, SWITCH, GO))
RUNNER_KINDS = frozenset((READY, PHASE, STDOUT, STDERR, DONE, DIRTY, NEXT))


class ProtocolError(Exception):
    """The other end sent what is no frame of its own. The stream is unusable."""


def encode(kind: int, payload: bytes = b"") -> bytes:
    """Return the frame's bytes."""
    return _HEAD.pack(kind, len(payload)) + payload


def pack_job(header: bytes, blobs: list[bytes]) -> bytes:
    """Return a JOB payload: a JSON header, then the blobs that it gives lengths of."""
    return struct.pack(">I", len(header)) + header + b"".join(blobs)


def unpack_job(payload: bytes) -> tuple[bytes, bytes]:
    """Split a JOB payload into its JSON header and the blobs, still joined."""
    if len(payload) < 4:  # noqa: PLR2004 - the length field itself
        raise ProtocolError("a job without a header")
    (length,) = struct.unpack_from(">I", payload)
    if length > len(payload) - 4:
        raise ProtocolError("a job's header runs past its end")
    return payload[4 : 4 + length], payload[4 + length :]


class Decoder:
    """Turns received bytes into frames, whatever their cut.

    kinds: the frame kinds that the other end may send.
    bytes_max: the longest payload accepted.
    """

    def __init__(self, kinds: frozenset[int], bytes_max: int) -> None:
        self._kinds = kinds
        self._bytes_max = bytes_max
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return the frames that `data` completes, in order.

        Raises ProtocolError for an unknown kind or an oversized frame.
        """
        self._buffer += data
        frames = []
        start = 0
        while len(self._buffer) - start >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._buffer, start)
            if kind not in self._kinds:
                raise ProtocolError(f"unknown frame kind {kind}")
            if length > self._bytes_max:
                raise ProtocolError(f"a frame of {length} bytes")
            end = start + _HEAD.size + length
            if len(self._buffer) < end:
                break
            # A view, or else each payload is copied twice.
            view = memoryview(self._buffer)[start + _HEAD.size : end]
            frames.append((kind, bytes(view)))
            view.release()
            start = end
        del self._buffer[:start]
        return frames
