"""README.md and the pages behind it: commands are typed, and what they name is there, by that name and figure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from keypool.probing import HOURS
from server.cli.main import main
from server.config.legacy_env import PLATFORMS
from server.config.settings import SETTINGS
from server.http.api.table import NotPossible
from server.ledger.limits import parse_limits
from server.relay.keepalive import KeepaliveTiming
from server.wire import errors
from server.wire.endpoints import ENDPOINTS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PEOPLE, KEYS, WAITING = ((ROOT / "docs" / f"{name}.md").read_text() for name in ("people", "keys", "waiting"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Not ours: variables of tests and other programs, a provider's code, and what a reader puts in.
OTHERS = {
    *("TEST_MONGODB_URI", "ANTHROPIC_API_KEY", "API_KEY_INVALID", "YOUR_TOKEN"),
    *("OTEL_EXPORTER_OTLP_HEADERS", "PYTHON_VERSION", "HTTPS_PROXY"),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fairgate.db").touch()


def commands(section: str) -> Iterator[list[str]]:
    text = PEOPLE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    for line in text.splitlines():
        if line.startswith("python -m server"):
            yield shlex.split(line, comments=True)[3:]


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_the_commands_for_people_and_limits_work_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    typed = [*commands("People"), *commands("Money and limits")]
    assert len(typed) == 7
    output = ""
    for argv in typed:
        named = [re.search(r"tok_\w+", output)[0] if word == "tok_…" else word for word in argv]  # type: ignore[index]
        assert main(named) == 0, capsys.readouterr().err
        output = capsys.readouterr().out or output


def test_the_limits_that_people_are_shown_are_limits() -> None:
    (text,) = re.findall(r'^LIMITS="(.*?)"', PEOPLE, re.MULTILINE)
    assert len(parse_limits(text)) == 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_that_a_page_names_is_one(page: Path) -> None:
    names = {setting.name for setting in SETTINGS}
    named = re.findall(r"`([A-Z][A-Z_]*_[A-Z_]+)(?:=[^`]*)?`", page.read_text())
    assert set(named) <= names | OTHERS | set(PLATFORMS)


def test_every_code_that_a_page_names_is_one_of_ours() -> None:
    known = [*vars(errors).values(), NotPossible]
    ours = {each.code for each in known if isinstance(each, type) and hasattr(each, "code")}
    named = [code for page in PAGES for code in re.findall(r"`[45]\d\d ([a-z_]+)`", page.read_text())]
    assert "unknown_url" in named
    assert set(named) <= ours


def test_its_table_lists_the_endpoints() -> None:
    table = README.partition("| dialect | endpoints |")[2].partition("\n\n")[0]
    assert {*re.findall(r"`(/v1/[\w/]+)`", table)} == ENDPOINTS.keys() | {"/v1/models"}


def test_the_figures_of_the_pages_are_those_of_the_code() -> None:
    words, timing = {5.0: "five", 10.0: "ten", 15.0: "15"}, KeepaliveTiming()
    patience = {setting.name: float(setting.default) for setting in SETTINGS if setting.name.endswith("_SECONDS")}
    text = " ".join(WAITING.split())
    assert f"waits for more than {words[timing.queued]} seconds hears about it every {words[timing.every]}" in text
    assert f"a sign of life comes every {words[timing.silent]} seconds" in text
    assert "after {}, {}, {}, {}, {} and then every {} hours".format(*HOURS) in " ".join(KEYS.split())
    assert "think for ten minutes before its first word and between two, and answer for an hour" in text
    assert patience["FIRST_BYTE_SECONDS"] == patience["IDLE_SECONDS"] == 600
    assert patience["TOTAL_SECONDS"] == 3600


def test_it_serves_one_reader_and_its_links_lead_to_every_page_that_is_for_people() -> None:
    assert len(README.split()) <= 750
    linked = set(re.findall(r"\]\(docs/([\w-]+\.md)", README))
    seen, found = set(linked), list(linked)
    while found:  # a page may be reached over another one
        for name in re.findall(r"\]\(([\w-]+\.md)", (ROOT / "docs" / found.pop()).read_text()):
            if name not in seen:
                seen.add(name)
                found.append(name)
    architecture = set(re.findall(r"\]\(docs/([\w-]+\.md)", (ROOT / "ARCHITECTURE.md").read_text()))
    contributing = set(re.findall(r"docs/([\w-]+\.md)", (ROOT / "CONTRIBUTING.md").read_text()))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} == seen | architecture | contributing
