"""What every request passes: rate limits and access checks on its way in, errors to JSON out.

Lines of the log are limited by the same token buckets.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from html import escape

from aiohttp import web

from avatar_forcing_ros.errors import AvatarForcingError, MissingDependencyError
from avatar_forcing_ros.web.access import Access, RefusedError, host_name, is_local
from avatar_forcing_ros.web.static_files import is_static

REQUESTS_PER_S, REQUEST_BURST = 20.0, 60
CHANGES_PER_S, CHANGE_BURST = 1.0, 20
BODY_TIMEOUT_S = 30.0  # the largest upload takes that long at 2 Mbit/s
MAX_ADDRESSES = 1_000
LOG_BURST, LOG_LINES_PER_S = 5, 0.1
LIMITED_LOGGERS = (
    "aiortc",
    "aioice",
    "aiohttp",
    "asyncio",
    "avatar_forcing_ros.web",
    "avatar_forcing_ros.responder",
)
OPEN_TO_VIEWERS = {
    ("GET", "/api/state"),
    ("GET", "/api/portrait"),
    ("GET", "/api/captions"),
    ("POST", "/api/join"),
    ("POST", "/api/leave"),
    ("POST", "/api/share"),  # the token is another matter
}
CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors "
)
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(self)",
}
RETRY_AFTER_S = 3
HTTPS_ALONE = "max-age=31536000"  # not for names of this machine, where other servers have none
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
logger = logging.getLogger(__name__)


def guard(
    access: Access, now_s: Callable[[], float]
) -> Callable[..., Awaitable[web.StreamResponse]]:
    """The middleware of one server."""
    requests = RateLimit(REQUESTS_PER_S, REQUEST_BURST)
    changes = RateLimit(CHANGES_PER_S, CHANGE_BURST)
    headers = security_headers(access)

    def admit(request: web.Request) -> None:
        host = request.headers.get("Host")
        site, destination = (request.headers.get(f"Sec-Fetch-{name}") for name in ("Site", "Dest"))
        # before it is counted: whoever visits that site is no culprit
        access.check_site(site, destination, request.path)
        changing = request.method not in ("GET", "HEAD")
        if not is_static(request.method, request.path):
            visitor = visitor_of(access, request)
            within = requests.allows(visitor, now_s())
            if not within or (changing and not changes.allows(visitor, now_s())):
                raise RefusedError(
                    429, "requests", expected="fewer", got="too many", remedy="wait a few seconds"
                )
        _check_encoding(request)
        access.check_host(host)
        if changing:
            access.check_origin(request.headers.get("Origin"), host)
        is_open = access.open_to_viewers and (request.method, request.path) in OPEN_TO_VIEWERS
        if request.path.startswith("/api/") and not is_open:
            access.check_token(request.headers.get("Authorization"))

    def is_https(request: web.Request) -> bool:
        """Whether the visitor has it so, by this server or by a proxy before it."""
        forwarded = request.headers.get("X-Forwarded-Proto")
        return request.secure or (forwarded == "https" and access.trusts(request.remote or ""))

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            admit(request)
            response = await handler(request)
        except Exception as error:
            response = _error_response(request, error)
        response.headers.update(headers)
        response.headers.setdefault("Cache-Control", "no-store")
        if is_https(request) and not is_local(host_name(request.headers.get("Host", ""))):
            response.headers["Strict-Transport-Security"] = HTTPS_ALONE
        return response

    return answer


def visitor_of(access: Access, request: web.Request) -> str:
    """Who is counted for `request`: an address, of IPv6 its network."""
    forwarded = request.headers.getall("X-Forwarded-For", ())
    return access.visitor(request.remote or "", forwarded)


def security_headers(access: Access) -> dict[str, str]:
    """What every answer tells the browser: what this page may load, and who may frame it."""
    framing = " ".join(access.frame_ancestors) or "'none'"
    return SECURITY_HEADERS | {"Content-Security-Policy": CONTENT_POLICY + framing}


async def read_body(request: web.Request, max_bytes: int) -> bytes:
    """The whole body; RefusedError where it is too large (413), slow (408) or damaged (400)."""
    try:
        return await asyncio.wait_for(_read(request, max_bytes), BODY_TIMEOUT_S)
    except asyncio.TimeoutError:
        raise RefusedError(
            408,
            "request",
            expected=f"all of it within {BODY_TIMEOUT_S:g} s",
            got="a part",
            remedy="send a smaller file, or use a faster line",
        ) from None
    except (web.RequestPayloadError, ConnectionError) as error:
        raise RefusedError(
            400, "request", expected="a whole body", got=str(error), remedy="send it again"
        ) from None


async def _read(request: web.Request, max_bytes: int) -> bytes:
    body = bytearray()
    if (request.content_length or 0) <= max_bytes:
        while part := await request.content.readany():
            body += part
            if len(body) > max_bytes:
                break
        else:
            return bytes(body)
    size = f"{max_bytes // 1024**2} MB" if max_bytes >= 1024**2 else f"{max_bytes // 1000} kB"
    raise RefusedError(
        413, "request", expected=f"at most {size}", got="more", remedy="send a smaller file"
    )


def _check_encoding(request: web.Request) -> None:
    """RefusedError (415) for a body that is compressed: few bytes would become very many."""
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise RefusedError(
            415,
            "request",
            expected="a body that is not compressed",
            got=f"Content-Encoding {encoding[:40]!r}",
            remedy="send it as it is",
        )


def _error_response(request: web.Request, error: Exception) -> web.Response:
    """An HTTP status and one sentence for the page to show."""
    status, text = 422, str(error)
    if isinstance(error, RefusedError):
        status = error.status
    elif isinstance(error, MissingDependencyError):
        status = 501
    elif isinstance(error, web.HTTPException):
        status = error.status
        text = f"request: expected a known address, got {error.reason}; see /"
    elif not isinstance(error, AvatarForcingError):
        logger.error("%s %s", request.method, request.path, exc_info=error)
        status = 500
        text = "request: expected it to work, got a fault in the server; see its log"
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status in (429, 503) else {}
    if request.headers.get("Sec-Fetch-Dest") == "document":  # somebody looks at it
        return _error_page(text, status, headers)
    return web.json_response({"error": text}, status=status, headers=headers)


def _error_page(text: str, status: int, headers: dict[str, str]) -> web.Response:
    """The sentence as a page with a way to try again; what passes by itself is tried by itself."""
    if headers:
        headers = headers | {"Refresh": headers["Retry-After"]}
    return web.Response(
        text=f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>Avatar</title><h1>Avatar</h1>'
        f'<p>{escape(text)}</p><p><a href="">Try again</a></p></html>',
        content_type="text/html",
        status=status,
        headers=headers,
    )


@dataclass
class _Bucket:
    tokens: float
    filled_s: float


class RateLimit:
    """`burst` requests at once, then `per_s` a second, for each address. The clock is given."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s, self._burst = per_s, burst
        self._buckets: dict[str, _Bucket] = {}

    def allows(self, address: str, now_s: float) -> bool:
        """Whether one more request from `address` is within the limit; it counts if so."""
        if address not in self._buckets and len(self._buckets) >= MAX_ADDRESSES:
            self._forget_idle(now_s)
        bucket = self._buckets.setdefault(address, _Bucket(self._burst, now_s))
        bucket.tokens = min(self._burst, bucket.tokens + self._per_s * (now_s - bucket.filled_s))
        bucket.filled_s = now_s
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._buckets)

    def _forget_idle(self, now_s: float) -> None:
        """Forget addresses whose bucket is full again; all of them where there are none."""
        full_s = now_s - self._burst / self._per_s
        busy = {a: b for a, b in self._buckets.items() if b.filled_s > full_s}
        self._buckets = busy if len(busy) < MAX_ADDRESSES else {}


class LogRateLimit(logging.Filter):
    """Passes a few lines of each logger at once, then one every ten seconds.

    A broken stream makes aiortc warn hundreds of times a second.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._limit = RateLimit(LOG_LINES_PER_S, LOG_BURST)
        self._suppressed: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether `record` is logged; it states how many before it were not."""
        if not self._limit.allows(record.name, self._now_s()):
            self._suppressed[record.name] += 1
            return False
        suppressed = self._suppressed.pop(record.name, 0)
        if suppressed:
            record.msg = f"{record.getMessage()} ({suppressed} lines suppressed before)"
            record.args = None
        return True


def limit_log_rate() -> None:
    """Have the web server's loggers write to stderr at a limited rate; idempotent."""
    for name in LIMITED_LOGGERS:
        logger = logging.getLogger(name)
        if any(isinstance(f, LogRateLimit) for h in logger.handlers for f in h.filters):
            continue
        handler = logging.StreamHandler()
        handler.setLevel(logging.WARNING)
        handler.setFormatter(logging.Formatter("%(message)s"))
        handler.addFilter(LogRateLimit())
        logger.addHandler(handler)
        logger.propagate = False
