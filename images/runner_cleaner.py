"""Removes all that a job has left in the places where it could write.

The runner does this itself, when no process of the job is left, under the job's own
uid: what it opens and removes it may because the job might have, and its capabilities
rest meanwhile. Its real and saved uid stay root's, so nobody could signal it.
"""

from __future__ import annotations

import posix
import select
import stat
import time

from images.runner_children import BOX_GID, HOME, WORK
from images.runner_host import Dirty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHARED = ("/tmp", "/dev/shm", "/dev/mqueue")  # noqa: S108 - places to empty
PTMX = "/dev/pts/ptmx"
"""Anybody may give it the time of now; all else in /dev is read-only."""
ENTRIES_MAX = 200_000
PIECE_BYTES = 1 << 20
PIECES_MAX = 256
PAUSE_S = 0.0001
_BLOCK_BYTES = 512
_FOLDER = posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW


def clean(uid: int, deadline: float, meanwhile: Callable[[], object]) -> None:
    """Remove it all; raises Dirty when that can't be done in time.

    uid: the job's, of which no process may be left.
    meanwhile: called now and then, when it takes long.
    """
    posix.setegid(BOX_GID)
    posix.seteuid(uid)
    try:
        _Cleaner(deadline, meanwhile).clean()
    except OSError as error:
        raise Dirty(f"what was left can't be removed: {error}") from None
    finally:
        posix.seteuid(0)
        posix.setegid(0)
    for path in (*SHARED, PTMX):
        _stamp(path)


class _Cleaner:
    """One cleaning."""

    def __init__(self, deadline: float, meanwhile: Callable[[], object]) -> None:
        self._deadline = deadline
        self._meanwhile = meanwhile
        self._left = ENTRIES_MAX
        self._token = posix.urandom(8).hex()
        """Begins the names of what is moved up; a job can't have guessed it."""

    def clean(self) -> None:
        for folder in SHARED:
            self._empty(folder)
        for folder in (WORK, HOME):
            self._remove(folder)

    def _remove(self, folder: str) -> None:
        """Remove a directory with all that is in it, if it is there."""
        if _remove_empty(folder):
            return
        posix.chmod(folder, 0o700)
        self._empty(folder)
        posix.rmdir(folder)

    def _empty(self, folder: str) -> None:
        """Remove all that this uid has in `folder`, at any depth.

        Iterative and with one descriptor a level of one: a subdirectory's own
        subdirectories are moved up beside it first, so depth costs nothing.
        """
        try:
            top = posix.open(folder, _FOLDER)
        except FileNotFoundError:
            return
        try:
            while self._empty_once(top):
                pass  # what was moved up may be behind where the reading was
        finally:
            posix.close(top)

    def _empty_once(self, top: int) -> bool:
        """Remove what is found; False when nothing can have been moved up."""
        is_deep = False
        for entry in _entries(top):
            is_deep |= self._remove_entry(top, entry)
        return is_deep

    def _remove_entry(self, top: int, entry: posix.DirEntry[str]) -> bool:
        """Unlink one entry of `top`, or empty and remove the directory that it is.

        Returns whether it was a directory.
        """
        self._spend()
        name = entry.name
        if not entry.is_dir(follow_symlinks=False):
            self._unlink(top, name)
            return False
        posix.chmod(name, 0o700, dir_fd=top)
        fd = posix.open(name, _FOLDER, dir_fd=top)
        try:
            for child in _entries(fd):
                self._spend()
                if child.is_dir(follow_symlinks=False):
                    posix.chmod(child.name, 0o700, dir_fd=fd)
                    place = f"{self._token}.{self._left}"
                    posix.rename(child.name, place, src_dir_fd=fd, dst_dir_fd=top)
                else:
                    self._unlink(fd, child.name)
        finally:
            posix.close(fd)
        posix.rmdir(name, dir_fd=top)
        return True

    def _unlink(self, folder: int, name: str) -> None:
        """Remove a file; a large one bit by bit.

        To give back a hundred megabytes at once would keep a processor for so long that
        the next job, in another container, had to wait for it.
        """
        found = posix.stat(name, dir_fd=folder, follow_symlinks=False)
        is_large = found.st_blocks * _BLOCK_BYTES > PIECE_BYTES
        if is_large and stat.S_ISREG(found.st_mode):
            posix.chmod(name, 0o600, dir_fd=folder)
            fd = posix.open(name, posix.O_WRONLY | posix.O_NOFOLLOW, dir_fd=folder)
            try:
                # It may have holes, and be of any size.
                step = max(PIECE_BYTES, found.st_size // PIECES_MAX)
                for length in range(found.st_size - step, 0, -step):
                    posix.ftruncate(fd, length)
                    self._meanwhile()
                    select.select((), (), (), PAUSE_S)
            finally:
                posix.close(fd)
        posix.unlink(name, dir_fd=folder)

    def _spend(self) -> None:
        """Count an entry; too many are left to the container's end."""
        self._left -= 1
        self._meanwhile()
        if self._left < 0:
            raise Dirty("left behind: too many entries")
        if time.monotonic() > self._deadline:
            raise Dirty("left behind: more than can be removed in time")


def _entries(folder: int) -> Iterator[posix.DirEntry[str]]:
    """Yield what is there, without a list of it all."""
    with posix.scandir(folder) as found:
        yield from found


def _remove_empty(folder: str) -> bool:
    """Remove a directory that has nothing in it; True when it is not there any more."""
    try:
        posix.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _stamp(path: str) -> None:
    """Give it our own times: a job's say when it last was there."""
    try:
        posix.utime(path)
    except OSError:
        return  # it has none, or is not there
