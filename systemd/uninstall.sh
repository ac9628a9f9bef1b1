#!/bin/sh
# Takes away what install.sh put there. The unit's memory and its user stay; PURGE=1 takes them too. As root.
set -eu
state=/var/lib/room-appliance

[ "$(id -u)" = 0 ] || { echo "uninstall: run it as root: sudo make uninstall" >&2; exit 1; }
systemctl disable --now --quiet room-appliance-portal.socket room-appliance.service 2>/dev/null || true
rm -f /etc/systemd/system/room-appliance.service /etc/systemd/system/room-appliance-portal.socket \
    /etc/udev/rules.d/70-room-appliance.rules \
    /etc/polkit-1/rules.d/50-room-appliance.rules /etc/NetworkManager/dnsmasq-shared.d/room-appliance.conf \
    /etc/sysusers.d/room-appliance.conf /etc/tmpfiles.d/room-appliance.conf /usr/local/bin/room-appliance
rm -rf /opt/room-appliance
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl reset-failed room-appliance 2>/dev/null || true
fi
if [ -S /run/udev/control ]; then udevadm control --reload; fi
if [ "${PURGE:-0}" = 1 ]; then
    rm -rf "$state"
    if id room-appliance >/dev/null 2>&1; then userdel room-appliance; fi
elif [ -d "$state" ]; then
    echo "uninstall: $state stays; PURGE=1 takes it, too"
fi
