"""Conversations to look at: the right pictures at the right times, the sound, pages not blank."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

pytest.importorskip("espeakng_loader")
pytest.importorskip("matplotlib")

from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.rig.coefficients import COUNT, INDEX, vector
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer
from avatar_forcing_ros.runtime.load import load_portrait
from avatar_forcing_ros.training.contact_sheet import WIDTH_PX, contact_sheet
from avatar_forcing_ros.training.conversation_file import (
    StoredConversation,
    save_conversation,
    sound_features,
)
from avatar_forcing_ros.training.moments import moments
from avatar_forcing_ros.training.phoneme_sheet import phoneme_sheet, sound_frames
from avatar_forcing_ros.training.synthetic import Conversation, generate_conversation
from avatar_forcing_ros.training.view import MADE, TELLING, write_view
from avatar_forcing_ros.training.viewed_talk import (
    ViewedFace,
    ViewedTalk,
    generated_talk,
    stored_talk,
    with_generator,
)

SIZE_PX = 128
FRAMES = 25


@pytest.fixture(scope="module")
def renderers() -> dict[str, WarpRenderer]:
    return {
        who: WarpRenderer(load_portrait(shipped(f"models/portraits/{name}.png"), SIZE_PX))
        for who, name in (("avatar", "ada"), ("user", "ben"))
    }


@pytest.fixture(scope="module")
def made() -> Conversation:
    return generate_conversation(12, FRAMES / 25, "valid")


@pytest.fixture(scope="module")
def talk(made: Conversation) -> ViewedTalk:
    """Of three faces; the avatar speaks in its second half."""
    speaking = {"avatar": np.arange(FRAMES) >= 12, "user": np.zeros(FRAMES, bool)}
    with_speech = replace(generated_talk(made), speaking=speaking)
    return with_generator(with_speech, made.avatar_motion, ModelConfig())


def still(frames: int, **values: np.ndarray) -> np.ndarray:
    """Motion ``[T, K]`` at rest but for some coefficients ``[T]``."""
    motion = np.tile(vector(), (frames, 1))
    for name, series in values.items():
        motion[:, INDEX[name]] = series
    return motion


def two_faces(avatar: np.ndarray, user: np.ndarray) -> ViewedTalk:
    return ViewedTalk(
        "made up", (ViewedFace("a, b", "avatar", avatar), ViewedFace("c, d", "user", user))
    )


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pictures ``[T, H, W, 3]`` and samples of a video."""
    with av.open(str(path)) as file:
        pictures = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    with av.open(str(path)) as file:
        sound = [frame.to_ndarray()[0] for frame in file.decode(audio=0)]
    return np.stack(pictures), np.concatenate(sound)


def test_a_video_has_every_frame_both_voices_and_marks_who_speaks(
    talk: ViewedTalk, renderers: dict[str, WarpRenderer], tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    write_view(talk, renderers, tmp_path / "a.mp4", lambda *step: told.append(step))
    pictures, sound = read(tmp_path / "a.mp4")
    assert len(pictures) == FRAMES
    assert told[-1] == (FRAMES, FRAMES)
    assert np.abs(sound).max() > 0.01
    lines = [pictures[i].astype(int) for i in (5, 20)]

    def share(picture: np.ndarray, colour: tuple[int, int, int]) -> float:
        return float((np.abs(picture - colour).max(axis=-1) < 24).mean())

    for colour in (TELLING, MADE):
        assert share(lines[1], colour) > share(lines[0], colour) + 0.003
    assert pictures[:, :, :200].std(axis=0).max() > 20  # the faces move


def test_a_talk_without_voices_is_silent(
    talk: ViewedTalk, renderers: dict[str, WarpRenderer], tmp_path: Path
) -> None:
    short = [replace(face, motion=face.motion[:6]) for face in (talk.faces[0], talk.faces[-1])]
    write_view(ViewedTalk("silent", tuple(short)), renderers, tmp_path / "a.mp4")
    pictures, sound = read(tmp_path / "a.mp4")
    assert len(pictures) == 6
    assert np.abs(sound).max() < 1e-3


def test_the_page_has_pictures_and_curves(
    talk: ViewedTalk, renderers: dict[str, WarpRenderer]
) -> None:
    page = contact_sheet(talk, renderers)
    assert page.shape[1:] == (WIDTH_PX, 3)
    assert page.dtype == np.uint8
    assert page.shape[0] > 6 * 3 * 120  # moments and faces
    tenths = np.array_split(page, 10)
    assert all(part.std() > 5 for part in tenths)


def test_moments_are_where_something_happens() -> None:
    time_s = np.arange(500) / 25
    nod = 0.1 * np.exp(-(((time_s - 12.0) / 0.15) ** 2))
    smile = 0.6 / (1 + np.exp(-(time_s - 5.0) * 8))
    jaw = np.where(time_s > 16.0, 0.3 * (1 + np.sin(time_s * 20)), 0.0)
    found = moments(
        two_faces(
            still(500, head_pitch=nod, smile_left=smile, smile_right=smile, jaw_open=jaw),
            still(500),
        )
    )
    at = {moment.title: moment for moment in found}
    for title, event_s in (("nod", 12.0), ("smile", 5.0), ("speech", 18.0)):
        frames = at[title].frames
        assert frames[0] < event_s * 25 < frames[-1], title
    for moment in found:
        assert 0 <= moment.frames[0] < moment.frames[-1] < 500
        assert len(moment.frames) == 15
    shown = [set(range(m.frames[0], m.frames[-1] + 1)) for m in found]
    assert sum(map(len, shown)) == len(set.union(*shown))


def test_a_very_short_talk_has_moments_too() -> None:
    for frames in (1, 5, 30):
        found = moments(two_faces(still(frames), still(frames)))
        assert all(0 <= m.frames[0] <= m.frames[-1] < frames for m in found)


def test_sounds_are_met_in_their_middle() -> None:
    phonemes = [(0.0, 0.08, "m"), (0.08, 0.28, "ˈiː"), (0.28, 0.48, "oʊ"), (5.0, 5.1, "m")]
    assert sound_frames(phonemes, "m", 100) == [1]
    assert sound_frames(phonemes, "i", 100) == [4]
    assert sound_frames(phonemes, "oɔ", 100) == [8]  # of the o alone
    assert sound_frames(phonemes, "f", 100) == []


def test_the_page_of_mouths_shows_each_sound_that_is_said(
    talk: ViewedTalk, renderers: dict[str, WarpRenderer]
) -> None:
    said = replace(talk, phonemes={"avatar": [(0.2, 0.4, "m"), (0.4, 0.7, "ɑ")], "user": []})
    shut = replace(talk.faces[0], motion=still(FRAMES, lips_close=np.ones(FRAMES)))
    opened = replace(talk.faces[1], motion=still(FRAMES, jaw_open=np.full(FRAMES, 0.7)))
    page = phoneme_sheet(
        replace(said, faces=(shut, opened, talk.faces[-1])), renderers["avatar"]
    ).astype(int)
    right = int(np.flatnonzero((page == MADE).all(axis=-1).any(axis=0))[0])
    left = int(np.flatnonzero((page == TELLING).all(axis=-1).any(axis=0))[0])
    a, i = (slice(84 + k * 142, 202 + k * 142) for k in (0, 1))

    def difference(rows: slice) -> float:
        wide = page.shape[1] - right - 28
        return float(np.abs(page[rows, left : left + wide] - page[rows, right:-28]).mean())

    assert difference(a) > 2.0  # an open mouth beside a shut one
    assert page[i, right:-28].std() < 1.0  # not said
    with pytest.raises(MediaError, match="seed"):
        phoneme_sheet(replace(talk, phonemes={}), renderers["avatar"])


def test_a_prepared_file_is_shown_without_sound(made: Conversation, tmp_path: Path) -> None:
    mel = sound_features(made.avatar_audio)
    path = tmp_path / "valid-0000012.npz"
    save_conversation(
        path,
        StoredConversation(
            "mel", mel, mel, made.avatar_motion, made.user_motion, np.zeros(COUNT, np.float32)
        ),
    )
    talk = stored_talk(path, 0.4)
    assert talk.frames == 10
    assert talk.sound is None
    np.testing.assert_array_equal(talk.faces[0].motion, made.avatar_motion[:10])
