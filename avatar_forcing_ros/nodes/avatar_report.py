"""What the avatar reports: `avatar/state` and diagnostics, from its one status."""

from __future__ import annotations

from dataclasses import asdict

from diagnostic_msgs.msg import DiagnosticStatus

from avatar_forcing_ros.msg import AvatarState
from avatar_forcing_ros.nodes import diagnostics
from avatar_forcing_ros.nodes.interface import header
from avatar_forcing_ros.nodes.node_base import REPORT_PERIOD_S, LifecycleNodeBase
from avatar_forcing_ros.runtime.status import AvatarStatus

MAX_STALL_S = 3.0
MAX_BEHIND_MS = 1000.0


class AvatarReport:
    """Publishes the state in every state of the lifecycle, and makes the lines of diagnostics."""

    def __init__(self, node: LifecycleNodeBase) -> None:
        self._node = node
        self.device = ""
        self._frames, self._fps = 0, 0.0
        self._sending_cpu_s = self._sending_share = 0.0
        self._reported_chunk_ms = 0.0
        self._last_state: tuple[bool, ...] = ()
        self._conversation: tuple[int, int] | None = None  # its seed, and the blocks of it so far
        self._state = node.create_table_publisher("avatar/state", AvatarState)

    def publish(
        self, status: AvatarStatus, frames: int, received: dict[str, int]
    ) -> list[DiagnosticStatus]:
        """Publish the state and return the lines of diagnostics; called every REPORT_PERIOD_S.

        `frames` were sent since configuration, and so many messages `received`.
        """
        self._fps = max(0, frames - self._frames) / REPORT_PERIOD_S
        self._frames = frames
        sending_s = max(0.0, status.sending_cpu_s - self._sending_cpu_s)
        self._sending_share, self._sending_cpu_s = (
            sending_s / REPORT_PERIOD_S,
            status.sending_cpu_s,
        )
        self._tell_seed(status)
        self._warn_of_long_chunks(status)
        self.publish_state(status)
        node, errors = self._node, self._node.errors
        statuses = [
            self._of_avatar(status),
            diagnostics.status(node, "errors", errors.counts, ok="none", warning=errors.summary),
        ]
        if received:
            statuses.insert(1, diagnostics.status(node, "inputs", received, ok="received"))
        return statuses

    def publish_changes(self, status: AvatarStatus) -> None:
        """The state at once, where somebody began or stopped to speak, or came or went."""
        if _state_of(status) != self._last_state:
            self.publish_state(status)

    def publish_state(self, status: AvatarStatus) -> None:
        """The state."""
        self._last_state = _state_of(status)
        talking = AvatarState.SPEAKING if status.speaking else AvatarState.LISTENING
        idle = not (status.speaking or status.user_speaking)
        msg = AvatarState(
            state=AvatarState.IDLE if idle else talking,
            model=str(self._node.get_parameter("preset").value),
            device=self.device,
            fps=self._fps,
            reaction_latency_ms=status.playout_delay_ms,
            block_compute_ms=status.compute_ms,
            block_compute_p99_ms=status.compute_p99_ms,
            seed=status.seed,
            blocks=status.blocks,
            late_blocks=status.late_blocks,
            skipped_blocks=status.skipped_blocks,
            failed_blocks=status.failed_blocks,
            filled_audio_samples=status.filled_audio_samples,
            filled_user_frames=status.filled_user_frames,
            dropped_avatar_audio_samples=status.dropped_avatar_audio_samples,
            face_visible=status.face_visible,
            reduced=status.reduced,
        )
        if status.quality:
            msg.evaluations = status.quality.nfe
            msg.drawn_size_px = status.quality.drawn_size_px
        frame_id = str(self._node.get_parameter("frame_id").value)
        msg.header = header(self._node.now_ns(), frame_id)
        self._state.publish(msg)

    def _tell_seed(self, status: AvatarStatus) -> None:
        """Log once for each conversation how to see the same motion again."""
        before, now = self._conversation, (status.seed, status.blocks)
        self._conversation = now if status.running and status.blocks else None
        if self._conversation and (before is None or before[0] != now[0] or before[1] > now[1]):
            self._node.get_logger().info(
                f"a conversation has begun; its motion is drawn with seed {status.seed}"
            )

    def _warn_of_long_chunks(self, status: AvatarStatus) -> None:
        """Log once why the avatar answers late, where the microphone is the reason."""
        later_ms = status.microphone_wait_ms - float(self._node.get_parameter("deadline_ms").value)
        if later_ms <= 0.0 or status.microphone_chunk_ms <= self._reported_chunk_ms:
            return
        self._reported_chunk_ms = status.microphone_chunk_ms
        self._node.errors.count(
            "user/audio long_chunks",
            f"user/audio: the avatar answers up to {later_ms:.0f} ms later, because the "
            f"microphone sends chunks of {status.microphone_chunk_ms:.0f} ms: have its driver "
            "send shorter ones",
        )

    def _of_avatar(self, status: AvatarStatus) -> DiagnosticStatus:
        error = warning = ""
        if status.running and not status.alive:
            error = "the worker has ended"
        elif status.stalled_s > MAX_STALL_S:
            error = f"hangs for {status.stalled_s:.0f} s"
        elif status.behind_ms > MAX_BEHIND_MS:
            warning = f"{status.behind_ms / 1000:.1f} s behind"
        elif status.reduced:
            warning = "at reduced quality, to keep up"
        values = asdict(status)
        values |= values.pop("quality") or {}
        for name in ("graph_delay_ms", "connected", "ended", "warning"):  # of an avatar elsewhere
            del values[name]
        values |= {"fps": self._fps, "sending_percent_of_a_core": 100 * self._sending_share}
        ok = "alive" if status.running else "not active"
        return diagnostics.status(
            self._node, "avatar", values, ok=ok, warning=warning, error=error
        )


def _state_of(status: AvatarStatus) -> tuple[bool, ...]:
    return status.speaking, status.user_speaking, status.face_visible
