"""Draws scenes with SDL: pictures by a painter, words and shapes here. For the screen's thread."""

from __future__ import annotations

import contextlib
import ctypes
import logging
from collections import OrderedDict
from pathlib import Path
from types import TracebackType
from typing import Any

import av

from hw import HardwareError, Scene, Tile
from hw.placing import Area, whole
from hw.scene_change import changed_tiles
from hw.sdl_painter import open_painter

logger = logging.getLogger(__name__)

MAX_TEXTS = 64  # rendered lines that are kept
BACKGROUND, GRAY, MARK, WHITE = (0, 0, 0), (38, 38, 42), (88, 190, 120), (240, 240, 240)
_FONTS = (  # the first that has all the characters of a line; fonts-dejavu-core, fonts-noto-cjk, fonts-wqy-zenhei
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
)


class Canvas:
    """One window's renderer. HardwareError when the graphics driver refuses."""

    def __init__(self, sdl2: Any, window: Any) -> None:
        self._sdl2 = sdl2
        self._painter = open_painter(sdl2, window)
        self._renderer = self._painter.renderer
        self._drawn: Scene | None = None
        self._texts: OrderedDict[tuple[str, int], tuple[Any, int, int]] = OrderedDict()
        self._fonts: dict[tuple[str, int], Any] = {}
        self._ttf = _text_library()

    def __enter__(self) -> Canvas:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sdl2.SDL_DestroyRenderer(self._renderer)  # and every texture with it
        if self._ttf is not None:
            for font in self._fonts.values():
                self._ttf.TTF_CloseFont(font)
            self._ttf.TTF_Quit()

    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        width, height = ctypes.c_int(), ctypes.c_int()
        self._sdl2.SDL_GetRendererOutputSize(self._renderer, ctypes.byref(width), ctypes.byref(height))
        return width.value, height.value

    def draw(self, scene: Scene, *, anew: bool = False) -> None:
        """What differs from the last one. `anew`: what was drawn is lost, or has another size."""
        changed = None if anew or self._drawn is None else changed_tiles(self._drawn, scene)
        self._drawn = scene
        if changed is None or (changed and not self._painter.keeps):
            self._draw_all(scene)
        elif changed:
            for tile in changed:
                self._draw_tile(tile)
            self._painter.present([_area(tile) for tile in changed])

    def _draw_all(self, scene: Scene) -> None:
        sdl2 = self._sdl2
        self._color(BACKGROUND)
        if sdl2.SDL_RenderClear(self._renderer) != 0:
            raise HardwareError(f"the screen is gone: {sdl2.SDL_GetError().decode()}")
        self._painter.keep({tile.key for tile in scene.tiles})
        for tile in scene.tiles:
            self._draw_tile(tile)
        width, height = self.size()
        if scene.title:
            self._line(scene.title, height // 5, width // 2, int(height * (0.42 if scene.subtitle else 0.5)), width)
        if scene.subtitle:
            self._line(scene.subtitle, height // 16, width // 2, int(height * 0.62), width)
        self._painter.present(None)

    # --- tiles

    def _draw_tile(self, tile: Tile) -> None:
        area = _area(tile)
        if tile.frame is None:
            self._fill(area, GRAY)
            middle = (tile.x + tile.width // 2, tile.y + tile.height // 2)
            self._line(tile.label, max(12, tile.height // 10), *middle, tile.width)
        else:
            self._draw_picture(tile, tile.frame, area)
            if tile.label:
                self._draw_label(tile)
        if tile.is_marked:
            self._frame(area)

    def _draw_picture(self, tile: Tile, frame: av.VideoFrame, area: Area) -> None:
        place = area if tile.crop else whole(frame.width, frame.height, area)
        if place != area:
            self._fill(area, BACKGROUND)  # a label may stand there
        self._painter.paint(tile.key, frame, place, crop=tile.crop)

    # --- text

    def _draw_label(self, tile: Tile) -> None:
        size = max(14, min(28, tile.height // 14))
        found = self._text(tile.label, size)
        if found is None:
            return
        texture, width, height = found
        shown = min(width, tile.width - size)
        place = Area(tile.x + size // 2, tile.y + tile.height - height - size // 2, shown, height)
        self._fill(Area(place.x - size // 4, place.y, shown + size // 2, height), BACKGROUND, alpha=140)
        self._sdl2.SDL_RenderCopy(self._renderer, texture, self._rect(Area(0, 0, shown, height)), self._rect(place))

    def _line(self, text: str, size: int, x: int, y: int, most: int) -> None:
        """Centered at a point, made smaller where it is wider than `most`."""
        found = self._text(text, size)
        if found is None:
            return
        texture, width, height = found
        scale = min(1.0, 0.9 * most / width)
        width, height = int(width * scale), int(height * scale)
        place = Area(x - width // 2, y - height // 2, width, height)
        self._sdl2.SDL_RenderCopy(self._renderer, texture, None, self._rect(place))

    def _text(self, text: str, size: int) -> tuple[Any, int, int] | None:
        """Texture, width and height of a line."""
        if (known := self._texts.get((text, size))) is not None:
            self._texts.move_to_end((text, size))
            return known
        font = self._font(text, size)
        if font is None or self._ttf is None:
            return None
        surface = self._ttf.TTF_RenderUTF8_Blended(font, text.encode(), self._sdl2.SDL_Color(*WHITE, 255))
        if not surface:
            return None
        width, height = surface.contents.w, surface.contents.h
        texture = self._sdl2.SDL_CreateTextureFromSurface(self._renderer, surface)
        self._sdl2.SDL_FreeSurface(surface)
        self._texts[text, size] = (texture, width, height)
        if len(self._texts) > MAX_TEXTS:
            self._sdl2.SDL_DestroyTexture(self._texts.popitem(last=False)[1][0])
        return texture, width, height

    def _font(self, text: str, size: int) -> Any:
        opened = [font for path in _FONTS if (font := self._open_font(path, size)) is not None]
        for font in opened:
            if all(self._ttf.TTF_GlyphIsProvided32(font, ord(character)) for character in text):
                return font
        return opened[0] if opened else None

    def _open_font(self, path: str, size: int) -> Any:
        if self._ttf is None or not Path(path).exists():
            return None
        if (path, size) not in self._fonts:
            self._fonts[path, size] = self._ttf.TTF_OpenFont(path.encode(), size)
        return self._fonts[path, size] or None

    # --- shapes

    def _rect(self, area: Area) -> Any:
        return self._sdl2.SDL_Rect(area.x, area.y, area.width, area.height)

    def _color(self, color: tuple[int, int, int], alpha: int = 255) -> None:
        self._sdl2.SDL_SetRenderDrawBlendMode(self._renderer, self._sdl2.SDL_BLENDMODE_BLEND)
        self._sdl2.SDL_SetRenderDrawColor(self._renderer, *color, alpha)

    def _fill(self, area: Area, color: tuple[int, int, int], alpha: int = 255) -> None:
        self._color(color, alpha)
        self._sdl2.SDL_RenderFillRect(self._renderer, self._rect(area))

    def _frame(self, area: Area) -> None:
        wide = max(3, area.height // 120)
        for edge in (
            Area(area.x, area.y, area.width, wide),
            Area(area.x, area.y + area.height - wide, area.width, wide),
            Area(area.x, area.y, wide, area.height),
            Area(area.x + area.width - wide, area.y, wide, area.height),
        ):
            self._fill(edge, MARK)


def _area(tile: Tile) -> Area:
    return Area(tile.x, tile.y, tile.width, tile.height)


def _text_library() -> Any:
    """SDL_ttf, or None: pictures are shown without it."""
    with contextlib.suppress(ImportError):
        from sdl2 import sdlttf

        if sdlttf.TTF_Init() == 0:
            return sdlttf
    logger.warning("no text on the screen: Debian's libsdl2-ttf-2.0-0 is missing")
    return None
