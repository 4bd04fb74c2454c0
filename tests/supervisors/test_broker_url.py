"""The URLs of RabbitMQ: checked, masked, and what is derived from them."""

from __future__ import annotations

import pytest

from supervisors.broker_url import (
    judge_secret,
    masked,
    secret_of,
    warn_of_weak_secret,
)
from supervisors.settings import SettingsError, load_settings, to_text
from supervisors.settings_model import Settings

TWO = "amqp://box:pw1@a:5671/v, amqps://box:p%40w2@b"


def test_the_nodes_of_a_cluster_are_tried_in_the_order_given() -> None:
    settings = Settings(broker=TWO)
    assert settings.broker_urls == ("amqp://box:pw1@a:5671/v", "amqps://box:p%40w2@b")
    assert Settings().broker_urls == ()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("embedded", "embedded"),
        ("amqp://q:5672/v", "amqp://q:5672/v"),
        (TWO, "amqp://box:***@a:5671/v,amqps://box:***@b"),
        ("amqp://box:p@ss/w@q", "amqp://box:***@q"),
        ("amqp://box:pa,ss@q", "***"),
        ("box:pass@q", "***"),
    ],
)
def test_no_password_is_shown(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_neither_settings_nor_errors_show_what_is_secret() -> None:
    settings = Settings(broker="amqp://box:word@q", secret="0123456789abcdef")  # noqa: S106
    assert to_text(settings)["broker"] == "amqp://box:***@q"
    assert to_text(settings)["secret"] == "***"  # noqa: S105
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {}, {"broker": "amqp://box:word@q:port"})
    assert "word" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_all_gateways_of_a_broker_have_one_secret() -> None:
    one = secret_of(Settings(broker="amqp://box:pw1@a,amqp://box:pw2@b"))
    assert one == secret_of(Settings(broker="amqp://other:pw1@c/vhost"))
    assert one != secret_of(Settings(broker="amqp://box:pw2@a"))
    assert one != secret_of(Settings(broker="amqp://a"))
    given = Settings(broker="amqp://box:pw1@a", secret="0123456789abcdef")  # noqa: S106
    assert secret_of(given) == b"0123456789abcdef"


def test_a_service_of_one_process_needs_none() -> None:
    assert secret_of(Settings()) is None


@pytest.mark.parametrize("url", ["amqp://q", "amqp://guest:guest@q"])
def test_a_password_that_everybody_knows_is_found(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    ok, evidence, mend = judge_secret(Settings(broker=url))
    assert not ok
    assert "well-known" in evidence
    assert "WARMBOX_SECRET" in mend
    warn_of_weak_secret(Settings(broker=url))
    assert "well-known" in caplog.text


def test_a_password_of_ones_own_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    for settings in (
        Settings(),
        Settings(broker="amqp://guest:own@q"),
        Settings(broker="amqp://q", secret="0123456789abcdef"),  # noqa: S106
    ):
        warn_of_weak_secret(settings)
        warn_of_weak_secret(Settings(broker="amqp://q", role="worker"))  # makes no ids
        assert not settings.broker_urls or judge_secret(settings)[0]
    assert caplog.text == ""
