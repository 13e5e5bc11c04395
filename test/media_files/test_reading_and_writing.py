"""Files in and out: any format, clear refusals, nothing half-written."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import toy_people

from avatar_forcing_ros.errors import MediaError, OutputError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.media_files.reading import (
    at_frame_rate,
    decode_audio,
    read_audio,
    read_video,
    read_video_audio,
    video_length,
)
from avatar_forcing_ros.media_files.writing import Mp4Writer, save_image
from avatar_forcing_ros.sync.image_track import JITTER_NS
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS


def tone(rate_hz: int, seconds: float) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(rate_hz * seconds)) / rate_hz)


def write_video(path: Path, frames: int = 10, side: int = 64) -> None:
    with Mp4Writer(path, side, side) as video:
        for i in range(frames):
            pixels = np.full((1, side, side, 3), 20 * i % 256, np.uint8)
            video.write(pixels, tone(16_000, 0.04).astype(np.float32))


@pytest.mark.parametrize(
    ("name", "rate_hz", "channels"),
    [("a.wav", 8_000, 1), ("a.wav", 48_000, 2), ("a.flac", 44_100, 2), ("a.ogg", 22_050, 1)],
)
def test_any_audio_becomes_16_khz_mono(
    name: str, rate_hz: int, channels: int, tmp_path: Path
) -> None:
    path = tmp_path / name
    soundfile.write(path, np.tile(tone(rate_hz, 0.5)[:, None], (1, channels)), rate_hz)
    samples = read_audio(path)
    assert samples.dtype == np.float32
    assert abs(len(samples) - 8000) <= 16
    spectrum = np.abs(np.fft.rfft(samples[1000:7000]))
    assert abs(spectrum.argmax() * 16_000 / 6000 - 440) < 5
    assert np.sqrt(np.mean(samples[1000:7000] ** 2)) == pytest.approx(0.354, abs=0.03)


def matroska(path: Path, change: tuple[bytes, bytes]) -> Path:
    """Half a second of audio with a title, and some bytes of the file changed."""
    with av.open(str(path), "w", format="matroska") as file:
        file.metadata["title"] = "a title"
        stream = file.add_stream("libopus", 48_000, layout="mono")
        samples = tone(48_000, 0.5).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
        frame.sample_rate = 48_000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    data = path.read_bytes()
    assert change[0] in data
    path.write_bytes(data.replace(*change))
    return path


def test_tags_of_any_encoding_are_passed_over(tmp_path: Path) -> None:
    path = matroska(tmp_path / "a.mka", (b"a title", b"\xff\xfetitl\xe9"))
    assert abs(len(read_audio(path)) - 8_000) <= 400
    assert abs(len(decode_audio(path.read_bytes(), 1.0)) - 8_000) <= 400


def test_a_track_of_an_unknown_codec_is_a_sentence(tmp_path: Path) -> None:
    audio = matroska(tmp_path / "a.mka", (b"A_OPUS", b"A_OPUX"))
    with pytest.raises(MediaError, match="an unknown codec; give a WAV"):
        read_audio(audio)
    write_video(tmp_path / "v.mp4")
    video = tmp_path / "unknown.mp4"
    video.write_bytes((tmp_path / "v.mp4").read_bytes().replace(b"avc1", b"xyz1"))
    for read in (read_video, read_video_audio):
        with pytest.raises(MediaError, match="a video track of an unknown codec"):
            read(video)


def test_audio_track_of_a_video_is_read(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", frames=25)
    samples = read_audio(tmp_path / "v.mp4")
    assert abs(len(samples) - 16_000) < 2500  # AAC pads
    assert np.abs(samples).max() > 0.3


def test_damaged_audio_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="none at"):
        read_audio(tmp_path / "none.wav")
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(MediaError, match="readable audio file"):
        read_audio(tmp_path / "text.wav")
    (tmp_path / "zero.wav").touch()
    with pytest.raises(MediaError, match="readable audio file"):
        read_audio(tmp_path / "zero.wav")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    with pytest.raises(MediaError, match="at least one sample"):
        read_audio(tmp_path / "empty.wav")
    broken = tone(16_000, 0.1)
    broken[[3, 5]] = np.nan
    soundfile.write(tmp_path / "nan.wav", broken, 16_000, subtype="FLOAT")
    with pytest.raises(MediaError, match="2 that are NaN"):
        read_audio(tmp_path / "nan.wav")


def test_video_without_audio_has_none_to_read(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "mute.mp4"), "w") as container:
        stream = container.add_stream("libx264", 25)
        stream.width = stream.height = 64
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(MediaError, match="a file without one"):
        read_audio(tmp_path / "mute.mp4")


def test_video_comes_back_with_its_stamps(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4")
    frames = list(read_video(tmp_path / "v.mp4"))
    assert [f.stamp_ns for f in frames] == [i * FRAME_PERIOD_NS for i in range(10)]
    assert [int(f.pixels.mean()) for f in frames] == pytest.approx(
        [20 * i for i in range(10)], abs=3
    )
    assert video_length(tmp_path / "v.mp4") == pytest.approx((0.4, 0.4), abs=0.01)


def test_files_without_video_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(16_000, 0.1), 16_000)
    (tmp_path / "text.mp4").write_text("hello")
    for name, got in (("a.wav", "without a video track"), ("text.mp4", "Invalid data")):
        with pytest.raises(MediaError, match=got):
            next(read_video(tmp_path / name))


def test_a_phones_film_is_shown_upright(tmp_path: Path) -> None:
    """The track's matrix says a quarter clockwise; the image's bright top goes to the right."""
    path = tmp_path / "phone.mp4"
    pixels = np.zeros((3, 64, 96, 3), np.uint8)
    pixels[:, :20] = 250
    with Mp4Writer(path, 96, 64) as video:
        video.write(pixels, np.zeros(1920, np.float32))
    identity, quarter = (
        struct.pack(">9i", *(round(v * 65536) for v in rows), 1 << 30)
        for rows in ((1, 0, 0, 0, 1, 0, 0, 0), (0, 1, 0, -1, 0, 0, 0, 0))
    )
    whole = path.read_bytes()
    track = whole.index(identity, whole.index(b"tkhd"))
    path.write_bytes(whole[:track] + quarter + whole[track + len(quarter) :])
    pixels = next(read_video(path)).pixels
    assert pixels.shape == (96, 64, 3)
    assert pixels[:, 50:].mean() > 200
    assert pixels[:, :40].mean() < 30


def test_a_stream_without_stamps_or_length_is_timed_by_its_rate(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", frames=20)
    raw = tmp_path / "v.h264"
    with av.open(str(tmp_path / "v.mp4")) as source, av.open(str(raw), "w") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    stamps = [f.stamp_ns for f in read_video(raw)]
    assert len(stamps) == 20
    assert stamps[:3] == [0, FRAME_PERIOD_NS, 2 * FRAME_PERIOD_NS]
    assert video_length(raw).present_s == pytest.approx(0.8, abs=0.05)


def test_both_readers_mix_channels_alike(tmp_path: Path) -> None:
    """The mean of the channels, whether libsndfile or FFmpeg decodes."""
    audio = np.stack((tone(16_000, 1.0), np.zeros(16_000)), 1)
    soundfile.write(tmp_path / "a.wav", audio, 16_000)
    with av.open(str(tmp_path / "a.mka"), "w") as container:
        stream = container.add_stream("pcm_f32le", 16_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(audio.reshape(1, -1), np.float32), format="flt", layout="stereo"
        )
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    by_sndfile, by_ffmpeg = read_audio(tmp_path / "a.wav"), read_audio(tmp_path / "a.mka")
    assert np.abs(by_sndfile - by_ffmpeg).max() < 1e-3


@pytest.mark.parametrize("rate_hz", [10, 25, 30, 60])
def test_any_frame_rate_becomes_25(rate_hz: int) -> None:
    pixels = [np.full((1, 1, 3), i, np.uint8) for i in range(rate_hz)]
    stamps = [round(i * 1e9 / rate_hz) for i in range(rate_hz)]
    out = list(at_frame_rate(map(VideoFrame, pixels, stamps)))
    assert 22 <= len(out) <= 26
    for i, frame in enumerate(out):
        assert frame.stamp_ns == i * FRAME_PERIOD_NS
        seen_ns = stamps[int(frame.pixels[0, 0, 0])]
        newest_ns = max(stamp for stamp in stamps if stamp < (i + 1) * FRAME_PERIOD_NS)
        own = seen_ns >= i * FRAME_PERIOD_NS - JITTER_NS  # of its period, never from the future
        assert seen_ns <= newest_ns
        assert own or seen_ns == newest_ns


@pytest.mark.parametrize(("frames_ms", "sound_ms"), [(0, 400), (320, 0)])
def test_audio_and_frames_of_a_video_share_one_clock(
    frames_ms: int, sound_ms: int, tmp_path: Path
) -> None:
    """A click is where it was, counted from the first frame, in each of two channels."""
    audio = np.zeros((2, 16_000), np.float32)
    audio[0, 8_000:8_160] = audio[1, 12_000:12_160] = 0.9
    stamps = [frames_ms + 40 * k for k in range(30)]
    path = tmp_path / "late.mkv"
    shown = [toy_people.face_image(0.0, k) for k in range(30)]
    toy_people.write_video(path, shown, audio, stamps, sound_ms)
    read = read_video_audio(path, channels=2)
    for channel, at_ms in enumerate((500, 750)):
        loudest_ms = np.abs(read[:, channel]).argmax() / 16
        assert loudest_ms == pytest.approx(at_ms + sound_ms - frames_ms, abs=25)


def test_missing_channels_and_audio_are_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "one.mp4")
    with pytest.raises(MediaError, match="expected 2 channels, got 1"):
        read_video_audio(tmp_path / "one.mp4", channels=2)
    soundfile.write(tmp_path / "only.wav", np.zeros(100), 16_000)
    with pytest.raises(MediaError, match="without a video track"):
        read_video_audio(tmp_path / "only.wav")


def test_the_same_frames_give_the_same_file(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_images_need_a_known_ending(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    save_image(pixels, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 0
    with pytest.raises(OutputError, match=r"\.png or \.jpg"):
        save_image(pixels, tmp_path / "a.txt")
