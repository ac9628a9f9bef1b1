"""The images of a relay's layout: PNG and JPEG, out of the task itself or of the owner's directory. Blocks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av

from appliance.errors import ApplianceError
from appliance.hub.relay_layout import IMAGE_NAME, data_of
from appliance.room.signaling_tasks import LayoutImage

MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_PIXELS = 2560 * 1600  # a few of them are in memory at once
_DECODERS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "mjpeg"}


class ImageError(ApplianceError):
    """It is not there, or no picture."""


def load_images(images: Sequence[LayoutImage], directory: Path | None) -> tuple[list[av.VideoFrame | None], list[str]]:
    """Each picture, or None, and what is wrong with those."""
    frames: list[av.VideoFrame | None] = []
    problems = []
    for number, image in enumerate(images):
        try:
            frames.append(decode_image(_bytes_of(image.url, directory)))
        except ImageError as exc:
            frames.append(None)
            problems.append(f"layout.images[{number}]: {exc}")
    return frames, problems


def decode_image(data: bytes) -> av.VideoFrame:
    """Raises `ImageError`. Nothing but these two decoders sees the bytes, and no larger picture is made of them."""
    name = next((name for magic, name in _DECODERS.items() if data.startswith(magic)), None)
    if name is None:
        raise ImageError("neither PNG nor JPEG")
    decoder = av.CodecContext.create(name, "r")
    decoder.options = {"max_pixels": str(MAX_PIXELS)}
    decoder.thread_count = 1
    try:
        frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]  # type: ignore[attr-defined]
    except (av.FFmpegError, ValueError, MemoryError) as exc:
        raise ImageError(f"this {name} cannot be decoded") from exc
    if not frames or min(frames[0].width, frames[0].height) < 2:
        raise ImageError(f"there is no picture in this {name}")
    frame: av.VideoFrame = frames[0].reformat(format="yuv420p")
    return frame


def _bytes_of(url: str, directory: Path | None) -> bytes:
    data = data_of(url)
    if data is not None:
        return data
    match = IMAGE_NAME.fullmatch(url)
    if match is None or directory is None:
        raise ImageError("not to be had")
    path = directory / match.group(1)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise ImageError(f"{match.group(1)}: {exc.strerror}") from exc
    if len(data) > MAX_FILE_BYTES:
        raise ImageError(f"{match.group(1)} is over {MAX_FILE_BYTES} bytes")
    return data
