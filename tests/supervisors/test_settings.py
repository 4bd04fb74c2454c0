from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from supervisors.settings import (
    KEYS,
    VARIABLES,
    Settings,
    SettingsError,
    load_settings,
    refuse_at_engine,
    refuse_uids,
    to_text,
)

if TYPE_CHECKING:
    from pathlib import Path


def config(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "warmbox.toml"
    path.write_text(text)
    return path


def test_defaults_come_from_nowhere_else() -> None:
    loaded = load_settings(None, {}, {})

    assert loaded.settings == Settings()
    assert set(loaded.sources.values()) == {"default"}
    assert tuple(loaded.sources) == KEYS


def test_later_layers_win_and_each_value_knows_its_source(tmp_path: Path) -> None:
    path = config(
        tmp_path, "port = 1\nqueue_max = 7\nhost = '::1'\n[pool]\nwarm = 2\nmax = 3\n"
    )
    environ = {"WARMBOX_PORT": "2", "WARMBOX_POOL_MAX": "4", "HOME": "/"}

    loaded = load_settings(path, environ, {"port": "3", "pool.idle_s": "1.5"})

    settings, sources = loaded.settings, loaded.sources
    assert (settings.host, sources["host"]) == ("::1", str(path))
    assert (settings.port, sources["port"]) == (3, "--port")
    assert (settings.pool.warm, sources["pool.warm"]) == (2, str(path))
    assert (settings.pool.max, sources["pool.max"]) == (4, "WARMBOX_POOL_MAX")
    assert (settings.pool.idle_s, sources["pool.idle_s"]) == (1.5, "--set pool.idle_s")
    assert (settings.queue_max, sources["queue_max"]) == (7, str(path))
    assert sources["drain_s"] == "default"


def test_every_key_has_a_variable_of_its_own() -> None:
    assert len(VARIABLES) == len(KEYS)
    assert VARIABLES["WARMBOX_POOL_WARM"] == "pool.warm"
    assert VARIABLES["WARMBOX_RATE_PER_SECOND"] == "rate.per_second"


@pytest.mark.parametrize("key", KEYS)
def test_every_default_survives_being_written_as_text(key: str) -> None:
    loaded = load_settings(None, {}, {key: to_text(Settings())[key]})

    assert loaded.settings == Settings()
    assert loaded.sources[key] != "default"


def test_lists_are_lists_in_the_file_and_comma_separated_elsewhere(
    tmp_path: Path,
) -> None:
    path = config(tmp_path, 'languages = ["python", "c"]')

    assert load_settings(path, {}, {}).settings.languages == ("python", "c")
    environ = {"WARMBOX_LANGUAGES": " go, ruby ,"}
    assert load_settings(path, environ, {}).settings.languages == ("go", "ruby")
    assert load_settings(path, {"WARMBOX_LANGUAGES": ""}, {}).settings.languages == ()


def test_an_empty_variable_takes_an_optional_limit_back(tmp_path: Path) -> None:
    path = config(tmp_path, "[limits]\nwall_time_s = 3\n")

    assert load_settings(path, {}, {}).settings.limits.wall_time_s == 3
    environ = {"WARMBOX_LIMITS_WALL_TIME_S": ""}
    assert load_settings(path, environ, {}).settings.limits.wall_time_s is None


@pytest.mark.parametrize(
    ("text", "environ", "options", "words"),
    [
        ("prot = 1", {}, {}, ["`prot`", "`port`", "warmbox.toml"]),
        ("[pool]\nworm = 1", {}, {}, ["`pool.worm`", "`pool.warm`"]),
        ("[port]\nnumber = 1", {}, {}, ["`port.number`", "`port`"]),
        ("pool = 3", {}, {}, ["`pool`", "group", "pool.warm"]),
        ("", {"WARMBOX_POOL_WORM": "1"}, {}, ["WORM`", "`WARMBOX_POOL_WARM`"]),
        ("", {}, {"rate.bursts": "1"}, ["`rate.bursts`", "`rate.burst`", "command"]),
    ],
)
def test_an_unknown_key_is_named_with_the_closest(
    tmp_path: Path,
    text: str,
    environ: dict[str, str],
    options: dict[str, str],
    words: list[str],
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(config(tmp_path, text), environ, options)

    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    ("text", "environ", "options", "words"),
    [
        ('port = "8000"', {}, {}, ["port", "'8000'", "warmbox.toml", "integer"]),
        ("port = true", {}, {}, ["port", "True", "integer"]),
        ("languages = 'c'\nport = 70000", {}, {}, ["port", "70000", "65535"]),
        ("languages = [1]", {}, {}, ["languages", "[1]", "string"]),
        ("[pool]\nidle_s = 0", {}, {}, ["pool.idle_s", "0", "greater"]),
        ("[pool]\nidle_s = inf", {}, {}, ["pool.idle_s", "inf", "finite"]),
        ("[caps]\nfile_size_kb = 70000", {}, {}, ["caps.file_size_kb", "65536"]),
        ("[limits]\nopen_files = 63", {}, {}, ["limits.open_files", "63", "64"]),
        ("[caps]\nstack_kb = 1023", {}, {}, ["caps.stack_kb", "1023", "1024"]),
        ("", {"WARMBOX_PORT": "http"}, {}, ["port", "'http'", "WARMBOX_PORT"]),
        ("", {"WARMBOX_PORT": ""}, {}, ["port", "''", "WARMBOX_PORT"]),
        ("", {}, {"cpus": "-1"}, ["cpus", "'-1'", "--set cpus", "greater"]),
        ("", {}, {"port": "-1"}, ["port", "'-1'", "(--port)"]),
        ("", {}, {"reuse": "often"}, ["reuse", "'always'", "'tenant'", "'never'"]),
        ("", {}, {"broker": ""}, ["broker", "should be `embedded`"]),
        ("", {}, {"broker": "redis://q"}, ["broker", "URL 1 should begin with amqp"]),
        ("", {}, {"broker": "amqp://q,amqp://:1"}, ["URL 2 names no host"]),
        ("", {}, {"broker": "amqp://q:port"}, ["URL 1", "port"]),
        ("", {}, {"role": "boss"}, ["role", "'gateway'", "'worker'", "(--role)"]),
        ("", {}, {"secret": "short"}, ["secret", "***", "16 characters"]),
        ("", {}, {"admin_key": "short"}, ["admin_key", "***", "16 characters"]),
        ("", {}, {"admin_key": "with a blank in it"}, ["admin_key", "***"]),
        ("", {}, {"worker_id": "a b"}, ["worker_id", "'a b'"]),
    ],
)
def test_a_wrong_value_is_told_with_key_value_and_source(
    tmp_path: Path,
    text: str,
    environ: dict[str, str],
    options: dict[str, str],
    words: list[str],
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(config(tmp_path, text), environ, options)

    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("limits.wall_time_s", "caps.wall_time_s"),
        ("limits.memory_mb", "caps.memory_mb"),
        ("limits.open_files", "caps.open_files"),
        ("pool.warm", "pool.max"),
    ],
)
def test_caps_below_limits_contradict_each_other(low: str, high: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {}, {low: "100", high: "99"})

    for word in (low, high, f"--set {low}", f"--set {high}"):
        assert word in str(caught.value)


CONTRADICTIONS = [
    # a job that is as large as it may be fits no frame
    ({"http.source_kb_max": "23000", "http.body_kb_max": "90000"}, "24576 KiB"),
    (
        {"http.source_kb_max": "12000", "http.stdin_kb_max": "12000"}
        | {"http.body_kb_max": "90000"},
        "24576 KiB",
    ),
    ({"http.files_max": "20000"}, "24576 KiB"),
    ({"http.stdin_kb_max": "9000", "http.body_kb_max": "8192"}, "is above"),
    # uids that the kernel has not
    (
        {"uid_first": "2147483648", "uids_per_container": "65536", "pool.max": "2100"},
        "4294967294",
    ),
    ({"pool.max": "100000"}, "4294967294"),
    ({"pool.max": "40000", "languages": "python"}, None),
    # a result that no log has room for
    ({"results_mb_max": "7"}, "gone at once"),
    ({"results_mb_max": "8"}, None),
]


@pytest.mark.parametrize(("options", "words"), CONTRADICTIONS)
def test_what_cannot_work_is_refused_with_its_keys(
    options: dict[str, str], words: str | None
) -> None:
    if words is None:
        load_settings(None, {}, options)
        return
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {}, options)
    for word in (words, *(f"{key} = {text}" for key, text in options.items())):
        if not word.startswith("http.body") or "above" in words:
            assert word in str(caught.value)


def test_who_starts_counts_the_languages() -> None:
    settings = load_settings(None, {}, {"pool.max": "20000"}).settings
    refuse_uids(settings, 8)
    with pytest.raises(SettingsError, match=r"pool\.max = 20000.* 20 languages"):
        refuse_uids(settings, 20)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cpus": "2.5"}, "cpus = 2.5 is more than the 2 "),
        ({"runtime": "runsc"}, "runtime = runsc: Docker knows no runtime runsc, but"),
        ({"runtimes": "java=runsc"}, "no runtime runsc, but crun, runc"),
        ({"cpus": "2", "runtime": "crun"}, None),
    ],
)
def test_what_docker_has_not_is_refused(
    options: dict[str, str], words: str | None
) -> None:
    settings = load_settings(None, {}, options).settings
    info = {"NCPU": 2, "Runtimes": {"runc": {}, "crun": {}}}
    if words is None:
        refuse_at_engine(settings, info)
        return
    with pytest.raises(SettingsError, match=words):
        refuse_at_engine(settings, info)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("cpus", "0.001"),
        ("caps.processes", "5000000"),
        ("caps.wall_time_s", "1e7"),
        ("drain_s", "1e300"),
        ("uids_per_container", "65537"),
        ("uid_first", "4294967295"),
    ],
)
def test_what_neither_docker_nor_the_kernel_takes_is_refused(
    key: str, text: str
) -> None:
    with pytest.raises(SettingsError, match=key):
        load_settings(None, {}, {key: text})


def test_a_body_has_room_for_what_its_fields_may_hold() -> None:
    http = load_settings(None, {}, {"http.source_kb_max": "4096"}).settings.http
    assert http.body_kb_max == 3 * (4096 + 1024) + 256


@pytest.mark.parametrize(
    "options",
    [
        {"http.source_kb_max": "900", "http.body_kb_max": "1900"},
        {"http.bodies_mb_max": "6"},
    ],
)
def test_bounds_that_no_request_could_keep_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="into http") as caught:
        load_settings(None, {}, options)
    for key in options:
        assert f"--set {key}" in str(caught.value)


@pytest.mark.parametrize("role", ["gateway", "worker"])
def test_a_part_of_a_service_needs_a_broker_to_share(role: str) -> None:
    with pytest.raises(
        SettingsError, match=rf"role = {role} \(--role\) needs a broker"
    ):
        load_settings(None, {}, {"role": role})
    options = {"role": role, "broker": "amqp://q"}
    assert load_settings(None, {}, options).settings.role == role


def test_a_file_that_is_missing_or_broken_is_an_error_with_its_path(
    tmp_path: Path,
) -> None:
    for path in (tmp_path / "none.toml", config(tmp_path, "port = ")):
        with pytest.raises(SettingsError, match=str(path)):
            load_settings(path, {}, {})


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104
        ("::", "http://[::1]:8000"),
        ("box.example", "http://box.example:8000"),
    ],
)
def test_a_client_on_this_machine_finds_the_service(host: str, url: str) -> None:
    assert load_settings(None, {}, {"host": host}).settings.url == url


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().pool.warm = 1  # type: ignore[misc]


@pytest.mark.parametrize("value", ["runsc", "=runsc", "java="])
def test_a_runtime_is_a_languages(value: str) -> None:
    with pytest.raises(SettingsError, match="LANGUAGE=RUNTIME"):
        load_settings(None, {}, {"runtimes": value})
    loaded = load_settings(None, {"WARMBOX_RUNTIMES": "java=runsc, go=runsc"}, {})
    assert loaded.settings.runtime_of == {"java": "runsc", "go": "runsc"}


def test_proxies_are_addresses_or_networks() -> None:
    with pytest.raises(SettingsError, match=r"http\.proxies"):
        load_settings(None, {}, {"http.proxies": "proxy.example"})
    loaded = load_settings(None, {}, {"http.proxies": "10.0.0.5,192.168.0.0/16"})
    assert loaded.settings.http.proxies == ("10.0.0.5", "192.168.0.0/16")
