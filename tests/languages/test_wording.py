"""Texts of ours are English, and are said in the reader's language by the page that shows them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from web import environment as press
from web import formatting as words
from web.languages import NAMES, catalogue, reading
from web.wording import Plural, Wording, Written

AT = 1_790_000_000_000


def test_a_wording_is_its_english_sentence() -> None:
    with reading("de"):
        text = Wording("Continue with %(provider)s", provider="A&B")
    assert text == "Continue with A&B"
    assert json.dumps(text) == '"Continue with A&B"'
    assert Wording("100 % of it") == "100 % of it"
    assert Wording("%(count)s keys", count=1234) == "1,234 keys"


def test_a_wording_is_said_in_the_language_of_the_page() -> None:
    text = Wording("Continue with %(provider)s", provider=Wording("your organisation"))
    with reading("de"):
        assert text.said() == "Weiter mit deiner Organisation"
    assert text.said() == "Continue with your organisation"
    with reading("en-XA"):
        assert text.said() == "⟦Continue with ⟦your organisation⟧⟧"


def test_a_plural_has_the_form_of_its_number() -> None:
    said = [Plural("1 request", "%(count)s requests", count) for count in (0, 1, 1234)]
    assert said == ["0 requests", "1 request", "1,234 requests"]
    with reading("de"):
        assert [each.said() for each in said] == ["0 Anfragen", "1 Anfrage", "1.234 Anfragen"]


def test_what_no_catalogue_has_stays_english() -> None:
    with reading("de"):
        assert Wording("No catalogue has this.").said() == "No catalogue has this."
    assert catalogue("xx").message("No catalogue has this.") == "No catalogue has this."


def test_a_template_says_texts_by_itself_and_escapes_values() -> None:
    page = press.template("{{ text }}|{{ _('Log out') }}|{% trans name=who %}Of <bdi>{{ name }}</bdi>.{% endtrans %}")
    text = Wording("Continue with %(provider)s", provider="<b>")
    with reading("de"):
        said = page.render(text=text, who="<i>")
    assert said.startswith("Weiter mit &lt;b&gt;|Abmelden|")
    assert "<bdi>&lt;i&gt;</bdi>" in said


def test_a_filter_of_a_constant_is_asked_for_each_page() -> None:
    page = press.template("{{ 1234 | grouped }}")
    with reading("de"):
        german = page.render()
    assert (german, page.render()) == ("1.234", "1,234")


@pytest.mark.parametrize(
    ("write", "argument", "english", "german"),
    [
        (words.money, 1_204_000_000, "$1,204", "1.204 $"),
        (words.money, -3_200_000, "−$3.20", "−3,20 $"),
        (words.money, 50, "< $0.0001", "< 0,0001 $"),
        (words.compact, 12_345, "12.3 k", "12,3 Tsd."),
        (words.compact, 4_560_000_000, "4.56 B", "4,56 Mrd."),
        (words.percent, 0.9998, "99.98 %", "99,98 %"),
        (words.seconds, 1.44, "1.4 s", "1,4 s"),
        (words.plain, 1234.5, "1,234.5", "1.234,5"),
        (words.moment, AT, "21 Sep 2026, 14:13", "21.09.2026, 14:13"),
        (words.since, AT, "21 Sep 2026", "21.09.2026"),
        (words.day, "2026-12-01", "1 Dec", "1.12."),
        (words.clock, AT, "14:13:20 UTC", "14:13:20 UTC"),
        (words.duration, 187_200, "2 d 4 h", "2 T 4 h"),
    ],
)
def test_numbers_and_times_are_written_as_the_language_has_it(
    write: object, argument: object, english: str, german: str
) -> None:
    assert callable(write)
    figure = Written(write, argument)
    assert figure == english
    with reading("de"):
        assert figure.said().replace("\N{NO-BREAK SPACE}", " ") == german


def test_each_language_has_a_catalogue() -> None:
    there = {path.stem for path in (Path(press.__file__).parent / "locales").glob("*.po")}
    assert there == set(NAMES) - {"en", "en-XA"}
