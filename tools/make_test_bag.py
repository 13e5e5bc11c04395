"""Makes test/bags/conversation: six seconds of the demonstration's inputs as a rosbag (mcap).

    python tools/make_test_bag.py

The person as lossless images, small enough for a repository; both voices in pieces of 40 ms, as
a sound card would give them. Messages were "received" a little after their stamps.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.enums import CompressionFormat, CompressionMode
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from avatar_forcing_ros.media_files.reading import read_audio, read_video
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME

AUDIO = Path(__file__).parent.parent / "interfaces" / "mgonzs13" / "audio_common_msgs"
BAG = Path(__file__).parent.parent / "test" / "bags" / "conversation"
FIRST_FRAME, FRAMES = 225, 150  # the avatar's last words, then the person's, and a smile
START_NS = 1_700_000_000 * 10**9
SIZE_PX = 128
GREY_STEP = 4  # coarser colours are half the size, and nobody's face is lost by them
CAMERA_LATENCY_NS, SOUND_LATENCY_NS = 12_000_000, 45_000_000
INT16 = 8  # as PyAudio numbers the formats of samples
Row = tuple[int, str, str, bytes]  # received, topic, type, CDR

# rosbags serialises, since it makes the same bytes each time: ROS leaves what lies between fields
# as it was in memory
STORE = get_typestore(Stores.ROS2_JAZZY)
for definition in sorted(AUDIO.glob("*.msg")):
    name = f"audio_common_msgs/msg/{definition.stem}"
    STORE.register(get_types_from_msg(definition.read_text(encoding="utf-8"), name))


def message(kind: str, **fields: Any) -> Any:
    return STORE.types[kind](**fields)


def row(received_ns: int, topic: str, sent: Any) -> Row:
    data = bytes(STORE.serialize_cdr(sent, sent.__msgtype__))
    return received_ns, topic, sent.__msgtype__, data


def images() -> Iterator[Row]:
    """The person, 25 images a second."""
    video = read_video(shipped("models/demo/person.mp4"))
    for k, frame in enumerate(itertools.islice(video, FIRST_FRAME, FIRST_FRAME + FRAMES)):
        small = cv2.resize(frame.pixels, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)
        coarse = small // GREY_STEP * GREY_STEP
        _, data = cv2.imencode(".png", coarse[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
        stamp_ns = START_NS + k * FRAME_PERIOD_NS
        image = message(
            "sensor_msgs/msg/CompressedImage",
            header=header(stamp_ns, "camera"),
            format="png",
            data=data.reshape(-1),
        )
        yield row(stamp_ns + CAMERA_LATENCY_NS, "/user/image/compressed", image)


def audio(topic: str, path: str) -> Iterator[Row]:
    """A voice, one message a frame, 16-bit."""
    samples = read_audio(shipped(path))
    for k in range(FRAMES):
        first = (FIRST_FRAME + k) * SAMPLES_PER_FRAME
        piece = np.zeros(SAMPLES_PER_FRAME, np.float32)
        there = samples[first : first + SAMPLES_PER_FRAME]
        piece[: len(there)] = there
        stamp_ns = START_NS + k * FRAME_PERIOD_NS
        stamped = message(
            "audio_common_msgs/msg/AudioStamped",
            header=header(stamp_ns, "microphone"),
            audio=message(
                "audio_common_msgs/msg/Audio",
                audio_data=message(
                    "audio_common_msgs/msg/AudioData",
                    float32_data=np.zeros(0, np.float32),
                    int32_data=np.zeros(0, np.int32),
                    int16_data=np.clip(np.rint(piece * 32768), -32768, 32767).astype(np.int16),
                    int8_data=np.zeros(0, np.int8),
                    uint8_data=np.zeros(0, np.uint8),
                ),
                info=message(
                    "audio_common_msgs/msg/AudioInfo",
                    format=INT16,
                    channels=1,
                    rate=SAMPLE_RATE_HZ,
                    chunk=SAMPLES_PER_FRAME,
                ),
            ),
        )
        yield row(stamp_ns + SOUND_LATENCY_NS, topic, stamped)


def header(stamp_ns: int, frame_id: str) -> Any:
    sec, nanosec = divmod(stamp_ns, 10**9)
    stamp = message("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
    return message("std_msgs/msg/Header", stamp=stamp, frame_id=frame_id)


def main() -> None:
    rows = sorted(
        itertools.chain(
            images(),
            audio("/user/audio", "models/demo/user_speech.wav"),
            audio("/avatar/audio", "models/demo/avatar_speech.wav"),
        )
    )
    shutil.rmtree(BAG, ignore_errors=True)
    BAG.parent.mkdir(parents=True, exist_ok=True)
    writer = Writer(BAG, version=8, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with writer:
        connections = {}
        for received_ns, topic, kind, data in rows:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], received_ns, data)
    size = sum(path.stat().st_size for path in BAG.iterdir())
    print(f"Wrote {BAG}: {len(rows)} messages, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
