"""A conversation made visible: as a video, and as a page of mouth shapes.

(`contact_sheet` makes a page of its highlights and curves.)
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar_forcing_ros.atomic_write import atomic_write
from avatar_forcing_ros.config import ModelConfig
from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.media_files.writing import Mp4Writer
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig import face_landmarks as mesh
from avatar_forcing_ros.rig.coefficients import INDEX
from avatar_forcing_ros.rig.warp_renderer import WarpRenderer
from avatar_forcing_ros.timebase import FRAME_RATE_HZ, SAMPLES_PER_FRAME
from avatar_forcing_ros.training.dataset import load_conversation
from avatar_forcing_ros.training.evaluation.metrics_table import block_borders
from avatar_forcing_ros.training.synthetic import Conversation
from avatar_forcing_ros.training.synthetic.speech import Phoneme
from avatar_forcing_ros.training.synthetic.visemes import sounds_of

Image = NDArray[np.uint8]  # [H, W, 3] RGB
Motion = NDArray[np.float32]  # [T, K]
Colour = tuple[int, int, int]
Renderers = Mapping[str, WarpRenderer]  # by `who`
Progress = Callable[[int, int], None]

BACKGROUND: Colour = (250, 250, 248)
TEXT: Colour = (38, 42, 48)
SOFT_TEXT: Colour = (128, 134, 142)
TRUE: Colour = (23, 118, 128)
GENERATED: Colour = (206, 106, 36)
USER: Colour = (112, 104, 158)
MARGIN_PX = 28  # of pages

# layout of the video
_VIDEO_MARGIN_PX, _VIDEO_GAP_PX = 20, 16
_HEAD_PX = 46  # title and clock
_LABEL_PX = 26
_LINE_PX = 5  # under the face of who speaks
_FAINT: Colour = (230, 231, 230)
_TAPE_PX, _TAPE_S = 36, 1.2  # the phonemes around the present one
_FRAMES_AT_A_TIME = 5

# the page of mouth shapes: a row for each sound, for each avatar a mean and examples
MOUTH_SOUNDS: dict[str, str] = {"a": "ɑa", "i": "i", "u": "u", "o": "oɔ", "m": "m", "f": "f"}
_EXAMPLES = 3
_SHOWN = ("jaw_open", "lips_close", "mouth_wide", "mouth_pucker")
_HIDDEN = [INDEX[name] for name in ("blink_left", "blink_right", "gaze_x", "gaze_y")]
_TILE_PX = (150, 118)  # width, height
_TILE_GAP_PX, _GROUP_GAP_PX, _ROW_LABEL_PX, _PAGE_HEAD_PX = 4, 30, 92, 84
_VALUES_PX = 24  # under each tile of means
_ROW_PX = _TILE_PX[1] + _VALUES_PX


@dataclass(frozen=True)
class FaceView:
    """One face of the view; `who` is "avatar" or "user"."""

    title: str
    who: str
    motion: Motion
    generated: bool = False

    @property
    def colour(self) -> Colour:
        """The colour that stands for the face in videos and plots."""
        return GENERATED if self.generated else {"avatar": TRUE, "user": USER}[self.who]


@dataclass(frozen=True)
class ConversationView:
    """T frames of a conversation; what is not known of it is empty.

    The first face is the avatar as it is in the data, the last one the user.
    """

    title: str
    faces: tuple[FaceView, ...]
    audio: NDArray[np.float32] | None = None  # [640 T], both people
    speaking: dict[str, NDArray[np.bool_]] = field(default_factory=dict)  # by `who`: [T]
    phonemes: dict[str, list[Phoneme]] = field(default_factory=dict)
    borders: tuple[int, ...] = ()
    """Frames at which the generator's blocks begin."""

    @property
    def frames(self) -> int:
        return len(self.faces[0].motion)

    @property
    def avatars(self) -> list[FaceView]:
        return [face for face in self.faces if face.who == "avatar"]


def view_generated(conversation: Conversation) -> ConversationView:
    """The view of a synthetic conversation."""
    both = conversation.avatar_audio + conversation.user_audio
    return ConversationView(
        f"conversation {conversation.seed}, {conversation.split}",
        _two_faces(conversation.avatar_motion, conversation.user_motion),
        both / max(1.0, float(np.abs(both).max(initial=0.0))),
        {"avatar": conversation.avatar_speaking, "user": conversation.user_speaking},
        {"avatar": conversation.avatar_phonemes, "user": conversation.user_phonemes},
    )


def view_stored(path: Path, seconds: float) -> ConversationView:
    """The first `seconds` of a prepared file of rig coefficients; it has no audio to play.

    Raises MediaError for a damaged file and for one of another motion space.
    """
    stored = load_conversation(path, ModelConfig())
    frames = max(1, round(seconds * FRAME_RATE_HZ))
    faces = _two_faces(stored.avatar_motion[:frames], stored.user_motion[:frames])
    return ConversationView(f"{path.name}, no audio stored", faces)


def with_generator(view: ConversationView, motion: Motion, model: ModelConfig) -> ConversationView:
    """`view` with the avatar's face as a generator moves it in the middle."""
    face = FaceView("avatar, generated", "avatar", motion, generated=True)
    first = np.flatnonzero(block_borders(model, len(motion))) + 1
    return replace(view, faces=(view.faces[0], face, view.faces[-1]), borders=tuple(first))


def _two_faces(avatar: Motion, user: Motion) -> tuple[FaceView, ...]:
    return (
        FaceView("avatar, ground truth", "avatar", avatar),
        FaceView("user, as tracked", "user", user),
    )


def write_text(
    canvas: Image,
    text: str,
    position_px: tuple[int, int],
    size_px: int,
    colour: Colour = TEXT,
    align: str = "left",
    bold: bool = False,
) -> None:
    """Write `text` into `canvas`; what lies outside of it is cut off.

    `position_px` is x of its left, middle or right, as `align` says, and y of the line's top.
    Pillow draws it, because OpenCV's fonts have no phonetic signs.
    """
    import matplotlib  # brings the font
    from PIL import Image as PillowImage
    from PIL import ImageDraw, ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    font = ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size_px)
    top = max(position_px[1], 0)
    lines = canvas[top : top + 2 * size_px]  # no more than these are touched
    image = PillowImage.fromarray(lines)
    anchor = {"left": "la", "middle": "ma", "right": "ra"}[align]
    ImageDraw.Draw(image).text(
        (position_px[0], position_px[1] - top), text, colour, font, anchor=anchor
    )
    lines[:] = np.asarray(image)


def write_video(
    view: ConversationView, renderers: Renderers, path: Path, progress: Progress | None = None
) -> None:
    """Write `view` as an MP4: faces side by side, who speaks, the phonemes, a clock.

    `renderers` draw the faces of the two people, at one size; the audio is silence where the view
    has none. Raises OutputError if `path` cannot be written.
    """
    page = _empty_page(view, renderers["avatar"].size_px)
    height, width = page.shape[:2]
    silence = np.zeros(view.frames * SAMPLES_PER_FRAME, np.float32)
    samples = silence if view.audio is None else view.audio
    with atomic_write(path) as part, Mp4Writer(part, width, height) as writer:
        for first in range(0, view.frames, _FRAMES_AT_A_TIME):
            stop = min(first + _FRAMES_AT_A_TIME, view.frames)
            images = [_video_frame(view, renderers, page, i) for i in range(first, stop)]
            audio = samples[first * SAMPLES_PER_FRAME : stop * SAMPLES_PER_FRAME]
            writer.write(np.stack(images), audio)
            if progress:
                progress(stop, view.frames)


def _empty_page(view: ConversationView, side_px: int) -> Image:
    """What is the same in all frames; both sides are even, as H.264 wants it."""
    count = len(view.faces)
    width = 2 * _VIDEO_MARGIN_PX + count * side_px + (count - 1) * _VIDEO_GAP_PX
    height = _HEAD_PX + _LABEL_PX + side_px + _LINE_PX + _TAPE_PX + 12
    page = np.full((height + height % 2, width + width % 2, 3), BACKGROUND, np.uint8)
    write_text(page, view.title, (_VIDEO_MARGIN_PX, 14), 15, bold=True)
    for i, face in enumerate(view.faces):
        left = _left_px(i, side_px)
        page[_HEAD_PX + 7 : _HEAD_PX + 16, left : left + 9] = face.colour
        write_text(page, face.title, (left + 16, _HEAD_PX + 2), 14, SOFT_TEXT)
        page[_line(side_px), left : left + side_px] = _FAINT
    return page


def _video_frame(view: ConversationView, renderers: Renderers, page: Image, index: int) -> Image:
    out = page.copy()
    now_s = (index + 0.5) / FRAME_RATE_HZ
    minutes, seconds = divmod(index / FRAME_RATE_HZ, 60.0)
    clock = f"{int(minutes)}:{seconds:05.2f}"
    write_text(out, clock, (out.shape[1] - _VIDEO_MARGIN_PX, 14), 15, SOFT_TEXT, "right")
    for i, face in enumerate(view.faces):
        image = renderers[face.who].render(face.motion[index])
        side = len(image)
        left, top = _left_px(i, side), _HEAD_PX + _LABEL_PX
        columns = slice(left, left + side)
        out[top : top + side, columns] = image
        speaking = view.speaking.get(face.who)
        if speaking is not None and speaking[index]:
            out[_line(side), columns] = face.colour
        tape = out[_line(side).stop :, columns][:_TAPE_PX]
        _draw_phonemes(tape, view.phonemes.get(face.who, []), now_s, face.colour)
    return out


def _left_px(index: int, side_px: int) -> int:
    return _VIDEO_MARGIN_PX + index * (side_px + _VIDEO_GAP_PX)


def _line(side_px: int) -> slice:
    top = _HEAD_PX + _LABEL_PX + side_px
    return slice(top, top + _LINE_PX)


def _draw_phonemes(strip: Image, phonemes: list[Phoneme], now_s: float, colour: Colour) -> None:
    """The phonemes around `now_s`, moving left under a fixed mark; the present one stands out."""
    middle, px_per_s = strip.shape[1] // 2, strip.shape[1] / _TAPE_S
    begin_s, end_s = now_s - 0.5 * _TAPE_S, now_s + 0.5 * _TAPE_S
    first = bisect_left(phonemes, begin_s, key=lambda phoneme: phoneme[1])
    for start_s, stop_s, ipa in phonemes[first:]:
        if start_s > end_s:
            break
        now = start_s <= now_s < stop_s
        x = middle + round((0.5 * (start_s + stop_s) - now_s) * px_per_s)
        write_text(strip, ipa.strip("ˈˌː"), (x, 8), 15, colour if now else SOFT_TEXT, "middle")
        if now:
            strip[3:7, middle - 1 : middle + 1] = colour


def phoneme_sheet(view: ConversationView, renderer: WarpRenderer) -> Image:
    """A page of mouths: a row for each of `MOUTH_SOUNDS`, for each avatar a group of tiles.

    The first tile of a group has the mean of the face's coefficients at the middle of the sound,
    over all its occurrences, the others show single ones; the head looks ahead in all of them.
    Raises MediaError for a view whose phonemes are not known.
    """
    if not view.phonemes:
        raise MediaError(
            "mouth shapes",
            expected="a generated conversation, whose phonemes are known",
            got=view.title,
            remedy="give a seed instead of a file",
        )
    height = _PAGE_HEAD_PX + len(MOUTH_SOUNDS) * _ROW_PX + MARGIN_PX
    width = _group_left(len(view.avatars)) - _GROUP_GAP_PX + MARGIN_PX
    page = np.full((height, width, 3), BACKGROUND, np.uint8)
    write_text(page, f"{view.title}: mouth shapes", (MARGIN_PX, 20), 18, bold=True)
    for g, face in enumerate(view.avatars):
        left = _group_left(g)
        write_text(page, face.title, (left, 52), 13, face.colour, bold=True)
        for k, text in enumerate(("mean", *["example"] * _EXAMPLES)):
            write_text(page, text, (left + k * (_TILE_PX[0] + _TILE_GAP_PX), 67), 11, SOFT_TEXT)
    for k, (name, symbols) in enumerate(MOUTH_SOUNDS.items()):
        row = page[_PAGE_HEAD_PX + k * _ROW_PX :][:_ROW_PX]
        frames = sound_frames(view.phonemes["avatar"], symbols, view.frames)
        write_text(row, name, (MARGIN_PX, 34), 26, bold=True)
        write_text(row, f"{len(frames)} x", (MARGIN_PX, 68), 12, SOFT_TEXT)
        if not frames:
            write_text(row, "not spoken", (_group_left(0), 48), 12, SOFT_TEXT)
            continue
        for g, face in enumerate(view.avatars):
            _draw_mouths(row, _group_left(g), face.motion[frames], renderer)
    return page


def sound_frames(phonemes: list[Phoneme], symbols: str, frames: int) -> list[int]:
    """The frames, of `frames`, at the middle of each sound of `symbols`.

    Of a diphthong, or what else is written as several sounds, only the first one counts.
    """
    out = []
    for start_s, end_s, ipa in phonemes:
        sounds = sounds_of(ipa)
        if sounds and sounds[0] in symbols:
            out.append(int((start_s + 0.5 * (end_s - start_s) / len(sounds)) * FRAME_RATE_HZ))
    return [frame for frame in out if 0 <= frame < frames]


def _group_left(group: int) -> int:
    tiles = (1 + _EXAMPLES) * (_TILE_PX[0] + _TILE_GAP_PX) - _TILE_GAP_PX
    return MARGIN_PX + _ROW_LABEL_PX + group * (tiles + _GROUP_GAP_PX)


def _draw_mouths(row: Image, left: int, motion: Motion, renderer: WarpRenderer) -> None:
    """Mean and examples of `motion` ``[n, K]`` at one sound."""
    ahead = motion.copy()
    ahead[:, coefficients.POSE] = 0.0
    ahead[:, _HIDDEN] = 0.0
    mean = ahead.mean(axis=0)
    chosen = np.linspace(0, len(motion) - 1, min(_EXAMPLES, len(motion))).round().astype(int)
    for k, values in enumerate((mean, *ahead[chosen])):
        x = left + k * (_TILE_PX[0] + _TILE_GAP_PX)
        row[: _TILE_PX[1], x : x + _TILE_PX[0]] = _mouth_tile(renderer, values)
    text = "   ".join(f"{name.split('_')[1]} {mean[INDEX[name]]:.2f}" for name in _SHOWN)
    write_text(row, text, (left, _TILE_PX[1] + 3), 11, SOFT_TEXT)


def _mouth_tile(renderer: WarpRenderer, values: NDArray[np.float32]) -> Image:
    """The part around the mouth of the image of `values` ``[K]``."""
    centre = renderer.portrait.landmarks[[mesh.MOUTH_LEFT, mesh.MOUTH_RIGHT], :2].mean(axis=0)
    half_width = 0.40 * renderer.frame.width_px
    half_height = half_width * _TILE_PX[1] / _TILE_PX[0]
    x, y = centre[0], centre[1] + 0.2 * half_height  # the jaw goes down
    size = renderer.size_px
    rows = slice(max(int(y - half_height), 0), min(int(y + half_height), size))
    columns = slice(max(int(x - half_width), 0), min(int(x + half_width), size))
    part = renderer.render(values)[rows, columns]
    return np.asarray(cv2.resize(part, _TILE_PX, interpolation=cv2.INTER_AREA), np.uint8)
