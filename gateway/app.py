"""All routes on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bottle

from gateway.desk import make_desk
from gateway.door import Door
from gateway.drafts import Drafter
from gateway.faults import error_page, guard
from gateway.greenlet_local import keep_in_greenlets
from gateway.jobs import Jobs
from gateway.openapi import describe
from gateway.pages import Pages
from gateway.pieces import encode
from gateway.problems import Problem
from gateway.reads import Reads
from gateway.replies import reply_encoded
from gateway.service import Service
from gateway.submission import Submission
from gateway.system import System

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gateway.config import GatewayConfig
    from gateway.desk import Desk
    from gateway.ports import Directory
    from gateway.turns import Turns
    from images.catalog import Catalog

_QUERY_CHARS_MAX = 1024
"""A line has room for 4,000 fields, whose decoding takes 10 ms."""


def make_app(
    config: GatewayConfig,
    directory: Directory,
    catalog: Catalog,
    served: Mapping[str, str],
    turns: Turns,
) -> Any:
    """Return the WSGI application.

    `served` has the version of each language that jobs may be written in, as the
    tool in its image prints it. `turns` are the server's, too.
    """
    app = _bare_app(config)
    desk = make_desk(config, turns)
    _add_jobs(app, config, directory, Drafter(config, catalog, served), desk)
    service = Service(config, directory, catalog, served, desk.turns)
    app.get("/v1/languages", callback=_metered(desk.reads, service.languages))
    _add_status(app, service, System(config, directory), desk.reads)
    names = [*_names(catalog, served)]
    _add_documents(app, encode(describe(config, names)), desk.reads)
    return app


def make_status_app(
    config: GatewayConfig,
    directory: Directory,
    catalog: Catalog,
    served: Mapping[str, str],
    turns: Turns,
) -> Any:
    """Return the WSGI application of a process that takes no jobs from clients."""
    app = _bare_app(config)
    service = Service(config, directory, catalog, served, turns)
    _add_status(app, service, System(config, directory), Reads(config))
    return app


def _bare_app(config: GatewayConfig) -> Any:
    keep_in_greenlets()
    app = bottle.Bottle()
    app.uninstall(True)  # our answers are whole responses; no plugin shapes them
    app.install(guard)
    app.default_error_handler = error_page
    Door(config).guard(app)
    return app


def _metered(reads: Reads, callback: Callable[..., Any]) -> Callable[..., Any]:
    """Have each request counted that needs no token and is more than a file."""

    def metered(**args: str) -> Any:
        reads.take(bottle.request.environ)
        return callback(**args)

    return metered


def _add_jobs(
    app: Any, config: GatewayConfig, directory: Directory, drafter: Drafter, desk: Desk
) -> None:
    submission = Submission(config, directory, drafter, desk)
    jobs = Jobs(config, directory, desk)
    request = bottle.request
    job = "/v1/jobs/<job_id>"
    app.post("/v1/jobs", callback=lambda: submission.submit(request.environ))
    routes: list[tuple[str, str, Callable[..., Any]]] = [
        (
            *("GET", job),
            lambda job_id: jobs.show(job_id, request.environ, _query()),
        ),
        ("DELETE", job, lambda job_id: jobs.cancel(job_id, request.environ)),
        (
            *("GET", f"{job}/events"),
            lambda job_id: jobs.follow(job_id, request.environ, _query()),
        ),
        (
            *("POST", f"{job}/stdin"),
            lambda job_id: jobs.feed(job_id, request.environ, _query()),
        ),
    ]
    for method, path, callback in routes:
        app.route(path, method, _metered(desk.reads, callback))


def _query() -> Any:
    """Return the fields behind the path; a Problem for more than anybody needs."""
    if len(bottle.request.environ["QUERY_STRING"]) > _QUERY_CHARS_MAX:
        raise Problem("bad_request", "There is too much behind the path.")
    return bottle.request.query


def _add_status(app: Any, service: Service, system: System, reads: Reads) -> None:
    request = bottle.request
    routes: dict[str, Callable[[], Any]] = {
        "/healthz": service.health,
        "/readyz": service.readiness,
        "/metrics": service.metrics,
        "/v1/system": lambda: system.show(request.environ),
    }
    for path, callback in routes.items():
        app.get(path, callback=_metered(reads, callback))
    pages = Pages()
    app.get("/system", callback=lambda: pages.file("system.html", request.environ))
    app.get("/static/<name>", callback=lambda name: pages.file(name, request.environ))


def _add_documents(app: Any, description: bytes, reads: Reads) -> None:
    pages = Pages()
    request = bottle.request
    app.get(
        "/openapi.json", callback=_metered(reads, lambda: reply_encoded(description))
    )
    app.get("/", callback=lambda: pages.index(request.environ))


def _names(catalog: Catalog, served: Mapping[str, str]) -> Iterator[str]:
    for name in served:
        yield from (name, *catalog.languages[name].aliases)
