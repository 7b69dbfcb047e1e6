"""docs/migration.md and docs/upstreams.md: what they show is read as it stands there, and their figures are ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from keypool import limits
from server.config.legacy_env import translate
from server.config.settings import SETTINGS, Settings, load
from server.config.upstreams_file import read_upstreams
from server.wire.keepalive import CHOICES

ROOT = Path(__file__).parents[2]
MIGRATION, UPSTREAMS = ((ROOT / "docs" / name).read_text() for name in ("migration.md", "upstreams.md"))
SECTIONS = {part.splitlines()[0]: part for part in re.split(r"(?m)^## ", MIGRATION)[1:]}
SHOWN = re.compile(r"(?m)^    ([A-Z_]+)=(\S+(?: \S+)*?)(?: {2,}# (.*))?$")
SECRET = "0123456789abcdef-of-an-example"


def shown(section: str) -> dict[str, str]:
    """The settings of a section; three dots stand for a value of one's own."""
    return {name: value.replace("...", SECRET) for name, value, _ in SHOWN.findall(SECTIONS[section])}


@pytest.mark.parametrize("section", [name for name in SECTIONS if SHOWN.search(SECTIONS[name])])
def test_the_settings_of_a_section_are_understood(section: str) -> None:
    values = shown(section)
    assert set(values) <= {setting.name for setting in SETTINGS}
    assert load(environ=values, dotenv=None).notes == ()


def test_four_sections_show_settings() -> None:
    assert sum(bool(SHOWN.search(part)) for part in SECTIONS.values()) == 4


def was() -> list[tuple[str, str]]:
    """Our name and the one that a comment says it had there."""
    found = [(ours, re.match(r"was ([A-Z_]+)", said)) for ours, _, said in SHOWN.findall(MIGRATION)]
    return [(ours, name[1]) for ours, name in found if name]


@pytest.mark.parametrize(("ours", "theirs"), was())
def test_what_a_name_was_there_is_still_read(ours: str, theirs: str) -> None:
    """Beside a name that shows whose it is, as these projects' own files have it."""
    beside = {"API_URL": "https://api.openai.com/v1", "PROXY_SERVER_USER": "admin"}
    assert translate({theirs: SECRET, **beside}).known[ours] == SECRET


def test_the_old_names_are_named() -> None:
    assert len(was()) == 4


def test_an_env_of_the_oai_reverse_proxy_is_kept() -> None:
    values = {"GATEKEEPER": "proxy_key", "PROXY_KEY": SECRET, "POW_DIFFICULTY_LEVEL": "low", "OPENAI_KEY": "sk-a,sk-b"}
    settings = load(environ=values, dotenv=None)
    assert settings.gatekeeper == "shared"
    assert settings.notes == (
        "POW_DIFFICULTY_LEVEL: not used, tokens are issued by the operator and not earned by computing",
    )


def test_the_two_switches_are_off_unless_turned_on() -> None:
    assert "Two switches are off" in MIGRATION
    assert not Settings().legacy_routes
    assert not Settings().byo_keys
    assert not Settings().oidc_bearer


def test_the_example_of_an_upstreams_file_is_read_whole(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", UPSTREAMS, re.DOTALL)
    file = tmp_path / "upstreams.yaml"
    file.write_text(text)
    (upstream,), mistakes = read_upstreams(file, {}, 8)
    assert mistakes == []
    assert (upstream.name, upstream.dialects, upstream.base_url) == (
        "physics",
        ("openai",),
        "https://api.openai.com/v1",
    )
    assert (len(upstream.keys), upstream.slots, upstream.rpm, upstream.tpm, upstream.rpd) == (
        2,
        8,
        500,
        200_000,
        10_000,
    )
    assert (upstream.groups, upstream.monthly_cap_micro_usd) == (("staff",), 200_000_000)


@pytest.mark.parametrize("name", ["FIRST_BYTE_SECONDS", "IDLE_SECONDS", "TOTAL_SECONDS"])
def test_the_seconds_of_patience_are_the_defaults(name: str) -> None:
    (figure,) = re.findall(rf"`{name}`\s*\((\d+)\)", UPSTREAMS)
    assert float(figure) == getattr(Settings(), name.lower())


def test_the_signs_of_life_that_may_be_chosen_are_those_of_the_table() -> None:
    table = UPSTREAMS.partition("| `X-Fairgate-Keepalive` |")[2].partition("\n\n")[0]
    assert set(re.findall(r"(?m)^\| `(\w+)` \|", table)) == set(CHOICES[1:])


def test_the_table_of_headers_is_where_the_page_says() -> None:
    assert "`NAMES` in" in " ".join(UPSTREAMS.split())
    assert limits.NAMES
