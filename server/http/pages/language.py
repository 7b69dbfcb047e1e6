"""`/language/{name}?next=/docs`: the reader's own choice of a language, from the foot of each page.

A link and a cookie, so that it works on pages that are the same for all and without JavaScript. It changes nothing but
how this browser is written to.
"""

from __future__ import annotations

from server.http.pages.base import BrowserHandler
from server.http.pages.public import LANGUAGE
from server.http.redirects import own_path
from server.wire.errors import UnknownUrl

SECONDS = 365 * 86_400


class LanguageChoice(BrowserHandler):
    """Keeps the choice for a year, and goes back to the page. Raises UnknownUrl for a language that is not offered."""

    def get(self, name: str) -> None:
        if name not in self.languages:
            raise UnknownUrl
        self.set_cookie(
            LANGUAGE, name, max_age=SECONDS, path="/", httponly=True, samesite="Lax", secure=self.is_secure()
        )
        self.redirect(own_path(self.get_query_argument("next", "/")), status=303)
