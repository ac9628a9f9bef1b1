"""Encrypted rooms: the calls that set it, who may come in, and what is taken on the way (U89 to U91, RS18)."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from appliance.errors import ApiOrderError, CryptError, InvalidArgumentError, RtcErrorCode
from appliance.media.e2ee import Coding, EncryptionMode, FrameEncryptor, FrameKey, Refusal, derive_key
from appliance.media.frames import VideoCodec
from appliance.media.packetizer import Packetizer
from appliance.media.uplink import Uplink
from appliance.room import LocalStream, RemoteStream, stay
from appliance.room.client import RoomClient
from appliance.room.decryption import Decryption
from appliance.room.events import ConnectionState, CryptErrorRaised, PeerJoined, StreamAdded
from appliance.room.options import RoomOptions
from tests.appliance.room.house import Guest, House, house
from tests.appliance.room.media import playout, until, uplink

SECRET = "correct horse battery staple"
PATIENT: dict[str, Any] = {"heartbeat_s": 2.0, "lost_after_s": 10.0}
MODES = pytest.mark.parametrize("mode", ["aes-128-gcm", "sm4-128-ecb"])


_derive_once = functools.cache(derive_key)


@pytest.fixture(autouse=True)
def derived_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stay, "derive_key", _derive_once)


def encrypt(client: RoomClient, secret: str = SECRET, mode: EncryptionMode = "aes-128-gcm") -> None:
    client.set_encryption_mode(mode)
    client.set_encryption_secret(secret)


async def encrypted(home: House, user_id: str, secret: str = SECRET, **keywords: Any) -> Guest:
    guest = home.guest(**keywords)
    encrypt(guest.client, secret)
    await guest.client.join("lobby", user_id)
    return guest


@pytest.mark.row("U89", "U90", "IL11", "IL12", "OR07")
async def test_mode_then_secret_then_join_and_nothing_of_it_after() -> None:
    async with house() as home:
        guest = home.guest()
        client = guest.client
        with pytest.raises(ApiOrderError, match="before set_encryption_mode"):
            client.set_encryption_secret(SECRET)
        with pytest.raises(InvalidArgumentError, match="'rot13'"):
            client.set_encryption_mode(cast(EncryptionMode, "rot13"))
        client.set_encryption_mode("aes-128-gcm")
        for secret in ("", "x" * 129, "ä" * 65, b""):
            with pytest.raises(InvalidArgumentError, match="1 to 128"):
                client.set_encryption_secret(secret)
        for secret in ("x", "x" * 128, bytes(128)):
            client.set_encryption_secret(secret)
        client.set_encryption_mode("none")
        with pytest.raises(ApiOrderError):
            client.set_encryption_secret(SECRET)
        encrypt(client)
        joining = asyncio.create_task(client.join("lobby", "a"))
        await guest.state(ConnectionState.CONNECTING)
        for state in (ConnectionState.CONNECTING, ConnectionState.CONNECTED):
            await guest.state(state)
            with pytest.raises(ApiOrderError, match=state):
                client.set_encryption_mode("none")
            with pytest.raises(ApiOrderError, match=state):
                client.set_encryption_secret("another")
            await joining
        assert home.hub.rooms.rooms["lobby"].seats["a"].encryption[0] == "aes-128-gcm"


@pytest.mark.row("U90", "OR07")
async def test_after_leave_the_next_join_is_in_the_clear_unless_it_is_said_again() -> None:
    async with house() as home:
        a = await encrypted(home, "a")
        await a.client.leave()
        await a.client.join("lobby", "a")
        assert home.hub.rooms.rooms["lobby"].seats["a"].encryption == ("none", "")
        await a.client.leave()
        encrypt(a.client)
        await a.client.join("lobby", "a")
        assert home.hub.rooms.rooms["lobby"].seats["a"].encryption[0] == "aes-128-gcm"


async def test_a_mode_without_a_secret_encrypts_nothing() -> None:
    async with house() as home:
        a = home.guest()
        a.client.set_encryption_mode("aes-128-gcm")
        await a.client.join("lobby", "a")
        assert home.hub.rooms.rooms["lobby"].seats["a"].encryption == ("none", "")


@pytest.mark.row("U91", "RS18", "TR03")
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (("aes-128-gcm", SECRET), ("aes-128-gcm", "another")),
        (("aes-128-gcm", SECRET), ("sm4-128-ecb", SECRET)),
        (("aes-128-gcm", SECRET), None),
        (None, ("aes-128-gcm", SECRET)),
    ],
    ids=["secret", "mode", "clear-joiner", "clear-room"],
)
async def test_who_encrypts_otherwise_gets_crypt_error_and_is_never_in_the_room(
    theirs: tuple[EncryptionMode, str] | None, ours: tuple[EncryptionMode, str] | None
) -> None:
    async with house() as home:
        a, b = home.guest(), home.guest()
        for guest, chosen in ((a, theirs), (b, ours)):
            if chosen is not None:
                encrypt(guest.client, chosen[1], chosen[0])
        await a.client.join("lobby", "a")
        with pytest.raises(CryptError, match="encrypted") as caught:
            await b.client.join("lobby", "b")
        assert caught.value.code is RtcErrorCode.CRYPT_MISMATCH
        assert b.names() == ["CONNECTING", "crypt-error", "DISCONNECTED"]
        assert b.of(CryptErrorRaised)[0].crypt_type == (ours[0] if ours is not None else "none")
        assert list(home.hub.rooms.rooms["lobby"].seats) == ["a"]
        c = home.guest()
        if theirs is not None:
            encrypt(c.client, theirs[1], theirs[0])
        await c.client.join("lobby", "c")  # with the right key
        assert (await a.heard(PeerJoined)).user_id == "c"
        assert [event.user_id for event in a.of(PeerJoined)] == ["c"]


async def test_the_first_to_come_into_an_empty_room_decides_anew() -> None:
    async with house() as home:
        a = await encrypted(home, "a")
        await a.client.leave()
        b = await encrypted(home, "b", "another")
        assert b.client.connection_state is ConnectionState.CONNECTED


async def test_a_refused_join_can_be_repeated_with_the_right_secret() -> None:
    async with house() as home:
        await encrypted(home, "a")
        b = home.guest()
        encrypt(b.client, "wrong")
        with pytest.raises(CryptError):
            await b.client.join("lobby", "b")
        b.client.set_encryption_secret(SECRET)
        await b.client.join("lobby", "b")


async def test_the_way_back_after_a_hub_restart_is_encrypted_too() -> None:
    async with house() as home:
        a = await encrypted(home, "a")
        await home.kill()
        await home.revive()
        await a.state(ConnectionState.RECONNECTING)
        await a.state(ConnectionState.CONNECTED)
        assert home.hub.rooms.rooms["lobby"].seats["a"].encryption[0] == "aes-128-gcm"


@pytest.mark.row("U91")
async def test_who_comes_back_to_a_room_with_another_key_gets_crypt_error() -> None:
    async with house() as home:
        a = await encrypted(home, "a")
        await home.kill()
        await home.start()
        other = home.guest(port=home.port)
        encrypt(other.client, "another")
        await other.client.join("lobby", "other")
        home.proxy.target_port = home.port
        await home.proxy.restore()
        await a.state(ConnectionState.DISCONNECTED)
        assert a.names()[-4:] == ["RECONNECTING", "crypt-error", "DISCONNECTED", "error"]


async def test_the_hub_never_sees_the_secret_or_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[bytes] = []
    derived = FrameKey.fingerprint

    def fingerprint(key: FrameKey, room_id: str) -> str:
        keys.append(key.key)
        return derived(key, room_id)

    monkeypatch.setattr(FrameKey, "fingerprint", fingerprint)
    async with house() as home:
        seen: list[str] = []
        receive = home.hub.rooms.receive

        def look(connection: int, message: Any, now_s: float) -> Any:
            seen.append(repr(message))
            return receive(connection, message, now_s)

        monkeypatch.setattr(home.hub.rooms, "receive", look)
        await encrypted(home, "a")
    said = json.dumps(seen)
    assert "key_fingerprint='" in said
    for secret in (SECRET, *(key.hex() for key in keys), *(repr(key) for key in keys)):
        assert secret not in said


# --- media


class Call:
    def __init__(self, sender: Uplink, a: Guest, b: Guest, stream: RemoteStream) -> None:
        self.sender, self.a, self.b, self.stream = sender, a, b, stream

    @property
    def decryption(self) -> Decryption:
        assert self.b.client._stay is not None
        decryption = cast(Any, self.b.client._stay.media)._decryption
        assert isinstance(decryption, Decryption)
        return decryption

    async def is_heard(self) -> None:
        await until(lambda: self.stream.audio is not None and self.stream.audio.level > 20, what="the tone is heard")

    async def is_seen(self) -> None:
        assert self.stream.video is not None
        with self.stream.video.watch():
            for _ in range(3):
                async with asyncio.timeout(5):
                    await self.stream.video.wait_frame()


@asynccontextmanager
async def call(
    *, mode: EncryptionMode = "aes-128-gcm", codec: VideoCodec = "vp8", camera: bool = True
) -> AsyncIterator[Call]:
    async with uplink(camera=camera, codec=codec) as sender, playout() as player, house(**PATIENT) as home:
        a = home.guest(RoomOptions(), uplink=sender)
        b = home.guest(RoomOptions(), playout=player, auto_subscribe=True)
        for guest, user_id in ((a, "a"), (b, "b")):
            encrypt(guest.client, mode=mode)
            await guest.client.join("lobby", user_id)
        await a.client.publish(LocalStream(video=camera, width=160, height=160))
        stream = (await b.heard(StreamAdded)).stream
        await until(lambda: stream.audio is not None and (stream.video is not None or not camera), what="media")
        yield Call(sender, a, b, stream)


@MODES
@pytest.mark.row("U89", "U90")
@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_an_encrypted_call_is_heard_and_seen(mode: EncryptionMode, codec: VideoCodec) -> None:
    async with call(mode=mode, codec=codec) as one:
        await one.is_heard()
        await one.is_seen()
        assert one.sender.encoded.keys() == {"opus", codec}
        assert one.decryption.opened > 10
        assert one.decryption.refused == {}


async def test_after_the_call_the_uplink_is_in_the_clear_again() -> None:
    async with call(camera=False) as one:
        tap = one.sender.tap("audio", "opus")
        assert (await tap.next()).key is not None
        await one.a.client.leave()
        async with asyncio.timeout(5):
            assert (await tap.next()).key is None


class Tampered:
    """An encryptor whose frames somebody between it and the receiver changes: of each frame what goes out instead."""

    def __init__(self, inner: FrameEncryptor, change: Callable[[bytes], bytes]) -> None:
        self.tampering = True
        self._inner, self._change = inner, change

    def seal(self, coding: Coding, data: bytes) -> bytes:
        sealed = self._inner.seal(coding, data)
        return self._change(sealed) if self.tampering else sealed


def _flip(sealed: bytes) -> bytes:
    return sealed[:-20] + bytes([sealed[-20] ^ 1]) + sealed[-19:]


def _cut(sealed: bytes) -> bytes:
    return sealed[:-1]


class _Repeat:
    """The first frame for every one that follows."""

    first: bytes | None = None

    def __call__(self, sealed: bytes) -> bytes:
        self.first = self.first or sealed
        return self.first


def _packetizers(sender: Uplink) -> Iterable[Packetizer]:
    yield sender._packetize
    yield from sender._video["main"]._packetizers.values()


@pytest.mark.parametrize("codec", ["h264", "vp8"])
@pytest.mark.parametrize(
    ("change", "refusal"),
    [(_flip, "forged"), (_cut, "malformed"), (_Repeat, "replayed")],
    ids=["forged", "truncated", "replayed"],
)
async def test_forged_truncated_and_replayed_frames_are_refused_and_the_call_goes_on(
    codec: VideoCodec, change: Any, refusal: Refusal
) -> None:
    async with call(codec=codec) as one:
        await one.is_heard()
        await one.is_seen()
        tampered = []
        for packetizer in _packetizers(one.sender):
            key, encryptor = packetizer._protection
            assert encryptor is not None
            tampered.append(Tampered(encryptor, change() if isinstance(change, type) else change))
            packetizer._protection = key, tampered[-1]
        await until(lambda: one.decryption.refused[refusal] >= 20, what=f"{refusal}: {one.decryption.refused}")
        opened = one.decryption.opened
        assert one.stream.audio is not None
        await until(lambda: one.stream.audio is not None and one.stream.audio.level == 0, what="silence")
        assert one.decryption.opened <= opened + 3  # a first frame, which is repeated
        for one_of in tampered:
            one_of.tampering = False
        await one.is_heard()
        await one.is_seen()
        assert one.a.client.connection_state is one.b.client.connection_state is ConnectionState.CONNECTED
