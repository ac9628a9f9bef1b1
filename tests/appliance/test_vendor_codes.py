"""Vendors' codes beside ours."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from appliance.errors import RoomFullError, RtcErrorCode, TokenExpiredError, TokenInvalidError, TokenMissingError
from appliance.room.events import RtcErrorInfo, StreamErrorCode
from appliance.vendor_codes import VENDOR_CODES, vendor_codes

OURS = {*RtcErrorCode, *StreamErrorCode}


def test_every_entry_is_of_a_code_of_ours() -> None:
    assert set(VENDOR_CODES) <= OURS
    assert vendor_codes("something-new") == ()


@pytest.mark.parametrize(
    ("code", "vendor", "theirs"),
    [
        (TokenInvalidError.default_code, "qnrtc", 10001),
        (TokenInvalidError.default_code, "nertc", 414),
        (TokenInvalidError.default_code, "spark", 90100031),
        (TokenExpiredError.default_code, "qnrtc", 10002),
        (TokenExpiredError.default_code, "spark", 90100030),
        (TokenMissingError.default_code, "nertc", 403),
        (RoomFullError.default_code, "qnrtc", 10011),
        (RtcErrorCode.KICKED, "qnrtc", 10022),
        (RtcErrorCode.RECONNECT_TIMEOUT, "qnrtc", 21003),
        (RtcErrorCode.RECONNECT_TIMEOUT, "qnrtc", 10007),
        (RtcErrorCode.RECONNECT_TIMEOUT, "nertc", "SOCKET_ERROR"),
        (RtcErrorCode.RECONNECT_TIMEOUT, "trtc", 0x4006),
        (StreamErrorCode.PLAYBACK_NOT_ALLOWED, "trtc", 0x4043),
        (StreamErrorCode.DEVICE_AUTO_RECOVER_FAILED, "trtc", 0x4044),
    ],
)
def test_what_the_reasons_say(code: str, vendor: str, theirs: int | str) -> None:  # T3-R
    assert (vendor, theirs) in vendor_codes(code)


def test_they_go_with_the_error_raised_or_told() -> None:
    error = RoomFullError("full")
    info = RtcErrorInfo(error.code, error.code.name, error.message)
    assert error.vendor_codes == info.vendor_codes == (("qnrtc", 10011),)
    assert asdict(info)["vendor_codes"] == (("qnrtc", 10011),)
