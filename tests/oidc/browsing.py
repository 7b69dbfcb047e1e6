"""A browser that keeps cookies, sends forms, and goes nowhere by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import aiohttp
from yarl import URL


@dataclass
class Answer:
    url: str
    status: int
    location: str
    text: str
    cookies: SimpleCookie
    headers: dict[str, str]


@dataclass
class Browser:
    """`url` is where paths begin."""

    url: str
    session: aiohttp.ClientSession

    async def get(self, path: str, **headers: str) -> Answer:
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, **form: str) -> Answer:
        return await self._ask("POST", path, form, {})

    async def login(self, path: str = "/me") -> Answer:
        """There and back again, where the provider asks nothing."""
        begun = await self.get(f"/login/oidc?{urlencode({'next': path})}")
        back = await self.get(begun.location)
        return await self.get(back.location)

    async def follow(self, answer: Answer, until: str) -> Answer:
        """Go where one is sent, until that is an address which begins so, or nowhere."""
        while answer.location and not answer.location.startswith(until):
            answer = await self.get(str(URL(answer.url).join(URL(answer.location, encoded=True))))
        return answer

    async def _ask(self, method: str, path: str, form: dict[str, str] | None, headers: dict[str, str]) -> Answer:
        url = URL(path if path.startswith("http") else self.url + path, encoded=True)
        named = {"Accept": "text/html", **headers}
        async with self.session.request(method, url, data=form, headers=named, allow_redirects=False) as answer:
            text, location = await answer.text(errors="replace"), answer.headers.get("Location", "")
            return Answer(str(url), answer.status, location, text, answer.cookies, dict(answer.headers))


@asynccontextmanager
async def browser(url: str) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Browser(url, session)
