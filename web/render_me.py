"""A person's own pages: a view goes in, a page comes out."""

from __future__ import annotations

from web import charts
from web import environment as press
from web.view_me import CourseView, ExplainView, GroupsView, MeView, PrivacyView, QuestionView, RequestsView, TokensView
from web.view_models import HomeView
from web.view_public import MEASURES
from web.view_texts import TextsView


def me_html(view: MeView) -> bytes:
    bars = charts.daily(view.cells, view.first_day, view.last_day, view.by)
    return press.printed("me.html", view.frame, "me usage", view=view, bars=bars, measures=MEASURES)


def home_html(view: HomeView) -> bytes:
    return press.printed("home.html", view.frame, "me home", view=view)


def requests_html(view: RequestsView) -> bytes:
    return press.printed("requests.html", view.frame, "me requests", view=view)


def explain_html(view: ExplainView, here: str = "me requests") -> bytes:
    return press.printed("explain.html", view.frame, here, view=view)


def tokens_html(view: TokensView) -> bytes:
    return press.printed("tokens.html", view.frame, "me tokens", view=view)


def groups_html(view: GroupsView) -> bytes:
    return press.printed("groups.html", view.frame, "me groups", view=view)


def course_html(view: CourseView) -> bytes:
    bars = charts.daily(view.cells, view.first_day, view.last_day, "cost")
    return press.printed("course.html", view.frame, "me groups", view=view, bars=bars)


def texts_html(view: TextsView) -> bytes:
    here = "admin groups" if view.administration else "me groups"
    return press.printed("texts.html", view.frame, here, view=view)


def privacy_html(view: PrivacyView) -> bytes:
    return press.printed("privacy.html", view.frame, "me privacy", view=view)


def question_html(view: QuestionView) -> bytes:
    """The question before a dangerous act: its effects."""
    return press.printed("question.html", view.frame, "", view=view)
