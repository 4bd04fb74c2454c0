"""Values that no sensible client sends, and JSON that no sensible encoder writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "\r\nX: y",
    "\x1b[2J\x7f\x80\x9f",
    "\u2028\u2029\ufeff\u202e",
    "\u00e9\u0301\U0001f600\U0010ffff\ufffe",
    "\ud800",
    "a\udfffb",
    "../../etc/passwd",
    "/etc/passwd",
    "a/./b",
    "a//b",
    "a\\b",
    "CON",
    "-rf",
    "--help",
    "$(id)`id`",
    "%s%n%00%ff",
    "{sources:.c}",
    "__proto__",
    "__class__",
    "[key]",
    "null",
    "A" * 300,
    "\U0001f600" * 70,
    "x" * 70_000,
)
NUMBERS = (
    "0",
    "-0",
    "-1",
    "1.0",
    "0.1",
    "16.5",
    "1e0",
    "1e-320",
    "1e308",
    "1e999",
    "-1e999",
    "2147483648",
    "9223372036854775808",
    "18446744073709551616",
    "9" * 400,
    "9" * 5000,
    "0." + "3" * 5000,
    "NaN",
    "Infinity",
    "-Infinity",
    "0x10",
    "1_000",
    "01",
)
DEPTHS = (3, 60, 900, 5000, 200_000)


@dataclass(frozen=True, slots=True)
class Raw:
    """Text that stands in the JSON as it is, whether it is any or not."""

    text: str


def text(chance: Random) -> str:
    """Return a text that somebody may have forgotten."""
    if chance.random() < 0.6:
        return chance.choice(TEXTS)
    points = (chance.randrange(0x110000), chance.randrange(256), chance.randrange(128))
    return "".join(chr(chance.choice(points)) for _ in range(chance.randrange(12)))


def value(chance: Random) -> object:
    """Return anything that can stand in a JSON document, or can't."""
    kind = chance.randrange(8)
    if kind == 0:
        return Raw(chance.choice(NUMBERS))
    if kind == 1:
        return Raw(_nested(chance))
    if kind == 2:
        return {text(chance): text(chance) for _ in range(chance.choice((0, 1, 70)))}
    if kind == 3:
        return [text(chance) for _ in range(chance.choice((0, 1, 70)))]
    if kind == 4:
        return chance.choice((None, True, False, [], {}, [[]], 1, 1.5))
    return text(chance)


def _nested(chance: Random) -> str:
    depth = chance.choice(DEPTHS)
    if chance.random() < 0.3:
        return "[" * depth
    if chance.random() < 0.5:
        return "[" * depth + "]" * depth
    return '{"a":' * depth + "1" + "}" * depth


def to_json(document: object, chance: Random) -> str:
    """Encode, now and then with a key twice."""
    match document:
        case Raw(written):
            return written
        case dict():
            items = [
                f"{json.dumps(key)}:{to_json(one, chance)}"
                for key, one in document.items()
            ]
            if items and chance.random() < 0.05:
                items.append(chance.choice(items))
            return "{" + ",".join(items) + "}"
        case list():
            return "[" + ",".join(to_json(one, chance) for one in document) + "]"
    return json.dumps(document, ensure_ascii=chance.random() < 0.5)


def to_bytes(written: str, chance: Random) -> bytes:
    """Return the JSON as it travels: mostly UTF-8, and mostly whole."""
    body = written.encode("utf-8", "surrogatepass")
    way = chance.randrange(30)
    if way == 0:
        return written.encode("utf-16", "surrogatepass")
    if way == 1:
        return b"\xef\xbb\xbf" + body
    if way == 2:
        return body[: chance.randrange(len(body) + 1)]
    if way == 3:
        return body + chance.randbytes(3)
    return body
