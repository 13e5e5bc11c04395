"""Videos as browsers record them and as downloads leave them: streamed, used as far as they go."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.media_files.reading import (
    at_frame_rate,
    read_audio,
    read_video,
    video_length,
)
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS

FRAMES, WIDTH, HEIGHT = 50, 320, 240
IMAGE_BYTES = WIDTH * HEIGHT * 3


class Pipe:
    """Where nothing can be gone back to: what is known at the end is not written at the start."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> int:
        self.data += bytes(data)
        return len(data)


def film(target: str | Pipe, kind: str, codec: str, options: dict[str, str]) -> None:
    """`FRAMES` images that move sideways, each of about the same size in the file."""
    x264, vp8 = {"preset": "ultrafast", "g": "1"}, {"deadline": "realtime", "cpu-used": "8"}
    coding = x264 if codec == "libx264" else vp8
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    with av.open(target, "w", format=kind, options=options) as container:
        video = container.add_stream(codec, 25, coding)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for i in range(FRAMES):
            pixels = np.ascontiguousarray(np.roll(noise, 4 * i, 1))
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = i
            container.mux(video.encode(frame))
        container.mux(video.encode(None))


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """What a browser's recorder writes: no duration anywhere."""
    pipe = Pipe()
    film(pipe, "webm", "libvpx", {"live": "1"})
    (tmp_path / "recorded.webm").write_bytes(pipe.data)
    return tmp_path / "recorded.webm"


@pytest.fixture
def film_mp4(tmp_path: Path) -> Path:
    film(str(tmp_path / "film.mp4"), "mp4", "libx264", {"movflags": "faststart"})
    return tmp_path / "film.mp4"


def peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_video_without_a_duration_is_never_held_whole(recorded: Path) -> None:
    with av.open(str(recorded)) as container:
        assert container.duration is None
        assert container.streams.video[0].duration is None
    length = video_length(recorded)
    assert length.stated_s is None
    assert length.present_s == pytest.approx(FRAMES / 25)
    assert not length.cut_off
    assert peak_bytes(lambda: video_length(recorded)) < IMAGE_BYTES
    # an image, its successor, and what the frame rate's track keeps of them
    assert peak_bytes(lambda: sum(1 for _ in at_frame_rate(read_video(recorded)))) < (
        8 * IMAGE_BYTES
    )


def test_fragments_are_counted(tmp_path: Path) -> None:
    """Other browsers record MP4 in fragments."""
    pipe = Pipe()
    film(pipe, "mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"})
    (tmp_path / "recorded.mp4").write_bytes(pipe.data)
    assert video_length(tmp_path / "recorded.mp4").present_s == pytest.approx(FRAMES / 25)


def test_half_a_video_is_used_as_far_as_it_goes(film_mp4: Path) -> None:
    whole = film_mp4.read_bytes()
    film_mp4.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match="Invalid data"):
        list(read_video(film_mp4))
    lost: list[MediaError] = []
    stamps = [frame.stamp_ns for frame in read_video(film_mp4, lost.append)]
    assert FRAMES // 2 - 8 <= len(stamps) <= FRAMES // 2 + 2
    assert stamps == [i * FRAME_PERIOD_NS for i in range(len(stamps))]
    assert [error.got for error in lost] == ["Invalid data found when processing input"]
    length = video_length(film_mp4)
    assert length.cut_off
    assert length.stated_s == pytest.approx(FRAMES / 25)
    assert len(stamps) / 25 <= length.present_s <= (len(stamps) + 2) / 25


def test_reading_goes_on_after_a_hole(film_mp4: Path) -> None:
    with av.open(str(film_mp4)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(film_mp4.read_bytes())
    for position, size in packets[20:22]:
        data[position : position + size] = b"\xff" * size
    film_mp4.write_bytes(data)
    lost: list[MediaError] = []
    stamps = [frame.stamp_ns for frame in read_video(film_mp4, lost.append)]
    assert len(lost) == 2
    assert stamps[-1] == (FRAMES - 1) * FRAME_PERIOD_NS
    assert not video_length(film_mp4).cut_off


def test_a_hole_in_audio_is_told_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "talk.mp4"
    tone = 0.4 * np.sin(np.arange(32_000) / 10)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", 16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    whole = len(read_audio(path))
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(audio=0) if p.size]
    data = bytearray(path.read_bytes())
    position, size = packets[10]
    data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    with pytest.raises(MediaError, match="got damaged content; give"):
        read_audio(path)
    lost: list[MediaError] = []
    assert whole - 1200 <= len(read_audio(path, lost.append)) <= whole
    assert len(lost) == 1
