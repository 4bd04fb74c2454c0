"""What is told of a job that was accepted: enough to keep its log, and no more."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

from actors.messages import Accepted

if TYPE_CHECKING:
    from actors.messages import Job

CLIENT_BYTES = 8
"""Of a client's digest: few enough for each job, and no two of a service's clients
are likely to have the same."""
JOB_BYTES = 1000
"""What a job costs beside its contents, roughly."""


def acceptance(job: Job) -> Accepted:
    """Return the job's acceptance."""
    return Accepted(
        job.language,
        job.created_at,
        job.fingerprint,
        digest(job.client),
        size_of(job),
        job.stdin_open,
    )


def size_of(job: Job) -> int:
    """Return about how many bytes a job holds."""
    size = JOB_BYTES + len(job.stdin)
    for file in job.files:
        size += len(file.content)
    for words in (job.args, job.compile_args, *job.env):  # mostly there are none
        size += sum(map(len, words))
    return size


@lru_cache(maxsize=1024)
def digest(client: str) -> str:
    """Return a name for the client that is short, however long its own is.

    Whoever keeps logs has only to tell clients apart, and needs no addresses for it.
    """
    if not client:
        return ""
    return blake2b(client.encode(), digest_size=CLIENT_BYTES).hexdigest()
