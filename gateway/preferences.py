"""The request headers that change how a job is accepted."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING, Any

from gateway.head import words_of
from gateway.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

_ID_BYTES = 16
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_WAIT = re.compile(r'wait\s*=\s*(?:"(\d{1,9})"|(\d{1,9}))\s*(?:;.*)?', re.IGNORECASE)
_EVENT_ID = re.compile(r"[0-9]{1,15}")


def wait_seconds(environ: Mapping[str, Any], wait_s_max: int) -> int:
    """Return how long `Prefer: wait=N` wants to wait; 0 when it does not.

    A preference that can't be understood is ignored, as RFC 7240 wants it.
    """
    for preference in words_of(environ.get("HTTP_PREFER", "")):
        match = _WAIT.fullmatch(preference)
        if match is not None:
            return min(int(match[1] or match[2]), wait_s_max)
    return 0


def idempotency_key(environ: Mapping[str, Any]) -> str | None:
    """Return the client's key for this request, if it gives one."""
    key = environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise Problem.invalid(
            ("Idempotency-Key", "must be 1 to 255 visible ASCII characters")
        )
    return str(key)


def make_id(secret: bytes, client: str, key: str | None) -> str:
    """Return an unguessable id, the same one whenever this client repeats its key."""
    if key is None:
        return secrets.token_urlsafe(_ID_BYTES)
    message = f"{client}\0{key}".encode()
    digest = hmac.digest(secret, message, hashlib.sha256)[:_ID_BYTES]
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def last_event_id(environ: Mapping[str, Any], query: Mapping[str, str]) -> int:
    """Return the event after which a stream is to go on; 0 for all of it."""
    in_link = _event_id("last_event_id", query.get("last_event_id", "0"))
    in_header = environ.get("HTTP_LAST_EVENT_ID")
    # A browser that comes back sends both, and the header is the newer one.
    return in_link if in_header is None else _event_id("Last-Event-ID", in_header)


def _event_id(name: str, given: str) -> int:
    if not _EVENT_ID.fullmatch(given):
        raise Problem.invalid((name, "must be a number"))
    return int(given)
