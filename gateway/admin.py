"""Who may see the inside: whoever has the key, and whoever sits at this machine."""

from __future__ import annotations

import hmac
import ipaddress
from typing import TYPE_CHECKING, Any

from gateway.door import host_name
from gateway.problems import KINDS, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEME = "bearer "
_PROXY_HEADERS = (
    "HTTP_CF_CONNECTING_IP",
    "HTTP_CLIENT_IP",
    "HTTP_FORWARDED",
    "HTTP_TRUE_CLIENT_IP",
    "HTTP_VIA",
    "HTTP_X_CLIENT_IP",
    "HTTP_X_FORWARDED",
    "HTTP_X_REAL_IP",
)
"""Beginnings of what proxies add: who asks through one on this machine is not local."""


def require_admin(
    environ: Mapping[str, Any], admin_key: str, *, is_behind: bool = False
) -> None:
    """Raise what an unknown path gets, unless an administrator asks.

    `admin_key` empty means that there is no key to have; else nobody gets in without.
    is_behind: whether a proxy stands before the service: one on this machine that adds
    no header can't be told from who sits here, so that nobody is local then.
    """
    trusts_locals = not (admin_key or is_behind)
    if not (_has_key(environ, admin_key) or (trusts_locals and _is_local(environ))):
        raise Problem("not_found", f"{KINDS['not_found'][1]}.")


def _has_key(environ: Mapping[str, Any], admin_key: str) -> bool:
    given = environ.get("HTTP_AUTHORIZATION", "")
    if not admin_key or given[: len(_SCHEME)].lower() != _SCHEME:
        return False
    key = given[len(_SCHEME) :].strip().encode("latin-1")
    return hmac.compare_digest(key, admin_key.encode())


def _is_local(environ: Mapping[str, Any]) -> bool:
    """Tell whether client and service are on one machine, with nobody in between.

    The name that was asked for counts too: a web page can have its own name resolve to
    this machine, and would be told what its visitor may see.
    """
    return (
        _is_loopback(str(environ.get("REMOTE_ADDR", "")))
        and _is_loopback(host_name(str(environ.get("HTTP_HOST", ""))))
        and "HTTP_ORIGIN" not in environ  # a page of another site that may ask
        # as nginx asks, with the name of whom it asks and no header of its own
        and environ.get("SERVER_PROTOCOL") != "HTTP/1.0"
        and not any(name.startswith(_PROXY_HEADERS) for name in environ)
    )


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
