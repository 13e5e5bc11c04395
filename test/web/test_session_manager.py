"""Places and turns over HTTP: asking, handing over, coming again, being lost."""

from __future__ import annotations

import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from aiortc import AudioStreamTrack, VideoStreamTrack
from web_house import SIZE_PX, Browser, House, in_house, portrait

from avatar_forcing_ros.web.floor import KEPT_S
from avatar_forcing_ros.web.guest import QUIET_S


def test_a_viewer_asks_and_the_speaker_hands_over() -> None:
    async def talk(house: House) -> None:
        heard = []
        house.avatar.push_user_audio = heard.append  # type: ignore[method-assign]
        speaker = Browser(house, VideoStreamTrack(), AudioStreamTrack())
        viewer, other = Browser(house), Browser(house)
        await speaker.join()
        status, told = await house.post("/api/hand_over", key=speaker.key)
        assert status == 409
        assert "asked to talk" in told["error"]
        await viewer.join("viewer")
        assert (await house.post("/api/hand_over", key=viewer.key))[0] == 403
        assert (await house.post("/api/ask", key="guessed"))[0] == 403
        told = (await house.post("/api/ask", key=viewer.key))[1]
        assert told["floor"] == {"held": True, "waiting": 1, "offered": False}
        state = await house.state(speaker.key)
        assert (state["you"], state["floor"]["waiting"]) == ("speaker", 1)
        assert (state["mode"], state["view"], state["operator_hears"]) == ("live", False, False)
        await house.until(lambda state: bool(heard))
        assert (await house.post("/api/hand_over", key=speaker.key))[0] == 200
        heard.clear()
        assert (await house.state(viewer.key))["floor"]["offered"]
        assert (await other.join())[0] == 409  # it is offered to somebody
        old = await house.state(speaker.key)
        assert (old["you"], old["floor"]["offered"]) == ("viewer", False)
        assert (await speaker.receive("video")).width == SIZE_PX  # still connected
        new = Browser(house)
        assert (await new.join("speaker", viewer.key))[0] == 200
        assert (await house.state(new.key))["you"] == "speaker"
        assert (await house.state(viewer.key))["you"] is None
        assert heard == []
        for browser in (speaker, viewer, other, new):
            await browser.peer.close()

    in_house(talk)


def test_a_lost_speaker_finds_the_floor_and_the_face_again_for_a_while() -> None:
    async def talk(house: House) -> None:
        speaker, viewer, again = Browser(house), Browser(house), Browser(house)
        await speaker.join()
        await viewer.join("viewer")
        house.avatar.set_portrait(portrait(200)).result(5.0)
        await speaker.receive("video")
        await speaker.peer.close()
        await house.until(lambda state: not state["speaker"])
        assert (await house.state())["floor"]["held"]
        assert (await again.join("speaker", viewer.key))[0] == 409
        again = Browser(house)
        assert (await again.join("speaker", speaker.key))[0] == 200
        assert house.avatar.portrait.image[0, 0, 0] == 200
        await again.receive("video")
        await again.peer.close()
        await house.until(lambda state: not state["speaker"])
        house.ahead_s += KEPT_S + 1
        await house.room.look_round()
        assert not (await house.state())["floor"]["held"]
        await house.until(lambda state: house.avatar.portrait.image[0, 0, 0] == 100)
        await viewer.peer.close()

    in_house(talk)


def test_the_first_face_comes_back_when_the_speaker_leaves() -> None:
    async def talk(house: House) -> None:
        speaker = Browser(house)
        await speaker.join()
        house.avatar.set_portrait(portrait(200)).result(5.0)
        await house.post("/api/leave", key=speaker.key)
        assert house.avatar.portrait.image[0, 0, 0] == 100
        await speaker.peer.close()

    in_house(talk)


def test_a_connection_that_says_nothing_loses_its_place() -> None:
    async def talk(house: House) -> None:
        speaker, viewer = Browser(house), Browser(house)
        await speaker.join()
        await viewer.join("viewer")
        await speaker.receive("video")
        await viewer.receive("video")
        for browser in (speaker, viewer):
            guest = house.room._guests[browser.key]
            guest._peer.getStats = nothing_more(await guest._peer.getStats())
        await house.room.look_round()
        house.ahead_s += QUIET_S + 1
        await house.state(viewer.key)  # asking is a sign of life, too
        await house.room.look_round()
        state = await house.state(viewer.key)
        assert (state["speaker"], state["you"]) == (False, "viewer")
        assert state["floor"]["held"]
        house.ahead_s += QUIET_S + 1
        await house.room.look_round()
        assert (await house.state())["viewers"] == 0
        assert not house.avatar.running
        for browser in (speaker, viewer):
            await browser.peer.close()

    in_house(talk)


def nothing_more(stats: object) -> object:
    """In place of a connection's figures: they stand still."""

    async def still() -> object:
        return stats

    return still


def test_a_bad_offer_of_somebody_who_is_there_changes_nothing() -> None:
    async def talk(house: House) -> None:
        speaker = Browser(house)
        await speaker.join()
        asked = {"sdp": "v=0\r\nm=audio 9 X 0\r\n", "role": "speaker", "key": speaker.key}
        assert (await house.post("/api/join", json=asked))[0] == 400
        assert (await house.state(speaker.key))["you"] == "speaker"
        assert (await speaker.receive("video")).width == SIZE_PX
        await speaker.peer.close()

    in_house(talk)


def test_a_speaker_who_comes_again_to_watch_gives_the_floor_up() -> None:
    async def talk(house: House) -> None:
        speaker, again = Browser(house), Browser(house)
        await speaker.join()
        assert (await again.join("viewer", speaker.key))[0] == 200
        state = await house.state(again.key)
        assert (state["you"], state["floor"]["held"]) == ("viewer", False)
        for browser in (speaker, again):
            await browser.peer.close()

    in_house(talk)


def test_who_hands_over_before_they_are_connected_has_to_come_again() -> None:
    async def talk(house: House) -> None:
        speaker, viewer = Browser(house), Browser(house)
        await speaker.peer.setLocalDescription(await speaker.peer.createOffer())
        asked = {"sdp": speaker.peer.localDescription.sdp, "role": "speaker"}
        _, told = await house.post("/api/join", json=asked)
        await viewer.join("viewer")
        await house.post("/api/ask", key=viewer.key)
        assert (await house.post("/api/hand_over", key=told["key"]))[0] == 200
        await house.until(lambda state: state["viewers"] == 1)
        assert (await house.state(told["key"]))["you"] is None
        assert (await house.state(viewer.key))["floor"]["offered"]
        for browser in (speaker, viewer):
            await browser.peer.close()

    in_house(talk)
