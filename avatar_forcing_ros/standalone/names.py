"""Names in the graph: what is allowed, and what a relative name means for a node."""

from __future__ import annotations

import re

from avatar_forcing_ros.standalone.exceptions import (
    InvalidNamespaceException,
    InvalidNodeNameException,
    InvalidServiceNameException,
    InvalidTopicNameException,
)

_TOKEN = r"[A-Za-z_][A-Za-z0-9_]*"
_PART = rf"({_TOKEN}|\{{(node|ns|namespace)\}})"
_PATH = re.compile(rf"(~(/{_PART})*|/?{_PART}(/{_PART})*)")
_FULL = re.compile(rf"(/{_TOKEN})+")


def validate_node_name(name: str) -> None:
    """Raises InvalidNodeNameException unless the name is letters, digits and underscores."""
    if not re.fullmatch(_TOKEN, name):
        raise InvalidNodeNameException(name, "it must be letters, digits and underscores")


def full_namespace(namespace: str) -> str:
    """``ns`` → ``/ns``, empty → ``/``; raises InvalidNamespaceException."""
    full = namespace if namespace.startswith("/") else f"/{namespace}"
    if full != "/" and not _FULL.fullmatch(full):
        raise InvalidNamespaceException(namespace, "it must be names parted by '/'")
    return full


def join(namespace: str, name: str) -> str:
    """The fully qualified name of ``name`` in ``namespace``."""
    return f"{namespace.rstrip('/')}/{name}"


def expand(name: str, node: str, namespace: str, *, service: bool = False) -> str:
    """The absolute name; ``~`` stands for the node, ``{node}`` and ``{ns}`` for its names.

    Raises InvalidTopicNameException or InvalidServiceNameException.
    """
    error = InvalidServiceNameException if service else InvalidTopicNameException
    if not name or not _PATH.fullmatch(name):
        raise error(name, "it must be names of letters, digits and underscores parted by '/'")
    filled = name.replace("{node}", node)
    filled = re.sub(r"\{(ns|namespace)\}", namespace.strip("/"), filled)
    if filled.startswith("~"):
        full = join(namespace, node) + ("/" + filled[1:].lstrip("/")).rstrip("/")
    elif filled.startswith("/"):
        full = filled
    else:
        full = join(namespace, filled)
    if not _FULL.fullmatch(full):
        raise error(name, f"it expands to '{full}', which is not a name")
    return full
