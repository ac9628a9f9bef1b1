"""Puts pictures on a window of SDL: a graphics chip converts and scales them, or the processor does.

Without a chip OpenGL is a program that makes each pixel (Mesa's llvmpipe): ten times the work of swscale's conversion
and SDL's own renderer. `SDL_RENDER_DRIVER`, where set, is obeyed.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Collection, Hashable, Sequence
from typing import Any, Protocol

import av
from av.video.reformatter import ColorRange, VideoReformatter

from hw import HardwareError
from hw.placing import Area, covering, cropped

logger = logging.getLogger(__name__)

_PLANAR = ("yuv420p", "yuvj420p")
_BT709 = 1  # AVColorSpace
_GL_RENDERER = 0x1F01
_OPENGL = (b"opengl", b"opengles2", b"opengles")
_RASTERIZERS = ("llvmpipe", "softpipe", "swrast", "software rasterizer", "swiftshader")


class Painter(Protocol):
    """One window's renderer and the pictures on it, each known by a key. HardwareError when the driver refuses."""

    renderer: Any
    keeps: bool  # what is drawn stands until it is drawn over

    def paint(self, key: str, frame: av.VideoFrame, place: Area, *, crop: bool) -> None:
        """Fills `place`; what has other proportions is cut (`crop`) or drawn out."""

    def keep(self, keys: Collection[str]) -> None:
        """Forgets the pictures of all others."""

    def present(self, places: Sequence[Area] | None) -> None:
        """On the screen; None: all of it. Where the painter keeps nothing all was drawn, and all is shown."""


def open_painter(sdl2: Any, window: Any) -> Painter:
    """The caller destroys its renderer, and every texture with it."""
    renderer = sdl2.SDL_CreateRenderer(window, -1, 0)
    program = _rasterizer(sdl2, renderer) if renderer and not sdl2.SDL_GetHint(sdl2.SDL_HINT_RENDER_DRIVER) else ""
    if program:
        sdl2.SDL_DestroyRenderer(renderer)
        renderer = sdl2.SDL_CreateRenderer(window, -1, sdl2.SDL_RENDERER_SOFTWARE)
    if not renderer:
        raise HardwareError(f"the screen cannot be drawn on: {sdl2.SDL_GetError().decode()}")
    info = _info(sdl2, renderer)
    if info.flags & sdl2.SDL_RENDERER_SOFTWARE:
        logger.info("the screen is drawn by the processor: %s", program or "no OpenGL, or not wanted")
        return ProcessorPainter(sdl2, window, renderer)
    logger.info("the screen is drawn by %s", info.name.decode())
    return ChipPainter(sdl2, renderer)


class ChipPainter:
    """Pictures go to the chip as a decoder gives them (YUV 4:2:0). A texture lives as long as its key and size."""

    keeps = False

    def __init__(self, sdl2: Any, renderer: Any) -> None:
        self._sdl2, self.renderer = sdl2, renderer
        self._textures: dict[str, tuple[Hashable, Any, av.VideoFrame]] = {}  # size and kind, texture, what is in it

    def paint(self, key: str, frame: av.VideoFrame, place: Area, *, crop: bool) -> None:
        sdl2 = self._sdl2
        source = _rect(sdl2, cropped(frame.width, frame.height, place)) if crop else None
        sdl2.SDL_RenderCopy(self.renderer, self._texture(key, frame), source, _rect(sdl2, place))

    def keep(self, keys: Collection[str]) -> None:
        for key in [key for key in self._textures if key not in keys]:
            self._sdl2.SDL_DestroyTexture(self._textures.pop(key)[1])

    def present(self, places: Sequence[Area] | None) -> None:
        self._sdl2.SDL_RenderPresent(self.renderer)

    def _texture(self, key: str, frame: av.VideoFrame) -> Any:
        """With `frame` in it; uploaded only when it is another one."""
        sdl2 = self._sdl2
        known, texture, shown = self._textures.get(key, (None, None, None))
        if shown is frame:
            return texture
        planar = frame if frame.format.name in _PLANAR else frame.reformat(format="yuv420p")
        size, conversion = (frame.width, frame.height), _conversion(planar)
        if known != (size, conversion):
            if texture is not None:
                sdl2.SDL_DestroyTexture(self._textures.pop(key)[1])
            sdl2.SDL_SetYUVConversionMode(conversion)  # of the textures that are made from now on
            texture = sdl2.SDL_CreateTexture(
                self.renderer, sdl2.SDL_PIXELFORMAT_IYUV, sdl2.SDL_TEXTUREACCESS_STREAMING, *size
            )
            if not texture:
                raise HardwareError(f"no room for a picture of {size}: {sdl2.SDL_GetError().decode()}")
        arguments: list[Any] = []
        for plane in planar.planes[:3]:
            arguments += [ctypes.cast(plane.buffer_ptr, ctypes.POINTER(ctypes.c_uint8)), plane.line_size]
        sdl2.SDL_UpdateYUVTexture(texture, None, *arguments)
        self._textures[key] = ((size, conversion), texture, frame)
        return texture


class ProcessorPainter:
    """Pictures are converted and scaled in one step, once each, and copied into the window's memory."""

    keeps = True

    def __init__(self, sdl2: Any, window: Any, renderer: Any) -> None:
        self._sdl2, self._window, self.renderer = sdl2, window, renderer
        self._converters: dict[str, _Converter] = {}

    def paint(self, key: str, frame: av.VideoFrame, place: Area, *, crop: bool) -> None:
        sdl2 = self._sdl2
        size = covering(frame.width, frame.height, place) if crop else (place.width, place.height)
        pixels = self._converters.setdefault(key, _Converter()).convert(frame, *size).planes[0]
        left, top = (size[0] - place.width) // 2, (size[1] - place.height) // 2
        picture = sdl2.SDL_CreateRGBSurfaceWithFormatFrom(
            ctypes.c_void_p(pixels.buffer_ptr + top * pixels.line_size + left * 4),
            *(place.width, place.height, 32, pixels.line_size),
            sdl2.SDL_PIXELFORMAT_RGB888,
        )
        sdl2.SDL_RenderFlush(self.renderer)  # what is to be below is drawn, on the same surface
        failed = sdl2.SDL_UpperBlit(picture, None, sdl2.SDL_GetWindowSurface(self._window), _rect(sdl2, place))
        sdl2.SDL_FreeSurface(picture)
        if failed:
            raise HardwareError(f"a picture cannot be drawn: {sdl2.SDL_GetError().decode()}")

    def keep(self, keys: Collection[str]) -> None:
        self._converters = {key: each for key, each in self._converters.items() if key in keys}

    def present(self, places: Sequence[Area] | None) -> None:
        sdl2 = self._sdl2
        if places is None:
            sdl2.SDL_RenderPresent(self.renderer)
            return
        sdl2.SDL_RenderFlush(self.renderer)
        rects = (sdl2.SDL_Rect * len(places))(*(_rect(sdl2, place) for place in places))
        if sdl2.SDL_UpdateWindowSurfaceRects(self._window, rects, len(rects)) != 0:
            raise HardwareError(f"the screen is gone: {sdl2.SDL_GetError().decode()}")


class _Converter:
    """Has the last picture in the window's format and size."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()  # a frame's own is made for it alone
        self._last: tuple[av.VideoFrame, av.VideoFrame] | None = None

    def convert(self, frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
        if self._last is not None:
            source, converted = self._last
            if source is frame and (converted.width, converted.height) == (width, height):
                return converted
        # FAST_BILINEAR, a fifth cheaper, moves what it enlarges by a pixel of the source.
        converted = self._reformatter.reformat(frame, width, height, "bgr0", interpolation="BILINEAR", threads=1)
        self._last = frame, converted
        return converted


def _info(sdl2: Any, renderer: Any) -> Any:
    info = sdl2.SDL_RendererInfo()
    sdl2.SDL_GetRendererInfo(renderer, info)
    return info


def _rasterizer(sdl2: Any, renderer: Any) -> str:
    """What OpenGL calls itself where it is a program; else nothing."""
    address = sdl2.SDL_GL_GetProcAddress(b"glGetString") if _info(sdl2, renderer).name in _OPENGL else None
    if not address:
        return ""
    name = (ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_uint)(address)(_GL_RENDERER) or b"").decode(errors="replace")
    return name if any(each in name.lower() for each in _RASTERIZERS) else ""


def _conversion(frame: av.VideoFrame) -> int:
    """Which YUV it is. SDL has no BT.709 of full range."""
    from sdl2 import surface

    if frame.format.name == "yuvj420p" or frame.color_range == ColorRange.JPEG:
        return int(surface.SDL_YUV_CONVERSION_JPEG)
    return int(surface.SDL_YUV_CONVERSION_BT709 if frame.colorspace == _BT709 else surface.SDL_YUV_CONVERSION_BT601)


def _rect(sdl2: Any, area: Area) -> Any:
    return sdl2.SDL_Rect(area.x, area.y, area.width, area.height)
