"""The page and its parts: files read once at the start, and cached by their content."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bottle

from gateway.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).with_name("static")

_INDEX = "index.html"
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class _Page:
    content: bytes
    headers: Mapping[str, str]


class Pages:
    """The static files by name."""

    def __init__(self, folder: Path = FOLDER) -> None:
        files = [path for path in folder.glob("*") if path.is_file()]
        self._pages = {path.name: _read(path) for path in files}

    def index(self, environ: Mapping[str, Any]) -> Any:
        """Answer `GET /`."""
        return self.file(_INDEX, environ)

    def file(self, name: str, environ: Mapping[str, Any]) -> Any:
        """Answer `GET /static/{name}`."""
        page = self._pages.get(name)
        if page is None:
            raise Problem("not_found", "There is no such page.")
        if page.headers["ETag"] in environ.get("HTTP_IF_NONE_MATCH", ""):
            return bottle.HTTPResponse(b"", 304, dict(page.headers))
        return bottle.HTTPResponse(page.content, 200, dict(page.headers))


def _read(path: Path) -> _Page:
    content = path.read_bytes()
    guessed = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return _Page(
        content,
        {
            **_HEADERS,
            "Content-Type": _TYPES.get(path.suffix, guessed),
            "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        },
    )
