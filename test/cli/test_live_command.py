"""``avatar-forcing live``: what it refuses before it loads anything."""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from avatar_forcing_ros.cli import main
from avatar_forcing_ros.web.share_link import qr_code, qr_image, share_link


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--host", "0.0.0.0"], "--token-file F, or the parameter token_file"),
        (["--host", "example.org"], "tls-cert and tls-key"),
        (["--port", "0"], "expected 1 to 65535"),
        (["--max-viewers", "17"], "expected 0 to 16"),
        (["--conversations", "65"], "expected 1 to 64"),
        (["--token-file", "none.txt"], "make one with"),
        (["--tls-cert", "none.pem"], "as PEM files"),
        (["--tls-key", "none.pem"], "as PEM files"),
        (["--responder", "http://localhost:1/v1"], "name one with --listener"),
        (["--listener", "no-such-program"], "expected an installed program"),
        (["--speech-command", "say 'this"], "close its quotation marks"),
        (["--turn-pause-s", "9"], "expected 0.2 to 5"),
        (["--background", "#12345"], "a colour such as '#00b140' or an image file"),
    ],
)
def test_unsafe_or_wrong_flags_are_reported(
    flags: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["live", *flags]) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.splitlines()) == 1


def test_a_certificate_that_is_none_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pem = tmp_path / "bad.pem"
    pem.write_text("no certificate")
    assert main(["live", "--tls-cert", str(pem), "--tls-key", str(pem)]) == 1
    assert "as PEM files" in capsys.readouterr().err


def test_a_token_is_made_once_and_its_link_opens_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "token.txt"
    flags = ["live", "--host", "0.0.0.0", "--make-token", str(path), "--tls-key", "none.pem"]
    assert main(flags) == 1  # at the certificate, after the token
    assert "as PEM files" in capsys.readouterr().err
    token = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert re.fullmatch(r"[\w-]{32}\n", token, re.ASCII)
    assert main(flags) == 1
    assert path.read_text() == token  # links that were given out stay good
    capsys.readouterr()
    assert main([*flags, "--token-file", str(tmp_path / "other.txt")]) == 1
    assert "leave one of the two out" in capsys.readouterr().err
    assert main(["live", "--make-token", str(tmp_path / "none" / "token.txt")]) == 1
    assert "a place that can be written" in capsys.readouterr().err


def test_a_link_carries_any_token() -> None:
    link = share_link("https://robot:8080", "a+b/c=d%&#")
    assert link == "https://robot:8080/#token=a%2Bb%2Fc%3Dd%25%26%23"
    assert unquote(link.partition("=")[2]) == "a+b/c=d%&#"


def test_a_qr_code_is_drawn_where_the_package_is_installed() -> None:
    pytest.importorskip("segno")
    lines = qr_code("https://robot:8080/#token=0123456789abcdef").splitlines()
    widths = {len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines}
    assert len(lines) > 10
    assert len(widths) == 1
    drawn = qr_image("https://robot:8080/#token=<&>")
    assert drawn.startswith("<svg")
    assert "<&>" not in drawn


def test_without_the_package_there_is_no_qr_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)
    assert qr_code("https://robot:8080/") == qr_image("https://another:8080/") == ""
