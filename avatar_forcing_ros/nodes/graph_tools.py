"""What the tools for topics and bags share: a node that looks on, and messages by their names."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from avatar_forcing_ros.errors import MissingDependencyError
from avatar_forcing_ros.nodes.middleware import prepare_middleware

# a field of another message: [package/]Name, perhaps an array, then the field's name
_NESTED = re.compile(r"^(?:(\w+)/)?([A-Z]\w*)(?:\[[^\]]*\])?\s+\w", re.MULTILINE)


@contextmanager
def tool_node(name: str) -> Iterator[tuple[Node, SingleThreadedExecutor]]:
    """A node without parameters and logs, and its executor; signals stay the caller's."""
    prepare_middleware()
    context = rclpy.Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = Node(name, context=context, enable_rosout=False, start_parameter_services=False)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        yield node, executor
        executor.shutdown()
        node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)


def message_class(type_name: str, digest: str = "") -> Any:
    """The class of ``package/msg/Name``, with that hash of its definition if one is given.

    Raises MissingDependencyError where there is none: two packages may share a name.
    """
    package, _, name = type_name.split("/")
    try:
        kind = getattr(importlib.import_module(f"{package}.msg"), name)
        here = message_hash(type_name)
        if digest.startswith("RIHS01_") and here not in ("", digest):
            raise AttributeError(f"another definition of {name}")
    except (ImportError, AttributeError) as error:
        raise MissingDependencyError(
            f"message {type_name}",
            expected=f"the ROS package '{package}' that has it",
            got=str(error),
            remedy="install it, or source the workspace in which it is built",
        ) from error
    return kind


def message_definition(type_name: str) -> str:
    """The text of a message and of all that it contains, as bags hold it; empty if not here."""
    texts: dict[str, str] = {}
    wanted = [type_name]
    for name in wanted:
        path = _shared(name, "msg")
        if path is None:
            return ""
        texts[name] = path.read_text(encoding="utf-8")
        for package, kind in _NESTED.findall(texts[name]):
            nested = f"{package or name.partition('/')[0]}/msg/{kind}"
            wanted += [nested] if nested not in wanted else []
    whole = texts.pop(type_name)
    for name, text in texts.items():
        whole += f"\n{'=' * 80}\nMSG: {name.replace('/msg/', '/')}\n{text}"
    return whole


def message_hash(type_name: str) -> str:
    """ROS's hash of the definition; empty where it is not here or ROS is too old to have one."""
    path = _shared(type_name, "json")
    hashes = json.loads(path.read_text(encoding="utf-8"))["type_hashes"] if path else []
    return next((h["hash_string"] for h in hashes if h["type_name"] == type_name), "")


def _shared(type_name: str, kind: str) -> Path | None:
    """A message's file in the `share` folder that belongs to the imported package."""
    package, _, name = type_name.split("/")
    module = Path(importlib.import_module(f"{package}.msg").__file__ or "")
    paths = (folder / "share" / package / "msg" / f"{name}.{kind}" for folder in module.parents)
    return next((path for path in paths if path.is_file()), None)
