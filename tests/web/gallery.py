"""All pages with sample data, to look at: `python -m tests.web.gallery FOLDER de`, then `python -m http.server`."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

from tests.web.samples import empty_pages, pages
from web.languages import ENGLISH, reading


def write(folder: Path, language: str = ENGLISH) -> list[str]:
    """Write every page and the static files; returns the pages' file names."""
    names = []
    (folder / "static").mkdir(parents=True, exist_ok=True)
    for entry in (files("web") / "static").iterdir():
        (folder / "static" / entry.name).write_bytes(entry.read_bytes())
    for name, make in (*pages(), *empty_pages()):
        with reading(language):
            (folder / f"{name}.html").write_bytes(make())
        names.append(f"{name}.html")
    return names


if __name__ == "__main__":
    print(*write(Path(sys.argv[1]), *sys.argv[2:]), sep="\n")
