"""Who asks, and how much they may: the client's key and its token bucket."""

from __future__ import annotations

import ipaddress
import logging
import math
from typing import TYPE_CHECKING, Any

from gevent.event import AsyncResult

from actors.messages import TakeToken, TokenReply
from gateway.ports import BUCKETS, Directory
from gateway.problems import Problem
from metrics import instruments

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = logging.getLogger(__name__)

_BUCKET_TIMEOUT_S = 1.0
_IPV6_PREFIX = 64


def client_key(environ: Mapping[str, Any]) -> str:
    """Return whose turn a request takes: its address, or its IPv6 network.

    One host easily has a whole /64 of addresses. Headers that claim another address
    are not believed.
    """
    address = str(environ.get("REMOTE_ADDR", ""))
    if ":" not in address:
        return address
    try:
        return _network(address)
    except ValueError:
        return address


def take_token(directory: Directory, client: str) -> dict[str, str]:
    """Take one token; return the headers that tell the client how it stands.

    Raises the Problem when the bucket is empty. When there is nobody to ask, the
    request passes: a missing limit is better than a missing service.
    """
    answer = _ask(directory, client)
    if answer is None:
        _log.warning("the rate limit does not answer; a request passes without")
        return {}
    headers = _headers(answer)
    if answer.granted:
        return headers
    instruments.rate_limited_total.inc()
    wait_s = math.ceil(answer.retry_after_s) or 1
    raise Problem(
        "rate_limited",
        f"Too many requests. Come back in {wait_s} s.",
        headers={**headers, "Retry-After": str(wait_s)},
    )


def _ask(directory: Directory, client: str) -> TokenReply | None:
    answer: AsyncResult[TokenReply] = AsyncResult()
    if not directory.tell(BUCKETS, TakeToken(client, answer.set)):
        return None
    return answer.wait(_BUCKET_TIMEOUT_S)


def _headers(answer: TokenReply) -> dict[str, str]:
    return {
        "RateLimit-Policy": f'"default";q={answer.limit}',
        "RateLimit": f'"default";r={answer.remaining};t={math.ceil(answer.reset_s)}',
    }


def _network(address: str) -> str:
    parsed = ipaddress.IPv6Address(address.partition("%")[0])
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, _IPV6_PREFIX), strict=False))
