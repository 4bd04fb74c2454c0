"""Who asks, and how much they may: the client's key and its token bucket."""

from __future__ import annotations

import ipaddress
import logging
import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from gevent.event import AsyncResult

from actors.deadlines import DEADLINES
from actors.messages import TakeToken, TokenReply
from gateway.ports import BUCKETS, Directory
from gateway.problems import Problem
from metrics import instruments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.config import IpNetwork

_log = logging.getLogger(__name__)

_BUCKET_TIMEOUT_S = 5.0
"""With a thousand new clients at once a bucket answers late, but it does answer."""
_IPV6_PREFIX = 64
_PROXIES_MAX = 16
"""One behind the other; what they were told beyond that is no address."""


def client_key(environ: Mapping[str, Any], proxies: Sequence[IpNetwork] = ()) -> str:
    """Return whose turn a request takes: its address, or its IPv6 network.

    One host easily has a whole /64 of addresses. A header that claims another address
    is believed as far as a proxy of ours has written it.
    """
    if not proxies:
        return host_of(str(environ.get("REMOTE_ADDR", "")))
    return host_of(_beyond_proxies(environ, proxies))


def host_of(address: str) -> str:
    """Return by what one host is known: its address, or its IPv6 network."""
    if ":" not in address:
        return address
    try:
        return _network(address)
    except ValueError:
        return address


def _beyond_proxies(environ: Mapping[str, Any], proxies: Sequence[IpNetwork]) -> str:
    """Return the first address, from our side, that is no proxy of ours.

    Each proxy appends whom it has seen; what stands left of that, anybody may have
    written. What is no address ends the walk at the one before it.
    """
    address = str(environ.get("REMOTE_ADDR", ""))
    claimed = str(environ.get("HTTP_X_FORWARDED_FOR", "")).rsplit(",", _PROXIES_MAX)
    while claimed and is_proxy(address, proxies):
        before = claimed.pop().strip()
        if _parsed(before) is None:
            break
        address = before
    return address


def is_proxy(address: str, proxies: Sequence[IpNetwork]) -> bool:
    """Tell whether this is the address of a proxy of ours."""
    found = _parsed(address) if proxies else None
    return found is not None and any(found in network for network in proxies)


def is_local(address: str) -> bool:
    """Tell whether the client is a program of this host."""
    found = _parsed(address)
    return found is not None and found.is_loopback


@lru_cache(maxsize=1024)
def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def take_token(
    directory: Directory, client: str, cost: float = 1, policy: str = "default"
) -> dict[str, str]:
    """Take tokens; return the headers that tell the client how it stands.

    Raises the Problem when the bucket is empty. When there is nobody to ask, the
    request passes: a missing limit is better than a missing service.
    """
    answer = _ask(directory, client, cost)
    if answer is None:
        _log.warning("the rate limit does not answer; a request passes without")
        return {}
    headers = _headers(answer, policy)
    if answer.granted:
        return headers
    instruments.rate_limited_total.inc()
    wait_s = math.ceil(answer.retry_after_s) or 1
    raise Problem(
        "rate_limited",
        f"Too many requests. Come back in {wait_s} s.",
        headers={**headers, "Retry-After": str(wait_s)},
    )


def _ask(directory: Directory, client: str, cost: float) -> TokenReply | None:
    answer: AsyncResult[TokenReply] = AsyncResult()
    if not directory.tell(BUCKETS, TakeToken(client, answer.set, cost)):
        return None
    DEADLINES.within(answer, _BUCKET_TIMEOUT_S)
    return answer.value


def _headers(answer: TokenReply, policy: str) -> dict[str, str]:
    return {
        "RateLimit-Policy": f'"{policy}";q={answer.limit}',
        "RateLimit": f'"{policy}";r={answer.remaining};t={math.ceil(answer.reset_s)}',
    }


def _network(address: str) -> str:
    parsed = ipaddress.IPv6Address(address.partition("%")[0])
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, _IPV6_PREFIX), strict=False))
