"""The public pages: a view goes in, bytes come out, UTF-8.

The pages under `/me` are in `render_me.py`, the administrators' in `render_admin.py`, those for programs in
`status_data.py` and `feeds.py`.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from web import environment as press
from web import formatting as words
from web import live_updates as live
from web import status_data
from web.environment import CONTENT_SECURITY_POLICY, static
from web.languages import reader, reading
from web.snippets import SNIPPETS, filled
from web.view import Frame, StatusView
from web.view_models import ModelsView
from web.view_public import DocsView, InvitationView, LeaderboardView, LoginView, MessageView
from web.wording import Wording

__all__ = [
    "CONTENT_SECURITY_POLICY", "docs_html", "error_page", "invitation_html", "leaderboard_html", "login_html",
    "login_page", "logout_page", "message_html", "models_html", "personal", "static", "status_html", "status_json",
]  # fmt: skip

# The rest are in the standard's words.
_PHRASES = {
    400: Wording("Bad Request"),
    401: Wording("Unauthorized"),
    403: Wording("Forbidden"),
    404: Wording("Not Found"),
    405: Wording("Method Not Allowed"),
    413: Wording("Too Large"),
    429: Wording("Too Many Requests"),
    500: Wording("Internal Server Error"),
    503: Wording("Service Unavailable"),
}

# The parts of a page that are its visitor's. What users write has no such comment: it is escaped.
_SESSION = re.compile(rb"<!-- (session_nav|session_name) -->.*?<!-- /session -->", re.DOTALL)

TOKEN = "YOUR_TOKEN"  # noqa: S105 - what stands in its place


def status_html(view: StatusView) -> bytes:
    """The status page. It is the same for all visitors of one language."""
    with reading(view.language or reader()):
        return press.printed(
            "status.html",
            view.frame,
            "status",
            view=view,
            headline=words.headline(view),
            texts=live.texts(view),
            widths=live.widths(view),
            shape=live.shape(view),
            watched_days=max((sum(day is not None for day in model.uptime_days) for model in view.models), default=0),
        )


def personal(page: bytes, frame: Frame) -> bytes:
    """A page that was made once for all, with its visitor's ways at the head and their name at the foot."""
    names = ("session_nav", "session_name")
    made = {name.encode(): press.printed(f"{name}.html", frame, "") for name in names}
    return _SESSION.sub(lambda found: made[found[1]], page)


def status_json(view: StatusView) -> bytes:
    """The same facts for programs (docs/status-json.md)."""
    return status_data.status_json(view)


def leaderboard_html(view: LeaderboardView) -> bytes:
    return press.printed("leaderboard.html", view.frame, "leaderboard", view=view)


def docs_html(view: DocsView) -> bytes:
    """How to use this installation, with its own address in every snippet."""
    models = {"openai": view.openai_model, "anthropic": view.anthropic_model}
    with reading(view.frame.language or reader()):
        snippets = [filled(each, view.base_url, TOKEN, models[each.dialect]) for each in SNIPPETS]
        return press.printed("docs.html", view.frame, "docs", view=view, snippets=snippets)


def models_html(view: ModelsView) -> bytes:
    return press.printed("models.html", view.frame, "models", view=view)


def login_html(view: LoginView) -> bytes:
    return press.printed("login.html", view.frame, "login", view=view)


def message_html(view: MessageView) -> bytes:
    return press.printed("message.html", view.frame, "", view=view)


def error_page(frame: Frame, status: int, message: str) -> bytes:
    """A page that says what went wrong; `message` is a sentence of ours, never what a caller sent."""
    return message_html(MessageView(frame, str(status), _phrase(status), message))


def invitation_html(view: InvitationView) -> bytes:
    return press.printed("invitation.html", view.frame, "login", view=view)


def login_page(frame: Frame, provider_path: str | None, next_path: str, problem: str, answer: str) -> bytes:
    """The login where nothing but the frame is known. `answer` is the provider's own word for the problem."""
    failed = Wording("%(problem)s (%(answer)s)", problem=problem, answer=answer) if answer else problem
    provider = Wording("your organisation") if provider_path else ""
    return login_html(LoginView(frame, provider, provider_path or "", next=next_path, failed=failed))


def logout_page(frame: Frame) -> bytes:
    """For who came to the logout from another site: they go on by a link of ours."""
    leave = ("/logout", Wording("Yes, log me out"))
    words = Wording("Another page has sent you here.")
    return message_html(MessageView(frame, "", Wording("Log out?"), words, leave))


def _phrase(status: int) -> str:
    try:
        return _PHRASES.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return Wording("Error")
