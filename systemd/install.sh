#!/bin/sh
# Makes this machine a unit: Debian's packages, the program in /opt/room-appliance, its user, its rules, its service.
# As root, from a clone of the repository that may lie anywhere; again to upgrade. What the unit remembers, in
# /var/lib/room-appliance, is never touched.
#
#   PYTHON=python3.12   another interpreter than python3
#
# In a chroot, where an image is made, the service is enabled and starts with the machine.
set -eu
umask 022
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
place=/opt/room-appliance
pip="$place/venv/bin/pip --disable-pip-version-check --quiet"

say() { echo "install: $*"; }
fail() { echo "install: $*" >&2; exit 1; }
is_installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q '^install ok installed'; }
is_offered() { apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'; }

# packages NEEDED... : each of them is installed, or this ends
packages() {
    missing=
    for package in "$@"; do
        is_installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || fail "these packages are missing:$missing"
    say "Debian packages:$missing"
    # shellcheck disable=SC2086  # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
        fail "apt-get install$missing failed; try apt-get update before"
}

# offered WANTED... : those of them that this machine's archives have
offered() {
    for package in "$@"; do
        if is_installed "$package" || is_offered "$package"; then echo "$package"; fi
    done
}

[ "$(id -u)" = 0 ] || fail "run it as root: sudo make install"
command -v systemctl >/dev/null || fail "this machine has no systemd"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$python is not Python 3.11 or newer"

# --- Debian's packages. Camera and GPIO are Debian's alone: no wheel of libcamera or, for Python 3.13, of lgpio exists.
"$python" -c 'import ensurepip, venv' 2>/dev/null || packages python3-venv
# shellcheck disable=SC2046  # lists of words
packages $(offered libasound2t64 libasound2 | head -n 1) $(offered python3-picamera2 python3-lgpio iw)
# shellcheck disable=SC2046  # a list of words
packages $(offered libsdl2-2.0-0 libsdl2-ttf-2.0-0 fonts-dejavu-core) # for a screen
if is_installed network-manager; then packages dnsmasq-base; fi # for the set-up network

# --- The program. Its venv sees Debian's packages, and is made anew after an upgrade of Python.
version=$("$python" -c 'import sys; print(sys.version_info[:2])')
if [ "$("$place/venv/bin/python" -c 'import sys; print(sys.version_info[:2])' 2>/dev/null)" != "$version" ]; then
    "$python" -m venv --clear --system-site-packages "$place/venv"
fi
# Debian's picamera2 is compiled for Debian's numpy: one of another major version would break it.
constraints=$(mktemp)
trap 'rm -f "$constraints"' EXIT
"$python" -c 'import numpy as n; v = int(n.__version__.split(".")[0]); print(f"numpy>={v},<{v + 1}")' \
    >"$constraints" 2>/dev/null || true
# pyalsaaudio is compiled where pip finds no wheel of it: only then a compiler is needed.
if ! $pip install --dry-run --no-deps --only-binary :all: 'pyalsaaudio>=0.11,<1' >/dev/null 2>&1; then
    packages gcc libc6-dev python3-dev libasound2-dev
fi
say "the program, in $place"
$pip install --upgrade --constraint "$constraints" "$PWD[pi]"
install -m 0644 README.md CHANGELOG.md LICENSE docs/configuration.md "$place"
install -D -m 0755 systemd/room-appliance.sh /usr/local/bin/room-appliance

# --- Its user, its devices, its rights, its service.
install -D -m 0644 systemd/room-appliance.sysusers.conf /etc/sysusers.d/room-appliance.conf
install -D -m 0644 systemd/room-appliance.tmpfiles.conf /etc/tmpfiles.d/room-appliance.conf
install -D -m 0644 systemd/70-room-appliance.rules /etc/udev/rules.d/70-room-appliance.rules
install -D -m 0644 systemd/room-appliance.polkit.rules /etc/polkit-1/rules.d/50-room-appliance.rules
install -D -m 0644 systemd/room-appliance.dnsmasq.conf /etc/NetworkManager/dnsmasq-shared.d/room-appliance.conf
for unit in room-appliance.service room-appliance-portal.socket; do
    install -D -m 0644 "systemd/$unit" "/etc/systemd/system/$unit"
done
systemd-sysusers room-appliance.conf
systemd-tmpfiles --create room-appliance.conf
if [ -S /run/udev/control ]; then
    udevadm control --reload
    udevadm trigger --subsystem-match=gpio --subsystem-match=dma_heap --subsystem-match=tty
fi
systemctl enable --quiet room-appliance.service room-appliance-portal.socket
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl stop room-appliance.service # its socket starts only while it does not run
    systemctl restart room-appliance-portal.socket
    systemctl start room-appliance.service
fi
say "done. Settings: /var/lib/room-appliance/config.toml; what may be wrong: sudo room-appliance doctor"
