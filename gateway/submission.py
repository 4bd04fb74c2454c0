"""Accepting a job: token, request, publish, and the answer its client prefers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import AsyncResult

from actors.deadlines import DEADLINES
from actors.messages import Job, JobView, PublishJob, PublishReply
from gateway import views
from gateway.bodies import tokens_of
from gateway.body import announced_bytes, media_type, parse_json, read_body
from gateway.clients import client_key, take_token
from gateway.ledger import AnswersFullError
from gateway.ports import (
    Directory,
    as_it_stands,
    broker_unavailable,
    find,
    look_up,
    missing,
    tell_broker,
    unconfirmed,
)
from gateway.preferences import idempotency_key, make_id, wait_seconds
from gateway.problems import Problem
from gateway.replies import reply
from gateway.requests import bounds_of, parse_request
from gateway.slices import Slices
from gateway.waiting import wait_for_end
from metrics.live import LIVE

if TYPE_CHECKING:
    from gateway.bodies import Intake
    from gateway.config import GatewayConfig
    from gateway.desk import Desk
    from gateway.drafts import Drafter

Environ = Mapping[str, Any]

HOPS_TO_CONTAINER = 4
"""Queue, scheduler, queue, container: then the job is on its way."""


class Submission:
    """Takes jobs from clients."""

    def __init__(
        self,
        config: GatewayConfig,
        directory: Directory,
        drafter: Drafter,
        desk: Desk,
    ) -> None:
        self._config = config
        self._directory = directory
        self._drafter = drafter
        self._arrivals = desk.arrivals
        self._answers = desk.answers
        self._bodies = desk.bodies
        self._entries_max = {
            "files": config.files_max,
            "args": config.args_max,
            "compile_args": config.args_max,
            "env": config.env_max,
        }
        self._bounds = bounds_of(self._entries_max)

    def submit(self, environ: Environ) -> Any:
        """Answer one `POST /v1/jobs`."""
        client = client_key(environ, self._config.proxies)
        rate = self._take_tokens(client, announced_bytes(environ))

        def pay() -> None:
            rate.update(take_token(self._directory, client))

        try:
            with self._bodies.intake(client, pay) as intake:
                job = self._read_job(environ, client, intake)
                with self._arrivals:
                    self._publish(job)
                    self._let_it_start(job)
            return self._answer(job, environ, rate)
        except Problem as problem:
            problem.headers = {**rate, **problem.headers}
            raise

    def _take_tokens(self, client: str, announced: int) -> dict[str, str]:
        fits = announced <= self._config.body_kb_max * 1024  # else none of it is read
        with self._arrivals:
            cost = tokens_of(announced) if fits else 1
            return take_token(self._directory, client, cost)

    def _read_job(self, environ: Environ, client: str, intake: Intake) -> Job:
        config = self._config
        key = idempotency_key(environ)
        if media_type(environ) != "application/json":
            raise Problem.closing(
                "unsupported_media_type", "The body must be application/json."
            )
        bytes_max = config.body_kb_max * 1024
        body = read_body(environ, bytes_max, config.body_timeout_s, intake)
        slices = Slices()
        document, texts = parse_json(body, self._bounds, slices)
        request = parse_request(document, self._entries_max)
        draft = self._drafter.draft(request, texts, slices)
        return Job(
            id=make_id(config.secret, client, key),
            language=draft.language,
            client=client,
            files=draft.files,
            stdin=draft.stdin,
            stdin_open=draft.stdin_open,
            args=draft.args,
            compile_args=draft.compile_args,
            env=draft.env,
            limits=draft.limits,
            created_at=time.time(),
            fingerprint="" if key is None else draft.fingerprint(slices),
        )

    def _publish(self, job: Job) -> None:
        if self._is_repeated(job):
            return
        answer: AsyncResult[PublishReply] = AsyncResult()
        tell_broker(self._directory, PublishJob(job, answer.set))
        DEADLINES.within(answer, self._config.publish_timeout_s)
        published = answer.value
        if published is None:
            # A confirm that comes later finds nobody.
            raise unconfirmed(has_key=bool(job.fingerprint))
        _check(published, job)

    def _is_repeated(self, job: Job) -> bool:
        """Tell whether another request with this key was accepted, by any gateway.

        A broker that gateways share has forgotten the jobs that it handed out.
        """
        if not (job.fingerprint and self._config.unknown_wait_s):
            return False
        known = find(self._directory, job.id)
        if known is None:
            return False
        _check(PublishReply("duplicate", known.fingerprint), job)
        if not isinstance(known, JobView):
            raise missing(known)
        return True

    def _let_it_start(self, job: Job) -> None:
        """Let the job go its way before the answer is written, unless many wait.

        Both are work of this one thread. The job's part is short, and from then on
        its container works while we write; with many answers due, they come first, and
        so they do where the job has to wait for its turn.
        """
        queue = LIVE.queues.get(job.language)
        waits = queue is not None and queue.waiting > 1  # one is this job
        if self._arrivals.are_few() and not waits:
            for _ in range(HOPS_TO_CONTAINER):
                gevent.sleep(0)

    def _answer(self, job: Job, environ: Environ, rate: Mapping[str, str]) -> Any:
        location = {"Location": f"/v1/jobs/{job.id}", **rate}
        wait_s = wait_seconds(environ, self._config.wait_s_max)
        view = self._outcome(job, wait_s)
        if wait_s and view is not None and view.state == "done":
            applied = {"Preference-Applied": f"wait={wait_s}", **location}
            with suppress(AnswersFullError):  # the job is accepted in any case
                return self._answers.about(view, job.client, headers=applied)
        if view is not None:
            view, _ = as_it_stands(self._directory, view)
        return reply(_receipt(job, view), 202, location)

    def _outcome(self, job: Job, wait_s: int) -> JobView | None:
        """Return the job as it stands when it is answered for, if that is known."""
        view = None
        try:
            if wait_s:
                unknown_wait_s = self._config.unknown_wait_s
                view = wait_for_end(
                    self._directory, job.id, wait_s, unknown_wait_s=unknown_wait_s
                )
            # Only a key can repeat a request; another job can't have gone on yet.
            if view is None and job.fingerprint:
                view = look_up(self._directory, job.id)
        except Problem as problem:
            if problem.code == "expired":
                raise
            view = None  # the job is accepted in any case
        return view


def _check(published: PublishReply, job: Job) -> None:
    match published.status:
        case "accepted":
            return
        case "duplicate" if published.fingerprint == job.fingerprint:
            return
        case "duplicate":
            raise Problem(
                "idempotency_mismatch",
                "This Idempotency-Key was used for another request.",
                errors=[("Idempotency-Key", "was used for another request")],
            )
        case "queue_full":
            raise Problem.later("queue_full", "Too many jobs wait. Try again soon.", 2)
        case "client_full":
            detail = "Too many of your jobs wait, or too large ones. Try again soon."
            raise Problem.later("too_much_at_once", detail, 2)
        case "unknown":
            raise unconfirmed(has_key=bool(job.fingerprint))
        case "draining":
            raise Problem.later("draining", "The service is about to stop.", 5)
        case _:
            raise broker_unavailable()


def _receipt(job: Job, view: JobView | None) -> dict[str, Any]:
    if view is None:
        return views.head(job.id, job.language, "queued", job.created_at)
    return views.head(view.id, view.language, view.state, view.created_at)
