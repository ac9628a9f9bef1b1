"""What encryption costs a sender and a receiver: all frames of a call, against the bare cipher on the same bytes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from appliance.media.e2ee import Coding, EncryptionMode, FrameDecryptor, FrameEncryptor, FrameKey, make_encryptor
from tests.appliance.media.pictures import coded_pictures
from tests.bench.table import Row, row

FPS, SOUNDS = 30, 50  # a second
PICTURES = 60
ROUNDS = 20


def _call() -> list[tuple[Coding, bytes]]:
    """A key frame, 59 pictures of 720p at about 2 Mbit/s, and two seconds of Opus packets."""
    pictures: list[tuple[Coding, bytes]] = []
    for data in coded_pictures("h264", PICTURES, 1280, 720):
        pictures.append(("h264", data + os.urandom(max(0, 8000 - len(data)))[:-1].replace(b"\0\0", b"\1\1") + b"\x80"))
    return pictures + [("opus", b"\x78" + os.urandom(80)) for _ in range(SOUNDS * PICTURES // FPS)]


def _cost_ms(work: Callable[[], None]) -> float:
    """Of a core, for each second of the call."""
    work()
    return min(_cpu_s(work) for _ in range(ROUNDS)) * FPS / PICTURES * 1000


def _cpu_s(work: Callable[[], None]) -> float:
    began_s = time.thread_time()
    work()
    return time.thread_time() - began_s


def _measure() -> list[Row]:
    frames = _call()
    iv, gcm = bytes(12), AESGCM(bytes(16))

    def cipher() -> None:
        for _, data in frames:
            gcm.encrypt(iv, data, None)

    bare_ms = _cost_ms(cipher)
    table = []
    modes: tuple[EncryptionMode, ...] = ("aes-128-gcm", "sm4-128-ecb")
    for mode in modes:
        key = FrameKey(mode, bytes(16))
        encryptor = make_encryptor(key)
        sealed = [(coding, encryptor.seal(coding, data)) for coding, data in frames]

        def seal(encryptor: FrameEncryptor = encryptor) -> None:
            for coding, data in frames:
                encryptor.seal(coding, data)

        def unseal(key: FrameKey = key, sealed: list[tuple[Coding, bytes]] = sealed) -> None:
            decryptor = FrameDecryptor(key)
            for coding, data in sealed:
                decryptor.open(coding, data)

        goal = 15.0 if mode == "aes-128-gcm" else 40.0  # few processors have instructions for SM4
        for what, work in (("to send, however many legs", seal), ("each peer that is received", unseal)):
            measure = f"{mode}, 720p{FPS} and sound: {what}"
            table.append(row(measure, "ms of a core a second", _cost_ms(work), bare_ms, goal, "AES-GCM alone"))
    return table


async def rows() -> AsyncIterator[Row]:
    for each in await asyncio.to_thread(_measure):
        yield each
