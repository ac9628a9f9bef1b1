"""The real NetworkManager, in a network namespace with a cable to another one: the home router's, or a phone's.

Its wired part is the same code as that of Wi-Fi but for the radio: profiles, checkpoints, activation, roll-back, the
shared mode with dnsmasq that the set-up network is made of. Debian's packages are unpacked, never installed: it looks
after no network of the machine that runs the tests.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import socket
import struct
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from dbus_fast import Variant

from provisioning import nm_settings, nm_status, wifi
from provisioning.captive import CaptivePortal, captive
from provisioning.network import AccessPoint, InterfaceStatus, NetworkError, StaticAddress, WifiJoin
from provisioning.nm_api import GET_SETTINGS, PROFILE, SETTINGS, SETTINGS_PATH, UPDATE, UPDATE_TO_DISK, Method
from provisioning.nm_bus import ServiceBus, plain
from provisioning.nm_connect import activate, checkpoint, deactivate
from provisioning.nm_profiles import profiles
from provisioning.nm_settings import WIFI_SECURITY, Profile, access_point_profile, ethernet_profile, wifi_profile
from provisioning.setup_network import ADDRESS
from provisioning.wifi import NetworkManagerNetwork
from tests.integration.netns import Namespace, cable
from tests.integration.system_bus import system_bus

ROOT = Path(__file__).parents[2]
OWN = AccessPoint(ssid="Room appliance 0A1B", psk="0123456789ABCDEF", address=ADDRESS)
CONFIG = Path("/etc/NetworkManager")
VETH_TYPE = 20  # what a cable between namespaces is to NetworkManager
WAIT_S = 20.0
_START = """
set -e
mount --make-rprivate /
for place in /run /var/lib /etc/NetworkManager; do mount -t tmpfs tmpfs $place; done
mkdir -p /run/NetworkManager /var/lib/NetworkManager /etc/NetworkManager/system-connections
mkdir /etc/NetworkManager/dnsmasq-shared.d
cp "$2" /etc/NetworkManager/dnsmasq-shared.d/
mount -o remount,ro /sys  # there is no udev to wait for
printf '[main]\\nplugins=keyfile\\nauth-polkit=false\\nno-auto-default=*\\ndns=none\\nrc-manager=unmanaged\\n' \
    >/etc/NetworkManager/NetworkManager.conf
LD_LIBRARY_PATH=$(echo "$1"/usr/lib/*-linux-gnu | tr ' ' ':')
export LD_LIBRARY_PATH
exec "$1/usr/sbin/NetworkManager" --no-daemon --config /etc/NetworkManager/NetworkManager.conf
"""


def _lacking(what: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with NetworkManager and the libraries that this machine lacks for it."""
    place = tmp_path_factory.mktemp("network-manager")
    if shutil.which("apt-get") is None:
        _lacking("no apt-get here: NetworkManager cannot be had")
    command = ("apt-get", "install", "--simulate", "--no-install-recommends", "network-manager")
    plan = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    packages = {"network-manager", *re.findall(r"^Inst (\S+)", plan, re.MULTILINE)}
    fetched = subprocess.run(
        ("apt-get", "download", "-qq", *sorted(packages)), cwd=place, capture_output=True, text=True, check=False
    )
    if fetched.returncode != 0:
        _lacking(f"NetworkManager's packages cannot be had: {fetched.stderr.strip()[-200:]}")
    for package in place.glob("*.deb"):
        subprocess.run(("dpkg-deb", "--extract", str(package), str(place / "root")), check=True)
    return place / "root"


class Site:
    """`unit` has the real NetworkManager; `far` is at the other end of its cable."""

    def __init__(self, unit: Namespace, far: Namespace, address: str) -> None:
        self.unit = unit
        self.far = far
        self.network = NetworkManagerNetwork(OWN, address=address)
        self.address = address

    async def wired(self) -> InterfaceStatus | None:
        return (await self.network.status()).connected("ethernet")

    async def comes_to(self, address: str) -> InterfaceStatus:
        async with asyncio.timeout(WAIT_S):
            while (wired := await self.wired()) is None or address not in wired.addresses:
                await self.network.wait_changed()
        return wired


@pytest.fixture
async def site(unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    for module in (wifi, nm_status):
        monkeypatch.setattr(module, "ETHERNET_TYPE", VETH_TYPE)
    is_new = not CONFIG.exists()
    CONFIG.mkdir(exist_ok=True)  # what it holds is another file system's while NetworkManager runs
    async with cable() as (unit, far), system_bus(tmp_path) as address:
        unit._ip("address", "flush", "dev", "cable")
        process = await asyncio.create_subprocess_exec(
            *unit.prefix,
            *("unshare", "--mount", "sh", "-c", _START, "sh"),
            *(str(unpacked), str(ROOT / "systemd" / "room-appliance.dnsmasq.conf")),
            env=os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": address},
            stderr=asyncio.subprocess.DEVNULL,
        )
        site = Site(unit, far, address)
        try:
            async with asyncio.timeout(WAIT_S):
                while not (status := await site.network.status()).available or not status.interfaces:
                    await site.network.wait_changed()
            yield site
        finally:
            await site.network.close()
            process.terminate()
            await process.wait()
            if is_new:
                CONFIG.rmdir()


@asynccontextmanager
async def router(far: Namespace, directory: Path) -> AsyncIterator[None]:
    """DHCP at the far end: 10.77.0.50."""
    dnsmasq = shutil.which("dnsmasq", path="/usr/sbin:/usr/bin:/sbin")
    if dnsmasq is None:
        _lacking("dnsmasq is missing: apt-get install dnsmasq-base")
    process = await asyncio.create_subprocess_exec(
        *far.prefix,
        str(dnsmasq),
        *("--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--no-ping", "--port=0", "--user=root"),
        *("--interface=cable", "--bind-interfaces", "--dhcp-range=10.77.0.50,10.77.0.50,1h"),
        *(f"--dhcp-leasefile={directory / 'leases'}", "--pid-file="),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def test_dhcp_and_static_addresses_are_kept(site: Site, tmp_path: Path) -> None:
    async with router(site.far, tmp_path):
        await site.network.set_ethernet(None)
        wired = await site.comes_to("10.77.0.50/24")
        assert wired.gateway == "10.77.0.2"
        static = StaticAddress(address="10.77.0.9/24", gateway="10.77.0.2", dns=("10.77.0.2", "192.0.2.53"))
        await site.network.set_ethernet(static)
        wired = await site.comes_to("10.77.0.9/24")
        assert wired.addresses == ("10.77.0.9/24",)
        assert wired.dns == ("10.77.0.2", "192.0.2.53")
        await site.network.set_ethernet(StaticAddress(address="2001:db8::5/64", dns=("2001:db8::1",)))
        wired = await site.comes_to("2001:db8::5/64")
        assert "2001:db8::1" in wired.dns
    kept = [settings for _, settings in await profiles(site.network._bus) if "802-3-ethernet" in settings]
    assert len(kept) == 1  # the latest alone


async def test_no_answer_to_dhcp_is_said_and_taken_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nm_settings, "DHCP_S", 2)
    await site.network.set_ethernet(StaticAddress(address="10.77.0.9/24"))
    with pytest.raises(NetworkError) as caught:
        await site.network.set_ethernet(None)
    assert caught.value.code == "no-address"
    await site.comes_to("10.77.0.9/24")
    kept = [settings for _, settings in await profiles(site.network._bus) if "802-3-ethernet" in settings]
    assert [settings["ipv4"]["method"] for settings in kept] == ["manual"]


async def test_a_wish_given_up_is_taken_back(site: Site) -> None:
    await site.network.set_ethernet(StaticAddress(address="10.77.0.9/24"))
    setting = asyncio.create_task(site.network.set_ethernet(None))
    async with asyncio.timeout(WAIT_S):
        while await site.wired() is not None:
            await site.network.wait_changed()
    setting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await setting
    await site.comes_to("10.77.0.9/24")


@pytest.mark.parametrize(
    "profile",
    [
        access_point_profile(OWN),
        wifi_profile(WifiJoin(ssid="Home", password="long enough"), "wpa2"),
        wifi_profile(WifiJoin(ssid="Home", password="long enough"), "wpa3"),
        wifi_profile(WifiJoin(ssid="\\xff\\x00", hidden=True), None),
        wifi_profile(WifiJoin(ssid="Home", static=StaticAddress(address="10.0.0.2/8", dns=("10.0.0.1",))), "open"),
    ],
)
async def test_it_takes_every_profile_of_ours(site: Site, profile: Profile) -> None:
    """There is no radio to raise them on; it checks all that is in them when they are added, and saves them whole."""
    add = Method(SETTINGS, "AddConnectionUnsaved", "a{sa{sv}}", "o")
    bus = ServiceBus(address=site.address)
    await bus.connect()
    (path,) = await bus.call(add, SETTINGS_PATH, profile)
    (settings,) = await bus.call(GET_SETTINGS, path)
    for section, values in plain(profile).items():
        secretless = {key: value for key, value in values.items() if key != "psk"}
        if section.startswith("ipv"):
            assert settings[section]["method"] == values["method"]
        else:
            assert {key: settings[section].get(key, secretless[key]) for key in secretless} == secretless
    await bus.call(UPDATE, path, {}, UPDATE_TO_DISK, {})
    assert await bus.get(path, PROFILE, "Unsaved") is False
    if WIFI_SECURITY in profile:  # saved with its password
        (kept,) = await bus.call(Method(PROFILE, "GetSecrets", "s", "a{sa{sv}}"), path, WIFI_SECURITY)
        assert kept[WIFI_SECURITY]["psk"] == profile[WIFI_SECURITY]["psk"].value
    bus.close()


def set_up_network() -> Profile:
    """The access point's profile for a cable."""
    own = access_point_profile(OWN)
    made = ethernet_profile(None, "cable") | {"ipv4": own["ipv4"], "ipv6": own["ipv6"]}
    made["connection"] |= {"autoconnect": Variant("b", False), "uuid": own["connection"]["uuid"]}
    return made


async def test_nothing_is_left_of_a_set_up_network_that_was_rolled_back(site: Site) -> None:
    """NetworkManager adds its profile again, for good: nobody could raise it a second time."""
    device = nm_status.devices(await site.network._objects(), VETH_TYPE)[0]
    bus = site.network._bus
    for _ in range(2):
        await activate(bus, set_up_network(), device, "own", persist="volatile", timeout_s=WAIT_S, is_bound=True)
        active = nm_status.own_active(await bus.objects())
        assert active is not None
        with suppress(ConnectionAbortedError):
            async with checkpoint(bus, device, 30):
                await deactivate(bus, active, WAIT_S)
                raise ConnectionAbortedError("as if a join had failed")
        async with asyncio.timeout(WAIT_S):
            while nm_status.own_active(await bus.objects()) is None:
                await site.network.wait_changed()
        await site.network.stop_access_point()
        uuids = [settings["connection"]["uuid"] for _, settings in await profiles(bus)]
        assert nm_settings.ACCESS_POINT_UUID not in uuids


async def test_a_phone_in_the_set_up_network_is_led_to_the_page(site: Site) -> None:
    """The access point's shared mode over a cable: DHCP with option 114, names, port 80; down with its program."""
    with portal_socket(site.unit) as listening:
        profile = ethernet_profile(None, "cable") | {
            "ipv4": access_point_profile(OWN)["ipv4"],
            "ipv6": access_point_profile(OWN)["ipv6"],
        }
        profile["connection"]["autoconnect"] = Variant("b", False)
        objects = await site.network._objects()
        device = nm_status.devices(objects, VETH_TYPE)[0]
        bus = ServiceBus(address=site.address)
        await bus.connect(("type='signal',sender='org.freedesktop.NetworkManager'",))
        await activate(bus, profile, device, "shared", persist="volatile", timeout_s=WAIT_S, is_bound=True)
        offer = await asyncio.to_thread(ask_dhcp, site.far)
        assert offer[114] == f"http://{ADDRESS}/captive-portal/api".encode()
        assert offer[6] == socket.inet_aton(ADDRESS)  # names are asked here
        site.far._ip("address", "flush", "dev", "cable")
        site.far._ip("address", "add", "10.42.0.77/24", "dev", "cable")
        for name in ("connectivitycheck.gstatic.com", "nonsense", "door.local"):
            assert await asyncio.to_thread(resolve, site.far, name, 1) == [(ADDRESS, 0)]
        assert await asyncio.to_thread(resolve, site.far, "www.example.com", 28) == []

        async def page(_request: web.Request) -> web.Response:
            return web.Response(text="the page")

        portal = CaptivePortal(ADDRESS)
        application = web.Application(middlewares=[captive(portal, lambda: None)])
        application.router.add_get("/setup", page)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        connector = aiohttp.TCPConnector(
            resolver=Everywhere(),
            socket_factory=lambda info: site.far._socket(info[0], info[1], info[2]),
        )
        async with aiohttp.ClientSession(connector=connector) as phone:
            answer = await phone.get("http://connectivitycheck.gstatic.com/generate_204")
            assert str(answer.url) == portal.page
            assert await answer.text() == "the page"
        await runner.cleanup()
        bus.close()
        async with asyncio.timeout(WAIT_S):
            while "Room appliance cable" in await names(site.network):  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # of profiles nothing is told


async def names(network: NetworkManagerNetwork) -> list[str]:
    return [settings["connection"]["id"] for _, settings in await profiles(network._bus)]


class Everywhere(AbstractResolver):
    """Names as the set-up network has them."""

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=ADDRESS, port=port, family=family, proto=0, flags=int(socket.AI_NUMERICHOST)
            )
        ]

    async def close(self) -> None:
        pass


@contextmanager
def portal_socket(unit: Namespace) -> Iterator[socket.socket]:
    """As room-appliance-portal.socket has it: bound before the address is there."""
    with unit._socket(socket.AF_INET, socket.SOCK_STREAM, 0) as listening:
        listening.setsockopt(socket.SOL_IP, 15, 1)  # IP_FREEBIND
        listening.bind((ADDRESS, 80))
        listening.listen(8)
        listening.setblocking(False)
        yield listening


def ask_dhcp(phone: Namespace) -> dict[int, bytes]:
    """The options of the first offer (RFC 2131, 2132) to a phone that asks for 1, 3, 6 and 114."""
    transaction, mac = secrets.token_bytes(4), b"\x02\x00\x00\x00\x00\x77"
    header = struct.pack("!BBBB4sHH16x16s64x128x", 1, 1, 6, 0, transaction, 0, 0x8000, mac)
    question = header + b"\x63\x82\x53\x63" + bytes((53, 1, 1, 55, 4, 1, 3, 6, 114, 255))
    with phone._socket(socket.AF_INET, socket.SOCK_DGRAM, 0) as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"cable")
        asking.bind(("", 68))
        asking.settimeout(4)
        for _ in range(5):
            asking.sendto(question, ("255.255.255.255", 67))
            try:
                answer = asking.recv(2048)
            except TimeoutError:
                continue
            if answer[4:8] == transaction:
                return _options(answer[240:])
    raise AssertionError("no DHCP server answers")


def _options(data: bytes) -> dict[int, bytes]:
    options = {}
    while data and data[0] != 255:
        length = data[1]
        options[data[0]] = data[2 : 2 + length]
        data = data[2 + length :]
    return options


def resolve(phone: Namespace, name: str, kind: int) -> list[tuple[str, int]]:
    """(address, TTL) of each answer (RFC 1035) for a name without compression but its own."""
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split(".")) + b"\0"
    question = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!HH", kind, 1)
    with phone._socket(socket.AF_INET, socket.SOCK_DGRAM, 0) as asking:
        asking.settimeout(4)
        asking.sendto(question, (ADDRESS, 53))
        answer = asking.recv(2048)
    count = struct.unpack("!H", answer[6:8])[0]
    found, rest = [], answer[len(question) :]
    for _ in range(count):
        _, _, _, ttl, length = struct.unpack("!HHHIH", rest[:12])
        found.append((socket.inet_ntoa(rest[12 : 12 + length]), ttl))
        rest = rest[12 + length :]
    return found
