#!/bin/sh
# Debian's packages that the tests talk to: installed where this user may, else named.
#
#   sh tests/peers.sh          what the tests need: missing ones fail under CI=true, else the tests that need them skip
#   sh tests/peers.sh python   $PYTHON (python3) 3.11 or newer with venv, which nothing here works without
set -eu

python=${PYTHON:-python3}
if [ "${1:-tests}" = python ]; then
    packages="python3 python3-venv"
    required=true
else
    packages="chromium iproute2 nftables systemd pulseaudio pulseaudio-utils libasound2-plugins libfaketime"
    packages="$packages systemd-container mmdebstrap"  # these make and boot the machine for make install
    packages="$packages dbus-daemon python3-dbusmock network-manager-dev dnsmasq-base"  # NetworkManager without one
    packages="$packages libsdl2-2.0-0 libsdl2-ttf-2.0-0 fonts-dejavu-core xvfb"  # a screen
    packages="$packages nginx-light libnginx-mod-rtmp"  # takes what a live room pushes
    packages="$packages npm"  # fetches the browser's Improv client
    packages="$packages gcc libc6-dev python3-dev libasound2-dev"  # these build pyalsaaudio
    required=${CI:-false}
fi

installed() {
    case $1 in
        chromium) command -v chromium ;;
        systemd) command -v systemd-analyze ;;
        systemd-container) command -v systemd-nspawn ;;
        mmdebstrap) command -v mmdebstrap ;;
        iproute2) command -v ip || [ -x /usr/sbin/ip ] || [ -x /sbin/ip ] ;;
        nftables) command -v nft || [ -x /usr/sbin/nft ] || [ -x /sbin/nft ] ;;
        dbus-daemon) command -v dbus-daemon ;;
        dnsmasq-base) command -v dnsmasq || [ -x /usr/sbin/dnsmasq ] ;;
        npm) command -v npm ;;
        nginx-light) command -v nginx || [ -x /usr/sbin/nginx ] ;;
        gcc) command -v gcc ;;
        pulseaudio) command -v pulseaudio ;;
        pulseaudio-utils) command -v pactl ;;
        python3-dev) "$python" -c 'import os, sys, sysconfig as s; sys.exit(not os.path.exists(s.get_path("include") + "/Python.h"))' ;;
        python3) "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ;;
        python3-venv) "$python" -c 'import ensurepip, venv' ;;
        *) dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q '^install ok installed' ;;
    esac >/dev/null 2>&1
}

missing_of() {
    missing=
    for package in $packages; do
        installed "$package" || missing="$missing $package"
    done
}

missing_of
[ -n "$missing" ] || exit 0

if command -v apt-get >/dev/null 2>&1; then
    become=
    if [ "$(id -u)" != 0 ]; then
        become=no
        if sudo -n true 2>/dev/null; then become=sudo; fi
    fi
    if [ "$become" != no ]; then
        echo "installing Debian packages:$missing"
        apt="$become env DEBIAN_FRONTEND=noninteractive apt-get"
        # shellcheck disable=SC2086,SC2015  # these are lists of words; what is missing is looked at again below
        $apt update -qq && $apt install -y -qq --no-install-recommends $missing >/dev/null || true
        missing_of
        [ -n "$missing" ] || exit 0
    fi
fi

if [ "${1:-}" = python ] && "$python" --version >/dev/null 2>&1 && ! installed python3; then
    echo "$("$python" --version) is too old: Python 3.11 or newer is needed (name it: make PYTHON=...)" >&2
    exit 1
fi
echo "missing Debian packages; install them: sudo apt-get install$missing" >&2
[ "$required" != true ]
