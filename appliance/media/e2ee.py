"""Frame encryption from sender to receiver: who carries the packets between them, or knows their SRTP keys, learns
nothing of sound and pictures. Pure.

aes-128-gcm is LiveKit's frame format:

    clear bytes | AES-128-GCM ciphertext and tag (16) | IV (12) | 0x0C | key index

The clear bytes are authenticated: of Opus 1 (the TOC), of VP8 3 and of a key frame 10, of H.264 all before the first
slice and 2 of that. What follows them in H.264 is one NAL unit, so emulation prevention is applied to it again.

sm4-128-ecb is WEAK, and there for parity with vendors who offer nothing else: equal blocks look equal, and forged or
replayed frames are not found out. Its format is ours:

    clear bytes | SM4-ECB ciphertext of the PKCS #7 padded rest | 0x00 | key index

Both keys: PBKDF2-HMAC-SHA256 of the secret, 100,000 rounds.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7

from appliance.media.rbsp import escape, exp_golomb, unescape
from appliance.media.sps import in_order
from hw.annexb import NAL_IDR, NAL_SLICE, NAL_SPS, START_CODE, kind, nal_units

EncryptionMode = Literal["none", "sm4-128-ecb", "aes-128-gcm"]
ENCRYPTION_MODES: tuple[EncryptionMode, ...] = get_args(EncryptionMode)
Coding = Literal["opus", "vp8", "h264", "message"]  # a message is encrypted whole
Refusal = Literal["forged", "malformed", "replayed"]

MAX_SECRET_BYTES = 128
ROUNDS = 100_000
SALTS = {"aes-128-gcm": b"LKFrameEncryptionKey", "sm4-128-ecb": b"SM4FrameEncryptionKey"}
KEY_INDEX = 0
IV_BYTES, TAG_BYTES = 12, 16
PREFIX_BYTES = 8  # of an IV: random, new for each stream of each call, so that no IV comes twice with a key
WINDOW = 1024  # frames: audio that overtakes, pictures that were sent again
MAX_PREFIXES = 8  # of one track at a time: one a layer, and those of a sender that began anew
MAX_FLOORS = 256
_BLOCK_BYTES = 16


class FrameRefusedError(ValueError):
    """A frame that must not be decoded. `refusal`: its tag is wrong, it is none of this format, or it came before."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class FrameKey:
    """Of a room and its time. The key itself shows nowhere."""

    mode: EncryptionMode
    key: bytes = field(repr=False)

    def fingerprint(self, room_id: str) -> str:
        """What a hub compares at join: the same only for the same mode, secret and room, and no help with the frames.

        Who wants the secret has to try secrets, with 100,000 rounds each, as with a frame.
        """
        said = f"room-appliance {self.mode} {room_id}".encode()
        return hmac.new(self.key, said, hashlib.sha256).hexdigest()[:32]


def derive_key(mode: EncryptionMode, secret: bytes) -> FrameKey:
    """Takes tenths of a second: not for the event loop. `mode` is not none."""
    return FrameKey(mode, hashlib.pbkdf2_hmac("sha256", secret, SALTS[mode], ROUNDS, 16))


# --- what stays clear


def clear_bytes(coding: Coding, data: bytes) -> int:
    """How many bytes of this frame, encrypted or not, are in the clear. ValueError where it is too short for any."""
    if coding == "h264":
        return _first_slice(data) + 2
    clear = 0 if coding == "message" else 1 if coding == "opus" else 3 if data and data[0] & 1 else 10
    if len(data) < clear:
        raise ValueError(f"{len(data)} bytes are no frame of {coding}")
    return clear


def _first_slice(annex_b: bytes) -> int:
    """Where the NAL unit of the first slice begins."""
    at = annex_b.find(b"\x00\x00\x01")
    while at != -1:
        at += 3
        if at + 2 <= len(annex_b) and NAL_SLICE <= annex_b[at] & 0x1F <= NAL_IDR:
            return at
        at = annex_b.find(b"\x00\x00\x01", at)
    raise ValueError("an access unit without a slice")


def _as_it_arrives(annex_b: bytes) -> bytes:
    """Up to the first slice, which is authenticated: RTP does not carry start codes, and receivers put long ones back;
    browsers write into an SPS.
    """
    first = _first_slice(annex_b)
    before = b"".join(START_CODE + _left_alone(unit) for unit in nal_units(annex_b[: first - 3]))
    return before + START_CODE + annex_b[first:]


def _left_alone(unit: bytes) -> bytes:
    if kind(unit) == NAL_SPS:
        with suppress(ValueError):
            return in_order(unit)
    return unit


def sealed_nal_units(sealed: bytes) -> tuple[bytes, ...]:
    """Of an encrypted access unit. Its last NAL unit may end in a zero, which `nal_units` would not keep."""
    first = _first_slice(sealed)
    return (*nal_units(sealed[: first - 3]), sealed[first:])


# --- encrypting


class FrameEncryptor(Protocol):
    """Of one stream of one sender: one codec, one layer. Any thread."""

    def seal(self, coding: Coding, data: bytes) -> bytes:
        """The encrypted frame. ValueError for what is no frame of this coding."""


def make_encryptor(key: FrameKey) -> FrameEncryptor:
    return GcmEncryptor(key) if key.mode == "aes-128-gcm" else EcbEncryptor(key)


class GcmEncryptor:
    """IV: 8 random bytes of this object, then a counter."""

    def __init__(self, key: FrameKey) -> None:
        self._gcm = AESGCM(key.key)
        self._block = Cipher(algorithms.AES(key.key), modes.ECB()).encryptor()
        self._lock = threading.Lock()
        self._prefix = os.urandom(PREFIX_BYTES)
        self._counter = 0

    def seal(self, coding: Coding, data: bytes) -> bytes:
        if coding == "h264":
            data = _as_it_arrives(data)
        clear = clear_bytes(coding, data)
        head, rest = data[:clear], data[clear:]
        iv = self._next_iv(_told_bits(head, rest) if coding == "h264" else 0)
        body = self._gcm.encrypt(iv, rest, head) + iv + bytes([IV_BYTES, KEY_INDEX])
        return head + (escape(body) if coding == "h264" else body)

    def _next_iv(self, mask: int) -> bytes:
        with self._lock:
            while True:
                self._counter += 1
                if self._counter >> 32:
                    self._prefix, self._counter = os.urandom(PREFIX_BYTES), 1
                iv = self._prefix + self._counter.to_bytes(IV_BYTES - PREFIX_BYTES, "big")
                if not mask or self._keeps(iv, mask):
                    return iv

    def _keeps(self, iv: bytes, mask: int) -> bool:
        """Whether the first byte of the ciphertext has the bits of `mask` as they are in the plain text."""
        return not self._block.update(iv + b"\x00\x00\x00\x02")[0] & mask


def _told_bits(head: bytes, rest: bytes) -> int:
    """The bits of the first byte of `rest` that belong to the slice's pic_parameter_set_id.

    Chromium reads that number off the encrypted slice and drops a key frame whose number it does not know. x264's
    I slices have it there, one bit beyond the clear bytes. So an IV is taken that leaves these bits as they are: every
    second one does.
    """
    try:
        bit = 0
        for _ in range(3):  # first_mb_in_slice, slice_type, pic_parameter_set_id
            _, bit = exp_golomb(head[-1:] + rest[:1], bit)
    except ValueError:
        return 0
    return 0xFF & ~(0xFF >> max(0, bit - 8))


class EcbEncryptor:
    """WEAK: see above."""

    def __init__(self, key: FrameKey) -> None:
        self._cipher = Cipher(algorithms.SM4(key.key), modes.ECB())

    def seal(self, coding: Coding, data: bytes) -> bytes:
        if coding == "h264":
            data = _as_it_arrives(data)
        clear = clear_bytes(coding, data)
        padder = PKCS7(8 * _BLOCK_BYTES).padder()
        padded = padder.update(data[clear:]) + padder.finalize()
        body = self._cipher.encryptor().update(padded) + bytes([0, KEY_INDEX])
        return data[:clear] + (escape(body) if coding == "h264" else body)


# --- decrypting


class ReplayWindow:
    """Which counters of which IV prefixes have been taken. `floors`: by prefix, what was taken elsewhere up to now."""

    def __init__(self, floors: Mapping[bytes, int] | None = None) -> None:
        self._floors = dict(floors or {})
        self._taken: dict[bytes, tuple[int, int]] = {}  # highest, and a bit for each of the WINDOW below it

    def is_new(self, iv: bytes) -> bool:
        prefix, counter = _parts(iv)
        if counter <= self._floors.get(prefix, 0):
            return False
        highest, bits = self._taken.get(prefix, (0, 0))
        age = highest - counter
        return age < 0 or (age < WINDOW and not bits >> age & 1)

    def take(self, iv: bytes) -> None:
        """Of a frame that is new, and is what its sender made."""
        prefix, counter = _parts(iv)
        highest, bits = self._taken.pop(prefix, (0, 0))
        ahead = counter - highest
        if ahead > 0:
            highest, bits = counter, (bits << ahead if ahead < WINDOW else 0) | 1
        else:
            bits |= 1 << -ahead
        self._taken[prefix] = highest, bits & ((1 << WINDOW) - 1)
        if len(self._taken) > MAX_PREFIXES:
            oldest = next(iter(self._taken))
            del self._taken[oldest]
            self._floors[oldest] = 1 << 32  # nothing more of it
            if len(self._floors) > MAX_FLOORS:
                del self._floors[next(iter(self._floors))]

    def floors(self) -> dict[bytes, int]:
        """For the window of another leg from the same sender: what this one has taken must not come again there."""
        return self._floors | {prefix: highest for prefix, (highest, _) in self._taken.items()}


def _parts(iv: bytes) -> tuple[bytes, int]:
    return iv[:PREFIX_BYTES], int.from_bytes(iv[PREFIX_BYTES:], "big")


class FrameDecryptor:
    """Of one received track, or of one peer's messages. `opened` and `refused` count frames. One thread at a time."""

    def __init__(self, key: FrameKey, floors: Mapping[bytes, int] | None = None) -> None:
        self.opened = 0
        self.refused: Counter[Refusal] = Counter()
        self.window = ReplayWindow(floors)
        self._gcm = AESGCM(key.key) if key.mode == "aes-128-gcm" else None
        self._sm4 = Cipher(algorithms.SM4(key.key), modes.ECB()) if key.mode == "sm4-128-ecb" else None

    def open(self, coding: Coding, sealed: bytes) -> bytes:
        """The frame as it was before `seal`. Raises `FrameRefusedError`, and counts it."""
        try:
            frame = self._open(coding, sealed)
        except FrameRefusedError as exc:
            self.refused[exc.refusal] += 1
            raise
        self.opened += 1
        return frame

    def _open(self, coding: Coding, sealed: bytes) -> bytes:
        try:
            clear = clear_bytes(coding, sealed)
        except ValueError as exc:
            raise FrameRefusedError("malformed", str(exc)) from exc
        head, body = sealed[:clear], sealed[clear:]
        if coding == "h264":
            body = unescape(body)
        return head + (self._open_gcm(head, body) if self._gcm is not None else self._open_ecb(body))

    def _open_gcm(self, head: bytes, body: bytes) -> bytes:
        assert self._gcm is not None
        if len(body) < TAG_BYTES + IV_BYTES + 2 or body[-2:] != bytes([IV_BYTES, KEY_INDEX]):
            raise FrameRefusedError("malformed", "it does not end as an encrypted frame does")
        iv = body[-2 - IV_BYTES : -2]
        if not self.window.is_new(iv):
            raise FrameRefusedError("replayed", "it came before")
        try:
            plain = self._gcm.decrypt(iv, body[: -2 - IV_BYTES], head)
        except InvalidTag as exc:
            raise FrameRefusedError("forged", "its tag is wrong: forged, damaged or of another key") from exc
        self.window.take(iv)
        return plain

    def _open_ecb(self, body: bytes) -> bytes:
        assert self._sm4 is not None
        if len(body) < _BLOCK_BYTES + 2 or len(body) % _BLOCK_BYTES != 2 or body[-2:] != bytes([0, KEY_INDEX]):
            raise FrameRefusedError("malformed", "it does not end as an encrypted frame does")
        unpadder = PKCS7(8 * _BLOCK_BYTES).unpadder()
        try:
            return unpadder.update(self._sm4.decryptor().update(body[:-2])) + unpadder.finalize()
        except ValueError as exc:
            raise FrameRefusedError("forged", "its padding is wrong: damaged or of another key") from exc
