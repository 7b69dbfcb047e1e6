"""Each catalogue is whole: every message of the code has a translation, with the same values and the same markup."""

from __future__ import annotations

import io
import re

import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po

from tests.languages.catalogues import LOCALES, updated

LANGUAGES = sorted(path.stem for path in LOCALES.glob("*.po"))
_VALUE = re.compile(r"%\((\w+)\)s|\{(\w+)\}")
_TAG = re.compile(r"</?\w[^>]*>|`[^`]*`")


def texts_of(language: str) -> list[Message]:
    read = read_po(io.BytesIO((LOCALES / f"{language}.po").read_bytes()), locale=language)
    return [each for each in read if each.id]


def forms_of(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_catalogue_has_the_messages_of_the_code(language: str) -> None:
    """`make languages` writes it."""
    assert (LOCALES / f"{language}.po").read_bytes() == updated(language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_is_translated(language: str) -> None:
    texts = texts_of(language)
    assert len(texts) > 500
    assert [each.id for each in texts if each.fuzzy or not all(forms_of(each.string))] == []
    assert [each.id for each in texts if len(forms_of(each.id)) != len(forms_of(each.string))] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_values_and_the_markup_of_its_english(language: str) -> None:
    wrong = []
    for each in texts_of(language):
        english = forms_of(each.id)[-1]
        for form in forms_of(each.string):
            if set(_VALUE.findall(form)) - set(_VALUE.findall(english)):
                wrong.append((english, form))
            if sorted(_TAG.findall(form)) != sorted(_TAG.findall(english)):
                wrong.append((english, form))
        if set(_VALUE.findall(forms_of(each.string)[-1])) != set(_VALUE.findall(english)):
            wrong.append((english, forms_of(each.string)[-1]))
    assert wrong == []
