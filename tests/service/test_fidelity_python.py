"""A program can't tell that its Python was up before it came."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from plain_run import Program, run_plainly, run_warm

if TYPE_CHECKING:
    from plain_run import Ended
    from service_process import ServiceProcess

pytestmark = pytest.mark.docker

MAIN = "main.py"
MODULE = ("other.py", "def broken():\n    raise ValueError('deep')\nNAME = __name__\n")

PROGRAMS = [
    Program(
        "main's contents",
        "print(sorted(globals()))\n"
        "for k in sorted(globals()): print(k, repr(globals()[k]))\n",
    ),
    Program("argv", "import sys\nprint(sys.argv)", args=("a", "b c", "", "é")),
    Program("orig_argv", "import sys\nprint(sys.orig_argv)", args=("-x", "y")),
    Program("path", "import sys\nprint(sys.path, sys.path_hooks, sys.meta_path)"),
    Program(
        "importer cache",
        "import sys\nprint([(k, type(v)) for k, v in "
        "sorted(sys.path_importer_cache.items())])",
    ),
    Program("modules", "import sys\nprint(sorted(sys.modules))"),
    Program("modules in order", "import sys\nprint(list(sys.modules))"),
    Program(
        "flags",
        "import sys\nprint(sys.flags, sys.dont_write_bytecode, sys.pycache_prefix)\n"
        "print(sys.executable, sys.prefix, sys.base_prefix, sys.implementation)\n"
        "print(sys._xoptions, sys.warnoptions, sys.getrecursionlimit())\n"
        "print(sys.getswitchinterval(), sys.gettrace(), sys.getprofile())\n"
        "print(sys.excepthook, sys.displayhook, sys.stdin, sys.stdout, sys.stderr)",
    ),
    Program(
        "streams",
        "import sys\nfor s in (sys.stdin, sys.stdout, sys.stderr):\n"
        "    print(s.name, s.mode, s.encoding, s.errors, s.line_buffering,\n"
        "          s.write_through, s.isatty(), s.fileno(), s.newlines)",
    ),
    Program("hello", "print('Hello, world!')"),
    Program("file", "print(__file__, __name__, __spec__, __loader__, __doc__)"),
    Program("docstring", '"""Said first."""\nprint(__doc__)'),
    Program("uncaught", "def f(n):\n    return 1 / n\n\nprint(1)\nf(0)\n"),
    Program(
        "chained",
        "try:\n    {}['a']\nexcept KeyError as e:\n    raise ValueError('no') from e",
    ),
    Program(
        "in the handler",
        "try:\n    {}['a']\nexcept KeyError:\n    unknown_name",
    ),
    Program("syntax error", "def f(:\n    pass\n"),
    Program("indentation", "if True:\npass\n"),
    Program("bad source encoding", "# coding: nonsense\nprint(1)\n"),
    Program("latin source", "# coding: utf-8\nprint('é', '\u65e5\u672c')\n"),
    Program("null in source", "print(1)\n\0\nprint(2)\n"),
    Program("in a module", "import other\nother.broken()\n", files=(MODULE,)),
    Program(
        "a module's name",
        "import other, sys\nprint(other.NAME, other.__file__, other.__spec__)\n"
        "print(other.__cached__, sys.modules['other'] is other)",
        files=(MODULE,),
    ),
    Program("module's syntax error", "import other", files=(("other.py", "x = (\n"),)),
    Program("import itself", "import main\nprint(main.__name__, __name__)"),
    Program(
        "shadowing", "import random\nprint(random.x)", files=(("random.py", "x=1"),)
    ),
    Program(
        "exception group", "raise ExceptionGroup('g', [ValueError(1), KeyError(2)])"
    ),
    Program(
        "note",
        "e = ValueError('x')\ne.add_note('noted')\nraise e",
    ),
    Program("exit int", "import sys\nsys.exit(7)"),
    Program("exit string", "import sys\nsys.exit('said at the end')"),
    Program("exit none", "import sys\nprint('x')\nsys.exit()"),
    Program("exit big", "import sys\nsys.exit(256 + 9)"),
    Program("exit tuple", "import sys\nsys.exit((1, 2))"),
    Program("exit builtin", "exit(3)"),
    Program("raise SystemExit", "raise SystemExit"),
    Program("os._exit", "import os\nprint('lost')\nos._exit(5)"),
    Program("os.abort", "import os\nos.abort()"),
    Program("assert", "assert 1 == 2, 'no'"),
    Program("keyboard interrupt", "raise KeyboardInterrupt"),
    Program(
        "atexit",
        "import atexit, sys, threading\natexit.register(print, 'first in')\n"
        "atexit.register(print, 'second in')\nprint('body')\n"
        "threading.Thread(target=lambda: print('thread')).start()\nsys.exit(2)",
    ),
    Program("atexit fails", "import atexit\n@atexit.register\ndef f(): 1 / 0\n"),
    Program("unflushed", "import sys\nsys.stdout.write('no newline')"),
    Program(
        "interleaved",
        "import sys\nprint('out')\nprint('err', file=sys.stderr)\nprint('out2')",
    ),
    Program("large output", "print('x' * 300_000)\nprint('y')"),
    Program(
        "closed stdout",
        "import sys, os\nprint('x')\nos.close(1)\n",
    ),
    Program("del at end", "class A:\n    def __del__(self): print('del')\na = A()\n"),
    Program(
        "thread",
        "import threading, time\n"
        "def f():\n    time.sleep(0.1)\n    print('late')\n"
        "threading.Thread(target=f).start()\nprint('main ends', threading.enumerate())",
    ),
    Program(
        "daemon thread",
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n"
        "print('main ends')",
    ),
    Program(
        "thread fails",
        "import threading\nt = threading.Thread(target=lambda: 1 / 0)\n"
        "t.start()\nt.join()\nprint('on')",
    ),
    Program(
        "threading state",
        "import threading, os\nt = threading.main_thread()\n"
        "print(t.name, t.ident == threading.get_ident(), threading.active_count())\n"
        "print(threading.get_native_id() == os.getpid())\n",
    ),
    Program(
        "thread stack and limits",
        "import threading, resource\nprint(threading.stack_size())\n"
        "print(resource.getrlimit(resource.RLIMIT_STACK))\n"
        "print(resource.getrlimit(resource.RLIMIT_AS))\n",
    ),
    Program(
        "signals",
        "import signal\nfor n in sorted(signal.valid_signals()):\n"
        "    print(n, signal.getsignal(n))\n"
        "print(signal.pthread_sigmask(signal.SIG_BLOCK, ()))\n"
        "print(signal.set_wakeup_fd(-1), signal.getitimer(signal.ITIMER_REAL))",
    ),
    Program(
        "signals as the kernel sees them",
        "for line in open('/proc/self/status'):\n"
        "    if line.startswith(('Sig', 'Shd', 'Threads', 'Groups', 'CapEff', 'Umask')):\n"
        "        if not line.startswith('SigQ'): print(line, end='')",
    ),
    Program(
        "dies of SIGTERM", "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)"
    ),
    Program("dies of SIGINT", "import os, signal\nos.kill(os.getpid(), signal.SIGINT)"),
    Program("dies of SIGKILL", "import os\nos.kill(os.getpid(), 9)"),
    Program("dies of SIGSEGV", "import ctypes\nctypes.string_at(0)"),
    Program(
        "handles SIGTERM",
        "import os, signal\nsignal.signal(15, lambda *a: print('got', a[0]))\n"
        "os.kill(os.getpid(), 15)\nprint('on')",
    ),
    Program(
        "SIGPIPE",
        "import os\nr, w = os.pipe()\nos.close(r)\n"
        "try:\n    os.write(w, b'x')\nexcept BrokenPipeError as e:\n    print(e)",
    ),
    Program(
        "SIGPIPE in a child",
        "import subprocess\np = subprocess.run('yes | head -1; echo ${PIPESTATUS[@]}',"
        " shell=True, executable='/bin/bash', capture_output=True)\nprint(p)",
    ),
    Program(
        "SIGALRM",
        "import signal, time\nsignal.signal(signal.SIGALRM, lambda *a: print('alarm'))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.05)\ntime.sleep(0.2)\nprint('end')",
    ),
    Program("stdin lines", "import sys\nprint([l for l in sys.stdin])", stdin="a\nb"),
    Program("input", "print(input('name? '), input())", stdin="x\ny\n"),
    Program("input at EOF", "input('name? ')"),
    Program("stdin bytes", "import sys\nprint(sys.stdin.buffer.read())", stdin="é\r\n"),
    Program(
        "stdin big", "import sys\nprint(len(sys.stdin.read()))", stdin="x" * 200_000
    ),
    Program(
        "stdin by descriptor",
        "import os, stat\nprint(os.read(0, 3), stat.S_ISFIFO(os.fstat(0).st_mode))\n"
        "print(os.get_blocking(0), os.get_blocking(1), os.get_blocking(2))",
        stdin="abcdef",
    ),
    Program(
        "subprocess",
        "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c',"
        " 'import sys; print(sys.argv, sys.flags); sys.exit(4)'],"
        " capture_output=True, text=True))",
    ),
    Program(
        "subprocess on our streams",
        "import subprocess\nprint('before', flush=True)\n"
        "subprocess.run(['cat'])\nprint('after')",
        stdin="through cat\n",
    ),
    Program("os.system", "import os\nprint(os.system('exit 3'))"),
    Program(
        "environment of a child",
        "import subprocess\nprint(subprocess.run(['env'], capture_output=True))",
    ),
    Program(
        "multiprocessing fork",
        "import multiprocessing as m\nprint(m.get_start_method())\n"
        "def f(x): return x * x\n"
        "if __name__ == '__main__':\n"
        "    with m.get_context('fork').Pool(2) as p: print(p.map(f, range(5)))\n",
    ),
    Program(
        "multiprocessing spawn",
        "import multiprocessing as m\ndef f(x): return x * x\n"
        "if __name__ == '__main__':\n"
        "    with m.get_context('spawn').Pool(1) as p: print(p.map(f, range(5)))\n",
    ),
    Program(
        "process pool",
        "from concurrent.futures import ProcessPoolExecutor as P\n"
        "if __name__ == '__main__':\n"
        "    with P(2) as p: print(list(p.map(abs, [-1, 2])))",
    ),
    Program(
        "fork",
        "import os\nprint('buffered')\nif os.fork() == 0:\n    print('child')\n"
        "    raise SystemExit\nos.wait()\nprint('parent')",
    ),
    Program("no child yet", "import os\nos.wait()"),
    Program(
        "ctypes",
        "import sys\nbefore = 'ctypes' in sys.modules\nimport ctypes\n"
        "print(before, ctypes.CDLL(None).getpid() > 0, sorted(vars(ctypes)))\n"
        "print([m for m in sys.modules if 'ctypes' in m])",
    ),
    Program(
        "modules that the launcher used",
        "import sys\nfor name in ('gc', 'marshal', 'posix', '_signal', '_socket',\n"
        "             'select', 'resource', 'ctypes', '_ctypes'):\n"
        "    had = name in sys.modules\n    m = __import__(name)\n"
        "    print(name, had, m.__name__, repr(m.__spec__), len(vars(m)))",
    ),
    Program("warnings", "import warnings\nprint(warnings.filters)\nwarnings.warn('x')"),
    Program("syntax warning", "print(1 is 1)\nx = '\\d'\n"),
    Program("deprecation", "import warnings\nwarnings.warn('d', DeprecationWarning)"),
    Program(
        "locale and encodings",
        "import locale, sys\nprint(locale.getlocale(), locale.setlocale(0))\n"
        "print(sys.getdefaultencoding(), sys.getfilesystemencoding())\n"
        "print(locale.getpreferredencoding(), sys.getfilesystemencodeerrors())",
    ),
    Program("surrogates", "print('\\udce9')"),
    Program(
        "descriptors",
        "import os\nfor fd in sorted(os.listdir('/proc/self/fd'), key=int):\n"
        "    try: print(fd, os.readlink('/proc/self/fd/' + fd).partition(':')[0])\n"
        "    except FileNotFoundError: print(fd, 'is the listing')",
    ),
    Program("the next descriptor", "print(open('/dev/null').fileno())"),
    Program(
        "environment",
        "import os\nprint(dict(os.environ), os.environb)\nprint(os.getenv('LANG'))\n"
        "os.environ['NEW'] = 'x'\nprint(os.system('echo $NEW'), os.getcwd())",
    ),
    Program(
        "directories",
        "import os, tempfile\nprint(os.getcwd(), os.listdir('.'), os.listdir('..') if "
        "os.access('..', os.R_OK) else '')\n"
        "print(tempfile.gettempdir(), os.path.expanduser('~'))\n"
        "s = os.stat('main.py')\nprint(oct(s.st_mode), s.st_uid == os.getuid(), s.st_size)\n"
        "print(oct(os.stat('.').st_mode), s.st_gid == os.getgid(), os.umask(0))",
    ),
    Program(
        "ids",
        "import os\nprint(len(set(os.getresuid())), len(set(os.getresgid())))\n"
        "print(os.getgroups(), os.getuid() == os.getgid(), os.getpid() == os.getsid(0))\n"
        "print(os.getpgrp() == os.getpid(), os.nice(0), os.cpu_count())\n"
        "print(sorted(os.sched_getaffinity(0)), os.sched_getscheduler(0))",
    ),
    Program(
        "process name and command",
        "print(open('/proc/self/comm').read())\n"
        "print(open('/proc/self/cmdline').read().split('\\0'))",
    ),
    Program("recursion", "def f(n): return f(n + 1)\nf(0)"),
    Program(
        "recursion depth",
        "def f(n):\n    try: return f(n + 1)\n    except RecursionError: return n\n"
        "print(f(0))",
    ),
    Program(
        "recursion in a class body",
        "import sys\nsys.setrecursionlimit(20000)\ndef f(n): return n and f(n - 1)\n"
        "print(f(15000))",
    ),
    Program(
        "stack",
        "import inspect, sys, traceback\nprint([(f.filename, f.lineno, f.function, "
        "f.code_context) for f in inspect.stack()])\n"
        "print(sys._getframe().f_back, sys._getframe().f_code)\ntraceback.print_stack()",
    ),
    Program(
        "gc",
        "import gc\nprint(gc.isenabled(), gc.get_threshold(), gc.get_freeze_count())\n"
        "print(gc.get_debug(), gc.callbacks, gc.garbage)",
    ),
    Program(
        "random differs",
        "import random, os\nprint(len({random.random() for _ in range(3)}))\n"
        "random.seed(1)\nprint(random.random(), len(os.urandom(9)))",
    ),
    Program(
        "tracing",
        "import sys\ncalls = []\nsys.settrace(lambda f, e, a: calls.append(f.f_code.co_name))\n"
        "def f(): pass\nf()\nsys.settrace(None)\nprint(calls)",
    ),
    Program("help", "help(abs)"),
    Program(
        "builtins", "import builtins\nprint(sorted(vars(builtins)), _ if 0 else 1)"
    ),
    Program(
        "asyncio",
        "import asyncio\nasync def f():\n    await asyncio.sleep(0.01)\n    print('slept')\n"
        "asyncio.run(f())",
    ),
    Program(
        "asyncio child",
        "import asyncio\nasync def f():\n"
        "    p = await asyncio.create_subprocess_exec('echo', 'hi')\n"
        "    print(await p.wait())\nasyncio.run(f())",
    ),
    Program(
        "pickle of main",
        "import pickle\nclass A: pass\nprint(pickle.loads(pickle.dumps(A())).__class__)",
    ),
    Program(
        "dataclass",
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\n"
        "print(A(1))",
    ),
    Program(
        "runpy and source",
        "import inspect, linecache\ndef f():\n    return 1\n"
        "print(inspect.getsource(f), inspect.getfile(f))\n"
        "print(linecache.getline(__file__, 2), linecache.cache.keys())",
    ),
    Program(
        "site",
        "import site, sys\nprint(site.getsitepackages(), site.ENABLE_USER_SITE)\n"
        "print(sys.path_importer_cache.keys(), site.PREFIXES)",
    ),
    Program("frozen main", "import __main__\nprint(sorted(vars(__main__)), __main__)"),
    Program(
        "codecs and error handlers",
        "import codecs\nprint(codecs.lookup('utf-8'), codecs.lookup_error('strict'))",
    ),
    Program("rename the main file", "import os\nos.remove(__file__)\n1 / 0"),
    Program(
        "pycache",
        "import other, os\nprint(sorted(os.listdir()), os.listdir('__pycache__'))",
        files=(MODULE,),
    ),
    Program(
        "faulthandler",
        "import faulthandler\nprint(faulthandler.is_enabled())\n"
        "faulthandler.dump_traceback()",
    ),
    Program(
        "sys.setdlopenflags", "import sys\nprint(sys.getdlopenflags(), sys.api_version)"
    ),
    Program("tracemalloc", "import tracemalloc\nprint(tracemalloc.is_tracing())"),
    Program("time zone", "import time\nprint(time.tzname, time.localtime(0))"),
    Program(
        "unraisable",
        "class A:\n    def __del__(self): raise ValueError('x')\nA()\nprint('on')",
    ),
    Program(
        "audit",
        "import sys\nseen = []\nsys.addaudithook(lambda e, a: seen.append(e))\n"
        "open('/dev/null')\nprint(seen)",
    ),
    Program("empty", ""),
    Program("only a comment", "# nothing"),
    Program("bom", "\ufeffprint('after a mark')"),
    Program("crlf", "print(1)\r\nprint('''a\r\nb''')\r\n"),
    Program("no final newline", "if True:\n    print(1)"),
    Program(
        "interactive hook",
        "import sys\nprint(hasattr(sys, 'ps1'), "
        "hasattr(sys, 'last_exc'), sys.__interactivehook__)",
    ),
    Program(
        "hash of strings", "print(hash('a') == hash('a'), hash(1.5), hash((1, 2)))"
    ),
]
BY_NAME = {program.name: program for program in PROGRAMS}

MASKS = [
    (rb"0x[0-9a-f]{6,16}", b"0xADDRESS"),
    (rb"\[Errno 32\]", b"[Errno 32]"),
    (rb"pid=\d+", b"pid=PID"),
    (rb"MainThread, started \d+", b"MainThread, started N"),
    (rb"Thread-(\d+) \(f\), started \d+", b"Thread started N"),
    (rb"Process-?\d+", b"Process"),
    (rb"line \d+ in _run", b"line N in _run"),
]


def masked(text: bytes) -> str:
    for pattern, instead in MASKS:
        text = re.sub(pattern, instead, text)
    return text.decode("utf-8", "backslashreplace")


def make_plain(service: ServiceProcess) -> dict[str, Ended]:
    # The environment that a job has, asked for by one that starts cold.
    show = "import json, os\nprint(json.dumps(dict(os.environ)))"
    cold = service.api.run("python", files=[{"name": "cold.py", "content": show}])
    env = json.loads(cold.stdout)
    return run_plainly(service, "python", MAIN, ["python3", MAIN], env, PROGRAMS)


@pytest.fixture(scope="module")
def plain(service: ServiceProcess) -> dict[str, Ended]:
    return make_plain(service)


@pytest.mark.parametrize("name", BY_NAME)
def test_python(service: ServiceProcess, plain: dict[str, Ended], name: str) -> None:
    warm = run_warm(service, "python", MAIN, BY_NAME[name])
    expected = plain[name]
    assert masked(warm.stdout) == masked(expected.stdout)
    assert masked(warm.stderr) == masked(expected.stderr)
    assert warm.code == expected.code
