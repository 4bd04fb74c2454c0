"""The broker setting: URLs of RabbitMQ's nodes, with passwords nobody is shown."""

from __future__ import annotations

import hashlib
import hmac
import logging
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from supervisors.settings_model import Settings

log = logging.getLogger("warmbox.settings")

EMBEDDED = "embedded"
HIDDEN = "***"
WEAK_PASSWORD = "guest"  # noqa: S105 - RabbitMQ's own default, known to everybody
_GUESSABLE = (
    "comes from RabbitMQ's well-known password: whoever knows a client's address and "
    "Idempotency-Key can tell its job's id"
)
_MEND = "set WARMBOX_SECRET=$(openssl rand -hex 16), the same on all gateways"
_SCHEMES = frozenset({"amqp", "amqps"})


def split_urls(text: str) -> tuple[str, ...]:
    """Return the URLs of a comma separated list."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def check_urls(text: str) -> None:
    """Raise a ValueError, which repeats no part of it, if these are no such URLs."""
    urls = split_urls(text)
    if not urls:
        raise ValueError(f"should be `{EMBEDDED}` or amqp:// URLs")
    for number, url in enumerate(urls, start=1):
        reason = _fault(url)
        if reason:
            raise ValueError(f"URL {number} {reason}")


def _fault(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "has a host or a port that can't be understood"
    if parts.scheme not in _SCHEMES:
        return f"should begin with amqp:// or amqps://, or all be `{EMBEDDED}`"
    return "" if host else "names no host"


def masked(text: str) -> str:
    """Return the setting without its passwords."""
    urls = split_urls(text)
    if any(url.partition("://")[0] not in _SCHEMES for url in urls):
        # who knows what was meant: a password with a comma in it looks like this
        return HIDDEN if "@" in text else text
    return ",".join(map(_masked, urls))


def _masked(url: str) -> str:
    scheme, _, rest = url.partition("://")
    user_info, at, place = rest.rpartition("@")
    user, colon, _ = user_info.partition(":")
    return f"{scheme}://{user}{colon}{HIDDEN if colon else ''}{at}{place}"


def judge_secret(settings: Settings) -> tuple[bool, str, str]:
    """Tell whether nobody can guess job ids, the evidence, and what would mend it."""
    weak = not settings.secret and _password(settings) == WEAK_PASSWORD
    return not weak, _GUESSABLE if weak else "is known to the gateways alone", _MEND


def warn_of_weak_secret(settings: Settings) -> None:
    """Say once that job ids may be guessed."""
    if settings.broker_urls and settings.role != "worker":
        ok, evidence, mend = judge_secret(settings)
        if not ok:
            log.warning("the secret %s: %s", evidence, mend)


def secret_of(settings: Settings) -> bytes | None:
    """Return what makes an idempotency key the same job's id on all gateways.

    The setting `secret`, else what all gateways of one broker have in common and
    nobody else: the password in their first URL. None when there is no other gateway.
    """
    if settings.secret:
        return settings.secret.encode()
    if not settings.broker_urls:
        return None
    password = _password(settings).encode()
    return hmac.digest(password, b"warmbox idempotency keys", hashlib.sha256)


def _password(settings: Settings) -> str:
    # without one in the URL, RabbitMQ's client takes the default
    return unquote(urlsplit(settings.broker_urls[0]).password or WEAK_PASSWORD)
