"""Bugs that a worker could have. Each is put in by a test, and must be found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from actors.container import Container
from actors.fair_backlog import FairBacklog
from actors.language_queue import LanguageQueue
from actors.messages import AckJob, ContainerIdle
from actors.scheduler import Scheduler
from actors.slots import Slots
from actors.turns import Lane, Turns
from supervisors.pool_supervisor import PoolSupervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def nothing(*_: object, **__: object) -> None:
    """Stand in for a handler that does not do its work."""


def before(kind: type, name: str, extra: Callable[[Any, Any], None]) -> Any:
    """Return the method with something done before it."""
    method = getattr(kind, name)

    def changed(self: Any, *args: Any, **more: Any) -> Any:
        extra(self, args[0] if args else None)
        return method(self, *args, **more)

    return changed


# ----------------------------------------------------------------------- the queue


def a_dead_containers_job_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LanguageQueue, "container_gone", nothing)


def what_waits_is_kept_though_its_lease_is_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LanguageQueue, "leases_lost", nothing)


def an_end_is_acknowledged_before_its_confirm(patch: pytest.MonkeyPatch) -> None:
    def acknowledge(self: Any, entry: Any) -> None:
        self.tell(self._consumer, AckJob(entry.lease))

    changed = before(LanguageQueue, "_finish", acknowledge)
    patch.setattr(LanguageQueue, "_finish", changed)


def a_confirmed_end_is_not_acknowledged(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LanguageQueue, "events_confirmed", nothing)


def a_restart_is_no_new_attempt(patch: pytest.MonkeyPatch) -> None:
    restart = LanguageQueue._restart  # noqa: SLF001 - what is to be broken

    def same_attempt(self: Any, entry: Any) -> None:
        attempt = entry.attempt
        restart(self, entry)
        entry.attempt = attempt

    patch.setattr(LanguageQueue, "_restart", same_attempt)


def a_job_may_be_begun_for_ever(patch: pytest.MonkeyPatch) -> None:
    def forget(_: Any, entry: Any) -> None:
        entry.begun = 0

    patch.setattr(LanguageQueue, "_restart", before(LanguageQueue, "_restart", forget))


def a_job_is_given_up_too_early(patch: pytest.MonkeyPatch) -> None:
    def count_twice(_: Any, entry: Any) -> None:
        entry.begun += 1

    changed = before(LanguageQueue, "_restart", count_twice)
    patch.setattr(LanguageQueue, "_restart", changed)


def the_end_of_a_void_attempt_counts(patch: pytest.MonkeyPatch) -> None:
    def finished(self: Any, message: Any) -> None:
        entry = self._entries.get(message.job_id)
        if entry is not None and entry.state == "running":
            entry.rest = message.rest
            self._finish(entry, message.result)

    patch.setattr(LanguageQueue, "job_finished", finished)


def an_end_is_told_twice(patch: pytest.MonkeyPatch) -> None:
    def finished(self: Any, message: Any) -> None:
        entry = self._entries.get(message.job_id)
        if entry is not None and entry.attempt == message.attempt:
            self._finish(entry, message.result)
            self._finish(entry, message.result)

    patch.setattr(LanguageQueue, "job_finished", finished)


def a_cancelled_job_still_waits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FairBacklog, "remove", lambda *_: True)


def a_removed_job_still_counts(patch: pytest.MonkeyPatch) -> None:
    remove = FairBacklog.remove

    def miscount(self: Any, client: str, job_id: str) -> bool:
        found = remove(self, client, job_id)
        self._count += found
        return found

    patch.setattr(FairBacklog, "remove", miscount)


def a_delivered_job_is_not_told_to_the_scheduler(patch: pytest.MonkeyPatch) -> None:
    take = LanguageQueue._take  # noqa: SLF001 - what is to be broken

    def silently(self: Any, lease: Any) -> None:
        take(self, lease)
        self._changes.clear()

    patch.setattr(LanguageQueue, "_take", silently)


def what_waits_again_is_not_told(patch: pytest.MonkeyPatch) -> None:
    again = LanguageQueue._wait_again  # noqa: SLF001 - what is to be broken

    def silently(self: Any, entry: Any) -> None:
        again(self, entry)
        self._changes.clear()

    patch.setattr(LanguageQueue, "_wait_again", silently)


def another_clients_job_is_handed_out(patch: pytest.MonkeyPatch) -> None:
    def take(self: Any, _: str) -> Any:
        first = next(iter(self.counts()), None)
        return None if first is None else taken(self, first[0])

    taken = FairBacklog.take
    patch.setattr(FairBacklog, "take", take)


# -------------------------------------------------------------------- the scheduler


def one_more_runs_than_may(patch: pytest.MonkeyPatch) -> None:
    def widen(self: Any, _: Any) -> None:
        budget = replace(self._budget, running_max=self._budget.running_max + 1)
        self._slots = Slots(budget)

    patch.setattr(Scheduler, "boot", before(Scheduler, "boot", widen))


def a_slot_is_freed_at_its_dispatch(patch: pytest.MonkeyPatch) -> None:
    dispatch = Scheduler._dispatch  # noqa: SLF001 - what is to be broken

    def dispatch_and_free(self: Any, match: Any) -> None:
        dispatch(self, match)
        self._slots = Slots(self._budget)

    patch.setattr(Scheduler, "_dispatch", dispatch_and_free)


def a_dead_containers_slot_is_never_free(patch: pytest.MonkeyPatch) -> None:
    def gone(self: Any, message: Any) -> None:
        self._idle[message.language].remove(message.container)

    patch.setattr(Scheduler, "container_gone", gone)


def a_freed_slot_is_not_used(patch: pytest.MonkeyPatch) -> None:
    def freed(self: Any, message: Any) -> None:
        self._hear(message.container, message.answers)

    patch.setattr(Scheduler, "slot_freed", freed)


def a_declined_container_is_lost(patch: pytest.MonkeyPatch) -> None:
    def declined(self: Any, message: Any) -> None:
        self._turns[message.language].clear(message.client)
        self._free_slot(message.container)

    patch.setattr(Scheduler, "dispatch_declined", declined)


def a_declined_job_counts_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Turns, "clear", nothing)


def whoever_waits_is_a_guest(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Scheduler, "_lane", lambda *_: Lane.NEWCOMER)


def nobody_is_a_guest(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Slots, "left_to_guests", Slots.left)


def who_has_begun_still_is_a_guest(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Turns, "sort", nothing)


def a_client_keeps_its_lane(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Scheduler, "_sort", nothing)


def a_guest_counts_for_ever(patch: pytest.MonkeyPatch) -> None:
    free = Slots.free

    def forget_to_count(self: Any, container: str) -> Any:
        slot = free(self, container)
        if slot is not None and slot.guest_mb is not None:
            self._guests_mb += slot.guest_mb
            self._guests += 1
        return slot

    patch.setattr(Slots, "free", forget_to_count)


def a_new_scheduler_does_not_hear_whose_job_runs(patch: pytest.MonkeyPatch) -> None:
    def nobodys(self: Any, message: Any) -> None:
        busy(self, replace(message, client="nobody"))

    busy = Scheduler.container_busy
    patch.setattr(Scheduler, "container_busy", nobodys)


def a_container_does_not_say_whose_it_is(patch: pytest.MonkeyPatch) -> None:
    def everybodys(self: Any, message: Any) -> None:
        idle(self, replace(message, tenant=""))

    idle = Scheduler.container_idle
    patch.setattr(Scheduler, "container_idle", everybodys)
    patch.setattr(Container, "run_job", run_whatever_comes(Container.run_job))


def run_whatever_comes(run_job: Any) -> Any:
    def run(self: Any, message: Any) -> None:
        self._tenant = None
        run_job(self, message)

    return run


def nothing_is_retired_for_another_client(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Scheduler, "_renew", nothing)


def a_new_scheduler_asks_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Scheduler, "boot", nothing)


def a_new_scheduler_does_not_wait_for_answers(patch: pytest.MonkeyPatch) -> None:
    def hurry(self: Any, _: Any) -> None:
        self._unheard.clear()

    patch.setattr(Scheduler, "settle", before(Scheduler, "settle", hurry))


def a_new_scheduler_takes_news_for_answers(patch: pytest.MonkeyPatch) -> None:
    def hear(self: Any, container: str, _: str) -> None:
        self._unheard.discard(container)

    patch.setattr(Scheduler, "_hear", hear)


def a_new_scheduler_does_not_hear_who_is_busy(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Scheduler, "container_busy", nothing)


# ----------------------------------------------------------- containers and the pool


def a_container_is_called_idle_before_it_is_clean(patch: pytest.MonkeyPatch) -> None:
    done = Container._done  # noqa: SLF001 - what is to be broken

    def done_and_idle(self: Any, evidence: Any) -> None:
        done(self, evidence)
        self._enter("idle")
        self.tell(self._scheduler, ContainerIdle(self.name, self._language))

    patch.setattr(Container, "_done", done_and_idle)


def a_container_dies_without_a_word(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Container, "tell", silent_at_the_end(Container.tell))


def silent_at_the_end(tell: Any) -> Any:
    def told(self: Any, name: str, message: object) -> bool:
        return True if self._over else bool(tell(self, name, message))

    return told


def a_cancel_is_not_passed_on(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Container, "cancel_job", nothing)


def a_dead_container_is_not_replaced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PoolSupervisor, "child_exited", nothing)


def a_pool_that_has_paused_never_goes_on(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PoolSupervisor, "time_out", nothing)


def a_pool_never_grows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PoolSupervisor, "grow_pool", nothing)


BUGS = [
    a_dead_containers_job_is_forgotten,
    what_waits_is_kept_though_its_lease_is_lost,
    an_end_is_acknowledged_before_its_confirm,
    a_confirmed_end_is_not_acknowledged,
    a_restart_is_no_new_attempt,
    a_job_may_be_begun_for_ever,
    a_job_is_given_up_too_early,
    the_end_of_a_void_attempt_counts,
    an_end_is_told_twice,
    a_cancelled_job_still_waits,
    a_removed_job_still_counts,
    a_delivered_job_is_not_told_to_the_scheduler,
    what_waits_again_is_not_told,
    another_clients_job_is_handed_out,
    one_more_runs_than_may,
    a_slot_is_freed_at_its_dispatch,
    a_dead_containers_slot_is_never_free,
    a_freed_slot_is_not_used,
    a_declined_container_is_lost,
    a_declined_job_counts_for_ever,
    whoever_waits_is_a_guest,
    nobody_is_a_guest,
    who_has_begun_still_is_a_guest,
    a_client_keeps_its_lane,
    a_guest_counts_for_ever,
    a_new_scheduler_does_not_hear_whose_job_runs,
    a_container_does_not_say_whose_it_is,
    nothing_is_retired_for_another_client,
    a_new_scheduler_asks_nobody,
    a_new_scheduler_does_not_wait_for_answers,
    a_new_scheduler_takes_news_for_answers,
    a_new_scheduler_does_not_hear_who_is_busy,
    a_container_is_called_idle_before_it_is_clean,
    a_container_dies_without_a_word,
    a_cancel_is_not_passed_on,
    a_dead_container_is_not_replaced,
    a_pool_that_has_paused_never_goes_on,
    a_pool_never_grows,
]
