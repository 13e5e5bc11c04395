"""What every request passes: limits and access on its way in; faults become sentences."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from avatar_forcing_ros.errors import AvatarForcingError, MissingDependencyError
from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.rate_limit import RateLimit
from avatar_forcing_ros.web.refusal import RefusedError
from avatar_forcing_ros.web.uploads import LARGEST_UPLOAD

REQUESTS_PER_S, REQUESTS_AT_ONCE = 20.0, 60
CHANGES_PER_S, CHANGES_AT_ONCE = 1.0, 20
BODY_S = 30.0  # the largest upload takes that long at 2 Mbit/s; who is slower holds no line open
OF_VIEWERS = {
    ("GET", "/api/state"),
    ("GET", "/api/portrait"),
    ("POST", "/api/join"),
    ("POST", "/api/leave"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(self)",
    "Cache-Control": "no-store",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Middleware = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]
logger = logging.getLogger(__name__)


def guard(
    access: Access, now_s: Callable[[], float]
) -> Callable[..., Awaitable[web.StreamResponse]]:
    """The middleware that does it, for one server."""
    requests = RateLimit(REQUESTS_PER_S, REQUESTS_AT_ONCE)
    changes = RateLimit(CHANGES_PER_S, CHANGES_AT_ONCE)

    def admit(request: web.Request) -> None:
        address, host = request.remote or "", request.headers.get("Host")
        changing = request.method not in ("GET", "HEAD")
        within = requests.allows(address, now_s())
        if not within or (changing and not changes.allows(address, now_s())):
            raise RefusedError(
                429, "requests", expected="fewer", got="too many", remedy="wait a few seconds"
            )
        access.check_host(host)
        if changing:
            access.check_origin(request.headers.get("Origin"), host)
        of_viewers = (request.method, request.path) in OF_VIEWERS
        if request.path.startswith("/api/") and not (access.open_to_viewers and of_viewers):
            access.check_token(request.headers.get("Authorization"))

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            admit(request)
            await _read_body(request)
            response = await handler(request)
        except RefusedError as error:
            response = _sentence(error.status, str(error))
        except MissingDependencyError as error:
            response = _sentence(501, str(error))
        except AvatarForcingError as error:
            response = _sentence(422, str(error))
        except web.HTTPRequestEntityTooLarge:
            most = LARGEST_UPLOAD // 1024**2
            response = _sentence(
                413, f"upload: expected at most {most} MB, got more; send a smaller file"
            )
        except web.HTTPException as error:
            response = _sentence(
                error.status, f"request: expected a known address, got {error.reason}; see /"
            )
        except Exception:
            logger.exception("%s %s", request.method, request.path)
            response = _sentence(
                500, "request: expected it to work, got a fault in the server; see its log"
            )
        response.headers.update(HEADERS)
        return response

    return answer


async def _read_body(request: web.Request) -> None:
    """Have the whole body, which handlers then find at hand; RefusedError (408) if it dawdles."""
    try:
        await asyncio.wait_for(request.read(), BODY_S)
    except asyncio.TimeoutError:
        raise RefusedError(
            408,
            "request",
            expected=f"all of it within {BODY_S:g} s",
            got="a part",
            remedy="send a smaller file, or use a faster line",
        ) from None


def _sentence(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
