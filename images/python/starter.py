"""What makes a fork of the launcher look like `python3 main.py`, and end as quickly.

The runner executes this file once it is the programs' interpreter, before the launcher
forks off. A child of the launcher's calls `warm_up` before it waits for its job, and
`become` with the job.

The beginning. A page that a child only reads stays shared with all others. So what
there is before the forks is made immortal (`keep`), or else each look at an object
would count a reference and copy its page; and the way to a main file's end has been
gone a few times (`rehearse`), so that the interpreter has nothing left to adapt to. A
child goes it once more if no job comes for a while: that takes as much of the
processor as the job itself, but nobody's time.

The end. A forked interpreter shares its memory with the launcher until it writes to
it, and an interpreter that finalises itself writes to nearly all: some thousand page
faults, half of a short program's time. So when the main file has come to its end and
nothing is left that could tell the difference, `leave` does what finalising does to
the program's own objects (Py_FinalizeEx and finalize_modules in CPython 3.13: modules
go in order of import, then the garbage, then what still lives is emptied, last first)
and leaves the interpreter's own objects to the kernel. In any doubt it does nothing,
and the interpreter finalises itself as always: after an exception or sys.exit, with
threads, foreign extension modules, anything put into a module of the interpreter's, or
another object for a standard stream: the first one may hold output still.
"""

import sys

import _operator
import _thread
import _weakref
import atexit
import ctypes
import gc
import posix

_libc = ctypes.CDLL(None)
_prctl, _fflush, _fopen = _libc.prctl, _libc.fflush, _libc.fopen
_c_pointer = _fopen.restype = ctypes.c_void_p
_ModuleType = type(sys)
_CodeType = type((lambda: None).__code__)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4
_REHEARSALS, _REHEARSALS_ALONE = 20, 4
_IMMORTAL = 2**32 - 1
_REHEARSAL = "/opt/warmbox/starter.rehearsal.py"
_TOOL = 4  # of the six that sys.monitoring has, one that no kind of tool has claimed
_PY_START = sys.monitoring.events.PY_START
_PY_RETURN = sys.monitoring.events.PY_RETURN
_TAG_OFFSET = 24  # of a dictionary's ma_version_tag (PEP 509), up to CPython 3.13
_OWN_EXTENSIONS = sys.platlibdir + "/python3"

_main_returned = False
_interpreters = {}
"""The modules that are there before the main file, but for its own."""
_tags = []
"""Where the interpreter counts the changes of each, in the same order."""
_versions = b""
"""What was there when the main file began."""
_streams = []


def prepare():
    """Before all forks: the environment is already the programs', but for our part."""
    forget_variable()
    watch_main()
    # The interpreter adapts code to what it meets the first few times.
    for _ in range(_REHEARSALS):
        rehearse()
    hand_down_text()


def prepare_alone():
    """Where no fork follows: as above, but for what only spares forks some."""
    forget_variable()
    watch_main()
    for _ in range(_REHEARSALS_ALONE):
        rehearse()


def forget_variable():
    """Take our part out of the environment."""
    import os

    del os.environ["WARMBOX_LAUNCHER"]  # posix.environ is the dictionary beneath


def hand_down_text():
    """Have a fork get the interpreter's code mapped, not just the right to map it.

    The kernel copies the page table of a mapping only if one page of it is private
    (vma_needs_copy, in mm/memory.c); of any other, a child maps what it comes to, in
    some eighty page faults. So one byte of each is written, as it was.
    """
    try:
        memory = posix.open("/proc/self/mem", posix.O_RDWR)
    except OSError:
        return  # another runtime's kernel
    try:
        for start in starts_of_text():
            posix.pwrite(memory, posix.pread(memory, 1, start), start)
    except OSError:
        return  # it doesn't let us
    finally:
        posix.close(memory)


def starts_of_text():
    """Return where each mapping begins that no program writes to, of the large files."""
    with open("/proc/self/maps") as maps:
        lines = [line for line in maps if " r-xp " in line or " r--p " in line]
    own = [line for line in lines if "/bin/python3" in line or "/libc.so" in line]
    return [int(line.partition("-")[0], 16) for line in own]


def keep(objects):
    """Have these objects, and all that they refer to, live for ever.

    A reference to such an object is not counted (PEP 683): a child that only looks
    at it does not write to its page, and does not have to copy it. But a stream that
    a program lets go of flushes what it holds.
    """
    while objects:
        mortal = [one for one in objects if is_mortal(one)]
        for one in mortal:
            ctypes.c_uint32.from_address(id(one)).value = _IMMORTAL
        objects = gc.get_referents(*mortal)
        # A code object does not tell the collector what it refers to.
        objects += [one.co_consts for one in mortal if type(one) is _CodeType]
    # The first large allocation after a fork sorts all chunks that were ever freed,
    # and so copies the page of each. Now there are none.
    del mortal
    _libc.malloc_trim(0)


def is_mortal(one):
    """Tell whether it can be freed, and need not be."""
    return sys.getrefcount(one) < _IMMORTAL >> 1 and type(one).__module__ != "_io"


def warm_up():
    """Do what does not depend on the job."""
    # What is frozen is never collected, and at exit __main__ shall be: it holds the
    # program's own objects, and some have a __del__.
    sys.modules["__main__"] = copy_of_main()
    # Where site looks for it, in the home of a job, it never is: spare it the search.
    sys.modules["usercustomize"] = None


def rehearse():
    """Go once the way from here to a main file's end, by the interpreter's own means.

    A page is mapped, or copied, when it is first touched: that takes longer than the
    way itself, and here nobody waits for it.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = copy_of_main()
    for hook in sys.path_hooks:
        try:
            hook(_REHEARSAL)
        except ImportError:
            continue  # the file is no place to import from
    run = ctypes.pythonapi.PyRun_AnyFileExFlags
    run(_c_pointer(_fopen(_REHEARSAL.encode(), b"r")), _REHEARSAL.encode(), 1, None)
    sys.modules["__main__"] = main
    _prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0)
    take_stock()
    is_unusual()
    flush()
    gc.collect()


def forsake():
    """Be no program's interpreter any more, but the runner's.

    It finds nothing to import any more, and gives back what it frees: the variables by
    which other runners do don't outlast becoming this interpreter.
    """
    if sys.monitoring.get_tool(_TOOL):
        sys.monitoring.set_events(_TOOL, 0)
        sys.monitoring.free_tool_id(_TOOL)
    sys.path.clear()
    for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
        _libc.mallopt(option, 1 << 17)


def copy_of_main():
    """Return a module that nobody can tell from the one there is."""
    main = _ModuleType("__main__")
    main.__dict__.update(sys.modules["__main__"].__dict__)
    return main


def become(argv):
    """Make this interpreter look as if it had been started with argv."""
    _prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # as after an exec: /proc/self is its own
    sys.argv[1:] = argv[2:]
    sys.orig_argv[1:] = argv[1:]


# ------------------------------------------------------------------------ the end


def watch_main():
    """Have `leave` run at exit, and learn whether the main file came to its end."""
    probe = {"changed": False}
    tag = tag_of(probe)
    before = tag.value
    probe["changed"] = True
    if tag.value == before:
        return  # another interpreter, which shall always finalise itself
    _interpreters.update(sys.modules)
    del _interpreters["__main__"]
    _tags[:] = [tag_of(vars(module)) for module in _interpreters.values()]
    atexit.register(leave)  # the first that is registered is the last that runs
    sys.monitoring.use_tool_id(_TOOL, "warmbox")
    sys.monitoring.register_callback(_TOOL, _PY_START, started)
    sys.monitoring.register_callback(_TOOL, _PY_RETURN, returned)
    sys.monitoring.set_events(_TOOL, _PY_START)


def tag_of(namespace):
    """Return the number that changes whenever this dictionary does."""
    return ctypes.c_uint64.from_address(id(namespace) + _TAG_OFFSET)


def started(code, _):
    """Watch for the end of the main file's code, and of no other."""
    if code.co_name == "<module>" and code.co_filename == "/box/work/main.py":
        sys.modules.pop("usercustomize", None)
        take_stock()
        sys.monitoring.set_local_events(_TOOL, code, _PY_RETURN)
    return sys.monitoring.DISABLE


def take_stock():
    """Note how the interpreter is before the program has changed anything."""
    global _versions
    _streams[:] = streams()
    _versions = b"".join(_tags)


def returned(*_):
    """The main file's code has come to its end; the exit code is 0."""
    global _main_returned
    _main_returned = True
    sys.monitoring.free_tool_id(_TOOL)


def leave():
    """Finalise the program's objects and end, if nobody can tell the difference."""
    if not _main_returned or is_unusual() or not flush():
        return
    names = list(sys.modules)
    own = [_weakref.ref(module) for module in own_modules()]
    forget(names)
    gc.collect()
    for reference in reversed(own):
        module = reference()
        if module is not None:
            clear(module.__dict__)
        del module
    status = 0 if flush() else 120
    _fflush(None)
    posix._exit(status)


def own_modules():
    """Return the modules that the program brought in, and the one that it is."""
    modules = sys.modules.items()
    return [module for name, module in modules if name not in _interpreters]


def streams():
    """Return which objects the standard streams are, without keeping them alive."""
    names = ("stdout", "__stdout__", "stderr", "__stderr__")
    return [id(getattr(sys, name, None)) for name in names]


def is_unusual():
    """Tell whether finalising would do more than `leave` does."""
    if streams() != _streams or b"".join(_tags) != _versions:
        return True  # a stream that was replaced may hold output still
    modules = sys.modules
    now = map(modules.get, _interpreters)
    if not all(map(_operator.is_, now, _interpreters.values())):
        return True
    if _thread._count() or gc.callbacks or gc.get_debug() or sys.gettrace():
        return True
    if sys.getprofile() or "_interpreters" in modules:
        return True
    own = own_modules()
    return any(type(module) is not _ModuleType or is_foreign(module) for module in own)


def is_foreign(module):
    """Tell whether this is an extension that did not come with the interpreter."""
    path = vars(module).get("__file__")
    if type(path) is not str or not path.endswith(".so"):
        return False
    return _OWN_EXTENSIONS not in path


def forget(names):
    """Take the modules away from whoever would still import them, as finalising does."""
    for name in ("path", "argv", "ps1", "ps2", "path_hooks", "path_importer_cache"):
        if hasattr(sys, name):
            setattr(sys, name, None)
    sys.meta_path = None
    modules = sys.modules
    for name in names:
        modules[name] = None
    modules.clear()


def clear(namespace):
    """Let go of a module's names: first those with one underscore, then the others."""
    for underscored in (True, False):
        for name in list(namespace):
            single = name[:1] == "_" and name[1:2] != "_"
            if name != "__builtins__" and (single or not underscored):
                namespace[name] = None


def flush():
    """Flush the standard streams; False when one can't be, and nothing was lost."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except BaseException:  # the program's own stream may raise anything
            return False  # and the interpreter's finalising reports it
    return True
