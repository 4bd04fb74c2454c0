"""Whose fault it was, as HTTP: every refusal is one problem document (RFC 9457)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import bottle

from gateway.problems import CONTENT_TYPE, KINDS, Problem
from metrics import instruments

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

_HEADERS = {
    "Content-Type": CONTENT_TYPE,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}

# What Bottle refuses by itself, before any route of ours is asked.
_CODE_OF_STATUS = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
}


def to_response(fault: Exception) -> Any:
    """Map any fault to what the client may see; the only place that does so."""
    problem = fault if isinstance(fault, Problem) else _internal(fault)
    instruments.rejected_total.labels(problem.code).inc()
    return bottle.HTTPResponse(
        problem.document(), problem.status, {**_HEADERS, **problem.headers}
    )


def guard(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Turn whatever a route raises into its response (a Bottle plugin)."""

    def guarded(**args: str) -> Any:
        try:
            return callback(**args)
        except Exception as fault:  # noqa: BLE001 - to_response logs what is ours
            return to_response(fault)

    return guarded


def error_page(error: Any) -> Any:
    """Say in a problem document what Bottle found wrong by itself."""
    response = to_response(_of_bottle(error))
    # Bottle keeps it in a local variable, which its traceback holds: a cycle.
    error.__traceback__ = None
    bottle.response.status = response.status_code
    for name, value in response.headers.items():
        bottle.response.headers[name] = value
    return response.body


def _internal(fault: Exception) -> Problem:
    _log.error("a request failed", exc_info=fault)
    return Problem("internal", "This is our fault, and it has been logged.")


def _of_bottle(error: Any) -> Exception:
    code = _CODE_OF_STATUS.get(error.status_code)
    if code is None:
        return error.exception or RuntimeError(error.body)
    problem = Problem(code, f"{KINDS[code][1]}.")
    allowed = error.headers.get("Allow")
    if allowed:  # Bottle answers HEAD wherever it answers GET, and does not say so
        problem.headers["Allow"] = allowed.replace("GET", "GET,HEAD")
    return problem
