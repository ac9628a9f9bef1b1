from __future__ import annotations

from appliance.config import Config, parse
from appliance.neighbors import Neighbors, announcement
from appliance.serving import Listener


def has_mdns(text: str, *, is_demo: bool = False) -> bool:
    listener = Listener("127.0.0.1", 0)
    try:
        neighbors = Neighbors(lambda: parse(text, "unit.toml"), listener, lambda: "", is_demo=is_demo)
    finally:
        listener.close()
    assert len(neighbors.children()) == int(neighbors.mdns is not None)
    return neighbors.mdns is not None


def test_who_is_announced() -> None:
    assert has_mdns("")
    assert has_mdns('[web]\nhost = "192.0.2.7"\n')
    assert has_mdns('[web]\nhost = "::"\n')
    assert not has_mdns("[network]\nmdns = false\n")
    assert not has_mdns("", is_demo=True)
    for host in ("127.0.0.1", "::1", "localhost"):
        assert not has_mdns(f'[web]\nhost = "{host}"\n'), "nobody else can reach it"


def test_what_is_announced() -> None:
    told = announcement(Config(), 8080, "AB:CD", "id")
    assert (told.name, told.port, told.is_tls, told.room, told.hub_path) == (
        *("Room appliance", 8080, True, "lobby"),
        "/hub/ws",
    )
    told = announcement(parse('[hub]\nenabled = false\n[room]\nurl = "ws://192.0.2.1/hub/ws"\n', "x"), 80, "", "id")
    assert (told.room, told.hub_path) == ("", ""), "only one's own hub is announced"
