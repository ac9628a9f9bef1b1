"""Frame encryption against LiveKit's own: the worker of its published client (npm: livekit-client), run in Chromium.

`make peers` fetches the package. Its worker gets frames as its transforms would, in the same page.
"""

from __future__ import annotations

import base64
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from appliance.media.e2ee import Coding, FrameDecryptor, derive_key, make_encryptor
from hw.annexb import nal_units
from tests.appliance.media.pictures import coded_pictures
from tests.integration import browser

pytestmark = pytest.mark.chromium

PACKAGE = Path(__file__).parents[2] / ".venv" / "peers" / "livekit-client-2.23.0.tgz"
SECRET = "correct horse battery staple"

_PAGE = "<!doctype html><title>peer</title><link rel=icon href=data:,>"
_RUN = """async ({ secret, operation, codec, frames }) => {
    if (!window.handle) {
        await import("/worker.mjs");
        window.handle = window.onmessage;
        window.onmessage = null;
        const keyProviderOptions = {
            sharedKey: true, ratchetSalt: "LKFrameEncryptionKey", ratchetWindowSize: 0, failureTolerance: -1,
            keyringSize: 16, keySize: 128,
        };
        handle({ data: { kind: "init", data: { loglevel: "warn", keyProviderOptions } } });
        const bytes = new TextEncoder().encode(secret);
        const key = await crypto.subtle.importKey("raw", bytes, "PBKDF2", false, ["deriveBits", "deriveKey"]);
        handle({ data: { kind: "setKey", data: { key, keyIndex: 0, updateCurrentKeyIndex: true } } });
        handle({ data: { kind: "enable", data: { enabled: true, participantIdentity: "peer" } } });
    }
    const kind = codec === "opus" ? "audio" : "video";
    const bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const waiting = frames.map((text, index) => ({
        data: bytesOf(text).buffer,
        timestamp: index * 3000,
        getMetadata: () => ({ synchronizationSource: 77, mimeType: `${kind}/${codec}` }),
        ...(codec === "opus" ? {} : { type: index ? "delta" : "key" }),
    }));
    const out = [];
    await new Promise((done) => {
        const readableStream = new ReadableStream({
            start: (to) => { waiting.forEach((frame) => to.enqueue(frame)); to.close(); },
        });
        const writableStream = new WritableStream({ write: (frame) => void out.push(frame.data), close: done });
        const trackId = `${operation} ${codec}`;
        handle({ data: { kind: operation, data: {
            participantIdentity: "peer", trackId, readableStream, writableStream,
            codec: codec === "opus" ? undefined : codec,
        } } });
    });
    return out.map((data) => btoa(Array.from(new Uint8Array(data), (byte) => String.fromCharCode(byte)).join("")));
}"""


def worker() -> bytes:
    """The vendor's worker; skips or, under CI=true, fails, where the package was not fetched."""
    if not PACKAGE.exists():
        reason = f"{PACKAGE.name} is missing: make peers fetches it with npm"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with tarfile.open(PACKAGE) as package:
        file = package.extractfile("package/dist/livekit-client.e2ee.worker.mjs")
        assert file is not None
        return file.read()


async def test_each_opens_what_the_other_has_encrypted() -> None:
    script = worker()
    application = web.Application()

    async def serve(request: web.Request) -> web.Response:
        if request.path == "/worker.mjs":
            return web.Response(body=script, content_type="text/javascript")
        return web.Response(text=_PAGE, content_type="text/html")

    application.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    key = derive_key("aes-128-gcm", SECRET.encode())
    frames: dict[Coding, list[bytes]] = {
        "opus": [b"\x78" + bytes([number]) * 60 for number in range(5)],
        "vp8": coded_pictures("vp8", 5),
        "h264": coded_pictures("h264", 5),
    }
    try:
        async with browser.chromium() as process:
            page = await browser.open_page(process, f"http://127.0.0.1:{runner.addresses[0][1]}/")

            async def run(operation: str, coding: Coding, given: list[bytes]) -> list[bytes]:
                job: dict[str, Any] = {
                    "secret": SECRET,
                    "operation": operation,
                    "codec": coding,
                    "frames": [base64.b64encode(frame).decode() for frame in given],
                }
                return [base64.b64decode(frame) for frame in await page.evaluate(_RUN, job)]

            for coding, plain in frames.items():
                encryptor, decryptor = make_encryptor(key), FrameDecryptor(key)
                opened = await run("decode", coding, [encryptor.seal(coding, frame) for frame in plain])
                assert [_comparable(coding, frame) for frame in opened] == [_comparable(coding, f) for f in plain]
                sealed = await run("encode", coding, plain)
                assert all(frame not in sealed for frame in plain)
                opened = [decryptor.open(coding, frame) for frame in sealed]
                assert [_comparable(coding, frame) for frame in opened] == [_comparable(coding, f) for f in plain]
    finally:
        await runner.cleanup()


def _comparable(coding: Coding, frame: bytes) -> object:
    return list(nal_units(frame)) if coding == "h264" else frame
