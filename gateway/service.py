"""How the service stands: languages, health, readiness, metrics."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import bottle
import gevent
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from actors.messages import DescribePool, PoolStatus
from gateway.ports import Directory, pool_of
from gateway.replies import reply
from metrics.instruments import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.config import GatewayConfig
    from images.catalog import Catalog

_POOL_TIMEOUT_S = 0.5


class Service:
    """Answers that are not about one job."""

    def __init__(
        self,
        config: GatewayConfig,
        directory: Directory,
        catalog: Catalog,
        served: Mapping[str, str],
    ) -> None:
        self._config = config
        self._directory = directory
        self._catalog = catalog
        self._served = served

    def languages(self) -> Any:
        """Answer `GET /v1/languages`."""
        pools = self._pools()
        caps = asdict(self._config.caps)
        documents = [self._language(name, pools[name]) for name in self._served]
        return reply({"languages": documents, "caps": caps})

    def health(self) -> Any:
        """Answer `GET /healthz`: this process answers."""
        return reply({"status": "ok"})

    def readiness(self) -> Any:
        """Answer `GET /readyz`: whether a job would run, and what is missing."""
        broker_up = bool(REGISTRY.get_sample_value("warmbox_broker_up"))
        pools = self._pools()
        able = [name for name, pool in pools.items() if _is_able(pool)]
        document = {
            "ready": broker_up and bool(able),
            "broker": "up" if broker_up else "down",
            "languages": {name: _pool(pool) for name, pool in pools.items()},
            "degraded": [name for name in pools if name not in able],
        }
        return reply(document, 200 if document["ready"] else 503)

    def metrics(self) -> Any:
        """Answer `GET /metrics`."""
        headers = {"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"}
        return bottle.HTTPResponse(generate_latest(REGISTRY), 200, headers)

    def _language(self, name: str, pool: PoolStatus | None) -> dict[str, Any]:
        language = self._catalog.languages[name]
        return {
            "name": name,
            "title": language.title,
            "aliases": list(language.aliases),
            "version": self._served[name],
            "main": language.main,
            "hello": language.hello.source,
            "limits": asdict(language.limits),
            "ready": _is_able(pool),
        }

    def _pools(self) -> dict[str, PoolStatus | None]:
        # All at once, so that one that does not answer costs its time only once.
        asked = {name: gevent.spawn(self._pool_status, name) for name in self._served}
        return {name: greenlet.get() for name, greenlet in asked.items()}

    def _pool_status(self, name: str) -> PoolStatus | None:
        try:
            status = self._directory.ask(pool_of(name), DescribePool(), _POOL_TIMEOUT_S)
        except (LookupError, TimeoutError):
            return None
        return status if isinstance(status, PoolStatus) else None


def _is_able(pool: PoolStatus | None) -> bool:
    return pool is not None and pool.ready > 0 and not pool.paused


def _pool(pool: PoolStatus | None) -> dict[str, Any]:
    if pool is None:
        return {"ready": 0, "starting": 0, "paused": "the pool does not answer"}
    return {"ready": pool.ready, "starting": pool.starting, "paused": pool.paused}
