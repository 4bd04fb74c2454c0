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

exec /usr/bin/go "$@"
