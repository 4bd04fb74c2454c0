#!/usr/bin/env bash
# Makes sure that there is a RabbitMQ: Debian's or Ubuntu's own, which is installed and,
# unless only `install` is asked for, started. Whoever sets WARMBOX_BROKER has one.
set -euo pipefail

PYTHON=${PYTHON:-python3}
PORT=5672
START_S_MAX=60
PROGRAM=/usr/lib/rabbitmq/bin/rabbitmq-server

say() { echo "warmbox: $*" >&2; }
fail() { say "$*"; exit 1; }

# Exits 0 when an AMQP server answers on this machine, 3 when something else does.
ask_server() {
    "$PYTHON" - "$PORT" <<'PYTHON'
import socket
import sys

try:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5) as link:
        link.settimeout(10)
        link.sendall(b"AMQP\x00\x00\x09\x01")
        sys.exit(0 if link.recv(3) == b"\x01\x00\x00" else 3)
except OSError:
    sys.exit(1)
PYTHON
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "RabbitMQ is missing here and you are neither root nor have sudo:" \
            "install and start it as root, or set WARMBOX_BROKER, then try again"
    fi
}

has_systemd() { [ -d /run/systemd/system ]; }

install_server() {
    command -v apt-get >/dev/null || fail "there is no RabbitMQ here: install one" \
        "(https://www.rabbitmq.com/docs/download), or set WARMBOX_BROKER"
    say "installing rabbitmq-server"
    # a mirror that is broken matters only if the package can't be had without it
    as_root apt-get -q update || say "going on with what is known"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qy install \
        --no-install-recommends -o DPkg::Lock::Timeout=300 rabbitmq-server \
        || fail "rabbitmq-server could not be installed: see apt-get's message above"
}

start_server() {
    say "starting RabbitMQ"
    if has_systemd; then
        as_root systemctl enable --now rabbitmq-server || fail "RabbitMQ did not" \
            "start: see \`journalctl -u rabbitmq-server\`"
    else
        # /usr/sbin is not on everybody's path
        as_root env PATH="$PATH:/usr/sbin:/sbin" rabbitmq-server -detached
    fi
}

wait_for_server() {
    local status second
    for ((second = 1; second <= START_S_MAX; second++)); do
        status=0
        ask_server || status=$?
        case $status in
            0) return ;;
            3) fail "what listens on port $PORT is not RabbitMQ" ;;
        esac
        echo "  waiting for RabbitMQ, $second s of $START_S_MAX" >&2
        sleep 1
    done
    fail "RabbitMQ does not answer within $START_S_MAX s: see /var/log/rabbitmq"
}

if [ -n "${WARMBOX_BROKER:-}" ] && [ "${1:-}" != install ]; then
    exit 0
fi
if [ "${1:-}" != install ] && ask_server; then
    exit 0
fi
if [ ! -x "$PROGRAM" ]; then install_server; fi
if [ "${1:-}" != install ]; then
    start_server
    wait_for_server
fi
