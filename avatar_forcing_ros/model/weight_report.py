"""What was found in files of weights: a value to print, to store and to decide by."""

from __future__ import annotations

from dataclasses import dataclass

from avatar_forcing_ros.model.tensor_check import Findings


@dataclass(frozen=True)
class FileReport:
    """One file: is it there, can it be read, does it fit?"""

    name: str
    size_bytes: int | None
    """None where there is no such file."""
    findings: Findings
    trouble: str = ""
    """Why it could not be read, in words; empty where it could."""
    note: str = ""
    """What a reader should know of it even so."""

    @property
    def usable(self) -> bool:
        return self.size_bytes is not None and not self.trouble and self.findings.good

    def sentences(self) -> list[str]:
        """One for each thing that is wrong, the file's name first."""
        if self.size_bytes is None:
            return [f"{self.name} is missing" + (f", {self.note}" if self.note else "")]
        if self.trouble:
            return [f"{self.name}: {self.trouble}"]
        return [f"{self.name}: {sentence}" for sentence in self.findings.sentences()]


@dataclass(frozen=True)
class WeightReport:
    """All files of one set of weights."""

    place: str
    files: tuple[FileReport, ...]
    licence: str
    """In the words of a file beside them or of the file itself; empty where neither says any."""
    motion_space: str = ""
    """What they are for, where that could be read."""

    @property
    def usable(self) -> bool:
        return all(file.usable for file in self.files)

    def sentences(self) -> list[str]:
        """One for each thing that is wrong."""
        return [sentence for file in self.files for sentence in file.sentences()]
