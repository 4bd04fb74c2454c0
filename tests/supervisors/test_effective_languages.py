"""The settings' limits laid over the catalog."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import PYTHON, C

from images.catalog import Catalog
from supervisors.languages import (
    UnknownLanguageError,
    effective_catalog,
    sandbox_config,
    with_limits,
)
from supervisors.settings_model import Caps, DefaultLimits, Pool, Settings

CATALOG = Catalog(Path("images"), [C, PYTHON])


def names(settings: Settings, *built: str) -> list[str]:
    return list(effective_catalog(CATALOG, settings, built).languages)


def test_all_languages_with_an_image_are_served() -> None:
    assert names(Settings(), "c", "python") == ["c", "python"]
    assert names(Settings(), "python", "cobol") == ["python"]


def test_the_settings_choose_by_name_or_alias() -> None:
    assert names(Settings(languages=("PY",)), "c", "python") == ["python"]
    both = Settings(languages=("py", "python"))
    assert names(both, "c", "python") == ["python"]


def test_a_language_that_there_is_not_is_refused_with_what_is_like_it() -> None:
    with pytest.raises(UnknownLanguageError, match="'pyton'; close: python"):
        names(Settings(languages=("pyton",)), "python")


def test_a_chosen_folder_that_is_broken_is_refused_with_the_reason() -> None:
    broken = {"cobol": "cobol is incomplete: hello.cob missing"}
    catalog = Catalog(Path("images"), [C, PYTHON], broken)
    built = ("c", "python")
    assert list(effective_catalog(catalog, Settings(), built).languages) == [*built]
    with pytest.raises(UnknownLanguageError, match=r"hello\.cob missing"):
        effective_catalog(catalog, Settings(languages=("cobol",)), built)


def test_without_anything_like_it_all_are_named() -> None:
    with pytest.raises(UnknownLanguageError, match="close: c, python"):
        names(Settings(languages=("xxxxxxxx",)), "python")


def test_a_chosen_language_without_an_image_is_refused_with_the_command() -> None:
    settings = Settings(languages=("python", "c"))
    with pytest.raises(UnknownLanguageError, match="images build c python`"):
        names(settings)
    with pytest.raises(UnknownLanguageError, match="no image of c;"):
        names(settings, "python")


def test_without_any_image_there_is_nothing_to_serve() -> None:
    with pytest.raises(UnknownLanguageError, match="no image is built"):
        names(Settings())


def test_without_settings_a_language_keeps_its_limits() -> None:
    assert with_limits(PYTHON, Settings()) == PYTHON


def test_a_default_of_the_settings_goes_before_the_languages() -> None:
    settings = Settings(limits=DefaultLimits(wall_time_s=7, memory_mb=128))
    limits = with_limits(PYTHON, settings).limits
    assert (limits.wall_time_s, limits.memory_mb) == (7, 128)
    assert limits.cpu_time_s == PYTHON.limits.cpu_time_s


def test_nothing_is_above_its_cap() -> None:
    settings = Settings(
        caps=Caps(wall_time_s=2, processes=8), limits=DefaultLimits(wall_time_s=7)
    )
    limits = effective_catalog(CATALOG, settings, ["python"]).languages["python"].limits
    assert (limits.wall_time_s, limits.processes) == (2, 8)


def test_the_sandbox_is_as_the_settings_say() -> None:
    config = sandbox_config(
        Settings(
            host="::1",
            port=9000,
            runtime="runsc",
            reuse="tenant",
            pool=Pool(starts_max=3),
            caps=Caps(processes=99, cpu_time_s=11, open_files=70, stack_kb=2000),
        ),
        "{}",
    )
    assert config.seccomp == "{}"
    assert config.service == "::1:9000"
    assert (config.runtime, config.reuse, config.starts_max) == ("runsc", "tenant", 3)
    assert (config.processes_max, config.cpu_s_max) == (99, 11)
    assert (config.open_files_max, config.stack_kb_max) == (70, 2000)


def test_a_container_has_a_uid_for_each_of_its_jobs() -> None:
    settings = Settings(jobs_per_container_max=1000, uids_per_container=10)
    few = sandbox_config(settings, "{}")
    assert (few.jobs_max, few.uids) == (8, 10)
    settings = Settings(jobs_per_container_max=5, uids_per_container=10)
    many = sandbox_config(settings, "{}")
    assert many.jobs_max == 5


def test_a_language_may_have_a_runtime_of_its_own() -> None:
    settings = Settings(runtimes=("python=runsc",))
    assert sandbox_config(settings, "{}").runtimes == {"python": "runsc"}
    with pytest.raises(UnknownLanguageError, match="pyton"):
        effective_catalog(CATALOG, Settings(runtimes=("pyton=runsc",)), ["python"])
