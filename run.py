"""The command line: serve, build images, submit programs, tell how things stand."""

from gevent import monkey

# before anything else is imported: what is imported unpatched stays so
monkey.patch_all()

import argparse
import logging
import os
import secrets
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from rich.console import Console
from rich.table import Table
from rich.text import Text

from actors.actor import Context
from actors.broker.probe import probe
from actors.broker.topology import Topology
from actors.directory import Directory
from actors.engine import Engine, EngineError
from actors.inside import look_inside
from actors.listener import Listener
from actors.messages import CompileLimits, Limits
from gateway.app import make_app, make_status_app
from gateway.client import Client, ClientError
from gateway.config import GatewayConfig
from gateway.self_check import self_check
from gateway.server import GatewayServer
from gateway.stdin_source import Descriptor
from gateway.submit_options import (
    add_submit_options,
    request_of,
    take_late_arguments,
)
from gateway.terminal import Terminal
from gateway.tree_view import show_tree, watch_tree
from gateway.turns import Turns
from images.build import build_command, connect, list_images
from images.catalog import Catalog, load_catalog
from images.doctor import examine, examine_host
from images.finding import Finding
from images.language_file import CatalogError
from images.protections import LOOK_FILE, judge
from metrics.collector import MailboxCollector
from metrics.instruments import REGISTRY
from metrics.loop_lag import watch_loop
from supervisors.broker_url import judge_secret, secret_of, warn_of_weak_secret
from supervisors.contradictions import UID_MAX
from supervisors.garbage import keep_collecting
from supervisors.languages import (
    UnknownLanguageError,
    effective_catalog,
    language_defaults,
    sandbox_config,
)
from supervisors.options import settings_of, settings_options
from supervisors.processes import OPTION, Inherited, Processes, listen
from supervisors.readiness import ready_line, wait_until_ready
from supervisors.service import Service
from supervisors.settings import (
    Settings,
    SettingsError,
    refuse_at_engine,
    refuse_uids,
    to_text,
)
from supervisors.tree import tree

IMAGES = Path(__file__).parent / "images"
CLEAN_UP_S = 120
"""For Docker to remove all containers: a second, but a minute on a busy disk."""
READS_A_JOB = 10
"""Requests that need no token for each that does, where the settings name no rate."""
UNKNOWN_WAIT_S = 1.0
"""A job that another gateway has taken is known here within milliseconds."""
PROBE_S = 5.0
ANSWERS_POLL_S = 0.1
LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
YES, NO = Text("ok", style="green"), Text("mend", style="bold red")
OFF = Text("off", style="yellow")
LOOKER = "python"
"""The language of the program that looks at a sandbox from its inside."""

Args = argparse.Namespace
console = Console()

# ----------------------------------------------------------------- commands


def serve(args: Args) -> int:
    """Run the service until a signal comes; then drain and stop it."""
    logging.basicConfig(format=LOG_FORMAT, level=logging.INFO)
    # what matters of an outage, the broker connections tell once; pika, each time
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    settings = settings_of(args).settings
    if args.self_check and settings.role == "worker":
        raise CommandError("a worker takes no jobs from clients: check its gateway")
    inherited = Inherited(args.inherited) if args.inherited else None
    if settings.gateways > 1 and not inherited:
        return serve_processes(settings, self_checks=args.self_check)
    if not inherited:
        refuse_taken_port(settings.host, settings.port)
    refuse_less(settings)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, settings.nice)
    stopping = stop_on_signals(is_told_twice=inherited is not None)
    engine_port, service, announce = start_service(settings, inherited)
    if not inherited:
        gevent.spawn(announce)
    fallen = gevent.spawn(service.wait)
    fallen.link(lambda _: stopping.set())
    if inherited:
        inherited.follow(stopping)
    is_greeter = args.self_check and not inherited
    check = gevent.spawn(greet, settings.url) if is_greeter else None
    stopping.wait()
    if check:
        check.kill()
    if fallen.dead:
        say("the service can't go on: see its last words above")
        clean_up(engine_port)
        return 1
    say("draining; once more stops at once")
    service.drain(settings.drain_s)
    stopped = service.stop()
    return 0 if clean_up(engine_port) and stopped else 1


def serve_processes(settings: Settings, *, self_checks: bool) -> int:
    """Run several processes of this very command until a signal comes."""
    stopping = stop_on_signals()
    command = [sys.executable, *sys.argv]
    processes = Processes(command, settings.gateways, settings.host, settings.port)
    gevent.spawn(announce_processes, settings)
    check = gevent.spawn(greet, settings.url) if self_checks else None
    ended_well = processes.run(stopping)
    if check:
        check.kill()
    return 0 if ended_well else 1


def announce_processes(settings: Settings) -> None:
    """Say that the first of several gateways answers, when it does."""
    client = Client(settings.url)
    while not client.answers():
        gevent.sleep(ANSWERS_POLL_S)
    known = load_catalog(IMAGES)
    served = effective_catalog(known, settings, known.languages).languages
    say(ready_line(settings, settings.url, dict.fromkeys(served)))


def clean_up(engine_port: Engine | None) -> bool:
    """Leave no container behind; False when Docker does not remove them in time."""
    left = 0 if engine_port is None else engine_port.close(CLEAN_UP_S)
    if left:
        say(f"{left} containers were not removed within {CLEAN_UP_S} s: Docker is slow")
    return not left


def start_service(
    settings: Settings, inherited: Inherited | None
) -> tuple[Engine | None, Service, Callable[[], None]]:
    """Put the parts together and start them; the engine's leftovers go first.

    A gateway has no engine, and asks for none. What is returned last waits until the
    service is ready, and says so.
    """
    known = known_languages()
    is_gateway = settings.role == "gateway"
    built = dict.fromkeys(known.languages, "") if is_gateway else built_images(known)
    catalog = effective_catalog(known, settings, built)
    refuse_uids(settings, len(catalog.languages))
    served = {name: built[name] for name in catalog.languages}
    if not is_gateway:
        refuse_at_engine(settings, engine().info())
    engine_port = None if is_gateway else make_engine(settings)
    if engine_port is not None and (left := engine_port.sweep(CLEAN_UP_S)):
        raise CommandError(
            f"Docker does not remove {left} containers of an earlier run"
        )
    service = Service(Directory())
    config = gateway_config(settings)
    make = make_status_app if settings.role == "worker" else make_app
    server: GatewayServer

    def make_server() -> GatewayServer:
        nonlocal server
        turns = Turns()
        app = make(config, service.directory, catalog, served, turns)
        listener = inherited.listener() if inherited else None
        server = GatewayServer(app, config, listener, turns)
        return server

    def announce() -> None:
        paused = wait_until_ready(service.directory, () if is_gateway else served)
        at = settings.model_copy(update={"port": server.port}).url
        everything = {name: paused.get(name) for name in served}
        say(ready_line(settings, at, everything))

    warn_of_weak_secret(settings)
    REGISTRY.register(MailboxCollector())
    keep_collecting()
    gevent.config.track_greenlet_tree = False  # half of what a new greenlet costs
    gevent.spawn(watch_loop)
    listener = partial(start_listener, make_server)
    service.start(tree(settings, catalog, engine_port, listener, served))
    return engine_port, service, announce


def known_languages() -> Catalog:
    """Return the languages that there are, and tell of folders that are none."""
    catalog = load_catalog(IMAGES)
    for reason in catalog.broken.values():
        say(f"{reason}; the other languages are not concerned")
    return catalog


def make_engine(settings: Settings) -> Engine:
    """Return the engine; every container will be as the settings say."""
    return Engine(sandbox_config(settings, seccomp_list()))


def built_images(catalog: Catalog) -> dict[str, str]:
    """Return the version of each language whose image is here."""
    images = list_images(engine(), catalog)
    if stale := [one.name for one in images if one.state == "stale"]:
        names = ", ".join(stale)
        say(f"built from other sources than these: {names}; run.py images build")
    return {one.name: one.version for one in images if one.state != "missing"}


def start_listener(make_server: Callable[[], GatewayServer], context: Context) -> Any:
    """Start the gateway's actor."""
    return Listener.start(context, make_server)


def caps_of(settings: Settings) -> Limits:
    """Return the most that a job may ask for."""
    caps = settings.caps
    compile_caps = CompileLimits(**caps.compile.model_dump())
    return Limits(**caps.model_dump(exclude={"compile"}), compile=compile_caps)


NOT_THE_GATEWAYS = {"proxies", "job_stdin_kb_max", "stdins_mb_max"}
"""Of `http`: what is read in another way, and what the relay keeps."""


def gateway_config(settings: Settings) -> GatewayConfig:
    """Return the gateway's part of the settings."""
    rate = settings.rate
    return GatewayConfig(
        secret=secret_of(settings) or secrets.token_bytes(32),
        admin_key=settings.admin_key,
        host=settings.host,
        port=settings.port,
        unknown_wait_s=UNKNOWN_WAIT_S if settings.broker_urls else 0,
        reads_per_second=rate.reads_per_second or READS_A_JOB * rate.per_second,
        reads_burst=rate.reads_burst or READS_A_JOB * rate.burst,
        reads_clients_max=rate.clients_max,
        client_share=settings.client_share,
        caps=caps_of(settings),
        proxies=tuple(map(ip_network, settings.http.proxies)),
        **settings.http.model_dump(exclude=NOT_THE_GATEWAYS),
    )


def refuse_taken_port(host: str, port: int) -> None:
    """Find out before anything is started that nobody else listens there."""
    try:
        listen(host, port).close()
    except OSError as error:
        raise CommandError(error.strerror) from error


def stop_on_signals(*, is_told_twice: bool = False) -> Event:
    """Return an event that the first signal sets. A second one ends the process.

    is_told_twice: a parent passes on what the whole group may have been sent already.
    """
    stopping = Event()

    def stop() -> None:
        if stopping.is_set() and not is_told_twice:
            os._exit(1)  # containers end by themselves when we let go of their stdin
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, stop)
    return stopping


def greet(url: str) -> None:
    """Check that all languages work, and tell how to use them."""
    if not self_check(Client(url), load_catalog(IMAGES), console):
        say("the self-check failed: see above, and what `run.py doctor` says")
    job = '{"language": "python", "source": "print(6 * 7)"}'
    print(f"\nWarmbox serves at {url} - try this:\n")
    print(f"  curl -H 'Prefer: wait=10' --json '{job}' {url}/v1/jobs\n", flush=True)


def build(args: Args) -> int:
    """Build the images that are missing or have changed."""
    names = args.language or None
    return build_command(engine(), load_catalog(IMAGES), names, console)


def show_images(_: Args) -> int:
    """List each language's image."""
    catalog = known_languages()
    images = list_images(engine(), catalog)
    show(
        ("language", "image", "version", "MB"),
        [
            *(
                (i.name, i.state, i.version, f"{i.size_bytes / 1e6:.0f}")
                for i in images
            ),
            *((name, "broken", "", "") for name in catalog.broken),
        ],
    )
    return 0


def submit(args: Args) -> int:
    """Run a program on the service as if it ran here."""
    request = request_of(args, load_catalog(IMAGES))
    stdin = args.stdin_file.read_bytes() if args.stdin_file else Descriptor(0)
    terminal = Terminal(sys.stdout, sys.stderr, as_json=args.json)
    return terminal.run(client_of(args), request, stdin)


def show_languages(args: Args) -> int:
    """List the languages that the service runs."""
    known_languages()
    keys = ("name", "title", "version", "ready")
    show(keys, ([str(one[key]) for key in keys] for one in client_of(args).languages()))
    return 0


def show_system(args: Args) -> int:
    """Draw what every part of the service does just now."""
    key = settings_of(args).settings.admin_key
    draw = watch_tree if args.watch else show_tree
    draw(client_of(args), key, console)
    return 0


def show_settings(args: Args) -> int:
    """List the settings in force and where each comes from."""
    loaded = settings_of(args)
    texts = to_text(loaded.settings).items()
    rows = ((key, text, loaded.sources[key]) for key, text in texts)
    show(("setting", "value", "from"), rows)
    return 0


def doctor(args: Args) -> int:
    """Tell which protections are active here, and what mends those that are not."""
    settings = settings_of(args).settings
    serving = Client(settings.url).answers()
    findings = [*diagnose(settings, serving=serving), *look_at_broker(settings)]
    show(("check", "", "evidence"), (row(one) for one in findings))
    failed = [one for one in findings if not one.ok]
    for one in failed:
        print(f"{one.subject}: {one.mend}")
    needed = [one for one in failed if is_needed(one, settings)]
    return 1 if needed else 0


def row(one: Finding) -> tuple[str, Text, str]:
    """Return a finding as people see it."""
    state = YES if one.ok else OFF if one.optional else NO
    return one.subject, state, one.evidence


# ------------------------------------------------------------------ diagnosis


def diagnose(settings: Settings, *, serving: bool) -> list[Finding]:
    """Look at the host, the engine and the images, and at a sandbox from its inside.

    A gateway has no more than the host.
    """
    catalog = load_catalog(IMAGES)
    host = (settings.host, settings.port)
    if settings.role == "gateway":
        return list(examine_host(*host, serving=serving))
    runtimes = {settings.runtime, *settings.runtime_of.values()}
    findings = list(examine(host, runtimes, connect, catalog, serving=serving))
    try:
        findings += judge(look(settings, catalog))
    except (EngineError, UnknownLanguageError) as error:
        mend = "see the other checks; python's image has to be built"
        findings.append(Finding("sandbox", ok=False, evidence=str(error), mend=mend))
    return findings


def look(settings: Settings, catalog: Catalog) -> Any:
    """Return what a program finds in a sandbox made as the settings say."""
    python = effective_catalog(
        catalog, settings.model_copy(update={"languages": ()}), [LOOKER]
    )
    config = sandbox_config(settings, seccomp_list())
    away = UID_MAX + 1 - config.uids  # the last range, behind those of a service
    one = Engine(replace(config, service=f"doctor {os.getpid()}", uid_first=away))
    try:
        source = (IMAGES / LOOK_FILE).read_bytes()
        return look_inside(one, language_defaults(python.languages[LOOKER]), source)
    finally:
        one.close(CLEAN_UP_S)


def is_needed(one: Finding, settings: Settings) -> bool:
    """Tell whether the service should not run without it."""
    return not one.optional or one.subject in settings.require


def refuse_less(settings: Settings) -> None:
    """Refuse to start when a protection that the settings require is not there."""
    if not settings.require:
        return
    found = {one.subject: one for one in diagnose(settings, serving=True)}
    lacking = [name for name in settings.require if name not in found]
    lacking += [
        name for name in settings.require if name in found and not found[name].ok
    ]
    for name in lacking:
        if name in found:
            say(f"{name}: {found[name].evidence}; mend it: {found[name].mend}")
        else:
            say(f"{name}: there is no such check; there are {', '.join(found)}")
    if lacking:
        raise CommandError("not started: `require` asks for what is not there")


def seccomp_list() -> str:
    """Return the system calls that programs may make, as Docker takes them."""
    return (IMAGES / "seccomp.json").read_text()


def look_at_broker(settings: Settings) -> Iterator[Finding]:
    """Yield what the doctor finds at RabbitMQ, if that is the broker."""
    if not settings.broker_urls:
        return
    languages = tuple(load_catalog(IMAGES).languages)
    topology = Topology(languages, settings.queue_max, settings.result_ttl_s)
    for found in probe(settings.broker_urls, topology, PROBE_S):
        yield Finding(*found)
    if settings.role != "worker":
        yield Finding("secret", *judge_secret(settings))


# ------------------------------------------------------------------ helpers


class CommandError(RuntimeError):
    """A command that can't be carried out; the message is all there is to say."""


def engine() -> Any:
    """Return a client of the Docker engine."""
    try:
        return connect()
    except Exception as error:  # only images.build knows Docker's errors
        if is_forbidden(error):
            raise CommandError(
                "you may not use Docker: this user is not in the group docker; this "
                "mends it: sudo usermod -aG docker $(id -un) && exec newgrp docker"
            ) from error
        reason = f"no Docker engine answers, `make docker` sets one up: {error}"
        raise CommandError(reason) from error


def is_forbidden(error: BaseException) -> bool:
    """Tell whether the engine is there, and this user may not ask it."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, PermissionError):
        seen = seen.__cause__ or seen.__context__
    return seen is not None


def client_of(args: Args) -> Client:
    """Return a client of the service at --url, else of the one the settings name."""
    return Client(args.url or settings_of(args).settings.url)


def show(columns: Iterable[str], rows: Iterable[Iterable[str | Text]]) -> None:
    """Print a table. Plain text stays as it is, whatever brackets it holds."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    console.print(table)


def say(words: str) -> None:
    """Tell people something that is not the command's output."""
    print(f"warmbox: {words}", file=sys.stderr)


# ------------------------------------------------------------------- parser


def parser() -> argparse.ArgumentParser:
    """Return the whole command line."""
    common = settings_options()
    remote = argparse.ArgumentParser(add_help=False, parents=[common])
    remote.add_argument("--url", help="the service (the one the settings name)")

    whole = argparse.ArgumentParser(prog="run.py", description=__doc__)
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    one = add(commands, "serve", serve, common)
    one.add_argument("--self-check", action="store_true", help="run each hello first")
    one.add_argument(OPTION, nargs=2, type=int, help=argparse.SUPPRESS)
    of_images = commands.add_parser(
        "images", help="Build images, or list them."
    ).add_subparsers(required=True, metavar="COMMAND")
    one = add(of_images, "build", build)
    one.add_argument("language", nargs="*", help="all, if none is named")
    add(of_images, "list", show_images)
    one = add(commands, "submit", submit, remote)
    add_submit_options(one)
    add(commands, "languages", show_languages, remote)
    one = add(commands, "ps", show_system, remote)
    one.add_argument("--watch", action="store_true", help="draw it anew each second")
    add(commands, "settings", show_settings, common)
    add(commands, "doctor", doctor, common)
    return whole


def add(
    commands: Any, name: str, command: Callable[[Args], int], *parents: Any
) -> argparse.ArgumentParser:
    """Add a command, explained by its function's docstring."""
    one: argparse.ArgumentParser = commands.add_parser(
        name, help=command.__doc__, description=command.__doc__, parents=parents
    )
    one.set_defaults(command=command)
    return one


EXPECTED = (
    CatalogError,
    ClientError,
    CommandError,
    EngineError,
    OSError,
    SettingsError,
    UnknownLanguageError,
)
"""What can go wrong without a bug of ours."""


def main() -> int:
    """Carry out the command; one sentence, no traceback, when it can't be."""
    whole = parser()
    args, late = whole.parse_known_args()
    take_late_arguments(whole, args, late)
    try:
        return int(args.command(args))
    except KeyboardInterrupt:
        return 130
    except EXPECTED as error:
        say(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
