"""One relay task: four members at 720p30 on a canvas of 720p25, composed, encoded and cut into what is pushed."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import av

from appliance.hub.recordings import Recordings
from appliance.hub.relay_compositor import Compositor
from appliance.hub.relay_encoder import FPS, Coded, RelayEncoder
from appliance.hub.relay_layout import Key, even
from appliance.hub.relay_sound import RelaySound
from appliance.hub.relay_worker import RelayWorker
from appliance.hub.rtmp_media import audio_frame, video_picture
from appliance.room.signaling_tasks import Canvas, LayoutUser, RtmpTask, TaskLayout
from hw.landscape import Landscape
from tests.bench.table import Row, row

WIDTH, HEIGHT = 1280, 720
MEMBERS = 4
CAMERA_FPS = 30
SETTLE_S, MEASURE_S = 1.0, 6.0


def _task() -> RtmpTask:
    width, height = even(WIDTH / 2), even(HEIGHT / 2)
    users = tuple(
        LayoutUser(user_id=str(number), x=number % 2 * width, y=number // 2 * height, width=width, height=height)
        for number in range(MEMBERS)
    )
    layout = TaskLayout(canvas=Canvas(width=WIDTH, height=HEIGHT), users=users)
    return RtmpTask(task_id="bench", record=True, layout=layout)


def _pictures() -> list[av.VideoFrame]:
    """A second of a camera, made before anything is measured."""
    landscape = Landscape(WIDTH, HEIGHT, "bench")
    return [landscape.picture(number, number / CAMERA_FPS, 0.0) for number in range(CAMERA_FPS)]


def _newest(pictures: list[av.VideoFrame]) -> Mapping[Key, av.VideoFrame]:
    number = int(time.monotonic() * CAMERA_FPS)
    return {(str(member), "main"): pictures[(number + 7 * member) % CAMERA_FPS] for member in range(MEMBERS)}


async def _whole(pictures: list[av.VideoFrame], directory: Path) -> tuple[float, float]:
    """(cores, pictures a second) of a task that pushes and records."""
    made = 0

    def take(coded: list[Coded]) -> None:
        nonlocal made
        for one in coded:
            if one.is_video:
                made += 1
                video_picture(one.data, keyframe=one.keyframe)
            else:
                audio_frame(one.data)

    sound = RelaySound()
    sound.start()
    recordings = Recordings(directory, 10**9, 10**6)
    worker = RelayWorker(
        _task(),
        lambda: _newest(pictures),
        sound.open(frozenset()),
        images=None,
        recording=recordings.open("room", "bench"),
        on_begun=lambda _encoder: None,
        on_coded=take,
        on_problems=lambda _words: None,
        on_failed=lambda why: print(f"the relay failed: {why}"),
    )
    worker.start()
    try:
        await asyncio.sleep(SETTLE_S)
        cpu_s, wall_s, before = time.process_time(), time.monotonic(), made
        await asyncio.sleep(MEASURE_S)
        took_s = time.monotonic() - wall_s
        return (time.process_time() - cpu_s) / took_s, (made - before) / took_s
    finally:
        await asyncio.to_thread(worker.close)
        await asyncio.to_thread(sound.close)


def _encoder_alone(pictures: list[av.VideoFrame]) -> float:
    """Cores of x264 with the same canvases."""
    task = _task()
    compositor = Compositor(task.layout, [])
    canvases = []
    for number in range(CAMERA_FPS):
        shown = {(str(member), "main"): pictures[(number + 7 * member) % CAMERA_FPS] for member in range(MEMBERS)}
        canvases.append(compositor.compose(shown).copy())
    encoder = RelayEncoder(task, WIDTH, HEIGHT, None)
    count = round(MEASURE_S * FPS)
    cpu_s = time.process_time()
    for number in range(count):
        encoder.picture(canvases[number % CAMERA_FPS], number, keyframe=False)
    took = (time.process_time() - cpu_s) * FPS / count
    encoder.close()
    return took


async def rows() -> AsyncIterator[Row]:
    pictures = await asyncio.to_thread(_pictures)
    with tempfile.TemporaryDirectory() as directory:
        cores, pictures_s = await _whole(pictures, Path(directory))
    alone = await asyncio.to_thread(_encoder_alone, pictures)
    name = f"relay, {MEMBERS} members on 720p{FPS}"
    yield row(f"{name}: CPU", "cores", cores, alone, 2.5, peer="x264 alone")
    yield row(f"{name}: time a picture", "ms", 1000 / pictures_s, 1000 / FPS, 1.02, peer="the clock")
