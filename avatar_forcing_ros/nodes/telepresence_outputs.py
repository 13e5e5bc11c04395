"""What the browser sends, on the graph: a voice for the avatar, or a person before it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

import rclpy
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.nodes import qos
from avatar_forcing_ros.nodes.audio_topics import AudioPublisher
from avatar_forcing_ros.nodes.convert_audio import stamped_kind
from avatar_forcing_ros.nodes.convert_image import rgb_to_compressed, rgb_to_image
from avatar_forcing_ros.nodes.diagnostics import ErrorCounter
from avatar_forcing_ros.web.refusal import RefusedError

FRAME_ID = "operator"


class TelepresenceOutputs:
    """Publishers and the service's client; methods may be called in any thread."""

    def __init__(self, node: Node, settings: Mapping[str, Any], errors: ErrorCounter) -> None:
        self._node, self._errors = node, errors
        self._quality = settings["jpeg_quality"]
        kind = stamped_kind(settings["audio_msg"])
        self._voice = AudioPublisher(node, "avatar/audio", kind, errors)
        self._user_sound: AudioPublisher | None = None
        self._user_picture: Any = None
        self._compressed = settings["user_image_transport"] == "compressed"
        if settings["browser_is_user"]:
            self._user_sound = AudioPublisher(node, "user/audio", kind, errors)
            self._user_picture = node.create_publisher(
                CompressedImage if self._compressed else Image,
                "user/image/compressed" if self._compressed else "user/image",
                qos.profile(qos.TABLE["user/image"]),
            )
        self._stop = node.create_client(Trigger, settings["stop_service"])

    def now_ns(self) -> int:
        """ROS time."""
        return int(self._node.get_clock().now().nanoseconds)

    def send_voice(self, chunk: AudioChunk) -> None:
        """Sound that the avatar is to say."""
        self._publish_audio(self._voice, chunk)

    def send_user_sound(self, chunk: AudioChunk) -> None:
        """Sound of the person before the avatar."""
        assert self._user_sound
        self._publish_audio(self._user_sound, chunk)

    def send_user_picture(self, frame: VideoFrame) -> None:
        """A picture of them."""
        header = qos.header(frame.stamp_ns, FRAME_ID)

        def send() -> None:
            if self._compressed:
                msg = rgb_to_compressed(frame.pixels, header, self._quality)
            else:
                msg = rgb_to_image(frame.pixels, header)
            self._user_picture.publish(msg)

        self._guarded(send)

    def _publish_audio(self, publisher: AudioPublisher, chunk: AudioChunk) -> None:
        header = qos.header(chunk.stamp_ns, FRAME_ID)
        self._guarded(lambda: publisher.publish(chunk.samples, header))

    def _guarded(self, send: Callable[[], None]) -> None:
        if not rclpy.ok(context=self._node.context):  # the program is ending
            return
        try:
            send()
        except Exception as error:  # told; the next one may succeed
            self._errors.count("sending", f"something could not be sent: {error}")

    def stop_speaking(self) -> Future[int]:
        """Call the avatar's service; how many samples it says that it dropped.

        The future raises RefusedError where nobody offers the service, OutputError where the
        avatar could not do it.
        """
        told: Future[int] = Future()
        if not self._stop.service_is_ready():
            told.set_exception(
                RefusedError(
                    503,
                    "stop speaking",
                    expected=f"somebody who offers the service {self._stop.srv_name}",
                    got="nobody",
                    remedy="start avatar_node, or set the parameter stop_service",
                )
            )
            return told
        asked = self._stop.call_async(Trigger.Request())

        def forget(done: Future[int]) -> None:
            if done.cancelled():  # whoever asked has given up
                self._stop.remove_pending_request(asked)

        told.add_done_callback(forget)
        asked.add_done_callback(lambda answer: _pass_on(answer, told))
        return told


def _pass_on(answer: Any, told: Future[int]) -> None:
    if not told.set_running_or_notify_cancel():
        return
    reply = answer.result()
    if reply is not None and reply.success:
        number = re.search(r"\d+", reply.message)  # "dropped 640 samples"
        told.set_result(int(number[0]) if number else 0)
        return
    told.set_exception(
        OutputError(
            "stop speaking",
            expected="the avatar to do it",
            got=repr(reply.message) if reply is not None else "no answer",
            remedy="activate avatar_node",
        )
    )
