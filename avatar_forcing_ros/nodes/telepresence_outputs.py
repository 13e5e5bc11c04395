"""What the browser sends, on the graph: a voice for the avatar, or a person before it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import rclpy
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.media import AudioChunk, VideoFrame
from avatar_forcing_ros.nodes import quality
from avatar_forcing_ros.nodes.audio_messages import audio_message
from avatar_forcing_ros.nodes.convert_audio import samples_to_data_msg, samples_to_msg
from avatar_forcing_ros.nodes.convert_image import rgb_to_compressed, rgb_to_image
from avatar_forcing_ros.nodes.health import Troubles
from avatar_forcing_ros.web.refusal import RefusedError

FRAME_ID = "operator"


class TelepresenceOutputs:
    """Publishers and the service's client; methods may be called in any thread."""

    def __init__(self, node: Node, settings: Mapping[str, Any], troubles: Troubles) -> None:
        self._node, self._troubles = node, troubles
        self._quality = settings["jpeg_quality"]
        stamped = settings["audio_msg"] == "audio_stamped"
        message = audio_message(settings["audio_msg"])
        self._sound_msg = samples_to_msg if stamped else samples_to_data_msg
        self._voice = quality.publisher(node, "avatar/audio", message, managed=False)
        self._user_sound = self._user_picture = None
        self._compressed = settings["user_image_transport"] == "compressed"
        if settings["browser_is_user"]:
            self._user_sound = quality.publisher(node, "user/audio", message, managed=False)
            self._user_picture = node.create_publisher(
                CompressedImage if self._compressed else Image,
                "user/image/compressed" if self._compressed else "user/image",
                quality.profile(quality.TABLE["user/image"]),
            )
        self._stop = node.create_client(Trigger, settings["stop_service"])

    def now_ns(self) -> int:
        """ROS time."""
        return int(self._node.get_clock().now().nanoseconds)

    def send_voice(self, chunk: AudioChunk) -> None:
        """Sound that the avatar is to say."""
        self._publish(self._voice, self._sound_msg, chunk.samples, chunk.stamp_ns)

    def send_user_sound(self, chunk: AudioChunk) -> None:
        """Sound of the person before the avatar."""
        self._publish(self._user_sound, self._sound_msg, chunk.samples, chunk.stamp_ns)

    def send_user_picture(self, frame: VideoFrame) -> None:
        """A picture of them."""
        if self._compressed:
            self._publish(
                self._user_picture, rgb_to_compressed, frame.pixels, frame.stamp_ns, self._quality
            )
        else:
            self._publish(self._user_picture, rgb_to_image, frame.pixels, frame.stamp_ns)

    def _publish(
        self, publisher: Any, to_msg: Any, content: Any, stamp_ns: int, *more: Any
    ) -> None:
        if not rclpy.ok(context=self._node.context):  # the program is ending
            return
        try:
            publisher.publish(to_msg(content, quality.header(stamp_ns, FRAME_ID), *more))
        except Exception as error:  # told; the next one may succeed
            self._troubles.note("sending", f"something could not be sent: {error}")

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
