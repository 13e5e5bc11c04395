"""The script of a text says whether a voice can speak it; a program's list says what voices."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from avatar_forcing_ros.runtime.espeak_voices import (
    MAX_VOICES,
    VoiceChoice,
    listed_voices,
    parsed_voices,
)
from avatar_forcing_ros.runtime.speech_language import language_tag, spoken_language

TABLE = """\
Pty Language       Age/Gender VoiceName          File                 Other Languages
 5  cmn             --/M      Chinese_(Mandarin,_latin_as_English) sit/cmn (zh-cmn 5)(zh 5)
 5  chr-US-Qaaa-x-west --/M      Cherokee_          iro/chr
 2  en-us           --/M      English_(America)  gmw/en-US            (en 3)
 5  yue             --/M      Chinese_(Cantonese) sit/yue              (zh-yue 5)(zh 8)
 5  yue             --/M      Chinese_(Cantonese,_latin_as_Jyutping) sit/yue-Latn-jyutping
"""


@pytest.mark.parametrize(
    ("text", "chosen", "spoken"),
    [
        ("Good morning", "en", "en"),
        ("Good morning", "ar", "ar"),
        ("صباح الخير", "en-us+f3", "ar"),
        ("صبح بخیر", "fa", "fa"),
        ("早上好", "en", "cmn"),
        ("早上好", "yue", "yue"),
        ("東京", "ja", "ja"),
        ("東京へ行きます", "cmn", "ja"),
        ("Доброе утро", "en", "ru"),
        ("Добро утро", "bg", "bg"),
        ("Їжак і ґанок", "en", "uk"),
        ("좋은 아침", "de", "ko"),
        ("Καλημέρα", "mb-de1", "el"),
        ("בוקר טוב", "en", "he"),
        ("सुप्रभात", "en", "hi"),
        ("सुप्रभात", "mr", "mr"),
        ("สวัสดี", "en", "th"),
        ("The number π and the letter Ω", "en", "en"),
        ("3.14 !", "en", "en"),
    ],
)
def test_a_voice_speaks_the_scripts_that_its_language_has(
    text: str, chosen: str, spoken: str
) -> None:
    assert spoken_language(text, chosen) == spoken


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("en-us", "en-US"),
        ("es-419", "es-419"),
        ("en-gb-x-rp", "en-GB-x-rp"),
        ("cmn-latn-pinyin", "cmn-Latn-pinyin"),
        ("de+f3", "de"),
    ],
)
def test_languages_are_named_as_browsers_name_them(name: str, tag: str) -> None:
    assert language_tag(name) == tag


def test_the_voices_are_those_of_the_table() -> None:
    assert parsed_voices(TABLE) == (
        VoiceChoice("chr-US-Qaaa-x-west", "chr-US-Qaaa-x-west", "Cherokee"),
        VoiceChoice("yue", "yue", "Chinese (Cantonese)"),
        VoiceChoice("cmn", "cmn", "Chinese (Mandarin, latin as English)"),
        VoiceChoice("en-us", "en-US", "English (America)"),
    )
    assert parsed_voices("no table\n5 ../x --/M Bad a/b\n") == ()
    endless = "".join(f" 5 v{i} --/M Voice x/v\n" for i in range(MAX_VOICES * 2))
    assert len(parsed_voices(endless)) == MAX_VOICES


def test_a_program_that_cannot_be_asked_has_no_voices(tmp_path: Path) -> None:
    assert listed_voices(str(tmp_path / "none")) == ()
    program = tmp_path / "speaker"
    program.write_text(f"#!{sys.executable}\nprint({TABLE!r})\n")
    program.chmod(0o755)
    assert len(listed_voices(str(program))) == 4
