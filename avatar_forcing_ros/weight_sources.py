"""Where the released model's files come from, and on whose terms."""

from __future__ import annotations

AUTHORS_FOLDER = "https://drive.google.com/drive/folders/1rN52J2QXD8A-r2CZ8nDqFdwvZuPRmMsc"
"""The authors' own place, on Google Drive: for a browser, as it asks before large files."""
MIRROR = "multimodalart/AvatarForcingHelpers"
"""A third party's copy of the two files, on Hugging Face."""
SPEECH_REPOSITORY = "facebook/wav2vec2-base-960h"
"""The speech encoder's own authors, on Hugging Face."""
REPOSITORY_VARIABLE = "AVATAR_FORCING_WEIGHTS_REPO"
RELEASE_FOLDER = "pretrained_dir"
"""What the authors call the folder with their files."""


def described(repository: str) -> str:
    """A repository's name, and what it is where that is known."""
    known = {
        MIRROR: "a third party's copy of the authors' files",
        SPEECH_REPOSITORY: "the speech encoder of its own authors, Apache-2.0",
    }
    note = f" ({known[repository]})" if repository in known else ""
    return f"{repository} on Hugging Face{note}"
