"""What `run.py submit` takes, and the request that it makes of it."""

from __future__ import annotations

import argparse
import base64
import re
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from gateway.client import ClientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from images.catalog import Catalog

_JSON_NUMBERS = (int, float)
_PUBLIC = re.compile(
    r"^public\s+(?:(?:abstract|final|sealed|non-sealed|strictfp)\s+)*"
    r"(?:class|interface|enum|record)\s+(\w+)",
    re.MULTILINE,
)


def add_submit_options(parser: argparse.ArgumentParser) -> None:
    """Add the program, its arguments, and all that can be said of a job."""
    parser.add_argument("file", type=Path, help="the program")
    parser.add_argument("args", nargs="*", help="its arguments; `--` before a -v")
    parser.add_argument("--arg", action="append", default=[], help="--arg=-v for a -v")
    parser.add_argument("--language", help="else told by the file's suffix")
    parser.add_argument(
        "--file",
        dest="files",
        type=Path,
        action="append",
        default=[],
        help="a further file, named as seen from the program's folder; repeatable",
    )
    parser.add_argument(
        "--env",
        type=_variable,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable of the program's environment; repeatable",
    )
    parser.add_argument(
        "--limit",
        dest="limits",
        type=_limit,
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="such as memory_mb=64; repeatable",
    )
    parser.add_argument(
        "--stdin-file", type=Path, help="what the program reads, else our own stdin"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the whole result as JSON, at its end"
    )


def take_late_arguments(
    parser: argparse.ArgumentParser, args: argparse.Namespace, late: Sequence[str]
) -> None:
    """Give the program the words that stand behind an option.

    argparse hands out the words of a list in one go: those that come after the next
    option are left over. Exits with what is wrong where they are none of a program's.
    """
    words, bare = _split(late)
    wrong = [word for word in words if word.startswith("-")]
    if late and ("args" not in args or wrong):
        hint = " (`--` before what is the program's)" if "args" in args else ""
        parser.error(f"unrecognized arguments: {' '.join(wrong or late)}{hint}")
    if late:
        args.args += [*words, *bare]


def _split(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return what stands before the first `--`, and what stands behind it."""
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def request_of(args: argparse.Namespace, catalog: Catalog) -> dict[str, Any]:
    """Return the job that the options describe. Raises ClientError and OSError."""
    folder = args.file.parent
    others = [_entry(path, _name_within(folder, path)) for path in args.files]
    main = _entry(args.file, args.file.name)
    if args.file.suffix == ".java" and not others:
        main["name"] = _public_class(main["content"]) or main["name"]
    request: dict[str, Any] = {
        "language": args.language or guess_language(args.file, catalog),
        "files": [main, *others],
        "args": [*args.arg, *args.args],
    }
    if args.env:
        request["env"] = dict(args.env)
    if args.limits:
        request["limits"] = dict(args.limits)
    return request


def _public_class(source: str) -> str:
    """Return the file that a program of one file has to be in for javac, if any.

    It wants a public class in a file of its name. `java FILE` (JEP 330) does not, and
    so nobody who has one file needs to know.
    """
    found = _PUBLIC.search(source)
    return f"{found[1]}.java" if found else ""


def guess_language(file: Path, catalog: Catalog) -> str:
    """Tell a program's language by its suffix."""
    for language in catalog.languages.values():
        if PurePath(language.main).suffix == file.suffix:
            return language.name
    language_called_so = catalog.resolve(file.suffix.removeprefix("."))
    if language_called_so:
        return language_called_so.name
    raise ClientError(f"the language of {file.name} can't be guessed: use --language")


def _name_within(folder: Path, path: Path) -> str:
    """Return a file's name as the program will see it; one from elsewhere lies beside.

    So `submit src/main.py --file src/lib/a.py` has `lib/a.py`.
    """
    try:
        return path.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        return path.name


def _entry(path: Path, name: str) -> dict[str, str]:
    content = path.read_bytes()
    try:
        return {"name": name, "content": content.decode()}
    except UnicodeDecodeError:
        coded = base64.b64encode(content).decode()
        return {"name": name, "content": coded, "encoding": "base64"}


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _limit(text: str) -> tuple[str, float]:
    """Return a limit; which there are, and within what bounds, the service knows."""
    name, value = _variable(text)
    for number in _JSON_NUMBERS:
        try:
            return name, number(value)
        except ValueError:
            continue
    raise argparse.ArgumentTypeError(f"{value!r} is no number")
