"""``speech_node``: text in, the avatar's voice out, by espeak-ng or any other program.

Texts come on a topic or as goals of an action, and are said one after the other. Whoever silences
them silences the avatar as well, which has up to two seconds of speech waiting by then.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_msgs.msg import String
from std_srvs.srv import Trigger

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.node_config import SpeechNodeConfig
from avatar_forcing_ros.nodes import diagnostics
from avatar_forcing_ros.nodes.audio_topics import AudioPublisher, AudioSubscription
from avatar_forcing_ros.nodes.convert_audio import TO_MESSAGE, stamped_kind
from avatar_forcing_ros.nodes.interface import TABLE, header
from avatar_forcing_ros.nodes.node_base import NodeBase
from avatar_forcing_ros.nodes.node_main import run_node
from avatar_forcing_ros.nodes.parameters import declare, read
from avatar_forcing_ros.nodes.speech_actions import make_actions
from avatar_forcing_ros.nodes.stop_client import StopSpeakingClient
from avatar_forcing_ros.nodes.subscriptions import MessageTime
from avatar_forcing_ros.runtime.speech_synthesis import (
    ProgramSynthesizer,
    SpeechSynthesizer,
    SpokenSentence,
    Voice,
)
from avatar_forcing_ros.runtime.speech_text import sanitized_text
from avatar_forcing_ros.runtime.utterances import SpeechWorker, Utterance

MAX_TEXT_LENGTH = 20_000  # characters
MAX_VOLUME = 10.0
FRAME_ID = "speech"


class SpeechNode(NodeBase):
    """Raises ConfigError for unusable parameters; `synthesizer` is for tests."""

    def __init__(self, synthesizer: SpeechSynthesizer | None = None, **node_options: Any) -> None:
        super().__init__("speech_node", **node_options)
        declare(self, SpeechNodeConfig)
        settings = read(self, SpeechNodeConfig)
        self._synthesizer = synthesizer or ProgramSynthesizer(settings.speech)
        self._kind = stamped_kind(settings.audio_msg)
        self._audio = AudioPublisher(self, "avatar/audio", self._kind)
        self._stop = StopSpeakingClient(self, settings.stop_service)
        self._worker = SpeechWorker(
            self._synthesizer,
            self._publish,
            self._silence,
            functools.partial(self.note_error, "speech"),
        )
        group = MutuallyExclusiveCallbackGroup()
        self.create_subscription(
            String, "say", self._on_text, TABLE["say"].profile(), callback_group=group
        )
        self.create_service(Trigger, "~/stop", self._on_stop, callback_group=group)
        self._listening = AudioSubscription(
            self,
            "avatar/audio_aligned",
            {"audio_msg": settings.audio_msg},
            lambda chunk, _: self._worker.put_audio(chunk.samples),
            lambda _: MessageTime(self.now_ns(), arrived=True),
            MutuallyExclusiveCallbackGroup(),
        )
        self._actions = make_actions(
            self, self._worker, self._utterance, self._interrupts, self._to_msg
        )
        self.publish_diagnostics(self._statuses, MutuallyExclusiveCallbackGroup())
        if not self._synthesizer.is_available():
            self.get_logger().warning(self._missing())
        self._worker.start()

    def close(self) -> None:
        """Silence, and end the thread."""
        self._worker.cancel(why="the node is ending")
        self._worker.stop()
        for action in self._actions:
            action.close()

    def destroy_node(self) -> None:
        """Take the actions, then the node off the graph."""
        for action in self._actions:
            action.destroy()
        self._actions = []
        super().destroy_node()

    def _interrupts(self) -> bool:
        return bool(self.get_parameter("interrupt").value)

    def _utterance(
        self, text: str, voice: Voice, volume: float, on_turn: Callable[[], object]
    ) -> Utterance:
        """Raises MediaError for what cannot be spoken, before anything waits for it."""
        if not (math.isfinite(volume) and 0.0 <= volume <= MAX_VOLUME):
            raise MediaError(
                "the volume of a text", expected=f"0 to {MAX_VOLUME:g}", got=f"{volume:g}",
                remedy="1 is the usual volume",
            )  # fmt: skip
        plain = sanitized_text(text, MAX_TEXT_LENGTH)
        self._synthesizer.synthesize(plain, voice)
        return Utterance(plain, voice, volume, on_turn)

    def _on_text(self, msg: String) -> None:
        if not msg.data.strip():
            self._worker.cancel(why="an empty text came")
            return
        utterance = self._utterance(msg.data, Voice(), 1.0, lambda: None)
        self._worker.add(utterance, interrupt=self._interrupts())

    def _on_stop(self, request: Any, response: Any) -> Any:
        count = self._worker.cancel()
        response.success = True
        response.message = f"stopped {count} text{'' if count == 1 else 's'}"
        return response

    def _to_msg(self, sentence: SpokenSentence) -> Any:
        return TO_MESSAGE[self._kind](sentence.samples, header(self.now_ns(), FRAME_ID))

    def _publish(self, sentence: SpokenSentence) -> None:
        self._audio.publish(sentence.samples, header(self.now_ns(), FRAME_ID))

    def _silence(self) -> Future[int]:
        """Nothing has to come of it: then the avatar says what it has."""
        try:
            stopped = self._stop.call()
        except Exception as error:  # of ROS, as when it is shut down
            stopped = Future()
            stopped.set_exception(error)

        def note(done: Future[int]) -> None:
            error = done.exception()
            if isinstance(error, Exception):
                self.note_error("stop_service", error)

        stopped.add_done_callback(note)
        return stopped

    def _missing(self) -> str:
        name = getattr(self._synthesizer, "program", "the synthesiser")
        return f"the program {name} is not installed: no text can be spoken"

    def _statuses(self) -> list[DiagnosticStatus]:
        counts = {"waiting": self._worker.waiting, **self._worker.counts, **self.errors.counts}
        warning = "" if self._synthesizer.is_available() else self._missing()
        return [diagnostics.status(self, "speech", counts, warning=warning or self.errors.summary)]


main = functools.partial(run_node, "speech_node", SpeechNode, threads=4)
