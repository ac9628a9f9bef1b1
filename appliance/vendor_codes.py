"""What five vendors call our errors: informational, beside our own code, never instead of it (X10).

Their code spaces collide (10001 is a wrong token here and a wrong browser there), so a number is nothing without its
vendor: TRTC's and NERTC's are those of their type declarations, Spark's, QNRTC's and RTM's of their error tables
(capabilities T3-R, D25 to D69). A name stands where a vendor has no number.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Vendor = Literal["trtc", "nertc", "spark", "qnrtc", "rtm"]


class VendorCode(NamedTuple):
    vendor: Vendor
    code: int | str


def _codes(**codes: int | str | tuple[int | str, ...]) -> tuple[VendorCode, ...]:
    each = ((vendor, given if isinstance(given, tuple) else (given,)) for vendor, given in codes.items())
    return tuple(VendorCode(vendor, code) for vendor, given in each for code in given)  # type: ignore[arg-type]


# By the values of RtcErrorCode and of StreamErrorCode.
VENDOR_CODES: dict[str, tuple[VendorCode, ...]] = {
    "already-joined": _codes(nertc=10101, spark=90100001, qnrtc=21002, rtm=7),
    "api-order": _codes(nertc=10009),
    "banned": _codes(trtc=0x4040, nertc=30206, rtm="BANNED_BY_SERVER"),
    "device-auto-recover-failed": _codes(trtc=0x4044),
    "duplicate-user": _codes(nertc=30209, qnrtc=10022),
    "empty-stream": _codes(nertc=10350),
    "internal": _codes(trtc=0xFFFF, nertc=10099, spark=90000001, qnrtc=21005, rtm=1),
    "invalid-argument": _codes(trtc=0x1000, nertc=10000, spark=90000005, qnrtc=10053, rtm=2),
    "invalid-state": _codes(trtc=0x1001, nertc=10008, spark=90100001, qnrtc=21002),
    "invitation-ended": _codes(rtm=3),
    "join-cancelled": _codes(rtm=10),
    "join-failed": _codes(trtc=0x4004, nertc=10100),
    "join-timeout": _codes(trtc=0x404B, nertc="timeout", spark=90000004, rtm=8),
    "kicked": _codes(trtc=0x4040, nertc=30206, qnrtc=10022, rtm="REMOTE_LOGIN"),
    "media-lost": _codes(trtc=(0x4007, 0x4008), nertc=30204, spark=90100026),
    "media-timeout": _codes(trtc=0x4042),
    "not-joined": _codes(trtc=0x1001, nertc=10104, spark=90100001, qnrtc=21002),
    "not-logged-in": _codes(rtm=102),
    "playback-not-allowed": _codes(trtc=0x4043, qnrtc=21007),
    "rate-limit": _codes(rtm=5),
    "reconnect-timeout": _codes(trtc=0x4006, nertc=("RELOGIN_ERROR", "SOCKET_ERROR"), qnrtc=(10007, 21003)),
    "reconnecting": _codes(nertc=10020),
    "role": _codes(nertc=10351, qnrtc=10051),
    "room-full": _codes(qnrtc=10011),
    "service-unavailable": _codes(trtc=0x4001, nertc=10002, spark=90100008),
    "stream-not-found": _codes(trtc=0x4010),
    "task-exists": _codes(nertc=1403),
    "task-limit": _codes(nertc=1402),
    "task-not-found": _codes(nertc=1404),
    "token-expired": _codes(spark=90100030, qnrtc=10002, rtm=5),
    "token-invalid": _codes(nertc=414, spark=90100031, qnrtc=10001, rtm=4),
    "token-missing": _codes(nertc=403),
}


def vendor_codes(code: str) -> tuple[VendorCode, ...]:
    """Empty where no vendor has an equivalent."""
    return VENDOR_CODES.get(code, ())
