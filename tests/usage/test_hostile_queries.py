"""Whatever stands in a query: an answer or a refusal in order, never a fault of ours, and nothing for a stranger."""

from __future__ import annotations

import pytest

from server.http.api.profile import MyUsageHandler
from server.http.api.usage import ExportHandler, RequestsHandler, UsageHandler
from tests.usage.office import Office

PATHS = ["/api/usage", "/api/requests", "/api/requests/export", "/api/me", "/api/me/usage"]
KNOWN = {
    "/api/usage": UsageHandler.known,
    "/api/requests": RequestsHandler.known,
    "/api/requests/export": ExportHandler.known,
    "/api/me/usage": MyUsageHandler.known,
}
HOSTILE = [
    "notadate",
    "2026-11-21T00:00:00",
    "10000-01-01T00:00:00Z",
    "1e9",
    "-1",
    "%00",
    "%ff%fe",
    "%ed%a0%80",
    "%25%25%",
    "%zz",
    "%F0%9F%92%A9",
    "%0d%0aSet-Cookie:x",
    "9" * 5000,
    "%7B%22%24gt%22%3A%22%22%7D",
    "'%20OR%20'1'='1",
    "../../etc/passwd",
    "%E2%80%AEada",
    "[]",
    "nan",
    "None",
]


@pytest.mark.gen_test
@pytest.mark.parametrize("path", PATHS)
async def test_a_stranger_is_told_nothing_not_even_that_the_question_was_wrong(office: Office, path: str) -> None:
    for query in ("", "?limit=-1", "?user=ada", "?x[$ne]="):
        answer = await office.get(path + query, "nobody")
        assert answer.refusal == (401, "invalid_api_key", None)
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.gen_test
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("query", ["user[$ne]=", "a=b", "admin=1", "USER=ada", "user%00=ada", "=x", "%ff=1", "key"])
async def test_an_unknown_parameter_is_refused_without_being_repeated(office: Office, path: str, query: str) -> None:
    answer = await office.get(f"{path}?{query}", "boss")
    assert answer.refusal == (400, "invalid_value", "query")


@pytest.mark.gen_test
@pytest.mark.parametrize("path", KNOWN)
async def test_every_parameter_comes_once_and_not_empty(office: Office, path: str) -> None:
    for name in sorted(KNOWN[path]):
        for query in (f"{name}=", f"{name}=1&{name}=1", f"{name}=%ff"):
            assert (await office.get(f"{path}?{query}", "boss")).refusal == (400, "invalid_value", name)


@pytest.mark.gen_test
@pytest.mark.slow
@pytest.mark.parametrize("who", ["ada", "boss"])
@pytest.mark.parametrize("path", KNOWN)
async def test_no_value_is_too_strange_to_be_answered_or_refused(
    office: Office, path: str, who: str, caplog: pytest.LogCaptureFixture
) -> None:
    for name in sorted(KNOWN[path]):
        for value in HOSTILE:
            answer = await office.get(f"{path}?{name}={value}", who)
            assert answer.status in (200, 400, 403), (name, value)
            assert answer.status == 200 or value not in answer.text
    assert [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("after=notadate", "after"),
        ("after=2026-11-21", "after"),
        ("before=2026-11-21T06:05:00", "before"),
        ("before=10000-01-01T00:00:00Z", "before"),
        ("status=done", "status"),
    ],
)
async def test_a_wrong_filter_is_named(office: Office, query: str, param: str) -> None:
    for path in KNOWN:
        assert (await office.get(f"{path}?{query}")).refusal == (400, "invalid_value", param)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/api/usage?limit=1e9", "limit"),
        ("/api/usage?limit=10001", "limit"),
        ("/api/usage?by=person", "by"),
        ("/api/usage?by=day,day", "by"),
        ("/api/usage?format=jsonl", "format"),
        ("/api/usage?cursor=1", "query"),
        ("/api/requests?limit=-1", "limit"),
        ("/api/requests?limit=1001", "limit"),
        ("/api/requests?cursor=zz", "cursor"),
        ("/api/requests?format=csv", "query"),
        ("/api/requests/export?format=xml", "format"),
        ("/api/requests/export?limit=5", "query"),
    ],
)
async def test_what_an_endpoint_does_not_do_is_refused(office: Office, path: str, param: str) -> None:
    assert (await office.get(path)).refusal == (400, "invalid_value", param)


@pytest.mark.gen_test
@pytest.mark.parametrize("path", PATHS)
async def test_more_than_a_thousand_parameters_are_no_request_at_all(office: Office, path: str) -> None:
    answer = await office.get(f"{path}?{'&'.join(['a=b'] * 1001)}")
    assert (answer.status, answer.text) == (400, "")


@pytest.mark.gen_test
@pytest.mark.parametrize("path", PATHS)
async def test_a_refusal_speaks_the_callers_dialect(office: Office, path: str) -> None:
    answer = await office.get(f"{path}?a=b", **{"anthropic-version": "2023-06-01"})
    assert answer.status == 400
    assert answer.json["error"] == {"type": "invalid_request_error", "message": "Invalid value for 'query'."}
