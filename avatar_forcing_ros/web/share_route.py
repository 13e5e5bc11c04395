"""The request for a link to the page: with the token for those who have it, and as a QR code."""

from __future__ import annotations

import asyncio

from aiohttp import web

from avatar_forcing_ros.web.access import Access
from avatar_forcing_ros.web.share_link import qr_image, share_link

MAX_LINK_LENGTH = 500  # a name has 253 characters at most; longer ones are no use to a camera


def add_share_route(app: web.Application, access: Access) -> None:
    """Answer ``POST /api/share``, with ``?token=yes`` for a link that lets its owner talk."""

    async def share(request: web.Request) -> web.Response:
        """The link and its QR code as SVG, which is empty without the package segno."""
        page = request.headers.get("Origin", "")  # this server's own: the middleware checked it
        link = f"{page}/"
        if request.query.get("token") == "yes" and access.token:
            access.check_token(request.headers.get("Authorization"))
            link = share_link(page, access.token)
        fits = len(link) <= MAX_LINK_LENGTH
        qr = await asyncio.to_thread(qr_image, link) if fits else ""
        return web.json_response({"link": link, "qr": qr})

    app.router.add_post("/api/share", share)
