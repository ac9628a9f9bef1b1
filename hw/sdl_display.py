"""A screen through SDL 2: HDMI or DSI by KMS where no desktop runs, a window where one does.

PySDL2 speaks to Debian's own SDL, which has KMS built in. Everything of SDL belongs to one thread, which sleeps until
there is another scene.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hw import HardwareError, OnLost, Scene, ScreenClosedError
from hw.sdl_canvas import Canvas

logger = logging.getLogger(__name__)

WINDOW = (960, 540)  # on a desktop
LOOK_S = 0.25  # at events of the window system, while nothing new is to be shown
_START_S = 10.0
_CLOSE_S = 1.0
_PACKAGES = "pip install PySDL2, and Debian's libsdl2-2.0-0 and libsdl2-ttf-2.0-0"


def is_installed() -> bool:
    return importlib.util.find_spec("sdl2") is not None


def has_screen() -> bool:
    """Whether this machine has a desktop, or a connector with a screen at it, by what the kernel says."""
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return True
    for status in Path("/sys/class/drm").glob("card*-*/status"):
        with contextlib.suppress(OSError):
            if status.read_text().strip() == "connected":
                return True
    return False


class SdlDisplay:
    """`fullscreen` matters on a desktop only: by KMS there is nothing else. `looks_first`: SDL is not asked where the
    kernel knows of no screen.
    """

    def __init__(self, title: str = "", *, fullscreen: bool = False, looks_first: bool = True) -> None:
        self.device_id = "screen"
        self._looks_first = looks_first
        self._title = title
        self._fullscreen = fullscreen
        self._condition = threading.Condition()
        self._scene: Scene | None = None
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self, on_size: Callable[[int, int], None], on_lost: OnLost) -> None:
        if not is_installed():
            raise HardwareError(f"a screen needs SDL: {_PACKAGES}")
        if self._looks_first and not has_screen():
            raise HardwareError("no screen is connected")
        self._closing, self._scene = False, None
        opened = threading.Event()
        failed: list[HardwareError] = []

        def run() -> None:
            try:
                self._run(on_size, opened)
            except HardwareError as exc:
                if opened.is_set():
                    on_lost(exc)
                else:
                    failed.append(exc)
            finally:
                opened.set()

        self._thread = threading.Thread(target=run, name="display", daemon=True)
        self._thread.start()
        if not opened.wait(_START_S):
            raise HardwareError("the screen does not open: no answer of the graphics driver")
        if failed:
            self._thread.join()
            self._thread = None
            raise failed[0]

    def show(self, scene: Scene) -> None:
        with self._condition:
            self._scene = scene
            self._condition.notify()

    def close(self) -> None:
        with self._condition:
            self._closing = True
            self._condition.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_CLOSE_S)
            self._thread = None

    # --- the thread

    def _run(self, on_size: Callable[[int, int], None], opened: threading.Event) -> None:
        try:
            import sdl2
        except ImportError as exc:
            raise HardwareError(f"a screen needs SDL: {exc}; {_PACKAGES}") from exc
        window = _open(sdl2, self._title, fullscreen=self._fullscreen)
        try:
            with Canvas(sdl2, window) as canvas:
                on_size(*canvas.size())
                opened.set()
                self._draw_all(sdl2, canvas, on_size)
        finally:
            sdl2.SDL_DestroyWindow(window)
            sdl2.SDL_QuitSubSystem(sdl2.SDL_INIT_VIDEO)

    def _draw_all(self, sdl2: Any, canvas: Canvas, on_size: Callable[[int, int], None]) -> None:
        shown: Scene | None = None
        event = sdl2.SDL_Event()
        is_lost = False  # what was drawn
        while (scene := self._next()) is not None or not self._closing:
            while sdl2.SDL_PollEvent(event):
                if event.type == sdl2.SDL_QUIT:
                    raise ScreenClosedError("somebody closed the window")
                if event.type == sdl2.SDL_WINDOWEVENT:
                    if event.window.event == sdl2.SDL_WINDOWEVENT_SIZE_CHANGED:
                        on_size(*canvas.size())
                    is_lost = True
            if is_lost:
                scene = scene or shown
            if scene is not None:
                canvas.draw(scene, anew=is_lost)
                shown, is_lost = scene, False

    def _next(self) -> Scene | None:
        with self._condition:
            if self._scene is None and not self._closing:
                self._condition.wait(LOOK_S)
            scene, self._scene = self._scene, None
            return None if self._closing else scene


def _open(sdl2: Any, title: str, *, fullscreen: bool) -> Any:
    for name, value in (
        (b"SDL_NO_SIGNAL_HANDLERS", b"1"),  # Ctrl-C is the program's
        (b"SDL_VIDEO_MINIMIZE_ON_FOCUS_LOSS", b"0"),
        (b"SDL_RENDER_SCALE_QUALITY", b"linear"),
        (b"SDL_FRAMEBUFFER_ACCELERATION", b"0"),  # what the processor draws goes no way round by OpenGL
        (b"SDL_KMSDRM_REQUIRE_DRM_MASTER", b"1"),
    ):
        sdl2.SDL_SetHint(name, value)
    if sdl2.SDL_InitSubSystem(sdl2.SDL_INIT_VIDEO) != 0:
        raise HardwareError(f"no screen: {sdl2.SDL_GetError().decode()}")
    driver = sdl2.SDL_GetCurrentVideoDriver()
    if driver in (b"dummy", b"offscreen"):  # what SDL takes where it finds nothing else
        sdl2.SDL_QuitSubSystem(sdl2.SDL_INIT_VIDEO)
        raise HardwareError("no screen is connected, or another program has it")
    flags = sdl2.SDL_WINDOW_RESIZABLE | sdl2.SDL_WINDOW_ALLOW_HIGHDPI
    x = y = sdl2.SDL_WINDOWPOS_CENTERED
    size = WINDOW
    if fullscreen or driver == b"KMSDRM":
        flags |= sdl2.SDL_WINDOW_FULLSCREEN_DESKTOP
        sdl2.SDL_ShowCursor(sdl2.SDL_DISABLE)
        mode = sdl2.SDL_DisplayMode()
        if sdl2.SDL_GetDesktopDisplayMode(0, mode) == 0:
            x, y, size = 0, 0, (mode.w, mode.h)
    window = sdl2.SDL_CreateWindow(title.encode(), x, y, *size, flags)
    if not window:
        error = sdl2.SDL_GetError().decode()
        sdl2.SDL_QuitSubSystem(sdl2.SDL_INIT_VIDEO)
        raise HardwareError(f"the screen cannot be used: {error}")
    sdl2.SDL_DisableScreenSaver()
    return window
