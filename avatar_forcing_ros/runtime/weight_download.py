"""The released model's files, from where their authors put them: this package ships none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from avatar_forcing_ros.errors import (
    ConfigError,
    DownloadError,
    MissingDependencyError,
    OutputError,
)
from avatar_forcing_ros.model.released import (
    AUTOENCODER_FILE,
    LICENCE_FILES,
    SPEECH_FILES,
    SPEECH_FOLDER,
    TRANSFORMER_FILE,
    Say,
    lacks_speech,
)

REPOSITORY_VARIABLE = "AVATAR_FORCING_WEIGHTS_REPO"
LICENCE_NOTICE = """\
The weights of Avatar Forcing belong to the authors of the paper (arXiv 2601.00664). This package
ships none of them and is not theirs. They gave them out under Creative Commons BY-NC 4.0
(https://creativecommons.org/licenses/by-nc/4.0/): name the authors where you show what the weights
make, and do not use the weights commercially. Files made of them, such as a converted one, stay
under that licence. The licence file in their repository is what counts.
"""


def fetch_weights(
    folder: Path,
    repository: str | None,
    speech_repository: str,
    revision: str | None,
    accepted: bool,
    say: Say,
) -> None:
    """Download the files that are needed, and no others, into `folder`; goes on where it stopped.

    The repository is OWNER/NAME on Hugging Face, by default what the environment variable
    AVATAR_FORCING_WEIGHTS_REPO says. Raises ConfigError where it or the licence's acceptance is
    missing, DownloadError where a file cannot be had.
    """
    repository = repository or os.environ.get(REPOSITORY_VARIABLE)
    if not repository:
        raise ConfigError(
            "--repo",
            expected="the authors' repository on Hugging Face, as OWNER/NAME",
            got="none",
            remedy=f"find it from the paper's page, then give --repo or set {REPOSITORY_VARIABLE}",
        )
    if not accepted:
        say(LICENCE_NOTICE)
        raise ConfigError(
            "the weights' licence",
            expected="your consent to it",
            got="no --accept-licence",
            remedy="read it, then repeat the command with --accept-licence",
        )
    if any((folder / name).is_file() for name in LICENCE_FILES) and not _is_ours(folder):
        raise OutputError(
            f"folder {folder}",
            expected="an empty folder, or one that a download was begun in",
            got="one with a licence of its own, which a download would replace",
            remedy="name a folder for the weights alone",
        )
    wanted = (AUTOENCODER_FILE, TRANSFORMER_FILE, *LICENCE_FILES)
    say(f"downloading from {repository}")
    _download(repository, folder, wanted, revision)
    if not lacks_speech(folder):
        return
    say(f"downloading the speech encoder from {speech_repository}")
    for name in SPEECH_FILES:  # one of them is enough, the safe one first
        _download(speech_repository, folder / SPEECH_FOLDER, ("config.json", name), None)
        if (folder / SPEECH_FOLDER / name).is_file():
            return


def _is_ours(folder: Path) -> bool:
    """Whether weights, or a part of them, were downloaded to `folder` before."""
    parts = (AUTOENCODER_FILE, TRANSFORMER_FILE, ".cache/huggingface")
    return any((folder / part).exists() for part in parts)


def _download(repository: str, folder: Path, names: Sequence[str], revision: str | None) -> None:
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "download of weights",
            expected="the Python package 'huggingface_hub'",
            got=f"no module named '{error.name}'",
            remedy="run: pip install 'avatar_forcing_ros[paper]'",
        ) from error
    try:
        snapshot_download(
            repository, revision=revision, local_dir=str(folder), allow_patterns=list(names)
        )
    except Exception as error:  # its releases use three network libraries, each with its own
        raise DownloadError(
            f"download from {repository}",
            expected="a repository on Hugging Face that can be reached and read",
            got=f"{type(error).__name__}: {_one_line(error)}",
            remedy="check the name, the network and (if it asks for a login) 'hf auth login', "
            "then repeat; what has come is kept",
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or "no reason given"
