"""All routes on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bottle

from gateway.desk import make_desk
from gateway.drafts import Drafter
from gateway.faults import error_page, guard
from gateway.greenlet_local import keep_in_greenlets
from gateway.jobs import Jobs
from gateway.openapi import describe
from gateway.pages import Pages
from gateway.pieces import encode
from gateway.replies import reply_encoded
from gateway.service import Service
from gateway.submission import Submission
from gateway.system import System

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gateway.config import GatewayConfig
    from gateway.ports import Directory
    from images.catalog import Catalog


def make_app(
    config: GatewayConfig,
    directory: Directory,
    catalog: Catalog,
    served: Mapping[str, str],
) -> Any:
    """Return the WSGI application.

    `served` has the version of each language that jobs may be written in, as the
    tool in its image prints it.
    """
    app = _bare_app()
    _add_jobs(app, config, directory, Drafter(config, catalog, served))
    service = Service(config, directory, catalog, served)
    app.get("/v1/languages", callback=service.languages)
    _add_status(app, service, System(config, directory))
    names = [*_names(catalog, served)]
    _add_documents(app, encode(describe(config, names)))
    return app


def make_status_app(
    config: GatewayConfig,
    directory: Directory,
    catalog: Catalog,
    served: Mapping[str, str],
) -> Any:
    """Return the WSGI application of a process that takes no jobs from clients."""
    app = _bare_app()
    service = Service(config, directory, catalog, served)
    _add_status(app, service, System(config, directory))
    return app


def _bare_app() -> Any:
    keep_in_greenlets()
    app = bottle.Bottle()
    app.uninstall(True)  # our answers are whole responses; no plugin shapes them
    app.install(guard)
    app.default_error_handler = error_page
    return app


def _add_jobs(
    app: Any, config: GatewayConfig, directory: Directory, drafter: Drafter
) -> None:
    desk = make_desk(config)
    submission = Submission(config, directory, drafter, desk)
    jobs = Jobs(config, directory, desk)
    request = bottle.request
    job = "/v1/jobs/<job_id>"
    app.post("/v1/jobs", callback=lambda: submission.submit(request.environ))
    app.get(
        job,
        callback=lambda job_id: jobs.show(job_id, request.environ, request.query),
    )
    app.delete(job, callback=lambda job_id: jobs.cancel(job_id, request.environ))
    app.get(
        f"{job}/events",
        callback=lambda job_id: jobs.follow(job_id, request.environ, request.query),
    )
    app.post(
        f"{job}/stdin",
        callback=lambda job_id: jobs.feed(job_id, request.environ, request.query),
    )


def _add_status(app: Any, service: Service, system: System) -> None:
    routes: dict[str, Callable[[], Any]] = {
        "/healthz": service.health,
        "/readyz": service.readiness,
        "/metrics": service.metrics,
    }
    for path, callback in routes.items():
        app.get(path, callback=callback)
    pages = Pages()
    request = bottle.request
    app.get("/v1/system", callback=lambda: system.show(request.environ))
    app.get("/system", callback=lambda: pages.file("system.html", request.environ))
    app.get("/static/<name>", callback=lambda name: pages.file(name, request.environ))


def _add_documents(app: Any, description: bytes) -> None:
    pages = Pages()
    request = bottle.request
    app.get("/openapi.json", callback=lambda: reply_encoded(description))
    app.get("/", callback=lambda: pages.index(request.environ))


def _names(catalog: Catalog, served: Mapping[str, str]) -> Iterator[str]:
    for name in served:
        yield from (name, *catalog.languages[name].aliases)
