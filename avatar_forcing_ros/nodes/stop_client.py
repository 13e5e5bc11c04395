"""The client of the avatar's service that silences it."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from std_srvs.srv import Trigger

from avatar_forcing_ros.errors import OutputError
from avatar_forcing_ros.nodes.node_base import NodeBase


class StopSpeakingClient:
    """Calls `service`, of type Trigger; from any thread, and without waiting."""

    def __init__(self, node: NodeBase, service: str) -> None:
        self._client = node.create_client(Trigger, service)

    def call(self, dropped: int = 0) -> Future[int]:
        """Silence the avatar; the future gives `dropped` once it is done.

        The future raises OutputError where nobody offers the service, or the avatar refuses.
        """
        stopped: Future[int] = Future()
        if not self._client.service_is_ready():
            stopped.set_exception(
                OutputError(
                    "stop speaking",
                    expected=f"somebody who offers the service {self._client.srv_name}",
                    got="nobody",
                    remedy="start avatar_node, or set the parameter stop_service",
                )
            )
            return stopped
        call = self._client.call_async(Trigger.Request())

        def forget(done: Future[int]) -> None:
            if done.cancelled():  # whoever asked has given up
                self._client.remove_pending_request(call)

        def resolve(answer: Any) -> None:
            if not stopped.set_running_or_notify_cancel():
                return
            reply = answer.result()
            if reply is not None and reply.success:
                stopped.set_result(dropped)
                return
            stopped.set_exception(
                OutputError(
                    "stop speaking",
                    expected="the avatar to do it",
                    got=repr(reply.message) if reply is not None else "no answer",
                    remedy="activate avatar_node",
                )
            )

        stopped.add_done_callback(forget)
        call.add_done_callback(resolve)
        return stopped
