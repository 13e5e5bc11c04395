"""The certificate for https."""

from __future__ import annotations

import ssl
from pathlib import Path

from avatar_forcing_ros.errors import ConfigError


def tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """What https needs; None where neither file is named. ConfigError for files of no use."""
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
