"""Uploads are decoded elsewhere, in bounded time and memory; what is too much is a sentence."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import cv2
import numpy as np
import pytest
import soundfile

pytest.importorskip("aiortc")
pytest.importorskip("aiohttp")

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.web import upload_decoding
from avatar_forcing_ros.web.access import RefusedError
from avatar_forcing_ros.web.upload_decoding import UploadDecoder

SHADE = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
PNG = cv2.imencode(".png", SHADE[..., ::-1])[1].tobytes()


def decoded(ask: Callable[[UploadDecoder], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        return await ask(UploadDecoder())

    return asyncio.run(run())


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])  # one without a process, one by it
def test_an_image_and_a_sound_come_back_whole(kind: str) -> None:
    image = decoded(lambda decoder: decoder.image(PNG, "a"))
    np.testing.assert_array_equal(image, SHADE)
    file = io.BytesIO()
    soundfile.write(file, np.full(8_000, 0.5), 16_000, "PCM_16", format=kind)
    samples = decoded(lambda decoder: decoder.audio(file.getvalue(), "a"))
    assert (samples.dtype, samples.shape) == (np.float32, (8_000,))
    np.testing.assert_allclose(samples, 0.5, atol=1e-4)


def test_what_the_decoder_refuses_is_said_as_it_says_it() -> None:
    with pytest.raises(MediaError, match=r"an image file.*JPEG XL.*; convert it to PNG or JPEG"):
        decoded(lambda decoder: decoder.image(b"\xff\x0a" + bytes(100), "a"))
    small = cv2.imencode(".png", SHADE[:40])[1].tobytes()
    with pytest.raises(MediaError, match="at least 64 pixels, got 90 x 40"):
        decoded(lambda decoder: decoder.image(small, "a"))


WORKERS = {
    "time": "while True: pass",
    "memory": "held = bytes(400_000_000)",
    "damaged": "import os; os.abort()",
    "printed": "import os; os.write(2, b'warning: ' + bytes(range(256)) * 10_000)",
}


def worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, what: str) -> None:
    """Have `what` be done where an image is decoded otherwise."""
    lines = ["import sys", "from avatar_forcing_ros.web import upload_worker as worker"]
    lines += ["def decode(data):", "    worker.limit_this_process()", "    try:"]
    lines += [f"        {WORKERS[what]}", "    except MemoryError: sys.exit(1)"]
    lines += ["    return worker.np.arange(3)", "worker.DECODERS['image'] = decode"]
    lines += ["sys.exit(worker.main(sys.argv[1]))"]
    (tmp_path / "another_worker.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(upload_decoding, "WORKER", "another_worker")


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("time", "read in 2 s and 300 MB, got one that takes more"),
        ("memory", "one at which its decoder ends"),
        ("damaged", "one at which its decoder ends"),
    ],
)
def test_a_decoder_that_takes_too_much_ends(
    what: str, sentence: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    worker(monkeypatch, tmp_path, what)
    with pytest.raises(MediaError, match=sentence):
        decoded(lambda decoder: decoder.image(PNG, "a"))


def test_what_decoders_print_is_logged_and_no_more_than_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    worker(monkeypatch, tmp_path, "printed")
    with caplog.at_level(logging.WARNING):
        assert list(decoded(lambda decoder: decoder.image(PNG, "a"))) == [0, 1, 2]
    (record,) = caplog.records
    assert "decoding an upload: warning: " in record.getMessage()
    assert len(record.getMessage()) < 600


def test_a_visitor_has_one_at_a_time_and_few_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    running: list[int] = []
    most = 0

    async def ask(decoder: UploadDecoder) -> None:
        go_on = asyncio.Event()

        async def run(kind: str, data: bytes) -> bytes:
            nonlocal most
            running.append(1)
            most = max(most, len(running))
            await go_on.wait()
            running.pop()
            return data

        monkeypatch.setattr(upload_decoding, "_run", run)
        first = [
            asyncio.ensure_future(decoder.image(PNG, str(i)))
            for i in range(upload_decoding.MAX_WAITING + 1)
        ]
        await asyncio.sleep(0)
        with pytest.raises(RefusedError, match="one file at a time") as second:
            await decoder.audio(PNG, "0")
        with pytest.raises(RefusedError, match="at most 4 that wait") as late:
            await decoder.image(PNG, "late")
        assert (second.value.status, late.value.status) == (429, 503)
        go_on.set()
        await asyncio.gather(*first)
        await decoder.image(PNG, "late")

    decoded(ask)
    assert most == 1
