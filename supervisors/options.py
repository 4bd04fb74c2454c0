"""Settings on a command line: the options, and reading them with all other layers."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from supervisors.settings import OWN_OPTIONS, load_settings

if TYPE_CHECKING:
    from supervisors.settings import LoadedSettings

CONFIG = Path("warmbox.toml")


def settings_options() -> argparse.ArgumentParser:
    """Return the parent parser of every command that reads the settings."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--config", type=Path, help=f"settings file (./{CONFIG})")
    parser.add_argument("--host", help="address to listen on or to ask")
    parser.add_argument("--port")
    parser.add_argument("--role", help="all, gateway or worker")
    parser.add_argument("--broker", help="embedded, or amqp://USER:PASSWORD@HOST")
    parser.add_argument(
        "--set",
        type=_assignment,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other setting, such as pool.warm=3",
    )
    return parser


def settings_of(args: argparse.Namespace) -> LoadedSettings:
    """Read the settings from the file, the environment and the options."""
    options = dict(args.set)
    own = {key: getattr(args, key) for key in OWN_OPTIONS}
    options |= {key: value for key, value in own.items() if value is not None}
    config = args.config or (CONFIG if CONFIG.exists() else None)
    return load_settings(config, os.environ, options)


def _assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value
