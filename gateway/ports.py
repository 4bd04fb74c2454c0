"""The actors as the gateway sees them: names, and questions with an end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from gevent.event import Event

from actors.messages import (
    AwaitEcho,
    AwaitJob,
    AwaitRead,
    BrokerStatus,
    DescribeBroker,
    DescribeFleet,
    FindPosition,
    FleetStatus,
    JobExpired,
    JobView,
    LookUpJob,
    ReserveStdin,
    WatchJob,
)
from gateway.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = "root/"
BROKER = "root/broker"
CONNECTIONS = (BROKER, "root/consumer", "root/events")
"""All that a process may have; the embedded broker is the first alone."""
FLEET = "root/fleet"
RELAY = "root/relay"
BUCKETS = "root/buckets"

_ASK_TIMEOUT_S = 10.0
"""An actor that has died is known to be dead at once; a busy one answers late."""
_STATUS_TIMEOUT_S = 0.5
_READ_WAIT_S = 10.0
"""A relay that has just been started reads some 10,000 events in a second."""


class Directory(Protocol):
    """Names to living actors, as `actors.directory.Directory` gives them."""

    def tell(self, name: str, message: object) -> bool:
        """Send; False when there is no such actor just now."""

    def ask(self, name: str, message: object, timeout_s: float) -> Any:
        """Ask; LookupError when nobody answers, TimeoutError when it takes long."""

    def refs(self) -> Mapping[str, Any]:
        """Return all living actors by name, to look at their mailboxes."""


def queue_of(language: str) -> str:
    """Return the name of the language's queue."""
    return f"root/languages/{language}/queue"


def reserve_stdin(directory: Directory, message: ReserveStdin) -> None:
    """Make room for what is to be sent to a job; a Problem when there is none."""
    found = _ask_relay(directory, message)
    match found:
        case "reserved":
            return
        case "done":
            raise Problem("not_running", "The job has ended.")
        case "closed":
            detail = "The program's stdin was not opened, or has been closed."
            raise Problem("stdin_closed", detail)
        case "too_large":
            raise Problem("too_large", "That is more stdin than one job may be sent.")
        case "full":
            detail = "Too much stdin is kept for running jobs just now."
            raise Problem.later("too_busy", detail, 2)
        case "client_full":
            detail = "Too much stdin is kept for your running jobs."
            raise Problem.later("too_much_at_once", detail, 2)
        case _:
            raise missing(found)


def tell_broker(directory: Directory, message: object) -> None:
    """Send to the broker; a Problem when there is none just now."""
    if not directory.tell(BROKER, message):
        raise broker_unavailable()


def broker_unavailable() -> Problem:
    """Return what clients hear of what nobody was there to be given."""
    return Problem.later(
        "broker_unavailable", "The broker is away: the request has had no effect."
    )


def unconfirmed(*, has_key: bool) -> Problem:
    """Return what clients hear of a job that was sent, but not confirmed in time."""
    again = (
        "Send it again with the same Idempotency-Key: it runs once."
        if has_key
        else "Sent again without an Idempotency-Key, it may run twice."
    )
    return Problem.later(
        "unconfirmed",
        f"The broker has not confirmed the job: it may have been accepted. {again}",
    )


def fleet(directory: Directory) -> FleetStatus | None:
    """Return what can run where; None when nobody can tell just now."""
    found = _ask_status(directory, FLEET, DescribeFleet())
    return found if isinstance(found, FleetStatus) else None


def broker_is_up(directory: Directory) -> bool:
    """Tell whether the broker takes jobs, as its first connection says."""
    status = _ask_status(directory, BROKER, DescribeBroker())
    return isinstance(status, BrokerStatus) and status.is_up


def broker_trouble(directory: Directory) -> str:
    """Return why a connection to the broker is not open, as far as one can tell."""
    for name in CONNECTIONS:
        status = _ask_status(directory, name, DescribeBroker())
        if isinstance(status, BrokerStatus) and status.reason:
            return f"{name.rpartition('/')[2]}: {status.reason}"
    return "a connection is being started"


def look_up(directory: Directory, job_id: str, unknown_wait_s: float = 0) -> JobView:
    """Return the job, or raise the Problem that says why not.

    `unknown_wait_s` is what a job gets that another gateway may just have taken.
    """
    view = find(directory, job_id)
    if view is None and arrives(directory, job_id, unknown_wait_s):
        view = find(directory, job_id)
    if isinstance(view, JobView):
        return view
    raise missing(view)


def arrives(directory: Directory, job_id: str, timeout_s: float) -> bool:
    """Wait until the relay has heard of the job; False when there is no such job.

    A Problem when it can't be known: something may have been said that is not heard
    here, because a connection is away, or is dead and not yet known to be.
    """
    if not timeout_s:
        return False
    told, all_is_heard = Event(), Event()

    def hear_all() -> None:
        all_is_heard.set()
        told.set()

    directory.tell(RELAY, AwaitJob(job_id, told.set))
    directory.tell(FLEET, AwaitEcho(hear_all))
    told.wait(timeout_s)
    is_sure = all_is_heard.is_set()
    # What was said before the echo may still be in the relay's mailbox, but ours comes
    # behind it: so we ask, and do not trust that it would have told us by now.
    if find(directory, job_id) is not None:
        return True
    if is_sure:
        return False
    raise Problem.later("unavailable", "The job log is not up to date just now.")


def find(directory: Directory, job_id: str) -> Any:
    """Return what the relay knows: a JobView, a JobExpired or None."""
    return _ask_relay(directory, LookUpJob(job_id))


def watch(directory: Directory, message: WatchJob, unknown_wait_s: float = 0) -> bool:
    """Begin to watch; False when the relay has no such job."""
    return bool(
        _ask_relay(directory, message)
        or (
            arrives(directory, message.job_id, unknown_wait_s)
            and _ask_relay(directory, message)
        )
    )


def as_it_stands(directory: Directory, view: JobView) -> tuple[JobView, int | None]:
    """Return the job in the state that it has now, and its turn while it waits.

    The event that a program has begun waits for its first output for a moment, and on
    a busy machine for longer. The queue knows at once, if the job is in this process.
    """
    if view.state != "queued":
        return view, None
    found = _ask_status(directory, queue_of(view.language), FindPosition(view.id))
    if found == "running":
        return replace(view, state="running"), None
    if isinstance(found, int):
        return view, found
    newer = find(directory, view.id)  # it may have ended since
    return newer if isinstance(newer, JobView) else view, None


def missing(found: object) -> Problem:
    """Return the Problem of a job that the relay does not have (any more)."""
    if isinstance(found, JobExpired):
        return Problem("expired", "The job has ended and its result is gone.")
    return Problem("unknown_job", "There is no job with this id.")


def _ask_status(directory: Directory, name: str, message: object) -> Any:
    try:
        return directory.ask(name, message, _STATUS_TIMEOUT_S)
    except (LookupError, TimeoutError):
        return None


def _ask_relay(directory: Directory, message: object) -> Any:
    found = _ask_reader(directory, message)
    if found == "unread":  # it has just been started: that takes a moment only
        is_read = Event()
        if directory.tell(RELAY, AwaitRead(is_read.set)):
            is_read.wait(_READ_WAIT_S)
        found = _ask_reader(directory, message)
    if found == "unread":
        raise Problem.later("unavailable", "The job log is being read anew.")
    return found


def _ask_reader(directory: Directory, message: object) -> Any:
    try:
        return directory.ask(RELAY, message, _ASK_TIMEOUT_S)
    except (LookupError, TimeoutError) as error:
        raise Problem.later(
            "unavailable", "The job log does not answer just now."
        ) from error
