"""Access control: token, origin and host name of a request, the TLS certificate, and refusals.

A server that listens on loopback needs no token, but answers to this machine's names only, so that
no other site can point its own name here (DNS rebinding). One that others reach needs a token.
"""

from __future__ import annotations

import hmac
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from avatar_forcing_ros.errors import AvatarForcingError, ConfigError

MIN_TOKEN_LENGTH = 16
LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}
TOKEN_HINT = "head -c 24 /dev/urandom | base64 | tr +/ -_ > token.txt && chmod 600 token.txt"
TLS_HINT = (
    "browsers give camera and microphone to https alone: add a certificate and its key (tls-cert "
    "and tls-key), or put a proxy with TLS in front"
)


class RefusedError(AvatarForcingError):
    """A request that is answered with the HTTP status `status` and this message."""

    def __init__(self, status: int, what: str, *, expected: str, got: str, remedy: str) -> None:
        super().__init__(what, expected=expected, got=got, remedy=remedy)
        self.status = status


@dataclass(frozen=True)
class Access:
    """What every request has to satisfy. `token` is empty where none is required.

    `open_to_viewers`: viewing needs no token; talking with the avatar always does.
    """

    local: bool
    token: str = ""
    open_to_viewers: bool = False

    def check_host(self, host: str | None) -> None:
        """RefusedError (403) for a request to a local server under a foreign name."""
        if self.local and host_name(host or "") not in LOCAL_NAMES:
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

    def check_token(self, authorization: str | None) -> None:
        """RefusedError (401) without the token (``Authorization: Bearer TOKEN``)."""
        scheme, _, given = (authorization or "").partition(" ")
        valid = hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.token.encode())
        if self.token and not (scheme.lower() == "bearer" and valid):
            raise RefusedError(
                401,
                "token",
                expected="the one from the server's token file",
                got="another" if given else "none",
                remedy="type it into the page, or ask whoever runs the server",
            )


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
    """Whether `host`, an address to listen on, is a loopback address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def access_for(host: str, token_file: Path | None, *, open_to_viewers: bool = False) -> Access:
    """The policy for a server that listens on `host`; ConfigError where that would be unsafe."""
    if token_file is not None:
        return Access(is_local(host), _read_token(token_file), open_to_viewers)
    if is_local(host):
        return Access(local=True)
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
