"""The hooks into aiortc and aioice: each works, and each missing name is found and named by the self-test."""

from __future__ import annotations

import time
from typing import Any

import aioice.ice
import aiortc.clock
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
import pytest
from aiortc import RTCDtlsTransport, RTCPeerConnection, RTCRtpReceiver, RTCRtpSender
from aiortc.rtcicetransport import RTCIceGatherer, RTCIceTransport
from aiortc.rtcrtpreceiver import StreamStatistics

from appliance.errors import HookError
from appliance.media import aiortc_hooks


@pytest.fixture(autouse=True)
def _hooks() -> None:
    aiortc_hooks.install(["127.0.0.1"])


async def test_the_self_test_passes_quickly() -> None:
    await aiortc_hooks.self_test()  # the first one loads the codecs
    started_s = time.monotonic()
    await aiortc_hooks.self_test()
    assert time.monotonic() - started_s < 0.3


@pytest.mark.parametrize(
    ("owner", "name", "hook"),
    [
        (RTCRtpSender, "_handle_rtcp_packet", "monotonic clock"),
        (RTCRtpSender, "_send_rtcp", "sending"),
        (RTCDtlsTransport, "_setup_srtp", "sending"),
        (aioice.ice.Connection, "sendto", "sending"),
        (RTCDtlsTransport, "_handle_rtp_data", "media"),
        (RTCRtpReceiver, "_send_rtcp_pli", "receiving video"),
        (RTCRtpReceiver, "_send_rtcp_nack", "receiving video"),
        (RTCPeerConnection, "_RTCPeerConnection__connect", "peer connection"),
        (StreamStatistics, "packets_expected", "receiving audio"),
        (aioice.ice.Connection, "get_component_candidates", "ice agent"),
        (aioice.ice.Connection, "_check_periodic", "connectivity checks"),
        (aioice.ice.Connection, "build_request", "consent checks"),
        (aioice.ice.Connection, "data_received", "datagrams"),
        (RTCIceGatherer, "getDefaultIceServers", "ice agent"),
    ],
)
async def test_a_method_that_is_gone_is_found(
    owner: Any, name: str, hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(owner, name)
    with pytest.raises(HookError, match=f"hook '{hook}'"):
        await aiortc_hooks.self_test()


@pytest.mark.parametrize(
    ("owner", "name", "hook"),
    [
        (RTCRtpSender, "_next_encoded_frame", "sending"),
        (RTCRtpSender, "_send_keyframe", "sending"),
        (RTCRtpReceiver, "_handle_rtp_packet", "media"),
        (RTCRtpReceiver, "_RTCRtpReceiver__decoder_queue", "receiving video"),
        (RTCPeerConnection, "_RTCPeerConnection__connect", "peer connection"),
    ],
)
async def test_an_override_that_nobody_looks_at_any_more_is_found(
    owner: Any, name: str, hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = vars(owner).get(name)

    def get(self: Any) -> Any:
        kept = self.__dict__.get("kept", {})
        return kept[name] if name in kept else original.__get__(self)

    def put(self: Any, value: object) -> None:
        if original is None:  # an instance attribute: the constructor's stays
            self.__dict__.setdefault("kept", {}).setdefault(name, value)

    monkeypatch.setattr(owner, name, property(get, put), raising=False)
    with pytest.raises(HookError, match=f"hook '{hook}'"):
        await aiortc_hooks.self_test()


async def test_a_transport_without_its_ice_agent_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        RTCIceTransport, "_connection", property(lambda self: None, lambda self, value: None), raising=False
    )
    with pytest.raises(HookError, match="'peer connection'"):
        await aiortc_hooks.self_test()


@pytest.mark.parametrize("module", [aiortc.rtcrtpsender, aiortc.rtcrtpreceiver])
async def test_a_clock_that_is_not_monotonic_is_found(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", time)
    with pytest.raises(HookError, match="'monotonic clock'"):
        await aiortc_hooks.self_test()


async def test_ntp_time_follows_the_monotonic_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    before = aiortc.clock.current_ntp_time()
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 100)
    assert (aiortc.clock.current_ntp_time() - before) / (1 << 32) == pytest.approx(100, abs=1)


@pytest.mark.parametrize(
    ("addresses", "loopback", "expected"),
    [
        (["192.0.2.7"], False, ["192.0.2.7"]),
        (["192.0.2.7"], True, ["192.0.2.7", "127.0.0.1"]),
        (["127.0.0.1"], True, ["127.0.0.1"]),
    ],
)
async def test_only_the_configured_addresses_are_offered(
    addresses: list[str], loopback: bool, expected: list[str]
) -> None:
    aiortc_hooks.install(addresses, loopback=loopback)
    assert aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == expected


async def test_without_a_list_every_address_is_offered_and_loopback_only_where_asked_for() -> None:
    aiortc_hooks.install([])
    every = aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True)
    assert "127.0.0.1" not in every
    aiortc_hooks.install([], loopback=True)
    assert aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == [*every, "127.0.0.1"]
