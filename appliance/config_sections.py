"""The tables of the configuration: each struct is one, every key optional.

Each annotation carries the range, the unit and the help of its key (`config_schema`).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from appliance.display_night import PATTERN as NIGHT

_PRINTABLE = r"^[^\x00-\x1f\x7f]*\Z"
_HOST = r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_Pin = Annotated[int, Meta(ge=0, le=27)]
_LATER = {"later": True}  # checked today, used by a later version
_Line = Annotated[str, Meta(max_length=256, pattern=_PRINTABLE)]
_UserId = Annotated[
    str, Meta(min_length=1, max_length=64, pattern=_PRINTABLE, extra={"allowed": "a user id of 1 to 64 characters"})
]
_Address = Annotated[
    str, Meta(max_length=64, pattern=r"^[0-9A-Fa-f.:]+\Z", extra={"allowed": "an IP address in quotes"})
]
_HostName = Annotated[
    str,
    Meta(
        max_length=253, pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\Z", extra={"allowed": "a DNS name in quotes"}
    ),
]
_StunUrl = Annotated[str, Meta(max_length=256, pattern=rf"^stuns?:{_HOST}\Z", extra={"allowed": '"stun:HOST:PORT"'})]
_TurnUrl = Annotated[
    str,
    Meta(
        max_length=256,
        pattern=rf"^turns?:{_HOST}(?:\?transport=(?:udp|tcp))?\Z",
        extra={"allowed": '"turn:HOST:PORT", with "?transport=udp" or "?transport=tcp" behind it or not'},
    ),
]

_RelayHost = Annotated[
    str,
    Meta(
        max_length=253,
        pattern=r"^(?:\*|[A-Za-z0-9.-]+|[0-9A-Fa-f.:]+(?:/[0-9]{1,3})?)\Z",
        extra={"allowed": 'a host name, an address, a network ("192.168.1.0/24") or "*"'},
    ),
]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is not named in it is refused."""


class Device(Section, frozen=True):
    name: Annotated[
        str, Meta(min_length=1, max_length=64, pattern=_PRINTABLE, description="What others call this unit.")
    ] = "Room appliance"


class Room(Section, frozen=True):
    url: Annotated[
        str,
        Meta(
            max_length=512,
            pattern=rf"^(?:hub:|wss?://{_HOST}(?:/[!-~]*)?)\Z",
            description="The hub to join: this unit's own, or another one by its address.",
            extra={"allowed": '"hub:", "ws://HOST:PORT" or "wss://HOST:PORT"'},
        ),
    ] = "hub:"
    room: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=64,
            pattern=r"^[A-Za-z0-9._~-]+\Z",
            description="The room to join.",
            extra={"allowed": "1 to 64 of the characters A-Z a-z 0-9 . _ ~ -"},
        ),
    ] = "lobby"
    user: Annotated[
        str, Meta(max_length=64, pattern=_PRINTABLE, description="User id in the room; empty: the hub gives one.")
    ] = ""
    token: Annotated[
        str,
        Meta(
            max_length=4096,
            pattern=r"^[!-~]*\Z",
            description="Room token for another unit's hub, as `room-appliance token` prints it.",
            extra={"secret": True, "allowed": "a token of at most 4096 characters"},
        ),
    ] = ""
    fingerprint: Annotated[
        str,
        Meta(
            pattern=r"^([0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31})?\Z",
            description="Trust a wss:// hub with this key and no other; the unit there says it at start.",
            extra={"allowed": 'a SHA-256 fingerprint, 32 pairs of hex digits with ":" between them, or empty'},
        ),
    ] = ""
    encryption: Annotated[
        Literal["none", "aes-128-gcm", "sm4-128-ecb"],
        Meta(
            description="Of sound and pictures from end to end; everybody in the room needs the same one and the same "
            "`encryption_secret`. sm4-128-ecb is weak, and browsers cannot join it."
        ),
    ] = "none"
    encryption_secret: Annotated[
        str,
        Meta(
            max_length=128,
            pattern=r"^[ -~]*\Z",
            description="Who knows it hears and sees the room: take a long one. The hub never gets it.",
            extra={"secret": True, "allowed": "at most 128 characters of ASCII"},
        ),
    ] = ""
    auto_join: Annotated[bool, Meta(description="Join at start.")] = True
    profile: Annotated[Literal["rtc", "live"], Meta(description="live: only hosts are heard and seen.")] = "rtc"

    @property
    def is_own(self) -> bool:
        """It is in this unit's own hub."""
        return self.url == "hub:"


class Audio(Section, frozen=True):
    driver: Annotated[
        Literal["alsa", "auto", "mock", "file", "none"],
        Meta(
            description="auto: ALSA where it is installed, a USB card before others. "
            "mock: a synthetic voice and a speaker that only shows its level."
        ),
    ] = "alsa"
    device: Annotated[
        _Line, Meta(description='ALSA name of the microphone; "usb": the first USB card that has one.')
    ] = "default"
    speaker: Annotated[_Line, Meta(description='ALSA name of the speaker, or "usb"; empty: the same as `device`.')] = ""
    microphone_volume: Annotated[
        int, Meta(ge=-1, le=100, description="On the card's mixer, of its range; -1: as it is.", extra={"unit": "%"})
    ] = -1
    speaker_volume: Annotated[
        int, Meta(ge=-1, le=100, description="On the card's mixer, of its range; -1: as it is.", extra={"unit": "%"})
    ] = -1
    microphone_file: Annotated[
        _Line, Meta(description='Media file that plays as the microphone with driver "file".')
    ] = ""
    auto_switch: Annotated[
        bool, Meta(description="When the microphone or speaker is lost, take another sound card in its place.")
    ] = False
    duplex: Annotated[
        Literal["full", "half", "push-to-talk"],
        Meta(
            description="full: both ends talk at once. half: one end at a time, whoever talks first. push-to-talk: "
            "the microphone is open while the mute button is held, and the speaker is silent for so long."
        ),
    ] = "full"
    echo_cancellation: Annotated[
        bool,
        Meta(description="Take the speaker's sound out of the microphone's; where that fails, one end at a time."),
    ] = True
    noise_suppression: Annotated[int, Meta(ge=0, le=3, description="Strength; 0: off.")] = 1
    gain_control: Annotated[bool, Meta(description="Bring quiet and loud voices to one level.")] = True
    low_delay: Annotated[
        bool,
        Meta(
            description="Packets of 10 ms in place of 20 where every link has room: heard 10 ms sooner, for twice the "
            "packets and two thirds more on the network."
        ),
    ] = True


class Video(Section, frozen=True):
    driver: Annotated[
        Literal["auto", "picamera2", "v4l2", "mock", "file", "none"],
        Meta(
            description="auto: the camera on a Raspberry Pi's camera port, else the first USB camera or HDMI bridge. "
            "mock: a moving picture with a clock."
        ),
    ] = "auto"
    device: Annotated[
        _Line,
        Meta(
            description='Video device with driver "v4l2" ("/dev/video0"), part of libcamera\'s camera id with '
            '"picamera2"; empty: the first.'
        ),
    ] = ""
    camera_file: Annotated[_Line, Meta(description='Media file to play as the camera with driver "file".')] = ""
    width: Annotated[int, Meta(ge=160, le=1920, multiple_of=2, description="Width.", extra={"unit": "pixels"})] = 1280
    height: Annotated[int, Meta(ge=90, le=1080, multiple_of=2, description="Height.", extra={"unit": "pixels"})] = 720
    fps: Annotated[int, Meta(ge=1, le=60, description="Pictures a second.", extra={"unit": "1/s"})] = 30
    rotation: Annotated[
        int, Meta(ge=0, le=270, multiple_of=90, description="Turns the picture clockwise.", extra={"unit": "degrees"})
    ] = 0
    mirror: Annotated[bool, Meta(description="Swaps left and right.")] = False
    encoder: Annotated[
        Literal["auto", "hardware", "software"],
        Meta(
            description="auto: the H.264 of the Pi or of the camera, where it can be asked for key frames. hardware: "
            "that of the camera in any case; mock and file cameras play one. software: never."
        ),
    ] = "auto"
    codec: Annotated[Literal["h264", "vp8"], Meta(description="Offered first; the far side may choose the other.")] = (
        "h264"
    )
    auto_switch: Annotated[
        bool, Meta(description="When the camera is lost, take another V4L2 camera in its place.")
    ] = False
    low_layer: Annotated[
        bool,
        Meta(
            description="Encode a small picture (about 320 x 180) as well while somebody asks for it: a far side that "
            "shows many, or has a slow link."
        ),
    ] = True

    @property
    def picture_size(self) -> tuple[int, int]:
        """Width and height of what the camera delivers, turned as it is."""
        return (self.height, self.width) if self.rotation in (90, 270) else (self.width, self.height)


class Gpio(Section, frozen=True):
    driver: Annotated[
        Literal["auto", "gpiozero", "mock", "none"],
        Meta(description="auto: gpiozero on a Raspberry Pi, else none. mock: the virtual front panel at /panel."),
    ] = "auto"
    mute_button: Annotated[_Pin, Meta(description="BCM pin; 0: not connected.")] = 17
    call_button: Annotated[_Pin, Meta(description="BCM pin; 0: not connected.")] = 22
    mute_led: Annotated[_Pin, Meta(description="BCM pin; 0: not connected.")] = 27
    connection_led: Annotated[_Pin, Meta(description="BCM pin; 0: not connected.")] = 5
    quality_leds: Annotated[tuple[_Pin, ...], Meta(max_length=5, description="BCM pins of the bar, best first.")] = (
        6,
        13,
        19,
    )
    rgb_led: Annotated[
        tuple[_Pin, ...],
        Meta(max_length=3, description="BCM pins of red, green and blue of one LED instead of the single ones."),
    ] = ()
    leds_active_low: Annotated[bool, Meta(description="LEDs light when their pin is low (common anode).")] = False


class Panel(Section, frozen=True):
    port: Annotated[
        _Line, Meta(description='Serial port of a front panel that replaces GPIO, "/dev/serial0"; empty: none.')
    ] = ""


class Display(Section, frozen=True):
    driver: Annotated[
        Literal["auto", "sdl", "none"],
        Meta(description="auto: a screen where one is connected. sdl: also where none is found at first."),
    ] = "auto"
    layout: Annotated[
        Literal["auto", "grid", "speaker"],
        Meta(description="auto: up to four side by side, else who speaks is large. speaker: always so."),
    ] = "auto"
    idle: Annotated[Literal["clock", "dark"], Meta(description="What it shows while nobody else is in the room.")] = (
        "clock"
    )
    night: Annotated[
        str,
        Meta(
            pattern=NIGHT,
            description="When it is dark unless somebody else is in the room or rings, local time; empty: never.",
            extra={"allowed": 'a time such as "22:00-06:30", or empty'},
        ),
    ] = ""
    fullscreen: Annotated[bool, Meta(description="On a desktop: the whole screen instead of a window.")] = False

    @property
    def is_required(self) -> bool:
        """A unit whose screen was asked for is not well without it."""
        return self.driver != "auto"


class Screen(Section, frozen=True):
    source: Annotated[
        _Line,
        Meta(
            description="What is shared beside the camera: an HDMI bridge (/dev/videoN), a media file, or a directory "
            "of pictures; empty: nothing."
        ),
    ] = ""
    share: Annotated[bool, Meta(description="Share it whenever the unit is in a room; else when somebody asks.")] = True
    width: Annotated[
        int, Meta(ge=160, le=1920, multiple_of=2, description="Of what is shared.", extra={"unit": "pixels"})
    ] = 1920
    height: Annotated[
        int, Meta(ge=120, le=1080, multiple_of=2, description="Of what is shared.", extra={"unit": "pixels"})
    ] = 1080
    fps: Annotated[int, Meta(ge=1, le=30, description="Pictures a second.", extra={"unit": "1/s"})] = 15
    slide_s: Annotated[
        int, Meta(ge=1, le=3600, description="How long each picture of a directory stands.", extra={"unit": "s"})
    ] = 10


class Wifi(Section, frozen=True):
    setup_network: Annotated[
        Literal["auto", "off"],
        Meta(
            description="auto: open a set-up network while no known one is in reach. "
            "off: only when both buttons are held for 5 s."
        ),
    ] = "auto"
    country: Annotated[
        str,
        Meta(
            pattern=r"^(?:[A-Z]{2})?\Z",
            description="Country whose radio rules hold, by its code in ISO 3166; empty: as the system has it.",
            extra={"allowed": 'two capital letters, such as "DE", or empty'},
        ),
    ] = ""
    improv_port: Annotated[
        _Line,
        Meta(
            description="Serial port on which a browser at the other end of a USB cable sets the unit up (Improv); "
            "not there: no matter; empty: never."
        ),
    ] = "/dev/ttyGS0"


class Network(Section, frozen=True):
    ice_addresses: Annotated[
        tuple[_Address, ...], Meta(max_length=16, description="Own addresses that media may use; empty: all.")
    ] = ()
    mdns: Annotated[
        bool, Meta(description="Announce the page and the hub on the local network, and find other hubs.")
    ] = True


class Web(Section, frozen=True):
    host: Annotated[
        str,
        Meta(
            max_length=253,
            pattern=r"^[A-Za-z0-9_.:-]+\Z",
            description="Address to listen on.",
            extra={"allowed": 'an IP address or host name, such as "0.0.0.0" or "127.0.0.1"'},
        ),
    ] = "0.0.0.0"
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; 0: any free one.")] = 8080
    tls: Annotated[
        Literal["self-signed", "own", "off"],
        Meta(
            description="Browsers give camera and microphone only to https and to localhost. "
            "own: with `certificate` and `key`."
        ),
    ] = "self-signed"
    certificate: Annotated[
        _Line,
        Meta(description='File with the certificate and its chain in PEM, for tls "own"; a renewed one is taken over.'),
    ] = ""
    key: Annotated[_Line, Meta(description="File with the certificate's private key in PEM.")] = ""
    host_names: Annotated[
        tuple[_HostName, ...],
        Meta(max_length=8, description="Further names that this unit answers to, beside its own and its addresses."),
    ] = ()


class Hub(Section, frozen=True):
    enabled: Annotated[bool, Meta(description="Serve rooms to others.")] = True
    media: Annotated[Literal["mesh"], Meta(description="How media travels between members.", extra=_LATER)] = "mesh"
    video_codec: Annotated[
        Literal["any", "h264", "vp8"],
        Meta(description="What video is sent as in the hub's rooms; who has none of it is warned."),
    ] = "any"
    room_capacity: Annotated[int, Meta(ge=2, le=32, description="Members a room.")] = 8
    max_connections: Annotated[int, Meta(ge=16, le=8192, description="Clients of the hub at once.")] = 512
    max_connections_per_address: Annotated[
        int, Meta(ge=4, le=8192, description="Of these from one address; a whole office may stand behind one.")
    ] = 64
    duplicate_login: Annotated[
        Literal["evict_old", "reject_new"], Meta(description="When a user id logs in a second time.")
    ] = "evict_old"
    secure: Annotated[bool, Meta(description="Nobody enters without a room token.")] = True
    token_ttl: Annotated[
        int,
        Meta(ge=60, le=31_536_000, description="How long a new room token is good.", extra={"unit": "s"}),
    ] = 86_400
    admin: Annotated[bool, Meta(description="Serve the admin API at /admin, behind an API token.")] = True
    ice_servers: Annotated[tuple[_StunUrl, ...], Meta(max_length=8, description="STUN servers for all members.")] = ()
    turn_urls: Annotated[
        tuple[_TurnUrl, ...], Meta(max_length=8, description="TURN servers that share `turn_secret`.")
    ] = ()
    turn_secret: Annotated[
        str,
        Meta(
            max_length=256,
            pattern=_PRINTABLE,
            description="coturn's static-auth-secret; members get credentials that expire.",
            extra={"secret": True},
        ),
    ] = ""
    relay: Annotated[
        Literal["off", "moderators", "hosts"],
        Meta(description="Who may push a live room to an RTMP server, or record it."),
    ] = "moderators"
    relay_hosts: Annotated[
        tuple[_RelayHost, ...],
        Meta(
            max_length=32,
            description="The only servers to push to, one in the own network too; empty: any with a public address. "
            '"*": any at all.',
        ),
    ] = ()
    relay_tasks: Annotated[int, Meta(ge=1, le=16, description="Pushed or recorded at once, of all rooms together.")] = 3
    recordings_mb: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Space for recordings of live rooms, the oldest go first; 0: none are made.",
            extra={"unit": "MB"},
        ),
    ] = 2048
    recordings_days: Annotated[
        int, Meta(ge=1, le=3650, description="How long a recording is kept.", extra={"unit": "days"})
    ] = 30


class Call(Section, frozen=True):
    peers: Annotated[
        tuple[_UserId, ...],
        Meta(max_length=16, description="User ids that the call button rings; the first to answer is spoken to."),
    ] = ()
    room: Annotated[
        str,
        Meta(
            max_length=64,
            pattern=r"^[A-Za-z0-9._~-]*\Z",
            description="Room in which own calls take place; empty: the unit's own.",
            extra={"allowed": "at most 64 of the characters A-Z a-z 0-9 . _ ~ -"},
        ),
    ] = ""
    auto_answer: Annotated[
        tuple[_UserId, ...],
        Meta(max_length=64, description='User ids whose calls are answered at once, after a tone; "*": everybody\'s.'),
    ] = ()
    do_not_disturb: Annotated[bool, Meta(description="Nobody rings here; their calls count as missed.")] = False
    ring_s: Annotated[int, Meta(ge=5, le=60, description="How long it rings.", extra={"unit": "s"})] = 60
    ring_volume: Annotated[
        int, Meta(ge=0, le=100, description="Of the ring and the other tones.", extra={"unit": "%"})
    ] = 80


class Mqtt(Section, frozen=True):
    url: Annotated[
        str,
        Meta(
            max_length=512,
            pattern=rf"^(?:|mqtts?://(?:[^/@\s]+@)?{_HOST}/?)\Z",
            description="Broker; empty: none.",
            extra={
                **_LATER,
                "secret": True,
                "allowed": '"mqtt://HOST:PORT", "mqtts://HOST:PORT" or empty',
            },  # may hold a password
        ),
    ] = ""
    discovery_prefix: Annotated[
        str,
        Meta(
            max_length=64,
            pattern=r"^[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*\Z",
            description="Home Assistant's discovery topic.",
            extra={**_LATER, "allowed": "a topic of the characters A-Z a-z 0-9 _ - /"},
        ),
    ] = "homeassistant"
