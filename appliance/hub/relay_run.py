"""One relay task at work: its worker, its push, its recording, from one attempt to the next.

The worker runs while there is somebody to take what it makes: the server, or the file, which goes on while the server
is away. What is decided about it is decided in `relay_tasks.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.hub.recordings import Recording, Recordings
from appliance.hub.relay_encoder import FPS, Coded, RelayEncoder
from appliance.hub.relay_layout import canvas_size, heard
from appliance.hub.relay_sound import Outlet, RelaySound
from appliance.hub.relay_target import Targets, parse_target
from appliance.hub.relay_worker import Pictures, RelayWorker
from appliance.hub.rtmp import RtmpError, RtmpPublisher
from appliance.hub.rtmp_media import audio_configuration, audio_frame, video_configuration, video_picture
from appliance.hub.rtmp_push import RtmpPush
from appliance.room.signaling_tasks import RtmpTask

logger = logging.getLogger(__name__)

LINGER_S = 30.0  # so long after its end the members' media goes on: the next attempt finds it there

Report = Callable[[int, str | None], None]  # (attempt, None: it pushes, or why it failed)


class WorkerError(ApplianceError):
    """Nothing is composed, encoded or written any more; the message says why."""


class TaskRun:
    """Of one form of a task. `report` says what became of an attempt, `note` (is it an image's, words) what else is
    wrong.
    """

    def __init__(
        self,
        room: str,
        task: RtmpTask,
        sound: RelaySound,
        pictures: Pictures,
        *,
        targets: Targets,
        recordings: Recordings | None,
        images: Path | None,
        report: Report,
        note: Callable[[bool, str], None],
    ) -> None:
        self.task = task
        self.attempt = 0
        self._room = room
        self._sound = sound
        self._pictures = pictures
        self._targets = targets
        self._recordings = recordings
        self._images = images
        self._report, self._note = report, note
        self._loop = asyncio.get_running_loop()
        self._outlet: Outlet | None = None
        self._worker: RelayWorker | None = None
        self._worker_failed: asyncio.Future[None] | None = None
        self._is_recording = False
        self._may_record = task.record
        self._encoder: RelayEncoder | None = None
        self._push: RtmpPush | None = None
        self._base_ms: int | None = None  # of the push, in the encoder's time; None: its first key frame is to come
        self._wanted = asyncio.Event()
        self._idle_s = self._loop.time()
        self._task = asyncio.create_task(self._run(), name=f"relay-task-{task.task_id}")

    @property
    def is_live(self) -> bool:
        """Whether the members' media is wanted."""
        return self._worker is not None or self._loop.time() - self._idle_s < LINGER_S

    def try_again(self, attempt: int) -> None:
        self.attempt = attempt
        self._wanted.set()

    def set_task(self, task: RtmpTask) -> None:
        """The same form with another layout."""
        self.task = task
        if self._worker is not None:
            self._worker.set_layout(task.layout)
        if self._outlet is not None:
            self._outlet.users = _voices(task)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    # --- inside

    async def _run(self) -> None:
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                attempt = self.attempt
                try:
                    await self._try(attempt)
                except (RtmpError, WorkerError) as exc:
                    logger.info("relay task %s: %s", self.task.task_id, exc)
                    self._report(attempt, str(exc))
        finally:
            await self._end_worker()

    async def _try(self, attempt: int) -> None:
        """Until it fails. Raises `RtmpError`, `WorkerError`."""
        push = RtmpPush(parse_target(self.task.stream_url), self._targets) if self.task.stream_url else None
        try:
            if self._may_record:
                await self._begin_worker(required=push is None)
            if push is not None:
                await push.open()
            await self._begin_worker(required=True)
            self._push, self._base_ms = push, None
            assert self._worker is not None
            self._worker.want_keyframe()
            self._report(attempt, None)
            await self._watch(push)
        finally:
            self._push = None
            if push is not None:
                await push.close()
            if not self._is_recording:
                await self._end_worker()

    async def _watch(self, push: RtmpPush | None) -> None:
        assert self._worker_failed is not None
        waits: set[asyncio.Future[None]] = {asyncio.ensure_future(asyncio.shield(self._worker_failed))}
        if push is not None:
            waits.add(asyncio.create_task(push.wait_lost(), name="relay-push"))
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        failure = self._worker_failed
        if failure.done():
            self._may_record = self._may_record and push is None  # else the push would fail with it again and again
            self._is_recording = False
        for wait in done:
            wait.result()

    async def _begin_worker(self, *, required: bool) -> None:
        """Where there is none. Raises `WorkerError` when it is `required`."""
        if self._worker is not None:
            return
        recording = None
        if self._may_record and self._recordings is not None:
            try:
                recording = await self._open(self._recordings)
            except OSError as exc:
                why = f"the recording cannot be written: {exc.strerror or exc}"
                if required:
                    raise WorkerError(why) from exc
                self._may_record = False
                self._note(False, why)
                return
        failed = self._worker_failed = self._loop.create_future()
        begun: asyncio.Future[RelayEncoder] = self._loop.create_future()
        self._outlet = self._sound.open(_voices(self.task))

        def fail(why: str) -> None:
            if not failed.done():
                failed.set_exception(WorkerError(why))
                failed.exception()  # whoever asks is told; who doesn't has no traceback
            if not begun.done():
                begun.cancel()

        def begin(encoder: RelayEncoder) -> None:
            if not begun.done():
                begun.set_result(encoder)

        def take(coded: list[Coded]) -> None:
            for one in coded:
                self._send(one)

        def problems(words: list[str]) -> None:
            for why in words:
                self._note(True, why)

        self._is_recording = recording is not None
        self._worker = RelayWorker(
            self.task,
            self._pictures,
            self._outlet,
            images=self._images,
            recording=recording,
            on_begun=lambda encoder: self._call(begin, encoder),
            on_coded=lambda coded: self._call(take, coded),
            on_problems=lambda words: self._call(problems, words),
            on_failed=lambda why: self._call(fail, why),
        )
        self._worker.start()
        try:
            self._encoder = await begun
        except asyncio.CancelledError:
            if not failed.done():
                raise
            await self._end_worker()
            failed.result()

    async def _open(self, recordings: Recordings) -> Recording:
        """Raises OSError."""
        opening = asyncio.ensure_future(asyncio.to_thread(recordings.open, self._room, self.task.task_id))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            with suppress(OSError):
                (await opening).close()
            raise

    async def _end_worker(self) -> None:
        worker, self._worker, self._encoder = self._worker, None, None
        self._is_recording = False
        self._idle_s = self._loop.time()
        if self._outlet is not None:
            self._sound.drop(self._outlet)
            self._outlet = None
        if worker is not None:
            await asyncio.shield(asyncio.to_thread(worker.close))

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is gone, and so is everybody who would care
            self._loop.call_soon_threadsafe(function, *arguments)

    def _send(self, coded: Coded) -> None:
        push, encoder = self._push, self._encoder
        if push is None or encoder is None:
            return
        if self._base_ms is None:
            if encoder.has_video and not coded.keyframe:
                return
            self._base_ms = coded.timestamp_ms
            push.send(lambda publisher: self._head(publisher, encoder))
        at_ms = coded.timestamp_ms - self._base_ms
        if at_ms < 0:
            return
        if coded.is_video:
            body = video_picture(coded.data, keyframe=coded.keyframe)
            push.send(lambda publisher: publisher.video(at_ms, body))
        else:
            push.send(lambda publisher: publisher.audio(at_ms, audio_frame(coded.data)))

    def _head(self, publisher: RtmpPublisher, encoder: RelayEncoder) -> bytes:
        audio = self.task.audio
        about: dict[str, object] = {
            "audiocodecid": 10,
            "audiodatarate": audio.bitrate_kbps,
            "audiosamplerate": audio.sample_rate_hz,
            "stereo": audio.channels == 2,
            "encoder": "room-appliance",
        }
        if self.task.extra_info:
            about["comment"] = self.task.extra_info
        video = b""
        if encoder.has_video:
            width, height = canvas_size(self.task.layout.canvas)
            about |= {"width": width, "height": height, "framerate": FPS, "videocodecid": 7}
            about["videodatarate"] = encoder.bitrate_bps / 1000
            video = publisher.video(0, video_configuration(encoder.parameter_sets))
        sound = publisher.audio(0, audio_configuration(encoder.audio_specific_config))
        return publisher.metadata(about) + video + sound


def _voices(task: RtmpTask) -> frozenset[str]:
    return frozenset(user_id for user_id, _ in heard(task.layout))
