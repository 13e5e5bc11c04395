"""What requests to the page's API have in common: the key of a place, JSON in, futures awaited."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import Future
from typing import Any, TypeVar

from aiohttp import web

from avatar_forcing_ros.web.access import RefusedError
from avatar_forcing_ros.web.middleware import read_body

KEY_HEADER = "X-Avatar-Key"
ANSWER_TIMEOUT_S = 10.0
MAX_UPLOAD_BYTES = 12 << 20  # a minute of 48 kHz stereo, as WAV, has 11.5 million
MAX_JSON_BYTES = 100_000  # an offer has some 8,000
T = TypeVar("T")


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


def key_of(request: web.Request) -> str:
    """The key of the browser's place; empty where it has none."""
    return request.headers.get(KEY_HEADER, "")


async def json_body(request: web.Request) -> dict[str, Any]:
    """The request's JSON object; RefusedError (400, 413) where it has none, or a large one."""
    try:
        body = json.loads(await read_body(request, MAX_JSON_BYTES))
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise RefusedError(
            400, "request", expected="a JSON object", got="none", remedy="load the page again"
        )
    return body
