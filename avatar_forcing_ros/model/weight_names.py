"""A file's tensors under the names that the network has for them.

Training code stores the same tensors in many ways: in a table beside an optimizer and an epoch,
under the names of wrappers (``module.``, ``_orig_mod.``, ``model.``), twice (``ema.``), or without
the name of the part that the file is of. All tables are laid flat first, so a table and a prefix
are one thing, and one of them, the same for all tensors, is taken off.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

SPELLINGS = (
    (".weight_g", ".parametrizations.weight.original0"),
    (".weight_v", ".parametrizations.weight.original1"),
)
"""A normalised weight's two parts before and after torch 2.1."""
AVERAGED = ("ema", "average")
INDEX = re.compile(r"\.\d+(?=\.)")
MAX_DEPTH = 8


class NamedTensors(NamedTuple):
    """What a file holds of a network, and what else it holds."""

    known: dict[str, object]
    """By the network's names; of a larger network of its kind all tensors."""
    unused: tuple[str, ...]
    """Names, as the file has them, of tensors that the network does not know."""
    prefix: str
    """What all names of `known` began with in the file, dot included."""


def flattened(table: Mapping[Any, object]) -> dict[str, object]:
    """All values of a table of tables, under dotted names; one that comes again is left out."""
    seen: set[int] = set()

    def walk(part: Mapping[Any, object], before: str, depth: int) -> Iterator[tuple[str, object]]:
        seen.add(id(part))
        for key, value in part.items():
            if not isinstance(value, Mapping):
                yield f"{before}{key}", value
            elif id(value) not in seen and depth < MAX_DEPTH:
                yield from walk(value, f"{before}{key}.", depth + 1)

    return dict(walk(table, "", 0))


def under_known_names(
    flat: Mapping[str, object], wanted: Collection[str], roots: Sequence[str] = ()
) -> NamedTensors:
    """`flat` under the names of `wanted`.

    `roots` are beginnings of them that a file of this part alone may leave out.
    """
    due = {spelling for name in wanted for spelling in _spellings(name)}
    kinds = {_kind(name) for name in due}
    prefix = _common_prefix(flat, due, roots)
    full = {
        name: _full_name(name.removeprefix(prefix), kinds, roots)
        for name in flat
        if name.startswith(prefix)
    }
    spelled = _spelled_as(wanted, full.values())
    layers = {_kind(name) for name in wanted}
    known: dict[str, object] = {}
    unused = []
    for name, value in flat.items():
        new = spelled.get(full.get(name, ""), "")
        # another layer than those of the network makes it a larger network, not a note
        known_kind = new in wanted or (isinstance(value, Tensor) and _kind(new) in layers)
        if known_kind and new not in known:
            known[new] = value
        elif isinstance(value, Tensor):
            unused.append(name)
    return NamedTensors(known, tuple(unused), prefix)


def _common_prefix(flat: Mapping[str, object], due: Collection[str], roots: Sequence[str]) -> str:
    """What most names have too much at their beginning; of equals the averaged ones."""
    found = Counter(p for name in flat if (p := _prefix(name, due, roots)) is not None)

    def worth(prefix: str) -> tuple[int, bool, int]:
        averaged = any(word in prefix.lower() for word in AVERAGED)
        return found[prefix], averaged, -len(prefix)

    return max(found, key=worth, default="")


def _prefix(name: str, due: Collection[str], roots: Sequence[str]) -> str | None:
    for root in ("", *roots):
        at = 0
        while True:
            if root + name[at:] in due:
                return name[:at]
            dot = name.find(".", at)
            if dot < 0:
                break
            at = dot + 1
    return None


def _full_name(rest: str, kinds: Collection[str], roots: Sequence[str]) -> str:
    return next((root + rest for root in ("", *roots) if _kind(root + rest) in kinds), rest)


def _kind(name: str) -> str:
    """A tensor's name without the numbers of layers."""
    return INDEX.sub(".#", name)


def _spellings(name: str) -> tuple[str, ...]:
    return name, *(name.replace(a, b) for pair in SPELLINGS for a, b in (pair, pair[::-1]))


def _spelled_as(wanted: Collection[str], given: Collection[str]) -> dict[str, str]:
    """For each name of `given` the one that `wanted` has for it, if that is free."""
    there = set(given)
    out = {}
    for name in there:
        better = next((o for o in _spellings(name) if name not in wanted and o in wanted), name)
        out[name] = name if better in there else better
    return out
