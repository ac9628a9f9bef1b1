"""What only a Pi can show, for a person who looks and listens: `make test-hardware`.

Each test is marked `hardware`, says what must be seen or done (`person.told`), and skips with its reason where its
device is not. They run on the configuration of $ROOM_APPLIANCE_CONFIG, else that of the installed unit, else defaults
for a Pi; the unit itself must not run meanwhile, for a device has one user.
"""
