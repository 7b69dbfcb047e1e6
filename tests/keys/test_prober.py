"""A key is asked about for free, and nothing that an upstream does can show the key or break the asking."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import tornado.testing
import tornado.web

from server.config.settings import Secret, UpstreamSpec
from server.keys.prober import LARGEST_LIST, Check, check
from server.keys.registry import UpstreamRegistry
from server.upstream import Patience, Upstreams

SECRET = "sk-do-not-show-this-0123456789"
GOOD = json.dumps({"object": "list", "data": [{"id": "m2"}, {"id": "m1"}, {"id": "m1"}]})


class Upstream(tornado.web.RequestHandler):
    """Answers as the test says and remembers what it was asked."""

    def get(self) -> None:
        said = self.application.settings
        said["asked"].append(self.request)
        self.set_status(said["status"])
        if said["status"] == 302:
            self.set_header("Location", "/elsewhere")
        self.finish(said["body"])


@pytest.fixture
def app() -> tornado.web.Application:
    return tornado.web.Application([("/.*", Upstream)], asked=[], status=200, body=GOOD, log_function=lambda _: None)


@pytest.fixture
def spec(http_server: object, base_url: str) -> UpstreamSpec:
    return UpstreamSpec(name="a", dialects=("openai",), base_url=f"{base_url}/v1", keys=(Secret(SECRET),))


async def ask(spec: UpstreamSpec) -> Check:
    upstreams = Upstreams(UpstreamRegistry([spec]).route, Patience())
    try:
        found = await check(upstreams, spec.keys[0].fingerprint, spec)
    finally:
        await upstreams.close()
    assert SECRET not in repr(found)
    return found


@pytest.mark.gen_test
async def test_a_key_that_is_let_in_is_ready_and_its_models_are_known(spec: UpstreamSpec) -> None:
    assert await ask(spec) == Check("ready", "let in", ("m1", "m2"))


@pytest.mark.gen_test
async def test_openai_is_asked_with_a_bearer(app: tornado.web.Application, spec: UpstreamSpec) -> None:
    await ask(spec)
    (request,) = app.settings["asked"]
    assert (request.method, request.uri) == ("GET", "/v1/models")
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    assert request.headers["Accept-Encoding"] == "identity"


@pytest.mark.gen_test
async def test_anthropic_is_asked_with_its_own_headers_for_all_models(
    app: tornado.web.Application, spec: UpstreamSpec
) -> None:
    await ask(replace(spec, dialects=("anthropic",)))
    (request,) = app.settings["asked"]
    assert request.uri == "/v1/models?limit=1000"
    assert request.headers["x-api-key"] == SECRET
    assert "anthropic-version" in request.headers
    assert "Authorization" not in request.headers


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (401, "revoked"),
        (403, "unclear"),
        (404, "unclear"),
        (429, "unclear"),
        (500, "unreachable"),
        (503, "unreachable"),
    ],
)
@pytest.mark.gen_test
async def test_a_refusal_is_judged_by_its_status(
    app: tornado.web.Application, spec: UpstreamSpec, status: int, state: str
) -> None:
    app.settings.update(status=status, body=SECRET)
    found = await ask(spec)
    assert (found.state, found.models) == (state, ())


@pytest.mark.gen_test
async def test_a_redirect_is_not_followed(app: tornado.web.Application, spec: UpstreamSpec) -> None:
    app.settings.update(status=302)
    assert (await ask(spec)).state == "unclear"
    assert len(app.settings["asked"]) == 1


@pytest.mark.parametrize(
    "body",
    [
        *("", "<html>", "[]", "{}", "null", '{"data": 1}', '{"data": [1]}', '{"data": [{"id": 1}]}'),
        *('{"data": [{"id": ""}]}', '{"data": [{"id": "a\\u001b[2J"}]}', "[" * 100_000, b"\xff"),
        json.dumps({"data": [{"id": "x" * 257}]}),
    ],
)
@pytest.mark.gen_test
async def test_an_answer_that_is_no_list_of_models_is_unclear(
    app: tornado.web.Application, spec: UpstreamSpec, body: str | bytes
) -> None:
    app.settings.update(body=body)
    assert await ask(spec) == Check("unclear", "the answer is no list of models")


@pytest.mark.gen_test
async def test_an_endless_list_is_not_read_to_its_end(app: tornado.web.Application, spec: UpstreamSpec) -> None:
    app.settings.update(body=b" " * (LARGEST_LIST + 1) + GOOD.encode())
    assert (await ask(spec)).state == "unclear"


@pytest.mark.gen_test
async def test_an_upstream_that_is_not_there_is_unreachable(spec: UpstreamSpec) -> None:
    socket, port = tornado.testing.bind_unused_port()
    socket.close()
    assert (await ask(replace(spec, base_url=f"http://127.0.0.1:{port}/v1"))).state == "unreachable"
