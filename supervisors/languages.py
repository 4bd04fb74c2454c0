"""The settings' limits laid over the catalog: languages as this service runs them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from actors.sandbox import LanguageDefaults, SandboxConfig
from images.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Collection

    from images.catalog import CompilerLimits, Language
    from supervisors.settings_model import CompileCaps, Settings


class UnknownLanguageError(ValueError):
    """The settings name a language that there is not, or whose image is not built."""


def effective_catalog(
    catalog: Catalog, settings: Settings, built: Collection[str]
) -> Catalog:
    """Return the languages to serve, each with the limits in force.

    built: the names of the languages whose images exist. Raises UnknownLanguageError
    when the settings ask for another, or when none is left.
    """
    for name in settings.languages:
        if name in catalog.broken:
            raise UnknownLanguageError(catalog.broken[name])
        if catalog.resolve(name) is None:
            near = ", ".join(catalog.closest(name) or catalog.languages)
            raise UnknownLanguageError(f"there is no language {name!r}; close: {near}")
    for name in settings.runtime_of:
        if name not in catalog.languages:
            raise UnknownLanguageError(f"runtimes: there is no language {name!r}")
    wanted = {
        language.name
        for language in map(catalog.resolve, settings.languages)
        if language
    }
    missing = wanted - set(built)
    if missing:
        names = " ".join(sorted(missing))
        raise UnknownLanguageError(
            f"no image of {names}; build it with `run.py images build {names}`"
        )
    served = [
        with_limits(language, settings)
        for language in catalog.languages.values()
        if language.name in built and (not wanted or language.name in wanted)
    ]
    if not served:
        raise UnknownLanguageError("no image is built: try `run.py images build`")
    return Catalog(catalog.root, served)


def with_limits(language: Language, settings: Settings) -> Language:
    """Return the language with the settings' default limits, within the caps."""
    own = settings.limits.model_dump(exclude_none=True)
    caps = settings.caps.model_dump(exclude={"compile"})
    limits: dict[str, Any] = {
        name: min(own.get(name, getattr(language.limits, name)), cap)
        for name, cap in caps.items()
    }
    if language.limits.compile is not None:
        limits["compile"] = _within(language.limits.compile, settings.caps.compile)
    return replace(language, limits=replace(language.limits, **limits))


def _within(limits: CompilerLimits, caps: CompileCaps) -> CompilerLimits:
    capped = {
        name: min(getattr(limits, name), cap) for name, cap in caps.model_dump().items()
    }
    return replace(limits, **capped)


def language_defaults(language: Language) -> LanguageDefaults:
    """Return the language as its containers need it."""
    compiler = language.limits.compile
    return LanguageDefaults(
        language=language,
        image=f"warmbox/{language.name}:latest",
        processes=language.limits.processes,
        memory_mb=(compiler or language.limits).memory_mb,
    )


def sandbox_config(settings: Settings, seccomp: str) -> SandboxConfig:
    """Return the settings that every container shares, and the list of its calls."""
    return SandboxConfig(
        service=f"{settings.host}:{settings.port}",
        runtime=settings.runtime,
        runtimes=settings.runtime_of,
        seccomp=seccomp,
        reuse=settings.reuse,
        # One uid is the killer's, and one that of the job that waits after the last.
        jobs_max=min(settings.jobs_per_container_max, settings.uids_per_container - 2),
        age_s_max=settings.container_age_s_max,
        scrub_s=settings.scrub_s,
        grace_s=settings.deadline_grace_s,
        cpus=settings.cpus,
        uid_first=settings.uid_first,
        uids=settings.uids_per_container,
        starts_max=settings.pool.starts_max,
        processes_max=settings.caps.processes,
        open_files_max=settings.caps.open_files,
        stack_kb_max=settings.caps.stack_kb,
        cpu_s_max=settings.caps.cpu_time_s,
    )
