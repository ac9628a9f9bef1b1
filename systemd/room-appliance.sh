#!/bin/sh
# The command on the unit. Root speaks for the unit: as its user, with its memory, so that `sudo room-appliance token`
# makes a token that its hub knows, and `doctor` looks with its rights.
program=/opt/room-appliance/venv/bin/room-appliance
state=/var/lib/room-appliance

case ${1:-} in
    api-token | doctor | hub | run | token)
        if [ "$(id -u)" = 0 ]; then
            cd "$state" || exit 1
            exec setpriv --reuid=room-appliance --regid=room-appliance --init-groups \
                env HOME="$state" STATE_DIRECTORY="$state" "$program" "$@"
        fi
        ;;
esac
exec "$program" "$@"
