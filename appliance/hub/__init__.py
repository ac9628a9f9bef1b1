"""The embedded room server: `server.Hub` is its surface, `rooms.Rooms` decides everything."""
