"""`avatar_node`: camera, microphone and voice in, a living head out.

A lifecycle node. Configuring loads the networks and the portrait and warms them up; activating
opens the inputs and begins a conversation; deactivating closes and forgets it; cleaning up frees
memory. One worker thread owns the model, callbacks only hand over, and diagnostics run beside
both, so that a model that hangs is told.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, replace
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter as RosParameter
from std_srvs.srv import Trigger

from avatar_forcing_ros.config import AvatarConfig, SamplingConfig, merged_config
from avatar_forcing_ros.errors import AvatarForcingError, ConfigError, ConversationError
from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.msg import AvatarState
from avatar_forcing_ros.nodes import diagnostics, qos
from avatar_forcing_ros.nodes.avatar_inputs import AvatarInputs
from avatar_forcing_ros.nodes.avatar_outputs import AvatarOutputs
from avatar_forcing_ros.nodes.interface import PARAMETERS
from avatar_forcing_ros.nodes.node_base import LifecycleNodeBase
from avatar_forcing_ros.nodes.node_main import run_node
from avatar_forcing_ros.nodes.parameters import (
    accepted,
    by_name,
    choice_trouble,
    declare,
    refused,
    values,
)
from avatar_forcing_ros.nodes.stop_signals import StopSignals
from avatar_forcing_ros.resources import user_path
from avatar_forcing_ros.rig.blendshapes import FaceOutline
from avatar_forcing_ros.runtime.commands import done
from avatar_forcing_ros.runtime.load import build_session, device_of, load_face
from avatar_forcing_ros.runtime.pacer import Pacer
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.status import AvatarStatus, LiveConfig
from avatar_forcing_ros.runtime.stoppable_thread import WakingThread
from avatar_forcing_ros.runtime.worker import AvatarWorker
from avatar_forcing_ros.strict import override

MODEL = ("preset", "weights", "portrait", "image_size_px", "device", "precision", "cpu_threads")
SAMPLING = ("evaluations", "guidance", "audio_guidance", "user_guidance")
WARM_UP_BLOCKS = 2
SERVICE_PATIENCE_S = 10.0
HANG_S = 3.0
REPORT_PERIOD_S = 1.0


class AvatarNode(LifecycleNodeBase):
    """The avatar on the graph; everything is computed below, in `runtime`."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__("avatar_node", **node_options)
        preset = self.declare_parameter("preset", AvatarConfig.preset).value
        self.undeclare_parameter("preset")
        self.get_logger().debug(f"preset {preset}")
        declare(self, PARAMETERS, _preset_defaults(str(preset)))
        self._session: Session | None = None
        self._worker: AvatarWorker | None = None
        self._pacer: Pacer | None = None
        self._busy: list[WakingThread] = []  # that did not end in time
        self._inputs: AvatarInputs | None = None
        self._outputs: AvatarOutputs | None = None
        self._frames_then, self._fps = 0, 0.0
        self._sending_then_s = self._sending_share = 0.0
        self._device = ""
        self._last_state: tuple[object, ...] = ()
        self._known_chunk_ms = 0.0
        self._health_group = MutuallyExclusiveCallbackGroup()
        self._service_group = MutuallyExclusiveCallbackGroup()
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._state_publisher = qos.publisher(
            self, "avatar/state", AvatarState, self.errors, managed=False
        )
        self._diagnostics = qos.publisher(
            self, "/diagnostics", DiagnosticArray, self.errors, managed=False
        )
        # a steady clock: a clock of a replay that stands still is to be told, too
        self.create_timer(
            REPORT_PERIOD_S,
            self._report,
            callback_group=self._health_group,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        for name, answer in (
            ("~/reset", self._reset),
            ("~/stop_speaking", self._stop_speaking),
            ("~/reload_portrait", self._reload_portrait),
        ):
            self.create_service(Trigger, name, answer, callback_group=self._service_group)

    def start(self, signals: StopSignals) -> None:
        """Configure and activate, where the parameter `autostart` says so."""
        if not self.get_parameter("autostart").value:
            return
        with signals.interrupting():  # loading may take minutes
            configured = self.trigger_configure() == TransitionCallbackReturn.SUCCESS
        if configured:
            self.trigger_activate()

    def close(self) -> None:
        """End the threads and free the networks."""
        self.stop()
        self.cleanup()

    def configure(self) -> None:
        """Load networks and portrait, compute a block, make the publishers."""
        settings = values(self, PARAMETERS)
        trouble = choice_trouble(PARAMETERS, settings)
        if trouble:
            raise ConfigError(
                "parameters", expected="values that exist", got=trouble, remedy="correct it"
            )
        config = self._config(settings)
        latent = config.preset == "paper"
        if latent and settings["user_motion_source"] == "topic":
            raise ConfigError(
                "parameter 'user_motion_source'",
                expected="'camera' or 'none' with the preset 'paper', which sees latents",
                got="'topic'",
                remedy="let the avatar see the camera itself",
            )
        session = build_session(
            config,
            user_audio=settings["user_audio"],
            user_video=settings["user_motion_source"] != "none",
        )
        for _ in range(WARM_UP_BLOCKS):
            session.draw(session.next_block())
        session.reset()
        self._session, self._device = session, device_of(config)
        self._outputs = AvatarOutputs(self, settings, self.errors)
        self._outputs.outline = FaceOutline(session.codec.portrait)
        self.get_logger().info(
            f"ready: preset {config.preset} on {self._device}, "
            f"blocks of {session.engine.config.block_frames} frames"
        )

    def activate(self) -> None:
        """Open the inputs; the first of them begins a conversation."""
        assert self._session
        assert self._outputs
        if self._hangs():
            raise ConversationError(
                "activation",
                expected="the last conversation to have ended",
                got=f"{type(self._busy[0]).__name__} still busy",
                remedy="try again later, or start the node anew",
            )
        self._session.reset()
        self._session.codec.watch()
        settings = values(self, PARAMETERS)
        replay = bool(self.get_parameter("use_sim_time").value)
        live = LiveConfig(settings["deadline_ms"], settings["gather_ms"], keep_pace=not replay)
        outputs = self._outputs

        def emit(frame: AvatarFrame) -> None:
            if rclpy.ok(context=self.context):  # else the program is ending
                outputs.publish(frame)
                self._tell_change()

        self._pacer = Pacer(
            self._now_ns,
            emit,
            lambda text: self._trouble("sending", text),
            keep_pace=live.keep_pace,
        )
        self._worker = AvatarWorker(
            self._session,
            live,
            self._now_ns,
            self._pacer.put,
            lambda text: self._trouble("worker", text),
        )
        self._pacer.start()
        self._worker.start()
        # a new group each time: Humble's executor, which may be about to take a message of a
        # subscription that is destroyed, blocks that subscription's group for good
        group = MutuallyExclusiveCallbackGroup()
        self._inputs = AvatarInputs(self, self._worker, settings, self.errors, group)
        self._publish_state()

    def deactivate(self) -> None:
        """Close the inputs, end the threads, forget the conversation."""
        self.stop()
        self._publish_state()

    def stop(self) -> None:
        """The same without a word: when the whole program ends, nobody listens any more."""
        if self._inputs:
            self._inputs.close()
        for thread in (self._worker, self._pacer):
            if thread and not thread.stop():
                self._busy.append(thread)
                self._trouble("hang", f"{type(thread).__name__} did not end in time")
        self._inputs = self._worker = self._pacer = None
        if self._session and not self._hangs():
            self._session.reset()

    def cleanup(self) -> None:
        """Free the networks."""
        if self._session and not self._hangs():
            self._session.close()
        if self._outputs:
            self._outputs.close()
        self._session = self._outputs = None

    def _hangs(self) -> bool:
        """Whether a thread of before still holds the session."""
        self._busy = [thread for thread in self._busy if not thread.ended]
        return bool(self._busy)

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _trouble(self, reason: str, sentence: str) -> None:
        self.errors.count(reason, sentence)

    @staticmethod
    def _config(settings: Mapping[str, Any]) -> AvatarConfig:
        sampling = {name: settings[name] for name in (*SAMPLING, "seed")}
        model = {name: settings[name] for name in MODEL}
        return merged_config({}, {**model, "sampling": sampling}, "parameters")

    def _on_set_parameters(self, changes: Sequence[RosParameter]) -> Any:
        """Check all changes before any is made, then hand them on."""
        given = by_name(changes)
        trouble = choice_trouble(PARAMETERS, given)
        if trouble:
            return refused(trouble)
        if given.get("portrait") and not user_path(given["portrait"]).is_file():
            return refused(f"parameter 'portrait': no file at {given['portrait']}")
        sampling = {name: given[name] for name in SAMPLING if name in given}
        if self._session and sampling:
            try:
                wanted = override(self._sampling(), **sampling)
            except AvatarForcingError as error:
                return refused(str(error))
            if self._worker:
                self._worker.set_sampling(wanted)
            else:
                self._session.set_sampling(wanted)
        if self._outputs:
            self._outputs.set(given)
        if "portrait" in given and self._session:
            self._load_portrait(str(given["portrait"]))
        return accepted()

    def _sampling(self) -> SamplingConfig:
        """As the parameters have it, whatever effort is made at present."""
        assert self._session
        told = {name: self.get_parameter(name).value for name in SAMPLING}
        return replace(self._session.engine.sampling, **told)

    def _load_portrait(self, path: str) -> Future[Any]:
        """Have the worker take another face; the old one stays where that fails."""
        config = override(self._config(values(self, PARAMETERS)), portrait=path)

        def change(session: Session) -> str:
            session.set_portrait(load_face(config, session.codec.image_size_px))
            return path or "the portrait that ships"

        def tell(done: Future[Any]) -> None:
            error = done.exception()
            if error:
                self._trouble("portrait", f"the portrait stays as it was: {error}")
            elif self._outputs and self._session:
                self._outputs.outline = FaceOutline(self._session.codec.portrait)

        future = self._command(change)
        future.add_done_callback(tell)
        return future

    def _command(self, command: Callable[[Session], Any]) -> Future[Any]:
        """Have `command` done by whoever owns the session."""
        assert self._session
        if self._worker:
            return self._worker.call(command)
        session = self._session
        return done(lambda: command(session))

    def _reset(self, request: Any, response: Any) -> Any:
        if not (self._worker and self._pacer):
            return _answer(response, False, "not active")
        return self._wait(
            response, self._worker.reset(self._pacer), lambda _: "a new conversation begins"
        )

    def _stop_speaking(self, request: Any, response: Any) -> Any:
        if not self._worker:
            return _answer(response, False, "not active")
        return self._wait(
            response,
            self._worker.stop_speaking(self._pacer),
            lambda samples: f"dropped {samples} samples",
        )

    def _reload_portrait(self, request: Any, response: Any) -> Any:
        if not self._session:
            return _answer(response, False, "not configured")
        path = str(self.get_parameter("portrait").value)
        return self._wait(response, self._load_portrait(path), lambda shown: f"shows {shown}")

    @staticmethod
    def _wait(response: Any, future: Future[Any], say: Callable[[Any], str]) -> Any:
        try:
            return _answer(response, True, say(future.result(SERVICE_PATIENCE_S)))
        except Exception as error:  # the caller is told, the node lives on
            return _answer(response, False, str(error) or type(error).__name__)

    def _report(self) -> None:
        """State and diagnostics, every second, whatever the worker does."""
        frames = self._outputs.frames if self._outputs else 0
        self._fps = (frames - self._frames_then) / REPORT_PERIOD_S
        self._frames_then = frames
        sending_s = self._pacer.sending_cpu_s if self._pacer else 0.0
        self._sending_share = max(0.0, sending_s - self._sending_then_s) / REPORT_PERIOD_S
        self._sending_then_s = sending_s
        if self._inputs:
            self._note_long_chunks()
        self._publish_state()
        self._diagnostics.publish(diagnostics.array(self, self._statuses()))

    def _note_long_chunks(self) -> None:
        """Say once why the avatar answers late, where the microphone is the reason."""
        status, deadline_ms = self._status(), float(self.get_parameter("deadline_ms").value)
        later_ms = status.microphone_wait_ms - deadline_ms
        if later_ms <= 0.0 or status.microphone_chunk_ms <= self._known_chunk_ms:
            return
        self._known_chunk_ms = status.microphone_chunk_ms
        self._trouble(
            "user/audio long_chunks",
            f"user/audio: the avatar answers up to {later_ms:.0f} ms later, because the "
            f"microphone sends chunks of {self._known_chunk_ms:.0f} ms: have its driver send "
            "shorter ones",
        )

    def _tell_change(self) -> None:
        """State at once where it is another."""
        status = self._status()
        if (status.speaking, status.user_speaking, status.face_visible) != self._last_state:
            self._publish_state()

    def _status(self) -> AvatarStatus:
        worker, pacer = self._worker, self._pacer
        return pacer.told(worker.status) if worker and pacer else AvatarStatus()

    def _publish_state(self) -> None:
        status = self._status()
        self._last_state = (status.speaking, status.user_speaking, status.face_visible)
        lag = self._pacer.lag if self._pacer else None
        talking = AvatarState.SPEAKING if status.speaking else AvatarState.LISTENING
        busy = status.speaking or status.user_speaking
        msg = AvatarState(
            state=talking if busy else AvatarState.IDLE,
            model=str(self.get_parameter("preset").value),
            device=self._device,
            fps=max(0.0, self._fps),
            reaction_latency_ms=lag.lag_ns / 1e6 if lag else 0.0,
            block_compute_ms=status.compute_ms,
            block_compute_p99_ms=status.compute_p99_ms,
            blocks=status.blocks,
            late_blocks=lag.late_blocks if lag else 0,
            filled_audio_samples=status.filled_audio_samples,
            filled_user_frames=status.filled_user_frames,
            dropped_avatar_audio_samples=status.dropped_avatar_audio_samples,
            face_visible=status.face_visible,
            reduced=status.reduced,
        )
        if status.effort:
            msg.evaluations = status.effort.evaluations
            msg.drawn_size_px = status.effort.drawn_size_px
        msg.header.stamp = self.get_clock().now().to_msg()
        msg.header.frame_id = str(self.get_parameter("frame_id").value)
        self._state_publisher.publish(msg)

    def _statuses(self) -> list[DiagnosticStatus]:
        status, worker, inputs = self._status(), self._worker, self._inputs
        name = self.get_fully_qualified_name()
        level, message = DiagnosticStatus.OK, "alive" if worker else "not active"
        if worker and not worker.alive:
            level, message = DiagnosticStatus.ERROR, "the worker has ended"
        elif worker and worker.silent_s > HANG_S:
            level, message = DiagnosticStatus.ERROR, f"hangs for {worker.silent_s:.0f} s"
        elif status.behind_ms > 1000.0:
            level, message = DiagnosticStatus.WARN, f"{status.behind_ms / 1000:.1f} s behind"
        elif status.reduced:
            level, message = DiagnosticStatus.WARN, "makes less effort to keep up"
        figures = {key: value for key, value in asdict(status).items() if key != "effort"}
        figures |= (
            {
                "fps": self._fps,
                "sending_percent_of_a_core": 100 * self._sending_share,
                **asdict(status)["effort"],
            }
            if status.effort
            else {}
        )
        out = [diagnostics.status(level, f"{name}: avatar", message, figures)]
        if inputs:
            out.append(
                diagnostics.status(
                    DiagnosticStatus.OK, f"{name}: inputs", "messages received", inputs.received
                )
            )
        errors = self.errors.counts
        level = DiagnosticStatus.WARN if errors else DiagnosticStatus.OK
        message = f"{sum(errors.values())} errors" if errors else "none"
        out.append(diagnostics.status(level, f"{name}: errors", message, errors))
        return out


def _answer(response: Any, success: bool, message: str) -> Any:
    response.success, response.message = success, message
    return response


def _preset_defaults(preset: str) -> dict[str, Any]:
    """The sampling parameters of `preset`, which its name alone decides."""
    try:
        config = merged_config({}, {"preset": preset})
    except ConfigError:
        return {}  # told when the node is configured
    sampling = asdict(config.sampling)
    return {name: sampling[name] for name in SAMPLING} | {"preset": preset}


def main(args: Sequence[str] | None = None, signals: StopSignals | None = None) -> int:
    """Run the node until it is told to end; the process's exit code."""
    return run_node("avatar_node", AvatarNode, args, signals, threads=4)


if __name__ == "__main__":
    sys.exit(main())
