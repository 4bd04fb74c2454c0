"""From a request of the right shape to a job within the settings' bounds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from actors.messages import CompileLimits, Limits, SourceFile
from gateway.language_rules import check_for_language
from gateway.names import find_clash
from gateway.problems import Problem
from gateway.requests import LimitsRequest
from gateway.slices import PIECE_BYTES
from gateway.texts import base64_bytes, from_base64

if TYPE_CHECKING:
    from gateway.config import GatewayConfig
    from gateway.requests import JobRequest
    from gateway.slices import Slices
    from gateway.texts import Texts
    from images.catalog import Catalog, Language

# The kernel gives a program 128 KiB for one word and some more for all of them.
_WORDS_BYTES_MAX = 65536
_SHOWN_CHARS = 40
_COMPILE_LIMITS = tuple(field.name for field in fields(CompileLimits))
_LIMITS = tuple(field.name for field in fields(Limits) if field.name != "compile")

Errors = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Draft:
    """All of a job that its client decides."""

    language: str
    files: tuple[SourceFile, ...]
    stdin: bytes
    stdin_open: bool
    args: tuple[str, ...]
    compile_args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    limits: Limits

    def fingerprint(self, slices: Slices) -> str:
        """Return a digest that differs when anything of it does."""
        contents = [*(file.content for file in self.files), self.stdin]
        frame = replace(self, stdin=b"", files=())
        sizes = [(file.name, len(file.content), file.executable) for file in self.files]
        digest = hashlib.sha256(repr((frame, sizes, len(self.stdin))).encode())
        for content in contents:
            for at in range(0, len(content), PIECE_BYTES):
                digest.update(memoryview(content)[at : at + PIECE_BYTES])
                slices.give_way()
        return digest.hexdigest()


class Drafter:
    """Makes drafts of the languages that are served, within the configured caps."""

    def __init__(
        self, config: GatewayConfig, catalog: Catalog, served: Mapping[str, str]
    ) -> None:
        self._config = config
        self._catalog = catalog
        self._served = served
        self._usual = {
            name: self._limits(LimitsRequest(), language)
            for name, language in catalog.languages.items()
        }
        """The limits of who asks for none."""

    def draft(self, request: JobRequest, texts: Texts, slices: Slices) -> Draft:
        """Return the job's draft, or raise the Problem with one entry a field.

        texts: what stands for a long text in the request, and the text.
        """
        errors = [*self._check(request), *_check_texts(request, texts)]
        language = self._catalog.resolve(request.language)
        if errors or language is None:
            raise Problem.invalid(*errors)
        stdin = texts.utf8(request.stdin)
        if len(stdin) > self._config.stdin_kb_max * 1024:
            raise _too_large("stdin", self._config.stdin_kb_max)
        files = tuple(self._files(request, language, texts, slices))
        errors = [*check_for_language(request, files, language)]
        if errors:
            raise Problem.invalid(*errors)
        return Draft(
            language=language.name,
            files=files,
            stdin=stdin,
            stdin_open=request.stdin_open,
            args=tuple(request.args),
            compile_args=tuple(request.compile_args),
            env=tuple(sorted(request.env.items())),
            limits=self._limits(request.limits, language)
            if request.limits.model_fields_set
            else self._usual[language.name],
        )

    def _check(self, request: JobRequest) -> Errors:
        yield from self._check_language(request.language)
        yield from _check_source(request)
        yield from _check_words(request)
        yield from self._check_caps(request)

    def _check_language(self, name: str) -> Errors:
        language = self._catalog.resolve(name)
        if language is not None and language.name in self._served:
            return
        shown = name[:_SHOWN_CHARS]  # to compare more takes its time
        near = [one for one in self._catalog.closest(shown) if one in self._served]
        known = ", ".join(near or sorted(self._served))
        hint = f"did you mean {known}?" if near else f"there are {known}"
        yield "language", f"unknown language {shown!r}; {hint}"

    def _check_caps(self, request: JobRequest) -> Errors:
        asked, caps = request.limits, self._config.caps
        if not asked.model_fields_set:
            return
        groups = (
            ("limits", asked, caps, _LIMITS),
            ("limits.compile", asked.compile, caps.compile, _COMPILE_LIMITS),
        )
        for group, limits, most, names in groups:
            for name in names:
                cap = getattr(most, name)
                if getattr(limits, name) > cap:
                    yield f"{group}.{name}", f"must be at most {cap}"

    def _files(
        self, request: JobRequest, language: Language, texts: Texts, slices: Slices
    ) -> Iterator[SourceFile]:
        """Yield the files, but no more bytes than they may have together."""
        left = self._config.source_kb_max * 1024
        for number, (name, text, encoding, mode) in enumerate(
            _listed(request, language)
        ):
            content = texts.utf8(text)
            if encoding == "base64":
                if len(content) > base64_bytes(left):
                    raise _too_large("source", self._config.source_kb_max)
                try:
                    content = from_base64(content, slices)
                except ValueError:
                    field = f"files.{number}.content"
                    raise Problem.invalid((field, "is not base64")) from None
            left -= len(content)
            if left < 0:
                raise _too_large("source", self._config.source_kb_max)
            yield SourceFile(name, content, _is_executable(mode, content))

    def _limits(self, asked: LimitsRequest, language: Language) -> Limits:
        own, caps = language.limits, self._config.caps
        compiler = None
        if own.compile is not None:
            chosen = _choose(_COMPILE_LIMITS, asked.compile, own.compile, caps.compile)
            compiler = CompileLimits(**chosen)
        return Limits(**_choose(_LIMITS, asked, own, caps), compile=compiler)


def _choose(
    names: Iterable[str], asked: object, own: object, caps: object
) -> dict[str, Any]:
    """Return each limit as it was asked for, or the language's own, within the caps."""
    return {
        name: min(getattr(asked, name) or getattr(own, name), getattr(caps, name))
        for name in names
    }


def _check_words(request: JobRequest) -> Errors:
    words = (*request.args, *request.env, *request.env.values())
    if sum(len(word.encode()) + 1 for word in words) > _WORDS_BYTES_MAX:
        yield "args", f"with env is larger than {_WORDS_BYTES_MAX} bytes"
    if sum(len(word.encode()) + 1 for word in request.compile_args) > _WORDS_BYTES_MAX:
        yield "compile_args", f"is larger than {_WORDS_BYTES_MAX} bytes"


def _check_source(request: JobRequest) -> Errors:
    if bool(request.source) == bool(request.files):
        yield "source", "exactly one of source and files must be given"
    clash = find_clash(file.name for file in request.files)
    if clash is not None:
        yield "files", f"{clash!r} is there twice, or is also a folder"


def _check_texts(request: JobRequest, texts: Texts) -> Errors:
    if texts.are_whole():
        return
    long = {"source": request.source, "stdin": request.stdin}
    long |= {f"files.{n}.content": file.content for n, file in enumerate(request.files)}
    for field, text in long.items():
        if texts.is_broken(text):
            yield field, "has half a surrogate pair in it"


def _listed(request: JobRequest, language: Language) -> list[tuple[str, str, str, str]]:
    """Return name, content, encoding and mode of each file."""
    if request.source:
        return [(language.main, request.source, "utf-8", "")]
    return [(one.name, one.content, one.encoding, one.mode) for one in request.files]


def _is_executable(mode: str, content: bytes) -> bool:
    return mode == "755" or (not mode and content.startswith(b"#!"))


def _too_large(what: str, kb_max: int) -> Problem:
    return Problem("too_large", f"The {what} is larger than {kb_max} KiB.")
