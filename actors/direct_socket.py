"""A way to a container's runner that does not lead through Docker.

Docker's attach stream has each message pass two more processes, which takes longer than
all else between the gateway and the runner. Where we are root on the runner's own host
the kernel lets us share a socket that it has made for us. Nothing is mounted, nothing
listens, and no program in the container can reach it.
"""

from __future__ import annotations

import ctypes
import os
import socket
import stat
import struct
from contextlib import suppress

_PIDFD_OPEN, _PIDFD_GETFD = 434, 438
"""On all processors; `os` has no word for the one, and not always for the other."""
_SO_PASSRIGHTS = 83
"""Whether descriptors may come by a socket (Linux 6.16)."""
_CREDENTIALS = struct.Struct("3i")
_libc = ctypes.CDLL(None, use_errno=True)


def take_over(pid: int, fd: int, inode: int) -> socket.socket | None:
    """Return the socket that a process has at `fd`, where it is within our reach.

    It isn't with an engine on another host, or one whose processes are not what their
    containers think (gVisor), or where we aren't root. Whatever the pid may mean here,
    the inode and its maker tell whether it is the very socket that is meant.
    """
    ours = borrow(pid, fd)
    if ours is None:
        return None
    if not _is_made_by(pid, ours, inode):
        os.close(ours)
        return None
    found = socket.socket(fileno=ours)
    with suppress(OSError):  # of an older kernel, which then lets them come
        # Each would be closed by us, which can take as long as its sender likes.
        found.setsockopt(socket.SOL_SOCKET, _SO_PASSRIGHTS, 0)
    return found


def borrow(pid: int, fd: int) -> int | None:
    """Return a descriptor of ours for what a process has at `fd`; None if refused."""
    process = _libc.syscall(_PIDFD_OPEN, pid, 0)
    if process < 0:
        return None
    try:
        ours = int(_libc.syscall(_PIDFD_GETFD, process, fd, 0))
    finally:
        os.close(process)
    return None if ours < 0 else ours


def _is_made_by(pid: int, fd: int, inode: int) -> bool:
    status = os.fstat(fd)
    if not stat.S_ISSOCK(status.st_mode) or status.st_ino != inode:
        return False
    with socket.socket(fileno=os.dup(fd)) as pair:
        option = (socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return bool(_CREDENTIALS.unpack(pair.getsockopt(*option))[0] == pid)
