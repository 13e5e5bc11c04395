"""Commands of this package as processes, in a DDS domain that no other test worker uses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0
_WORKER = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", ""))) or 0)
DOMAIN = 20 + _WORKER % 20


# for contexts that tests open in their own process
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


def environment() -> dict[str, str]:
    """Ours, without any ROS that may be sourced, and never heard beyond this machine."""
    hidden = ("AMENT_", "ROS_", "RMW_", "CYCLONEDDS_", "COLCON_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return kept | {
        "PYTHONPATH": str(ROOT),
        "ROS_DOMAIN_ID": str(DOMAIN),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "OMP_NUM_THREADS": "1",
    }


def wait_until(done: Callable[[], object]) -> None:
    """Waits for something that cannot tell when it happens."""
    end_s = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end_s, "it did not happen in time"
        threading.Event().wait(0.02)


class Program:
    """``avatar-forcing WORDS`` in the background; on leaving it is ended, whatever it takes."""

    def __init__(self, *words: object, cwd: Path | None = None) -> None:
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "avatar_forcing_ros.cli", *map(str, words)],
            env=environment(),
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._pump = threading.Thread(target=self._read, daemon=True)
        self._pump.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self._lines.append(line.rstrip("\n"))
                self._news.notify_all()

    @property
    def text(self) -> str:
        """All that it has said."""
        with self._news:
            return "\n".join(self._lines)

    def says(self, wanted: str) -> str:
        """Waits for a line that holds `wanted`; returns the line."""

        def line() -> str | None:
            return next((line for line in self._lines if wanted in line), None)

        with self._news:
            assert self._news.wait_for(line, PATIENCE_S), f"no {wanted!r} in:\n" + "\n".join(
                self._lines
            )
            return line() or ""

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def ends(self) -> int:
        """Waits for its end; returns its exit code."""
        code = self._process.wait(PATIENCE_S)
        self._pump.join(PATIENCE_S)
        return code

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()  # so that a launch can end its own
            try:
                self._process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._pump.join(PATIENCE_S)


def completed(*words: object) -> tuple[int, str]:
    """(exit code, all that was said) of a command that ends by itself."""
    with Program(*words) as program:
        return program.ends(), program.text


def is_alive(pid: int) -> bool:
    """Whether there is such a process, other than as a memory."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:1]
    except FileNotFoundError:
        return False


def write_bag(path: Path, messages: Sequence[tuple[str, int, object]]) -> dict[str, list[bytes]]:
    """A bag of (topic, stamp in ns, message); returns the bytes on each topic."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    from avatar_forcing_ros.standalone.bag_qos import to_bag
    from avatar_forcing_ros.standalone.messages import serialize_message
    from avatar_forcing_ros.standalone.qos import DurabilityPolicy, QoSProfile

    connections: dict[str, object] = {}
    written: dict[str, list[bytes]] = {}
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as bag:
        for topic, stamp_ns, message in messages:
            if topic not in connections:
                late = DurabilityPolicy.TRANSIENT_LOCAL
                plain = DurabilityPolicy.VOLATILE
                durability = late if "latched" in topic else plain
                qos = to_bag(QoSProfile(depth=1, durability=durability))
                connections[topic] = bag.add_connection(
                    topic,
                    type(message)._type_name,
                    typestore=type(message)._store,
                    offered_qos_profiles=[qos],
                )
            data = serialize_message(message)
            bag.write(connections[topic], stamp_ns, data)
            written.setdefault(topic, []).append(data)
    return written
