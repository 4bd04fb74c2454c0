"""The routes of jobs that have been accepted: look, follow, feed, cancel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import bottle

from actors.messages import (
    CancelJob,
    JobView,
    ReserveStdin,
    SendStdin,
    StdinClosed,
    UnwatchJob,
    WatchJob,
)
from gateway import sse, views
from gateway.bodies import TOKEN_BYTES
from gateway.body import announced_bytes, media_type, read_body
from gateway.clients import client_key, take_token
from gateway.ledger import AnswersFullError
from gateway.ports import (
    RELAY,
    Directory,
    as_it_stands,
    find,
    look_up,
    missing,
    reserve_stdin,
    tell_broker,
    watch,
)
from gateway.preferences import last_event_id
from gateway.problems import Problem
from gateway.replies import reply
from gateway.waiting import wait_for_end

if TYPE_CHECKING:
    from gateway.config import GatewayConfig
    from gateway.desk import Desk

_CANCEL_WAIT_S = 2.0
_STDIN_COST = 0.05
"""Of a token, beside what its bytes cost: some hundred keys a second."""
_STDIN_TYPES = {
    "",
    "application/octet-stream",
    "application/x-www-form-urlencoded",  # curl's word for any bytes
    "text/plain",
}
_STDIN_TYPES_WORDS = (
    "The body is the bytes themselves: application/octet-stream or text/plain."
)

_STREAM_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}

_ENCODINGS: Mapping[str, views.Encoding] = {"utf-8": "utf-8", "base64": "base64"}

Environ = Mapping[str, Any]
Query = Mapping[str, str]


class Jobs:
    """Answers for jobs by their id, which is all the right that one needs."""

    def __init__(self, config: GatewayConfig, directory: Directory, desk: Desk) -> None:
        self._config = config
        self._directory = directory
        self._desk = desk

    def show(self, job_id: str, environ: Environ, query: Query) -> Any:
        """Answer `GET /v1/jobs/{id}`."""
        encoding = _ENCODINGS.get(query.get("encoding", "utf-8"))
        if encoding is None:
            raise Problem.invalid(("encoding", "must be utf-8 or base64"))
        more = {} if encoding == "utf-8" else {"encoding": encoding}
        view = self._look_up(job_id)
        return self._answer(view, environ, more=more, encoding=encoding)

    def follow(self, job_id: str, environ: Environ, query: Query) -> Any:
        """Answer `GET /v1/jobs/{id}/events`."""
        after_id = last_event_id(environ, query)
        self._desk.arrivals.give_way()
        if after_id:
            view = self._look_up(job_id)
            if view.state == "done" and after_id >= _newest_id(view):
                # Nothing will follow; this status keeps a browser from coming back.
                return bottle.HTTPResponse(status=204)
        return self._stream(job_id, after_id, self._client(environ))

    def feed(self, job_id: str, environ: Environ, query: Query) -> Any:
        """Answer `POST /v1/jobs/{id}/stdin`."""
        end = query.get("end", "0")
        if end not in {"0", "1"}:
            raise Problem.invalid(("end", "must be 0 or 1"))
        if media_type(environ) not in _STDIN_TYPES:
            raise Problem.closing("unsupported_media_type", _STDIN_TYPES_WORDS)
        view = self._look_up(job_id)  # before there is anything of the body
        if view.state == "done":
            raise Problem("not_running", "The job has ended.")
        config = self._config
        client = self._client(environ)
        rate = self._take_stdin_tokens(client, announced_bytes(environ))

        def pay() -> None:
            rate.update(self._take_stdin_tokens(client, TOKEN_BYTES))

        with self._desk.bodies.intake(client, pay) as intake:
            bytes_max = config.stdin_kb_max * 1024
            data = read_body(environ, bytes_max, config.body_timeout_s, intake)
            is_last = end == "1"
            reserve_stdin(self._directory, ReserveStdin(job_id, len(data), is_last))
            message = SendStdin(job_id, view.language, data, end=is_last)
            tell_broker(self._directory, message)
        if is_last:
            self._directory.tell(RELAY, StdinClosed(job_id))
        return reply({}, 202, rate)

    def _take_stdin_tokens(self, client: str, announced: int) -> dict[str, str]:
        """Take what stdin costs, of a bucket of its own: jobs don't wait for it.

        Nobody types so fast as to hear of it.
        """
        cost = (
            _STDIN_COST + min(announced, self._config.stdin_kb_max * 1024) / TOKEN_BYTES
        )
        return take_token(self._directory, f"{client} stdin", cost, "stdin")

    def cancel(self, job_id: str, environ: Environ) -> Any:
        """Answer `DELETE /v1/jobs/{id}`."""
        view = self._look_up(job_id)
        if view.state != "done":
            view = self._end(view)
        status = 200 if view.state == "done" else 202
        return self._answer(view, environ, status=status)

    def _look_up(self, job_id: str) -> JobView:
        return look_up(self._directory, job_id, self._config.unknown_wait_s)

    def _answer(
        self,
        view: JobView,
        environ: Environ,
        *,
        more: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        view, turn = as_it_stands(self._directory, view)
        place = {} if turn is None else {"position": turn}
        return self._desk.answers.about(
            view, self._client(environ), more={**place, **(more or {})}, **options
        )

    def _client(self, environ: Environ) -> str:
        return client_key(environ, self._config.proxies)

    def _end(self, view: JobView) -> JobView:
        ended = wait_for_end(
            self._directory,
            view.id,
            _CANCEL_WAIT_S,
            after_id=_newest_id(view),
            begin=lambda: tell_broker(
                self._directory, CancelJob(view.id, view.language)
            ),
        )
        return ended or look_up(self._directory, view.id)

    def _stream(self, job_id: str, after_id: int, client: str) -> Any:
        desk, config = self._desk, self._config
        audience = desk.streams.enter(client, job_id)
        place = sse.Place(desk.ledger, client, desk.turns)
        sink = sse.Sink(config.watcher_events_max, place, after_id)
        follower = _Follower(self._directory, desk, job_id, after_id, sink)
        try:
            follower.watch(config.unknown_wait_s)
        except BaseException:  # a greenlet that is killed leaves its place, too
            follower.leave()
            raise
        events = sse.stream(
            sink,
            config.heartbeat_s,
            follower.is_lost,
            follower.leave,
            partial(desk.encodings.of, audience),
        )
        return bottle.HTTPResponse(events, 200, _STREAM_HEADERS)


@dataclass(slots=True)
class _Follower:
    """One event stream at the relay, from its opening to its end."""

    directory: Directory
    desk: Desk
    job_id: str
    after_id: int
    sink: sse.Sink

    def watch(self, unknown_wait_s: float) -> None:
        """Have the relay deliver, or raise the Problem that says why it does not."""
        message = WatchJob(self.job_id, self.after_id, self.sink.deliver)
        if not watch(self.directory, message, unknown_wait_s):
            raise missing(find(self.directory, self.job_id))
        if self.sink.is_refused:
            raise AnswersFullError
        self.sink.go_live()

    def is_lost(self) -> bool:
        """Tell whether a relay that was started anew does not know its watcher."""
        try:
            found = find(self.directory, self.job_id)
        except Problem:
            return False
        if not isinstance(found, JobView):
            return True
        # Compared after the answer: what came until then has been delivered by now.
        return _newest_id(found) > max(self.after_id, self.sink.last_id)

    def leave(self) -> None:
        """Let go of everything, however the stream has ended."""
        sink = self.sink
        sink.place.release()
        self.desk.streams.leave(sink.place.client, self.job_id)
        if not sink.is_over:  # after a job's end the relay keeps no watcher
            self.directory.tell(RELAY, UnwatchJob(self.job_id, sink.deliver))


def _newest_id(view: JobView) -> int:
    return view.events[-1].id if view.events else 0
