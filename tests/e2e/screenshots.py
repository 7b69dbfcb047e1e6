"""The pictures of docs/tour.md, made anew: `python -m tests.e2e.screenshots [FOLDER]`.

They show the community of `fill.py`, whose people are invented. Pillow, where it is installed, halves the files.
"""

from __future__ import annotations

import asyncio
import sys
from importlib.util import find_spec
from pathlib import Path

from playwright.async_api import Browser

from server.ledger.usage import Outcome
from tests.e2e import figures
from tests.e2e.chromium import chromium as browser_of
from tests.e2e.chromium import log_in, tab
from tests.e2e.fill import filled, request_id
from tests.gateways import Running
from tests.pages.visitors import ADMIN_KEY

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
HEIGHT = {"home": 1500}  # pixels, 960 of the others; the width is 1280
COLOURS = 128
PUBLIC = {"status": "/", "models": "/models"}
OF_A_STUDENT = {"home": "/me"}
OF_THE_OPERATOR = {"keys": "/admin/keys", "usage": "/admin/usage?of=user"}


async def take(folder: Path) -> None:
    """Take all pictures, in light colours."""
    folder.mkdir(parents=True, exist_ok=True)
    async with filled() as running, browser_of() as browser:
        await _visit(browser, running, "", PUBLIC, folder)
        await _visit(browser, running, running.token, OF_A_STUDENT, folder)
        await _visit(browser, running, ADMIN_KEY, OF_THE_OPERATOR, folder)
        await _explained(browser, running, folder)


async def _visit(browser: Browser, running: Running, token: str, pages: dict[str, str], folder: Path) -> None:
    async with tab(browser, running.url) as seen:
        if token:
            await log_in(seen, token)
        for name, path in pages.items():
            await seen.page.set_viewport_size({"width": 1280, "height": HEIGHT.get(name, 960)})
            await seen.page.goto(path)
            await seen.page.screenshot(path=str(folder / f"{name}.png"))
            _make_small(folder / f"{name}.png")


async def _explained(browser: Browser, running: Running, folder: Path) -> None:
    async with tab(browser, running.url) as seen:
        await log_in(seen, running.token)
        failed = next(each for each in figures.month(0) if each.person == 0 and each.status is Outcome.FAILED)
        await seen.page.goto(f"/me/requests/{request_id(failed)}")
        await seen.page.screenshot(path=str(folder / "request.png"))
        _make_small(folder / "request.png")


def _make_small(file: Path) -> None:
    """Pages have few colours: a palette says them in a third of the bytes."""
    if find_spec("PIL"):
        from PIL import Image

        with Image.open(file) as image:
            image.convert("RGB").quantize(COLOURS).save(file, optimize=True)


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1]) if sys.argv[1:] else FOLDER))
