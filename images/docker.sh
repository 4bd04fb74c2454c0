#!/usr/bin/env bash
# Makes sure that a Docker engine answers: the one that DOCKER_HOST or the default
# socket leads to, else Debian's or Ubuntu's own, which is installed and started.
set -euo pipefail

PYTHON=${PYTHON:-python3}
SOCKET=/var/run/docker.sock
PID_FILE=/var/run/docker.pid
LOG=/var/log/dockerd.log
START_S_MAX=60

say() { echo "warmbox: $*" >&2; }
fail() { say "$*"; exit 1; }

# Exits 0 when an engine answers, 2 when we may not ask it, 3 when DOCKER_HOST can't be
# understood, else 1. A docker command line may be missing, and curl too.
ask_engine() {
    "$PYTHON" - "${DOCKER_HOST:-unix://$SOCKET}" <<'PYTHON'
import os
import socket
import ssl
import sys
from urllib.parse import urlsplit

address = urlsplit(sys.argv[1])
try:
    if address.scheme == "unix":
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(5)
        link.connect(address.path)
    elif address.scheme in ("tcp", "http", "https"):
        tls = bool(os.environ.get("DOCKER_TLS_VERIFY")) or address.scheme == "https"
        port = address.port or (2376 if tls else 2375)
        link = socket.create_connection((address.hostname, port), 5)
        if tls:
            path = os.environ.get("DOCKER_CERT_PATH", os.path.expanduser("~/.docker"))
            context = ssl.create_default_context(cafile=f"{path}/ca.pem")
            context.load_cert_chain(f"{path}/cert.pem", f"{path}/key.pem")
            link = context.wrap_socket(link, server_hostname=address.hostname)
    else:
        sys.exit(3)
    link.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
    sys.exit(0 if b" 200 " in link.recv(64) else 1)
except PermissionError:
    sys.exit(2)
except (OSError, ValueError):
    sys.exit(1)
PYTHON
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "Docker is missing here and you are neither root nor have sudo:" \
            "install and start it as root, then try again"
    fi
}

has_systemd() { [ -d /run/systemd/system ]; }

has_kernel_apparmor() {
    grep -qs Y /sys/module/apparmor/parameters/enabled
}

install_engine() {
    command -v apt-get >/dev/null || fail "no Docker engine answers: install one" \
        "(https://docs.docker.com/engine/install/) and start it, then try again"
    local packages=(docker.io iptables ca-certificates)
    # where the kernel has AppArmor, the engine starts no container without its parser
    if has_kernel_apparmor; then packages+=(apparmor); fi
    say "installing ${packages[*]}"
    # a mirror that is broken matters only if the packages can't be had without it
    as_root apt-get -q update || say "going on with what is known"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qy install \
        --no-install-recommends -o DPkg::Lock::Timeout=300 "${packages[@]}" \
        || fail "docker.io could not be installed: see apt-get's message above"
}

# dockerd refuses to start when its last process id means anything alive by now.
forget_dead_engine() {
    local id
    id=$(cat "$PID_FILE" 2>/dev/null) || return 0
    if [ "$(cat "/proc/$id/comm" 2>/dev/null)" != dockerd ]; then
        as_root rm -f "$PID_FILE"
    fi
}

start_engine() {
    say "starting the Docker engine"
    if has_systemd; then
        as_root systemctl enable --now docker || fail "Docker did not start:" \
            "see \`journalctl -u docker\`"
    else
        forget_dead_engine
        # detached in every way, so that it outlives us and holds none of our files
        as_root sh -c "setsid nohup dockerd </dev/null >>$LOG 2>&1 &"
    fi
}

explain_and_stop() {
    if ! has_systemd; then as_root tail -n 5 "$LOG" >&2 || true; fi
    local log="\`journalctl -u docker\`"
    has_systemd || log=$LOG
    fail "the Docker engine does not answer within $START_S_MAX s: see $log"
}

# Any state but "still starting" ends the wait.
wait_for_engine() {
    local status=0 second
    for ((second = 1; second <= START_S_MAX; second++)); do
        status=0
        ask_engine || status=$?
        if [ "$status" != 1 ]; then break; fi
        echo "  waiting for the Docker engine, $second s of $START_S_MAX" >&2
        sleep 1
    done
    act_on "$status" explain_and_stop
}

# Takes what ask_engine said, and what to do when no engine answers.
act_on() {
    case $1 in
        0) ;;
        2) fail "you may not use Docker yet; this mends it:" \
            "sudo usermod -aG docker $(id -un) && exec newgrp docker" ;;
        3) fail "DOCKER_HOST=$DOCKER_HOST is neither unix:// nor tcp://" ;;
        *) "$2" ;;
    esac
}

set_up_engine() {
    if [ -n "${DOCKER_HOST:-}" ]; then
        fail "no Docker engine answers at DOCKER_HOST=$DOCKER_HOST:" \
            "start it, or unset DOCKER_HOST to use the one of this machine"
    fi
    # /usr/sbin is not on everybody's path
    PATH=$PATH:/usr/sbin:/sbin
    if ! command -v dockerd >/dev/null || ! command -v iptables >/dev/null; then
        install_engine
    fi
    start_engine
    wait_for_engine
}

status=0
ask_engine || status=$?
act_on "$status" set_up_engine
