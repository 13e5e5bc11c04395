"""Results that are still to come, and callbacks that may wait for them."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Generator
from typing import Any


class Future:
    """A result that is set later; done-callbacks run in the thread that sets it."""

    def __init__(self, *, executor: Any = None) -> None:
        self._executor = executor
        self._condition = threading.Condition()
        self._done = False
        self._cancelled = False
        self._result: Any = None
        self._exception: BaseException | None = None
        self._callbacks: list[Callable[[Any], Any]] = []

    def __await__(self) -> Generator[Any, None, Any]:
        while not self._done:
            yield self
        return self.result()

    def cancel(self) -> None:
        """Gives up; without effect once it is done."""
        with self._condition:
            if not self._done:
                self._cancelled = True
        self._finish(None, None)

    def cancelled(self) -> bool:
        """Whether it was given up."""
        return self._cancelled

    def done(self) -> bool:
        """Whether there is a result, an exception, or neither to be expected."""
        return self._done

    def result(self) -> Any:
        """The result, or None where there is none yet; raises the exception that was set."""
        if self._exception is not None:
            raise self._exception
        return self._result

    def exception(self) -> BaseException | None:
        """The exception, or None."""
        return self._exception

    def set_result(self, result: Any) -> None:
        """Sets the result."""
        self._finish(result, None)

    def set_exception(self, exception: BaseException) -> None:
        """Sets the exception."""
        self._finish(None, exception)

    def _finish(self, result: Any, exception: BaseException | None) -> None:
        with self._condition:
            if self._done:
                return
            self._result, self._exception, self._done = result, exception, True
            callbacks, self._callbacks = self._callbacks, []
            self._condition.notify_all()
        for callback in callbacks:
            callback(self)

    def add_done_callback(self, callback: Callable[[Any], Any]) -> None:
        """Calls ``callback(future)`` when it is done, at once if it is."""
        with self._condition:
            if not self._done:
                self._callbacks.append(callback)
                return
        callback(self)

    def wait(self, timeout_s: float | None) -> bool:
        """Blocks until it is done; False where the time is over before."""
        with self._condition:
            return self._condition.wait_for(lambda: self._done, timeout_s)


class Task(Future):
    """A function or coroutine that an executor runs; it may wait for futures with ``await``."""

    def __init__(
        self,
        handler: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        executor: Any = None,
    ) -> None:
        super().__init__(executor=executor)
        self._handler, self._args, self._kwargs = handler, args, kwargs or {}
        self._coroutine = handler if inspect.iscoroutine(handler) else None

    def __call__(self) -> None:
        """Runs until the end or to the next ``await`` of something unfinished."""
        if self._done:
            return
        try:
            if self._coroutine is None:
                result = self._handler(*self._args, **self._kwargs)
                if not inspect.iscoroutine(result):
                    self.set_result(result)
                    return
                self._coroutine = result
            awaited = self._coroutine.send(None)
        except StopIteration as end:
            self.set_result(end.value)
        except BaseException as error:
            self.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._continue_after(awaited)

    def _continue_after(self, awaited: Any) -> None:
        def again(_: object = None) -> None:
            self._executor._enqueue(self)

        if isinstance(awaited, Future):
            awaited.add_done_callback(again)
        else:
            again()
