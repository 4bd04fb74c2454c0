"""A request's header fields, read strictly (RFC 9112, section 5).

pywsgi would have the parser for mail read them and look them up, which takes longer
than all else that a request needs, and takes a line without a colon for the body's
first. Nothing is forgiven in which a proxy could see another header than we do.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIELDS_MAX = 100
_FIELD_BYTES_MAX = 65536
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_FIELD = re.compile(rf"({_NAME}):([\t -~\x80-\xff]*)\r?\n")
_REQUEST_LINE = re.compile(rf"{_NAME} [!-~\x80-\xff]+ HTTP/1\.[0-9]\r?\n")
_USUAL_CHARS_MAX = 64
_OWN_KEYS = {"CONTENT_TYPE", "CONTENT_LENGTH"}
"""What the environment has without a prefix (PEP 3333)."""


class Head:
    """What pywsgi asks of a header. status: what is wrong with it, if anything."""

    __slots__ = ("_fields", "_first", "status")

    def __init__(self) -> None:
        self.status = ""
        self._fields: list[tuple[str, str]] = []
        self._first: dict[str, str] = {}

    def add(self, name: str, value: str) -> None:
        """Add a field; of several with one name, `get` tells of the first."""
        self._fields.append((name, value))
        self._first.setdefault(name.lower(), value)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the field's value, whatever the case of its name."""
        return self._first.get(name.lower(), default)

    getheader = get

    @property
    def typeheader(self) -> str | None:
        """The body's type."""
        return self._first.get("content-type")

    def __delitem__(self, name: str) -> None:
        if self._first.pop(name, None) is None:
            raise KeyError(name)
        self._fields = [one for one in self._fields if one[0].lower() != name]

    def all_of(self, name: str) -> list[str]:
        """Return all values of the fields of this name."""
        return [value for known, value in self._fields if known.lower() == name]

    def in_environ(self) -> Iterator[tuple[str, str]]:
        """Yield the fields by the names that the environment has for them."""
        for name, value in self._fields:
            key = _usual_key(name) if len(name) <= _USUAL_CHARS_MAX else _key(name)
            if key:
                yield key, value


def _key(name: str) -> str:
    if "_" in name:
        return ""  # to the application it would look like another one
    key = name.replace("-", "_").upper()
    return "" if key in _OWN_KEYS else f"HTTP_{key}"


_usual_key = lru_cache(maxsize=256)(_key)
"""Names are the client's: so few, and none so long, that remembering them matters."""


def is_request_line(line: str) -> bool:
    """Tell whether a request can begin with this line."""
    return _REQUEST_LINE.fullmatch(line) is not None


def read_head(file: Any, version: str) -> Head:
    """Read the fields up to the empty line."""
    head = Head()
    for _ in range(_FIELDS_MAX):
        line = file.readline(_FIELD_BYTES_MAX)
        if line in {b"\r\n", b"\n"}:
            break
        field = _FIELD.fullmatch(line.decode("latin-1"))
        if field is None:
            head.status = "not a header"
            return head
        head.add(field[1], field[2].strip("\t "))
    else:
        head.status = "too many"
    if not _is_framed(head, version):
        head.status = "a doubt about the body's end"
    return head


def _is_framed(head: Head, version: str) -> bool:
    """Tell whether all who read this header see the same end of the body.

    Where a proxy in front of us and pywsgi would disagree about that, one client could
    speak in another's name.
    """
    lengths = head.all_of("content-length")
    encodings = head.all_of("transfer-encoding")
    if encodings:
        is_chunked = [encoding.lower() for encoding in encodings] == ["chunked"]
        return is_chunked and not lengths and version != "HTTP/1.0"
    return len(lengths) <= 1 and all(
        length.isascii() and length.isdigit() for length in lengths
    )
