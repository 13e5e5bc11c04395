"""Makes test/bags/conversation: six seconds of the demonstration's inputs as a rosbag (mcap).

    python tools/make_test_bag.py

The person as lossless pictures, small enough for a repository; both voices in pieces of 40 ms, as
a sound card would give them. Messages were "received" a little after their stamps.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.enums import CompressionFormat, CompressionMode

from avatar_forcing_ros import standalone

standalone.install()

from rclpy.serialization import serialize_message  # noqa: E402
from rclpy.time import Time  # noqa: E402
from sensor_msgs.msg import CompressedImage  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from avatar_forcing_ros.media_files.reading import read_audio, read_video  # noqa: E402
from avatar_forcing_ros.nodes.convert_audio import samples_to_msg  # noqa: E402
from avatar_forcing_ros.resources import shipped  # noqa: E402
from avatar_forcing_ros.standalone.store import standard  # noqa: E402
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS, SAMPLES_PER_FRAME  # noqa: E402

BAG = Path(__file__).parent.parent / "test" / "bags" / "conversation"
FIRST_FRAME, FRAMES = 225, 150  # the avatar's last words, then the person's, and a smile
START_NS = 1_700_000_000 * 10**9
SIZE_PX = 128
GREY_STEP = 4  # coarser colours are half the size, and nobody's face is lost by them
CAMERA_LATENCY_NS, SOUND_LATENCY_NS = 12_000_000, 45_000_000
Row = tuple[int, str, str, bytes]  # received, topic, type, CDR


def pictures() -> Iterator[Row]:
    """The person, 25 pictures a second."""
    video = read_video(shipped("models/demo/person.mp4"))
    for k, frame in enumerate(itertools.islice(video, FIRST_FRAME, FIRST_FRAME + FRAMES)):
        small = cv2.resize(frame.pixels, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)
        coarse = small // GREY_STEP * GREY_STEP
        _, data = cv2.imencode(".png", coarse[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
        stamp_ns = START_NS + k * FRAME_PERIOD_NS
        msg = CompressedImage(header=header(stamp_ns, "camera"), format="png", data=data.tobytes())
        yield (stamp_ns + CAMERA_LATENCY_NS, "/user/image/compressed",
               "sensor_msgs/msg/CompressedImage", serialize_message(msg))  # fmt: skip


def sound(topic: str, path: str) -> Iterator[Row]:
    """A voice, one message a frame, 16-bit."""
    samples = read_audio(shipped(path))
    for k in range(FRAMES):
        first = (FIRST_FRAME + k) * SAMPLES_PER_FRAME
        piece = np.zeros(SAMPLES_PER_FRAME, np.float32)
        there = samples[first : first + SAMPLES_PER_FRAME]
        piece[: len(there)] = there
        stamp_ns = START_NS + k * FRAME_PERIOD_NS
        msg = samples_to_msg(piece, header(stamp_ns, "microphone"), "int16")
        yield (stamp_ns + SOUND_LATENCY_NS, topic, "audio_common_msgs/msg/AudioStamped",
               serialize_message(msg))  # fmt: skip


def header(stamp_ns: int, frame_id: str) -> Header:
    return Header(stamp=Time(nanoseconds=stamp_ns).to_msg(), frame_id=frame_id)


def main() -> None:
    rows = sorted(
        itertools.chain(
            pictures(),
            sound("/user/audio", "models/demo/user_speech.wav"),
            sound("/avatar/audio", "models/demo/avatar_speech.wav"),
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
                connections[topic] = writer.add_connection(topic, kind, typestore=standard())
            writer.write(connections[topic], received_ns, data)
    size = sum(path.stat().st_size for path in BAG.iterdir())
    print(f"Wrote {BAG}: {len(rows)} messages, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
