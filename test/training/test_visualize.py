"""Conversations to look at: the right images at the right times, the audio, pages not blank."""

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
from avatar_forcing_ros.training.contact_sheet import WIDTH_PX, contact_sheet, find_highlights
from avatar_forcing_ros.training.dataset import (
    StoredConversation,
    audio_features,
    save_conversation,
)
from avatar_forcing_ros.training.synthetic import Conversation, generate_conversation
from avatar_forcing_ros.training.visualize import (
    GENERATED,
    TRUE,
    ConversationView,
    FaceView,
    phoneme_sheet,
    sound_frames,
    view_generated,
    view_stored,
    with_generator,
    write_text,
    write_video,
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
def conversation() -> Conversation:
    return generate_conversation(12, FRAMES / 25, "valid")


@pytest.fixture(scope="module")
def view(conversation: Conversation) -> ConversationView:
    """Of three faces; the avatar speaks in its second half."""
    speaking = {"avatar": np.arange(FRAMES) >= 12, "user": np.zeros(FRAMES, bool)}
    with_speech = replace(view_generated(conversation), speaking=speaking)
    return with_generator(with_speech, conversation.avatar_motion, ModelConfig())


def still(frames: int, **values: np.ndarray) -> np.ndarray:
    """Motion ``[T, K]`` at rest but for some coefficients ``[T]``."""
    motion = np.tile(vector(), (frames, 1))
    for name, series in values.items():
        motion[:, INDEX[name]] = series
    return motion


def two_faces(avatar: np.ndarray, user: np.ndarray) -> ConversationView:
    return ConversationView(
        "made up", (FaceView("a, b", "avatar", avatar), FaceView("c, d", "user", user))
    )


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images ``[T, H, W, 3]`` and samples of a video."""
    with av.open(str(path)) as file:
        images = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    with av.open(str(path)) as file:
        audio = [frame.to_ndarray()[0] for frame in file.decode(audio=0)]
    return np.stack(images), np.concatenate(audio)


def test_a_video_has_every_frame_the_audio_and_marks_who_speaks(
    view: ConversationView, renderers: dict[str, WarpRenderer], tmp_path: Path
) -> None:
    steps: list[tuple[int, int]] = []
    write_video(view, renderers, tmp_path / "a.mp4", lambda *step: steps.append(step))
    images, audio = read(tmp_path / "a.mp4")
    assert len(images) == FRAMES
    assert steps[-1] == (FRAMES, FRAMES)
    assert np.abs(audio).max() > 0.01
    lines = [images[i].astype(int) for i in (5, 20)]

    def share(image: np.ndarray, colour: tuple[int, int, int]) -> float:
        return float((np.abs(image - colour).max(axis=-1) < 24).mean())

    for colour in (TRUE, GENERATED):
        assert share(lines[1], colour) > share(lines[0], colour) + 0.003
    assert images[:, :, :200].std(axis=0).max() > 20  # the faces move


def test_a_view_without_audio_is_silent(
    view: ConversationView, renderers: dict[str, WarpRenderer], tmp_path: Path
) -> None:
    short = [replace(face, motion=face.motion[:6]) for face in (view.faces[0], view.faces[-1])]
    write_video(ConversationView("silent", tuple(short)), renderers, tmp_path / "a.mp4")
    images, audio = read(tmp_path / "a.mp4")
    assert len(images) == 6
    assert np.abs(audio).max() < 1e-3


def test_the_page_has_images_and_curves(
    view: ConversationView, renderers: dict[str, WarpRenderer]
) -> None:
    page = contact_sheet(view, renderers)
    assert page.shape[1:] == (WIDTH_PX, 3)
    assert page.dtype == np.uint8
    assert page.shape[0] > 6 * 3 * 120  # highlights and faces
    tenths = np.array_split(page, 10)
    assert all(part.std() > 5 for part in tenths)


def test_highlights_are_where_something_happens() -> None:
    time_s = np.arange(500) / 25
    nod = 0.1 * np.exp(-(((time_s - 12.0) / 0.15) ** 2))
    smile = 0.6 / (1 + np.exp(-(time_s - 5.0) * 8))
    jaw = np.where(time_s > 16.0, 0.3 * (1 + np.sin(time_s * 20)), 0.0)
    found = find_highlights(
        two_faces(
            still(500, head_pitch=nod, smile_left=smile, smile_right=smile, jaw_open=jaw),
            still(500),
        )
    )
    at = {highlight.title: highlight for highlight in found}
    for title, event_s in (("nod", 12.0), ("smile", 5.0), ("speech", 18.0)):
        frames = at[title].frames
        assert frames[0] < event_s * 25 < frames[-1], title
    for highlight in found:
        assert 0 <= highlight.frames[0] < highlight.frames[-1] < 500
        assert len(highlight.frames) == 15
    shown = [set(range(m.frames[0], m.frames[-1] + 1)) for m in found]
    assert sum(map(len, shown)) == len(set.union(*shown))


def test_a_very_short_conversation_has_highlights_too() -> None:
    for frames in (1, 5, 30):
        found = find_highlights(two_faces(still(frames), still(frames)))
        assert all(0 <= m.frames[0] <= m.frames[-1] < frames for m in found)


def test_sounds_are_met_in_their_middle() -> None:
    phonemes = [(0.0, 0.08, "m"), (0.08, 0.28, "ˈiː"), (0.28, 0.48, "oʊ"), (5.0, 5.1, "m")]
    assert sound_frames(phonemes, "m", 100) == [1]
    assert sound_frames(phonemes, "i", 100) == [4]
    assert sound_frames(phonemes, "oɔ", 100) == [8]  # of the o alone
    assert sound_frames(phonemes, "f", 100) == []


def test_the_page_of_mouths_shows_each_sound_that_is_said(
    view: ConversationView, renderers: dict[str, WarpRenderer]
) -> None:
    spoken = replace(view, phonemes={"avatar": [(0.2, 0.4, "m"), (0.4, 0.7, "ɑ")], "user": []})
    shut = replace(view.faces[0], motion=still(FRAMES, lips_close=np.ones(FRAMES)))
    opened = replace(view.faces[1], motion=still(FRAMES, jaw_open=np.full(FRAMES, 0.7)))
    page = phoneme_sheet(
        replace(spoken, faces=(shut, opened, view.faces[-1])), renderers["avatar"]
    ).astype(int)
    right = int(np.flatnonzero((page == GENERATED).all(axis=-1).any(axis=0))[0])
    left = int(np.flatnonzero((page == TRUE).all(axis=-1).any(axis=0))[0])
    a, i = (slice(84 + k * 142, 202 + k * 142) for k in (0, 1))

    def difference(rows: slice) -> float:
        wide = page.shape[1] - right - 28
        return float(np.abs(page[rows, left : left + wide] - page[rows, right:-28]).mean())

    assert difference(a) > 2.0  # an open mouth beside a shut one
    assert page[i, right:-28].std() < 1.0  # not spoken
    with pytest.raises(MediaError, match="seed"):
        phoneme_sheet(replace(view, phonemes={}), renderers["avatar"])


def test_a_prepared_file_is_shown_without_audio(
    conversation: Conversation, tmp_path: Path
) -> None:
    mel = audio_features(conversation.avatar_audio)
    path = tmp_path / "valid-0000012.npz"
    save_conversation(
        path,
        StoredConversation(
            "mel",
            mel,
            mel,
            conversation.avatar_motion,
            conversation.user_motion,
            np.zeros(COUNT, np.float32),
        ),
    )
    view = view_stored(path, 0.4)
    assert view.frames == 10
    assert view.audio is None
    np.testing.assert_array_equal(view.faces[0].motion, conversation.avatar_motion[:10])


def test_text_is_cut_off_at_the_borders_and_nothing_else_changes() -> None:
    canvas = np.full((40, 60, 3), 255, np.uint8)
    write_text(canvas[10:30], "ˈɑ long text", (30, -4), 16, (0, 0, 0), "middle")
    assert canvas[10:30].min() < 100
    assert (canvas[:10] == 255).all()
    assert (canvas[30:] == 255).all()
