"""The actions of ``speech_node``: a goal is a text, feedback tells how far it has come.

rclpy polls a coroutine that waits without pause, so a goal is executed by a function that blocks,
and only from its turn on: one thread of the executor is busy while something is said.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup

from avatar_forcing_ros.action import Say
from avatar_forcing_ros.errors import AvatarForcingError
from avatar_forcing_ros.nodes.node_base import NodeBase
from avatar_forcing_ros.runtime.speech_synthesis import SpokenSentence, Voice
from avatar_forcing_ros.runtime.utterances import SpeechWorker, Utterance

FEEDBACK_PERIOD_S = 0.2
CANCELLED = "it was cancelled"
END_TIMEOUT_S, ANSWER_S = 1.0, 0.1
CANCEL_TIMEOUT_S = 1.0  # rclpy changes the goal's state once the callback has returned

try:
    from audio_common_msgs.action import TTS
except ImportError:  # that of ros-drivers has no actions
    TTS = None

MakeUtterance = Callable[..., Utterance]
"""(text, voice, volume, on_turn) → an utterance; raises MediaError for what cannot be spoken."""


class SpeechAction:
    """One action server. What follows is that of `Say`; another action has other methods."""

    action_type: Any = Say

    def __init__(
        self, node: NodeBase, name: str, worker: SpeechWorker, make: MakeUtterance,
        interrupts: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._node, self._worker, self._make = node, worker, make
        self._interrupts, self._what = interrupts, f"action {name}"
        self._utterances: dict[bytes, Utterance] = {}
        self._ended_s = -ANSWER_S  # when the last one of them was
        self._server = ActionServer(
            node,
            self.action_type,
            name,
            execute_callback=self._execute,
            goal_callback=node.guarded(self._what, self._on_goal, lambda *_: GoalResponse.REJECT),
            handle_accepted_callback=node.guarded(self._what, self._on_accepted, lambda *_: None),
            cancel_callback=node.guarded(
                self._what, self._on_cancel, lambda *_: CancelResponse.REJECT
            ),
            callback_group=ReentrantCallbackGroup(),
        )

    def close(self) -> None:
        """Wait for the goals, whose texts are over, to be answered.

        The executor does so, and tells nobody when it has.
        """
        end_s = time.monotonic() + END_TIMEOUT_S
        while self._utterances and time.monotonic() < end_s:
            threading.Event().wait(0.01)
        threading.Event().wait(max(0.0, self._ended_s + ANSWER_S - time.monotonic()))

    def destroy(self) -> None:
        """Take the action off the graph."""
        self._server.destroy()

    def voice(self, goal: Any) -> Voice:
        """The voice that a goal asks for."""
        return Voice(goal.language.strip(), goal.voice.strip())

    def volume(self, goal: Any) -> float:
        """How loud it is to be said; 1 is as the program has it."""
        return 1.0

    def feedback(self, utterance: Utterance, told: int) -> list[Any]:
        """What there is to tell after `told` messages."""
        progress = utterance.progress(self._worker.now_s())
        if not utterance.sentences:
            return []
        return [Say.Feedback(sentence=progress.sentence, text=progress.text,
                             said_s=progress.said_s, left_s=progress.left_s)]  # fmt: skip

    def result(self, utterance: Utterance) -> Any:
        """How it went."""
        said = utterance.progress(self._worker.now_s()).sentences_said
        return Say.Result(
            completed=utterance.outcome == "completed",
            message=utterance.message,
            sentences_said=said,
        )

    def _utterance(self, goal: Any, on_turn: Callable[[], object] = lambda: None) -> Utterance:
        return self._make(goal.text, self.voice(goal), self.volume(goal), on_turn)

    def _on_goal(self, goal: Any) -> GoalResponse:
        self._utterance(goal)
        return GoalResponse.ACCEPT

    def _on_accepted(self, handle: Any) -> None:
        utterance = self._utterance(handle.request, functools.partial(self._begin, handle))
        self._utterances[bytes(handle.goal_id.uuid)] = utterance
        try:
            self._worker.add(utterance, interrupt=self._interrupts())
        except AvatarForcingError as error:
            self._node.note_error(self._what, error)
            utterance.end("failed", str(error), self._worker.now_s())

    def _begin(self, handle: Any) -> None:
        try:
            handle.execute()
        except Exception as error:  # of ROS, as when it is shut down; the next text may do
            self._node.note_error(self._what, error)

    def _on_cancel(self, handle: Any) -> CancelResponse:
        utterance = self._utterances.get(bytes(handle.goal_id.uuid))
        if utterance is None or not self._worker.cancel(utterance, CANCELLED):
            return CancelResponse.REJECT  # it is over
        return CancelResponse.ACCEPT

    def _execute(self, handle: Any) -> Any:
        utterance = self._utterances[bytes(handle.goal_id.uuid)]
        try:
            told = 0
            while not utterance.wait(FEEDBACK_PERIOD_S):
                told = self._tell(handle, utterance, told)
            self._tell(handle, utterance, told)
            self._end(handle, utterance)
        except Exception as error:  # as when ROS is shut down meanwhile
            self._node.note_error(self._what, error)
        self._ended_s = time.monotonic()
        del self._utterances[bytes(handle.goal_id.uuid)]
        return self.result(utterance)

    def _tell(self, handle: Any, utterance: Utterance, told: int) -> int:
        messages = self.feedback(utterance, told)
        for message in messages:
            handle.publish_feedback(message)
        return told + len(messages)

    def _end(self, handle: Any, utterance: Utterance) -> None:
        if utterance.outcome == "completed":
            handle.succeed()
            return
        if utterance.message == CANCELLED:
            for _ in range(round(CANCEL_TIMEOUT_S / 0.005)):
                if handle.is_cancel_requested:
                    handle.canceled()
                    return
                threading.Event().wait(0.005)
        handle.abort()


class TtsAction(SpeechAction):
    """The action of audio_common's tts_node: feedback is the audio, as it is handed over."""

    action_type = TTS

    def __init__(self, *given: Any, to_msg: Callable[[SpokenSentence], Any]) -> None:
        super().__init__(*given)
        self._to_msg = to_msg

    def voice(self, goal: Any) -> Voice:
        return Voice(goal.language.strip(), rate=getattr(goal, "rate", 1.0))

    def volume(self, goal: Any) -> float:
        return float(getattr(goal, "volume", 1.0))  # which early versions lack

    def feedback(self, utterance: Utterance, told: int) -> list[Any]:
        new = utterance.sentences[told:]
        if not hasattr(TTS.Feedback, "audio"):
            return []
        return [TTS.Feedback(audio=self._to_msg(sentence)) for sentence in new]

    def result(self, utterance: Utterance) -> Any:
        found = TTS.Result()
        if hasattr(found, "text"):
            found.text = utterance.text if utterance.outcome == "completed" else ""
        return found


def make_actions(
    node: NodeBase, worker: SpeechWorker, make: MakeUtterance, interrupts: Callable[[], bool],
    to_msg: Callable[[SpokenSentence], Any],
) -> list[SpeechAction]:  # fmt: skip
    """The actions whose definitions are installed."""
    actions = [SpeechAction(node, "~/say", worker, make, interrupts)]
    if TTS is not None:
        tts = functools.partial(TtsAction, to_msg=to_msg)
        actions.append(tts(node, "say", worker, make, interrupts))
    return actions
