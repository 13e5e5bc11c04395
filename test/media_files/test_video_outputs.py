"""Videos by their endings, and alpha that comes back as it was written."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.media_files.reading import read_audio
from avatar_forcing_ros.media_files.video_outputs import check_video_output, open_video

SIDE, FRAMES = 64, 5
TONE = (0.5 * np.sin(np.arange(640 * FRAMES) * 0.17)).astype(np.float32)


def moving_disc() -> NDArray[np.uint8]:
    """A disc with soft edges that goes to the right, ``[T, S, S, 4]`` RGBA."""
    y, x = np.mgrid[:SIDE, :SIDE]
    out = np.empty((FRAMES, SIDE, SIDE, 4), np.uint8)
    for k in range(FRAMES):
        away = np.hypot(x - 24 - 4 * k, y - 32)
        out[k, ..., :3] = (200, 90, 40)
        out[k, ..., 3] = np.clip(128 + 20.0 * (18 - away), 0, 255)
    return out


def written(path: Path) -> NDArray[np.uint8]:
    frames = moving_disc()
    with open_video(path, SIDE, SIDE, has_alpha=True) as video:
        for k in range(FRAMES):
            video.write(frames[k : k + 1], TONE[640 * k : 640 * (k + 1)])
    return frames


def decoded(path: Path, decoder: str = "") -> NDArray[np.uint8]:
    """All frames ``[T, S, S, 4]``; FFmpeg's own decoder of VP9 does not see alpha."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codec = av.CodecContext.create(decoder, "r") if decoder else stream.codec_context
        images = [f for packet in container.demux(stream) for f in codec.decode(packet)]
    return np.stack([image.to_ndarray(format="rgba") for image in images])


@pytest.mark.parametrize(
    ("name", "decoder", "worst"), [("a.webm", "libvpx-vp9", 40), ("a.mov", "", 2)]
)
def test_alpha_is_in_the_file(name: str, decoder: str, worst: int, tmp_path: Path) -> None:
    frames = written(tmp_path / name)
    back = decoded(tmp_path / name, decoder)
    assert back.shape == frames.shape
    difference = np.abs(back[..., 3].astype(int) - frames[..., 3])
    assert difference.max() <= worst
    assert difference.mean() < 1.5
    solid = frames[..., 3] == 255
    assert np.abs(back[solid][:, :3].astype(int) - frames[solid][:, :3]).mean() < 6
    audio = read_audio(tmp_path / name)
    assert abs(len(audio) - len(TONE)) <= 640
    assert 0.3 < np.abs(audio).max() < 0.7


def test_players_are_told_of_the_alpha_of_a_webm(tmp_path: Path) -> None:
    written(tmp_path / "a.webm")
    with av.open(str(tmp_path / "a.webm")) as container:
        metadata = {k.lower(): v for k, v in container.streams.video[0].metadata.items()}
    assert metadata["alpha_mode"] == "1"


def test_numbered_files_are_exact_and_have_the_sound_beside(tmp_path: Path) -> None:
    frames = written(tmp_path / "new" / "head-%03d.png")
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["audio.wav", *(f"head-{k:03d}.png" for k in range(FRAMES))]
    for k in range(FRAMES):
        file = cv2.imread(str(tmp_path / "new" / f"head-{k:03d}.png"), cv2.IMREAD_UNCHANGED)
        assert file is not None
        assert (cv2.cvtColor(file, cv2.COLOR_BGRA2RGBA) == frames[k]).all()
    samples, rate_hz = soundfile.read(tmp_path / "new" / "audio.wav")
    assert rate_hz == 16_000
    np.testing.assert_allclose(samples, TONE, atol=1e-4)


@pytest.mark.parametrize("name", ["a.webm", "a.mov", "a.mp4"])
def test_frames_without_alpha_go_into_every_format(name: str, tmp_path: Path) -> None:
    frames = moving_disc()[..., :3]
    with open_video(tmp_path / name, SIDE, SIDE) as video:
        video.write(frames, TONE)
    back = decoded(tmp_path / name)
    assert len(back) == FRAMES
    assert back[..., 3].min() == 255
    assert np.abs(back[..., :3].astype(int) - frames).mean() < 4


@pytest.mark.parametrize("name", ["a.webm", "folder/%05d.png"])
def test_what_fails_leaves_nothing(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shape"):
        _write_half(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def _write_half(path: Path) -> None:
    """Some frames, then something fails."""
    with open_video(path, SIDE, SIDE, has_alpha=True) as video:
        video.write(moving_disc(), TONE)
        raise ValueError("shape")


@pytest.mark.parametrize(
    ("name", "has_alpha", "sentence"),
    [
        ("a.mp4", True, r"can be transparent: \.webm.*got \.mp4"),
        ("a.avi", False, r"ends in \.mp4, \.webm.*got \.avi"),
        ("a", False, "got no ending"),
        ("a.png", False, r"got \.png"),
        ("full/%05d.png", True, "new or empty"),
        ("full/note/%d.png", True, "new or empty"),
    ],
)
def test_names_that_say_no_format_are_refused(
    name: str, has_alpha: bool, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note").touch()
    with pytest.raises(OutputError, match=sentence):
        check_video_output(tmp_path / name, has_alpha=has_alpha)
