"""Access control: token, origin and host name of a request, the TLS certificate, and refusals.

A server that listens on loopback needs no token, but answers to this machine's names only, so that
no other site can point its own name here (DNS rebinding). One that others reach needs a token.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from avatar_forcing_ros.errors import AvatarForcingError, ConfigError

MIN_TOKEN_LENGTH = 16
TOKEN_HINT = "head -c 24 /dev/urandom | base64 | tr +/ -_ > token.txt && chmod 600 token.txt"
TLS_HINT = (
    "browsers give camera and microphone to https alone: add a certificate and its key (tls-cert "
    "and tls-key), or put a proxy with TLS in front"
)


Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ORIGIN = re.compile(r"(https?)://([a-z0-9-]+(?:\.[a-z0-9-]+)*)(?::(\d{1,5}))?", re.ASCII)
VISITOR_PREFIX_BITS = 64  # one who has an IPv6 address has all of those that begin like it


class RefusedError(AvatarForcingError):
    """A request that is answered with the HTTP status `status` and this message."""

    def __init__(self, status: int, what: str, *, expected: str, got: str, remedy: str) -> None:
        super().__init__(what, expected=expected, got=got, remedy=remedy)
        self.status = status


@dataclass(frozen=True)
class Access:
    """What every request has to satisfy. `token` is empty where none is required.

    `open_to_viewers`: viewing needs no token; talking with the avatar always does.
    `trusted_proxies`: what these say of the visitors that they pass on is believed.
    `frame_ancestors`: origins of other sites whose pages may show this one in a frame.
    `open_health`: whether it is healthy and ready is told without the token.
    """

    local: bool
    token: str = ""
    open_to_viewers: bool = False
    trusted_proxies: tuple[Network, ...] = ()
    frame_ancestors: tuple[str, ...] = ()
    open_health: bool = False

    def trusts(self, address: str) -> bool:
        """Whether `address` is that of a trusted proxy."""
        try:
            return any(ipaddress.ip_address(address) in one for one in self.trusted_proxies)
        except ValueError:
            return False

    def visitor(self, peer: str, forwarded: Iterable[str] = ()) -> str:
        """Who is counted for a request from the address `peer`: an address, of IPv6 its network.

        `forwarded` are the values of X-Forwarded-For, to which each proxy adds the address that
        it saw: the last one that is no trusted proxy's is the visitor's.
        """
        visitor = peer
        for text in reversed(",".join(forwarded).split(",")):
            address = _forwarded_address(text)
            if not address or not self.trusts(visitor):
                break
            visitor = address
        return _network_of(visitor)

    def check_host(self, host: str | None) -> None:
        """RefusedError (403) for a request to a local server under a foreign name.

        No other site can point an address at this machine, nor the name localhost.
        """
        if self.local and not is_local(host_name(host or "")):
            raise RefusedError(
                403,
                "host",
                expected="localhost",
                got=repr(host),
                remedy="open the page as http://localhost",
            )

    def check_origin(self, origin: str | None, host: str | None) -> None:
        """RefusedError (403) for a request that does not come from this server's own page."""
        parts = _split(origin or "")
        if not host or parts is None or parts.netloc.lower() != host.lower():
            raise RefusedError(
                403,
                "origin",
                expected=f"a request from this server's own page at {host!r}",
                got=repr(origin),
                remedy="use the page that this server shows; a proxy has to pass on Host",
            )

    def check_site(self, site: str | None, destination: str | None, path: str) -> None:
        """RefusedError (403) for what another site's page asks for, but by a link to this one.

        Browsers send both, as Sec-Fetch-Site and Sec-Fetch-Dest. Where some sites may frame the
        page it is given to all: browsers do not show it in those that it does not name.
        """
        framed = bool(self.frame_ancestors) and destination == "iframe" and path == "/"
        if site == "cross-site" and destination != "document" and not framed:
            raise RefusedError(
                403,
                "request",
                expected="it to come from this server's own page",
                got="another site's",
                remedy="open the page itself",
            )

    def has_token(self, authorization: str | None) -> bool:
        """Whether the token is given (``Authorization: Bearer TOKEN``), or none is needed."""
        scheme, _, given = (authorization or "").partition(" ")
        valid = hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.token.encode())
        return not self.token or (scheme.lower() == "bearer" and valid)

    def check_token(self, authorization: str | None) -> None:
        """RefusedError (401) without the token."""
        if not self.has_token(authorization):
            raise RefusedError(
                401,
                "token",
                expected="the one from the server's token file",
                got="another" if authorization else "none",
                remedy="type it into the page, or ask whoever runs the server",
            )


def _forwarded_address(text: str) -> str:
    """The address in one value of X-Forwarded-For, some of which have a port; empty for none."""
    text = text.strip()
    port = re.fullmatch(r"\[(.*)\](?::\d+)?|([\d.]+):\d+", text, re.ASCII)
    address = (port[1] or port[2]) if port else text
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return ""


def _network_of(address: str) -> str:
    """An IPv4 address as it is, of an IPv6 address the network; what is neither as it is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        plain = address.partition("%")[0]
        return str(ipaddress.ip_network((plain, VISITOR_PREFIX_BITS), strict=False))
    return str(parsed)


def trusted_networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks (``10.0.0.0/8``) with commas between them; ConfigError for others."""
    try:
        return tuple(ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip())
    except ValueError as error:
        raise ConfigError(
            "trusted-proxy",
            expected="addresses or networks, with commas between them",
            got=str(error),
            remedy="give the address from which the proxy connects, such as 127.0.0.1",
        ) from None


def framing_origins(text: str) -> tuple[str, ...]:
    """Origins (``https://shop.example``) with commas between them; ConfigError for others."""
    origins = [one.strip().lower() for one in text.split(",") if one.strip()]
    for origin in origins:
        match = ORIGIN.fullmatch(origin)
        if match is None or not 0 < int(match[3] or 443) < 65_536:
            raise ConfigError(
                "frame-ancestors",
                expected="origins, with commas between them: https:// or http://, a host name and "
                "its port, if it is another than usual",
                got=repr(origin),
                remedy="give what the address of the page begins with, such as "
                "https://shop.example, without a path and without *",
            )
    return tuple(dict.fromkeys(origins))


def host_name(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    parts = _split(f"//{host}")
    return (parts.hostname or "") if parts else ""


def _split(url: str) -> SplitResult | None:
    """The parts of `url`; None where it is malformed."""
    try:
        return urlsplit(url)
    except ValueError:
        return None


def is_local(host: str) -> bool:
    """Whether `host` is a loopback address, or the name for it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def access_for(
    host: str,
    token_file: Path | None,
    *,
    open_to_viewers: bool = False,
    trusted_proxies: tuple[Network, ...] = (),
    frame_ancestors: tuple[str, ...] = (),
    open_health: bool = False,
) -> Access:
    """The policy for a server that listens on `host`; ConfigError where that would be unsafe."""
    if token_file is not None:
        token = _read_token(token_file)
        return Access(
            is_local(host), token, open_to_viewers, trusted_proxies, frame_ancestors, open_health
        )
    if is_local(host):
        return Access(True, trusted_proxies=trusted_proxies, frame_ancestors=frame_ancestors)
    raise ConfigError(
        f"host {host}",
        expected="a token file (--token-file F, or the parameter token_file) where others can "
        "reach the server",
        got="none",
        remedy=f"make one with: {TOKEN_HINT}; {TLS_HINT}",
    )


def _read_token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"token file {path}",
            expected="a file with one line of text",
            got=getattr(error, "strerror", None) or "bytes that are no text",
            remedy=f"make one with: {TOKEN_HINT}",
        ) from None
    if len(token) < MIN_TOKEN_LENGTH or not token.isascii() or len(token.split()) != 1:
        raise ConfigError(
            f"token file {path}",
            expected=f"one word of at least {MIN_TOKEN_LENGTH} plain characters",
            got=f"{len(token)} characters in {len(token.split())} words",
            remedy=f"make one with: {TOKEN_HINT}",
        )
    return token


def tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """The context for https; None where neither file is given. ConfigError for unusable files."""
    if certificate is None and key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate or "", key)
    except OSError as error:
        raise ConfigError(
            "tls-cert, tls-key",
            expected="a certificate and its key as PEM files",
            got=error.strerror or str(error),
            remedy="give both, as your certificate authority or 'mkcert' made them",
        ) from error
    return context
