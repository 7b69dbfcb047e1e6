"""Questions for kept answers: of a query only known words go upstream, and a response is over when it says so."""

from __future__ import annotations

import re

import orjson
import pytest

from server.wire.answers import Responses
from server.wire.endpoints import ENDPOINTS
from server.wire.kept import KEPT_ROUTES, ended, passed_query
from tests.wire.test_request import EXAMPLES, read


@pytest.mark.parametrize(
    ("query", "passed"),
    [
        ("stream=true&starting_after=7", "stream=true&starting_after=7"),
        ("include[]=reasoning.encrypted_content&include%5B%5D=x.y&include%5B0%5D=a", None),
        ("limit=20&order=asc&after=msg_1&before=msg_9", None),
        ("api_key=sk-1&stream=true&token=fg_1", "stream=true"),
        ("stream=1&starting_after=-1&limit=99999&order=up", ""),
        ("after=a/../b&include[]=A%0d%0a", ""),
        ("after=" + "a" * 257, ""),
        ("", ""),
    ],
)
def test_of_a_query_only_what_is_known_goes_upstream(query: str, passed: str | None) -> None:
    assert passed_query(query) == (query if passed is None else passed)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"status": "completed"}', "completed"),
        (b'{"status": "cancelled", "usage": null}', "cancelled"),
        (b'{"status": "a_word_of_next_year"}', "a_word_of_next_year"),
        (b'{"status": "queued"}', None),
        (b'{"status": "in_progress"}', None),
        (b'{"status": 5}', None),
        (b"{}", None),
        (b"[]", None),
        (b"<html>", None),
        (b"", None),
    ],
)
def test_a_response_is_over_when_it_says_so(body: bytes, status: str | None) -> None:
    assert ended(body) == status


def test_a_meter_knows_whether_the_provider_goes_on() -> None:
    meter = Responses()
    meter.answer(orjson.dumps({"id": "resp_1", "status": "queued", "usage": None}))
    assert (meter.running, meter.usage, meter.made.answer) == (True, None, ("resp_1",))
    meter.answer(orjson.dumps({"id": "resp_1", "status": "completed"}))
    assert not meter.running


def test_only_a_response_is_made_in_the_background() -> None:
    asked = {path: read({**EXAMPLES[path], "background": True}, ENDPOINTS[path]) for path in EXAMPLES}
    assert {path for path, request in asked.items() if request.background} == {"/v1/responses"}
    assert not read({**EXAMPLES["/v1/responses"], "background": False}, ENDPOINTS["/v1/responses"]).background


@pytest.mark.parametrize("answer_id", ["", "a/b", "a%2Fb", "..", "a b", "é", "a" * 257, "a?b"])
def test_an_id_is_a_plain_word(answer_id: str) -> None:
    for route in KEPT_ROUTES:
        assert re.fullmatch(route.pattern, "/v1" + route.place(("resp_68-x", "msg_1")))
        assert route.makes or not re.fullmatch(route.pattern, "/v1" + route.place((answer_id, "msg_1")))
        assert "{item}" not in route.path or not re.fullmatch(route.pattern, "/v1" + route.place(("conv_1", answer_id)))
