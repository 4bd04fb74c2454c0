"""A large body: counted before it is made into objects, decoded in turns."""

from __future__ import annotations

import itertools
import json
from typing import Any

import gevent
import pytest

from gateway import texts
from gateway.large_json import Bounds, parse_large
from gateway.problems import Problem
from gateway.slices import Slices
from gateway.texts import decoded, from_base64, pieces_of

BOUNDS = Bounds(100, 1000)
LONG = '0123456789 \\ " \n ü € 😀 ' * 5000
PARTS = ["a", "\\", '"', "\n", "ü", "€", "😀", "\x01", "u", "ud83d"]


def parse(document: object, bounds: Bounds = BOUNDS) -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse_large(body, json.loads, bounds, Slices())


@pytest.mark.parametrize("is_ascii", [True, False])
def test_a_text_in_pieces_is_the_text(
    monkeypatch: pytest.MonkeyPatch, is_ascii: bool
) -> None:
    monkeypatch.setattr(texts, "_FIRST_BYTES", 16)
    monkeypatch.setattr(texts, "PIECE_BYTES", 16)
    for parts in itertools.product(PARTS, repeat=3):
        text = "".join(parts) * 7
        written = json.dumps(text, ensure_ascii=is_ascii).encode()
        pieces = [*pieces_of(written + b', "more"', 1, Slices())]
        assert b"".join(pieces) == written[1:-1]
        assert decoded(pieces, Slices()) == text.encode()


def test_long_texts_stand_beside_the_document() -> None:
    given = {"source": LONG, "stdin": LONG, "args": [LONG[:400], "short"]}
    document, texts = parse({**given, "files": [{"content": LONG, "name": "a"}]})
    assert document["args"] == given["args"]
    assert len(document["source"]) < 100
    for text in (
        document["source"],
        document["stdin"],
        document["files"][0]["content"],
    ):
        assert texts.utf8(text) == LONG.encode()
    assert texts.utf8("short") == b"short"


def test_of_two_with_one_name_the_last_counts() -> None:
    name = "n" * 300
    body = f'{{"{name}":1,"source":"{"x" * 300}","source":"y","{name}":2}}'.encode()
    document, _ = parse(body)
    assert document == {name: 2, "source": "y"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"source": "' + b"x" * 300,
        b'{"source": "' + b"x" * 300 + b"\\",
        b'{"source": "' + b"x" * 300 + b'\\q"}',
        b'{"source": "' + b"x" * 300 + b'\\u12"}',
        b'{"source": "' + b"x" * 300 + b'\n"}',
        b'{"source": "' + b"x" * 300 + b'\xff"}',
        b'{"source": "' + b"x" * 300 + b'"',
    ],
)
def test_what_is_not_json(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(body)


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ({f"{n}": 0 for n in range(101)}, "100 texts"),
        ([0] * 1001, "1000 bytes beside"),
        ([0] * 102, "100 commas"),
        ([LONG] * 2, "131072 bytes in texts beside"),
    ],
)
def test_what_no_request_needs_is_not_made_into_objects(
    document: object, what: str
) -> None:
    with pytest.raises(Problem, match=what) as caught:
        parse(document)
    assert caught.value.status == 413


def test_half_a_surrogate_pair_is_told_of() -> None:
    document, texts = parse({"source": "x" * 300 + "\ud83d", "stdin": "y"})
    assert texts.is_broken(document["source"])
    assert not texts.is_broken(document["stdin"])
    with pytest.raises(Problem, match="the body"):
        parse({"args": ["x" * 300 + "\ud83d"]})


def test_others_have_their_turns_meanwhile() -> None:
    class Short(Slices):
        """Slices that are over at once."""

        def give_way(self) -> None:
            gevent.sleep(0)

    turns: list[None] = []
    for work in (
        lambda: parse_large(
            json.dumps({"stdin": LONG}).encode(), json.loads, BOUNDS, Short()
        ),
        lambda: from_base64(b"YWFh" * 50_000, Short()),
    ):
        turns.clear()
        gevent.spawn(turns.append, None)
        work()
        assert turns


@pytest.mark.parametrize(
    "text", [b"YQ==" * 30_000, b"YWFh" * 30_000 + b"Y", b"%" * 70_000]
)
def test_long_base64_that_is_none(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_base64(text, Slices())
