"""python-dbusmock's NetworkManager template, extended by what it lacks and this program calls.

Ours, not Debian's: AddAndActivateConnection2, Update2, Checkpoint*, RequestScan that sets LastScan, activations that
take their time and can fail (wrong password, no address, not in reach), an access point that takes the radio.
Run by the system's python3: `python3 -m dbusmock --template THIS_FILE --parameters JSON`, where `worlds` is
{"ssid": {"password": "...", "dhcp": true, "hidden": false, "known": true}}.
"""
# mypy: ignore-errors

import dbus
import dbusmock
from dbusmock import MOCK_IFACE
from dbusmock.templates import networkmanager as stock
from dbusmock.templates.networkmanager import *
from gi.repository import GLib

BUS_NAME = stock.BUS_NAME
MAIN_OBJ = stock.MAIN_OBJ
SYSTEM_BUS = True
IS_OBJECT_MANAGER = True
CHECKPOINTS = "/org/freedesktop/NetworkManager/Checkpoint/"
STEP_MS = 30

world = {}  # ssid -> how it behaves
actives = {}  # path -> (profile, device, options)
checkpoints = {}  # path -> (profiles, profile in use, device, timer)
counter = [0]


def load(mock, parameters):
    stock.load(mock, parameters)
    world.update(parameters.get("worlds", {}))
    manager = dbusmock.get_object(stock.MANAGER_OBJ)
    manager.ours = globals()
    manager.AddMethods(
        stock.MANAGER_IFACE,
        [
            ("AddAndActivateConnection2", "a{sa{sv}}ooa{sv}", "ooa{sv}", "ret = self.ours['add_and_activate'](*args)"),
            ("ActivateConnection", "ooo", "o", "ret = self.ours['activate'](args[0], args[1], {})"),
            ("DeactivateConnection", "o", "", "self.ours['deactivate'](args[0])"),
            ("CheckpointCreate", "aouu", "o", "ret = self.ours['create_checkpoint'](*args)"),
            ("CheckpointDestroy", "o", "", "self.ours['destroy_checkpoint'](args[0])"),
            ("CheckpointRollback", "o", "a{su}", "ret = self.ours['roll_back'](args[0])"),
        ],
    )


@dbus.service.method(MOCK_IFACE, in_signature="s", out_signature="")
def Complete(self, device):
    """Gives a stock device what it lacks."""
    obj = dbusmock.get_object(device)
    for name in ("Ip4Config", "Ip6Config"):
        obj.AddProperties(stock.DEVICE_IFACE, {name: dbus.ObjectPath("/")})
    if obj.Get(stock.DEVICE_IFACE, "DeviceType") != 2:
        return
    obj.AddProperties(
        stock.WIRELESS_DEVICE_IFACE, {"LastScan": dbus.Int64(-1), "ActiveAccessPoint": dbus.ObjectPath("/")}
    )
    obj.ours = globals()
    obj.AddMethods(stock.WIRELESS_DEVICE_IFACE, [("RequestScan", "a{sv}", "", "self.ours['scan'](self, args[0])")])
    for ssid, behaviour in world.items():
        if behaviour.get("known"):
            add_profile(
                {
                    "connection": {"id": ssid, "type": "802-11-wireless"},
                    "802-11-wireless": {"ssid": dbus.ByteArray(ssid.encode()), "mode": "infrastructure"},
                }
            )


@dbus.service.method(MOCK_IFACE, in_signature="ss", out_signature="")
def Behave(self, ssid, what):
    """`what`: a JSON object for one network, or nothing to take it away."""
    import json

    world.pop(str(ssid), None)
    if what:
        world[str(ssid)] = json.loads(what)


@dbus.service.method(MOCK_IFACE, in_signature="ssayu", out_signature="s")
def AddRawAccessPoint(self, device, name, ssid, rsn):
    """With any bytes as its SSID, and RsnFlags alone (the stock one has text, and WpaFlags too)."""
    path = self.AddAccessPoint(device, name, name, "00:11:22:33:44:55", 2, 2412, 54000, 40, rsn)
    obj = dbusmock.get_object(path)
    obj.Set(stock.ACCESS_POINT_IFACE, "Ssid", dbus.ByteArray(bytes(ssid)))
    obj.Set(stock.ACCESS_POINT_IFACE, "WpaFlags", dbus.UInt32(0))
    return path


def scan(device, options):
    if device.Get(stock.WIRELESS_DEVICE_IFACE, "Mode") == 3:
        raise dbus.exceptions.DBusException("Scanning not allowed", name=stock.DEVICE_IFACE + ".NotAllowed")
    for ssid in options.get("ssids", []):
        name = bytes(ssid).decode()
        if world.get(name, {}).get("hidden") and not find_access_point(device, bytes(ssid)):
            stock_manager().AddAccessPoint(
                device.path, f"hidden{next_number()}", name, "02:00:00:00:00:09", 2, 2412, 54000, 33, 0x100
            )
    GLib.timeout_add(STEP_MS, done_scanning, device)


def done_scanning(device):
    now_ms = int(GLib.get_monotonic_time() / 1000)
    device.Set(stock.WIRELESS_DEVICE_IFACE, "LastScan", dbus.Int64(now_ms))
    if device.Get(stock.DEVICE_IFACE, "ActiveConnection") == "/":
        join_known(device)
    return False


def join_known(device):
    """As NetworkManager does by itself."""
    for path in profiles():
        profile = dbusmock.get_object(path)
        ssid = bytes(profile.settings.get("802-11-wireless", {}).get("ssid", b""))
        if profile.settings["connection"]["autoconnect"] and ssid and find_access_point(device, ssid):
            return activate(path, device.path, {})
    return None


def stock_manager():
    return dbusmock.get_object(stock.MAIN_OBJ)


def next_number():
    counter[0] += 1
    return counter[0]


def find_access_point(device, ssid):
    for path in device.access_points:
        if bytes(dbusmock.get_object(path).Get(stock.ACCESS_POINT_IFACE, "Ssid")) == ssid:
            return path
    return None


def add_profile(settings):
    settings = {section: dict(values) for section, values in settings.items()}
    joins = settings["connection"].pop("autoconnect", True)
    path = dbusmock.get_object(stock.SETTINGS_OBJ).SettingsAddConnection(settings)
    profile = dbusmock.get_object(path)
    profile.settings["connection"]["autoconnect"] = dbus.Boolean(joins)
    profile.ours = globals()
    profile.AddMethods(
        stock.CSETTINGS_IFACE, [("Update2", "a{sa{sv}}ua{sv}", "a{sv}", "ret = self.ours['update'](self, *args)")]
    )
    return path


def update(profile, settings, flags, _options):
    assert not settings, "only saving is done here"
    profile.Set(stock.CSETTINGS_IFACE, "Unsaved", dbus.Boolean(not flags & 1))
    return dbus.Dictionary({}, signature="sv")


def add_and_activate(settings, device, _specific, options):
    path = add_profile(settings)
    dbusmock.get_object(path).Set(stock.CSETTINGS_IFACE, "Unsaved", dbus.Boolean(True))
    return dbus.ObjectPath(path), activate(path, device, options), dbus.Dictionary({}, signature="sv")


def activate(profile_path, device_path, options):
    device, profile = dbusmock.get_object(device_path), dbusmock.get_object(profile_path)
    before = device.Get(stock.DEVICE_IFACE, "ActiveConnection")
    if before != "/":
        end(before, 3)
    connection = profile.settings["connection"]
    path = dbus.ObjectPath(f"/org/freedesktop/NetworkManager/ActiveConnection/{next_number()}")
    root = stock_manager()
    root.AddObject(
        path,
        stock.ACTIVE_CONNECTION_IFACE,
        {
            "Connection": dbus.ObjectPath(profile_path),
            "Uuid": dbus.String(connection["uuid"]),
            "Id": dbus.String(connection["id"]),
            "Type": dbus.String(connection["type"]),
            "State": dbus.UInt32(1),
            "Devices": dbus.Array([dbus.ObjectPath(device_path)], signature="o"),
        },
        [],
    )
    actives[path] = (profile_path, device_path, dict(options))
    device.Set(stock.DEVICE_IFACE, "ActiveConnection", path)
    wifi = profile.settings.get("802-11-wireless", {})
    states = [(40, 0), (50, 0), *outcome(device, profile.settings, wifi)]
    GLib.timeout_add(STEP_MS, walk, path, device, states)
    return path


def outcome(device, settings, wifi):
    """(device state, reason) after the first two."""
    if wifi.get("mode") == "ap":
        return [(70, 0), (100, 0)]
    name = bytes(wifi.get("ssid", b"")).decode("utf-8", "replace")
    behaviour = world.get(name, {}) if wifi else {}
    if wifi and find_access_point(device, bytes(wifi["ssid"])) is None:
        return [(120, 53)]
    given = settings.get("802-11-wireless-security", {}).get("psk")
    if behaviour.get("password", given) != given:
        return [(60, 0), (120, 7)]
    if not behaviour.get("dhcp", True) and settings["ipv4"]["method"] == "auto":
        return [(70, 0), (120, 5)]
    return [(70, 0), (100, 0)]


def walk(path, device, states):
    if path not in actives:
        return False
    state, reason = states.pop(0)
    move(device, state, reason)
    if state == 100:
        up(path, device)
    if state == 120:
        end(path, 9 if reason == 7 else 0)
    return bool(states) and state < 100


def up(path, device):
    profile = dbusmock.get_object(actives[path][0])
    wifi = profile.settings.get("802-11-wireless", {})
    manual = profile.settings.get("ipv4", {}).get("address-data")
    entry = manual[0] if manual else {"address": "192.0.2.77", "prefix": dbus.UInt32(24)}
    config = f"/org/freedesktop/NetworkManager/IP4Config/{next_number()}"
    stock_manager().AddObject(
        config,
        stock.MANAGER_IFACE + ".IP4Config",
        {
            "AddressData": dbus.Array([dbus.Dictionary(entry, signature="sv")], signature="a{sv}"),
            "Gateway": dbus.String("192.0.2.1"),
            "NameserverData": dbus.Array([], signature="a{sv}"),
        },
        [],
    )
    device.Set(stock.DEVICE_IFACE, "Ip4Config", dbus.ObjectPath(config))
    if wifi:
        device.Set(stock.WIRELESS_DEVICE_IFACE, "Mode", dbus.UInt32(3 if wifi.get("mode") == "ap" else 2))
        access_point = find_access_point(device, bytes(wifi["ssid"])) or "/"
        device.Set(stock.WIRELESS_DEVICE_IFACE, "ActiveAccessPoint", dbus.ObjectPath(access_point))
    tell(path, 2, 1)


def move(device, state, reason):
    old = device.Get(stock.DEVICE_IFACE, "State")
    device.Set(stock.DEVICE_IFACE, "State", dbus.UInt32(state))
    device.EmitSignal(
        stock.DEVICE_IFACE, "StateChanged", "uuu", [dbus.UInt32(state), dbus.UInt32(old), dbus.UInt32(reason)]
    )


def tell(path, state, reason):
    obj = dbusmock.get_object(path)
    obj.Set(stock.ACTIVE_CONNECTION_IFACE, "State", dbus.UInt32(state))
    obj.EmitSignal(stock.ACTIVE_CONNECTION_IFACE, "StateChanged", "uu", [dbus.UInt32(state), dbus.UInt32(reason)])


def deactivate(path):
    if path not in actives:
        raise dbus.exceptions.DBusException("not active", name=stock.MANAGER_IFACE + ".ConnectionNotActive")
    end(path, 2)


def end(path, reason):
    profile_path, device_path, options = actives.pop(path)
    device = dbusmock.get_object(device_path)
    tell(path, 4, reason)
    device.Set(stock.DEVICE_IFACE, "ActiveConnection", dbus.ObjectPath("/"))
    device.Set(stock.DEVICE_IFACE, "Ip4Config", dbus.ObjectPath("/"))
    if "802-11-wireless" in dbusmock.get_object(profile_path).settings:
        device.Set(stock.WIRELESS_DEVICE_IFACE, "Mode", dbus.UInt32(2))
    stock_manager().RemoveObject(path)
    if options.get("persist") == "volatile":
        dbusmock.get_object(profile_path).ConnectionDelete(dbusmock.get_object(profile_path))
    move(device, 30, 0)
    if actives.get(device.Get(stock.DEVICE_IFACE, "ActiveConnection")) is None and reason == 2:
        GLib.timeout_add(10 * STEP_MS, done_scanning, device)


def uuid_of(profile):
    return str(dbusmock.get_object(profile).settings["connection"]["uuid"])


def profiles():
    return [str(path) for path in dbusmock.get_object(stock.SETTINGS_OBJ).ListConnections()]


def create_checkpoint(devices, timeout_s, flags):
    assert flags & 0x2, "what is new has to go after a roll-back"
    assert not flags & 0x4, "DISCONNECT_NEW_DEVICES goes with an empty list of devices only"
    path = dbus.ObjectPath(CHECKPOINTS + str(next_number()))
    active = dbusmock.get_object(devices[0]).Get(stock.DEVICE_IFACE, "ActiveConnection")
    kept = actives.get(active)
    if kept is not None and kept[2].get("persist") == "volatile":
        settings = dict(dbusmock.get_object(kept[0]).settings)
    else:
        settings = None
    timer = GLib.timeout_add(timeout_s * 1000, lambda: roll_back(path) and False)
    checkpoints[path] = ([uuid_of(profile) for profile in profiles()], active, kept, settings, str(devices[0]), timer)
    return path


def destroy_checkpoint(path):
    if path not in checkpoints:
        raise dbus.exceptions.DBusException("no such checkpoint", name=stock.MANAGER_IFACE + ".InvalidArguments")
    GLib.source_remove(checkpoints.pop(path)[-1])


def roll_back(path):
    before, was_active, kept, settings, device, timer = checkpoints.pop(path)
    GLib.source_remove(timer)
    active = dbusmock.get_object(device).Get(stock.DEVICE_IFACE, "ActiveConnection")
    if active in actives and active != was_active:
        end(active, 0)
    for profile in profiles():
        if uuid_of(profile) not in before:
            dbusmock.get_object(profile).ConnectionDelete(dbusmock.get_object(profile))
    now = dbusmock.get_object(device).Get(stock.DEVICE_IFACE, "ActiveConnection")
    if kept is not None and now == "/":
        profile = add_profile(settings) if settings is not None else kept[0]
        activate(profile, device, kept[2])
    return dbus.Dictionary({device: dbus.UInt32(0)}, signature="su")
