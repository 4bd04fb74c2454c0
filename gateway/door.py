"""Which names the service answers to, and which web pages may ask.

A browser carries requests of any page to any address, also to one that only its visitor
can reach. A page whose own name resolves to this service (DNS rebinding) is told by the
`Host`, every other foreign page by what browsers say of it. Addresses need no list: to
rebind takes a name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import bottle

from gateway.faults import to_response
from gateway.problems import Problem

if TYPE_CHECKING:
    from gateway.config import GatewayConfig

Environ = Mapping[str, Any]

ANY = "*"
_OPEN_PATHS = {"/healthz"}
"""Says nothing, and is asked by names that nobody has listed."""
_SHOWN_CHARS_MAX = 100
_HOSTS_KEPT = 256
"""Of so many hosts that were asked for it is kept whether they are known."""
_HOST_CHARS_MAX = 300
"""Of longer ones it isn't: no name has more than 253 (RFC 1035)."""
_LOADS = {"GET", "HEAD"}
_EXPOSED = "Location, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Prefer"
    ),
    "Access-Control-Max-Age": "600",
}


def host_name(authority: str) -> str:
    """Return the host without its port, brackets and a last dot, in lower case."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.partition(":")[0].rstrip(".").lower()


class Door:
    """Lets requests in, before anything else of them is looked at."""

    def __init__(self, config: GatewayConfig) -> None:
        own = {"localhost", host_name(config.host)}
        self._hosts = own | {name.lower() for name in config.hosts}
        self._is_known = lru_cache(_HOSTS_KEPT)(self._knows)
        self._origins = {origin.lower().rstrip("/") for origin in config.origins}

    def guard(self, app: Any) -> None:
        """Stand before all routes of the application."""
        app.add_hook("before_request", self._let_in)
        if self._origins:
            app.add_hook("after_request", self._mark)

    def check(self, environ: Environ) -> None:
        """Raise the Problem of a request that may not come in."""
        if environ["PATH_INFO"] in _OPEN_PATHS:
            return
        # Without a Host: HTTP/1.0, which no browser speaks.
        authority = str(environ.get("HTTP_HOST", ""))
        is_short = len(authority) <= _HOST_CHARS_MAX
        knows = self._is_known if is_short else self._knows
        if authority and not knows(authority):
            raise _unknown(authority)
        if _is_of_a_page(environ):
            self._check_origin(environ)

    def _knows(self, authority: str) -> bool:
        """Tell whether it is an address or one of our names."""
        name = host_name(authority)
        if name in self._hosts or ANY in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _check_origin(self, environ: Environ) -> None:
        if self._is_foreign(environ) and not self._allowed(environ):
            raise Problem(
                "foreign_origin",
                "A web page of another origin asks: the setting http.origins lists "
                "those that may.",
            )

    def _is_foreign(self, environ: Environ) -> bool:
        site = environ.get("HTTP_SEC_FETCH_SITE")
        if site is not None and _is_visit(environ):
            return False  # somebody follows a link
        if site is not None:
            return site not in {"same-origin", "none"}
        origin = environ.get("HTTP_ORIGIN")
        host = str(environ.get("HTTP_HOST", "")).lower()
        return origin is not None and _authority(str(origin)) != host

    def _allowed(self, environ: Environ) -> str:
        """Return the origin, if it is one that may ask."""
        origin = str(environ.get("HTTP_ORIGIN", ""))
        is_listed = origin.lower() in self._origins or ANY in self._origins
        return origin if is_listed else ""

    def _let_in(self) -> None:
        environ = bottle.request.environ
        try:
            self.check(environ)
        except Problem as problem:
            raise to_response(problem) from None
        if self._origins and _is_preflight(environ) and self._allowed(environ):
            raise bottle.HTTPResponse(status=204, headers=_PREFLIGHT)

    def _mark(self) -> None:
        """Tell the browser that the page may read the answer."""
        bottle.response.add_header("Vary", "Origin")
        origin = self._allowed(bottle.request.environ)
        if origin:
            bottle.response.headers["Access-Control-Allow-Origin"] = origin
            bottle.response.headers["Access-Control-Expose-Headers"] = _EXPOSED


def _unknown(authority: str) -> Problem:
    shown = host_name(authority)[:_SHOWN_CHARS_MAX]
    return Problem(
        "unknown_host",
        f"This service does not know that it is called {shown!r}: the setting "
        "http.hosts lists its names.",
    )


def _is_of_a_page(environ: Environ) -> bool:
    """Tell whether a browser says which page it asks for: most clients are none."""
    return "HTTP_ORIGIN" in environ or "HTTP_SEC_FETCH_SITE" in environ


def _authority(origin: str) -> str:
    """Return the host and port of an origin; empty for what is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _is_preflight(environ: Environ) -> bool:
    """Tell whether a browser asks what a page of another origin may do."""
    asks = "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
    return asks and environ["REQUEST_METHOD"] == "OPTIONS"


def _is_visit(environ: Environ) -> bool:
    """Tell whether the answer is to be shown as a page of its own."""
    return (
        environ["REQUEST_METHOD"] in _LOADS
        and environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
        and environ.get("HTTP_SEC_FETCH_DEST") == "document"
    )
