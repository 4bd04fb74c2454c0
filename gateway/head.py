"""A request's header fields, read strictly (RFC 9112, section 5).

pywsgi would have the parser for mail read them and look them up, which takes longer
than all else that a request needs, and takes a line without a colon for the body's
first. Nothing is forgiven in which a proxy could see another header than we do.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIELDS_MAX = 100
_HEAD_BYTES_MAX = 32768
"""Of all fields together: a connection keeps them as long as it answers."""
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_FIELD = re.compile(rf"({_NAME}):([\t -~\x80-\xff]*)\r?\n")
_REQUEST_LINE = re.compile(rf"{_NAME} ([!-~]+) HTTP/1\.[0-9]\r?\n")
_WORDS_MAX = 32
"""Of a list in a field: who sends more is not heard to its end."""
_USUAL_CHARS_MAX = 64
_OWN_KEYS = {"CONTENT_TYPE", "CONTENT_LENGTH"}
"""What the environment has without a prefix (PEP 3333)."""


class Head:
    """What pywsgi asks of a header. status: what is wrong with it, if anything."""

    __slots__ = ("_fields", "_first", "_repeated", "status")

    def __init__(self) -> None:
        self.status = ""
        self._fields: list[tuple[str, str]] = []
        self._first: dict[str, str] = {}
        self._repeated: set[str] = set()

    def add(self, name: str, value: str) -> None:
        """Add a field; of several with one name, `get` tells of the first."""
        self._fields.append((name, value))
        key = name.lower()
        if key in self._first:
            self._repeated.add(key)
        else:
            self._first[key] = value

    def get(self, name: str, default: Any = None) -> Any:
        """Return the field's value, whatever the case of its name."""
        return self._first.get(name.lower(), default)

    getheader = get

    @property
    def typeheader(self) -> str | None:
        """The body's type."""
        return self._first.get("content-type")

    def __delitem__(self, name: str) -> None:
        # pywsgi would forget a length beside chunks; here there is none.
        raise KeyError(name)

    def has_token(self, name: str, token: str) -> bool:
        """Tell whether a list of words (RFC 9110, section 5.6.1) has this one."""
        if name not in self._first:
            return False
        values = (value for known, value in self._fields if known.lower() == name)
        return token in words_of(",".join(values).lower())

    def is_repeated(self, *names: str) -> bool:
        """Tell whether there is more than one field of one of these names."""
        return not self._repeated.isdisjoint(names)

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


def words_of(text: str) -> list[str]:
    """Return the words of a list (RFC 9110, section 5.6.1); of many, the first."""
    return [word.strip("\t ") for word in text.split(",", _WORDS_MAX)[:_WORDS_MAX]]


def is_field(line: bytes) -> bool:
    """Tell whether this is a field, with its line's end."""
    return _FIELD.fullmatch(line.decode("latin-1")) is not None


def is_request_line(line: str) -> bool:
    """Tell whether a request can begin with this line.

    A path that is no UTF-8 when it is decoded is none: the application would leave such
    bytes out, and find what a proxy's rules for that path were to keep from it.
    """
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        return False
    path = found[1].partition("?")[0]
    if "%" not in path:
        return True
    try:
        unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        return False
    return True


def read_head(file: Any, version: str) -> Head:
    """Read the fields up to the empty line."""
    head = Head()
    left = _HEAD_BYTES_MAX
    for _ in range(_FIELDS_MAX + 1):
        line = file.readline(left)
        if line in {b"\r\n", b"\n"}:
            break
        field = _FIELD.fullmatch(line.decode("latin-1"))
        if field is None:  # also what is too long
            head.status = "not a header"
            return head
        left -= len(line)
        head.add(field[1], field[2].strip("\t "))
    else:
        head.status = "too many"
    if not _has_host(head, version):
        head.status = "a doubt about the host"
    if not _is_framed(head, version):
        head.status = "a doubt about the body's end"
    return head


def _has_host(head: Head, version: str) -> bool:
    """Tell whether there is one, as there must be (RFC 9112, section 3.2)."""
    is_missing = head.get("host") is None and version != "HTTP/1.0"
    return not (is_missing or head.is_repeated("host"))


def _is_framed(head: Head, version: str) -> bool:
    """Tell whether all who read this header see the same end of the body.

    Where a proxy in front of us and pywsgi would disagree about that, one client could
    speak in another's name.
    """
    if head.is_repeated("content-length", "transfer-encoding"):
        return False
    length, encoding = head.get("content-length"), head.get("transfer-encoding")
    if encoding is not None:
        is_chunked = encoding.lower() == "chunked"
        return is_chunked and length is None and version != "HTTP/1.0"
    return length is None or (length.isascii() and length.isdigit())
