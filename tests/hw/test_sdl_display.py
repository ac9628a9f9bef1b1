"""The unit's own screen, as a real window on a real X server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from hw import Display, HardwareError, Scene, Tile
from hw.sdl_display import SdlDisplay
from tests.hw.x_server import HEIGHT, WIDTH, XServer, x_server

Picture = npt.NDArray[np.uint8]
STEP_TIMEOUT_S = 10.0

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[XServer]:
    with x_server(tmp_path_factory.mktemp("screen")) as running:
        yield running


@pytest.fixture
def display(server: XServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[SdlDisplay]:
    monkeypatch.setenv("DISPLAY", server.display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    opened = SdlDisplay("The unit", fullscreen=True)
    yield opened
    opened.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "display"]


def painted(color: tuple[int, int, int], width: int = 320, height: int = 240) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.full((height, width, 3), color, np.uint8), format="rgb24").reformat(
        format="yuv420p"
    )


def is_like(pixel: npt.NDArray[np.uint8], color: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixel.astype(int) - color).max() < 40)


def shows(server: XServer, condition: Callable[[Picture], bool]) -> None:
    """Waits until it is true of the whole screen."""
    deadline_s = time.monotonic() + STEP_TIMEOUT_S
    while not condition(server.picture()):
        assert time.monotonic() < deadline_s, "the screen never shows it"
        time.sleep(0.02)


def shows_all(server: XServer, color: tuple[int, int, int]) -> None:
    shows_at(server, {(y, x): color for y in (2, HEIGHT // 2, HEIGHT - 3) for x in (2, WIDTH // 2, WIDTH - 3)})


def shows_at(server: XServer, colors: dict[tuple[int, int], tuple[int, int, int]]) -> None:
    """By (y, x), all in one picture: one taken while the server draws has the old one's lower lines."""
    shows(server, lambda screen: all(is_like(screen[place], color) for place, color in colors.items()))


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


def test_a_unit_without_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    if any(path.read_text().strip() == "connected" for path in Path("/sys/class/drm").glob("card*-*/status")):
        pytest.skip("this machine has a screen")
    for display in (SdlDisplay(), SdlDisplay(looks_first=False)):
        with pytest.raises(HardwareError, match="screen"):
            start(display)
        display.close()
