"""The executable ``telepresence_node``: the node and the web server, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from avatar_forcing_ros.config import ServerConfig
from avatar_forcing_ros.errors import MissingDependencyError
from avatar_forcing_ros.nodes.executable import StopSignals
from avatar_forcing_ros.nodes.graph_backend import GraphBackend
from avatar_forcing_ros.nodes.node_main import run_node
from avatar_forcing_ros.nodes.telepresence_node import TelepresenceNode
from avatar_forcing_ros.settings import from_flat

if TYPE_CHECKING:
    from avatar_forcing_ros.web.serving import ServerThread

MAX_END_S = 2.5


def serve(backend: GraphBackend, settings: Mapping[str, Any]) -> ServerThread:
    """The web server for `backend` by the node's parameters.

    Raises ConfigError for an unsafe or unusable setting, OutputError for a port that cannot be
    bound and MissingDependencyError without aiohttp or aiortc.
    """
    try:
        from avatar_forcing_ros.web.serving import Endpoint, ServerThread
    except ImportError as error:
        raise MissingDependencyError(
            "the page",
            expected="the packages aiohttp and aiortc",
            got=str(error),
            remedy="pip install 'avatar_forcing_ros[web]'",
        ) from error
    return ServerThread(backend, Endpoint.of(from_flat(ServerConfig, settings)))


def _end_at_once() -> None:
    from avatar_forcing_ros.web.serving import end_at_once

    end_at_once()


def main(args: Sequence[str] | None = None, signals: StopSignals | None = None) -> int:
    """Run the node until it is asked to end; the process's exit code.

    The process ends within MAX_END_S of that, whatever goes on in the page's threads.
    """
    if signals is None:
        signals = StopSignals()
        signals.install()
    signals.end_within(MAX_END_S, _end_at_once)
    return run_node("telepresence_node", partial(TelepresenceNode, serve), args, signals)
