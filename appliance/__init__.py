"""Firmware that turns a Raspberry Pi into a room kiosk or an intercom."""

__version__ = "0.1.0"
