"""A lifecycle node whose transitions tell what went wrong.

rclpy turns an exception in a transition into a bare failure, without a line in the log.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from avatar_forcing_ros.errors import AvatarForcingError


class LoggedLifecycleNode(LifecycleNode):
    """Override `configure`, `activate`, `deactivate` and `cleanup`, which may raise.

    What was expected to go wrong (AvatarForcingError) is one line and a failed transition: the
    node stays where it was and can try again. Anything else is logged with its trace.
    """

    def configure(self) -> None:
        """Load and make ready; nothing is published yet."""

    def activate(self) -> None:
        """Begin."""

    def deactivate(self) -> None:
        """Pause; `activate` begins anew."""

    def cleanup(self) -> None:
        """Give back what `configure` took."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._logged("configure", self.configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        done = self._logged("activate", self.activate)
        if done == TransitionCallbackReturn.SUCCESS:
            return super().on_activate(state)  # opens the lifecycle publishers
        return done

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        super().on_deactivate(state)
        return self._logged("deactivate", self.deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._logged("clean up", self.cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        def both() -> None:
            self.deactivate()
            self.cleanup()

        return self._logged("shut down", both)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self.on_shutdown(state)

    def _logged(self, what: str, work: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            work()
        except AvatarForcingError as error:
            self.get_logger().error(f"Could not {what}: {error}")
            return TransitionCallbackReturn.FAILURE
        except Exception:
            self.get_logger().fatal(f"Could not {what}:\n{traceback.format_exc()}")
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS
