"""What handlers share: whose request it is, and what the avatar answers to a command."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TypeVar

from aiohttp import web

from avatar_forcing_ros.web.access import RefusedError

KEY_HEADER = "X-Avatar-Key"
ANSWER_TIMEOUT_S = 10.0
T = TypeVar("T")


def key_of(request: web.Request) -> str:
    """The key of the browser's place; empty where it has none."""
    return request.headers.get(KEY_HEADER, "")


async def result_of(command: Future[T]) -> T:
    """What the avatar answers; RefusedError (503) where it does not."""
    try:
        return await asyncio.wait_for(asyncio.wrap_future(command), ANSWER_TIMEOUT_S)
    except asyncio.TimeoutError:
        raise RefusedError(
            503,
            "avatar",
            expected=f"an answer within {ANSWER_TIMEOUT_S:g} s",
            got="none",
            remedy="try again; the conversation may just have ended",
        ) from None
