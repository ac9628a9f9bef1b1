#!/bin/sh
# Makes this checkout a service of this machine: a user of its own, its state directory, the systemd unit. As root.
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

for group in video audio gpio dialout; do
    groupadd --force --system "$group"
done
id room-appliance >/dev/null 2>&1 ||
    useradd --system --user-group --no-create-home --home-dir "$state" --shell /usr/sbin/nologin room-appliance
install -d -m 0700 -o room-appliance -g room-appliance "$state"
[ -e "$state/config.toml" ] || install -m 0600 -o room-appliance -g room-appliance /dev/null "$state/config.toml"
sed "s|/opt/room-appliance|$home|g" systemd/room-appliance.service >/etc/systemd/system/room-appliance.service
systemctl daemon-reload
echo "Write $state/config.toml, look with: $home/.venv/bin/room-appliance check $state/config.toml"
echo "Then: systemctl enable --now room-appliance"
