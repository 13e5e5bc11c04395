#!/usr/bin/env python3

"""Make the inputs of the demo and the recording of the lip-sync test.

    python tools/make_demo_inputs.py

writes ``models/demo/avatar_speech.wav`` (Ada introduces herself), ``user_speech.wav`` (a person
answers), ``user_motion.npz`` (that person's face) and ``test/data/unseen_voice.wav`` with
``unseen_voice.json`` (phone times and the mouth that goes with them). The voices are those of
flite (``apt install flite``). Of these the training data never contains slt, which Ada and the
test speak with; rms, the user's, may be among the training voices. Without flite the voices are
espeak-ng's, and the recording of the test is left as it is.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from avatar_forcing_ros.rig.coefficients import COUNT, INDEX, NAMES, POSE, clip
from avatar_forcing_ros.timebase import FRAME_RATE_HZ, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from avatar_forcing_ros.training.synthetic import eyes, performance, speech, turns
from avatar_forcing_ros.training.synthetic.conversation import relative_loudness, render
from avatar_forcing_ros.training.synthetic.speech import laugh
from avatar_forcing_ros.training.synthetic.statistics import PersonStyle
from avatar_forcing_ros.training.synthetic.synthesisers import flite_installed
from avatar_forcing_ros.training.synthetic.visemes import MOUTH_NAMES, mouth_curves

ROOT = Path(__file__).resolve().parents[1]
SEED = 25
TOTAL_S = 24.0
AVATAR_VOICE, USER_VOICE = "slt", "rms"
# (start_s, text); the avatar speaks first, the person answers from second 11 on
AVATAR_LINES = (
    (0.4, "Hello! My name is Ada, and I am very happy to meet you."),
    (4.8, "I can talk with you, and I can listen to you. So, how are you feeling today?"),
)
USER_LINES = (
    (11.1, "Hi Ada! I feel really good today, thank you for asking."),
    (15.6, "You know, I have never chatted with a robot before."),
)
LAUGH_START_S = 19.0
SMILE_START_S = 13.0  # the person's smile, for which to watch the avatar's answer
UNSEEN_LINES = (
    "My father parked the car behind a large apple farm.",
    "Maybe we could watch the moon above the bay, before it gets too cold.",
)
# the person, always the same: lively, even, moderate
PERSON = PersonStyle(
    expressiveness=1.0, articulation=1.0, sway=1.0, blinks_per_min=15.0, smiles_per_min=2.0,
    base_smile=0.04, smile_asymmetry=0.03, smile_back_probability=0.9, nod_probability=0.6,
    mirror_gain=0.4, mirror_lag_s=0.8, gaze_avoidance=0.7,
)  # fmt: skip
SCRIPT = tuple(
    performance.Act(*row) for row in (
        # kind, start_s, size, hold_s: listens, nods, answers, smiles, laughs
        ("smile", 1.2, 0.25, 1.2), ("nod", 2.1, 0.08), ("nod", 4.9, 0.10), ("nod", 8.2, 0.09),
        ("brow", 10.2, 0.40, 0.4), ("tilt", 10.3, 0.08, 1.2), ("emphasis", 12.9, 0.07),
        ("smile", SMILE_START_S, 0.80, 2.0), ("brow", 16.0, 0.35, 0.3),
        ("emphasis", 17.2, 0.06), ("laugh", LAUGH_START_S - 0.2, 0.90, 1.8), ("nod", 21.6, 0.10),
    )
)  # fmt: skip


def natural(text: str, voice: str) -> speech.Utterance:
    """`text` by flite's `voice`, trimmed to its phones, at the standard speech level."""
    return speech.speak(text, speech.Voice(f"flite:{voice}", 170, 50, 50, 1.0))


def say(text: str, voice: str) -> speech.Utterance:
    """`text` by flite where it is installed, else by espeak."""
    if flite_installed():
        return natural(text, voice)
    name = "en-us+f4" if voice == AVATAR_VOICE else "en-us+m5"
    return speech.speak(text, speech.Voice(name, 165, 50, 50, 1.0))


def spoken(lines: tuple[tuple[float, str], ...], voice: str) -> turns.Speech:
    """The lines as segments on the demo's clock."""
    return turns.Speech(
        tuple(
            turns.Segment(
                start_s, say(text, voice), "turn", text.endswith("?"), i == len(lines) - 1
            )
            for i, (start_s, text) in enumerate(lines)
        )
    )


def person_motion(
    rng: np.random.Generator, own: turns.Speech, partner: turns.Speech, frames: int
) -> NDArray[np.float32]:
    """The scripted person's face ``[T, 23]``."""
    motion = np.zeros((frames, COUNT))
    loudness = relative_loudness(render(own, frames))
    mouth = [INDEX[name] for name in MOUTH_NAMES]
    motion[:, mouth] = mouth_curves(own.phonemes(), frames, PERSON.articulation, loudness)
    motion[:, POSE] = performance.sway(rng, PERSON, own, partner, frames)
    performance.add_acts(rng, PERSON, own, motion, list(SCRIPT))
    eyes.add_eyes(rng, PERSON, motion, own, partner, None)
    return clip(motion)


def make_demo(folder: Path) -> None:
    """Write the two recordings and the person's motion into `folder`."""
    rng = np.random.default_rng(SEED)
    frames = round(TOTAL_S * FRAME_RATE_HZ)
    avatar = spoken(AVATAR_LINES, AVATAR_VOICE)
    user = spoken(USER_LINES, USER_VOICE)
    person = speech.Voice("", 165, 10, 50, 0.95)
    laughing = turns.Segment(LAUGH_START_S, laugh(rng, person), "laugh")
    user = turns.Speech((*user.segments, laughing))
    for who, said in (("avatar", avatar), ("user", user)):
        for segment in said.segments:
            print(f"{who}: {segment.start_s:5.2f}-{segment.end_s:5.2f} s {segment.utterance.text}")
        # 3 dB up from the training level, still with head room
        audio = np.clip(1.4 * render(said, frames), -0.98, 0.98)
        soundfile.write(folder / f"{who}_speech.wav", audio, SAMPLE_RATE_HZ, "PCM_16")
    np.savez_compressed(
        folder / "user_motion.npz",
        names=np.array(NAMES),
        values=person_motion(rng, user, avatar, frames),
        smile_start_s=SMILE_START_S,
        laugh_start_s=LAUGH_START_S,
        nods_s=np.array([act.start_s for act in SCRIPT if act.kind == "nod"]),
    )


def make_unseen_voice(folder: Path) -> None:
    """Write the recording of a voice that training never hears, and its phones and mouth."""
    start_s, segments = 0.3, []
    for text in UNSEEN_LINES:
        segments.append(turns.Segment(start_s, natural(text, AVATAR_VOICE), "turn"))
        start_s = segments[-1].end_s + 0.5
    said = turns.Speech(tuple(segments))
    frames = int((start_s + 0.2) * FRAME_RATE_HZ)
    audio = render(said, frames)
    mouth = mouth_curves(said.phonemes(), frames, 1.0, relative_loudness(audio))
    soundfile.write(folder / "unseen_voice.wav", audio, SAMPLE_RATE_HZ, "PCM_16")
    assert len(audio) == frames * SAMPLES_PER_FRAME
    document = {
        "about": "flite's voice slt (CMU, BSD-like licence); frame i is the centre of its 40 ms",
        "text": list(UNSEEN_LINES),
        "frame_rate_hz": FRAME_RATE_HZ,
        "phonemes": [[round(a, 4), round(b, 4), ipa] for a, b, ipa in said.phonemes()],
        **{name: [round(float(v), 4) for v in mouth[:, MOUTH_NAMES.index(name)]]
           for name in ("jaw_open", "lips_close")},
    }  # fmt: skip
    text = json.dumps(document, ensure_ascii=False, indent=None)
    (folder / "unseen_voice.json").write_text(text + "\n", encoding="utf-8")
    print(f"unseen voice: {frames / FRAME_RATE_HZ:.2f} s, {len(document['phonemes'])} phonemes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--demo-folder", type=Path, default=ROOT / "models" / "demo")
    parser.add_argument("--test-folder", type=Path, default=ROOT / "test" / "data")
    options = parser.parse_args()
    for folder in (options.demo_folder, options.test_folder):
        folder.mkdir(parents=True, exist_ok=True)
    make_demo(options.demo_folder)
    if flite_installed():
        make_unseen_voice(options.test_folder)
    else:
        print("flite is not installed: unseen_voice.wav left as it is")


if __name__ == "__main__":
    main()
