"""A program can't tell that its Node was up before it came."""

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

MAIN = "main.js"
OTHER = ("lib/other.js", "exports.name = __filename;\nexports.parent = module.paths;\n")

PROGRAMS = [
    Program("hello", 'console.log("Hello, world!");'),
    Program(
        "main",
        "console.log(require.main === module, module.id, module.filename, module.loaded,"
        " module.children.length, module.parent, __filename, __dirname);",
    ),
    Program("argv", "console.log(process.argv, process.argv0)", args=("a", "b c", "é")),
    Program("exec", "console.log(process.execPath, process.execArgv, process.title)"),
    Program("options", "console.log(process.argv)", args=("--help", "-e", "1")),
    Program("paths", "console.log(module.paths, require.resolve.paths('x'))"),
    Program("cache", "console.log(Object.keys(require.cache))"),
    Program("environment", "console.log(process.env, Object.keys(process.env))"),
    Program(
        "cwd", "console.log(process.cwd(), process.umask(), require('os').tmpdir())"
    ),
    Program("globals", "console.log(Object.getOwnPropertyNames(globalThis).sort())"),
    Program("enumerable globals", "for (const k in globalThis) console.log(k)"),
    Program("process keys", "console.log(Object.keys(process).sort())"),
    Program(
        "own process names", "console.log(Object.getOwnPropertyNames(process).sort())"
    ),
    Program(
        "versions", "console.log(process.version, process.versions, process.release)"
    ),
    Program(
        "features",
        "console.log(process.features, process.config.variables.napi_build_version)",
    ),
    Program(
        "wrapper", "console.log(arguments.length, arguments.callee.toString().length)"
    ),
    Program(
        "this", "console.log(this === module.exports, typeof require, typeof exports)"
    ),
    Program("uncaught", "function f() {\n  throw new Error('deep');\n}\nf();\n"),
    Program("uncaught value", "throw { plain: 1 };"),
    Program("uncaught null", "throw null;"),
    Program("error with cause", "throw new Error('a', { cause: new TypeError('b') });"),
    Program(
        "uncaught later", "setTimeout(() => { throw new RangeError('late'); }, 5);"
    ),
    Program("unhandled rejection", "Promise.reject(new Error('nobody'));"),
    Program("unhandled rejection of a value", "Promise.reject(42);"),
    Program("rejection in async", "(async () => { await null; null.x; })();"),
    Program("syntax error", "const x = ;\n"),
    Program(
        "syntax error in a module",
        "require('./lib/bad.js')",
        files=(("lib/bad.js", "}"),),
    ),
    Program("missing module", "require('nothing-here')"),
    Program("missing file", "require('./nothing-here')"),
    Program("reference error", "console.log(1);\nconsole.log(nothing);"),
    Program("stack", "console.log(new Error('here').stack)"),
    Program(
        "stack limit", "console.log(Error.stackTraceLimit, Error.prepareStackTrace)"
    ),
    Program(
        "overflow",
        "function f(n) { return f(n + 1) + 1; }\n"
        "try { f(0); } catch (e) { console.log(e.name, e.message); }",
    ),
    Program("exit code", "process.exitCode = 3; console.log('on')"),
    Program("exit", "console.log('a'); process.exit(4); console.log('b')"),
    Program(
        "exit in a handler",
        "process.on('exit', (c) => { console.log(c); process.exitCode = 9; })",
    ),
    Program(
        "before exit",
        "let n = 0; process.on('beforeExit', (c) => { if (n++ < 2) setTimeout(() => console.log(n), 1); })",
    ),
    Program("abort", "process.abort()"),
    Program(
        "kills itself",
        "process.kill(process.pid, 'SIGKILL'); setTimeout(() => {}, 1000)",
    ),
    Program(
        "dies of SIGTERM",
        "process.kill(process.pid, 'SIGTERM'); setTimeout(() => {}, 1000)",
    ),
    Program(
        "handles SIGTERM",
        "process.on('SIGTERM', (s) => { console.log(s); process.exit(0); });\n"
        "process.kill(process.pid, 'SIGTERM'); setTimeout(() => {}, 1000);",
    ),
    Program(
        "stdin",
        "process.stdin.on('data', (d) => console.log(d.length, String(d)))",
        stdin="a\nb",
    ),
    Program(
        "stdin sync",
        "console.log(require('fs').readFileSync(0, 'utf8'))",
        stdin="x\ny\n",
    ),
    Program(
        "stdin empty", "process.stdin.on('end', () => console.log('end')).resume()"
    ),
    Program(
        "stdin lines",
        "require('readline').createInterface({ input: process.stdin })"
        ".on('line', (l) => console.log('<' + l + '>')).on('close', () => console.log('end'))",
        stdin="one\ntwo",
    ),
    Program(
        "stdin async iterator",
        "(async () => { for await (const c of process.stdin) console.log(String(c)); })()",
        stdin="chunk",
    ),
    Program(
        "streams",
        "for (const s of [process.stdin, process.stdout, process.stderr])"
        " console.log(s.isTTY, s.fd, s.constructor.name, s._type, s.writable, s.readable)",
    ),
    Program("large output", "console.log('x'.repeat(300000)); console.log('y')"),
    Program(
        "large output and exit",
        "process.stdout.write('x'.repeat(300000)); process.exit(0)",
    ),
    Program("sync output", "require('fs').writeSync(1, 'sync\\n'); console.log('log')"),
    Program(
        "order",
        "console.log(1); console.error(2); console.log(3); process.stdout.write('4')",
    ),
    Program(
        "event loop",
        "setTimeout(() => console.log('timeout'), 0); setImmediate(() => console.log('immediate'));\n"
        "process.nextTick(() => console.log('tick')); Promise.resolve().then(() => console.log('then'));\n"
        "queueMicrotask(() => console.log('micro')); console.log('sync');",
    ),
    Program(
        "timers",
        "const t = setInterval(() => { console.log('i'); }, 10); setTimeout(() => clearInterval(t), 25)",
    ),
    Program(
        "first timer id", "console.log(setTimeout(() => {}, 1)[Symbol.toPrimitive]())"
    ),
    Program("async id", "console.log(require('async_hooks').executionAsyncId())"),
    Program(
        "worker",
        "const { Worker, isMainThread, threadId, parentPort } = require('worker_threads');\n"
        "if (isMainThread) { console.log(threadId); new Worker(__filename).on('message', (m) => console.log(m))"
        ".on('exit', (c) => console.log('exit', c)); }\n"
        "else parentPort.postMessage([threadId, process.argv, process.execArgv, require.main === module,"
        " Object.keys(require.cache)]);",
    ),
    Program(
        "worker from text",
        "const { Worker } = require('worker_threads');\n"
        "new Worker('console.log(process.argv.length, require.main)', { eval: true })",
    ),
    Program(
        "worker fails",
        "new (require('worker_threads').Worker)('throw new Error(\"w\")', { eval: true })",
    ),
    Program(
        "import",
        "import('./lib/esm.mjs').then((m) => console.log(m))",
        files=(
            (
                "lib/esm.mjs",
                "export default import.meta.url; export const d = import.meta.dirname;",
            ),
        ),
    ),
    Program(
        "import of main", "import(__filename).then((m) => console.log(Object.keys(m)))"
    ),
    Program("import fails", "import('./nothing.mjs')"),
    Program(
        "esm error",
        "import('./lib/esm.mjs')",
        files=(("lib/esm.mjs", "throw new Error('in esm')"),),
    ),
    Program(
        "esm by syntax",
        "import fs from 'node:fs';\nconsole.log(typeof fs, import.meta.filename)",
    ),
    Program(
        "esm by package",
        "import fs from 'node:fs';\nconsole.log(typeof fs.read, typeof require, import.meta.url)",
        files=(("package.json", '{"type": "module"}'),),
    ),
    Program(
        "top-level await in esm",
        "await null; console.log('after'); export {}",
        files=(("package.json", '{"type": "module"}'),),
    ),
    Program(
        "commonjs package",
        "console.log(module.paths.length)",
        files=(("package.json", '{"type": "commonjs"}'),),
    ),
    Program(
        "require other",
        "const o = require('./lib/other');\nconsole.log(o, module.children.length, Object.keys(require.cache))",
        files=(OTHER,),
    ),
    Program(
        "require json",
        "console.log(require('./data.json'))",
        files=(("data.json", '{"a": [1]}'),),
    ),
    Program(
        "node_modules",
        "console.log(require('pkg'))",
        files=(("node_modules/pkg/index.js", "module.exports = 'pkg';"),),
    ),
    Program(
        "require extensions",
        "console.log(Object.keys(require.extensions), require.main.paths === module.paths)",
    ),
    Program(
        "Module",
        "const M = require('module');\nconsole.log(Object.keys(M).sort(), M._load.length, M.globalPaths, M._preloadModules.length);\n"
        "console.log(Object.getOwnPropertyDescriptor(M, 'runMain'), Object.keys(M._pathCache))",
    ),
    Program(
        "child",
        "console.log(require('child_process').spawnSync(process.execPath, ['-p', '[process.argv, process.execArgv]']).stdout.toString())",
    ),
    Program(
        "child on our streams",
        "require('child_process').spawnSync('cat', { stdio: 'inherit' }); console.log('after')",
        stdin="through\n",
    ),
    Program(
        "fork",
        "const c = require('child_process');\nif (process.send) process.send('hi'); else c.fork(__filename).on('message', (m) => console.log(m, process.connected))",
    ),
    Program(
        "exec with shell",
        "require('child_process').exec('echo $HOME $0', (e, o) => console.log(e, o))",
    ),
    Program(
        "descriptors",
        "const fs = require('fs');\nfor (const fd of [0, 1, 2, 3]) { try { const s = fs.fstatSync(fd);"
        " console.log(fd, s.isFIFO(), s.isSocket(), s.isFile()); } catch (e) { console.log(fd, e.code); } }",
    ),
    Program(
        "links of descriptors",
        "const fs = require('fs'), all = [];\nfor (const fd of fs.readdirSync('/proc/self/fd')) { try {"
        " all.push(fs.readlinkSync('/proc/self/fd/' + fd).replace(/[0-9]+/g, 'N')); } catch { all.push('gone'); } }"
        "\nconsole.log(all.sort())",
    ),
    Program(
        "ids",
        "console.log(process.getuid() === process.getgid(), process.getgroups().length, process.geteuid() === process.getuid())",
    ),
    Program(
        "signals of the kernel",
        "for (const l of require('fs').readFileSync('/proc/self/status', 'utf8').split('\\n'))"
        " if (/^(Sig[^Q]|Shd|CapEff|Umask|Groups|NoNewPrivs)/.test(l)) console.log(l)",
    ),
    Program(
        "listeners",
        "console.log(process.eventNames(), process.listenerCount('exit'), process.getMaxListeners())",
    ),
    Program("warning", "process.emitWarning('careful')"),
    Program("deprecation", "new Buffer(1)"),
    Program(
        "util",
        "console.log(require('util').inspect({ a: { b: { c: { d: 1 } } } }, { colors: true }), [,'x'], new Map([[1, 2]]))",
    ),
    Program("console.table", "console.table([{ a: 1, b: 2 }]); console.trace('t')"),
    Program(
        "count and time",
        "console.count(); console.count(); console.group('g'); console.log('in')",
    ),
    Program(
        "intl",
        "console.log(new Date(0).toString(), (1234.5).toLocaleString(), Intl.DateTimeFormat().resolvedOptions().timeZone)",
    ),
    Program(
        "random",
        "console.log(Math.random() !== Math.random(), require('crypto').randomBytes(4).length)",
    ),
    Program(
        "hash",
        "console.log(require('crypto').createHash('sha256').update('x').digest('hex'))",
    ),
    Program(
        "fetch",
        "fetch('http://127.0.0.1:1/').catch((e) => console.log(e.name, e.message, e.cause.code))",
    ),
    Program(
        "http",
        "const h = require('http');\nconst s = h.createServer((q, r) => r.end('served')).listen(0, () => h.get({ port: s.address().port }, (r) => r.on('data', (d) => { console.log(String(d)); s.close(); })))",
    ),
    Program(
        "wasm",
        "console.log(WebAssembly.validate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])))",
    ),
    Program(
        "gc and flags",
        "console.log(typeof gc, process.allowedNodeEnvironmentFlags.size, require('v8').getHeapStatistics().heap_size_limit > 0)",
    ),
    Program(
        "memory",
        "console.log(Object.keys(process.memoryUsage()), process.constrainedMemory() > 0)",
    ),
    Program("strict", "'use strict'; undeclared = 1"),
    Program(
        "sloppy",
        "undeclared = 1; console.log(undeclared, delete globalThis.undeclared)",
    ),
    Program("shebang", "#!/usr/bin/env node\nconsole.log('ran')"),
    Program("bom", "\ufeffconsole.log('after a mark')"),
    Program("empty", ""),
    Program("return at top", "console.log(1); return; console.log(2)"),
    Program(
        "remove the main file",
        "require('fs').unlinkSync(__filename); throw new Error('x')",
    ),
    Program(
        "repl",
        "console.log(require('module').builtinModules.length, require('module').isBuiltin('fs'))",
    ),
    Program(
        "perf entries",
        "console.log(performance.getEntries().length, performance.timeOrigin > 1e12)",
    ),
    Program(
        "diagnostics",
        "process.on('uncaughtException', (e, o) => console.log(e.message, o)); throw new Error('caught')",
    ),
    Program(
        "promises",
        "process.on('unhandledRejection', (r) => console.log('seen', r)); Promise.reject(1)",
    ),
    Program(
        "hrtime", "console.log(typeof process.hrtime.bigint(), process.hrtime().length)"
    ),
    Program(
        "resources",
        "setTimeout(() => {}, 1); console.log(process.getActiveResourcesInfo())",
    ),
    Program(
        "resources at start",
        "console.log(process._getActiveHandles().length, process._getActiveRequests().length)",
    ),
]
BY_NAME = {program.name: program for program in PROGRAMS}

MASKS = [
    (rb"\(node:\d+\)", b"(node:PID)"),
    (rb"0x[0-9a-f]{6,16}", b"0xADDRESS"),
]


def masked(text: bytes) -> str:
    for pattern, instead in MASKS:
        text = re.sub(pattern, instead, text)
    return text.decode("utf-8", "backslashreplace")


def make_plain(service: ServiceProcess) -> dict[str, Ended]:
    # The environment that a job has, asked for by one that starts cold.
    show = "console.log(JSON.stringify(process.env))"
    cold = service.api.run("javascript", show, limits={"processes": 65})
    env = json.loads(cold.stdout)
    return run_plainly(service, "javascript", MAIN, ["node", MAIN], env, PROGRAMS)


@pytest.fixture(scope="module")
def plain(service: ServiceProcess) -> dict[str, Ended]:
    return make_plain(service)


@pytest.mark.parametrize("name", BY_NAME)
def test_javascript(
    service: ServiceProcess, plain: dict[str, Ended], name: str
) -> None:
    warm = run_warm(service, "javascript", MAIN, BY_NAME[name])
    expected = plain[name]
    assert masked(warm.stdout) == masked(expected.stdout)
    assert masked(warm.stderr) == masked(expected.stderr)
    assert warm.code == expected.code
