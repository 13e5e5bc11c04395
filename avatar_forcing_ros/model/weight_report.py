"""What is wrong with files of weights, beside the tensors that a network needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import Tensor

SHOWN_NAMES = 4


@dataclass(frozen=True)
class Findings:
    """The differences, by name; all empty where the tensors fit."""

    wanted: int
    """How many tensors the network needs."""
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    wrong_shape: tuple[tuple[str, list[int], list[int]], ...] = ()
    """Name, the shape it has, the shape it should have."""
    not_float: tuple[str, ...] = ()
    not_finite: tuple[str, ...] = ()

    @property
    def fitting(self) -> int:
        """How many of the wanted tensors are there and can be used."""
        bad = (self.missing, self.wrong_shape, self.not_float, self.not_finite)
        return self.wanted - sum(map(len, bad))

    @property
    def good(self) -> bool:
        """Exactly the wanted tensors, all usable."""
        return self.fitting == self.wanted and not self.extra

    def by_kind(self) -> dict[str, Sequence[str]]:
        """The names of tensors with each kind of fault; wrong shapes with both shapes."""
        return {
            "missing": self.missing,
            "not known": self.extra,
            "of another shape": [
                f"{n} ({has} instead of {due})" for n, has, due in self.wrong_shape
            ],
            "no floating-point numbers": self.not_float,
            "with values that are no numbers": self.not_finite,
        }

    def sentences(self) -> list[str]:
        """One for each thing that is wrong."""
        return [
            *(f"{name} is missing" for name in self.missing),
            *(f"{name} is not part of the network" for name in self.extra),
            *(f"{name} has shape {has} instead of {due}" for name, has, due in self.wrong_shape),
            *(f"{name} holds no plain floating-point numbers" for name in self.not_float),
            *(f"{name} holds values that are no numbers" for name in self.not_finite),
        ]


def compare(wanted: Mapping[str, Tensor], given: Mapping[str, object]) -> Findings:
    """How `given` differs from `wanted`, whose tensors may be shapes alone (device meta)."""
    wrong_shape, not_float, not_finite = [], [], []
    for name, due in wanted.items():
        if name not in given:
            continue
        tensor = given[name]
        if not _is_plain_float(tensor):
            not_float.append(name)
        elif tensor.shape != due.shape:
            wrong_shape.append((name, list(tensor.shape), list(due.shape)))
        elif not bool(torch.isfinite(tensor).all()):
            not_finite.append(name)
    return Findings(
        len(wanted),
        missing=tuple(name for name in wanted if name not in given),
        extra=tuple(name for name in given if name not in wanted),
        wrong_shape=tuple(wrong_shape),
        not_float=tuple(not_float),
        not_finite=tuple(not_finite),
    )


def few(sentences: Sequence[str], shown: int = SHOWN_NAMES) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(sentences) - shown} more" if len(sentences) > shown else ""
    return "; ".join(sentences[:shown]) + more


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _is_plain_float(value: object) -> TypeGuard[Tensor]:
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and not value.is_meta
        and value.is_floating_point()
    )


@dataclass(frozen=True)
class FileReport:
    """One file: is it there, can it be read, does it fit?"""

    name: str
    size_bytes: int | None
    """None where there is no such file."""
    findings: Findings
    problem: str = ""
    """Why it could not be read, in words; empty where it could."""
    note: str = ""
    """What a reader should know of it even so."""
    remedy: str = ""
    """What to do about `problem`."""
    prefix: str = ""
    """What all names began with in the file, beyond those of the network."""
    unused: tuple[str, ...] = ()
    """Names of tensors that the network does not have and that were left out."""

    @property
    def usable(self) -> bool:
        return self.size_bytes is not None and not self.problem and self.findings.good

    def sentences(self) -> list[str]:
        """One for each thing that is wrong, the file's name first."""
        if self.size_bytes is None:
            return [f"{self.name} is missing" + (f", {self.note}" if self.note else "")]
        if self.problem:
            return [f"{self.name}: {self.problem}"]
        return [f"{self.name}: {sentence}" for sentence in self.findings.sentences()]

    def remarks(self) -> list[str]:
        """What is unusual about it, and does no harm."""
        out = [f"its names begin with '{self.prefix}', which is taken off"] if self.prefix else []
        if self.unused:
            parts = Counter(name.partition(".")[0] for name in self.unused)
            groups = [f"{count} under '{part}.'" for part, count in parts.items()]
            named = self.unused if len(self.unused) <= SHOWN_NAMES else groups
            out.append(f"left out, as the network has no such tensors: {few(named)}")
        return out

    def misfit(self) -> str:
        """Why a file that can be read is of no use, in words; empty where it is of use."""
        found = self.findings
        if self.usable or self.size_bytes is None or self.problem:
            return ""
        renamed = [(u, m) for m in found.missing for u in self.unused if _last(u) == _last(m)]
        if renamed:
            has, due = renamed[0]
            return f"its tensors have other names ({has} where {due} is wanted)"
        if found.missing or found.extra or found.wrong_shape or found.not_float:
            return "its tensors are those of another network, or not all of this one"
        return "it holds values that are no numbers"


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
