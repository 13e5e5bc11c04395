"""A live avatar in a process of its own, so that nothing else in Python makes it late.

Threads of one process take turns at Python. A web server beside the avatar has little to compute,
but takes its turns thousands of times a second: in one process answers took half a second, in two
a fifth.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from avatar_forcing_ros.config import LiveConfig
from avatar_forcing_ros.errors import ConversationError
from avatar_forcing_ros.media import AudioChunk, AvatarFrame, VideoFrame
from avatar_forcing_ros.rig.expressions import Expression
from avatar_forcing_ros.rig.portrait import Portrait
from avatar_forcing_ros.runtime.process_host import END_S, Line, ProcessHost, gone
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.runtime.stoppable_thread import StoppableThread
from avatar_forcing_ros.streaming.directed_motion import GazeTarget

if TYPE_CHECKING:  # so that this process does without the networks' libraries
    from avatar_forcing_ros.runtime.session import Session

ANSWER_S = 15.0
QUICK_END_S = 20.0  # a process that ends so soon after it began is not begun again
MAX_QUEUED = 500  # messages: chunks of audio, ten seconds

Message = tuple[Any, ...]  # ("push_user_audio", chunk), ("call", number, method, ...), ("end",)
OnFrame = Callable[[AvatarFrame], None]


class Sender(StoppableThread):
    """Sends messages in order; nobody who has one waits. Of user frames only the newest waits."""

    def __init__(self, connection: Connection) -> None:
        super().__init__("avatar-sender")
        self._connection = connection
        self._queue: deque[Message] = deque()
        self.dropped_frames = 0
        self.dropped_chunks = 0

    def put(self, message: Message) -> None:
        """Queue a message."""
        with self._wake:
            if message[0] == "push_user_frame":
                older = next((one for one in self._queue if one[0] == message[0]), None)
                if older is not None:
                    self._queue = deque(one for one in self._queue if one is not older)
                    self.dropped_frames += 1
            elif message[0] == "push_user_audio" and len(self._queue) >= MAX_QUEUED:
                self.dropped_chunks += 1
                return
            self._queue.append(message)
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._queue and not self._stopping:
                    self._wake.wait()
                if not self._queue:
                    return
                message = self._queue.popleft()
            try:
                self._connection.send(message)
            except (OSError, ValueError):  # the reader notices, and says so
                return


class AvatarProcess:
    """What `Avatar` does, done elsewhere; methods and what they mean are its own.

    `make_session` is called there, and has to be something that can be pickled. `on_warning` gets
    where something went wrong, and a sentence, in whatever thread. A process that ends by itself
    is begun anew, and so is the conversation.

    Raises what `make_session` raises, and ConversationError where the process does not come up.
    """

    def __init__(
        self,
        make_session: Callable[[], Session],
        on_warning: Callable[[str, str], None],
        *,
        place: tuple[ProcessHost, int] | None = None,
    ) -> None:
        """`place`: the process that it shares with others, and which of them it is."""
        self._on_warning = on_warning
        self._on_frame: OnFrame | None = None
        self._config: LiveConfig | None = None
        self._status = AvatarStatus()
        self._answers: dict[int, Future[Any]] = {}
        self._numbers = itertools.count()
        self._closing = self._over = False
        # around who gets frames and what is asked; nobody waits in it
        self._lock = threading.RLock()
        self._held: list[Message] | None = None  # calls while another process begins
        self._host, self._index = place or (ProcessHost(make_session, on_warning), 0)
        self._portrait: Portrait = self._host.portrait
        self._first_portrait = self._portrait
        self._take_line(self._host.line(self._index))
        self._reader = threading.Thread(target=self._read, name="avatar-reader", daemon=True)
        self._reader.start()

    def _take_line(self, line: Line) -> None:
        self._connection, self._process_number = line
        self._sender = Sender(self._connection)
        self._sender.start()

    def start(
        self, on_frame: OnFrame, config: LiveConfig | None = None, snapshot: bytes | None = None
    ) -> None:
        """Begin a conversation, or go on with that of `snapshot`; raises as `Avatar.start`."""
        with self._lock:
            if self._on_frame:
                raise ConversationError(
                    "conversation", expected="none that goes on", got="one", remedy="stop it first"
                )
            self._status, self._config = AvatarStatus(), config
            self._on_frame = on_frame
            answer = self._call("start", config, snapshot)
        try:
            answer.result(ANSWER_S)
        except Exception as error:
            with self._lock:
                self._on_frame = None
                self._call("stop")  # else it would begin when it can, for nobody
            if isinstance(error, FutureTimeoutError):
                raise _late() from None
            raise

    def stop(self) -> None:
        """End the conversation, in some seconds at most."""
        with self._lock:
            self._on_frame = None
            answer = self._call("stop")
        try:
            answer.result(ANSWER_S)
        except (ConversationError, FutureTimeoutError, OSError):
            self._on_warning("stop", "the avatar is still busy; it ends as soon as it can")

    def end(self) -> None:
        """Tell the avatar to end, and wait for nothing; `close` comes after it."""
        with self._lock:
            self._closing, self._on_frame = True, None
            if self._held is None:
                self._sender.put(("end",))
            else:
                self._host.kill()

    def close(self) -> None:
        """End the process. Where others share it, all of them have to be told to `end` before."""
        self.end()
        self._host.close()
        self._sender.stop()
        self._reader.join(END_S)

    @staticmethod
    def now_ns() -> int:
        """The clock of all stamps, which all processes share."""
        return time.monotonic_ns()

    @property
    def running(self) -> bool:
        """Whether a conversation goes on."""
        return self._on_frame is not None

    @property
    def status(self) -> AvatarStatus:
        """What has been done since the conversation began, as of the newest frame.

        Frames and audio that were not taken over there in time are counted in it.
        """
        status, sender = self._status, self._sender
        begins = self._held is not None
        gone = "the avatar has ended" if self._over else "the avatar begins anew" if begins else ""
        return replace(
            status,
            running=self.running,
            connected=not gone,
            ended=self._over,
            warning=gone,
            dropped_user_frames=status.dropped_user_frames + sender.dropped_frames,
            refused_inputs=status.refused_inputs + sender.dropped_chunks,
        )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._host.pid

    @property
    def portrait(self) -> Portrait:
        """The face that is shown."""
        return self._portrait

    @property
    def portrait_size_px(self) -> int:
        """The side of the images, and of a portrait for them."""
        return self._portrait.size_px

    def push_avatar_audio(self, chunk: AudioChunk) -> None:
        """Audio that the avatar is to say after what waits, 16 kHz."""
        if self._on_frame:
            self._sender.put(("push_avatar_audio", chunk))

    def push_user_audio(self, chunk: AudioChunk) -> None:
        """Audio of the user, 16 kHz."""
        if self._on_frame:
            self._sender.put(("push_user_audio", chunk))

    def push_user_frame(self, frame: VideoFrame) -> None:
        """Image of the user."""
        if self._on_frame:
            self._sender.put(("push_user_frame", frame))

    def push_expression(self, expression: Expression, stamp_ns: int | None = None) -> None:
        """What the face is to show from `stamp_ns` on (now), until another comes."""
        if self._on_frame:
            self._sender.put(("push_expression", expression, stamp_ns))

    def push_gaze_target(self, target: GazeTarget, stamp_ns: int | None = None) -> None:
        """Where the avatar is to look from `stamp_ns` on (now), for as long as `target` says."""
        if self._on_frame:
            self._sender.put(("push_gaze_target", target, stamp_ns))

    def snapshot(self) -> Future[bytes]:
        """The conversation as it is between two blocks."""
        return self._call("snapshot")

    def stop_speaking(self) -> Future[int]:
        """Drop all avatar audio that was not shown yet; how many samples that were."""
        return self._call("stop_speaking")

    def set_portrait(self, portrait: Portrait) -> Future[None]:
        """Go on with another face, of `portrait_size_px`."""

        def keep(done: Future[None]) -> None:
            if not done.cancelled() and done.exception() is None:
                self._portrait = portrait

        answer = self._call("set_portrait", portrait)
        answer.add_done_callback(keep)
        return answer

    def _call(self, method: str, *arguments: Any) -> Future[Any]:
        answer = Future[Any]()
        with self._lock:
            if self._over:
                answer.set_exception(gone("an answer", "start the program again"))
                return answer
            number = next(self._numbers)
            self._answers[number] = answer
            message = ("call", number, method, *arguments)
            if self._held is None:
                self._sender.put(message)
            else:
                self._held.append(message)
        return answer

    def _read(self) -> None:
        """Take what the process sends, until it is to end."""
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                if self._closing or not self._revive():
                    with self._lock:
                        self._over, self._on_frame = True, None
                    self._lose_answers()
                    return
                continue
            self._take(message)

    def _take(self, message: Message) -> None:
        kind = message[0]
        if kind == "frame":
            _, frame, self._status = message
            on_frame = self._on_frame
            if on_frame:
                on_frame(frame)
        elif kind == "warning":
            self._on_warning(*message[1:])
        else:
            _, number, value = message
            answer = self._answers.pop(number)
            if answer.set_running_or_notify_cancel():
                if isinstance(value, Exception):
                    answer.set_exception(value)
                else:
                    answer.set_result(value)

    def _revive(self) -> bool:
        """After the process has ended: in another one, with the same face, go on."""
        with self._lock:
            self._held, goes_on, portrait = [], self._on_frame is not None, self._portrait
        self._lose_answers()
        self._sender.stop()
        line = self._host.next_line(self._index, self._process_number, QUICK_END_S)
        if line is None:
            return False
        with self._lock:
            self._take_line(line)
            held, self._held = self._held, None
            if portrait is not self._first_portrait:
                self.set_portrait(portrait)
            if goes_on:
                self._call("start", self._config)
            for message in held:
                self._sender.put(message)
            if self._closing:  # which this has missed
                self._sender.put(("end",))
        return True

    def _lose_answers(self) -> None:
        with self._lock:
            answers, self._answers = self._answers, {}
        for answer in answers.values():
            if answer.set_running_or_notify_cancel():
                answer.set_exception(gone("an answer", "try again in a moment"))


def avatars_of_one_process(
    make_session: Callable[[], Session], on_warning: Callable[[str, str], None], count: int
) -> list[AvatarProcess]:
    """So many avatars in one process, to which `make_session` is sent once and called for each.

    They are made one after the other once the first is ready, and go on each by itself. End them
    with `close_all`. Raises as `AvatarProcess` does.
    """
    host = ProcessHost(make_session, on_warning, count)
    return [AvatarProcess(make_session, on_warning, place=(host, i)) for i in range(count)]


def close_all(avatars: Sequence[AvatarProcess]) -> None:
    """End all avatars of a process, and the process."""
    for avatar in avatars:
        avatar.end()
    for avatar in avatars:
        avatar.close()


def _late() -> ConversationError:
    return ConversationError(
        "the avatar's process",
        expected=f"an answer within {ANSWER_S:g} s",
        got="none",
        remedy="try again in a moment",
    )
