from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from appliance.link_watch import GONE_S, SETTLE_S, LinkWatch, Network, NetworkNews
from hw.netlink import AddressChange, Change, LinkChange, RouteChange, netlink_socket
from tests.integration.netns import Namespace, cable

UP, DOWN = LinkChange(2, True), LinkChange(2, False)
ADDRESS, NO_ADDRESS = AddressChange(2, "10.0.0.7", True), AddressChange(2, "10.0.0.7", False)
ROUTE, NO_ROUTE = RouteChange("0.0.0.0/0", "10.0.0.1", 2, True), RouteChange("0.0.0.0/0", "10.0.0.1", 2, False)
BACK = NetworkNews(back=True)


def told(network: Network, *changes: Change, at_s: float) -> NetworkNews | None:
    """Take the changes and wait until they have settled."""
    network.take(changes, at_s)
    return network.news(at_s + SETTLE_S)


@pytest.mark.parametrize(("there", "gone"), [(UP, DOWN), (ADDRESS, NO_ADDRESS), (ROUTE, NO_ROUTE)])
def test_what_comes_back_is_news_and_what_is_repeated_is_none(there: Change, gone: Change) -> None:
    network = Network()
    assert told(network, there, at_s=0) == BACK
    assert told(network, there, at_s=10) is None
    assert told(network, gone, there, at_s=20) == BACK
    assert network.due_s() is None


def test_what_comes_together_is_told_once_it_has_settled() -> None:
    network = Network()
    network.take([UP, ADDRESS], 5.0)
    network.take([ROUTE], 5.0 + SETTLE_S / 2)
    assert network.due_s() == 5.0 + SETTLE_S
    assert network.news(5.0 + SETTLE_S / 2) is None
    assert network.news(5.0 + SETTLE_S) == BACK
    assert network.news(6.0) is None


def test_an_address_is_gone_when_it_stays_away() -> None:
    network = Network()
    told(network, ADDRESS, at_s=0)
    network.take([NO_ADDRESS], 10)
    assert network.news(10 + GONE_S / 2) is None
    network.take([ADDRESS], 10 + GONE_S / 2)  # a lease taken anew
    assert network.news(10 + GONE_S) == BACK
    network.take([NO_ADDRESS], 20)
    assert network.due_s() == 20 + GONE_S
    assert network.news(20 + GONE_S) == NetworkNews(gone=frozenset({"10.0.0.7"}))
    assert network.news(30) is None


def test_links_that_have_gone_leave_nothing_behind() -> None:
    network = Network()
    for index in range(1000):
        network.take([LinkChange(index, True), LinkChange(index, False)], float(index))
        network.news(index + SETTLE_S)
    assert not network._running


def test_after_missed_changes_anything_may_be_back() -> None:
    network = Network()
    told(network, UP, at_s=0)
    network.missed(10)
    assert network.news(10 + SETTLE_S) == BACK
    assert told(network, UP, at_s=20) == BACK


async def test_where_the_kernel_does_not_tell_the_watch_ends(caplog: pytest.LogCaptureFixture) -> None:
    def forbidden() -> socket.socket:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    await LinkWatch(lambda news: None, forbidden).run()
    assert "timers alone" in caplog.text


@asynccontextmanager
async def watched(end: Namespace) -> AsyncIterator[asyncio.Queue[NetworkNews]]:
    told: asyncio.Queue[NetworkNews] = asyncio.Queue()
    with end.inside():
        kernel = netlink_socket()
    watch = asyncio.create_task(LinkWatch(told.put_nowait, lambda: kernel).run(), name="link-watch")
    yield told
    watch.cancel()
    await asyncio.wait({watch})
    assert kernel.fileno() == -1


async def test_a_real_interface() -> None:
    async with cable() as (left, right), watched(left) as news, asyncio.timeout(10):
        while not news.empty():
            news.get_nowait()
        right.unplug()
        right.plug_in()
        assert (await news.get()).back
        left.move_to("10.77.0.99")
        back, gone = False, frozenset[str]()
        while not (back and "10.77.0.1" in gone):
            latest = await news.get()
            back, gone = back or latest.back, gone | latest.gone
