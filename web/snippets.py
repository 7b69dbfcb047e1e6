"""How to use an installation from what people have: a table of snippets, and the two pages that are made of it.

`docs/clients.md` shows them with placeholders; the page `/docs` of an installation shows the same with its own address
(`filled`). Every snippet that can run on a developer's machine is run in `tests/shipping/test_snippets.py`, exactly as
it stands here: there is no second copy.

In the code `{base_url}`, `{token}` and `{model}` are the only places to be filled; other braces are the languages' own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from web.wording import Wording as W
from web.wording import said

BASE_URL, TOKEN, MODEL = "https://llm.example.org", "YOUR_TOKEN", "MODEL"

# What may stand in a string of any of these languages as it is, and means nothing in any.
_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}")


@dataclass(frozen=True, slots=True)
class Snippet:
    """One way in. `language` is Markdown's name for it, `dialect` what it speaks, `file` where the code goes, if not
    into a shell or a program of one's own; `install` is what it needs."""

    slug: str
    title: str
    language: str
    dialect: str
    code: str
    install: str = ""
    file: str = ""
    note: str = ""


SNIPPETS = (
    Snippet(
        "curl", W("curl"), "sh", "openai",
        """\
curl {base_url}/v1/chat/completions \\
  -H "Authorization: Bearer {token}" -H "Content-Type: application/json" \\
  -d '{"model": "{model}", "messages": [{"role": "user", "content": "Hello"}]}'
""",
    ),
    Snippet(
        "curl-stream", W("curl, streamed"), "sh", "openai",
        """\
curl --no-buffer {base_url}/v1/chat/completions \\
  -H "Authorization: Bearer {token}" -H "Content-Type: application/json" \\
  -d '{"model": "{model}", "stream": true, "messages": [{"role": "user", "content": "Hello"}]}'
""",
        note=W(
            "While its request waits, or its model thinks, a stream gets a comment (`: waiting`) every 15 seconds, "
            "in Anthropic's dialect a `ping`. Both SDKs read over them. A client that does not may send the header "
            "`X-Fairgate-Keepalive: off`, or `chunk` for chunks without content; a token may have the same as a term."
        ),
    ),
    Snippet(
        "curl-anthropic", W("curl, Anthropic's dialect"), "sh", "anthropic",
        """\
curl {base_url}/v1/messages \\
  -H "x-api-key: {token}" -H "anthropic-version: 2023-06-01" -H "Content-Type: application/json" \\
  -d '{"model": "{model}", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}'
""",
    ),
    Snippet(
        "openai-python", W("OpenAI's SDK for Python"), "python", "openai",
        """\
from openai import OpenAI

client = OpenAI(base_url="{base_url}/v1", api_key="{token}")
answer = client.chat.completions.create(model="{model}", messages=[{"role": "user", "content": "Hello"}])
print(answer.choices[0].message.content)
""",
        install="pip install openai",
    ),
    Snippet(
        "openai-python-stream", W("OpenAI's SDK for Python, streamed"), "python", "openai",
        """\
from openai import OpenAI

client = OpenAI(base_url="{base_url}/v1", api_key="{token}")
question = [{"role": "user", "content": "Hello"}]
for chunk in client.chat.completions.create(model="{model}", messages=question, stream=True):
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
""",
        install="pip install openai",
    ),
    Snippet(
        "anthropic-python", W("Anthropic's SDK for Python"), "python", "anthropic",
        """\
from anthropic import Anthropic

client = Anthropic(base_url="{base_url}", api_key="{token}")
question = [{"role": "user", "content": "Hello"}]
with client.messages.stream(model="{model}", max_tokens=100, messages=question) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
""",
        install="pip install anthropic",
        note=W("The base URL has no `/v1` here: Anthropic's SDKs add it themselves."),
    ),
    Snippet(
        "openai-node", W("OpenAI's SDK for Node"), "js", "openai",
        """\
import OpenAI from "openai";

const client = new OpenAI({ baseURL: "{base_url}/v1", apiKey: "{token}" });
const messages = [{ role: "user", content: "Hello" }];
const answer = await client.chat.completions.create({ model: "{model}", messages });
console.log(answer.choices[0].message.content);
""",
        install="npm install openai",
    ),
    Snippet(
        "anthropic-node", W("Anthropic's SDK for Node"), "js", "anthropic",
        """\
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: "{base_url}", apiKey: "{token}" });
const messages = [{ role: "user", content: "Hello" }];
const answer = await client.messages.create({ model: "{model}", max_tokens: 100, messages });
console.log(answer.content[0].text);
""",
        install="npm install @anthropic-ai/sdk",
    ),
    Snippet(
        "langchain-openai", W("LangChain"), "python", "openai",
        """\
from langchain_openai import ChatOpenAI

model = ChatOpenAI(base_url="{base_url}/v1", api_key="{token}", model="{model}")
for piece in model.stream("Hello"):
    print(piece.text, end="", flush=True)
""",
        install="pip install langchain-openai",
    ),
    Snippet(
        "langchain-anthropic", W("LangChain, Anthropic's dialect"), "python", "anthropic",
        """\
from langchain_anthropic import ChatAnthropic

model = ChatAnthropic(base_url="{base_url}", api_key="{token}", model="{model}", max_tokens=100)
for piece in model.stream("Hello"):
    print(piece.text, end="", flush=True)
""",
        install="pip install langchain-anthropic",
    ),
    Snippet(
        "vercel-ai", W("Vercel AI SDK"), "js", "openai",
        """\
import { createOpenAI } from "@ai-sdk/openai";
import { streamText } from "ai";

const fairgate = createOpenAI({ baseURL: "{base_url}/v1", apiKey: "{token}" });
const { textStream } = streamText({ model: fairgate.chat("{model}"), prompt: "Hello" });
for await (const text of textStream) process.stdout.write(text);
""",
        install="npm install ai @ai-sdk/openai",
    ),
    Snippet(
        "vercel-ai-anthropic", W("Vercel AI SDK, Anthropic's dialect"), "js", "anthropic",
        """\
import { createAnthropic } from "@ai-sdk/anthropic";
import { generateText } from "ai";

const fairgate = createAnthropic({ baseURL: "{base_url}/v1", apiKey: "{token}" });
const { text } = await generateText({ model: fairgate("{model}"), prompt: "Hello" });
console.log(text);
""",
        install="npm install ai @ai-sdk/anthropic",
    ),
    Snippet(
        "environment", W("Programs that read the environment"), "sh", "openai",
        """\
export OPENAI_BASE_URL="{base_url}/v1" OPENAI_API_KEY="{token}"
export ANTHROPIC_BASE_URL="{base_url}" ANTHROPIC_API_KEY="{token}"
""",
        note=W("The SDKs of both providers take these, and so does whatever is built upon them."),
    ),
    Snippet(
        "llm", W("llm"), "yaml", "openai",
        """\
- model_id: fairgate
  model_name: "{model}"
  api_base: "{base_url}/v1"
  api_key_name: fairgate
""",
        install="pip install llm",
        file="extra-openai-models.yaml",
        note=W(
            'The file goes into the folder that `dirname "$(llm logs path)"` names. Store the token with '
            "`llm keys set fairgate`, then ask: `llm -m fairgate Hello`."
        ),
    ),
    Snippet(
        "aider", W("aider"), "sh", "openai",
        """\
export OPENAI_API_BASE="{base_url}/v1" OPENAI_API_KEY="{token}"
aider --model "openai/{model}"
""",
        install="pip install aider-chat",
    ),
    Snippet(
        "claude-code", W("Claude Code"), "sh", "anthropic",
        """\
export ANTHROPIC_BASE_URL="{base_url}" ANTHROPIC_AUTH_TOKEN="{token}" ANTHROPIC_MODEL="{model}"
export ANTHROPIC_SMALL_FAST_MODEL="{model}" ANTHROPIC_DEFAULT_HAIKU_MODEL="{model}"
claude -p "Hello"
""",
        install="npm install -g @anthropic-ai/claude-code",
        note=W("An `ANTHROPIC_API_KEY` that is set besides must go: `unset ANTHROPIC_API_KEY`."),
    ),
    Snippet(
        "codex", W("Codex CLI"), "toml", "openai",
        """\
model = "{model}"
model_provider = "fairgate"

[model_providers.fairgate]
name = "fairgate"
base_url = "{base_url}/v1"
env_key = "FAIRGATE_TOKEN"
wire_api = "responses"
""",
        install="npm install -g @openai/codex",
        file="~/.codex/config.toml",
        note=W(
            "The token is read from the environment: `export FAIRGATE_TOKEN={token}`. Any model that calls tools "
            "will do; of one that it does not know, Codex says that it has no metadata, and goes by its usual ones. "
            "The demo's model is too small: it calls no tools, and Codex's instructions alone are longer than it reads."
        ),
    ),
    Snippet(
        "open-webui", W("Open WebUI"), "sh", "openai",
        """\
export OPENAI_API_BASE_URL="{base_url}/v1" OPENAI_API_KEY="{token}"
open-webui serve --port 3000
""",
        install="pip install open-webui",
        note=W(
            "In its container the same two variables are set with `-e`; in a running one it is Admin Panel, Settings, "
            "Connections, OpenAI API. With one token for all its users they share one place in the queue: give each "
            "their own where you can."
        ),
    ),
    Snippet(
        "editors", W("Cursor and other editors"), "text", "openai",
        """\
OpenAI API key:            {token}
Override OpenAI base URL:  {base_url}/v1
Model:                     {model}
""",
        note=W(
            "Cursor has them in Settings, Models; Continue, Cline, Zed and JetBrains call it an OpenAI-compatible "
            "provider. Cursor's own servers make the requests, so it needs an address that is reached from the "
            "internet."
        ),
    ),
)  # fmt: skip


def filled(snippet: Snippet, base_url: str, token: str, model: str) -> Snippet:
    """The snippet with an installation's address, a token and a model in its places.

    What might end a string in one of the languages is not put in: its placeholder stays. The result is text, not HTML.
    """
    values = {
        "{base_url}": base_url.rstrip("/") if _HARMLESS.fullmatch(base_url) else BASE_URL,
        "{token}": token if _HARMLESS.fullmatch(token) else TOKEN,
        "{model}": model if _HARMLESS.fullmatch(model) else MODEL,
    }

    def put(text: str) -> str:
        return re.sub("|".join(map(re.escape, values)), lambda found: values[found[0]], text)

    return replace(snippet, code=put(snippet.code), note=put(str(said(snippet.note))))


def markdown() -> str:
    """The page `docs/clients.md`, with placeholders."""
    lines = [
        "# Use it from",
        "",
        f"Put your installation's address in place of `{BASE_URL}`, your gatekeeper token in place of `{TOKEN}` and a",
        f"model's name in place of `{MODEL}` (`GET /v1/models` lists them). An installation's own page `/docs` has the",
        "same with its address.",
        "",
        "This page is written by `make docs` from `web/snippets.py`; what can run in a test is run there.",
        "What a request may look like, and what refusals mean: [requests.md](requests.md). What the official SDKs' own",
        "tests ask for and get another answer to: [sdk-suites.md](sdk-suites.md).",
    ]
    for snippet in SNIPPETS:
        lines += ["", *_section(filled(snippet, BASE_URL, TOKEN, MODEL))]
    return "\n".join(lines) + "\n"


def _section(snippet: Snippet) -> Iterator[str]:
    yield f"## {snippet.title}"
    yield ""
    if snippet.install:
        yield from ("```sh", snippet.install, "```", "")
    if snippet.file:
        yield from (f"In `{snippet.file}`:", "")
    yield from (f"```{snippet.language}", snippet.code.rstrip("\n"), "```")
    if snippet.note:
        yield from ("", snippet.note)
