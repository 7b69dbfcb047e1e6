"""The comparison of the SDKs' own tests, directly and through the gateway: bench/suites."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.suites.__main__ import PAGE, compared, named
from bench.suites.run import UPSTREAM, Result, read
from bench.suites.sdk import SDKS
from server.config.settings import load

GOOD, BAD = Result(passed=True), Result(passed=False, why="404")
TABLE = "# Page\n\n## `openai`\n\n| tests | why |\n|---|---|\n| `^models.*_delete` | read only |\n\n## `other`\n"
REPORT = """<testsuites><testsuite>
<testcase classname="tests.api_resources.test_models.TestModels" name="test_a[loose]" />
<testcase classname="tests.api_resources.test_models.TestModels" name="test_b">
<failure message="no&#10;way" /></testcase>
<testcase classname="tests.api_resources.test_models.TestModels" name="test_c"><skipped /></testcase>
</testsuite></testsuites>"""


@pytest.mark.parametrize(
    ("through", "kept", "said"),
    [
        ({"models::test_delete": BAD, "models::test_list": GOOD}, True, ""),
        ({"models::test_delete": BAD, "models::test_list": BAD}, False, "lost: models::test_list: 404"),
        ({"models::test_delete": BAD}, False, "did not run"),
        (
            {"models::test_delete": GOOD, "models::test_list": GOOD},
            False,
            "no test is lost any more by: ^models",
        ),
    ],
)
def test_only_what_the_page_names_may_be_lost(through: dict[str, Result], kept: bool, said: str) -> None:
    direct = {"models::test_delete": GOOD, "models::test_list": GOOD, "models::test_new": BAD}
    lines, found = compared(direct, through, named(TABLE))
    assert found is kept
    assert said in "\n".join(lines)
    assert lines[0].startswith("2 of 3 tests pass against the mock")


def test_the_page_has_rows_for_each_sdk_and_their_patterns_are_patterns() -> None:
    rows = named(PAGE.read_text(encoding="utf-8"))
    assert {row.sdk for row in rows} == {sdk.name for sdk in SDKS}
    assert all(row.why for row in rows)


def test_a_report_is_read(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    found = read(tmp_path / "report.xml")
    name = "test_models.TestModels::test_"
    assert found == {f"{name}a[loose]": GOOD, f"{name}b": Result(False, "no way"), f"{name}c": Result(False)}


def test_the_gateway_reads_what_is_written_for_it(tmp_path: Path) -> None:
    file = tmp_path / "upstreams.yaml"
    file.write_text(UPSTREAM.format(dialect="openai", port=4010, base="", models='["gpt-5"]'))
    (mock,) = load({"UPSTREAMS_FILE": str(file)}, environ={}, dotenv=None).upstreams
    assert (mock.base_url, mock.models) == ("http://127.0.0.1:4010", ("gpt-5",))
