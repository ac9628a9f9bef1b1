"""What a relay task asks for, checked, and where its pictures go (D08, D09). Pure."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from appliance.errors import InvalidArgumentError
from appliance.room.signaling_tasks import Adaption, Canvas, LayoutUser, RtmpTask, TaskLayout

IMAGES = "relay-images"  # where the owner puts them, in the state directory
MIN_CANVAS = 16  # pixels: what an H.264 encoder takes
IMAGE_NAME = re.compile(r"hub:([A-Za-z0-9_-][A-Za-z0-9._-]{0,63})")
_DATA_URL = re.compile(r"data:image/(?:png|jpeg);base64,(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Rect:
    """Pixels, all even: a chroma sample stands for two by two of them."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Placement:
    """`source` of a picture, scaled to the size of `target` on the canvas, which may reach over its edges."""

    source: Rect
    target: Rect


SOUND_ALONE = (0, 0)  # a canvas of nothing
Key = tuple[str, str]  # a user and a stream of it


def key_of(user: LayoutUser) -> Key:
    return user.user_id, user.stream


def heard(layout: TaskLayout) -> frozenset[Key]:
    return frozenset(key_of(user) for user in layout.users if user.push_audio)


def seen(layout: TaskLayout) -> frozenset[Key]:
    if canvas_size(layout.canvas) == SOUND_ALONE:
        return frozenset()
    return frozenset(key_of(user) for user in layout.users if user.push_video and min(user.width, user.height) >= 2)


def even(value: float) -> int:
    return int(value) & ~1


def canvas_size(canvas: Canvas) -> tuple[int, int]:
    return even(canvas.width), even(canvas.height)


def place(width: int, height: int, box: Rect, adaption: Adaption) -> Placement | None:
    """Where a picture of `width` by `height` goes in `box`; None when nothing of it would be seen."""
    width, height = even(width), even(height)
    if min(width, height, box.width, box.height) < 2:
        return None
    if adaption == "fit":
        scale = min(box.width / width, box.height / height)
        fitted = max(2, even(round(width * scale))), max(2, even(round(height * scale)))
        x, y = box.x + even((box.width - fitted[0]) / 2), box.y + even((box.height - fitted[1]) / 2)
        return Placement(Rect(0, 0, width, height), Rect(x, y, *fitted))
    scale = max(box.width / width, box.height / height)
    shown = max(2, min(width, even(box.width / scale))), max(2, min(height, even(box.height / scale)))
    return Placement(Rect(even((width - shown[0]) / 2), even((height - shown[1]) / 2), *shown), box)


def check_task(task: RtmpTask) -> None:
    """Raises `InvalidArgumentError` that names the field; what the wire's bounds say holds already."""
    if not task.stream_url and not task.record:
        raise InvalidArgumentError(f"task {task.task_id!r}: stream_url is empty and record is false: nothing to do")
    check_layout(task.layout)


def check_layout(layout: TaskLayout) -> None:
    """Raises `InvalidArgumentError`."""
    width, height = canvas_size(layout.canvas)
    if min(width, height) < MIN_CANVAS and (width, height) != SOUND_ALONE:
        least = f"at least {MIN_CANVAS} x {MIN_CANVAS} pixels, or 0 x 0 for sound alone"
        raise InvalidArgumentError(f"layout.canvas of {width} x {height}: {least}")
    keys: set[Key] = set()
    for number, user in enumerate(layout.users):
        if key_of(user) in keys:
            raise InvalidArgumentError(f"layout.users[{number}].user_id {user.user_id!r} is there twice")
        keys.add(key_of(user))
    for number, image in enumerate(layout.images):
        if IMAGE_NAME.fullmatch(image.url) is None and data_of(image.url) is None:
            raise InvalidArgumentError(
                f'layout.images[{number}].url {image.url[:40]!r}: "data:image/png;base64,...", image/jpeg alike, or '
                '"hub:NAME"; the hub fetches nothing from elsewhere'
            )


def data_of(url: str) -> bytes | None:
    """The bytes of a data: URL with a PNG or JPEG; None when it is none."""
    match = _DATA_URL.fullmatch(url)
    if match is None:
        return None
    try:
        return base64.b64decode(match.group(1), validate=True)
    except (binascii.Error, ValueError):
        return None
