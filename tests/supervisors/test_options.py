from __future__ import annotations

from pathlib import Path

import pytest

from supervisors.options import settings_of, settings_options


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def port_of(*words: str) -> tuple[int, str]:
    loaded = settings_of(settings_options().parse_args(words))
    return loaded.settings.port, loaded.sources["port"]


def test_the_default_file_is_read_if_it_is_there() -> None:
    assert port_of() == (8000, "default")

    Path("warmbox.toml").write_text("port = 1")
    Path("other.toml").write_text("port = 2")

    assert port_of() == (1, "warmbox.toml")
    assert port_of("--config", "other.toml") == (2, "other.toml")
    assert port_of("--set", "port=3") == (3, "--port")
    assert port_of("--set", "port=3", "--port", "4") == (4, "--port")


def test_an_assignment_needs_its_equals_sign(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        port_of("--set", "port")
    assert "'port' is not KEY=VALUE" in capsys.readouterr().err
