"""Uses the page as people do, in Chromium, and prints what it saw as one JSON object.

A process of its own: the browser's driver and gevent both want to be the event loop.
Run as `python tests/service/browser_script.py URL SCENARIO`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",  # everything here runs as root, and the page is our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT_MS = 30_000
PICTURE = Path(__file__).resolve().parents[2] / "docs" / "page.png"

SHOWN = """\
import sys
import time

# How far the planets are from the Sun; the Earth is at 1.
PLANETS = {
    "Mercury": 0.39, "Venus": 0.72, "Earth": 1.00, "Mars": 1.52,
    "Jupiter": 5.20, "Saturn": 9.58, "Uranus": 19.2, "Neptune": 30.1,
}

def sunlight_takes(distance: float) -> str:
    hours, minutes = divmod(distance * 8.317, 60)
    return f"{hours:2.0f} h {minutes:4.1f} min"

for name, distance in PLANETS.items():
    bar = "*" * max(1, round(distance))
    print(f"{name:8} {sunlight_takes(distance)}  {bar}", flush=True)
    time.sleep(0.1)

print("Pluto is not a planet any more", file=sys.stderr)"""

Seen = dict[str, Any]


def pick(page: Page, language: str, source: str) -> None:
    page.locator("#language").select_option(language)
    page.locator("#editor").fill(source)


def spans(page: Page) -> list[list[str]]:
    """Return the output as pairs of the stream and the text."""
    found = page.locator("#output span").all()
    return [
        [(one.get_attribute("class") or "").split()[0], one.inner_text()]
        for one in found
    ]


def wait_for_state(page: Page, state: str) -> None:
    expect(page.locator(f'#status[data-state="{state}"]')).to_be_visible()


def ended(page: Page) -> Seen:
    """Wait for the end; return what is shown then."""
    wait_for_state(page, "done")
    return {
        "outcome": page.locator("#outcome").get_attribute("data-outcome"),
        "status": page.locator("#status").inner_text(),
        "usage": page.locator("#usage").inner_text(),
        "spans": spans(page),
        "output": page.locator("#output").inner_text(),
        "run_enabled": page.locator("#run").is_enabled(),
        "stop_enabled": page.locator("#stop").is_enabled(),
    }


def languages(page: Page) -> Seen:
    shown: Seen = {}
    for value in page.locator("#language option").all():
        name = value.get_attribute("value") or ""
        page.locator("#language").select_option(name)
        shown[name] = {
            "version": page.locator("#version").inner_text(),
            "source": page.locator("#editor").input_value(),
        }
    return shown


def job(page: Page) -> Seen:
    """Both streams, stdin and arguments, started from the keyboard."""
    page.locator("#language").select_option("python")
    editor = page.locator("#editor")
    editor.fill("")
    editor.press_sequentially("import sys\nif True:\n")
    editor.press("Tab")
    editor.press_sequentially("print('out', sys.argv[1:], input())\n")
    editor.press_sequentially("print('err', file=sys.stderr)")
    page.locator("#args").fill('one "two words"')
    page.locator("#stdin").fill("typed\n")
    source = editor.input_value()
    editor.press("Control+Enter")
    return {**ended(page), "source": source}


def streaming(page: Page) -> Seen:
    """Each line is seen before the next one is printed."""
    source = "import time\nfor n in range(4):\n    print('line', n, flush=True)\n"
    pick(page, "python", source + "    time.sleep(0.7)\n")
    page.locator("#run").click()
    output = page.locator("#output")
    seen = []
    for number in range(4):
        expect(output).to_contain_text(f"line {number}")
        seen.append(output.inner_text().splitlines()[-1])
    return {**ended(page), "seen": seen}


def stopped(page: Page) -> Seen:
    pick(page, "bash", "echo up; sleep 60")
    page.locator("#run").click()
    expect(page.locator("#output")).to_contain_text("up")
    running = page.locator("#run").is_enabled()
    page.locator("#stop").click()
    return {**ended(page), "run_enabled_meanwhile": running}


def timed_out(page: Page) -> Seen:
    pick(page, "python", "while True: pass")
    page.locator("#run").click()
    return ended(page)


def compile_error(page: Page) -> Seen:
    pick(page, "c", "int main(void) { return nothing; }")
    page.locator("#run").click()
    return ended(page)


def problem(page: Page) -> Seen:
    """A request that the service refuses, then one that it takes."""
    pick(page, "python", "")
    page.locator("#run").click()
    box = page.locator("#problem")
    expect(box).to_be_visible()
    text = box.inner_text()
    wait_for_state(page, "failed")
    page.locator("#editor").fill("print('mended')")
    page.locator("#run").click()
    shown = ended(page)
    return {**shown, "problem": text, "problem_visible": box.is_visible()}


def markup(page: Page) -> Seen:
    """What a program prints is text and nothing else."""
    source = "print('<img src=x onerror=alert(1)><b>bold</b>&amp;')"
    pick(page, "python", source)
    page.locator("#run").click()
    shown = ended(page)
    return {**shown, "elements": page.locator("#output img, #output b").count()}


def interactive(page: Page) -> Seen:
    source = "for name in iter(input, 'bye'):\n    print('Hello,', name)\n"
    pick(page, "python", source + "print('rest', repr(open(0).read()))\n")
    page.locator("#interactive").check()
    page.locator("#run").click()
    line, output = page.locator("#stdin-line"), page.locator("#output")
    expect(line).to_be_visible()
    line.fill("Ada")
    line.press("Enter")
    expect(output).to_contain_text("Hello, Ada")
    line.fill("Grace")
    page.locator("#stdin-send").click()
    expect(output).to_contain_text("Hello, Grace")
    line.fill("bye")
    line.press("Enter")
    page.locator("#stdin-end").click()
    return ended(page)


# -------------------------------------------------------------------- the live tree

SLOW = "import time; time.sleep(3)"
LITTERING = """\
#include <stdio.h>
#include <unistd.h>
int main(void) {
  char name[64];
  for (int n = 0; n < 400000; n++) { sprintf(name, "/usr/no%d", n); access(name, 0); }
}"""
POST = """([language, source]) => fetch("/v1/jobs", {
    method: "POST",
    headers: {"Content-Type": "application/json"},
    body: JSON.stringify({language, source}),
})"""
COLOUR = "cell => getComputedStyle(cell).backgroundColor"


def open_system(page: Page) -> None:
    key = os.environ["ADMIN_KEY"]
    page.context.set_extra_http_headers({"Authorization": f"Bearer {key}"})
    page.goto(f"{page.url}system")
    expect(page.locator('#link[data-state="live"]')).to_be_visible()


def system(page: Page) -> Seen:
    """A job and a container that is replaced, seen while it happens."""
    open_system(page)
    rows = page.locator(".language")
    cells = {
        row.locator(".name").inner_text(): row.locator(".container").count()
        for row in rows.all()
    }
    page.evaluate(POST, ["python", SLOW])
    busy = rows.filter(has_text="python").locator('[data-state="busy"]')
    expect(busy).to_be_visible()
    said = busy.get_attribute("aria-label")
    colours = {
        state: page.locator(f'.container[data-state="{state}"]').first.evaluate(COLOUR)
        for state in ("busy", "idle")
    }
    page.evaluate(POST, ["c", LITTERING])
    expect(page.locator(".happening").first).to_contain_text(
        "could not be shown to be clean"
    )
    expect(busy).to_have_count(0)
    return {
        "cells": cells,
        "said": said,
        "colours": colours,
        "happening": page.locator(".happening").first.inner_text(),
        "jobs": page.locator("#jobs").inner_text(),
        "bars": page.locator("#jobs-chart rect").count(),
        "broker": page.locator("#broker").inner_text(),
        "actors": page.locator("#actors tr").count(),
    }


def system_on_a_phone(page: Page) -> Seen:
    """Nothing is wider than the screen, in the dark."""
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    open_system(page)
    return {
        "theme": page.locator("html").get_attribute("data-theme"),
        "width": page.evaluate("document.documentElement.scrollWidth"),
        "idle": page.locator('.container[data-state="idle"]').first.evaluate(COLOUR),
    }


def system_from_elsewhere(page: Page) -> Seen:
    """Who comes through a proxy is asked for the key."""
    page.context.set_extra_http_headers({"X-Forwarded-For": "192.0.2.7"})
    page.goto(f"{page.url}system")
    key, board = page.locator("#key"), page.locator("#board")
    expect(key).to_be_visible()
    hidden = not board.is_visible()
    key.fill("not the key at all")
    key.press("Enter")
    expect(page.locator("#gate-note")).to_be_visible()
    key.fill(os.environ["ADMIN_KEY"])
    key.press("Enter")
    expect(board).to_be_visible()
    page.reload()
    expect(board).to_be_visible()
    return {"hidden": hidden, "gate": page.locator("#gate").is_visible()}


def system_picture(page: Page) -> Seen:
    open_system(page)
    for number in range(120):
        page.evaluate(POST, ["python", "print(1)"])
        page.evaluate(POST, ["bash", f"sleep 0.{number % 9}"])
        page.evaluate(POST, ["javascript", "console.log(1)"])
        if number % 8 == 0:
            page.evaluate(POST, ["python", SLOW])
        if number % 20 == 0:
            page.evaluate(POST, ["c", LITTERING])
        page.wait_for_timeout(200)
    page.screenshot(path=PICTURE.with_name("system.png"))
    return {}


def picture(page: Page) -> Seen:
    pick(page, "python", SHOWN)
    page.locator("#run").click()
    shown = ended(page)
    page.locator("#editor").blur()
    page.mouse.move(0, 0)
    page.screenshot(path=PICTURE)
    return shown


SCENARIOS: dict[str, Callable[[Page], Seen]] = {
    one.__name__: one
    for one in (
        languages,
        job,
        streaming,
        stopped,
        timed_out,
        compile_error,
        problem,
        markup,
        interactive,
        system,
        system_on_a_phone,
        system_from_elsewhere,
        picture,
        system_picture,
    )
}


def play(browser: Browser, url: str, scenario: Callable[[Page], Seen]) -> Seen:
    """Let the scenario play in a fresh window; also tell what the window asked for."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, color_scheme="light"
    )
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda said: complaints.append(said.text) if said.type == "error" else None,
    )
    page.goto(url)
    wait_for_state(page, "idle")
    seen = scenario(page)
    context.close()
    return {**seen, "requests": requests, "complaints": complaints}


def main() -> None:
    url, *names = sys.argv[1:]
    found = next(filter(None, map(shutil.which, CHROMIUM)))
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=FLAGS)
        seen = {name: play(browser, url, SCENARIOS[name]) for name in names}
        browser.close()
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
