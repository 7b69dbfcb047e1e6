"""The events that follow the status page say what the page says."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.web.examples import BROKEN, BUSY, IDLE, Page, a_view
from tests.web.samples import busy_status
from web import live_updates as live
from web import render
from web.view import NoticeView, StatusView


def test_an_event_is_one_line_of_json_with_the_words_of_the_page() -> None:
    view = busy_status()
    event = live.live_event(view)
    assert b"\n" not in event
    sent = json.loads(event)
    page = Page(render.status_html(view)).text
    assert set(sent) == {"shape", "text", "width"}
    assert all(words in page for words in sent["text"].values())


def test_moving_numbers_do_not_change_the_shape_of_the_page() -> None:
    calm, busy = a_view(models=(IDLE,)), a_view(models=(replace(IDLE, running=3, waiting=1),), requests_today=9)
    assert live.shape(calm) == live.shape(busy)
    assert live.texts(calm) != live.texts(busy)


@pytest.mark.parametrize(
    "changed",
    [
        a_view(models=(IDLE, BUSY)),
        a_view(models=(replace(BUSY, keys={"ready": 8}), IDLE)),
        a_view(state="draining"),
        a_view(models=(BROKEN, IDLE)),
        a_view(notices=(NoticeView("announcement", "Hello", 0),)),
        a_view(now_ms=a_view().now_ms + 300_000),
    ],
)
def test_whatever_else_changes_does(changed: StatusView) -> None:
    assert live.shape(changed) != live.shape(a_view())
