"""LiteLLM's proxy, from PyPI, in an environment of its own: one worker, a master key, no database."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from bench import children
from bench.gateway import Backing, Subject, settled
from bench.load import Target
from bench.peers.cache import folder, install

NAME = "LiteLLM"
VERSION = "1.108.7"
MASTER_KEY = "sk-bench-master"
# What its page for production names: LITELLM_MODE, LITELLM_LOG and set_verbose.
CONFIGURATION = """
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: http://127.0.0.1:{upstream}/v1
      api_key: {key}
      input_cost_per_token: 0.00000125
      output_cost_per_token: 0.00001
litellm_settings:
  set_verbose: false
  num_retries: 0
general_settings:
  master_key: {master}
"""
ENVIRONMENT = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


@contextlib.asynccontextmanager
async def litellm(backing: Backing, place: Path) -> AsyncIterator[Subject]:
    """One worker."""
    home = folder("litellm")
    pip = ["bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", f"litellm[proxy]=={VERSION}"]
    await install(home / "installed", VERSION, [sys.executable, "-m", "venv", str(home)], pip)
    place.mkdir()
    port = children.unused_port()
    written = place / "litellm.yaml"
    mock = backing.plain
    written.write_text(
        CONFIGURATION.format(model=mock.model, upstream=mock.port, key=mock.token, master=MASTER_KEY), encoding="utf-8"
    )
    command = [str(home / "bin/litellm"), "--config", str(written), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--num_workers", "1"]
    async with children.child(command, ENVIRONMENT, backing.cores, place, "litellm.log") as process:
        await children.until(lambda: children.answers(port, "/health/liveliness"), process, place / "litellm.log")
        yield await settled(Subject(NAME, Target(port, MASTER_KEY, mock.model), process.pid))
