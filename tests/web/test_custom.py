"""The operator's own page: plain substitution, and nothing else."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.web.examples import a_model, a_view
from tests.web.samples import busy_status
from tests.web.test_every_page import HOSTILE
from web.custom import custom_html, tags
from web.view_public import AliasView, CustomView, FamilyView

# The table of the OAI Reverse Proxy's README, and what other versions of it have besides.
README = """
{JSON} {headerHtml} {uptime} {title} {endpoints:openai} {endpoints:anthropic} {proompts} {proomptersNow} {openaiKeys}
{anthropicKeys} {status} {anthropic:activeKeys} {anthropic:proomptersInQueue} {anthropic:estimatedQueueTime}
{turbo:activeKeys} {turbo:overQuotaKeys} {turbo:revokedKeys} {turbo:proomptersInQueue} {turbo:estimatedQueueTime}
{gpt4:activeKeys} {gpt4:overQuotaKeys} {gpt4:revokedKeys} {gpt4:proomptersInQueue} {gpt4:estimatedQueueTime}
{gpt432k:activeKeys} {gpt432k:overQuotaKeys} {gpt432k:revokedKeys} {config:page_body} {config:gatekeeper}
{config:modelRateLimit} {config:maxContextTokensOpenAI} {config:maxContextTokensAnthropic}
{config:maxOutputTokensOpenAI} {config:maxOutputTokensAnthropic} {config:rejectDisallowed} {config:rejectMessage}
{config:promptLogging} {config:queueMode} {config:turboOnly} {user:data} {user:aliases} {build}
"""
OTHERS = """
{endpoints:palm} {endpoints:ai21} {endpoints:universal} {palmKeys} {ai21Keys} {googleKeys} {globalTokenCount}
{openaiTokenCount} {anthropicTokenCount} {azure:moderatedModels} {azure:unmoderatedModels} {anthropic:revokedKeys}
{anthropic:disabledKeys} {anthropic:pozzedKeys} {anthropic:awsKeys} {config:maxOutputTokensGoogle}
{config:maxOutputTokensMistral} {config:maxContextTokensGoogle} {config:maxContextTokensMistral}
""" + " ".join(
    f"{{{family}:{field}}}"
    for family in ("gpt432k", "gpt4_turbo", "grok", "google", "mistral", "palm", "ai21")
    for field in ("activeKeys", "overQuotaKeys", "revokedKeys", "proomptersInQueue", "estimatedQueueTime")
)

VIEW = CustomView(
    busy_status(),
    build="0.1.0",
    keys={"openai": 3, "anthropic": 2},
    families={"turbo": FamilyView(3, 2, 1, 0, 14, 12.4), "anthropic": FamilyView(2, wait_seconds=0.2)},
    config={"queueMode": "fair", "promptLogging": False, "maxOutputTokensOpenAI": 4096},
    people=(AliasView("night owl", 41, 90_000, {"gpt-5": 41}, {"gpt-5": 80_000}, {"gpt-5": 10_000}),),
)


def filled(page: str, view: CustomView = VIEW) -> str:
    return custom_html(page, view).decode()


def test_a_page_with_every_tag_of_the_original_renders_without_a_leftover() -> None:
    assert not re.findall(r"\{[A-Za-z0-9_]+(?::\w+)?\}", filled(README + OTHERS))


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("{title}", "Library gateway"),
        ("{uptime}", "273900"),
        ("{endpoints:openai}", "https://llm.example.edu/proxy/openai"),
        ("{proompts}", "1204881"),
        ("{proomptersNow}", "37"),
        ("{openaiKeys}", "3"),
        ("{palmKeys}", "0"),
        ("{turbo:activeKeys}", "3"),
        ("{turbo:overQuotaKeys}", "2"),
        ("{turbo:revokedKeys}", "1"),
        ("{turbo:proomptersInQueue}", "14"),
        ("{turbo:estimatedQueueTime}", "12 s"),
        ("{anthropic:estimatedQueueTime}", "No wait"),
        ("{grok:activeKeys}", "0"),
        ("{grok:estimatedQueueTime}", "Not Available"),
        ("{anthropic:pozzedKeys}", "0"),
        ("{config:queueMode}", "fair"),
        ("{config:promptLogging}", "false"),
        ("{config:maxOutputTokensOpenAI}", "4096"),
        ("{config:turboOnly}", "Not Available"),
        ("{config:page_body}", "Not Available"),
        ("{build}", "0.1.0"),
        ("{status}", "Finished checking keys."),
        ("{base_url}", "https://llm.example.edu"),
        ("{running} {waiting} {people}", "19 14 37"),
        ("{cost_today}", "$23.41"),
        ("{model:gpt-5.2:wait}", "≈ 12 s"),
        ("{model:gpt-5.2:keys}", "5 ready, 1 cooling, 2 exhausted"),
    ],
)
def test_a_tag_stands_for_its_value(tag: str, value: str) -> None:
    assert filled(f"<p>{tag}</p>") == f"<p>{value}</p>"


@pytest.mark.parametrize(
    "text",
    [
        "{unknown}",
        "{config:admin_key}",
        "{user:tokens}",
        "{model:none:wait}",
        "{{ title }}",
        "{{title}}",
        "{% for a in b %}",
        "{title",
        "{ title }",
        "{__class__}",
        "{title.upper}",
        "{0}",
        "{}",
        "body { color: red }",
        "$(function(){return 7*7})",
    ],
)
def test_what_is_no_tag_stays_as_it_stands_and_nothing_is_evaluated(text: str) -> None:
    assert filled(text) == text


def test_a_value_never_holds_a_tag() -> None:
    view = CustomView(a_view(title="{uptime}{JSON}"))
    assert filled("{title}", view) == "{uptime}{JSON}"


def test_the_header_is_the_title_and_the_waits_of_the_families_and_no_other_html() -> None:
    waits = "<h2>Estimated Wait Times</h2>\n<p><strong>turbo:</strong> 12 s / <strong>anthropic:</strong> No wait</p>"
    assert filled("{headerHtml}") == f"<h1>Library gateway</h1>\n{waits}"
    assert filled("{headerHtml}", CustomView(a_view(title="<b>"))) == "<h1>&lt;b&gt;</h1>\n"


def test_while_keys_are_checked_the_status_says_how_many() -> None:
    assert filled("{status}", CustomView(a_view(checking=(3, 12)))) == "Checking 3 of 12 keys."


def test_people_are_nicknames_and_counts_and_nothing_else() -> None:
    (person,) = json.loads(filled("{user:data}"))
    assert (person["alias"], person["promptCount"], person["tokenCount"]) == ("night owl", 41, 90_000)
    assert (person["allPromptCount"], person["type"], person["promptLimit"]) == ({"gpt-5": 41}, "normal", -1)
    assert not person.keys() & {"token", "ips", "ip"}
    assert json.loads(filled("{user:aliases}")) == ["night owl"]


def test_all_the_data_is_json_with_the_families_that_there_are() -> None:
    document = json.loads(filled("{JSON}"))
    assert document["turbo"]["proomptersInQueue"] == 14
    assert (document["claude"]["activeKeys"], "anthropic" in document) == (2, False)
    assert document["proompts"] == 1_204_881
    assert document["config"]["queueMode"] == "fair"
    assert "night owl" not in filled("{JSON}")
    assert "grok" not in document


TEMPLATE = (
    '<p title="{title}">{title} {models}</p><script type="application/json">{JSON}</script>'
    "<p data-all='{JSON}' data-people='{user:data}'>{JSON}{user:data}{user:aliases}</p>"
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_whatever_changes_the_shape_of_the_page(text: str) -> None:
    assert _shape(text) == _shape("harmless")


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=80))
def test_nor_does_any_other_text(text: str) -> None:
    assert _shape(text) == _shape("harmless")


def _shape(text: str) -> list[tuple[str, tuple[str, ...]]]:
    view = CustomView(
        a_view(title=text, base_url=text, models=(a_model(text),)),
        build=text,
        config={"rejectMessage": text},
        people=(AliasView(text, 1, 1),),
    )
    return _Shape(filled(TEMPLATE, view)).found


class _Shape(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.found.append((f"/{tag}", ()))


def test_every_tag_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "custom-page.md").read_text()
    for tag in tags(VIEW):
        head, _, field = tag.rpartition(":")
        general = f"{{model:NAME:{field}}}" if tag.startswith("model:") else f"{{FAMILY:{field}}}"
        brief = re.match(r"config:max\w+Tokens", tag)
        assert f"{{{tag}}}" in text or (head and general in text) or (brief and brief[0] in text), tag
