"""The launcher: makes the processes in which programs run.

Theory of operation. The launcher is a fork of the runner from before the first job,
which is then only asked to fork. A child drops to the job's uid at once and then blocks
on its control socket, so that the next job finds its process already there. What a job
brings (files, arguments, environment) goes from the runner to the child directly:
the launcher never sees it, so no child can inherit another's data from it.

Three kinds of children:

program  waits for a spec; may write the job's files; then executes a command or,
         where the launcher is itself the language's interpreter, simply returns
         into the interpreter's start-up, which goes on to run the main file.
starter  executes the language's starter when the container is clean; it does the
         waiting itself.
killer   as a job's uid: kills all that the uid runs. Only its effective uid is the
         job's; the real and the saved one are the guard's, which no other process has,
         so that the job's processes can't signal it while it can signal them.

For a language with a warm interpreter the runner becomes that interpreter first, on
the command line of the program to come, and this file is executed by its site start-up
(in sitecustomize). There the launcher forks off, and only its children go on to a main
file. All forks of one interpreter have its hash seed: so where no job comes for a
while, the child that waits for one executes the interpreter anew, and has a seed of its
own. What is imported here is taken out of sys.modules again: it must leave no trace.
"""

import sys

_modules_before = set(sys.modules)

import _signal  # type: ignore[import-not-found]
import _socket
import gc
import marshal
import posix
import resource
import select

TYPE_CHECKING = False  # typing itself would be one more module
if TYPE_CHECKING:
    from typing import Any

PYC_HEAD = 16
"""Before the code in a compiled file (PEP 552)."""
IN_SITE = __name__ == "warmbox_launcher"


def load(name: str) -> "Any":
    """Return the code of one of our own files."""
    with open(f"/opt/warmbox/{name}.pyc", "rb") as file:
        return marshal.loads(file.read()[PYC_HEAD:])


_python: "dict[str, Any]" = {"__name__": "warmbox_starter"}
if IN_SITE:
    # A program may put what it likes into its own.
    _python["__builtins__"] = dict(vars(sys.modules["builtins"]))
    exec(load("starter"), _python)
    sys.path_importer_cache.pop(_python["ctypes"].__path__[0], None)
    for _name in set(sys.modules) - _modules_before:
        del sys.modules[_name]

BOX_GID = 990
WORK = "/box/work"
HOME = "/box/home"
FDS_MAX = 1024
MESSAGE_BYTES = 1 << 16
REQUEST_FDS_MAX = 16
OOM_SCORE = b"500"
STARTER_FD = 3
LEISURE_MS = 20
"""A container that gets no job for so long is not busy."""
QUIET_MS = 230
"""And after so much more nobody needs the processor just now."""
OWN_FDS = "fds:"
"""What a child's own interpreter is given begins so; numbers of descriptors follow."""

_programs = 0
"""How many requests for a program's process there have been."""


def divide() -> "tuple[int, _socket.socket, int] | None":
    """Fork the launcher off.

    Returns its pid, our end of its socket and what to read its last words from; in a
    child of the launcher's that runs on in-process it returns nothing.
    """
    gc.collect()
    gc.freeze()  # or else each child's first collection copies the page of each object
    control, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    stderr_r, stderr_w = posix.pipe()
    pid = posix.fork()
    if pid:
        theirs.close()
        posix.close(stderr_w)
        posix.set_blocking(stderr_r, False)
        return pid, control, stderr_r
    try:
        dead_ends()
        posix.dup2(stderr_w, 2)
        posix.closerange(3, theirs.fileno())
        posix.closerange(theirs.fileno() + 1, FDS_MAX)
        control.detach()
        serve(theirs)
    except BaseException:  # whatever it is, site would only report it and go on
        try:
            sys.excepthook(*sys.exc_info())
        finally:
            posix._exit(125)  # what comes next here would be a job's main file, as root
    return None


def dead_ends() -> None:
    """Let nothing be read from 0, and nobody read from 1: they are the runner's."""
    for target in (0, 1):
        ends = posix.pipe()
        posix.dup2(ends[target], target)
        for fd in ends:
            posix.close(fd)


def serve(control: _socket.socket) -> None:
    """Fork on request, for ever. Returns only in a child that runs on in-process."""
    # A death must wake the poll: a handler alone could run just before it blocks.
    wake_r, wake_w = posix.pipe()
    posix.set_blocking(wake_w, False)
    _signal.set_wakeup_fd(wake_w)
    _signal.signal(_signal.SIGCHLD, lambda *_: None)
    poller = select.poll()
    poller.register(control.fileno(), select.POLLIN)
    poller.register(wake_r, select.POLLIN)
    while True:
        ready = [fd for fd, _ in poller.poll()]
        if wake_r in ready:
            posix.read(wake_r, 4096)
            report_exits(control)
        if control.fileno() in ready and fork_children(control, (wake_r, wake_w)):
            return


def fork_children(control: _socket.socket, wake: tuple[int, int]) -> bool:
    """Take one request. Returns True in a child that runs on in-process."""
    space = _socket.CMSG_SPACE(4 * REQUEST_FDS_MAX)
    data, ancillary = control.recvmsg(MESSAGE_BYTES, space)[:2]
    if not data:
        posix._exit(0)
    fds = received_fds(ancillary)
    uid, wanted = marshal.loads(data)
    pids = []
    global _programs  # noqa: PLW0603 - a child is a copy, and so knows it, too
    _programs += any(role == "program" for role, _, _ in wanted)
    for role, options, count in wanted:
        own, fds = fds[:count], fds[count:]
        pid = posix.fork()
        if pid == 0:
            _signal.set_wakeup_fd(-1)
            for fd in (*wake, *fds):
                posix.close(fd)
            become(role, uid, options, control, own)
            return True
        for fd in own:
            posix.close(fd)
        pids.append(pid)
    control.send(marshal.dumps(("forked", pids)))
    return False


def received_fds(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """Return the descriptors of a message, in order."""
    packed = b"".join(entry[2] for entry in ancillary)
    return [
        int.from_bytes(packed[i : i + 4], sys.byteorder)
        for i in range(0, len(packed), 4)
    ]


def report_exits(control: _socket.socket) -> None:
    """Tell the runner of every child that has ended, and whose it was."""
    look = posix.WEXITED | posix.WNOHANG | posix.WNOWAIT
    while True:
        try:
            found = posix.waitid(posix.P_ALL, 0, look)
        except ChildProcessError:
            return
        if found is None:
            return
        pid, status, usage = posix.wait4(found.si_pid, 0)
        notice = ("exited", pid, found.si_uid, status, usage.ru_utime + usage.ru_stime)
        control.send(marshal.dumps((*notice, usage.ru_maxrss)))


def become(
    role: str,
    uid: int,
    options: "dict[str, Any]",
    control: _socket.socket,
    fds: list[int],
) -> None:
    """Turn the forked process into what the runner asked for."""
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    control.close()
    posix.setsid()
    posix.umask(0o022)
    try:
        if role != "killer":
            be_ordinary()
        if role == "killer":
            killer(uid, options["guard"], fds[0])
        elif role == "starter":
            starter(uid, fds, options)
        else:
            program(uid, fds)
    except BaseException as error:  # a child must end here, never go on as launcher
        if fds:
            say(fds[0], b"!" + repr(error).encode("utf-8", "replace"))
        posix._exit(125)


def be_ordinary() -> None:
    """Have the usual priority: the host gives the launcher a higher one."""
    if posix.getpriority(posix.PRIO_PROCESS, 0) < 0:
        posix.setpriority(posix.PRIO_PROCESS, 0, 0)


def say(fd: int, message: bytes) -> None:
    """Write to the runner, which may be gone."""
    try:
        posix.write(fd, message)
    except OSError:
        posix._exit(124)


def drop(uid: int, gid: int, guard: int) -> None:
    """Give up root for good; `gid` stays effective until it is dropped too.

    A process is open to the signals of those whose uid is its real or saved one.
    """
    posix.setgroups([])
    posix.setresgid(uid, gid, uid)
    posix.setresuid(guard, uid, guard)


def score_file() -> int:
    """Open what tells the kernel whom to kill first; it is not ours after `drop`."""
    try:
        return posix.open("/proc/self/oom_score_adj", posix.O_WRONLY)
    except OSError:
        return -1  # another runtime's kernel


def volunteer(score: int) -> None:
    """Have the kernel kill this process before our own when memory runs out.

    Not while it waits: a job may take its own offer back, and would be outlived by it.
    """
    if score >= 0:
        posix.write(score, OOM_SCORE)
        posix.close(score)


def take_stdio(fds: list[int]) -> int:
    """Make the pipes 0, 1 and 2, and return the control descriptor."""
    for target, fd in enumerate(fds[1:4]):
        posix.dup2(fd, target)
        posix.close(fd)
    del fds[1:]
    return fds[0]


def read_frame(fd: int) -> bytes:
    """Return one message with a length before it; end quietly if none comes."""
    head = read_exactly(fd, 4)
    return read_exactly(fd, int.from_bytes(head, "big"))


def read_exactly(fd: int, count: int) -> bytes:
    """Return `count` bytes; a closed socket means that no job will come."""
    parts = []
    while count:
        part = posix.read(fd, min(count, 1 << 20))
        if not part:
            posix._exit(0)
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


# --------------------------------------------------------------------- program


def program(uid: int, fds: list[int]) -> None:
    """Wait for the spec, do what it says; returns to run on in-process."""
    control = take_stdio(fds)
    score = score_file()
    if IN_SITE:
        _python["warm_up"]()
    drop(uid, BOX_GID, uid)
    message = read_frame(control)
    if not message:  # the container is clean: what the next job needs can be made
        make_folders(uid)
        if IN_SITE:
            use_leisure(control, score)
        message = read_frame(control)
    posix.setresgid(uid, uid, uid)
    take_job(control, score, message)
    fds.clear()


def take_job(control: int, score: int, message: bytes) -> None:
    """Do what the spec says; returns to run on in-process."""
    volunteer(score)
    spec = marshal.loads(message)
    posix.chdir(WORK)
    if spec["files"] is not None:
        stage(spec["files"])
    if spec["then"] != "exit":
        set_limits(spec["limits"])
    say(control, b"+")
    if spec["then"] == "exit":
        posix._exit(0)
    if spec["then"] == "exec":
        execute(spec["argv"], spec["env"])
    sys.modules.pop("resource", None)  # wait4 imports it to name what it returns
    posix.closerange(3, FDS_MAX)
    _python["become"](spec["argv"])


def use_leisure(control: int, score: int) -> None:
    """Do what only spares the next job some, and what needs more time than jobs do."""
    if not is_idle(control, LEISURE_MS):
        return
    _python["rehearse"]()
    # The first program is the only one that the seed has been used for.
    if _programs > 1 and is_idle(control, QUIET_MS):
        renew(control, score)


def is_idle(control: int, ms: int) -> bool:
    """Tell whether no job comes for so long."""
    poller = select.poll()
    poller.register(control, select.POLLIN)
    return not poller.poll(ms)


def renew(control: int, score: int) -> None:
    """Execute the interpreter, for a hash seed of its own; it comes to `renewed`.

    Its memory is its own then, too, some 4 MB that forks share: so only in leisure.
    """
    for fd in (control, score):
        if fd >= 0:
            posix.set_inheritable(fd, True)
    posix.chdir(WORK)
    own = {b"WARMBOX_LAUNCHER": f"{OWN_FDS}{control},{score}".encode()}
    try:
        posix.execve(sys.executable, sys.orig_argv, {**posix.environ, **own})
    except OSError:
        return  # then with the seed that there is


def renewed(control: int, score: int) -> None:
    """Go on waiting for the job; returns to run on in-process."""
    _python["launcher"] = globals()  # as in `start_in_site`
    _python["prepare_alone"]()
    gc.collect()
    gc.freeze()  # or else a program's end would look at all that there was before it
    _python["warm_up"]()
    take_job(control, score, read_frame(control))


def make_folders(uid: int) -> None:
    """Make the job's folders where no job may; only the group is allowed to."""
    for folder in (WORK, HOME):
        posix.mkdir(folder, 0o700)
    posix.setresgid(uid, uid, uid)
    for folder in (WORK, HOME):
        posix.chown(folder, -1, uid)


def stage(files: list[tuple[str, bytes, int]]) -> None:
    """Write the job's files, as its uid, where no job has been before."""
    made = {WORK}
    for name, content, mode in files:
        folder = WORK
        for part in name.split("/")[:-1]:
            folder += "/" + part
            if folder not in made:
                posix.mkdir(folder, 0o755)
                made.add(folder)
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW
        fd = posix.open(WORK + "/" + name, flags, mode)
        left = content
        while left:
            left = left[posix.write(fd, left) :]
        posix.close(fd)


def set_limits(limits: dict[str, tuple[int, int]]) -> None:
    """Set soft and hard limits; they can't be raised again."""
    for name, pair in limits.items():
        number = getattr(resource, "RLIMIT_" + name)
        most = resource.getrlimit(number)[1]
        if most == resource.RLIM_INFINITY:
            most = max(pair)
        resource.setrlimit(number, (min(pair[0], most), min(pair[1], most)))


def execute(argv: list[str], env: dict[str, str]) -> None:
    """Replace this process by the command, found on the PATH of its environment."""
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_DFL)
    posix.closerange(3, FDS_MAX)
    name = argv[0]
    folders = [""] if "/" in name else env.get("PATH", "").split(":")
    for folder in folders:
        path = folder + "/" + name if folder else name
        try:
            posix.execve(path, argv, env)
        except OSError as error:
            problem = error
    line = f"{name}: {problem.strerror}\n"
    posix.write(2, line.encode("utf-8", "replace"))
    posix._exit(126 if isinstance(problem, PermissionError) else 127)


# --------------------------------------------------------------------- starter


def starter(uid: int, fds: list[int], options: "dict[str, Any]") -> None:
    """Execute the language's starter, which blocks on descriptor 3.

    Not before the container is clean: what it holds then would look left behind.
    """
    control = take_stdio(fds)
    if control != STARTER_FD:
        posix.dup2(control, STARTER_FD)
        posix.close(control)
    fds[:] = [STARTER_FD]
    volunteer(score_file())
    drop(uid, uid, uid)
    set_limits(options["limits"])
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_DFL)
    posix.closerange(STARTER_FD + 1, FDS_MAX)
    read_exactly(STARTER_FD, 1)
    posix.execve(options["path"], options["argv"], options["env"])


# ---------------------------------------------------------------------- killer


def killer(uid: int, guard: int, control: int) -> None:
    """Kill, and say so."""
    drop(uid, BOX_GID, guard)
    kill_all()
    say(control, b"k")
    posix._exit(0)


def kill_all() -> None:
    """Kill every process of this uid but this one.

    The kernel walks all processes under the lock that a fork needs, and a fork with
    a fatal signal pending fails: one call leaves none alive.
    """
    try:
        posix.kill(-1, _signal.SIGKILL)
    except ProcessLookupError:
        return


# --------------------------------------------------------------------- in site


def start_in_site() -> None:
    """Prepare the interpreter, and be the runner again; returns in a program only."""
    variable = posix.environ[b"WARMBOX_LAUNCHER"].decode()
    if variable.startswith(OWN_FDS):
        own_seed(*map(int, variable.removeprefix(OWN_FDS).split(",")))
        return
    given = variable.split(",")
    # Which would otherwise be freed, bit by bit, when a child goes on from here.
    _python["launcher"] = globals()
    _python["prepare"]()
    gc.collect()
    _python["keep"](gc.get_objects())
    made = divide()
    if made is None:
        return
    try:
        config_fd, *host = map(int, given)
        # Not before: a program can read all that was in the memory it is a fork of.
        config = posix.read(config_fd, MESSAGE_BYTES)
        posix.close(config_fd)
        for target, fd in enumerate(host):
            posix.dup2(fd, target)
            posix.close(fd)
        posix.chdir("/")
        runner: dict[str, Any] = {"__name__": "warmbox_runner"}
        runner["__file__"] = "/opt/warmbox/runner.pyc"
        exec(load("runner"), runner)
        _python["forsake"]()
        runner["run"](config, *made)
    except BaseException:  # for the host to read; see `finally`
        sys.excepthook(*sys.exc_info())
    finally:
        posix._exit(1)  # what comes next here would be a job's main file, as root


def own_seed(control: int, score: int) -> None:
    """Be what a child has become; returns in a program only."""
    try:
        renewed(control, score)
    except BaseException as error:
        say(control, b"!" + repr(error).encode("utf-8", "replace"))
        posix._exit(125)  # what comes next here would be a main file without a job


if IN_SITE:
    start_in_site()
