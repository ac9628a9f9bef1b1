#!/bin/sh
# What npm publishes and the tests talk to, fetched into .venv/peers: the browser's Improv client, as it is, unbuilt.
# Missing, its tests skip or, under CI=true, this fails.
set -eu

package=improv-wifi-serial-sdk
version=2.8.1
sum=9b6bdedff15de1c9c15d627cb8830f87afbeb4bad435cb869d37322ff7025087

cd "$(dirname "$0")/.."
mkdir -p .venv/peers
cd .venv/peers
file=$package-$version.tgz

is_good() {
    echo "$sum  $file" | sha256sum --check --status 2>/dev/null
}

is_good && exit 0
if command -v npm >/dev/null 2>&1; then
    npm pack --silent "$package@$version" >/dev/null || true
    is_good && exit 0
    rm -f "$file"
fi
echo "$file is missing; fetch it with npm: (cd .venv/peers && npm pack $package@$version)" >&2
[ "${CI:-false}" != true ]
