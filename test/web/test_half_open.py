"""Offers to watch that come from anybody: whom the server calls, whose places they take."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from web_fixture import SIZE_PX, TIMEOUT_S, Browser, WebFixture, run_with_server

from avatar_forcing_ros.web.access import Access, trusted_networks
from avatar_forcing_ros.web.half_open import MAX_PER_VISITOR

TOKEN = "a-token-of-enough-characters"
WITH_TOKEN = {"Authorization": f"Bearer {TOKEN}"}
OPEN = Access(False, TOKEN, open_to_viewers=True, trusted_proxies=trusted_networks("127.0.0.1"))
LAST_CANDIDATE = "a=end-of-candidates"


class Victim(asyncio.DatagramProtocol):
    """A socket that has nothing to do with it; `called` is set by the first packet."""

    def __init__(self) -> None:
        self.called = asyncio.Event()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.called.set()


async def offer(browser: Browser, fixture: WebFixture, **more: Any) -> int:
    """The status of an offer to watch of which nothing comes."""
    await browser.connection.setLocalDescription(await browser.connection.createOffer())
    sdp = more.pop("change", str)(browser.connection.localDescription.sdp)
    return (await fixture.post("/api/join", json={"sdp": sdp, "role": "viewer"}, **more))[0]


def test_nothing_is_sent_to_addresses_that_a_stranger_names() -> None:
    async def ask(fixture: WebFixture) -> None:
        loop = asyncio.get_running_loop()
        transport, victim = await loop.create_datagram_endpoint(
            Victim, local_addr=("127.0.0.1", 0)
        )
        port = transport.get_extra_info("sockname")[1]
        named = f"a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host"

        def name_it(sdp: str) -> str:
            return sdp.replace(LAST_CANDIDATE, f"{named}\r\n{LAST_CANDIDATE}")

        stranger, friend = Browser(fixture), Browser(fixture)
        assert await offer(stranger, fixture, change=name_it) == 200
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(victim.called.wait(), 1.0)
        assert await offer(friend, fixture, change=name_it, headers=WITH_TOKEN) == 200
        await asyncio.wait_for(victim.called.wait(), TIMEOUT_S)
        transport.close()
        for browser in (stranger, friend):
            await browser.connection.close()

    run_with_server(ask, OPEN)


def test_offers_of_which_nothing_comes_take_no_places() -> None:
    async def ask(fixture: WebFixture) -> None:
        idle = [Browser(fixture) for _ in range(8)]
        for browser in idle:
            assert await offer(browser, fixture, headers={"X-Forwarded-For": "9.9.9.9"}) == 200
        assert len(fixture.sessions.peers) == MAX_PER_VISITOR
        viewers = [Browser(fixture) for _ in range(3)]
        for viewer in viewers:
            assert (await viewer.join("viewer"))[0] == 200
            assert (await viewer.receive("video")).width == SIZE_PX
        assert (await fixture.state())["viewers"] == 3
        assert await offer(Browser(fixture), fixture) == 503
        for browser in (*idle, *viewers):
            await browser.connection.close()

    run_with_server(ask, OPEN)


def test_of_several_who_come_at_once_the_last_place_is_one_s() -> None:
    async def ask(fixture: WebFixture) -> None:
        browsers = [Browser(fixture) for _ in range(4)]
        for browser in browsers:
            await browser.connection.setLocalDescription(await browser.connection.createOffer())
        statuses = await asyncio.gather(*(browser.join("viewer") for browser in browsers))
        assert [status for status, _ in statuses] == [200] * 4
        await fixture.until(lambda state: state["viewers"] == 3)
        await asyncio.wait_for(_until(lambda: len(fixture.sessions.peers) == 3), TIMEOUT_S)
        for browser in browsers:
            await browser.connection.close()

    run_with_server(ask, OPEN)


async def _until(holds: Any) -> None:
    while not holds():
        await asyncio.sleep(0.05)
