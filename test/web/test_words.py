"""The page's words: whole in every language, all there, all used; and the page's own English."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import chain
from string import Formatter

import pytest

from avatar_forcing_ros.rig.expressions import EXPRESSIONS
from avatar_forcing_ros.web.static_files import FOLDER

LANGUAGES = sorted(path.stem for path in (FOLDER / "words").glob("*.json"))
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.js")}
# what ECMA-402 chooses between for whole numbers below a million
FORMS = {"en": {"one", "other"}, "de": {"one", "other"}, "es": {"one", "other"}}
FORMS |= {"fr": {"one", "other"}, "ja": {"other"}, "zh": {"other"}}
PLURAL = re.compile(r"\.(zero|one|two|few|many|other)$")
SAID = re.compile(r'\b(?:say|known)\("([^"]+)"')
SAID_OF = re.compile(r"\b(?:say|known)\(`([^`]+)`")  # with a name in it
NAMED = re.compile(r"\\\$\\\{.*?\\\}")
PHYSICAL = re.compile(
    r"(?<![\w-])(?:(?:margin|padding|border)-)?(?:left|right)\s*:|: (left|right);"
)
TRANSLATED = ("text", "title", "label", "placeholder", "alt")


def words(language: str) -> dict[str, str]:
    def unique(pairs: list[tuple[str, str]]) -> dict[str, str]:
        assert len(dict(pairs)) == len(pairs), f"{language}: a key is there twice"
        return dict(pairs)

    text = (FOLDER / "words" / f"{language}.json").read_text(encoding="utf-8")
    return json.loads(text, object_pairs_hook=unique)


ENGLISH = words("en")


def forms(table: dict[str, str]) -> dict[str, set[str]]:
    """Each sentence of a table, with its plural forms."""
    found: dict[str, set[str]] = {}
    for key in table:
        match = PLURAL.search(key)
        found.setdefault(PLURAL.sub("", key), set()).update({match[1]} if match else ())
    return found


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


class Page(HTMLParser):
    """The page's elements: attributes, and the text that stands in them alone."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[dict[str, str], list[str]]] = []
        self.feed((FOLDER / "index.html").read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append(({name: value or "" for name, value in attributes}, []))

    def handle_data(self, data: str) -> None:
        if self.elements:
            self.elements[-1][1].append(data)


PAGE = Page()


def test_the_script_knows_every_file_there_is() -> None:
    listed = re.search(r"LANGUAGES = (\[.*\]);", SCRIPTS["words.js"])
    assert listed
    assert json.loads(listed[1]) == LANGUAGES
    assert set(FORMS) == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_sentence_with_the_same_places_in_it(language: str) -> None:
    table, expected = words(language), forms(ENGLISH)
    found = forms(table)
    assert found.keys() == expected.keys()
    for key, kinds in expected.items():
        assert found[key] == (FORMS[language] if kinds else set()), key
    for key, text in table.items():
        assert text.strip() == text != "", key
        english = ENGLISH.get(key) or ENGLISH[PLURAL.sub(".other", key)]
        # one of something may do without its number
        wanted = placeholders(english)
        assert placeholders(text) in (wanted, wanted - {"count"} if ".one" in key else wanted), key
    assert table["page.direction"] in ("ltr", "rtl")


@pytest.mark.parametrize("language", [one for one in LANGUAGES if one != "en"])
def test_a_language_is_another_one(language: str) -> None:
    table = words(language)
    same = [key for key, text in table.items() if text == ENGLISH.get(key)]
    assert len(same) < 0.1 * len(table), same


def test_every_word_that_is_used_is_there_and_every_one_there_is_used() -> None:
    text = "\n".join(SCRIPTS.values())
    used = set(SAID.findall(text))
    for attributes, _ in PAGE.elements:
        used |= {value for name, value in attributes.items() if name.startswith("data-words")}
    known = forms(ENGLISH)
    assert used - known.keys() == set()
    patterns = [
        re.sub(r"\\\$\\\{.*?\\\}", r"\\w+", re.escape(one)) for one in SAID_OF.findall(text)
    ]
    by_name = {key for key in known if any(re.fullmatch(one, key) for one in patterns)}
    assert all(any(re.fullmatch(one, key) for key in known) for one in patterns)
    assert known.keys() - used - by_name == {"page.direction"}


def test_every_expression_has_a_word() -> None:
    assert {f"expression.{name}" for name in EXPRESSIONS} == {
        key for key in ENGLISH if key.startswith("expression.")
    }


def test_what_stands_in_the_page_is_its_english() -> None:
    for attributes, parts in PAGE.elements:
        own = {"text": " ".join("".join(parts).split()), **attributes}
        own["label"] = attributes.get("aria-label", "")
        key = attributes.get("data-key")
        for name in TRANSLATED:
            words_of = attributes.get("data-words" if name == "text" else f"data-words-{name}")
            if not words_of:
                assert name == "text" or not own.get(name), own
                continue
            expected = ENGLISH[words_of]
            if name == "title" and key:
                expected = ENGLISH["page.with_key"].format(what=expected, key=key)
            assert own[name] == expected


def test_no_script_and_no_page_has_words_of_its_own() -> None:
    sentence = re.compile(r"""["'`>][A-Z][a-z]+ [a-z]+ [a-z]+""")
    for name, text in SCRIPTS.items():
        code = re.sub(r"(?m)(?<!:)//.*$", "", text)
        assert not sentence.search(code), name
    untranslated = {
        text
        for attributes, parts in PAGE.elements
        if "data-words" not in attributes and (text := "".join(parts).strip())
        if re.search("[A-Za-z]{2}", text)
    }
    assert untranslated == {"Enter", "Esc", "sudo apt install espeak-ng"}


def test_sides_are_named_by_the_direction_of_reading() -> None:
    rules = chain.from_iterable(
        path.read_text(encoding="utf-8").splitlines() for path in FOLDER.glob("*.css")
    )
    assert [line.strip() for line in rules if PHYSICAL.search(line)] == []
