#!/usr/bin/env bash
# One gateway and two workers as processes of their own on one RabbitMQ, to try out what
# otherwise runs on several hosts. Ctrl-C stops them in order; one that dies is told of,
# and the others go on.
#
# PORT: the gateway's; the workers take the two after it. What stands on the command
# line goes to all three.
set -euo pipefail

PYTHON=${PYTHON:-.venv/bin/python}
PORT=${PORT:-8000}
CORES=$(nproc)
# No two containers of a host may share a uid, so each worker has a range of its own.
UIDS_APART=100000000
OPTIONS=("$@")

say() { echo "warmbox: $*" >&2; }

export WARMBOX_BROKER=${WARMBOX_BROKER:-amqp://guest:guest@127.0.0.1:5672}
if [ -z "${WARMBOX_SECRET:-}" ]; then
    WARMBOX_SECRET=$("$PYTHON" -c 'import secrets; print(secrets.token_hex(16))')
fi
export WARMBOX_SECRET

declare -A NAMES=()   # process ids to names

# Starts `run.py serve` as $1 with the options that follow. A session of its own keeps
# the terminal's Ctrl-C from it, so that we decide who stops when.
start() {
    local name=$1
    shift
    setsid "$PYTHON" run.py serve "$@" "${OPTIONS[@]}" </dev/null \
        > >(label "$name") 2>&1 &
    NAMES[$!]=$name
}

# Puts the name before each line; a signal must not end it before its process ends.
label() {
    trap '' INT TERM
    exec sed -u "s/^/$(printf '%-9s' "$1")| /"
}

# Sends TERM to those whose name begins with $1, and waits for each.
stop() {
    local id
    for id in "${!NAMES[@]}"; do
        if [[ ${NAMES[$id]} == "$1"* ]]; then kill -TERM "$id" 2>/dev/null || true; fi
    done
    for id in "${!NAMES[@]}"; do
        if [[ ${NAMES[$id]} == "$1"* ]]; then
            while kill -0 "$id" 2>/dev/null; do wait "$id" || true; done
            unset "NAMES[$id]"
        fi
    done
}

hurry() {
    local id
    say "stopping at once"
    for id in "${!NAMES[@]}"; do kill -TERM "$id" 2>/dev/null || true; done
}

# The workers come first: the gateway shows the ends of what they still run. What it
# accepts meanwhile stays in RabbitMQ.
stop_all() {
    trap hurry INT TERM
    say "stopping the workers, then the gateway; once more stops at once"
    stop worker
    stop gateway
    exit "${1:-0}"
}

trap stop_all INT TERM
start gateway --role gateway --port "$PORT" --self-check
for number in 1 2; do
    start "worker $number" --role worker --port "$((PORT + number))" \
        --set "uid_first=$((number * UIDS_APART))" \
        --set "running_max=$CORES" --set pool.warm=2 --set pool.max=5
done

# Looks each second: `wait -n` misses one of two that end in the same moment.
while [ "${#NAMES[@]}" -gt 0 ]; do
    for id in "${!NAMES[@]}"; do
        if kill -0 "$id" 2>/dev/null; then continue; fi
        code=0
        wait "$id" 2>/dev/null || code=$?
        say "${NAMES[$id]} has ended with exit code $code"
        unset "NAMES[$id]"
    done
    sleep 1 &
    wait $!
done
say "none is left"
exit 1
