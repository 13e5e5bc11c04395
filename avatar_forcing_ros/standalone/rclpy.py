"""The functions of the module ``rclpy`` itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from avatar_forcing_ros.standalone.context import (
    Context,
    SignalHandlerOptions,
    get_default_context,
    install_signal_handlers,
    uninstall_signal_handlers,
)
from avatar_forcing_ros.standalone.executors import Executor, SingleThreadedExecutor
from avatar_forcing_ros.standalone.node import Node
from avatar_forcing_ros.standalone.task import Future

_global: dict[str, Executor] = {}


def init(
    *,
    args: Sequence[str] | None = None,
    context: Context | None = None,
    domain_id: int | None = None,
    signal_handler_options: SignalHandlerOptions | None = None,
) -> Context:
    """Joins the DDS domain with the command line's arguments, or those given.

    SIGINT and SIGTERM end spinning, unless a context or other options are given.
    """
    if signal_handler_options is None:
        whole = context is None or context is get_default_context()
        signal_handler_options = SignalHandlerOptions.ALL if whole else SignalHandlerOptions.NO
    context = context or get_default_context()
    install_signal_handlers(signal_handler_options)
    context.init(args, domain_id=domain_id)
    return context


def ok(*, context: Context | None = None) -> bool:
    """Whether ``init`` was called and nothing was shut down since."""
    return (context or get_default_context()).ok()


def _forget(uninstall: bool | None, context: Context) -> None:
    executor = _global.pop("executor", None)
    if executor is not None:
        executor.shutdown()
    if uninstall or (uninstall is None and context is get_default_context()):
        uninstall_signal_handlers()


def shutdown(*, context: Context | None = None, uninstall_handlers: bool | None = None) -> None:
    """Leaves the domain; raises RCLError where that was done before."""
    context = context or get_default_context()
    try:
        context.shutdown()
    finally:
        _forget(uninstall_handlers, context)


def try_shutdown(
    *, context: Context | None = None, uninstall_handlers: bool | None = None
) -> None:
    """Leaves the domain, if that was not done before."""
    context = context or get_default_context()
    context.try_shutdown()
    _forget(uninstall_handlers, context)


def create_node(node_name: str, **options: Any) -> Node:
    """A node; the options are those of ``Node``."""
    return Node(node_name, **options)


def get_global_executor() -> Executor:
    """The executor of ``spin`` and its siblings."""
    executor = _global.get("executor")
    if executor is None:
        executor = _global.setdefault("executor", SingleThreadedExecutor())
    return executor


def spin(node: Node, executor: Executor | None = None) -> None:
    """Works until the context is shut down.

    Raises ExternalShutdownException where that happens while it waits for something to do.
    """
    executor = executor or get_global_executor()
    try:
        executor.add_node(node)
        while executor.context.ok():
            executor.spin_once()
    finally:
        executor.remove_node(node)


def spin_once(
    node: Node, *, executor: Executor | None = None, timeout_sec: float | None = None
) -> None:
    """Waits for one callback and runs it."""
    executor = executor or get_global_executor()
    try:
        executor.add_node(node)
        executor.spin_once(timeout_sec)
    finally:
        executor.remove_node(node)


def spin_until_future_complete(
    node: Node,
    future: Future,
    executor: Executor | None = None,
    timeout_sec: float | None = None,
) -> None:
    """Works until the future is done or the time is over."""
    executor = executor or get_global_executor()
    try:
        executor.add_node(node)
        executor.spin_until_future_complete(future, timeout_sec)
    finally:
        executor.remove_node(node)
