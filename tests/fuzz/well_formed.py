"""Requests that are HTTP without a doubt, and hostile in all that they say."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import hostile

if TYPE_CHECKING:
    from random import Random

    from schema_values import SchemaValues

A_JOB = "@JOB@"
"""Stands in a request's target for the id of a job that somebody has posted."""
KEYS = 40
"""Idempotency keys in use, so that they meet again."""

SOURCES = {
    "python": (
        "print('hello')",
        "import sys\nprint(sys.stdin.read())",
        "import time\nwhile True: print('x', flush=True); time.sleep(0.01)",
        "while True: pass",
        "import sys\nsys.stdout.buffer.write(bytes(range(256)) * 400)",
        "print('x' * 3_000_000)",
        "import os\nos.kill(0, 9)",
        "raise SystemExit(3)",
        "print(",
        "import time\ntime.sleep(60)",
    ),
    "bash": ("echo $0 $@", "cat", "yes", "kill -9 $$", "exit 7", "sleep 60", "env"),
    "c": (
        "int main(void) { return 0; }",
        "int main(void) { return *(int *)0; }",
        "int main(void) { for (;;); }",
        "int main(",
        '#include "/dev/zero"',
    ),
}
HEADERS: dict[str, tuple[str, ...]] = {
    "Prefer": (
        "wait=1",
        "wait=99999999999",
        "wait=-1",
        "wait=1, wait=2",
        ",;=",
        'wait="1',
    ),
    "Last-Event-ID": ("0", "1", "-1", "999999999999999", "1" * 16, "x", "\xe9", ""),
    "Accept": ("*/*", "text/event-stream", "application/xml", "q=0", ";;;,,,", ""),
    "Accept-Encoding": ("gzip, br;q=0", "identity;q=0, *;q=0"),
    "Content-Encoding": ("gzip", "identity"),
    "Content-Type": (
        "application/json; charset=utf-16",
        "text/plain",
        "application/json,application/json",
        "multipart/form-data; boundary=",
        "",
    ),
    "Authorization": ("Bearer ", "Bearer \xff", "Basic Og==", "Bearer", ""),
    "Range": ("bytes=0-0", "bytes=-1", "bytes=9-1"),
    "Cookie": ("a=b; a=b", '"', "a" * 4000),
    "Host": ("", "evil.example", "[::1", "a:b:c", "127.0.0.1:99999"),
    "X-Forwarded-For": ("::1", "1.2.3.4, nobody", ","),
    "Forwarded": ("for=_hidden", "for=127.0.0.1"),
    "If-None-Match": ("*", '"', "W/"),
    "Expect": ("100-continue", "200-ok"),
    "Upgrade": ("websocket", "h2c"),
    "Connection": ("close", "upgrade", "keep-alive, close", "Content-Length"),
    "X-HTTP-Method-Override": ("DELETE",),
    "Content_Length": ("5",),
}
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW")
FREE_HEADER_CHARACTERS = [chr(code) for code in range(256) if code not in {0, 10, 13}]


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `chunked` cuts the body into so many chunks instead of a length."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    chunked: int = 0

    def encode(self) -> bytes:
        """Return its bytes, the target still with its placeholder."""
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        lines += [f"{name}: {content}" for name, content in self.headers]
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + self._body()

    def _body(self) -> bytes:
        if not self.chunked:
            return self.body
        size = len(self.body) // self.chunked + 1
        pieces = (
            self.body[start : start + size] for start in range(0, len(self.body), size)
        )
        chunks = (b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        return b"".join(chunks) + b"0\r\n\r\n"


class Grammar:
    """Makes requests from the API's description, and from what we know of it."""

    def __init__(self, document: dict[str, Any], values: SchemaValues) -> None:
        self._paths = document["paths"]
        self._values = values

    def make(self, chance: Random) -> Request:
        """Return one request; the same one for the same state of `chance`."""
        template = chance.choice([*self._paths, "/v1/jobs", "/v1/jobs"])
        methods = [name for name in self._paths[template] if name != "parameters"]
        method = chance.choice(methods).upper()
        operation = self._paths[template][method.lower()]
        body = self._body(template, method, chance)
        if chance.random() < 0.05:
            method = chance.choice(METHODS)
        target = _path(template, chance) + self._query(operation, chance)
        return _request(method, target, body, chance)

    def _body(self, template: str, method: str, chance: Random) -> bytes:
        if method != "POST":
            return chance.randbytes(5) if chance.random() < 0.05 else b""
        if template.endswith("/stdin"):
            return chance.randbytes(chance.choice((0, 1, 100, 65536, 1_100_000)))
        job = self._job(chance)
        return hostile.to_bytes(hostile.to_json(job, chance), chance)

    def _job(self, chance: Random) -> object:
        if chance.random() < 0.3:
            return self._values.make({"$ref": "/JobRequest"}, chance)
        job: object = valid_job(chance)
        for _ in range(chance.choice((0, 1, 1, 2, 3))):
            job = mutate(job, chance)
        return job

    def _query(self, operation: dict[str, Any], chance: Random) -> str:
        known = [one for one in operation.get("parameters", ()) if one["in"] == "query"]
        pairs = [
            f"{one['name']}={_quoted(self._values.make(one['schema'], chance))}"
            for one in known
            if chance.random() < 0.5
        ]
        if chance.random() < 0.1:
            pairs.append(
                chance.choice(("", "=", "&&", "%", "%zz=%", "a=b;c=d", "\xff"))
            )
        if pairs and chance.random() < 0.1:
            pairs.append(chance.choice(pairs))
        return "?" + "&".join(pairs) if pairs else ""


def valid_job(chance: Random) -> dict[str, Any]:
    """Return a job that is run, and soon over."""
    language = chance.choice([*SOURCES] * 2 + ["python"])
    source = chance.choice(SOURCES[language])
    job: dict[str, Any] = {"language": language, "limits": _limits(chance)}
    if chance.random() < 0.5:
        return {**job, "source": source, **_extras(chance)}
    main = "main.c" if language == "c" else "main"
    names = [main, *chance.sample(("a.txt", "b/c", "\xe9.txt", "-x", " "), 2)]
    return {**job, "files": [_file(name, source, chance) for name in names]}


def _limits(chance: Random) -> dict[str, float]:
    limits: dict[str, float] = {"wall_time_s": chance.choice((0.1, 0.3, 1))}
    if chance.random() < 0.2:
        limits["memory_mb"] = chance.choice((16, 64, 1024))
    if chance.random() < 0.2:
        limits["output_kb"] = chance.choice((1, 64, 8192))
    if chance.random() < 0.2:
        limits["processes"] = chance.choice((1, 2, 256))
    return limits


def _extras(chance: Random) -> dict[str, Any]:
    offered: dict[str, Any] = {
        "stdin": chance.choice(("", "a\n" * 1000, "\0\xff")),
        "stdin_open": chance.random() < 0.5,
        "args": ["-x", "\xe9", ""],
        "env": {"PATH": "", "LD_PRELOAD": "x", "A": "b"},
    }
    return {name: one for name, one in offered.items() if chance.random() < 0.3}


def _file(name: str, source: str, chance: Random) -> dict[str, str]:
    if chance.random() < 0.5:
        return {"name": name, "content": source}
    content = base64.b64encode(source.encode()).decode()
    if chance.random() < 0.2:
        content = chance.choice((content[:-1], content + "=", "\xff", "A A=", "===="))
    return {"name": name, "content": content, "encoding": "base64"}


def mutate(document: object, chance: Random) -> object:
    """Return the document with one thing in it changed."""
    if isinstance(document, dict) and document and chance.random() < 0.9:
        key = chance.choice(list(document))
        return _mutate_entry(document, key, chance)
    if isinstance(document, list) and document and chance.random() < 0.8:
        at = chance.randrange(len(document))
        return [*document[:at], mutate(document[at], chance), *document[at + 1 :]]
    return hostile.value(chance)


def _mutate_entry(document: dict[Any, Any], key: Any, chance: Random) -> dict[Any, Any]:
    way = chance.randrange(6)
    rest = {name: one for name, one in document.items() if name != key}
    if way == 0:
        return rest
    if way == 1:
        return {**document, hostile.text(chance): hostile.value(chance)}
    if way == 2:
        return {**rest, hostile.text(chance): document[key]}
    return {**document, key: mutate(document[key], chance)}


def _path(template: str, chance: Random) -> str:
    job_id = A_JOB if chance.random() < 0.8 else _quoted(hostile.text(chance))
    path = template.replace("{job_id}", job_id)
    way = chance.randrange(40)
    if way == 0:
        return chance.choice(("*", "//", "/%", "/%2e%2e/", "/\xff", "http://x/healthz"))
    if way == 1:
        return path + chance.choice(("/", "/.", "%00", "%2F", ";a=b", "#a", "\xa0"))
    if way == 2:
        return "/static/" + _quoted(hostile.text(chance))
    return path


def _quoted(given: object) -> str:
    written = given if isinstance(given, str) else repr(given)[:3000]
    return quote(written[:3000].encode("utf-8", "surrogatepass"), safe="")


def _request(method: str, target: str, body: bytes, chance: Random) -> Request:
    headers = [("Host", "127.0.0.1")]
    if method == "POST":
        is_stdin = target.partition("?")[0].endswith("/stdin")
        kind = "application/octet-stream" if is_stdin else "application/json"
        headers.append(("Content-Type", kind))
    chunked = chance.choice((1, 3, 50)) if body and chance.random() < 0.1 else 0
    if chunked:
        headers.append(("Transfer-Encoding", "chunked"))
    elif body or method == "POST":
        headers.append(("Content-Length", str(len(body))))
    if chance.random() < 0.2:
        headers.append(("Idempotency-Key", _key(chance)))
    headers += [_header(chance) for _ in range(chance.choice((0, 0, 1, 2)))]
    return Request(method, target, tuple(headers), body, chunked)


def _key(chance: Random) -> str:
    if chance.random() < 0.8:
        return f"key-{chance.randrange(KEYS)}"
    return chance.choice(("", " ", "a b", "\xfc", "x" * 256, "~" * 255))


def _header(chance: Random) -> tuple[str, str]:
    if chance.random() < 0.9:
        name = chance.choice(list(HEADERS))
        return name, chance.choice(HEADERS[name])
    content = "".join(chance.choices(FREE_HEADER_CHARACTERS, k=30))
    return "X-" + chance.choice(("A", "!#$%", "a" * 200)), content
