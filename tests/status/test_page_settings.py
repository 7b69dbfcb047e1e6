"""How an operator names a page of their own."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from server.config.settings import Settings, SettingsError, load


def read(**environ: str) -> Settings:
    return load(environ=environ, dotenv=None)


def test_a_page_is_base64_or_a_file(tmp_path: Path) -> None:
    page = "<p>Grüße, {title}</p>"
    file = tmp_path / "page.html"
    file.write_text(page, encoding="utf-8")
    assert read(PAGE_BODY=b64encode(page.encode()).decode()).page == page
    assert read(PAGE_FILE=str(file)).page == page
    assert read().page == ""
    assert "Grüße" not in repr(read(PAGE_FILE=str(file)))


def test_what_is_none_is_a_mistake(tmp_path: Path) -> None:
    wrong = [
        {"PAGE_BODY": "no base64!"},
        {"PAGE_BODY": b64encode(b"\xff\xfe").decode()},
        {"PAGE_FILE": str(tmp_path / "none.html")},
        {"PAGE_FILE": str(tmp_path), "PAGE_BODY": "YQ=="},
        {"PAGE_CSP": "img-src a; img-src b"},
    ]
    for environ in wrong:
        with pytest.raises(SettingsError, match="PAGE_"):
            read(**environ)
