"""What makes a demo of a unit: settings that it decides itself, whatever its owner says."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.config_edit import Value


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """`port` 0: any free one. `camera`: a media file or /dev/videoN; `microphone`: a media file; None: synthetic."""

    port: int = 8080
    camera: str | None = None
    microphone: str | None = None


def demo_keys(demo: DemoOptions) -> dict[str, Value]:
    """What the demo decides, whatever its settings say: mock hardware, a hub, and this computer only."""
    camera = demo.camera or ""
    is_device = camera.startswith("/dev/")
    return {
        "audio.driver": "file" if demo.microphone else "mock",
        "audio.microphone_file": demo.microphone or "",
        "video.driver": "v4l2" if is_device else "file" if camera else "mock",
        **({"video.device": camera} if is_device else {}),
        "video.camera_file": "" if is_device else camera,
        "gpio.driver": "mock",
        "panel.port": "",
        "web.host": "127.0.0.1",
        "web.port": demo.port,
        "web.tls": "off",
        "hub.enabled": True,
        "hub.secure": True,
    }
