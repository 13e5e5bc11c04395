"""The released model's weights, downloaded. This package ships none of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from avatar_forcing_ros.errors import ConfigError, DownloadError, OutputError, missing_package
from avatar_forcing_ros.model.released import (
    AUTOENCODER_FILE,
    LICENCE_FILES,
    SPEECH_FILES,
    SPEECH_FOLDER,
    TRANSFORMER_FILE,
    Progress,
    lacks_speech,
    release_folder,
)
from avatar_forcing_ros.weight_sources import (
    AUTHORS_FOLDER,
    MIRROR,
    RELEASE_FOLDER,
    REPOSITORY_VARIABLE,
    SPEECH_REPOSITORY,
    described,
)

LICENCE_NOTICE = f"""\
The weights of Avatar Forcing belong to the authors of the paper (arXiv 2601.00664). This package
ships none of them and is not theirs. They gave them out under Creative Commons BY-NC 4.0
(https://creativecommons.org/licenses/by-nc/4.0/): name the authors where you show what the weights
make, and do not use the weights commercially. Files made of them, such as a converted one, stay
under that licence. What the authors say beside their files is what counts:
{AUTHORS_FOLDER}
"""


def fetch_weights(
    folder: Path,
    repository: str | None,
    speech_repository: str | None,
    revision: str | None,
    accepted: bool,
    progress: Progress,
) -> None:
    """Download the files that are needed, and no others, into `folder`; goes on where it stopped.

    Repositories are OWNER/NAME on Hugging Face: by default what the environment variable
    AVATAR_FORCING_WEIGHTS_REPO says, or a third party's copy of the authors' files. `progress`
    gets the licence, too. Raises ConfigError where it is not accepted, DownloadError where a file
    cannot be had.
    """
    repository = repository or os.environ.get(REPOSITORY_VARIABLE) or MIRROR
    speech_repository = speech_repository or SPEECH_REPOSITORY
    progress(LICENCE_NOTICE)
    if not accepted:
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
    files = (AUTOENCODER_FILE, TRANSFORMER_FILE)
    names = (*files, *LICENCE_FILES)
    progress(f"downloading from {described(repository)}")
    _download(repository, folder, (*names, *(f"{RELEASE_FOLDER}/{n}" for n in names)), revision)
    place = release_folder(folder)
    absent = [name for name in files if not (place / name).is_file()]
    if absent:
        raise DownloadError(
            f"download from {repository}",
            expected=f"a repository with {' and '.join(files)}",
            got=f"one without {' and '.join(absent)}",
            remedy=f"take them from the authors' folder, {AUTHORS_FOLDER}, by a browser",
        )
    if not lacks_speech(place):
        return
    progress(f"downloading from {described(speech_repository)}")
    for name in SPEECH_FILES:  # one of them is enough, the safe one first
        _download(speech_repository, place / SPEECH_FOLDER, ("config.json", name), None)
        if (place / SPEECH_FOLDER / name).is_file():
            return


def _is_ours(folder: Path) -> bool:
    """Whether weights, or a part of them, were downloaded to `folder` before."""
    parts = (AUTOENCODER_FILE, TRANSFORMER_FILE, RELEASE_FOLDER, ".cache/huggingface")
    return any((folder / part).exists() for part in parts)


def _download(repository: str, folder: Path, names: Sequence[str], revision: str | None) -> None:
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as error:
        raise (missing_package(error) or error) from error
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
            f"then repeat; what has come is kept (or take the files from {AUTHORS_FOLDER})",
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or "no reason given"
