"""The recording: audio and image stay together, gaps stay gaps, files do not stay."""

from __future__ import annotations

import errno
import io
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from flash_backend import GREY, PERIOD_FRAMES, WHITE, frame
from numpy.typing import NDArray
from web_fixture import Browser, WebFixture, run_with_server

from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.media_files.reserved_file import ReservedFile
from avatar_forcing_ros.timebase import FRAME_PERIOD_S, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from avatar_forcing_ros.web import recorder as recorder_module
from avatar_forcing_ros.web.access import RefusedError
from avatar_forcing_ros.web.recorder import Recorder

MOST_APART_S = 0.040


def recorded(frames: dict[int, AvatarFrame], monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """A finished recording of `frames` by their numbers, all of which fit in."""
    monkeypatch.setattr(recorder_module, "MAX_WAITING", 10_000)
    recorder = Recorder()
    recorder.start()
    for number, one in frames.items():
        recorder.put(number, one)
    recorder.stop()
    return recorder


def flashes_and_clicks(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """The times in a file at which images turn white, and clicks begin, in seconds."""
    shades, clicks = [], []
    with av.open(str(path)) as file:
        for part in file.decode():
            at_s = float(part.pts * part.time_base)
            if isinstance(part, av.VideoFrame):
                shades.append((at_s, part.to_ndarray(format="gray").mean()))
            else:
                samples = np.abs(part.to_ndarray()).mean(axis=0)
                clicks.append((at_s + np.arange(len(samples)) / SAMPLE_RATE_HZ, samples))
    at_s, shade = np.array(shades).T
    white = shade > (WHITE + GREY) / 2
    click_s, samples = (np.concatenate(parts) for parts in zip(*clicks, strict=True))
    loud_s = click_s[samples > 0.3]
    begins = np.diff(loud_s, prepend=-1.0) > 0.3
    return at_s[white & ~np.append(False, white[:-1])], loud_s[begins]


def test_audio_and_image_are_together_after_gaps_too(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = {i: frame(i) for i in range(7, 4 * PERIOD_FRAMES) if not 30 <= i < 44}
    frames[60] = AvatarFrame(0, None, frames[60].audio)  # the last image stays
    recorder = recorded(frames, monkeypatch)
    path, name = recorder.file()
    assert name.startswith("avatar-20")
    assert name.endswith(".mp4")
    flashes, clicks = flashes_and_clicks(path)
    expected = np.array([25, 50, 75]) * FRAME_PERIOD_S - 7 * FRAME_PERIOD_S
    assert np.abs(flashes - expected).max() < 1e-3
    assert np.abs(clicks - flashes).max() <= MOST_APART_S
    assert recorder.state() == {"on": False, "ready": True, "s": 3.7, "dropped": 0, "problem": ""}
    recorder.discard()
    assert not path.exists()
    assert not recorder.state()["ready"]


def test_it_begins_with_an_image_and_takes_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = np.zeros(SAMPLES_PER_FRAME, np.float32)
    frames = {0: AvatarFrame(0, None, quiet)}
    frames |= {i: AvatarFrame(0, np.zeros((side, side, 3), np.uint8), quiet)
               for i, side in enumerate((33, 33, 50), start=1)}  # fmt: skip
    path, _ = recorded(frames, monkeypatch).file()
    with av.open(str(path)) as file:
        assert [(f.width, f.height) for f in file.decode(video=0)] == [(32, 32)] * 3
    path.unlink()


def test_a_head_with_nothing_behind_it_is_recorded_before_black(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels = np.full((64, 64, 4), 200, np.uint8)
    pixels[:, :32, 3], pixels[:, 32:, 3] = 0, 255
    frames = {number: replace(frame(number), pixels=pixels) for number in range(5)}
    recorder = recorded(frames, monkeypatch)
    path, _ = recorder.file()
    with av.open(str(path)) as file:
        shown = next(file.decode(video=0)).to_ndarray(format="gray")
    recorder.discard()
    assert shown[:, :28].max() < 20
    assert abs(int(np.median(shown[:, 36:])) - 200) < 8


def test_what_does_not_fit_is_counted_and_a_long_one_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "MAX_WAITING", 3)
    monkeypatch.setattr(recorder_module, "MAX_FRAMES", 20)
    hold = threading.Event()

    class Slow(recorder_module.Mp4Writer):
        def write(self, *more: Any) -> None:
            assert hold.wait(20)
            super().write(*more)

    monkeypatch.setattr(recorder_module, "Mp4Writer", Slow)
    recorder = Recorder()
    recorder.start()
    with pytest.raises(RefusedError, match="one that goes on"):
        recorder.file()
    for i in range(10):
        recorder.put(i, frame(i))
    state = recorder.state()
    assert 10 - 4 <= state["dropped"] <= 10 - 3
    hold.set()
    recorder.put(1_000, frame(0))  # longer than the longest by then, unless it did not fit
    recorder.stop()
    assert recorder.state()["ready"]
    recorder.discard()
    with pytest.raises(RefusedError, match="none"):
        recorder.file()


def test_no_room_for_the_file_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(OutputError, match="TMPDIR"):
        Recorder().start()


def test_a_writer_that_fails_ends_the_recording_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*more: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder_module.Mp4Writer, "write", fail)
    recorder = recorded({i: frame(i) for i in range(5)}, monkeypatch)
    assert "recording failed" in caplog.text
    assert not recorder.state()["ready"]
    assert recorder.state()["problem"] == recorder_module.FAILED
    recorder.discard()


class SmallDisk(io.FileIO):
    """A file on a device of `room` bytes, of which `reserve` takes some while it is open."""

    room = 500_000
    reserve: io.BytesIO

    def write(self, data: Any) -> int:
        taken = 0 if self.reserve.closed else 250_000
        free = self.room - taken - self.tell()
        if free <= 0 and len(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(bytes(data)[:free])


def small_disk(path: Path, reserve_bytes: int) -> ReservedFile:
    file = SmallDisk(path, "wb")
    file.reserve = io.BytesIO()
    return ReservedFile(file, file.reserve)


def noise(number: int) -> AvatarFrame:
    """What takes room in a file."""
    pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
    return AvatarFrame(0, pixels, frame(number).audio)


def test_a_full_disk_ends_the_recording_which_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module.ReservedFile, "open", small_disk)
    recorder = recorded({i: noise(i) for i in range(200)}, monkeypatch)
    state = recorder.state()
    assert state["problem"] == recorder_module.DISK_FULL
    assert state["ready"]
    path, _ = recorder.file()
    with av.open(str(path)) as file:
        images = sum(1 for _ in file.decode(video=0))
    assert images * FRAME_PERIOD_S == pytest.approx(state["s"], abs=0.051)
    assert 5 < images < 200
    recorder.discard()
    assert not path.exists()


def test_the_room_for_the_end_is_kept_and_given_back(tmp_path: Path) -> None:
    with ReservedFile.open(tmp_path / "film", 4 << 20) as file:
        assert file.write(b"begin") == 5
        assert not file.full
    assert (tmp_path / "film").read_bytes() == b"begin"
    assert [one.name for one in tmp_path.iterdir()] == ["film"]


def test_a_disk_without_room_for_the_end_records_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fail(*more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(recorder_module.ReservedFile, "open", fail)
    with pytest.raises(OutputError, match=r"No space left on device.*TMPDIR"):
        Recorder().start()
    assert list(tmp_path.iterdir()) == []


def test_the_speaker_records_fetches_once_and_leaves_nothing() -> None:
    async def talk(fixture: WebFixture) -> None:
        browser = Browser(fixture)
        await browser.join()
        key = browser.key
        assert (await fixture.post("/api/record", json={"on": True}))[0] == 403
        assert (await fixture.post("/api/record", key=key, json={"on": True}))[1]["on"]
        await fixture.until(lambda state: state["recording"]["s"] >= 0.4)
        status, reply = await fixture.post("/api/record", key=key, json={"on": False})
        assert (status, reply["ready"]) == (200, True)
        headers = {"X-Avatar-Key": key}
        async with fixture.client.get("/api/recording", headers=headers) as reply:
            assert reply.status == 200
            assert reply.content_type == "video/mp4"
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
            assert 'attachment; filename="avatar-20' in reply.headers["Content-Disposition"]
            assert (await reply.read())[4:8] == b"ftyp"
        async with fixture.client.get("/api/recording", headers=headers) as reply:
            assert reply.status == 404
        await fixture.post("/api/record", key=key, json={"on": True})
        await fixture.until(lambda state: state["recording"]["s"] > 0)
        await fixture.post("/api/leave", key=key)
        assert not (await fixture.state())["recording"]["on"]
        await browser.connection.close()

    run_with_server(talk)


def test_what_has_been_fetched_takes_no_newer_recording_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder = recorded({i: frame(i) for i in range(3)}, monkeypatch)
    fetched, _ = recorder.file()
    recorder.start()
    recorder.discard(fetched)
    assert recorder.state()["on"]
    recorder.discard()


def test_beginnings_at_once_leave_one_recording(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    recorder, together = Recorder(), threading.Barrier(8)

    def begin() -> None:
        together.wait()
        recorder.start()

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.iterdir())) == 1
    recorder.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_recording_does_not_outlive_the_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    browsers = []

    async def talk(fixture: WebFixture) -> None:
        browsers.append(Browser(fixture))
        await browsers[0].join()
        await fixture.post("/api/record", key=browsers[0].key, json={"on": True})
        await fixture.until(lambda state: state["recording"]["s"] > 0)
        assert list(tmp_path.glob("avatar-*.mp4"))
        await browsers[0].connection.close()

    run_with_server(talk)
    assert list(tmp_path.glob("avatar-*.mp4")) == []
