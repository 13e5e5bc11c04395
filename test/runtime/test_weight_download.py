"""Downloads ask for consent, for the needed files and no others; no network is used here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from released import parameters, speech_folder, split, write_release

from avatar_forcing_ros.errors import (
    ConfigError,
    DownloadError,
    MissingDependencyError,
    OutputError,
)
from avatar_forcing_ros.model.released import no_progress
from avatar_forcing_ros.runtime.weight_download import fetch_weights

SPEECH = {n: t for n, t in parameters().items() if n.startswith("audio_encoder.wav2vec2.")}
REST = {n: t for n, t in parameters().items() if n not in SPEECH}


class Hub:
    """Stands in for the network: notes each request and writes what the repository has."""

    def __init__(
        self, speech_inside: bool = False, speech_file: str = "model.safetensors"
    ) -> None:
        self.asked: list[tuple[str, str | None, tuple[str, ...]]] = []
        self.speech_inside, self.speech_file = speech_inside, speech_file

    def __call__(
        self, repository: str, *, revision: str | None, local_dir: str, allow_patterns: list[str]
    ) -> str:
        self.asked.append((repository, revision, tuple(allow_patterns)))
        folder = Path(local_dir)
        if repository in ("them/theirs", "multimodalart/AvatarForcingHelpers"):
            write_release(folder, split(parameters() if self.speech_inside else REST))
        elif self.speech_file in allow_patterns:
            speech_folder(folder.parent, SPEECH, self.speech_file)
        return local_dir


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    monkeypatch.delenv("AVATAR_FORCING_WEIGHTS_REPO", raising=False)

    def put(download: Any) -> Any:
        monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
        return download

    return put


def fetch(folder: Path, repo: str | None = "them/theirs", accepted: bool = True) -> None:
    fetch_weights(folder, repo, "speech/one", "v1", accepted, no_progress)


def test_only_what_is_needed_is_asked_for(use: Callable[[Any], Any], tmp_path: Path) -> None:
    hub = use(Hub())
    fetch(tmp_path)
    (theirs, speech) = hub.asked
    assert theirs[:2] == ("them/theirs", "v1")
    assert set(theirs[2]) >= {"motion_autoencoder.pth", "flow_transformer.pth", "LICENSE"}
    assert "pretrained_dir/flow_transformer.pth" in theirs[2]
    assert not any("*" in name for name in theirs[2])
    assert speech == ("speech/one", None, ("config.json", "model.safetensors"))


def test_speech_that_came_inside_is_not_asked_for(
    use: Callable[[Any], Any], tmp_path: Path
) -> None:
    hub = use(Hub(speech_inside=True))
    fetch(tmp_path)
    assert [repository for repository, _, _ in hub.asked] == ["them/theirs"]


def test_the_older_speech_file_is_the_second_choice(
    use: Callable[[Any], Any], tmp_path: Path
) -> None:
    hub = use(Hub(speech_file="pytorch_model.bin"))
    fetch(tmp_path)
    assert hub.asked[-1][2] == ("config.json", "pytorch_model.bin")


def test_nothing_is_asked_for_without_consent(use: Callable[[Any], Any], tmp_path: Path) -> None:
    hub, said = use(Hub()), []
    with pytest.raises(ConfigError, match="repeat the command with --accept-licence"):
        fetch_weights(tmp_path, "them/theirs", "speech/one", None, False, said.append)
    assert hub.asked == []
    assert "CC BY-NC 4.0" in " ".join(said).replace("Creative Commons", "CC")
    assert "belong to the authors" in said[0]


def test_without_a_repository_a_copy_is_taken_and_called_one(
    use: Callable[[Any], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, said = use(Hub()), []
    fetch_weights(tmp_path / "a", None, None, None, True, said.append)
    assert [repository for repository, _, _ in hub.asked] == [
        "multimodalart/AvatarForcingHelpers",
        "facebook/wav2vec2-base-960h",
    ]
    text = "\n".join(said)
    assert "CC BY-NC 4.0" in text.replace("Creative Commons", "CC")
    assert "AvatarForcingHelpers on Hugging Face (a third party's copy of the authors'" in text
    assert "wav2vec2-base-960h on Hugging Face (the speech encoder of its own authors" in text
    monkeypatch.setenv("AVATAR_FORCING_WEIGHTS_REPO", "them/theirs")
    hub.asked.clear()
    fetch(tmp_path / "b", None)
    assert hub.asked[0][0] == "them/theirs"


def test_the_authors_layout_is_kept_and_completed(
    use: Callable[[Any], Any], tmp_path: Path
) -> None:
    """A repository with `pretrained_dir` has the speech encoder put beside its files."""

    class Deep(Hub):
        def __call__(self, repository: str, *, local_dir: str, **rest: Any) -> str:
            inner = "pretrained_dir" if repository == "them/theirs" else ""
            super().__call__(repository, local_dir=str(Path(local_dir, inner)), **rest)
            return local_dir

    use(Deep())
    fetch(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["pretrained_dir"]
    assert (tmp_path / "pretrained_dir/wav2vec2-base-960h/model.safetensors").is_file()


def test_a_repository_without_the_files_is_reported(
    use: Callable[[Any], Any], tmp_path: Path
) -> None:
    use(lambda *_, **__: "")
    with pytest.raises(DownloadError, match=r"one without motion_auto.*drive\.google\.com"):
        fetch(tmp_path)


@pytest.mark.parametrize("name", ["LICENSE", "LICENSE.md"])
def test_a_folder_with_a_licence_of_its_own_is_left_alone(
    name: str, use: Callable[[Any], Any], tmp_path: Path
) -> None:
    hub = use(Hub())
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match=r"a licence of its own.*the weights alone"):
        fetch(tmp_path)
    assert hub.asked == []
    assert {path.name for path in tmp_path.iterdir()} == {name}
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("part", [".cache/huggingface", "flow_transformer.pth"])
def test_a_download_that_was_begun_goes_on(
    part: str, use: Callable[[Any], Any], tmp_path: Path
) -> None:
    hub = use(Hub())
    (tmp_path / "LICENSE").write_text("theirs")
    (tmp_path / part).parent.mkdir(exist_ok=True)
    (tmp_path / part).touch()
    fetch(tmp_path)
    assert [repository for repository, _, _ in hub.asked] == ["them/theirs", "speech/one"]


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("no route\nto host"),
        huggingface_hub.errors.LocalEntryNotFoundError("nothing there"),
        ValueError("Repo id must be in the form"),
        RuntimeError(""),
    ],
)
def test_each_failure_becomes_one_line(
    error: Exception, use: Callable[[Any], Any], tmp_path: Path
) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise error

    use(fail)
    with pytest.raises(DownloadError, match="them/theirs") as caught:
        fetch(tmp_path)
    assert type(error).__name__ in caught.value.got
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependencyError, match=r"avatar_forcing_ros\[paper\]"):
        fetch(tmp_path)
