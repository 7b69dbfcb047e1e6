"""What Tornado keeps of its own past: the inputs behind its security fixes, sent to our routes."""

from __future__ import annotations

import pytest
from tornado.test.security_corpus_test import CASES, Case

from tests.hostile.http_raw import Wire
from tests.hostile.site import CHAT, Site


def ours(case: Case, token: str) -> bytes:
    """The same attack on a route of ours, with a proper token."""
    head = f"{CHAT} HTTP/1.1\r\nAuthorization: Bearer {token}".encode()
    return case.request.replace(b"/echo HTTP/1.1", head)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.advisory} {case.name}")
def test_no_hole_that_was_mended_in_tornado_is_open_here(services: Site, case: Case) -> None:
    with services.untouched(), Wire(services.url) as wire:
        wire.send(ours(case, services.token))
        answer = wire.rest()
    assert answer.startswith(b"HTTP/1.1 200" if b"GET /status?" in case.request else b"HTTP/1.1 4")  # a page of ours
    assert answer.count(b"HTTP/1.1 ") == 1
    assert case.forbidden is None or case.forbidden not in answer


def test_the_corpus_reaches_our_routes() -> None:
    """Else the test above would pass because nothing was attacked."""
    assert sum(b"Bearer secret" in ours(case, "secret") for case in CASES) > 15
