from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config import Config, parse
from appliance.doctor import network
from appliance.doctor.network import Gateway

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t0000A8C0\t00000000\t0001\t0\t0\t600\t00FFFFFF\t0\t0\t0
wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
"""
ARP = "IP address       HW type     Flags       HW address            Mask     Device\n"
IPV6 = (
    "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 "
    "00000100 00000001 00000000 00000001 eth0\n"
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 "
    "00000400 00000001 00000000 00000003 eth0\n"
)


def proc(directory: Path, **files: str) -> Path:
    (directory / "proc/net").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / "proc/net" / name).write_text(text)
    return directory


def test_gateway(tmp_path: Path) -> None:
    assert network.gateway(proc(tmp_path, route=ROUTES)) == Gateway("wlan0", "192.168.0.1", False)
    there = ARP + "192.168.0.1      0x1         0x2         02:00:00:00:00:01     *        wlan0\n"
    assert network.gateway(proc(tmp_path, route=ROUTES, arp=there)) == Gateway("wlan0", "192.168.0.1", False)
    gone = ARP + "192.168.0.1      0x1         0x0         00:00:00:00:00:00     *        wlan0\n"
    found = network.gateway(proc(tmp_path, route=ROUTES, arp=gone))
    assert found == Gateway("wlan0", "192.168.0.1", True)
    finding = network.judge_gateway(found, True)
    assert (finding.status, "does not answer" in finding.message) == ("warning", True)


def test_gateway_of_ipv6_alone(tmp_path: Path) -> None:
    root = proc(tmp_path, route=ROUTES.splitlines()[0], ipv6_route=IPV6)
    assert network.gateway(root) == Gateway("eth0", "fe80::1", False)


def test_no_gateway(tmp_path: Path) -> None:
    assert network.gateway(tmp_path) is None
    assert network.judge_gateway(None, True).status == "warning"
    assert network.judge_gateway(None, False).status == "ok"


@given(text=st.text(alphabet="0123456789ABCDEFx \tz\n", max_size=200))
def test_tables_with_anything_in_them(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    network.gateway(proc(tmp_path_factory.mktemp("proc"), route=ROUTES + text, arp=ARP + text, ipv6_route=text))


def test_addresses() -> None:
    assert network.judge_addresses({"wlan0": ["192.0.2.7"]}, True).message == "wlan0 192.0.2.7"
    assert network.judge_addresses({}, True).status == "failed"
    assert network.judge_addresses({}, False).status == "warning"
    assert not any(address.startswith("127.") for found in network.own_addresses().values() for address in found)


def test_names_of_a_configuration() -> None:
    config = parse(
        '[room]\nurl = "wss://porch.example:8443/hub/ws"\n[mqtt]\nurl = "mqtt://user:word@broker.example"\n'
        '[hub]\nice_servers = ["stun:stun.example:3478", "stun:192.0.2.1"]\n'
        'turn_urls = ["turn:turn.example?transport=udp"]\nturn_secret = "x"\n',
        "unit.toml",
    )
    assert network.names(config) == ["porch.example", "broker.example", "stun.example", "turn.example"]
    assert network.names(Config()) == []
    assert network.host_port("turn:[2001:db8::1]:3479") == ("2001:db8::1", 3479)


async def test_name_lookup() -> None:
    assert (await network.check_names([])).status == "skipped"
    assert (await network.check_names(["localhost"])).status == "ok"
    finding = await network.check_names(["localhost", "nobody.invalid"])
    assert (finding.status, finding.facts["lost"]) == ("failed", ["nobody.invalid: Name or service not known"])


async def test_udp_to_oneself() -> None:
    assert (await network.check_udp(["127.0.0.1", "::1"])).status == "ok"
    finding = await network.check_udp(["127.0.0.1", "192.0.2.1"])  # not an address of this machine
    assert (finding.status, finding.facts["shut"]) == ("failed", ["192.0.2.1"])


async def test_stun(monkeypatch: pytest.MonkeyPatch) -> None:
    from aioice import stun

    monkeypatch.setattr(network, "UDP_S", 0.05)

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.DatagramTransport, transport)

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            asked = stun.parse_message(data)
            answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, asked.transaction_id)
            self.transport.sendto(bytes(answer), addr)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Server, ("127.0.0.1", 0))
    good = f"stun:127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        bad = f"turn:127.0.0.1:{silent.getsockname()[1]}"
        assert (await network.check_stun([good])).status == "ok"
        finding = await network.check_stun([good, bad])
    transport.close()
    assert (finding.status, finding.facts["silent"]) == ("failed", [bad])
