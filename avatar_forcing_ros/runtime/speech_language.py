"""Which language a text can be spoken in, by the script that it is written in."""

from __future__ import annotations

from dataclasses import dataclass

IDEOGRAPH_WEIGHT = 3  # letters: a character is a syllable or a word


@dataclass(frozen=True)
class Script:
    """Characters (`ranges` of code points), and the languages that are written with them."""

    language: str
    """What is spoken where nothing else is known."""
    languages: frozenset[str]
    ranges: tuple[tuple[int, int], ...]
    weight: int = 1


def _script(languages: str, *ranges: tuple[int, int], weight: int = 1) -> Script:
    names = languages.split()
    return Script(names[0], frozenset(names), ranges, weight)


KANA = _script("ja", (0x3040, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F), weight=IDEOGRAPH_WEIGHT)
HAN = _script(
    "cmn zh yue hak nan ja", (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF),
    (0x20000, 0x323AF), weight=IDEOGRAPH_WEIGHT,
)  # fmt: skip
CYRILLIC = _script("ru uk be bg mk sr bs kk ky mn tg tt ba cv uz az tk", (0x0400, 0x052F))
SCRIPTS = (
    KANA,
    HAN,
    CYRILLIC,
    _script(
        "ar fa ur sd ug ps ks ku pa", (0x0600, 0x06FF), (0x0750, 0x077F), (0x08A0, 0x08FF),
        (0xFB50, 0xFDFF), (0xFE70, 0xFEFF),
    ),
    _script("ko", (0x1100, 0x11FF), (0x3130, 0x318F), (0xAC00, 0xD7AF), weight=IDEOGRAPH_WEIGHT),
    _script("el grc", (0x0370, 0x03FF), (0x1F00, 0x1FFF)),
    _script("he yi", (0x0590, 0x05FF), (0xFB1D, 0xFB4F)),
    _script("hi mr ne kok sa bpy", (0x0900, 0x097F)),
    _script("th", (0x0E00, 0x0E7F)),
)  # fmt: skip
# letters that one language has and the others of its script have not
OWN_LETTERS = {"uk": "їєґ", "be": "ў"}


def script_of(text: str) -> Script | None:
    """The script that most of `text` is written in; None for Latin, others and what has none."""
    counts = dict.fromkeys(SCRIPTS, 0)
    others = 0
    for character in text:
        if character.isalpha():
            script = _of_character(ord(character))
            if script:
                counts[script] += script.weight
            else:
                others += 1
    if counts[KANA]:  # Japanese has ideographs between them
        counts[KANA] += counts[HAN]
    most = max(SCRIPTS, key=counts.__getitem__)
    return most if counts[most] > others else None


def spoken_language(text: str, chosen: str) -> str:
    """The language to speak `text` in: `chosen` (en, en-us+f3, mb-de1), unless it cannot.

    It cannot where the text is written in a script that the language has not.
    """
    script = script_of(text)
    base = chosen.lower().removeprefix("mb-").partition("+")[0].partition("-")[0].rstrip("0123")
    if script is None or base in script.languages:
        return chosen
    lower = text.lower()
    own = (name for name, letters in OWN_LETTERS.items() if any(c in lower for c in letters))
    return next((name for name in own if name in script.languages), script.language)


def language_tag(name: str) -> str:
    """A language's name as espeak-ng writes it (en-us) as a tag of BCP 47 (en-US)."""
    first, *rest = name.partition("+")[0].split("-")
    tag = [first.lower()]
    for i, part in enumerate(rest):
        if "x" in rest[:i]:  # what follows is private
            tag.append(part.lower())
        elif len(part) == 2:
            tag.append(part.upper())
        else:
            tag.append(part.title() if len(part) == 4 and part.isalpha() else part.lower())
    return "-".join(tag)


def _of_character(code: int) -> Script | None:
    for script in SCRIPTS:
        for low, high in script.ranges:
            if low <= code <= high:
                return script
    return None
