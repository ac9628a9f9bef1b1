"""Packets and samples: what is captured goes out encoded once, what comes in is played and shown."""
