#!/bin/sh
# Makes this checkout a service of this machine: a user of its own, its state directory, udev rules, the systemd unit. As root.
set -eu
cd "$(dirname "$0")/.."
home=$(pwd)
state=/var/lib/room-appliance

if [ "$(id -u)" != 0 ]; then
    echo "run it as root: sudo make install" >&2
    exit 1
fi
case $home in
    /home/* | /root*) echo "the unit cannot see $home: clone it into /opt/room-appliance" >&2; exit 1 ;;
esac

install -D -m 0644 systemd/room-appliance.sysusers.conf /etc/sysusers.d/room-appliance.conf
install -D -m 0644 systemd/room-appliance.tmpfiles.conf /etc/tmpfiles.d/room-appliance.conf
install -D -m 0644 systemd/70-room-appliance.rules /etc/udev/rules.d/70-room-appliance.rules
systemd-sysusers room-appliance.conf
systemd-tmpfiles --create room-appliance.conf
udevadm control --reload && udevadm trigger --subsystem-match=gpio --subsystem-match=dma_heap --subsystem-match=tty
sed "s|/opt/room-appliance|$home|g" systemd/room-appliance.service >/etc/systemd/system/room-appliance.service
systemctl daemon-reload
echo "Write $state/config.toml, look with: $home/.venv/bin/room-appliance check $state/config.toml"
echo "Then: systemctl enable --now room-appliance"
