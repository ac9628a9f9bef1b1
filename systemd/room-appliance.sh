#!/bin/sh
# The command on the unit. Root speaks for the unit: as its user, with its memory, so that `sudo room-appliance token`
# makes a token that its hub knows, and `doctor` looks with its rights. Files are then named from its memory on.
program=/opt/room-appliance/venv/bin/room-appliance
state=/var/lib/room-appliance

case ${1:-} in
    api-token | claim-code | doctor | hub | run | token | token-secret)
        if [ "$(id -u)" = 0 ]; then
            cd "$state" || exit 1
            exec setpriv --reuid=room-appliance --regid=room-appliance --init-groups \
                env HOME="$state" STATE_DIRECTORY="$state" "$program" "$@"
        fi
        ;;
esac
exec "$program" "$@"
