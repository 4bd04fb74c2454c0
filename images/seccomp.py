"""The system calls that programs in a container may make, with the reason of each.

`python -m images.seccomp` prints the list as Docker takes it, which is seccomp.json.
What stands in no group fails with EPERM, also what kernels to come will add. Only
64-bit calls are let through: the 32-bit and x32 doors lead to the same kernel by
other numbers, and end the thread that tries them.
"""

from __future__ import annotations

import errno
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

ALLOW, REFUSE = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
ARCHITECTURES = ("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64")

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
NETLINK_ROUTE = 0
ANY_PROTOCOL, TCP, UDP = 0, 6, 17
NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, -CGROUP, -UTS, -IPC, -USER, -PID and -NET."""
INT = 0xFFFFFFFF
"""What the kernel looks at of an argument that is an int, whatever stands above."""
SOL_IPV6 = 41
SOCKET_LEVELS = (0, 1, 6, 17, 270)
"""SOL_IP, SOL_SOCKET, SOL_TCP, SOL_UDP and SOL_NETLINK."""
IPV6_OPTIONS = (*range(16, 32), *range(42, 47), *range(49, 53), 62, 66, 67, 72, 76, 78)
"""All that others than root use, but the labels of flows (32 and 33): IPV6_UNICAST_HOPS
to -RECVERR_RFC4884, MCAST_JOIN_GROUP to -LEAVE_SOURCE_GROUP, IPV6_RECVPKTINFO to
-HOPLIMIT, -DONTFRAG, -RECVTCLASS, -TCLASS, -ADDR_PREFERENCES, -UNICAST_IF and
-FREEBIND."""
PERSONALITIES = (0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
"""Linux, with 3 GB only, under an old version's name, both, and the question."""


@dataclass(frozen=True, slots=True)
class Argument:
    """What one argument has to be; with a mask, what is left of it."""

    index: int
    value: int
    mask: int | None = None

    def rule(self) -> dict[str, Any]:
        """Return it in Docker's terms."""
        if self.mask is None:
            return {"index": self.index, "value": self.value, "op": "SCMP_CMP_EQ"}
        return {
            "index": self.index,
            "value": self.mask,
            "valueTwo": self.value,
            "op": "SCMP_CMP_MASKED_EQ",
        }


@dataclass(frozen=True, slots=True)
class Group:
    """System calls that are let through for one reason."""

    reason: str
    names: str
    arguments: tuple[Argument, ...] = ()
    action: str = ALLOW
    error: int | None = None
    only_on: str = ""
    """The architecture, in Docker's terms, that alone has them."""

    def rule(self) -> dict[str, Any]:
        """Return it in Docker's terms."""
        found: dict[str, Any] = {
            "comment": self.reason,
            "names": sorted(self.names.split()),
            "action": self.action,
        }
        if self.error is not None:
            found["errnoRet"] = self.error
        if self.arguments:
            found["args"] = [argument.rule() for argument in self.arguments]
        if self.only_on:
            found["includes"] = {"arches": [self.only_on]}
        return found


def _sockets() -> Iterable[Group]:
    """Yield the kinds of sockets: each more is a part of the kernel more."""
    local = "sockets between a program's own threads and processes"
    yield Group(local, "socket socketpair", (Argument(0, AF_UNIX),))
    loopback = "TCP and UDP on the container's own loopback, and no other protocol"
    for family in (AF_INET, AF_INET6):
        for protocol in (ANY_PROTOCOL, TCP, UDP):
            arguments = (Argument(0, family), Argument(2, protocol))
            yield Group(loopback, "socket", arguments)
    yield Group(
        "getaddrinfo and if_nameindex ask which interfaces there are",
        "socket",
        (Argument(0, AF_NETLINK), Argument(2, NETLINK_ROUTE)),
    )


def _socket_options() -> Iterable[Group]:
    """Yield those which end with their socket.

    The kernel keeps the label of a flow for minutes longer, with bytes of the program's
    choice that a later one could read, and has 4096 of them for the whole host.
    """
    for level in SOCKET_LEVELS:
        of_level = Argument(1, level, mask=INT)
        yield Group("options of sockets", "setsockopt", (of_level,))
    for option in IPV6_OPTIONS:
        arguments = (Argument(1, SOL_IPV6, mask=INT), Argument(2, option, mask=INT))
        yield Group("options of IPv6, but no labels", "setsockopt", arguments)


def _personalities() -> Iterable[Group]:
    reason = "setarch and runtimes ask for it; none that weakens address randomisation"
    for value in PERSONALITIES:
        yield Group(reason, "personality", (Argument(0, value),))


GROUPS = (
    Group(
        "read and write what is open",
        """
        close close_range copy_file_range dup dup3 fcntl fdatasync flock
        fsync ftruncate ioctl lseek pread64 preadv preadv2 pwrite64 pwritev
        pwritev2 read readahead readv sendfile splice sync_file_range tee
        vmsplice write writev fallocate pipe2
        """,
    ),
    Group(
        "open, look at, make and remove files: permissions and mounts bound what",
        """
        cachestat chdir faccessat faccessat2 fchdir fchmod fchmodat
        fchmodat2 fchown fchownat fstat fstatfs getcwd getdents64 linkat
        mkdirat mknodat newfstatat openat openat2 readlinkat renameat
        renameat2 statfs statx symlinkat truncate umask unlinkat utimensat
        """,
    ),
    Group(
        "extended attributes: only of files that are the job's, and go with them",
        """
        fgetxattr flistxattr fremovexattr fsetxattr getxattr lgetxattr
        listxattr llistxattr lremovexattr lsetxattr removexattr setxattr
        """,
    ),
    Group(
        "memory of one's own",
        """
        brk madvise membarrier memfd_create mincore mlock mlock2 mlockall
        mmap mprotect mremap mseal msync munlock munlockall munmap
        pkey_alloc pkey_free pkey_mprotect remap_file_pages
        """,
    ),
    Group(
        "processes and threads; RLIMIT_NPROC and the pids limit bound how many",
        """
        execve execveat exit exit_group futex futex_requeue futex_wait
        futex_waitv futex_wake get_robust_list getcpu getpgid getpid getppid
        getpriority getrusage getsid gettid pidfd_open prctl prlimit64
        getrlimit setrlimit restart_syscall rseq sched_get_priority_max
        sched_get_priority_min sched_getaffinity sched_getattr
        sched_getparam sched_getscheduler sched_rr_get_interval
        sched_setaffinity sched_setattr sched_setparam sched_setscheduler
        sched_yield set_robust_list set_tid_address setpgid setpriority
        setsid wait4 waitid ioprio_get ioprio_set
        """,
    ),
    Group(
        "fork and threads, but no new namespace",
        "clone",
        (Argument(0, 0, mask=NEW_NAMESPACES),),
    ),
    Group(
        "its flags lie in memory where no filter sees them: the C library then uses "
        "clone",
        "clone3",
        action=REFUSE,
        error=errno.ENOSYS,
    ),
    Group(
        "asked for by runtimes that do without it when the kernel has none",
        "io_uring_setup io_uring_enter io_uring_register",
        action=REFUSE,
        error=errno.ENOSYS,
    ),
    Group(
        "done before they begin: no job has bytes on a disk, so only others' would be "
        "written",
        "sync syncfs",
        action=REFUSE,
        error=0,
    ),
    Group(
        "advice: taken, it has the files of all containers leave the cache",
        "fadvise64",
        action=REFUSE,
        error=0,
    ),
    Group(
        "signals: the kernel delivers them to one's own uid only",
        """
        kill pidfd_send_signal rt_sigaction rt_sigpending rt_sigprocmask
        rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
        rt_tgsigqueueinfo sigaltstack signalfd4 tgkill tkill
        """,
    ),
    Group(
        "time and timers",
        """
        clock_getres clock_gettime clock_nanosleep getitimer gettimeofday
        nanosleep setitimer timer_create timer_delete timer_getoverrun
        timer_gettime timer_settime timerfd_create timerfd_gettime
        timerfd_settime times
        """,
    ),
    Group(
        "wait for many things; inotify's quotas are by uid, and uids by container",
        """
        epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 eventfd2
        inotify_add_watch inotify_init1 inotify_rm_watch ppoll pselect6
        """,
    ),
    Group(
        "use sockets once they are made",
        """
        accept accept4 bind connect getpeername getsockname getsockopt
        listen recvfrom recvmmsg recvmsg sendmmsg sendmsg sendto shutdown
        """,
    ),
    *_sockets(),
    *_socket_options(),
    Group(
        "who one is; the runner's children become their job's uid by these",
        """
        capget capset getegid geteuid getgid getgroups getresgid getresuid
        getuid setfsgid setfsuid setgid setgroups setregid setresgid
        setresuid setreuid setuid
        """,
    ),
    Group("what machine this is", "getrandom sysinfo uname"),
    *_personalities(),
    Group(
        "the same under the names that x86-64 alone still has",
        """
        access alarm arch_prctl chmod chown creat dup2 epoll_create
        epoll_wait eventfd fork futimesat getdents getpgrp inotify_init
        lchown link lstat mkdir mknod open pause pipe poll readlink rename
        rmdir select signalfd stat symlink time unlink utime utimes vfork
        """,
        only_on="amd64",
    ),
)


def profile() -> dict[str, Any]:
    """Return the whole list in Docker's terms."""
    return {
        "defaultAction": REFUSE,
        "archMap": [
            {"architecture": name, "subArchitectures": []} for name in ARCHITECTURES
        ],
        "syscalls": [group.rule() for group in GROUPS],
    }


def text() -> str:
    """Return what seccomp.json has to say."""
    return json.dumps(profile(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
