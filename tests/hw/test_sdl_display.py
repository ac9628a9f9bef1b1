"""The unit's own screen, as a real window on a real X server."""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from hw import Display, HardwareError, Scene, Tile
from hw.placing import Area
from hw.sdl_display import SdlDisplay
from tests.hw.x_server import HEIGHT, WIDTH, XServer, x_server

Picture = npt.NDArray[np.uint8]
STEP_TIMEOUT_S = 10.0

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[XServer]:
    with x_server(tmp_path_factory.mktemp("screen")) as running:
        yield running


@pytest.fixture(params=["chip", "processor"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How pictures get there: as with a graphics chip, which Mesa's llvmpipe stands in for, or without one."""
    if request.param == "chip":
        monkeypatch.setenv("SDL_RENDER_DRIVER", "opengl")
    else:
        monkeypatch.delenv("SDL_RENDER_DRIVER", raising=False)
    return str(request.param)


@pytest.fixture
def fullscreen() -> bool:
    return True


@pytest.fixture
def display(server: XServer, way: str, fullscreen: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[SdlDisplay]:
    monkeypatch.setenv("DISPLAY", server.display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    opened = SdlDisplay("The unit", fullscreen=fullscreen)
    yield opened
    opened.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "display"]


def painted(color: tuple[int, int, int], width: int = 320, height: int = 240) -> av.VideoFrame:
    return coded(np.full((height, width, 3), color, np.uint8))


def coded(
    pixels: Picture, colorspace: Colorspace = Colorspace.ITU601, color_range: ColorRange = ColorRange.MPEG
) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    frame.color_range = ColorRange.JPEG
    return VideoReformatter().reformat(
        frame, format="yuv420p", dst_colorspace=colorspace, dst_color_range=color_range, interpolation="AREA"
    )


def stripes(width: int, height: int) -> av.VideoFrame:
    """Red, green, blue and white, each a quarter of the width."""
    pixels = np.empty((height, width, 3), np.uint8)
    for number, color in enumerate((RED, GREEN, BLUE, WHITE)):
        pixels[:, number * width // 4 : (number + 1) * width // 4] = color
    return coded(pixels)


def is_like(pixel: npt.NDArray[np.uint8], color: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixel.astype(int) - color).max() < 40)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + STEP_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, "it never comes"
        time.sleep(0.02)


def shows(server: XServer, condition: Callable[[Picture], bool]) -> None:
    """Waits until it is true of the whole screen."""
    wait_for(lambda: condition(server.picture()))


def shows_exactly(server: XServer, color: tuple[int, int, int]) -> None:
    """In each pixel, but for how YUV is rounded."""
    shows(server, lambda screen: bool(np.abs(screen.astype(int) - color).max() <= 5))


def shows_all(server: XServer, color: tuple[int, int, int]) -> None:
    shows_at(server, {(y, x): color for y in (2, HEIGHT // 2, HEIGHT - 3) for x in (2, WIDTH // 2, WIDTH - 3)})


def shows_at(server: XServer, colors: dict[tuple[int, int], tuple[int, int, int]]) -> None:
    """By (y, x), all in one picture: one taken while the server draws has the old one's lower lines."""
    shows(server, lambda screen: all(is_like(screen[place], color) for place, color in colors.items()))


def was_told(sizes: list[tuple[int, int]], size: tuple[int, int]) -> bool:
    return sizes[-1] == size


def start(display: Display) -> list[tuple[int, int]]:
    sizes: list[tuple[int, int]] = []
    display.start(lambda width, height: sizes.append((width, height)), lambda error: pytest.fail(str(error)))
    return sizes


def test_tiles_stand_in_their_places(server: XServer, display: SdlDisplay) -> None:
    assert start(display)[0] == (WIDTH, HEIGHT)
    half = WIDTH // 2
    display.show(
        Scene(
            (
                Tile("a", painted(RED), 0, 0, half, HEIGHT, crop=True),
                Tile("b", painted(BLUE), half, 0, half, HEIGHT, is_marked=True),
            )
        )
    )
    shows_at(
        server,
        {
            (HEIGHT // 2, half + half // 2): BLUE,
            (2, half // 2): RED,  # cut to fill its place
            (60, half + half // 2): (0, 0, 0),  # whole: bars above and below
            (HEIGHT // 2, WIDTH - 1): (88, 190, 120),  # who speaks
        },
    )
    display.show(Scene((Tile("a", painted(GREEN), 0, 0, WIDTH, HEIGHT, crop=True),)))
    shows_all(server, GREEN)


def test_a_picture_of_another_size_takes_the_place(server: XServer, display: SdlDisplay) -> None:
    start(display)
    for size, color in (((320, 240), RED), ((640, 362), GREEN), ((160, 90), BLUE)):
        display.show(Scene((Tile("a", painted(color, *size), 0, 0, WIDTH, HEIGHT, crop=True),)))
        shows_all(server, color)


def test_words_are_seen(server: XServer, display: SdlDisplay) -> None:
    start(display)
    display.show(Scene(title="12:34", subtitle="Front door"))

    def is_written(screen: Picture) -> bool:
        lines = np.flatnonzero((screen > 200).any(axis=(1, 2)))
        return bool((screen > 200).sum() > 3000 and lines.max() - lines.min() > HEIGHT // 8)

    shows(server, is_written)
    display.show(Scene())
    shows(server, lambda screen: not screen.any())
    display.show(Scene((Tile("a", None, 0, 0, WIDTH, HEIGHT, label="Anna"),)))
    shows(server, lambda screen: bool((screen > 200).any()) and is_like(screen[5, 5], (38, 38, 42)))


def test_it_can_be_opened_again_and_again(server: XServer, display: SdlDisplay) -> None:
    for color in (RED, GREEN, BLUE):
        start(display)
        display.show(Scene((Tile("a", painted(color), 0, 0, WIDTH, HEIGHT, crop=True),)))
        shows_all(server, color)
        display.close()


@pytest.mark.parametrize(
    ("driver", "words"),
    [("", "by the processor: .*llvmpipe"), ("opengl", "drawn by opengl"), ("software", "by the processor: no OpenGL")],
)
def test_opengl_without_a_chip_is_left_alone_unless_wanted(
    server: XServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, driver: str, words: str
) -> None:
    monkeypatch.setenv("DISPLAY", server.display)
    monkeypatch.delenv("SDL_RENDER_DRIVER", raising=False)
    if driver:
        monkeypatch.setenv("SDL_RENDER_DRIVER", driver)
    display = SdlDisplay()
    with caplog.at_level(logging.INFO, "hw.sdl_painter"):
        start(display)
    display.close()
    assert re.search(words, caplog.text)


@pytest.mark.parametrize(
    ("colorspace", "color_range"),
    [
        (Colorspace.ITU601, ColorRange.MPEG),
        (Colorspace.ITU709, ColorRange.MPEG),
        (Colorspace.ITU601, ColorRange.JPEG),
    ],
)
def test_colors_are_those_the_picture_was_coded_from(
    server: XServer, display: SdlDisplay, colorspace: Colorspace, color_range: ColorRange
) -> None:
    start(display)
    for color in ((60, 160, 90), (16, 16, 16), (235, 235, 235), (200, 60, 40)):
        frame = coded(np.full((240, 320, 3), color, np.uint8), colorspace, color_range)
        display.show(Scene((Tile("a", frame, 0, 0, WIDTH, HEIGHT, crop=True),)))
        shows_exactly(server, color)


@pytest.mark.parametrize("size", [(320, 240), (1280, 720), (642, 362), (1920, 1080), (96, 160)])
@pytest.mark.parametrize("crop", [True, False])
def test_a_picture_of_any_size_stands_where_it_belongs(
    server: XServer, display: SdlDisplay, size: tuple[int, int], crop: bool
) -> None:
    start(display)
    place = Area(211, 100, 517, 401)
    display.show(Scene((Tile("a", stripes(*size), place.x, place.y, place.width, place.height, crop=crop),)))
    scale = (max if crop else min)(place.width / size[0], place.height / size[1])
    middle_x, middle_y = place.x + place.width / 2, place.y + place.height / 2
    shown_width, shown_height = min(place.width, size[0] * scale), min(place.height, size[1] * scale)
    left, right = math.ceil(middle_x - shown_width / 2), math.floor(middle_x + shown_width / 2)
    top, bottom = math.ceil(middle_y - shown_height / 2), math.floor(middle_y + shown_height / 2)
    colors: dict[tuple[int, int], tuple[int, int, int]] = {}
    near = math.ceil(2 * scale) + 2  # of an edge, where colors run into each other
    for number, color in enumerate((RED, GREEN, BLUE, WHITE)):
        begin = middle_x + (number - 2) * size[0] * scale / 4
        for x in (math.ceil(begin) + near, math.floor(begin + size[0] * scale / 4) - near):
            if left < x < right:
                colors |= {(y, x): color for y in (top + 1, round(middle_y), bottom - 2)}
    for x, y in ((left - 2, top), (right + 2, top), (left, top - 2), (left, bottom + 2)):
        colors[y, x] = (0, 0, 0)
    assert len(colors) > 10
    shows_at(server, colors)


def test_one_of_four_changes_and_the_others_stay(server: XServer, display: SdlDisplay) -> None:
    """Each with a label, which looks the same however often it is drawn."""
    start(display)
    width, height = WIDTH // 2, HEIGHT // 2
    places = [(0, 0), (width, 0), (0, height), (width, height)]

    def scene(colors: list[tuple[int, int, int]]) -> Scene:
        tiles = zip("abcd", places, colors, strict=True)
        return Scene(
            tuple(Tile(key, painted(color), x, y, width, height, label=key * 9) for key, (x, y), color in tiles)
        )

    colors = [RED, GREEN, BLUE, RED]

    def middles() -> dict[tuple[int, int], tuple[int, int, int]]:
        return {(y + height // 2, x + width // 2): color for (x, y), color in zip(places, colors, strict=True)}

    first = scene(colors)
    display.show(first)
    shows_at(server, middles())
    whole = server.picture()
    for color in (GREEN, BLUE, GREEN, BLUE, RED):
        colors[3] = color
        display.show(Scene((*first.tiles[:3], scene(colors).tiles[3])))
        shows_at(server, middles())
    shows(server, lambda screen: np.array_equal(screen, whole))
    display.show(Scene((*first.tiles[:3], Tile("d", None, *places[3], width, height))))
    shows_at(server, {(HEIGHT - 5, WIDTH - 5): (38, 38, 42), (5, 5): (0, 0, 0), (height // 2, width // 2): RED})


@pytest.mark.parametrize("fullscreen", [False])
def test_a_window_of_another_size(server: XServer, display: SdlDisplay) -> None:
    sizes = start(display)
    assert sizes == [(960, 540)]
    frame = painted(RED)
    display.show(Scene((Tile("a", frame, 0, 0, 960, 540, crop=True),)))
    shows_at(server, {(HEIGHT // 2, WIDTH // 3): RED})  # beside the cursor
    for width, height in ((640, 400), (1200, 700)):
        server.resize_windows(width, height)
        wait_for(partial(was_told, sizes, (width, height)))
        display.show(Scene((Tile("a", frame, 0, 0, width, height, crop=True),)))
        shows_at(server, {(0, 0): RED, (height - 1, width - 1): RED, (height, width): (0, 0, 0)})


def test_what_was_hidden_is_drawn_again(server: XServer, display: SdlDisplay) -> None:
    start(display)
    display.show(Scene((Tile("a", painted(BLUE), 0, 0, WIDTH, HEIGHT, crop=True),)))
    shows_all(server, BLUE)
    server.hide_windows()
    shows_all(server, BLUE)


def test_a_unit_without_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    if any(path.read_text().strip() == "connected" for path in Path("/sys/class/drm").glob("card*-*/status")):
        pytest.skip("this machine has a screen")
    for display in (SdlDisplay(), SdlDisplay(looks_first=False)):
        with pytest.raises(HardwareError, match="screen"):
            start(display)
        display.close()
