"""Being in a room: `RoomClient` is the public surface."""
