#!/bin/sh
# What npm publishes and the tests talk to, fetched into .venv/peers, as it is, unbuilt: the browser's Improv client, and
# LiveKit's client for its frame encryption. Missing, their tests skip or, under CI=true, this fails.
set -eu

cd "$(dirname "$0")/.."
mkdir -p .venv/peers
cd .venv/peers

is_good() {
    echo "$2  $1" | sha256sum --check --status 2>/dev/null
}

fetch() {
    file=$1-$2.tgz
    is_good "$file" "$3" && return 0
    if command -v npm >/dev/null 2>&1; then
        npm pack --silent "$1@$2" >/dev/null || true
        is_good "$file" "$3" && return 0
        rm -f "$file"
    fi
    echo "$file is missing; fetch it with npm: (cd .venv/peers && npm pack $1@$2)" >&2
    [ "${CI:-false}" != true ]
}

fetch improv-wifi-serial-sdk 2.8.1 9b6bdedff15de1c9c15d627cb8830f87afbeb4bad435cb869d37322ff7025087
fetch livekit-client 2.23.0 993eafb83afb4c566bb388108ad6469bf499d76200014c96c35fe3b39fee859d
