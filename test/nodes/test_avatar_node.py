"""Protects `avatar_node` over real DDS: what it offers, how it is controlled, what it survives."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import installed_audio
import numpy as np
import pytest
from avatar_forcing_ros.msg import AvatarState
from avatar_robot import PATIENCE_S, Robot, Set, stamp, started
from builtin_interfaces.msg import Time
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from avatar_forcing_ros.media import AvatarBlock
from avatar_forcing_ros.nodes.avatar_node import AvatarNode
from avatar_forcing_ros.nodes.convert_image import compressed_to_rgb, pixels_to_image
from avatar_forcing_ros.nodes.graph_backend import status_of
from avatar_forcing_ros.nodes.interface import BURST_S, SMALL_MESSAGE_MS, TABLE, TOPICS
from avatar_forcing_ros.nodes.ros4hri import hri_message
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.rig.coefficients import NAMES
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.runtime.status import AvatarStatus

pytestmark = pytest.mark.either_audio


def test_every_frame_goes_to_all_topics_with_one_stamp(robot: Robot, avatar: Set) -> None:
    started(avatar, publish_joint_states=True, publish_markers=True)
    motions = robot.some("avatar/motion", 40)[-20:]  # a slow start gives up time
    stamps = [stamp(msg) for msg in motions]
    assert set(np.diff(stamps)) == {40_000_000}
    assert list(motions[0].names) == list(NAMES)
    assert all(len(msg.values) == len(NAMES) for msg in motions)
    assert [m.frame_in_block for m in motions[:6]].count(motions[0].frame_in_block) <= 2
    for topic in ("avatar/image_raw", "avatar/image_raw/compressed", "avatar/audio_aligned",
                  "joint_states"):  # fmt: skip
        got = robot.got[topic]
        robot.wait(lambda topic=topic: {stamp(m) for m in robot.got[topic]} & set(stamps))
        assert all((stamp(m) - stamps[0]) % 40_000_000 == 0 for m in got), topic
    image = robot.got["avatar/image_raw"][-1]
    assert (image.width, image.height, image.encoding) == (128, 128, "rgb8")
    assert len(installed_audio.mono(robot.got["avatar/audio_aligned"][-1])) == 640
    assert list(robot.got["joint_states"][-1].name) == [
        "head_pan",
        "head_tilt",
        "head_roll",
        "jaw",
    ]
    assert len(robot.got["avatar/markers"][-1].markers) == 5


def test_a_transparent_head_is_rgba8_and_before_black_where_it_is_compressed(
    robot: Robot, avatar: Set
) -> None:
    started(avatar, background="transparent")
    (image,) = robot.some("avatar/image_raw", 1)
    assert (image.width, image.height, image.encoding, image.step) == (128, 128, "rgba8", 512)
    alpha = np.frombuffer(image.data, np.uint8).reshape(128, 128, 4)[..., 3]
    assert (alpha[0, 0], alpha[64, 64]) == (0, 255)
    (coded,) = robot.some("avatar/image_raw/compressed", 1)
    pixels = compressed_to_rgb(coded)
    assert pixels[:10, :10].max() < 8
    assert pixels[64, 64].max() > 60


def test_speech_moves_the_mouth_and_the_state(robot: Robot, avatar: Set) -> None:
    from avatar_forcing_ros.media_files.reading import read_audio

    started(avatar)
    robot.some("avatar/motion", 5)
    robot.wait(lambda: robot.speech.get_subscription_count() > 0 or robot.some("avatar/motion", 1))
    speech = read_audio(shipped("models/demo/avatar_speech.wav"))[: 16_000 * 3]
    for k in range(0, len(speech), 3200):  # at once, as a synthesiser sends it
        robot.speech.publish(installed_audio.to_msg(speech[k : k + 3200], robot.header()))
    robot.wait(lambda: any(m.state == AvatarState.SPEAKING for m in robot.got["avatar/state"]))
    first = len(robot.got["avatar/motion"])

    def loud_so_far() -> list[Any]:
        return [m for m in robot.got["avatar/motion"][first:] if m.speech_level > 0.5]

    robot.wait(lambda: len(loud_so_far()) >= 25)  # more than a second of speech
    loud = loud_so_far()
    jaw = NAMES.index("jaw_open")
    assert max(m.values[jaw] for m in loud) > 0.15
    assert all(m.speaking for m in loud)


def test_a_minute_of_speech_in_small_messages_sent_without_pause_is_received_whole(
    robot: Robot, avatar: Set, sessions: list[Session]
) -> None:
    node, count = started(avatar), BURST_S * 1000 // SMALL_MESSAGE_MS
    profile = TABLE["avatar/audio"].profile()
    sender = Node("sender")  # which no executor serves while it is destroyed
    publisher = sender.create_publisher(installed_audio.MESSAGE, "avatar/audio", profile)
    robot.wait(lambda: publisher.get_subscription_count() > 0)
    samples = np.full(16 * SMALL_MESSAGE_MS, 0.1, np.float32)
    for _ in range(count):
        publisher.publish(installed_audio.to_msg(samples, robot.header()))
    robot.wait(lambda: robot.diagnosed("inputs").get("avatar/audio") == str(count))
    made = node.status.blocks
    robot.wait(lambda: node.status.blocks > made)  # the last of them has been handed on by then
    session = sessions[0]
    assert session.avatar_audio_track.dropped_samples == 0
    taken = session.next_end_ns * 16 // 1_000_000
    assert session.avatar_audio_track.waiting_samples + taken >= count * len(samples)
    sender.destroy_node()


def test_speech_after_stopping_does_not_wait_for_what_was_stopped(
    robot: Robot, avatar: Set
) -> None:
    """20 s at 22.05 kHz handed over at once; the next is spoken within moments of media time."""
    started(avatar, **{"audio_data.rate_hz": 22_050})
    robot.some("avatar/motion", 5)

    def speak(seconds: int) -> int:
        samples = np.full(22_050 * seconds, 0.1, np.float32)
        msg = installed_audio.to_msg(samples, robot.header())
        if not installed_audio.IS_BYTES:
            msg.audio.info.rate = 22_050
        robot.speech.publish(msg)
        return stamp(msg)

    robot.wait(lambda: robot.speech.get_subscription_count() > 0 or robot.some("avatar/motion", 1))
    speak(20)
    robot.wait(lambda: robot.got["avatar/state"][-1].state == AvatarState.SPEAKING)
    assert robot.ask(Trigger, "avatar_node/stop_speaking").success
    robot.wait(lambda: robot.got["avatar/state"][-1].state == AvatarState.IDLE)
    sent_ns = speak(2)
    first = len(robot.got["avatar/motion"])
    robot.wait(lambda: any(msg.speaking for msg in robot.got["avatar/motion"][first:]))
    spoken_ns = min(stamp(msg) for msg in robot.got["avatar/motion"][first:] if msg.speaking)
    assert abs(spoken_ns - sent_ns) < 3_000_000_000


def test_a_microphone_that_sends_long_chunks_is_reported_as_the_reason(
    robot: Robot, avatar: Set
) -> None:
    node = started(avatar)
    robot.some("avatar/motion", 2)
    deadline = time.monotonic() + PATIENCE_S
    while "user/audio long_chunks" not in robot.errors():
        assert time.monotonic() < deadline
        msg = installed_audio.to_msg(np.zeros(16 * 256, np.float32), robot.header())
        begin_ns = stamp(msg) - 256_000_000  # a driver stamps the first sample
        msg.header.stamp = Time(sec=begin_ns // 10**9, nanosec=begin_ns % 10**9)
        robot.microphone.publish(msg)
        robot.some("avatar/motion", 6)
    status = node.status
    assert (status.microphone_chunk_ms, status.microphone_wait_ms) == (256.0, 316.0)


def test_lifecycle_by_its_services(robot: Robot, avatar: Set) -> None:
    avatar()

    def change(transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(robot.ask(ChangeState, "avatar_node/change_state", request).success)

    def state() -> str:
        return str(robot.ask(GetState, "avatar_node/get_state").current_state.label)

    assert state() == "unconfigured"
    for _ in range(2):
        assert change(Transition.TRANSITION_CONFIGURE)
        assert state() == "inactive"
        count = len(robot.got["avatar/motion"])
        assert change(Transition.TRANSITION_ACTIVATE)
        robot.wait(lambda count=count: len(robot.got["avatar/motion"]) > count + 5)
        assert change(Transition.TRANSITION_DEACTIVATE)
        assert change(Transition.TRANSITION_CLEANUP)
    assert state() == "unconfigured"
    assert not change(Transition.TRANSITION_ACTIVATE)


def test_what_cannot_be_loaded_leaves_the_node_as_it_was(robot: Robot, avatar: Set) -> None:
    node = avatar(weights="/nowhere.safetensors")
    assert node.trigger_configure().name == "FAILURE"
    assert robot.ask(GetState, "avatar_node/get_state").current_state.label == "unconfigured"
    other = avatar(guidance="loud")
    assert other.trigger_configure().name == "FAILURE"


def test_parameters_are_checked_and_take_effect(
    robot: Robot, avatar: Set, sessions: list[Session], tmp_path: Path
) -> None:
    node = started(avatar)

    def set_to(name: str, value: Any) -> str:
        result = node.set_parameters([Parameter(name, value=value)])[0]
        return "" if result.successful else result.reason

    assert set_to("nfe", 4) == ""
    (session,) = sessions
    robot.some("avatar/motion", 10)
    assert session.engine.sampling.nfe == 4
    assert "one of" in set_to("guidance", "loud")
    assert set_to("guidance", "separate") == ""
    assert set_to("audio_guidance", 2.0) == ""
    assert set_to("solver", "euler") == ""
    robot.some("avatar/motion", 10)
    assert len(session.engine.sampler.rows) == 3
    assert session.engine.sampling.solver == "euler"
    assert set_to("evaluations", 5) == ""  # its old name
    assert node.get_parameter("nfe").value == 5
    assert set_to("nfe", 1) != ""
    assert set_to("jpeg_quality", 0) != ""
    assert set_to("preset", "paper") != ""  # read-only
    assert "no file" in set_to("portrait", str(tmp_path / "none.png"))
    before = robot.some("avatar/image_raw", 1)[0]
    assert set_to("portrait", str(shipped("models/portraits/ben.png"))) == ""
    robot.wait(
        lambda: np.abs(pixels(robot.got["avatar/image_raw"][-1]) - pixels(before)).mean() > 5
    )
    (tmp_path / "text.png").write_text("no image")
    assert set_to("portrait", str(tmp_path / "text.png")) == ""  # found out when it is opened
    robot.wait(lambda: "portrait" in robot.errors())
    robot.some("avatar/motion", 5)


def pixels(msg: Any) -> np.ndarray:
    return np.frombuffer(bytes(msg.data), np.uint8).astype(float)


def test_services(robot: Robot, avatar: Set) -> None:
    node = avatar()
    for name in ("reset", "stop_speaking", "reload_portrait"):
        assert not robot.ask(Trigger, f"avatar_node/{name}").success
    node.trigger_configure()
    node.trigger_activate()
    robot.some("avatar/motion", 10)
    robot.speech.publish(installed_audio.to_msg(np.full(160_000, 0.1, np.float32), robot.header()))
    robot.wait(lambda: robot.got["avatar/state"][-1].state == AvatarState.SPEAKING)
    answer = robot.ask(Trigger, "avatar_node/stop_speaking")
    assert answer.success
    assert int(answer.message.split()[1]) > 0
    assert robot.ask(Trigger, "avatar_node/reset").success
    robot.wait(lambda: robot.got["avatar/motion"][-1].block_index <= 2)
    assert robot.ask(Trigger, "avatar_node/reload_portrait").success


def bad_messages(robot: Robot) -> dict[str, tuple[Any, Any]]:
    """A message for each way of being wrong, and its publisher, by what is counted."""
    good = pixels_to_image(np.zeros((64, 64, 3), np.uint8), robot.header())

    def image(**changes: Any) -> Any:
        msg = pixels_to_image(np.zeros((64, 64, 3), np.uint8), robot.header())
        for name, value in changes.items():
            setattr(msg, name, value)
        return msg

    silent = installed_audio.to_msg(np.zeros(0, np.float32), robot.header())
    future = image()
    future.header.stamp = Time(sec=good.header.stamp.sec + 3600)
    return {
        "user/image encoding": (robot.camera, image(encoding="yuv9")),
        "user/image step": (robot.camera, image(step=5)),
        "user/image size": (robot.camera, image(width=0, height=0)),
        "user/image stamp_zero": (robot.camera, image(header=Header())),
        "user/image stamp_far": (robot.camera, future),
        "user/audio empty": (robot.microphone, silent),
        "avatar/audio empty": (robot.speech, silent),
    }


def test_no_message_ends_the_avatar_and_each_is_counted(robot: Robot, avatar: Set) -> None:
    started(avatar)
    robot.some("avatar/motion", 5)
    if not installed_audio.IS_BYTES:
        broken = installed_audio.to_msg(np.full(640, np.nan, np.float32), robot.header())
        robot.microphone.publish(broken)
    wanted = bad_messages(robot)
    deadline = time.monotonic() + PATIENCE_S
    while missing := wanted.keys() - robot.errors().keys():
        assert time.monotonic() < deadline, missing
        for name in missing:  # best-effort images may get lost
            publisher, msg = wanted[name]
            publisher.publish(msg)
        robot.some("/diagnostics", 1)
    motions = robot.some("avatar/motion", 10)
    assert all(np.isfinite(m.values).all() for m in motions)


def test_a_camera_that_stops_and_returns(robot: Robot, avatar: Set) -> None:
    from avatar_forcing_ros.rig.image_files import load_image

    face = load_image(shipped("models/portraits/ben.png"))[::4, ::4].copy()
    started(avatar)
    robot.some("avatar/motion", 5)

    def watched(visible: bool) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while robot.got["avatar/state"][-1].face_visible != visible:
            assert time.monotonic() < deadline
            if visible:
                robot.camera.publish(pixels_to_image(face, robot.header()))
            else:
                robot.camera.publish(pixels_to_image(np.zeros_like(face), robot.header()))
            robot.some("avatar/motion", 1)

    watched(True)
    stopped = robot.some("avatar/state", 1)[0].filled_user_frames
    robot.wait(lambda: robot.got["avatar/state"][-1].filled_user_frames > stopped)
    watched(False)
    watched(True)


def test_the_graph_is_what_the_table_says(robot: Robot, avatar: Set) -> None:
    has_hri = hri_message("FacialActionUnits") is not None
    started(avatar, publish_joint_states=True, publish_markers=True, publish_tf=True,
            publish_facs=has_hri, publish_audio_data=installed_audio.IS_BYTES)  # fmt: skip
    robot.some("avatar/motion", 2)
    there = dict(robot.get_topic_names_and_types())
    for topic in TOPICS:
        if topic.name == "user/motion":
            continue  # instead of the camera
        if topic.name == "facs" and not has_hri:
            continue
        if topic.name == "avatar/audio_data" and not installed_audio.IS_BYTES:
            continue
        name = f"/{topic.name.replace('~', 'avatar_node')}".replace("//", "/")
        robot.wait(lambda name=name: name in dict(robot.get_topic_names_and_types()))
        (found,) = dict(robot.get_topic_names_and_types())[name]
        assert found.startswith(topic.type)
    assert there


def test_each_conversation_has_a_seed_of_its_own_unless_one_is_asked_for(
    robot: Robot, avatar: Set
) -> None:
    node = started(avatar)
    (state,) = robot.some("avatar/state", 1)
    assert robot.ask(Trigger, "avatar_node/reset").success
    robot.wait(lambda: robot.got["avatar/state"][-1].seed != state.seed)
    node.trigger_deactivate()
    node.trigger_cleanup()
    started(avatar, fresh_seed=False, seed=17)
    robot.wait(lambda: robot.got["avatar/state"][-1].seed == 17)


def test_the_preset_decides_how_motion_is_sampled(avatar: Set) -> None:
    paper = avatar(preset="paper")
    sampling = {name: paper.get_parameter(name).value for name in ("nfe", "guidance", "solver")}
    assert sampling == {"nfe": 10, "guidance": "separate", "solver": "euler"}


def test_a_second_publisher_is_reported(robot: Robot, avatar: Set) -> None:
    started(avatar)
    robot.some("avatar/motion", 2)
    assert not [reason for reason in robot.errors() if "publishers" in reason]
    rival = Node("rival")  # which no executor serves while it is destroyed
    rival.create_publisher(installed_audio.MESSAGE, "user/audio", 10)
    robot.wait(lambda: "user/audio publishers" in robot.errors())
    rival.destroy_node()


def test_a_worker_that_hangs_is_reported_and_comes_back(
    robot: Robot, avatar: Set, sessions: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    started(avatar)
    robot.some("avatar/motion", 2)
    go_on = threading.Event()
    next_block = sessions[0].next_block

    def hanging() -> AvatarBlock:
        assert go_on.wait(PATIENCE_S)
        return next_block()

    monkeypatch.setattr(sessions[0], "next_block", hanging)

    def message() -> str:
        return next(
            s.message for s in robot.got["/diagnostics"][-1].status if s.name.endswith("avatar")
        )

    try:
        robot.wait(lambda: "hangs" in message())
    finally:
        go_on.set()
    robot.wait(lambda: "hangs" not in message())
    robot.some("avatar/motion", 10)


def test_the_state_carries_the_status_to_other_nodes(
    robot: Robot, avatar: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = AvatarStatus(
        seed=123,
        blocks=100,
        late_blocks=7,
        skipped_blocks=3,
        failed_blocks=2,
        filled_audio_samples=640,
        filled_user_frames=5,
        dropped_avatar_audio_samples=320,
        compute_ms=40.0,
        compute_p99_ms=60.0,
        playout_delay_ms=200.0,
        speaking=True,
        face_visible=True,
        reduced=True,
    )
    monkeypatch.setattr(AvatarNode, "status", status)
    avatar()
    states = robot.got["avatar/state"]
    robot.wait(lambda: states and states[-1].failed_blocks == 2)
    assert status_of(states[-1]) == status
    robot.wait(lambda: robot.diagnosed("avatar").get("failed_blocks") == "2")
    diagnosed = robot.diagnosed("avatar")
    assert (diagnosed["blocks"], diagnosed["skipped_blocks"]) == ("100", "3")
    assert not {"connected", "warning", "graph_delay_ms"} & diagnosed.keys()
