"""Doors that the operator has closed: to web sites, and to everybody while the house is being mended."""

from __future__ import annotations

import time
from collections.abc import Iterator

import orjson
import pytest

from server.config.specs import Secret
from server.policy.notices import Notice, NoticeKind, notice_body
from server.store.base import Record
from tests.hostile.catalogue import KEY, Answer, assert_is, assert_is_the_last
from tests.hostile.http_raw import Reply, Wire, request
from tests.hostile.site import CHAT, MESSAGES, ROUTES, Site, site

MODELS = {CHAT: "gpt-5", MESSAGES: "claude-sonnet-4-5"}
OPERATOR = "an-admin-key-that-is-long-enough"
NO_SITES = Answer(
    403,
    "origin_blocked",
    "Not from there, please.",
    kind="permission_error",
    anthropic_kind="permission_error",
)
MESSAGE = "The gateway is closed for maintenance."
HOUR = 3_600_000  # milliseconds


@pytest.fixture(scope="module")
def choosy() -> Iterator[Site]:
    """A gateway that does not serve the pages of one site."""
    words = "Not from there, please."
    with site(blocked_origins=("chat.example.com",), block_message=words, admin_key=Secret(OPERATOR)) as built:
        yield built


def body_for(path: str) -> bytes:
    messages = [{"role": "user", "content": "x"}]
    return orjson.dumps({"model": MODELS[path], "messages": messages, "max_tokens": 5})


def ask(services: Site, path: str, **headers: str) -> Reply:
    reply = services.post(path, body_for(path), **headers)
    assert reply is not None
    services.rest()
    return reply


BLOCKED = [
    {"Origin": "https://chat.example.com"},
    {"Origin": "HTTPS://CHAT.EXAMPLE.COM:8443"},
    {"Referer": "https://chat.example.com/rooms?id=5"},
    {"Origin": "https://fine.example", "Referer": "https://eu.chat.example.com/"},
    {"Origin": "null", "Referer": "https://chat.example.com"},
]
WELCOME = [{}, {"Origin": "https://example.com"}, {"Referer": "https://fine.example/?from=chat.example.com"}]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("headers", BLOCKED)
def test_a_blocked_site_is_refused_in_the_operators_words(choosy: Site, path: str, headers: dict[str, str]) -> None:
    with choosy.untouched():
        assert_is(choosy.post(path, body_for(path), **headers), NO_SITES, path)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("headers", WELCOME)
def test_other_sites_are_served(choosy: Site, path: str, headers: dict[str, str]) -> None:
    assert ask(choosy, path, **headers).status == 200


@pytest.mark.parametrize("path", ROUTES)
def test_a_blocked_site_cannot_make_us_read_what_it_sends_nor_learn_whether_a_token_is_good(
    choosy: Site, path: str
) -> None:
    headers = choosy.headers(Origin="https://chat.example.com", Content_Length="900000", Authorization="Bearer x")
    with choosy.untouched(), Wire(choosy.url) as wire:
        wire.send(request("POST", path, headers, b"{"))
        assert_is_the_last(wire, NO_SITES, path)


@pytest.mark.parametrize("path", ROUTES)
def test_without_blocked_sites_every_page_may_ask(services: Site, path: str) -> None:
    assert ask(services, path, Origin="https://chat.example.com").status == 200


# Maintenance


def announce(services: Site, kind: NoticeKind, since: int, until: int | None) -> None:
    now = time.time_ns() // 1_000_000
    end = None if until is None else now + until
    notice = Notice("n", kind, "We mend the <roof>.", now + since, end)
    tell(services, Record("notice", "n", notice_body(notice)))


def tell(services: Site, record: Record) -> None:
    services.do(services.services.store.put_record, record)
    services.do(services.services.book.sync)


@pytest.fixture
def told(choosy: Site) -> Iterator[Site]:
    """The house, whose notices are taken down afterwards."""
    yield choosy
    choosy.do(choosy.services.store.remove_record, "notice", "n")
    choosy.do(choosy.services.book.sync)


def code(reply: Reply, path: str) -> str:
    error = orjson.loads(reply.body)["error"]
    assert error["message"] == MESSAGE
    return str(error["type"] if path == MESSAGES else error["code"])


@pytest.mark.parametrize("path", ROUTES)
def test_during_maintenance_people_are_told_when_to_come_back_and_nothing_else(told: Site, path: str) -> None:
    announce(told, NoticeKind.MAINTENANCE, -HOUR, HOUR)
    with told.untouched():
        reply = ask(told, path)
    assert (reply.status, code(reply, path)) == ((503, "maintenance") if path == CHAT else (529, "overloaded_error"))
    assert 3500 < int(reply.headers["retry-after"]) <= 3600
    assert b"roof" not in reply.body


def test_maintenance_without_an_end_asks_to_come_back_soon(told: Site) -> None:
    announce(told, NoticeKind.MAINTENANCE, -HOUR, None)
    assert ask(told, CHAT).headers["retry-after"] == "60"


def test_an_administrator_is_served_all_the_same(told: Site) -> None:
    announce(told, NoticeKind.MAINTENANCE, -HOUR, HOUR)
    assert ask(told, CHAT, Authorization=f"Bearer {OPERATOR}").status == 200


def test_a_stranger_hears_of_the_key_first(told: Site) -> None:
    announce(told, NoticeKind.MAINTENANCE, -HOUR, HOUR)
    with told.untouched():
        assert_is(told.post(CHAT, body_for(CHAT), Authorization="Bearer x"), KEY, CHAT)


@pytest.mark.parametrize(
    ("kind", "since", "until"),
    [
        (NoticeKind.MAINTENANCE, HOUR, 2 * HOUR),
        (NoticeKind.MAINTENANCE, -2 * HOUR, -HOUR),
        (NoticeKind.ANNOUNCEMENT, -HOUR, HOUR),
        (NoticeKind.INCIDENT, -HOUR, None),
    ],
)
def test_other_notices_close_nothing(told: Site, kind: NoticeKind, since: int, until: int | None) -> None:
    announce(told, kind, since, until)
    assert ask(told, CHAT).status == 200


def test_a_notice_that_cannot_be_read_closes_nothing(told: Site) -> None:
    tell(told, Record("notice", "n", {"kind": "maintenance", "since": "now"}))
    assert ask(told, CHAT).status == 200
