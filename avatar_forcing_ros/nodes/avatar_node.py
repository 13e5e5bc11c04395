"""`avatar_node`: camera, microphone and speech in, a living head out.

A lifecycle node. Configuring loads the networks and the portrait and warms them up; activating
opens the inputs and begins a conversation; deactivating closes and forgets it; cleaning up frees
memory. Everything is computed in `runtime/avatar.py`: callbacks only hand over, and diagnostics
run beside both, so that a model that hangs is reported.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter as RosParameter
from std_srvs.srv import Trigger

from avatar_forcing_ros.config import AvatarConfig, SamplingConfig
from avatar_forcing_ros.errors import AvatarForcingError, ConfigError
from avatar_forcing_ros.media import AvatarFrame
from avatar_forcing_ros.node_config import AvatarNodeConfig
from avatar_forcing_ros.nodes.avatar_group import namespaces
from avatar_forcing_ros.nodes.avatar_inputs import AvatarInputs
from avatar_forcing_ros.nodes.avatar_outputs import COMPRESSED, AvatarOutputs
from avatar_forcing_ros.nodes.avatar_report import AvatarReport
from avatar_forcing_ros.nodes.executable import StopSignals
from avatar_forcing_ros.nodes.node_base import LifecycleNodeBase
from avatar_forcing_ros.nodes.node_main import run_node
from avatar_forcing_ros.nodes.parameters import (
    accepted,
    declare,
    invalid_choice,
    refused,
    values,
)
from avatar_forcing_ros.resources import user_path
from avatar_forcing_ros.runtime.avatar import Avatar
from avatar_forcing_ros.runtime.load import build_session, device_of, load_face
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.session_pool import SessionPool
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.settings import from_flat, settings_of
from avatar_forcing_ros.strict import override

LIVE_SAMPLING = [each.name for each in settings_of(SamplingConfig) if each.live]
SERVICE_PATIENCE_S = 10.0


class AvatarNode(LifecycleNodeBase):
    """Wiring between the graph and a live avatar."""

    def __init__(self, shared: SessionPool | None = None, **node_options: Any) -> None:
        """`shared` are the weights of all avatars of a process; else it loads its own."""
        super().__init__("avatar_node", **node_options)
        declare(self, AvatarNodeConfig)
        self._shared = shared
        self._session: Session | None = None
        self._avatar: Avatar | None = None
        self._inputs: AvatarInputs | None = None
        self._outputs: AvatarOutputs | None = None
        self._sampling = SamplingConfig()
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._report = AvatarReport(self)
        self.publish_diagnostics(self._statuses, MutuallyExclusiveCallbackGroup())
        services = MutuallyExclusiveCallbackGroup()
        for name, answer in (
            ("~/reset", self._reset),
            ("~/stop_speaking", self._stop_speaking),
            ("~/reload_portrait", self._reload_portrait),
        ):
            self.create_service(Trigger, name, answer, callback_group=services)

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
        self._stop()
        self.cleanup()

    def configure(self) -> None:
        """Load networks and portrait, compute a block, make the publishers."""
        settings = values(self, AvatarNodeConfig)
        wrong = invalid_choice(AvatarNodeConfig, settings)
        if wrong:
            raise ConfigError(
                "parameters", expected="values that exist", got=wrong, remedy="correct it"
            )
        config, source = from_flat(AvatarConfig, settings), settings["user_motion_source"]
        if config.preset == "paper" and source == "topic":
            raise ConfigError(
                "parameter 'user_motion_source'",
                expected="'camera' or 'none' with the preset 'paper', which takes latents",
                got="'topic'",
                remedy="let avatar_node subscribe to the camera",
            )
        self.cleanup()  # what a try that failed has left
        open_session = self._shared.open if self._shared else build_session
        self._session = session = open_session(
            config, user_audio=settings["user_audio"], user_video=source != "none"
        )
        avatar = Avatar(session, self.errors.count, now_ns=self.now_ns)
        avatar.warm_up()
        self._avatar, self._sampling = avatar, session.engine.sampling
        if session.codec.has_alpha and settings["publish_compressed"]:
            self.get_logger().info(
                f"{COMPRESSED} shows the head before black: JPEG has no alpha; "
                "avatar/image_raw has it, as rgba8"
            )
        self._report.device = device_of(config)
        self._outputs = AvatarOutputs(self, settings)
        self._outputs.set_portrait(avatar.portrait)
        self.get_logger().info(
            f"ready: preset {config.preset} on {self._report.device}, "
            f"blocks of {session.engine.config.block_frames} frames"
        )

    def activate(self) -> None:
        """Open the inputs; the first of them begins a conversation."""
        assert self._avatar
        settings = values(self, AvatarNodeConfig)
        replay = bool(self.get_parameter("use_sim_time").value)
        live = replace(from_flat(AvatarConfig, settings).live, keep_pace=not replay)
        self._avatar.start(self._on_frame, live)
        # a new group each time: Humble's executor, which may be about to take a message of a
        # subscription that is destroyed, blocks that subscription's group for good
        group = MutuallyExclusiveCallbackGroup()
        try:
            self._inputs = AvatarInputs(self, self._avatar, settings, group)
        except BaseException:
            self._avatar.stop()  # so that the next try may start it
            raise
        self._report.publish_state(self.status)

    def deactivate(self) -> None:
        """Close the inputs, end the threads, forget the conversation."""
        self._stop()
        self._report.publish_state(self.status)

    def _stop(self) -> None:
        """The same without publishing: at the end of the program there is no subscriber."""
        if self._inputs:
            self._inputs.close()
        if self._avatar:
            self._avatar.stop()
        self._inputs = None

    def cleanup(self) -> None:
        """Free the networks."""
        if self._avatar:
            self._avatar.close()
        if self._outputs:
            self._outputs.close()
        if self._shared and self._session:
            self._shared.release(self._session)
        self._avatar = self._outputs = self._session = None

    def _on_frame(self, frame: AvatarFrame) -> None:
        outputs = self._outputs
        if outputs and rclpy.ok(context=self.context):  # else the program is ending
            outputs.publish(frame)
            self._report.publish_changes(self.status)

    @property
    def status(self) -> AvatarStatus:
        """What the avatar has done since the conversation began."""
        return self._avatar.status if self._avatar else AvatarStatus()

    def _statuses(self) -> list[DiagnosticStatus]:
        """Diagnostics, every second, whatever the avatar does; the state goes with them."""
        frames = self._outputs.frames if self._outputs else 0
        received = self._inputs.received if self._inputs else {}
        return self._report.publish(self.status, frames, received)

    def _on_set_parameters(self, changes: Sequence[RosParameter]) -> Any:
        """Check all changes before any is made, then hand them on."""
        given = {change.name: change.value for change in changes}
        wrong = invalid_choice(AvatarNodeConfig, given)
        if wrong:
            return refused(wrong)
        if given.get("portrait") and not user_path(given["portrait"]).is_file():
            return refused(f"parameter 'portrait': no file at {given['portrait']}")
        sampling = {name: given[name] for name in LIVE_SAMPLING if name in given}
        if self._avatar and sampling:
            try:
                self._sampling = override(self._sampling, **sampling)
            except AvatarForcingError as error:
                return refused(str(error))
            self._avatar.set_sampling(self._sampling)
        if self._outputs:
            self._outputs.set(given)
        if "portrait" in given and self._avatar:
            self._set_portrait(str(given["portrait"]))
        return accepted()

    def _set_portrait(self, path: str) -> Future[None]:
        """Go on with another face; the old one stays where that fails."""
        assert self._avatar
        config = override(from_flat(AvatarConfig, values(self, AvatarNodeConfig)), portrait=path)
        try:
            portrait = load_face(config, self._avatar.portrait_size_px)
        except Exception as error:  # whoever asked decides what it means
            changed: Future[None] = Future()
            changed.set_exception(error)
        else:
            changed = self._avatar.set_portrait(portrait)

        def finish(done: Future[None]) -> None:
            error = done.exception()
            if error:
                self.errors.count("portrait", f"the portrait stays as it was: {error}")
            elif self._outputs:
                self._outputs.set_portrait(portrait)

        changed.add_done_callback(finish)
        return changed

    def _reset(self, request: Any, response: Any) -> Any:
        if not (self._avatar and self._avatar.running):
            return _answer(response, False, "not active")
        return _wait(response, self._avatar.reset(), lambda _: "a new conversation begins")

    def _stop_speaking(self, request: Any, response: Any) -> Any:
        if not (self._avatar and self._avatar.running):
            return _answer(response, False, "not active")
        return _wait(response, self._avatar.stop_speaking(), lambda n: f"dropped {n} samples")

    def _reload_portrait(self, request: Any, response: Any) -> Any:
        if not self._avatar:
            return _answer(response, False, "not configured")
        path = str(self.get_parameter("portrait").value)
        shown = path or "the portrait that ships"
        return _wait(response, self._set_portrait(path), lambda _: f"shows {shown}")


def _wait(response: Any, future: Future[Any], describe: Callable[[Any], str]) -> Any:
    try:
        return _answer(response, True, describe(future.result(SERVICE_PATIENCE_S)))
    except Exception as error:  # the caller gets it, the node lives on
        return _answer(response, False, str(error) or type(error).__name__)


def _answer(response: Any, success: bool, message: str) -> Any:
    response.success, response.message = success, message
    return response


def make_avatars(**node_options: Any) -> list[AvatarNode]:
    """The avatar of this process, or those that its parameter `avatars` names.

    Raises ConfigError for names of no use.
    """
    first = AvatarNode(**node_options)
    names = first.get_parameter("avatars").value
    if not names:
        return [first]
    namespace = first.get_namespace()
    first.destroy_node()
    shared = SessionPool()
    return [
        AvatarNode(shared, **node_options, cli_args=["--ros-args", "-r", f"__ns:={each}"])
        for each in namespaces(namespace, names)
    ]


main = functools.partial(run_node, "avatar_node", make_avatars, threads=4)
