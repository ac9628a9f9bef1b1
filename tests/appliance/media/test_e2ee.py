"""Frame encryption: the format byte by byte, and what is refused."""

from __future__ import annotations

import contextlib
import hashlib

import av
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.e2ee import (
    MAX_PREFIXES,
    WINDOW,
    Coding,
    EncryptionMode,
    FrameDecryptor,
    FrameEncryptor,
    FrameKey,
    FrameRefusedError,
    GcmEncryptor,
    ReplayWindow,
    clear_bytes,
    derive_key,
    make_encryptor,
    sealed_nal_units,
)
from appliance.media.payload import vp8_is_keyframe
from appliance.media.rbsp import exp_golomb, unescape
from hw.annexb import h264_is_keyframe, kind, nal_units
from tests.appliance.media.pictures import code, coded_pictures, decoded, video_decoder

KEY = FrameKey("aes-128-gcm", bytes(range(16)))
SM4_KEY = FrameKey("sm4-128-ecb", bytes(range(16)))
KEYS = pytest.mark.parametrize("key", [KEY, SM4_KEY], ids=lambda key: key.mode)
CODINGS = ("opus", "vp8", "h264", "message")

_bytes = st.one_of(st.binary(max_size=400), st.lists(st.sampled_from([0, 0, 0, 1, 2, 3]), max_size=400).map(bytes))
_frames = st.one_of(
    st.tuples(st.just("opus"), _bytes.map(b"\x78".__add__)),
    st.tuples(st.just("vp8"), _bytes.map(b"\x11\x02\x00".__add__)),
    st.tuples(st.just("vp8"), _bytes.map(b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xf0\x00".__add__)),
    st.tuples(st.just("message"), _bytes),
    st.tuples(st.just("h264"), _bytes.map((b"\0\0\0\1\x67\x42\0\0\0\1\x68\xce\0\0\1\x65\xb8").__add__)),
)


@KEYS
@given(frame=_frames)
def test_a_frame_comes_out_as_it_went_in(key: FrameKey, frame: tuple[Coding, bytes]) -> None:
    coding, data = frame
    sealed = make_encryptor(key).seal(coding, data)
    opened = FrameDecryptor(key).open(coding, sealed)
    if coding == "h264":  # start codes are not carried
        assert list(nal_units(opened + b"\x80")) == list(nal_units(data + b"\x80"))
        assert all(bad not in sealed.replace(b"\0\0\0\1", b"") for bad in (b"\0\0\0", b"\0\0\1", b"\0\0\2"))
    else:
        assert opened == data
        assert sealed[: clear_bytes(coding, data)] == data[: clear_bytes(coding, data)]


@KEYS
@given(coding=st.sampled_from(CODINGS), data=st.one_of(_bytes, _frames.map(lambda frame: frame[1])))
def test_bytes_that_are_no_frame_are_refused_and_counted(key: FrameKey, coding: Coding, data: bytes) -> None:
    decryptor = FrameDecryptor(key)
    with contextlib.suppress(FrameRefusedError):
        decryptor.open(coding, data)
        assert key is SM4_KEY  # it has no tag: about every 256th guess looks right
        decryptor.refused["forged"] += 1
    assert decryptor.refused.total() == 1


def test_the_format_is_liveKits_byte_by_byte() -> None:
    """Opened with nothing of ours: CTR mode and the rule of the format."""
    data = b"\x78" + bytes(range(50))
    sealed = GcmEncryptor(KEY).seal("opus", data)
    assert len(sealed) == len(data) + 16 + 12 + 2
    assert sealed[-2:] == bytes([12, 0])
    iv = sealed[-14:-2]
    counter = Cipher(algorithms.AES(KEY.key), modes.CTR(iv + b"\0\0\0\2")).decryptor()
    assert sealed[:1] + counter.update(sealed[1:-30]) == data
    gcm = Cipher(algorithms.AES(KEY.key), modes.GCM(iv, sealed[-30:-14])).decryptor()
    gcm.authenticate_additional_data(sealed[:1])
    assert gcm.update(sealed[1:-30]) + gcm.finalize() == data[1:]


def test_keys_are_made_of_secrets_as_liveKit_does() -> None:
    key = derive_key("aes-128-gcm", b"correct horse")
    assert key.key == hashlib.pbkdf2_hmac("sha256", b"correct horse", b"LKFrameEncryptionKey", 100_000, 16)
    assert derive_key("sm4-128-ecb", b"correct horse").key != key.key
    assert key.key.hex() not in repr(key)


def test_a_fingerprint_tells_mode_secret_and_room_apart_and_not_the_key() -> None:
    other = FrameKey("aes-128-gcm", bytes(16))
    seen = {key.fingerprint(room) for key in (KEY, SM4_KEY, other) for room in ("lobby", "hall")}
    assert len(seen) == 6
    assert KEY.fingerprint("lobby") == FrameKey("aes-128-gcm", bytes(range(16))).fingerprint("lobby")
    assert KEY.key.hex() not in seen


@KEYS
@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_pictures_keep_what_the_network_needs_and_decode_after_it(key: FrameKey, codec: Coding) -> None:
    encryptor, decryptor = make_encryptor(key), FrameDecryptor(key)
    decoder = video_decoder(codec)
    is_keyframe = h264_is_keyframe if codec == "h264" else vp8_is_keyframe
    codes = []
    for number, data in enumerate(coded_pictures(codec, 5)):
        sealed = encryptor.seal(codec, data)
        assert is_keyframe(sealed) == (number == 0)
        codes += [code(frame) for frame in decoded(codec, decryptor.open(codec, sealed), decoder)]
        assert not _decodes(codec, sealed) or number == 0
    codes += [code(frame) for frame in decoder.decode(None)]
    assert codes == list(range(5))


def _decodes(codec: str, data: bytes) -> bool:
    try:
        return any(code(frame) is not None for frame in decoded(codec, data))
    except av.FFmpegError:
        return False


def test_an_encrypted_key_frame_shows_nothing() -> None:
    for codec in ("h264", "vp8"):
        sealed = make_encryptor(KEY).seal(codec, coded_pictures(codec, 1)[0])
        assert not _decodes(codec, sealed)


def test_the_parameter_set_of_a_slice_can_be_read_off_it() -> None:
    """Chromium drops key frames without it."""
    encryptor = GcmEncryptor(KEY)
    for data in coded_pictures("h264", 40)[:40]:
        for _ in range(5):
            slice_unit = sealed_nal_units(encryptor.seal("h264", data))[-1]
            plain = next(unit for unit in nal_units(data) if kind(unit) in (1, 5))
            assert [_slice_header(slice_unit)] == [_slice_header(plain)]


def _slice_header(unit: bytes) -> list[int]:
    bit, values = 8, []
    for _ in range(3):
        value, bit = exp_golomb(unescape(unit), bit)
        values.append(value)
    return values


def test_the_last_nal_unit_keeps_its_zero() -> None:
    sealed = GcmEncryptor(KEY).seal("h264", coded_pictures("h264", 1)[0])
    units = sealed_nal_units(sealed)
    assert b"".join(b"\0\0\0\1" + unit for unit in units) == sealed
    assert units[-1][-2:] == b"\x0c\x00"


def _sealed(key: FrameKey, count: int = 3) -> tuple[FrameEncryptor, list[bytes]]:
    encryptor = make_encryptor(key)
    return encryptor, [encryptor.seal("opus", b"\x78" + bytes([number]) * 40) for number in range(count)]


@given(st.integers(0, 70), st.integers(1, 255))
def test_a_changed_frame_is_refused_and_the_next_one_opened(at: int, flip: int) -> None:
    encryptor, (good, *_) = _sealed(KEY, 1)
    decryptor = FrameDecryptor(KEY)
    bad = bytearray(good)
    bad[at] ^= flip
    with pytest.raises(FrameRefusedError):
        decryptor.open("opus", bytes(bad))
    assert decryptor.open("opus", good)[0] == 0x78
    assert decryptor.open("opus", encryptor.seal("opus", b"\x78next")) == b"\x78next"
    assert (decryptor.opened, decryptor.refused.total()) == (2, 1)


@pytest.mark.parametrize("mode", ["aes-128-gcm", "sm4-128-ecb"])
def test_truncated_clear_and_foreign_frames_are_refused(mode: EncryptionMode) -> None:
    key = FrameKey(mode, bytes(16))
    _, (good, *_) = _sealed(key, 1)
    decryptor = FrameDecryptor(key)
    for bad in (
        good[:-1],
        good[:20],
        good[:1],
        b"",
        b"\x78 in the clear",
        _sealed(SM4_KEY if mode[0] == "a" else KEY)[1][0],
    ):
        with pytest.raises(FrameRefusedError) as caught:
            decryptor.open("opus", bad)
        assert caught.value.refusal == "malformed"
    assert decryptor.refused == {"malformed": 6}


def test_another_key_opens_nothing() -> None:
    decryptor = FrameDecryptor(FrameKey("aes-128-gcm", bytes(16)))
    for sealed in _sealed(KEY)[1]:
        with pytest.raises(FrameRefusedError, match="forged"):
            decryptor.open("opus", sealed)
    assert decryptor.refused == {"forged": 3}


def test_a_replayed_frame_is_refused_and_one_that_was_overtaken_is_not() -> None:
    _, frames = _sealed(KEY, 4)
    decryptor = FrameDecryptor(KEY)
    for index in (0, 3, 1, 2):
        decryptor.open("opus", frames[index])
    for frame in frames:
        with pytest.raises(FrameRefusedError, match="before"):
            decryptor.open("opus", frame)
    assert decryptor.refused == {"replayed": 4}


def test_a_second_leg_takes_nothing_that_the_first_one_took() -> None:
    encryptor, frames = _sealed(KEY, 3)
    first = FrameDecryptor(KEY)
    for frame in frames[:2]:
        first.open("opus", frame)
    second = FrameDecryptor(KEY, first.window.floors())
    for frame in frames[:2]:
        with pytest.raises(FrameRefusedError, match="before"):
            second.open("opus", frame)
    for frame in (frames[2], encryptor.seal("opus", b"\x78")):  # and both take what is sent to both
        assert first.open("opus", frame) == second.open("opus", frame)


def test_a_forged_frame_does_not_move_the_window() -> None:
    _, (good, *_) = _sealed(KEY, 1)
    forged = good[:-6] + b"\xff\xff\xff\xff" + good[-2:]  # a counter far ahead
    decryptor = FrameDecryptor(KEY)
    with pytest.raises(FrameRefusedError, match="tag"):
        decryptor.open("opus", forged)
    decryptor.open("opus", good)


_ivs = st.builds(
    lambda prefix, counter: bytes([prefix]) * 8 + counter.to_bytes(4, "big"),
    st.integers(0, MAX_PREFIXES + 3),
    st.integers(1, 3 * WINDOW),
)


@given(st.lists(_ivs, max_size=200))
def test_no_iv_is_ever_taken_twice(ivs: list[bytes]) -> None:
    window, taken = ReplayWindow(), set()
    for iv in ivs:
        if window.is_new(iv):
            assert iv not in taken
            window.take(iv)
            taken.add(iv)
        assert not window.is_new(iv) or iv not in taken


@given(st.permutations(range(1, 60)))
def test_within_the_window_every_order_is_taken(order: list[int]) -> None:
    window = ReplayWindow()
    for counter in order:
        iv = b"sender-1" + counter.to_bytes(4, "big")
        assert window.is_new(iv)
        window.take(iv)


def test_no_two_encryptors_share_ivs_and_a_used_up_counter_takes_new_ones() -> None:
    ivs = {sealed[-14:-2] for _ in range(50) for sealed in _sealed(KEY, 3)[1]}
    assert len(ivs) == 150
    encryptor = GcmEncryptor(KEY)
    before = encryptor.seal("opus", b"\x78")[-14:-6]
    encryptor._counter = (1 << 32) - 1
    after = encryptor.seal("opus", b"\x78")[-14:-2]
    assert after[:8] != before
    assert after[8:] == b"\0\0\0\1"


@pytest.mark.parametrize(("coding", "data"), [("h264", b"\0\0\0\1\x67\x42"), ("vp8", b"\x11"), ("opus", b"")])
def test_what_is_no_frame_is_not_encrypted(coding: Coding, data: bytes) -> None:
    for key in (KEY, SM4_KEY):
        with pytest.raises(ValueError, match=r"slice|bytes"):
            make_encryptor(key).seal(coding, data)
