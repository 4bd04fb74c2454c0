"""Small programs, in eight languages, that open their standard streams by path.

Each is a row of steps, the same kinds for all; a language spells each in its own way.
"""

from __future__ import annotations

import json
import random
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PER_LANGUAGE = 25
"""Times eight languages: 200."""

INPUTS = ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
OUTPUTS = (
    "/dev/stdout",
    "/dev/stderr",
    "/dev/fd/1",
    "/dev/fd/2",
    "/proc/self/fd/1",
    "/proc/self/fd/2",
)
REFUSED = ("/dev/fd/77", "/dev/tty", "/proc/self/fd/77", "/proc/self/fd/none")
COMMANDS = (
    "cat /dev/stdin",
    "tee /dev/stderr < /dev/stdin",
    "echo from a child > /dev/stdout",
    "echo from a child >> /dev/fd/2",
    "cat < /proc/self/fd/0 > /dev/stderr",
    "stat -Lc '%F %a %G' /dev/stdin /dev/stdout /dev/fd/2 /proc/self/fd/0",
    "for way in r w O; do test -$way /dev/stdin && test -$way /dev/fd/1; echo $?; done",
    "cat > /dev/null; echo again > /dev/stdin; head -n 1",
    "exec 5< /dev/stdout 6> /dev/stdin; echo $?",
    "cat < /dev/fd/77; echo $?",
)
STDINS = ("", "6 7\n", "one\ntwo\nno newline", "\u00fc\u2603\n", "x" * 150_000 + "\n")


@dataclass(frozen=True)
class StdProgram:
    """One program, and what it gets to read."""

    name: str
    language: str
    source: str
    stdin: str


@dataclass(frozen=True)
class Spelling:
    """How a language says it all.

    frame: what stands around the calls, which take the place of `@`. It defines `get`
    (print all that can be read from a path), `put` (write a text to a path, for which
    another text tells how to open it), `say` (print a line in the usual way) and `sh`
    (run a shell command, with the same streams). What can't be opened is said.
    call, end: a call with its arguments; what ends it.
    """

    frame: str
    call: str = "{}({})"
    between: str = ", "
    end: str = ";"
    literal: Callable[[str], str] = json.dumps


def programs() -> list[StdProgram]:
    """Return them all, the same each time: every eight one of each language."""
    return [
        StdProgram(
            f"{language}-{number}",
            language,
            _spelt(spelling, _calls(number)),
            STDINS[number % len(STDINS)],
        )
        for number in range(PER_LANGUAGE)
        for language, spelling in SPELLINGS.items()
    ]


def _calls(number: int) -> list[tuple[str, ...]]:
    """Return the steps of a program; the number sees to it that all kinds come."""
    chosen = random.Random(number)  # noqa: S311 - the same each time
    calls: list[tuple[str, ...]] = [
        ("get", INPUTS[number % len(INPUTS)]),
        ("put", OUTPUTS[number % len(OUTPUTS)], "w", "written\n"),
    ]
    more: list[tuple[str, ...]] = [
        ("put", chosen.choice(OUTPUTS), "a", "appended\n"),
        ("say", "said"),
        ("get", chosen.choice((*INPUTS, *REFUSED))),
        ("put", chosen.choice(REFUSED[:-1]), "w", "nowhere\n"),
    ]
    calls += chosen.sample(more, chosen.randint(0, 3))
    # It may be the first to read, or come when all has been read.
    at = chosen.choice((0, len(calls)))
    calls.insert(at, ("sh", COMMANDS[number % len(COMMANDS)]))
    return calls


def _spelt(spelling: Spelling, calls: list[tuple[str, ...]]) -> str:
    lines = []
    for name, *words in calls:
        arguments = spelling.between.join(map(spelling.literal, words))
        lines.append(spelling.call.format(name, arguments) + spelling.end)
    return spelling.frame.replace("@", "\n".join(lines)) + "\n"


_BASH = """
get() { cat < "$1"; }
put() { if [ "$2" = w ]; then printf %s "$3" > "$1"; else printf %s "$3" >> "$1"; fi; }
say() { echo "$1"; }
sh() { command sh -c "$1"; }
@
exit 0
"""
_PYTHON = """
import subprocess

def get(path):
    try:
        with open(path) as file:
            print(file.read(), flush=True)
    except OSError as error:
        print(error, flush=True)

def put(path, how, text):
    try:
        with open(path, how) as file:
            file.write(text)
    except OSError as error:
        print(error, flush=True)

def say(text):
    print(text, flush=True)

def sh(command):
    subprocess.run(["sh", "-c", command])

@
"""
_JAVASCRIPT = """
const fs = require("fs");
const tried = (what) => {
  try { what(); } catch (error) { console.log(error.message); }
};
const get = (path) => tried(() => console.log(fs.readFileSync(path, "utf8")));
const put = (path, flag, text) => tried(() => fs.writeFileSync(path, text, { flag }));
const say = (text) => console.log(text);
const sh = (command) =>
  require("child_process").spawnSync("sh", ["-c", command], { stdio: "inherit" });
@
"""
_RUBY = """
STDOUT.sync = true

def get(path)
  puts File.read(path)
rescue SystemCallError => error
  puts error.message
end

def put(path, how, text)
  File.write(path, text, mode: how)
rescue SystemCallError => error
  puts error.message
end

def say(text) = puts(text)
def sh(command) = system(command)

@
"""
_C = """
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *opened(const char *path, const char *how) {
    FILE *file = fopen(path, how);
    if (!file) printf("%s: %s\\n", path, strerror(errno));
    return file;
}

static void get(const char *path) {
    static char bytes[1 << 16];
    FILE *file = opened(path, "r");
    for (size_t n; file && (n = fread(bytes, 1, sizeof bytes, file));)
        fwrite(bytes, 1, n, stdout);
    if (file) fclose(file);
    fflush(stdout);
}

static void put(const char *path, const char *how, const char *text) {
    FILE *file = opened(path, how);
    if (file) fputs(text, file), fclose(file);
    fflush(stdout);
}

static void say(const char *text) { puts(text); fflush(stdout); }
static void sh(const char *command) { if (system(command)) say("failed"); }

int main(void) {
    if (0) get(""), put("", "", ""), say(""), sh("");
@
    if (freopen("/dev/stdin", "r", stdin)) printf("%d\\n", getchar());
    if (freopen("/dev/stderr", "w", stdout)) puts("to the other");
    return 0;
}
"""
_CPP = """
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
using namespace std;

static void get(const string &path) {
    ifstream file(path);
    if (!file) cout << path << ": not opened\\n";
    for (string line; getline(file, line);) cout << line << '\\n';
    cout << flush;
}

static void put(const string &path, const string &how, const string &text) {
    ofstream file(path, how == "w" ? ios::out : ios::app);
    if (!(file << text << flush)) cout << path << ": not written\\n" << flush;
}

static void say(const string &text) { cout << text << endl; }
static void sh(const string &command) { if (system(command.c_str())) say("failed"); }

int main() {
    if (0) get(""), put("", "", ""), say(""), sh("");
@
}
"""
_GO = """
package main

import (
	"fmt"
	"os"
	"os/exec"
)

func get(path string) {
	bytes, err := os.ReadFile(path)
	fmt.Println(string(bytes), err)
}

func put(path, how, text string) {
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if how == "a" {
		flags = os.O_WRONLY | os.O_APPEND
	}
	file, err := os.OpenFile(path, flags, 0o644)
	if err == nil {
		_, err = file.WriteString(text)
		file.Close()
	}
	if err != nil {
		fmt.Println(err)
	}
}

func say(text string) { fmt.Println(text) }

func sh(command string) {
	shell := exec.Command("sh", "-c", command)
	shell.Stdin, shell.Stdout, shell.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := shell.Run(); err != nil {
		fmt.Println(err)
	}
}

var _, _, _, _ = get, put, say, sh

func main() {
@
}
"""
_JAVA = """
import java.io.*;

class Main {
    static void get(String path) {
        try (var file = new FileReader(path)) {
            var text = new StringWriter();
            file.transferTo(text);
            say(text.toString());
        } catch (IOException error) {
            say(error.getMessage());
        }
    }

    static void put(String path, String how, String text) {
        try (var file = new FileWriter(path, how.equals("a"))) {
            file.write(text);
        } catch (IOException error) {
            say(error.getMessage());
        }
    }

    static void say(String text) { System.out.println(text); }

    static void sh(String command) throws Exception {
        new ProcessBuilder("sh", "-c", command).inheritIO().start().waitFor();
    }

    public static void main(String[] args) throws Exception {
@
    }
}
"""

SPELLINGS = {
    "bash": Spelling(_BASH.lstrip(), "{} {}", " ", "", shlex.quote),
    "python": Spelling(_PYTHON, end=""),
    "javascript": Spelling(_JAVASCRIPT),
    "ruby": Spelling(_RUBY, end=""),
    "c": Spelling(_C),
    "cpp": Spelling(_CPP),
    "go": Spelling(_GO, end=""),
    "java": Spelling(_JAVA),
}
