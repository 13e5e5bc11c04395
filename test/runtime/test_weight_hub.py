"""A download over HTTP, by the hub's own client from a server of this machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from released import parameters, speech_folder, split, write_release

from avatar_forcing_ros.weight_sources import MIRROR, SPEECH_REPOSITORY

COMMIT = "0123456789" * 4
FETCH = """
import sys
from pathlib import Path
from avatar_forcing_ros.runtime.weight_download import fetch_weights
fetch_weights(Path(sys.argv[1]), None, None, None, True, lambda line: print(line, flush=True))
"""


class Hub(ThreadingHTTPServer):
    """Serves the files below `root`, whose folders are repositories, as the hub does."""

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self.given: set[str] = set()
        super().__init__(("127.0.0.1", 0), _Request)


class _Request(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._listing("/".join(parts[2:4]), tree="tree" in parts)
        elif parts[2] == "resolve":
            self._file("/".join(parts[:2]), "/".join(parts[4:]))
        else:
            self.send_error(404)

    def _listing(self, repository: str, *, tree: bool) -> None:
        folder = self.server.root / repository
        names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
        sizes = {name: (folder / name).stat().st_size for name in names}
        files = [{"type": "file", "oid": COMMIT, "size": sizes[n], "path": n} for n in names]
        siblings = [{"rfilename": name} for name in names]
        model = {"id": repository, "sha": COMMIT, "siblings": siblings, "private": False}
        self._answer(json.dumps(files if tree else model).encode(), {})

    def _file(self, repository: str, name: str) -> None:
        path = self.server.root / repository / name
        if not path.is_file():
            self.send_error(404)
            return
        if self.command == "GET":
            self.server.given.add(f"{repository}/{name}")
        data = path.read_bytes()
        self._answer(data, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"'})

    def _answer(self, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        headers |= {"X-Repo-Commit": COMMIT, "Content-Length": str(len(data))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def serving(root: Path) -> Iterator[Hub]:
    with Hub(root) as hub:
        thread = threading.Thread(target=hub.serve_forever)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


def test_the_defaults_bring_a_complete_release_and_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    tensors = parameters()
    speech = {n: tensors.pop(n) for n in list(tensors) if n.startswith("audio_encoder.wav2vec2.")}
    write_release(root / MIRROR, split(tensors))
    (root / MIRROR / "demo.mp4").write_bytes(bytes(1000))
    speech_folder(tmp_path, speech)
    (root / SPEECH_REPOSITORY).parent.mkdir()
    (tmp_path / "wav2vec2-base-960h").rename(root / SPEECH_REPOSITORY)
    folder = tmp_path / "weights"
    with serving(root) as hub:
        address = f"http://127.0.0.1:{hub.server_address[1]}"
        own = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        own |= dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1")
        path = os.pathsep.join(filter(None, sys.path))
        run = subprocess.run(
            (sys.executable, "-c", FETCH, str(folder)),
            env={**os.environ, **own, "PYTHONPATH": path, "HF_HUB_DISABLE_XET": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 0, run.stderr
    assert "third party's copy" in run.stdout
    two = {f"{MIRROR}/{name}" for name in ("motion_autoencoder.pth", "flow_transformer.pth")}
    assert hub.given == two | {f"{SPEECH_REPOSITORY}/model.safetensors"}
    for name in hub.given:
        inner = name.removeprefix(MIRROR).removeprefix("facebook").strip("/")
        assert (folder / inner).read_bytes() == (root / name).read_bytes()
