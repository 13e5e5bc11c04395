"""``display_node``: shows the avatar on the robot's screen and plays its voice, in sync.

Callbacks only convert and enqueue; ``Playout`` decides what is seen and heard when. The executor
spins in a thread of its own, because windows belong to the main thread.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage, Image

from avatar_forcing_ros.errors import AvatarForcingError
from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.node_config import DisplayNodeConfig
from avatar_forcing_ros.nodes.audio_subscription import AudioSubscription
from avatar_forcing_ros.nodes.bad_message import BadMessage
from avatar_forcing_ros.nodes.convert_image import compressed_to_rgb, image_to_rgb
from avatar_forcing_ros.nodes.display_report import DisplayReport
from avatar_forcing_ros.nodes.node_base import NodeBase
from avatar_forcing_ros.nodes.node_main import run_node
from avatar_forcing_ros.nodes.parameters import declare, read, values
from avatar_forcing_ros.nodes.screen import AnyScreen, Screen
from avatar_forcing_ros.nodes.speaker import AnySpeaker, Sound, Speaker
from avatar_forcing_ros.nodes.stamps import MessageTime
from avatar_forcing_ros.nodes.stop_signals import StopSignals
from avatar_forcing_ros.nodes.subscriptions import MatchedSubscription
from avatar_forcing_ros.sync.playout import Playout

_LONGEST_WAIT_S = 0.01
_SHORTEST_WAIT_S = 0.001


class DisplayNode(NodeBase):
    """The node; `make_screen` and `make_speaker` open what the parameters ask for.

    Raises MissingDependencyError where a window is asked for and cannot be had. A speaker that
    cannot be had is a warning. It must be made, and `step` be called, in the main thread.
    """

    def __init__(
        self,
        *,
        make_screen: Callable[[bool, str], AnyScreen] = Screen,
        make_speaker: Callable[[str], AnySpeaker] = Speaker,
        now_ns: Callable[[], int] = time.monotonic_ns,
        **options: Any,
    ) -> None:
        super().__init__("display_node", **options)
        self._now_ns = now_ns
        self._lock = threading.Lock()  # around the playout, which three threads use
        self.received: Counter[str] = Counter()
        self._matched: list[AudioSubscription | MatchedSubscription] = []
        self.screen: AnyScreen | None = None
        self.speaker: AnySpeaker | None = None
        try:
            declare(self, DisplayNodeConfig)
            self.settings = read(self, DisplayNodeConfig)
            self.playout = Playout(self.settings.delay_ms)
            if self.settings.window:
                self.screen = make_screen(self.settings.fullscreen, self.settings.title)
            if self.settings.speaker:
                self._open_speaker(make_speaker)
            self._subscribe()
            self.add_on_set_parameters_callback(self._on_parameters)
            self._report = DisplayReport(self.get_fully_qualified_name()[1:], now_ns())
            self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
            # diagnostics go on while simulated time stands still
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self.create_timer(1.0, self._publish_diagnostics, clock=steady)
        except BaseException:
            self.destroy_node()
            raise

    def work(self, signals: StopSignals) -> None:
        """Show what is due, until the end is asked for or the window is closed."""
        if self.screen is None:
            signals.wait()
        while not signals.requested and self.step():
            pass

    def step(self) -> bool:
        """Show what is due and wait a little for the next; False once somebody wants to end."""
        assert self.screen is not None
        with self._lock:
            frame = self.playout.frame_at(self._now_ns())
            next_ns = self.playout.next_frame_ns
        if frame is not None:
            self.screen.show(frame.pixels)
        wait_s = _LONGEST_WAIT_S if next_ns is None else (next_ns - self._now_ns()) / 1e9
        return self.screen.wait(min(max(wait_s, _SHORTEST_WAIT_S), _LONGEST_WAIT_S))

    def destroy_node(self) -> None:
        """Close screen and speaker, then take the node out of the graph."""
        if self.speaker is not None:
            self.speaker.stop()
        if self.screen is not None:
            self.screen.close()
        self.speaker = self.screen = None
        super().destroy_node()

    def _open_speaker(self, make_speaker: Callable[[str], AnySpeaker]) -> None:
        speaker: AnySpeaker | None = None
        try:
            speaker = make_speaker(self.settings.speaker_device)
            speaker.start(self._pull)
        except AvatarForcingError as error:
            self.get_logger().warning(f"{error}. The avatar is shown without sound.")
            if speaker is not None:
                speaker.stop()
            return
        self.speaker = speaker

    def _subscribe(self) -> None:
        """To what has a place to go: pictures without a screen would only cost bandwidth."""
        group = MutuallyExclusiveCallbackGroup()
        if self.screen is not None:
            compressed = self.settings.image_transport == "compressed"
            topic = "avatar/image_raw/compressed" if compressed else "avatar/image_raw"
            to_rgb = compressed_to_rgb if compressed else image_to_rgb
            self._matched.append(
                MatchedSubscription(
                    self,
                    topic,
                    [CompressedImage if compressed else Image],
                    lambda msg: self._on_frame(msg, to_rgb),
                    self.errors,
                    group,
                )
            )
        if self.speaker is not None:
            self._matched.append(
                AudioSubscription(
                    self,
                    "avatar/audio_aligned",
                    values(self, DisplayNodeConfig),
                    self._on_audio,
                    self._time_of_audio,
                    self.errors,
                    group,
                )
            )
        if self.screen is None and self.speaker is None:
            self.get_logger().warning("neither window nor speaker: nothing is shown or played")

    def _on_frame(self, msg: Any, convert: Callable[[Any], Any]) -> None:
        arrival_ns = self._now_ns()
        self.received["frames"] += 1
        try:
            pixels = convert(msg)
        except BadMessage as bad:
            self.errors.count(f"frames {bad.reason}", f"dropped a bad message: {bad.detail}")
            return
        stamp_ns = self._stamp_ns(msg)
        with self._lock:
            self.playout.push_frame(stamp_ns, pixels, arrival_ns)

    def _time_of_audio(self, msg: Any) -> MessageTime:
        self.received["sounds"] += 1
        return MessageTime(self._stamp_ns(msg), arrived=False)

    def _on_audio(self, chunk: AudioChunk, at: MessageTime) -> None:
        arrival_ns = self._now_ns() + (self.speaker.lead_ns if self.speaker else 0)
        with self._lock:
            self.playout.push_audio(chunk.stamp_ns, chunk.samples, arrival_ns)

    def _stamp_ns(self, msg: Any) -> int:
        """The header's stamp; where it is empty, now."""
        header = getattr(msg, "header", None)
        stamp_ns = Time.from_msg(header.stamp).nanoseconds if header else 0
        if stamp_ns:
            return stamp_ns
        self.received["unstamped"] += 1
        self.get_logger().warning(
            "messages without a stamp: taken as of their arrival, so lips and voice may differ",
            once=True,
        )
        return self.get_clock().now().nanoseconds

    def _pull(self, heard_ns: int, count: int) -> Sound:
        with self._lock:
            return self.playout.audio_for(heard_ns, count)

    def _on_parameters(self, parameters: list[Any]) -> Any:
        for parameter in parameters:
            if parameter.name == "delay_ms":
                with self._lock:
                    self.playout.set_delay_ms(parameter.value)
        return SetParametersResult(successful=True)

    def _publish_diagnostics(self) -> None:
        with self._lock:
            status = self._report.status(
                self.playout,
                now_ns=self._now_ns(),
                received=self.received,
                errors=self.errors.counts,
                screen=self.screen,
                speaker=self.speaker,
                speaker_wanted=self.settings.speaker,
            )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def main(args: Sequence[str] | None = None, signals: StopSignals | None = None) -> int:
    """Run the node until it is told to end; the process's exit code."""
    return run_node("display_node", DisplayNode, args, signals)


if __name__ == "__main__":
    sys.exit(main())
