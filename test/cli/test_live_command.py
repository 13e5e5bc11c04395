"""``avatar-forcing live``: what it refuses before it loads anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from avatar_forcing_ros.cli import main


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--host", "0.0.0.0"], "--token-file F, or the parameter token_file"),
        (["--host", "example.org"], "tls-cert and tls-key"),
        (["--port", "0"], "expected 1 to 65535"),
        (["--max-viewers", "17"], "expected 0 to 16"),
        (["--token-file", "none.txt"], "make one with"),
        (["--tls-cert", "none.pem"], "as PEM files"),
        (["--tls-key", "none.pem"], "as PEM files"),
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
