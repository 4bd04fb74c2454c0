"""Everything that a request can be refused for: codes that clients may rely on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONTENT_TYPE = "application/problem+json"

KINDS: Mapping[str, tuple[int, str]] = {
    "bad_request": (400, "The request can't be understood"),
    "invalid_json": (400, "The body is not valid JSON"),
    "foreign_origin": (403, "Another site's page may not ask"),
    "not_found": (404, "There is nothing here"),
    "unknown_job": (404, "There is no such job"),
    "method_not_allowed": (405, "This can't be done here"),
    "body_timeout": (408, "The body took too long"),
    "not_running": (409, "The job is not running"),
    "stdin_closed": (409, "The program's stdin is closed"),
    "expired": (410, "The job's result is gone"),
    "too_large": (413, "That is too large"),
    "uri_too_long": (414, "The address is too long"),
    "unsupported_media_type": (415, "This content type is not understood"),
    "unknown_host": (421, "The service is not called so"),
    "invalid": (422, "The request is not valid"),
    "idempotency_mismatch": (422, "The Idempotency-Key was used before"),
    "rate_limited": (429, "Too many requests"),
    "too_many_streams": (429, "Too many event streams are open"),
    "too_much_at_once": (429, "One client has too much here at once"),
    "internal": (500, "The service failed"),
    "answers_full": (503, "Too much is being read just now"),
    "broker_unavailable": (503, "No jobs can be taken just now"),
    "draining": (503, "The service is about to stop"),
    "queue_full": (503, "Too many jobs are waiting"),
    "too_many_watchers": (503, "Too many follow this job"),
    "too_busy": (503, "The service has too much at once"),
    "unconfirmed": (503, "Whether the job was taken is not known"),
    "unavailable": (503, "The service is not complete just now"),
}
"""Status and title of each code."""


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """A request that is refused, and what its client is told.

    `errors` has one entry a field: its name and what is wrong with it.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        self.status, self.title = KINDS[code]

    @classmethod
    def later(cls, code: str, detail: str, retry_after_s: int = 1) -> Problem:
        """Return a Problem that asks the client to come back."""
        return cls(code, detail, headers={"Retry-After": str(retry_after_s)})

    @classmethod
    def closing(cls, code: str, detail: str, retry_after_s: int = 0) -> Problem:
        """Return a Problem after which the connection can't be used again."""
        later = {"Retry-After": str(retry_after_s)} if retry_after_s else {}
        return cls(code, detail, headers={"Connection": "close", **later})

    @classmethod
    def invalid(cls, *errors: tuple[str, str]) -> Problem:
        """Return a Problem about these fields."""
        fields = ", ".join(field or "the body" for field, _ in errors)
        return cls("invalid", f"Please look at {fields}.", errors=errors)

    def document(self) -> bytes:
        """Return the body. ASCII, so that no text in it can be unencodable."""
        document: dict[str, Any] = {
            "type": f"urn:warmbox:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.errors:
            document["errors"] = [
                {"field": field, "message": message} for field, message in self.errors
            ]
        return json.dumps(document).encode()
