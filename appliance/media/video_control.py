"""Which leg takes which layer, and what each encoder aims at. Pure.

LegControl of each leg --> LayerChoice --> the slowest leg of each encoding --> Ladder --> Aim of its encoder
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import get_args

from appliance.media.frames import Layer, VideoCodec
from appliance.media.ladder import Ladder, Rung
from appliance.media.layer_choice import LayerChoice, LegView
from appliance.media.send_control import LegControl
from appliance.media.video_settings import LOW_MIN_BPS, VideoSettings, layer_settings, leg_bps, video_bps

Encoding = tuple[VideoCodec, Layer]
ENCODINGS: tuple[Encoding, ...] = tuple(product(get_args(VideoCodec), get_args(Layer)))


@dataclass(frozen=True, slots=True)
class Aim:
    """`paced`: the rate of the rung holds; else whatever the camera delivers."""

    rung: Rung
    bitrate_bps: int
    paced: bool


class VideoControl:
    """Of one source. `strain`: how many rungs the machine is to be spared."""

    def __init__(self, settings: VideoSettings) -> None:
        self.strain = 0
        self._choice = LayerChoice()
        self.change(settings)

    def change(self, settings: VideoSettings) -> None:
        self._settings = settings
        self._layers = {layer: layer_settings(settings, layer) for layer in get_args(Layer)}
        self._ladders = {encoding: Ladder(self._layers[encoding[1]].rungs) for encoding in ENCODINGS}
        self._bps: dict[Encoding, int] = {}

    def new_leg(self) -> LegControl:
        high = self._layers["high"]
        least_bps = min(LOW_MIN_BPS, high.min_bps)
        return LegControl(leg_bps(least_bps), leg_bps(high.start_bps), leg_bps(high.max_bps))

    def choose(self, legs: Mapping[Hashable, LegView], now_s: float) -> Mapping[Hashable, Layer]:
        """The layer of each leg. Called some times a second."""
        if not self._settings.low_layer:
            return dict.fromkeys(legs, "high")
        return self._choice.choose(legs, now_s)

    def restart_bps(self, leg: Hashable, codec: VideoCodec, now_s: float) -> int | None:
        """What a leg that is tried on the high layer from now on is to be given; None: it is not."""
        if not self._choice.starts_trial(leg, now_s):
            return None
        return leg_bps(self._bps.get((codec, "high"), self._layers["high"].start_bps))

    def aim(self, encoding: Encoding, targets: Iterable[tuple[Hashable, float]], now_s: float) -> Aim:
        """For these legs with their targets in bit/s; one on trial does not count while there are others."""
        layer = self._layers[encoding[1]]
        counted = [target for leg, target in targets if not self._choice.is_tried(leg)]
        slowest_bps = video_bps(min(counted)) if counted else self._bps.get(encoding, layer.start_bps)
        bitrate_bps = round(max(layer.min_bps, min(layer.max_bps, slowest_bps)))
        self._bps[encoding] = bitrate_bps
        rung = self._ladders[encoding].step(bitrate_bps, self.strain, now_s)
        return Aim(rung, bitrate_bps, paced=rung.fps < self._settings.fps)

    def start(self, encoding: Encoding) -> Aim:
        """Of an encoder that begins: at the best rung that its bit rate is good for."""
        layer = self._layers[encoding[1]]
        self._ladders[encoding] = Ladder(layer.rungs)
        self._bps.pop(encoding, None)
        rung = layer.rungs[0]
        return Aim(rung, layer.start_bps, paced=rung.fps < self._settings.fps)
