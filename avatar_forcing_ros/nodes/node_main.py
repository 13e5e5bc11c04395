"""A node as a program: made, started, served, and ended in order whenever a signal comes.

The main thread waits for signals (and owns windows); callbacks are served in another. So nothing
has to be interrupted to end: first the callbacks, then the node's threads, then ROS.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence

import rclpy
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import (
    Executor,
    ExternalShutdownException,
    MultiThreadedExecutor,
    SingleThreadedExecutor,
)
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.signals import SignalHandlerOptions

from avatar_forcing_ros.errors import AvatarForcingError
from avatar_forcing_ros.nodes.executable import Stopped, StopSignals
from avatar_forcing_ros.nodes.middleware import middleware_warning, prepare_middleware
from avatar_forcing_ros.nodes.node_base import NodeBase, UnrecoverableError, one_line
from avatar_forcing_ros.nodes.ros_arguments import argument_error, warn_of_unknown

ENDING_TIMEOUT_S = 6.0  # launch sends SIGTERM 5 s after SIGINT, and SIGKILL another 5 s later
# wrong input or a missing resource of the user's: one sentence each
USER_ERRORS = (
    AvatarForcingError,
    NameValidationException,
    ParameterException,
    rclpy_implementation.RCLError,
    rclpy_implementation.RCLInvalidROSArgsError,
    rclpy_implementation.UnknownROSArgsError,
)


def run_node(
    name: str,
    make_node: Callable[[], NodeBase | Sequence[NodeBase]],
    args: Sequence[str] | None = None,
    signals: StopSignals | None = None,
    *,
    threads: int = 1,
) -> int:
    """Run the node, or several, until that is asked to end; the process's exit code.

    Each has `threads` of its own for its callbacks. `signals` are those that `run_executable`
    installed. What the user can correct is one sentence on stderr and 1. Signals are ignored once
    this returns.
    """
    if signals is None:
        signals = StopSignals()
        signals.install()
    signals.loaded()
    try:
        prepare_middleware()
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        made = make_node()
        nodes = [made] if isinstance(made, NodeBase) else list(made)
        names = [node.get_fully_qualified_name() for node in nodes]
        for node in nodes:
            warn_of_unknown(node, args, names)
        warning = middleware_warning(rclpy.get_rmw_implementation_identifier())
        if warning:
            nodes[0].get_logger().warning(warning)
        serve_all(nodes, signals, threads)
    except USER_ERRORS as error:
        print(f"{name}: {_sentence(error)}", file=sys.stderr)
        return 1
    finally:
        signals.ignore()
        rclpy.try_shutdown()
    return 0


def serve(node: NodeBase, signals: StopSignals, threads: int = 1) -> None:
    """Start `node`, serve its callbacks until the end is asked for, and end it.

    Raises what `start` and `work` raise, and the UnrecoverableError of a callback.
    """
    serve_all([node], signals, threads)


def serve_all(nodes: Sequence[NodeBase], signals: StopSignals, threads: int = 1) -> None:
    """The same for several nodes, of which the first has the main thread's work.

    Each has an executor of its own: none waits for another's callbacks, and what an executor does
    for a message grows with all that it looks after.
    """
    failures: list[AvatarForcingError] = []
    served = [_Served(node, signals, failures, threads) for node in nodes]
    try:
        for each in served:
            each.begin(signals)
        nodes[0].work(signals)
    except Stopped:
        pass
    finally:
        _end(served)
    if failures:
        raise failures[0]


class _Served:
    """A node, its executor, and the thread that spins it."""

    def __init__(
        self,
        node: NodeBase,
        signals: StopSignals,
        failures: list[AvatarForcingError],
        threads: int,
    ) -> None:
        self.node, context = node, node.context
        self.executor: Executor = (
            MultiThreadedExecutor(threads, context=context)
            if threads > 1
            else SingleThreadedExecutor(context=context)
        )
        self.spinner = threading.Thread(
            target=_spin, args=(self.executor, node, signals, failures), name="executor",
            daemon=True,
        )  # fmt: skip

    def begin(self, signals: StopSignals) -> None:
        """Start the node, then serve its callbacks."""
        self.node.start(signals)
        self.executor.add_node(self.node)
        self.spinner.start()


def _sentence(error: Exception) -> str:
    refused = argument_error(error)
    if refused:
        return str(refused)
    unknown = isinstance(error, rclpy_implementation.UnknownROSArgsError)
    return f"{'unknown arguments after --ros-args: ' if unknown else ''}{one_line(error)}"


def _spin(
    executor: Executor, node: NodeBase, signals: StopSignals, failures: list[AvatarForcingError]
) -> None:
    """Serve callbacks until ROS is shut down, whatever they raise."""
    while node.context.ok():
        try:
            executor.spin()
        except ExternalShutdownException:
            break
        except UnrecoverableError as error:
            failures.append(error)
            break
        except Exception as error:  # of ROS itself, around the callbacks, which are guarded
            node.note_error("executor", error)
    signals.request()


def _end(served: Sequence[_Served]) -> None:
    """In order; where something does not end, its process does all the same."""
    first = served[0].node
    watchdog = threading.Timer(ENDING_TIMEOUT_S, _leave, (first.get_name(),))
    watchdog.daemon = True
    watchdog.start()
    try:
        for each in served:
            each.node.close_callbacks(ENDING_TIMEOUT_S)
        for each in served:
            each.node.close()
        first.context.try_shutdown()  # the executors' spins return
        for each in served:
            if each.spinner.is_alive():
                each.spinner.join()
            each.executor.shutdown()
            each.node.destroy_node()
    finally:
        watchdog.cancel()


def _leave(name: str) -> None:
    busy = ", ".join(t.name for t in threading.enumerate() if t is not threading.current_thread())
    print(f"{name}: ended without waiting any longer for one of: {busy}", file=sys.stderr)
    sys.stderr.flush()
    os._exit(0)
