"""Nothing secret in the logs, whatever the unit goes through and however much it is told to say."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from appliance.errors import RtcError
from appliance.room import LocalStream, RoomClient
from provisioning.claim import ClaimSecrets
from tests.appliance.room.media import uplink
from tests.integration.programs import API_TOKEN, Unit, free_port, program
from tests.integration.test_call import run_command

PASSWORD = "a horse of another color"
WRONG_PASSWORD = "correct battery staple"
TURN_SECRET = "turnips-are-not-radishes"
ROOM_SECRET = "rhubarb & is no = fruit"
PSK = "it rains on tuesdays"
CONFIG = """
[room]
user = "unit"
encryption = "aes-128-gcm"
encryption_secret = "{key}"
[network]
ice_addresses = ["127.0.0.1"]
[web]
host = "127.0.0.1"
port = {port}
tls = "off"
[gpio]
driver = "mock"
[audio]
driver = "mock"
[video]
driver = "none"
[hub]
turn_urls = ["turn:127.0.0.1:9"]
turn_secret = "{turn}"
"""


async def signed_in(unit: Unit, label: ClaimSecrets) -> list[str]:
    """Claim it, get passwords wrong, make an API token, use all of it; what a log must not say of that."""
    said: list[str] = [label.code, label.shown, label.key, PASSWORD, WRONG_PASSWORD]
    async with aiohttp.ClientSession(headers={"Origin": unit.url}, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:

        async def ask(method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
            async with http.request(method, unit.url + path, json=body, headers=headers) as answer:
                text = await answer.text()
                return answer.status, json.loads(text) if text.startswith("{") else text

        assert (await ask("POST", "/api/setup/claim", {"code": "000-000-000", "password": PASSWORD}))[0] >= 400
        assert (await ask("POST", "/api/setup/claim", {"code": label.shown, "password": PASSWORD}))[0] == 200
        cookies = {cookie.key: cookie.value for cookie in http.cookie_jar}
        csrf = {"X-CSRF-Token": next(value for name, value in cookies.items() if "csrf" in name)}
        status, made = await ask("POST", "/api/auth/tokens", {"name": "test", "scope": "read"}, **csrf)
        assert status < 300, made
        said += [*cookies.values(), made["token"]]
        await ask("GET", "/api/state", Authorization=f"Bearer {made['token']}")
        await ask("GET", f"/api/state?token={made['token']}", Authorization="Bearer rat_of-somebody-else-entirely")
        await ask("POST", "/api/auth/login", {"password": WRONG_PASSWORD})
        await ask("POST", "/api/network/connect", {"ssid": "home", "password": PSK}, **csrf)
        await ask("GET", "/api/config", **csrf)
    return [*said, PSK]


async def visited(unit: Unit, token: str) -> None:
    """Somebody comes with a good token and media, and with bad ones."""
    async with uplink(camera=False) as sound:
        client = RoomClient(f"ws://127.0.0.1:{unit.port}", uplink=sound)
        try:
            client.set_encryption_mode("aes-128-gcm")
            client.set_encryption_secret(ROOM_SECRET)
            await client.join("lobby", "anna", token)
            await client.publish(LocalStream(video=False))
            await unit.until(lambda now: any((peer["audio"] or {}).get("level") for peer in now["peers"]))
        finally:
            await client.destroy()
    for bad in (token[:-4] + "AAAA", token.replace("ey", "ez"), "Bearer " + token):
        client = RoomClient(f"ws://127.0.0.1:{unit.port}")
        with suppress(RtcError):
            await client.join("lobby", "bert", bad)
        await client.destroy()


async def test_nothing_secret_is_in_the_logs(tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "config.toml"
    file.write_text(CONFIG.format(port=port, turn=TURN_SECRET, key=ROOM_SECRET))
    async with program(tmp_path, port, "run", "--verbose", "--config", str(file)) as unit:
        await unit.connected()
        secrets = await signed_in(unit, msgspec.json.decode((tmp_path / "claim.json").read_bytes(), type=ClaimSecrets))
        token = (await run_command(tmp_path, "token", "--room", "lobby", "--user", "anna"))[0]
        invitation = (await unit.post("/api/invitation"))["url"].partition("#token=")[2].partition("&")[0]
        await visited(unit, token)
        await unit.stop()
    secrets += [token, invitation, API_TOKEN, TURN_SECRET, ROOM_SECRET, quote(ROOM_SECRET, safe="")]
    secrets.append((tmp_path / "token-secret").read_text().strip())
    log = unit.log.read_text()
    assert re.search(r"DEBUG .* leg \w+: connected", log)  # a call was in it
    assert len(secrets) > 12
    assert all(len(secret) >= 8 for secret in secrets)
    assert [secret for secret in secrets if secret in log] == []
    assert not re.search(r"ice-pwd:(?!\*)|eyJ|PRIVATE KEY", log)
