"""``display_node``: shows the avatar on the robot's screen and plays its audio, in sync.

Callbacks only convert and enqueue; ``Playout`` decides what is shown and played when. The executor
spins in a thread of its own, because windows belong to the main thread.
"""

from __future__ import annotations

import functools
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup

from avatar_forcing_ros.errors import AvatarForcingError
from avatar_forcing_ros.media import AudioChunk
from avatar_forcing_ros.node_config import DisplayNodeConfig
from avatar_forcing_ros.nodes import diagnostics
from avatar_forcing_ros.nodes.audio_topics import AudioSubscription
from avatar_forcing_ros.nodes.convert_image import Pixels
from avatar_forcing_ros.nodes.executable import StopSignals
from avatar_forcing_ros.nodes.node_base import NodeBase
from avatar_forcing_ros.nodes.node_main import run_node
from avatar_forcing_ros.nodes.parameters import accepted, declare, read, values
from avatar_forcing_ros.nodes.screen import Screen
from avatar_forcing_ros.nodes.speaker import Speaker
from avatar_forcing_ros.nodes.subscriptions import MessageTime, StampReader, subscribe_to_image
from avatar_forcing_ros.sync.playout import Playout
from avatar_forcing_ros.timebase import SAMPLE_RATE_HZ

_MIN_WAIT_S, _MAX_WAIT_S = 0.001, 0.01
IMAGE_TOPIC, AUDIO_TOPIC = "avatar/image_raw", "avatar/audio_aligned"


class DisplayNode(NodeBase):
    """The node; `make_screen` and `make_speaker` open what the parameters ask for.

    Raises MissingDependencyError where a window is asked for and cannot be had. A speaker that
    cannot be had is a warning. It must be made, and `step` be called, in the main thread.
    """

    def __init__(
        self,
        *,
        make_screen: Callable[[bool, str], Screen] = Screen,
        make_speaker: Callable[[str], Speaker] = Speaker,
        now_ns: Callable[[], int] = time.monotonic_ns,
        **options: Any,
    ) -> None:
        super().__init__("display_node", **options)
        self._local_ns = now_ns
        self._lock = threading.Lock()  # around the playout, which three threads use
        self.received: Counter[str] = Counter()
        # any stamp is good: the playout finds out how they relate to the local clock
        self._stamp = StampReader(self, math.inf)
        self.screen: Screen | None = None
        self.speaker: Speaker | None = None
        self._reported_ns, self._reported = now_ns(), Counter[str]()
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
            self.publish_diagnostics(self._statuses)
        except BaseException:
            self.destroy_node()
            raise

    def work(self, signals: StopSignals) -> None:
        """Show what is due, until the end is requested or the window is closed."""
        if self.screen is None:
            signals.wait()
        while not signals.requested and self.step():
            pass

    def step(self) -> bool:
        """Show what is due and wait a little for the next; False once somebody wants to end."""
        assert self.screen is not None
        with self._lock:
            frame = self.playout.frame_at(self._local_ns())
            next_ns = self.playout.next_frame_ns
        if frame is not None:
            self.screen.show(frame.pixels)
        wait_s = _MAX_WAIT_S if next_ns is None else (next_ns - self._local_ns()) / 1e9
        return self.screen.wait(min(max(wait_s, _MIN_WAIT_S), _MAX_WAIT_S))

    def destroy_node(self) -> None:
        """Close screen and speaker, then take the node off the graph."""
        if self.speaker is not None:
            self.speaker.stop()
        if self.screen is not None:
            self.screen.close()
        self.speaker = self.screen = None
        super().destroy_node()

    def _open_speaker(self, make_speaker: Callable[[str], Speaker]) -> None:
        try:
            self.speaker = make_speaker(self.settings.speaker_device)
            self.speaker.start(self._audio_for)
        except AvatarForcingError as error:
            self.get_logger().warning(f"{error}. The avatar is shown without audio.")
            if self.speaker is not None:
                self.speaker.stop()
            self.speaker = None

    def _subscribe(self) -> None:
        """To what has a place to go: images without a screen would only cost bandwidth."""
        group = MutuallyExclusiveCallbackGroup()
        if self.screen is not None:
            transport = self.settings.image_transport
            subscribe_to_image(self, IMAGE_TOPIC, transport, self._on_frame, group)
        if self.speaker is not None:
            AudioSubscription(
                self,
                AUDIO_TOPIC,
                values(self, DisplayNodeConfig),
                self._on_audio,
                self._time_of_audio,
                group,
            )
        if self.screen is None and self.speaker is None:
            self.get_logger().warning("neither window nor speaker: nothing is shown or played")

    def _on_frame(self, msg: Any, to_rgb: Callable[[], Pixels]) -> None:
        arrival_ns = self._local_ns()
        self.received["frames"] += 1
        pixels, at = to_rgb(), self._stamp(msg, IMAGE_TOPIC)
        with self._lock:
            self.playout.push_frame(at.ns, pixels, arrival_ns)

    def _time_of_audio(self, msg: Any) -> MessageTime:
        self.received["audio"] += 1
        return self._stamp(msg, AUDIO_TOPIC)._replace(arrived=False)  # played in order

    def _on_audio(self, chunk: AudioChunk, at: MessageTime) -> None:
        arrival_ns = self._local_ns() + (self.speaker.lead_ns if self.speaker else 0)
        with self._lock:
            self.playout.push_audio(chunk.stamp_ns, chunk.samples, arrival_ns)

    def _audio_for(self, playback_ns: int, count: int) -> Any:
        with self._lock:
            return self.playout.audio_for(playback_ns, count)

    def _on_parameters(self, parameters: list[Any]) -> Any:
        for parameter in parameters:
            if parameter.name == "delay_ms":
                with self._lock:
                    self.playout.set_delay_ms(parameter.value)
        return accepted()

    def _statuses(self) -> list[DiagnosticStatus]:
        """Counts since the start; rates and warnings since the last report."""
        errors, received, playout = self.errors.counts, self.received, self.playout
        error_count = sum(errors.values())
        running = self.speaker is not None and self.speaker.is_running
        with self._lock:
            counts = Counter(
                shown=playout.shown_frames,
                frames=received["frames"],
                rebuffers=playout.rebuffers,
                resets=playout.resets,
                errors=error_count,
            )
            new, self._reported = counts - self._reported, counts
            now_ns = self._local_ns()
            elapsed_s = max(1e-9, (now_ns - self._reported_ns) / 1e9)
            self._reported_ns = now_ns
            values: dict[str, object] = {
                "shown fps": new["shown"] / elapsed_s,
                "frames received": received["frames"],
                "frames shown": playout.shown_frames,
                "frames skipped": playout.skipped_frames,
                "frames late": playout.late_frames,
                "sound messages received": received["audio"],
                "sound missing ms": playout.missing_samples * 1000 // SAMPLE_RATE_HZ,
                "sound dropped ms": playout.dropped_samples * 1000 // SAMPLE_RATE_HZ,
                "rebuffers": playout.rebuffers,
                "resets": playout.resets,
                "A/V offset ms": playout.av_offset_ms,
            }
        values |= {
            "window": "on" if self.screen is not None else "off",
            "speaker": "on" if running else "failed" if self.settings.speaker else "off",
            "speaker underruns": self.speaker.underruns if self.speaker is not None else 0,
            "messages without stamp": sum(
                count for reason, count in errors.items() if reason.endswith("stamp_zero")
            ),
            "errors": error_count,
        }
        values |= {f"errors: {reason}": n for reason, n in sorted(errors.items())}
        warnings = [
            (self.settings.speaker and not running, "no audio: the speaker cannot be used"),
            (new["errors"], "messages that were lost, cannot be read or have no stamp"),
            (new["resets"] > 1, "stamps jump; do image and audio have the same clock?"),
            (new["rebuffers"], "came later than planned: waiting longer from now on"),
            (self.screen is not None and not new["frames"], "no frames are coming"),
        ]
        warning = next((text for applies, text in warnings if applies), "")
        status = diagnostics.status(self, "playout", values, ok="in sync", warning=warning)
        status.name = status.name.removeprefix("/")
        return [status]


main = functools.partial(run_node, "display_node", DisplayNode)
