"""The actors as the gateway sees them: names, and questions with an end."""

from __future__ import annotations

from typing import Any, Protocol

from actors.messages import FindPosition, JobView, LookUpJob, WatchJob
from gateway.problems import Problem

BROKER = "root/broker"
RELAY = "root/relay"
BUCKETS = "root/buckets"

_ASK_TIMEOUT_S = 2.0
_POSITION_TIMEOUT_S = 0.5


class Directory(Protocol):
    """Names to living actors, as `actors.directory.Directory` gives them."""

    def tell(self, name: str, message: object) -> bool:
        """Send; False when there is no such actor just now."""

    def ask(self, name: str, message: object, timeout_s: float) -> Any:
        """Ask; LookupError when nobody answers, TimeoutError when it takes long."""


def queue_of(language: str) -> str:
    """Return the name of the language's queue."""
    return f"root/languages/{language}/queue"


def pool_of(language: str) -> str:
    """Return the name of the language's pool."""
    return f"root/languages/{language}/pool"


def tell_broker(directory: Directory, message: object) -> None:
    """Send to the broker; a Problem when there is none just now."""
    if not directory.tell(BROKER, message):
        raise broker_unavailable()


def broker_unavailable() -> Problem:
    """Return what clients hear while the broker is away."""
    return Problem.later(
        "broker_unavailable", "The broker does not answer. The job was not accepted."
    )


def look_up(directory: Directory, job_id: str) -> JobView:
    """Return the job, or raise the Problem that says why not."""
    view = find(directory, job_id)
    if isinstance(view, JobView):
        return view
    raise missing(view)


def find(directory: Directory, job_id: str) -> Any:
    """Return what the relay knows: a JobView, "expired" or None."""
    return _ask_relay(directory, LookUpJob(job_id))


def watch(directory: Directory, message: WatchJob) -> bool:
    """Begin to watch; False when the relay has no such job."""
    return bool(_ask_relay(directory, message))


def position(directory: Directory, view: JobView) -> int | None:
    """Return the waiting job's turn, if its queue can tell."""
    name = queue_of(view.language)
    try:
        turn = directory.ask(name, FindPosition(view.id), _POSITION_TIMEOUT_S)
    except (LookupError, TimeoutError):
        return None
    return turn if isinstance(turn, int) else None


def missing(found: object) -> Problem:
    """Return the Problem of a job that the relay does not have (any more)."""
    if found == "expired":
        return Problem("expired", "The job has ended and its result is gone.")
    return Problem("unknown_job", "There is no job with this id.")


def _ask_relay(directory: Directory, message: object) -> Any:
    try:
        return directory.ask(RELAY, message, _ASK_TIMEOUT_S)
    except (LookupError, TimeoutError) as error:
        raise Problem.later(
            "unavailable", "The job log does not answer just now."
        ) from error
