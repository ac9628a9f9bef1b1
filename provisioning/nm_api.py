"""NetworkManager's D-Bus API, as far as it is used here: names, signatures, numbers.

Source: its introspection files and `nm-dbus-interface.h` of version 1.42; tests compare the signatures with the files.
"""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.network import Connectivity

BUS_NAME = "org.freedesktop.NetworkManager"
ROOT_PATH = "/org/freedesktop"  # of the ObjectManager
PATH = "/org/freedesktop/NetworkManager"
SETTINGS_PATH = "/org/freedesktop/NetworkManager/Settings"
NO_OBJECT = "/"

NM = "org.freedesktop.NetworkManager"
DEVICE = f"{NM}.Device"
WIRELESS = f"{NM}.Device.Wireless"
WIRED = f"{NM}.Device.Wired"
ACCESS_POINT = f"{NM}.AccessPoint"
ACTIVE = f"{NM}.Connection.Active"
SETTINGS = f"{NM}.Settings"
PROFILE = f"{NM}.Settings.Connection"
IP4_CONFIG = f"{NM}.IP4Config"
IP6_CONFIG = f"{NM}.IP6Config"


@dataclass(frozen=True, slots=True)
class Method:
    interface: str
    name: str
    takes: str = ""
    gives: str = ""


ADD_AND_ACTIVATE = Method(NM, "AddAndActivateConnection2", "a{sa{sv}}ooa{sv}", "ooa{sv}")
DEACTIVATE = Method(NM, "DeactivateConnection", "o")
CHECK_CONNECTIVITY = Method(NM, "CheckConnectivity", "", "u")
CHECKPOINT_CREATE = Method(NM, "CheckpointCreate", "aouu", "o")
CHECKPOINT_DESTROY = Method(NM, "CheckpointDestroy", "o")
CHECKPOINT_ROLLBACK = Method(NM, "CheckpointRollback", "o", "a{su}")
REQUEST_SCAN = Method(WIRELESS, "RequestScan", "a{sv}")
GET_ALL_ACCESS_POINTS = Method(WIRELESS, "GetAllAccessPoints", "", "ao")
LIST_PROFILES = Method(SETTINGS, "ListConnections", "", "ao")
GET_SETTINGS = Method(PROFILE, "GetSettings", "", "a{sa{sv}}")
UPDATE = Method(PROFILE, "Update2", "a{sa{sv}}ua{sv}", "a{sv}")
DELETE = Method(PROFILE, "Delete")

METHODS = (
    ADD_AND_ACTIVATE,
    DEACTIVATE,
    CHECK_CONNECTIVITY,
    CHECKPOINT_CREATE,
    CHECKPOINT_DESTROY,
    CHECKPOINT_ROLLBACK,
    REQUEST_SCAN,
    GET_ALL_ACCESS_POINTS,
    LIST_PROFILES,
    GET_SETTINGS,
    UPDATE,
    DELETE,
)

PROPERTIES = {
    (NM, "Connectivity"): "u",
    (NM, "WirelessEnabled"): "b",
    (NM, "WirelessHardwareEnabled"): "b",
    (DEVICE, "DeviceType"): "u",
    (DEVICE, "State"): "u",
    (DEVICE, "Interface"): "s",
    (DEVICE, "ActiveConnection"): "o",
    (DEVICE, "Ip4Config"): "o",
    (DEVICE, "Ip6Config"): "o",
    (DEVICE, "Managed"): "b",
    (WIRELESS, "LastScan"): "x",
    (WIRELESS, "ActiveAccessPoint"): "o",
    (WIRELESS, "WirelessCapabilities"): "u",
    (ACCESS_POINT, "Ssid"): "ay",
    (ACCESS_POINT, "Strength"): "y",
    (ACCESS_POINT, "Flags"): "u",
    (ACCESS_POINT, "WpaFlags"): "u",
    (ACCESS_POINT, "RsnFlags"): "u",
    (ACTIVE, "Connection"): "o",
    (ACTIVE, "Uuid"): "s",
    (ACTIVE, "State"): "u",
    (IP4_CONFIG, "AddressData"): "aa{sv}",
    (IP4_CONFIG, "Gateway"): "s",
    (IP4_CONFIG, "NameserverData"): "aa{sv}",
    (IP6_CONFIG, "AddressData"): "aa{sv}",
    (IP6_CONFIG, "Gateway"): "s",
    (IP6_CONFIG, "Nameservers"): "aay",
}

SIGNALS = {
    (DEVICE, "StateChanged"): "uuu",  # new, old, reason
    (ACTIVE, "StateChanged"): "uu",  # state, reason
}

# NMDeviceType
ETHERNET_TYPE = 1
WIFI_TYPE = 2

# NMDeviceState
UNAVAILABLE = 20
DISCONNECTED = 30
PREPARE = 40
DEVICE_ACTIVATED = 100
DEVICE_FAILED = 120

# NMDeviceStateReason
IP_CONFIG_UNAVAILABLE = 5
IP_CONFIG_EXPIRED = 6
NO_SECRETS = 7
SUPPLICANT_DISCONNECT = 8
SUPPLICANT_CONFIG_FAILED = 9
SUPPLICANT_FAILED = 10
SUPPLICANT_TIMEOUT = 11
DHCP_START_FAILED = 15
DHCP_ERROR = 16
DHCP_FAILED = 17
SSID_NOT_FOUND = 53

# NMActiveConnectionState and the reasons that say more than the device's
ACTIVATED = 2
DEACTIVATED = 4
REASON_IP_CONFIG_INVALID = 5
REASON_CONNECT_TIMEOUT = 6
REASON_NO_SECRETS = 9

# NM80211ApFlags, NM80211ApSecurityFlags
PRIVACY = 0x1
KEY_PSK = 0x100
KEY_802_1X = 0x200
KEY_SAE = 0x400
KEY_OWE = 0x800
KEY_OWE_TRANSITION = 0x1000
KEY_EAP_SUITE_B_192 = 0x2000

CAPABLE_OF_ACCESS_POINT = 0x40  # NMDeviceWifiCapabilities

CONNECTIVITY: tuple[Connectivity, ...] = ("unknown", "none", "portal", "limited", "full")  # NMConnectivityState

# NMCheckpointCreateFlags: of an older one nothing is left, and new profiles are gone after a roll-back
CHECKPOINT_FLAGS = 0x1 | 0x2  # DESTROY_ALL, DELETE_NEW_CONNECTIONS
UPDATE_TO_DISK = 0x1  # NMSettingsUpdate2Flags
