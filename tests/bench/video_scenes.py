"""What the video assembler makes of bad links, on a virtual clock: `python -m tests.bench.video_scenes`.

To tune with: a minute of each scene takes a second or two, and the same seed gives the same figures on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from tests.appliance.media.video_scene import Link, Scene, Source

SECONDS = 60.0
SEEDS = (1, 2, 3)
BURSTS_S = tuple((second + 0.013, second + 0.213) for second in range(2, int(SECONDS), 5))
CHROMIUM = Source(resend_spacing_s=0.05)  # sends a packet again once a round trip

SCENES: dict[str, tuple[Link, Source]] = {
    **{f"{percent} % loss": (Link(loss=percent / 100), Source()) for percent in (0, 1, 2, 3, 5, 10)},
    "1 % loss, Chromium sends": (Link(loss=0.01), CHROMIUM),
    "5 % loss, Chromium sends": (Link(loss=0.05), CHROMIUM),
    "5 % loss, small pictures": (Link(loss=0.05), Source(packets=1)),
    "5 % loss, large pictures": (Link(loss=0.05), Source(packets=20)),
    "5 % loss, packets 4 ms apart": (Link(loss=0.05), Source(pace_s=0.004)),
    "5 % loss, 15 fps": (Link(loss=0.05), Source(packets=3, fps=15)),
    "5 % loss, no RTX": (Link(loss=0.05), Source(rtx=False)),
    "bursts of 200 ms": (Link(bursts=BURSTS_S), Source()),
    "bursts of 200 ms, 2 % loss": (Link(bursts=BURSTS_S, loss=0.02), Source()),
    "reordering within 10 ms": (Link(jitter_s=0.010), Source()),
    "reordering within 30 ms, 2 % loss": (Link(jitter_s=0.030, loss=0.02), Source()),
    "jitter of 30 ms, 2 % loss": (Link(spread_s=0.030, loss=0.02), Source()),
    "a fifth doubled, 2 % loss": (Link(duplicates=0.2, loss=0.02), Source()),
    "LAN, 1 % loss": (Link(delay_s=0.001, loss=0.01), Source()),
    "RTT 200 ms, 2 % loss": (Link(delay_s=0.1, loss=0.02), Source()),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over the seeds, the longest gap of all. `resent`: by packets sent."""

    freezes: float  # over 150 ms, a minute
    p50_ms: float  # from the capture of a picture to the decoder
    p95_ms: float
    longest_gap_ms: float
    resent: float
    plis: float  # a minute


def play(link: Link, source: Source) -> Figures:
    shown = [Scene(link, source, seed=seed).play(SECONDS) for seed in SEEDS]
    return Figures(
        freezes=fmean(each.freezes() for each in shown) * 60 / SECONDS,
        p50_ms=fmean(each.percentile_ms(0.5) for each in shown),
        p95_ms=fmean(each.percentile_ms(0.95) for each in shown),
        longest_gap_ms=1000 * max(max(each.gaps_s()) for each in shown),
        resent=fmean(each.resent_packets / each.sent_packets for each in shown),
        plis=fmean(each.plis for each in shown) * 60 / SECONDS,
    )


def main() -> None:
    print(f"{'scene':36}  freezes/min  p50 ms  p95 ms  longest gap ms  resent  PLI/min")
    for name, (link, source) in SCENES.items():
        it = play(link, source)
        row = f"{it.freezes:11.2f}  {it.p50_ms:6.0f}  {it.p95_ms:6.0f}  {it.longest_gap_ms:14.0f}"
        print(f"{name:36}  {row}  {it.resent:6.3f}  {it.plis:7.1f}", flush=True)


if __name__ == "__main__":
    main()
