"""The server that one writes first: each request starts a process and waits for it.

Run as `python naive_server.py SITE`, the site as JSON; prints its port.
"""

from __future__ import annotations

import json
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ways import Site, commands, environment, spawn_all

PAGE = b"<!doctype html><title>Run code</title><h1>Run code</h1>\n" * 100


class Handler(BaseHTTPRequestHandler):
    """One kept connection, in a thread of its own."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer's head and body in one segment
    disable_nagle_algorithm = True
    site: Site

    def do_GET(self) -> None:
        self._answer(PAGE, "text/html")

    def do_POST(self) -> None:
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with tempfile.TemporaryDirectory(dir=self.site.folder) as folder:
            for file in job["files"]:
                (Path(folder) / file["name"]).write_text(file["content"])
            todo = commands(self.site, job["language"], folder)
            output = spawn_all(todo, environment(self.site, job["language"]))
        answer = json.dumps({"output": output.decode(errors="replace")})
        self._answer(answer.encode(), "application/json")

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing: a terminal would be what is measured."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


def main() -> None:
    Handler.site = Site(**json.loads(sys.argv[1]))
    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
