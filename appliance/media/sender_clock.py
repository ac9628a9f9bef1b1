"""RTP timestamps on the sender's clock and on ours, by what its reports say (RFC 3550 section 6.4.1). Pure."""

from __future__ import annotations

from collections import deque

REPORTS = 30  # that the difference of the clocks is taken from: half a minute and more
MAX_STEP_S = 60.0  # between a report and a timestamp: more is another stream


class RtpClock:
    """Of one stream."""

    def __init__(self, clock_hz: int) -> None:
        self._clock_hz = clock_hz
        self._ntp_s: float | None = None
        self._timestamp = 0

    def report(self, ntp_s: float, timestamp: int) -> None:
        """What a sender report says: the stream's `timestamp` is that of `ntp_s`."""
        self._ntp_s, self._timestamp = ntp_s, timestamp

    def ntp_s(self, timestamp: int) -> float | None:
        """The sender's time of a sample or picture; None before the first report."""
        if self._ntp_s is None:
            return None
        step = (timestamp - self._timestamp + 0x80000000) % 0x100000000 - 0x80000000
        step_s = step / self._clock_hz
        return self._ntp_s + step_s if abs(step_s) < MAX_STEP_S else None


class SenderClock:
    """The sender's clock against ours. Good to some ms where reports are sent with their time, as most senders do."""

    def __init__(self) -> None:
        self._ahead_s: deque[float] = deque(maxlen=REPORTS)

    def report(self, ntp_s: float, arrived_s: float, rtt_s: float) -> None:
        self._ahead_s.append(arrived_s - rtt_s / 2 - ntp_s)

    def local_s(self, ntp_s: float) -> float | None:
        """The quickest report tells most."""
        return ntp_s + min(self._ahead_s) if self._ahead_s else None
