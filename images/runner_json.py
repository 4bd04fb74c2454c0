"""JSON by the interpreter's own scanner and encoder, which `json` wraps.

`json` brings `re` and `enum` along, as `typing`, `signal`, `socket`, `collections`
and `contextlib` bring theirs. With all these an interpreter takes twice the memory, in
every container for as long as it is there; so the runner's modules import none of them.
"""

from __future__ import annotations

import _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Context:
    """What the scanner asks for: JSON as it is."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_constant = None
    parse_float = float
    parse_int = int
    memo: dict[str, str] = {}  # noqa: RUF012 - the scanner's, of the keys it has seen


def _refuse(value: object) -> object:
    raise TypeError(f"no JSON: {value!r}")


_scan = _json.make_scanner(_Context())  # type: ignore[arg-type]  # of the stubs
_encode = _json.make_encoder(
    None,
    _refuse,
    _json.encode_basestring_ascii,
    None,
    ": ",
    ", ",
    *(False, False, False),  # keys in order; none but texts; no NaN
)


def loads(text: str) -> Any:
    """Return what a text says, which is JSON from its first letter to its last."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        end = -1
    if end != len(text):
        raise ValueError("not JSON")
    return value


def dumps(value: object) -> bytes:
    """Return JSON, in ASCII."""
    return "".join(_encode(value, 0)).encode("ascii")
