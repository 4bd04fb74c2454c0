"""How the service stands: languages, health, readiness, metrics."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import bottle

from gateway.ports import ROOT, Directory, broker_is_up, broker_trouble, fleet
from gateway.replies import reply
from metrics.exposition import CONTENT_TYPE, Exposition
from metrics.live import LIVE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.messages import FleetStatus, LanguageStatus
    from gateway.config import GatewayConfig
    from gateway.turns import Turns
    from images.catalog import Catalog


class Service:
    """Answers that are not about one job."""

    def __init__(
        self,
        config: GatewayConfig,
        directory: Directory,
        catalog: Catalog,
        served: Mapping[str, str],
        turns: Turns,
    ) -> None:
        self._config = config
        self._directory = directory
        self._catalog = catalog
        self._served = served
        self._exposition = Exposition(lambda: turns.wait("/metrics"))

    def languages(self) -> Any:
        """Answer `GET /v1/languages`."""
        known = self._known(fleet(self._directory))
        caps = asdict(self._config.caps)
        documents = [self._language(name, known.get(name)) for name in self._served]
        return reply({"languages": documents, "caps": caps})

    def health(self) -> Any:
        """Answer `GET /healthz`: this process answers."""
        return reply({"status": "ok"})

    def readiness(self) -> Any:
        """Answer `GET /readyz`: whether a job would run, and what is missing."""
        broker_up = broker_is_up(self._directory)
        status = fleet(self._directory)
        known = self._known(status)
        able = [name for name, one in known.items() if _is_able(one)]
        document = {
            "ready": broker_up and bool(able),
            "broker": "up" if broker_up else "down",
            "broker_reason": "" if broker_up else broker_trouble(self._directory),
            "workers": 0 if status is None else status.workers,
            "languages": {name: _stand(known.get(name)) for name in self._served},
            "degraded": [name for name in self._served if name not in able],
            "restarting": sorted(name.removeprefix(ROOT) for name in LIVE.down),
        }
        return reply(document, 200 if document["ready"] else 503)

    def metrics(self) -> Any:
        """Answer `GET /metrics`."""
        headers = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"}
        return bottle.HTTPResponse(self._exposition.text(), 200, headers)

    def _language(self, name: str, status: LanguageStatus | None) -> dict[str, Any]:
        language = self._catalog.languages[name]
        return {
            "name": name,
            "title": language.title,
            "aliases": list(language.aliases),
            "version": self._served[name] or ("" if status is None else status.version),
            "main": language.main,
            "hello": language.hello.source,
            "compile_args": list(language.compile.allow) if language.compile else [],
            "least": asdict(language.least),
            "limits": asdict(language.limits),
            "ready": _is_able(status),
        }

    def _known(self, status: FleetStatus | None) -> dict[str, LanguageStatus]:
        languages = () if status is None else status.languages
        return {one.name: one for one in languages if one.name in self._served}


def _is_able(status: LanguageStatus | None) -> bool:
    return status is not None and status.ready > 0 and not status.paused


def _stand(status: LanguageStatus | None) -> dict[str, Any]:
    if status is None:
        return {"ready": 0, "starting": 0, "paused": "no worker tells of it"}
    return {"ready": status.ready, "starting": status.starting, "paused": status.paused}
