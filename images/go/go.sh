#!/bin/bash
# Stands before the go command, in the image's making and in every job alike: the cache
# that the image fills is only found again under the very same settings.
export GOCACHE=/opt/warmbox/go-cache CGO_ENABLED=0 GOTOOLCHAIN=local GOPROXY=off
# Nothing that lies in the job's own folders sets anything, but for its go.mod.
export GOENV=off GOFLAGS=-buildvcs=false GO111MODULE=on GOWORK=off

# The cache is read-only. A day after it was filled go would want to clean it up, fail,
# and exit with 1, unless it finds here (by a link from the cache) that this was done.
mkdir -p "$HOME/.config/go/telemetry"
printf '%(%s)T' -1 > "$HOME/.go-cache-trimmed"
# Else each first use under a new HOME starts another process, which counts and reports.
printf off > "$HOME/.config/go/telemetry/mode"

[ "$1" = build ] || exec /usr/bin/go "$@"

# A package that is not main builds too, to an archive: `go run` would say so.
if /usr/bin/go "$@"; then
    read -r -N 7 start 2> /dev/null < a.out || exit 0
    [ "$start" = '!<arch>' ] || exit 0
    echo 'package command-line-arguments is not a main package' >&2
    exit 1
else
    code=$?
    for file; do
        if [[ $file == *.go ]] && grep -Eqs '^(import)?[[:space:]]*"C"' -- "$file"; then
            echo "$file: import \"C\": cgo is not available here" >&2
        fi
    done
    exit $code
fi
