"""Packets and samples: what is captured goes out encoded once, what comes in is played and shown."""

from appliance.media import late_mdns

late_mdns.install()  # here, for it must come before aioice
