"""What whoever runs the server asks it: does it live, can a conversation begin, what has it done.

Strangers learn nothing: where there is a token it is wanted here as well, but for the yes or no of
the first two where the setting `open_health` says so.
"""

from __future__ import annotations

import asyncio
import importlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from avatar_forcing_ros.errors import missing_package
from avatar_forcing_ros.runtime.status import AvatarStatus
from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.backend import AvatarBackend
from avatar_forcing_ros.web.session_manager import SessionManager

HEALTH, READY, METRICS = "/healthz", "/readyz", "/metrics"
WATCH_PERIOD_S = 1.0
BUSY, BUSY_STATUS = "all conversations are taken", {"200": 200, "404": 404}
COUNTS = {  # of AvatarStatus: metric, help, and what it is of
    "blocks": ("avatar_blocks", "Blocks of frames that were made.", ""),
    "late_blocks": ("avatar_late_blocks", "Blocks shown later than planned.", ""),
    "skipped_blocks": ("avatar_skipped_blocks", "Blocks of time that were given up.", ""),
    "failed_blocks": ("avatar_failed_blocks", "Blocks that could not be made.", ""),
    "dropped_user_frames": ("avatar_dropped_inputs", "Inputs that were lost.", "user_frames"),
    "failed_user_frames": ("avatar_dropped_inputs", "", "failed_user_frames"),
    "dropped_user_audio_samples": ("avatar_dropped_inputs", "", "user_audio_samples"),
    "dropped_avatar_audio_samples": ("avatar_dropped_inputs", "", "avatar_audio_samples"),
    "refused_inputs": ("avatar_dropped_inputs", "", "refused"),
    "unsent_frames": (
        "avatar_unsent_frames",
        "Images of the avatar that nobody took in time.",
        "",
    ),
}
GAUGES = {  # of AvatarStatus: metric, help, factor
    "playout_delay_ms": (
        "avatar_playout_delay_seconds",
        "How long after its media time a frame is shown: most of a reaction's time.",
        1e-3,
    ),
    "compute_ms": ("avatar_block_compute_seconds", "Mean time to make a block.", 1e-3),
    "compute_p99_ms": ("avatar_block_compute_p99_seconds", "99th percentile of that.", 1e-3),
    "behind_ms": ("avatar_behind_seconds", "How far the newest block was behind.", 1e-3),
    "microphone_wait_ms": (
        "avatar_microphone_wait_seconds",
        "How long after a block's end the user's audio is waited for.",
        1e-3,
    ),
    "graph_delay_ms": (
        "avatar_graph_delay_seconds",
        "How long a frame takes over the ROS graph, where the avatar is elsewhere on it.",
        1e-3,
    ),
    "reduced": ("avatar_reduced_quality", "1 where less is computed, to keep up.", 1.0),
}

Places = Sequence[tuple[AvatarBackend, SessionManager]]


class Monitoring:
    """Answers for one server, whose `places` are its avatars and who is connected to each."""

    def __init__(self, access: Access, places: Places) -> None:
        self._access, self._places = access, places
        self._totals = [Totals() for _ in places]
        self._refused: Counter[int] = Counter()

    def add_to(self, app: web.Application) -> None:
        """Answer these three requests, and count from now on."""
        app.add_routes(
            [
                web.get(HEALTH, self._health),
                web.get(READY, self._ready),
                web.get(METRICS, self._metrics),
            ]
        )
        app.cleanup_ctx.append(self._watch)
        app.on_response_prepare.append(self._note_response)

    async def _note_response(self, request: web.Request, response: web.StreamResponse) -> None:
        if response.status >= 400 and request.path not in (HEALTH, READY):
            self._refused[response.status] += 1

    async def _watch(self, app: web.Application) -> AsyncIterator[None]:
        """Look at what is counted more often than anybody asks: an avatar begins at 0 again."""

        async def watch() -> None:
            while True:
                self._observe()
                await asyncio.sleep(WATCH_PERIOD_S)

        watching = asyncio.ensure_future(watch())
        yield
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    def _observe(self) -> None:
        for (backend, _), totals in zip(self._places, self._totals, strict=True):
            totals.observe(backend.status)

    async def _health(self, request: web.Request) -> web.Response:
        """200 while this process answers and the avatar's has not ended for good; else 503."""
        self._require_access(request)
        alive = not any(backend.status.ended for backend, _ in self._places)
        return web.json_response({"alive": alive}, status=200 if alive else 503)

    async def _ready(self, request: web.Request) -> web.Response:
        """200 where a conversation can begin; else 503, and why for those with the token.

        ``?busy=200`` and ``?busy=404`` are answered so where all places are taken: to balancers
        that would take those who talk away as well, or know 404 as "no new ones".
        """
        self._require_access(request)
        reason = self._hindrance()
        status = 503 if reason else 200
        if reason == BUSY:
            status = BUSY_STATUS.get(request.query.get("busy", ""), status)
        answer: dict[str, Any] = {"ready": not reason}
        if reason and self._access.has_token(request.headers.get("Authorization")):
            answer["reason"] = reason
        return web.json_response(answer, status=status)

    def _hindrance(self) -> str:
        """Why no conversation can begin; empty where one can."""
        statuses = [backend.status for backend, _ in self._places]
        if not any(status.connected for status in statuses):
            return next((each.warning for each in statuses if each.warning), "no avatar")
        free = [
            sessions.can_begin
            for (_, sessions), status in zip(self._places, statuses, strict=True)
            if status.connected
        ]
        return "" if any(free) else BUSY

    async def _metrics(self, request: web.Request) -> web.Response:
        """Figures in Prometheus' text format; MissingDependencyError without prometheus-client."""
        self._access.check_token(request.headers.get("Authorization"))
        try:  # in another thread the first time, which takes tenths of a second
            await asyncio.to_thread(importlib.import_module, "prometheus_client")
        except ImportError as error:
            raise missing_package(error) or error from None
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
        from prometheus_client.exposition import CONTENT_TYPE_LATEST

        self._observe()
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(self)  # type: ignore[arg-type, unused-ignore]
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=generate_latest(registry), headers=headers)

    def _require_access(self, request: web.Request) -> None:
        if not self._access.open_health:
            self._access.check_token(request.headers.get("Authorization"))

    def collect(self) -> Iterator[Any]:
        """All figures, as prometheus-client's collectors give them."""
        yield from self._of_server()
        yield from self._of_avatars()
        yield from _of_children()

    def _of_server(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        sessions = [each for _, each in self._places]
        states = [each.state("") for each in sessions]
        for name, about, value in (
            ("avatar_places", "Conversations that this process holds.", len(sessions)),
            ("avatar_conversations", "Who talks now.", sum(each["speaker"] for each in states)),
            ("avatar_viewers", "Who watches now.", sum(each["viewers"] for each in states)),
            ("avatar_ready", "1 where a conversation can begin.", not self._hindrance()),
        ):
            yield GaugeMetricFamily(name, about, float(value))
        ended = sum(each.ended_turns for each in sessions)
        yield CounterMetricFamily("avatar_ended_conversations", "Turns to talk that ended.", ended)
        refused = CounterMetricFamily(
            "avatar_refused_requests", "Requests answered with an error.", labels=["status"]
        )
        for status, count in sorted(self._refused.items()):
            refused.add_metric([str(status)], count)
        yield refused

    def _of_avatars(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        families: dict[str, Any] = {}
        for place, ((backend, _), totals) in enumerate(
            zip(self._places, self._totals, strict=True)
        ):
            status, number = backend.status, str(place)
            for field, (name, about, kind) in COUNTS.items():
                labels = ["place", "input"] if kind else ["place"]
                if name not in families:
                    families[name] = CounterMetricFamily(name, about, labels=labels)
                families[name].add_metric([number, kind][: len(labels)], totals[field])
            for field, (name, about, factor) in GAUGES.items():
                if name not in families:
                    families[name] = GaugeMetricFamily(name, about, labels=["place"])
                families[name].add_metric([number], factor * getattr(status, field))
        yield from families.values()


class Totals:
    """The counts of all conversations of one avatar, whose own begin at 0 again and again."""

    def __init__(self) -> None:
        self._ended: Counter[str] = Counter()
        self._newest = dict.fromkeys(COUNTS, 0)

    def observe(self, status: AvatarStatus) -> None:
        """Note what it has counted; an avatar that is out of reach has counted nothing."""
        if not status.connected:
            return
        for name, before in self._newest.items():
            now = getattr(status, name)
            if now < before:
                self._ended[name] += before
            self._newest[name] = now

    def __getitem__(self, name: str) -> int:
        return self._ended[name] + self._newest[name]


def _of_children() -> Iterator[Any]:
    """Processor time and memory of this process's children, the avatar's among them; Linux."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    used = [each for each in map(_usage, _children()) if each]
    cpu_s, memory_bytes = (sum(column) for column in zip(*used, strict=True)) if used else (0, 0)
    yield CounterMetricFamily(
        "avatar_children_cpu_seconds", "Processor time of the child processes that live.", cpu_s
    )
    yield GaugeMetricFamily(
        "avatar_children_resident_memory_bytes", "Memory of those processes.", memory_bytes
    )


def _children() -> list[int]:
    """The processes that this one has begun; none where the system does not tell."""
    found = []
    for file in Path("/proc/self/task").glob("*/children"):
        try:
            found += [int(number) for number in file.read_text().split()]
        except OSError:  # a thread that has just ended
            continue
    return found


def _usage(process: int) -> tuple[float, int] | None:
    """Processor time in seconds and resident memory in bytes; None for one that has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    ticks = int(fields[11]) + int(fields[12])  # in user mode and in the kernel
    return ticks / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
