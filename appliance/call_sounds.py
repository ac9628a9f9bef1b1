"""What each turn of a call sounds like. Pure."""

from __future__ import annotations

from appliance.intercom import CallEnd, CallPhase
from appliance.media.tones import Tone

_IN_VAIN = frozenset(
    {CallEnd.BUSY, CallEnd.DO_NOT_DISTURB, CallEnd.DECLINED, CallEnd.UNREACHABLE, CallEnd.NO_ANSWER, CallEnd.FAILED}
)


def sound_of(before: CallPhase, now: CallPhase, end: CallEnd | None, *, automatic: bool) -> Tone | None:
    """The tone of a phase that follows on `before`; None: silence. `automatic`: nobody pressed the button to answer."""
    match now:
        case CallPhase.RINGING_IN:
            return Tone.RING
        case CallPhase.RINGING_OUT:
            return Tone.RING_BACK
        case CallPhase.IN_CALL:
            return Tone.ANSWERED if automatic else None
    if before is CallPhase.RINGING_OUT and end in _IN_VAIN:
        return Tone.BUSY
    return Tone.END if before is CallPhase.IN_CALL and end is not CallEnd.HUNG_UP else None
