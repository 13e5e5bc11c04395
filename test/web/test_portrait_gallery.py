"""The portraits to choose from: which files, what is left out, and who may choose."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from web_fixture import Browser, WebFixture, run_with_server

from avatar_forcing_ros.errors import ConfigError
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.backend import LiveBackend
from avatar_forcing_ros.web.portrait_gallery import THUMBNAIL_PX, label_of, portrait_files
from avatar_forcing_ros.web.upload_decoding import UploadDecoder

ADA, BEN = shipped("models/portraits/ada.png"), shipped("models/portraits/ben.png")


def write(path: Path, grey: int, height: int = 100, width: int = 80) -> Path:
    cv2.imwrite(str(path), np.full((height, width, 3), grey, np.uint8))
    return path


def test_the_folders_images_come_before_those_that_ship_and_without_the_first(
    tmp_path: Path,
) -> None:
    mine = [write(tmp_path / name, 90) for name in ("ben.png", "Zoe.JPG")]
    write(tmp_path / "ben.matte.png", 90)
    write(tmp_path / ".hidden.png", 90)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    assert portrait_files(tmp_path, ADA) == mine
    assert portrait_files(tmp_path, mine[0]) == [mine[1], ADA, BEN]
    assert portrait_files(None, ADA) == [BEN]
    assert [label_of(one) for one in (mine[1], Path("anna_maria.png"))] == ["Zoe", "Anna maria"]


def test_a_folder_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"portraits .*none.*No such file"):
        portrait_files(tmp_path / "none", ADA)


def test_a_portrait_is_chosen_and_a_bad_file_is_left_out_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wide = write(tmp_path / "ä wide one.png", 200, height=500, width=1000)
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8 and then nothing")
    black = write(tmp_path / "black.png", 0)

    async def choose(fixture: WebFixture) -> None:
        async def get(name: str) -> bytes:
            async with fixture.client.get(f"/api/portraits/{name}") as reply:
                assert (reply.status, reply.content_type) == (200, "image/webp")
                return await reply.read()

        async with fixture.client.get("/api/portraits") as reply:
            listed = (await reply.json())["portraits"]
        assert listed == [
            {"name": "first", "label": "Ada"},
            {"name": "ä wide one.png", "label": "Ä wide one"},
            {"name": "black.png", "label": "Black"},
        ]
        small = cv2.imdecode(np.frombuffer(await get(wide.name), np.uint8), cv2.IMREAD_COLOR)
        assert small.shape == (THUMBNAIL_PX // 2, THUMBNAIL_PX, 3)
        assert abs(float(small.mean()) - 200) < 2

        path = f"/api/portraits/{wide.name}"
        assert (await fixture.post(path))[0] == 403  # a stranger
        browser = Browser(fixture)
        assert (await browser.join())[0] == 200
        first = fixture.backend.portrait.mean()
        status, reply = await fixture.post(path, key=browser.key)
        assert (status, reply["portrait"]) == (200, (await fixture.state())["portrait"])
        assert reply["portrait"]
        assert fixture.backend.portrait.mean() == 200
        for name, expected in (("bad.jpg", 404), ("..%2F..%2Fsetup.cfg", 404), ("black.png", 422)):
            assert (await fixture.post(f"/api/portraits/{name}", key=browser.key))[0] == expected
        assert fixture.backend.portrait.mean() == 200
        assert await fixture.post("/api/portraits/first", key=browser.key) == (
            200,
            {"portrait": ""},
        )
        await fixture.until(lambda _: bool(fixture.backend.portrait.mean() == first))
        await browser.connection.close()

    with caplog.at_level(logging.WARNING):
        run_with_server(choose, portraits=[wide, bad, black], first_portrait="Ada")
    assert "portraits left out: 'bad.jpg' (image: expected an image file" in caplog.text


def test_who_may_only_watch_does_not_see_the_gallery() -> None:
    async def ask(fixture: WebFixture) -> None:
        for path in ("/api/portraits", "/api/portraits/first"):
            async with fixture.client.get(path) as reply:
                assert reply.status == 401

    run_with_server(ask, Access(False, "a-token-of-24-characters", open_to_viewers=True))


def test_a_portrait_of_a_robot_s_avatar_is_refused_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def read(*arguments: Any) -> None:
        raise AssertionError("it was read")

    class Robot(LiveBackend):
        changes_portrait = False

    async def ask(fixture: WebFixture) -> None:
        browser = Browser(fixture)
        await browser.join()
        monkeypatch.setattr(UploadDecoder, "image", read)
        for path in ("/api/portrait", "/api/portraits/ada"):
            status, reply = await fixture.post(path, key=browser.key, data=b"anything")
            assert (status, "keeps its face" in reply["error"]) == (409, True), path
        await browser.connection.close()

    run_with_server(ask, backend=Robot)
