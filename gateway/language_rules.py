"""What one language asks of a job, beyond what all of them do."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from images.catalog import LeastLimits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actors.messages import SourceFile
    from gateway.requests import JobRequest
    from images.catalog import Language

    Errors = Iterator[tuple[str, str]]

_LEAST = tuple(field.name for field in fields(LeastLimits))
_SHOWN_MAX = 60
"""Characters of a word that a message repeats."""


def check_for_language(
    request: JobRequest, files: Sequence[SourceFile], language: Language
) -> Errors:
    """Tell what this language's compiler or interpreter could not work with."""
    yield from _check_least(request, language)
    yield from _check_compile_args(request.compile_args, language)
    yield from _check_sources([file.name for file in files], language)


def _check_least(request: JobRequest, language: Language) -> Errors:
    if not request.limits.model_fields_set:
        return
    for name in _LEAST:
        least = getattr(language.least, name)
        if 0 < getattr(request.limits, name) < least:
            yield f"limits.{name}", f"{language.title} needs at least {least}"


def _check_compile_args(words: Sequence[str], language: Language) -> Errors:
    if words and language.compile is None:
        yield "compile_args", f"{language.title} has no compiler"
        return
    for number, word in enumerate(words):
        if language.compile and language.compile.refuses(word):
            allowed = " ".join(language.compile.allow) or "nothing"
            message = f"{word[:_SHOWN_MAX]!r} is not allowed; allowed is {allowed}"
            yield f"compile_args.{number}", message


def _check_sources(names: Sequence[str], language: Language) -> Errors:
    lacks = language.compile.lacks(names[0], names) if language.compile else ""
    if lacks:
        shown = ", ".join(names)[:_SHOWN_MAX]
        yield "files", f"{language.title} needs a file called *{lacks}; got {shown}"
