"""What the first start shows: an address, a token and two ways to ask."""

from __future__ import annotations

import json
import shlex

from server.auth.accounts import AccountError, Accounts
from server.config.settings import Settings

FIRST_PERSON = "me"

_DEMO = (
    "Demo: no upstream is named, so a small model on this machine answers.\n"
    "To use your own, write OPENAI_KEY=... or ANTHROPIC_KEY=... into a file named .env and start again.\n\n"
)
_TOKEN = "Your token, shown only now: {token}\n\n"  # noqa: S105 - a line of text
_WAYS = """\
Ask in a shell:

curl {url}/v1/chat/completions -H {bearer} -H 'Content-Type: application/json' -d {body}

Ask in Python (pip install openai):

from openai import OpenAI
client = OpenAI(base_url={base_url}, api_key={api_key})
print(client.chat.completions.create(model={model}, messages=[{message}]).choices[0].message.content)
"""


async def first_token(accounts: Accounts) -> str | None:
    """A token for the first person, if there is nobody yet."""
    if await accounts.people():
        return None
    try:
        await accounts.create_person(FIRST_PERSON)
    except AccountError:  # another process was first
        return None
    _, token = await accounts.create_token(FIRST_PERSON, "first")
    return token


def banner(settings: Settings, url: str, token: str | None, model: str) -> str:
    """The lines to show at a start. `url` is where it listens; `token` is one just made, else None."""
    place = settings.public_url or url
    message = {"role": "user", "content": "Hello"}
    key = token or _placeholder(settings)
    ways = _WAYS.format(
        url=place,
        bearer=shlex.quote(f"Authorization: Bearer {key}"),
        body=shlex.quote(json.dumps({"model": model, "messages": [message]})),
        base_url=json.dumps(f"{place}/v1"),
        api_key=json.dumps(key),
        model=json.dumps(model),
        message=json.dumps(message),
    )
    return "".join(
        (
            f"{settings.title} is ready: {place}/\n\n",
            _DEMO if settings.wants_demo else "",
            _TOKEN.format(token=token) if token else "",
            ways,
        )
    )


def _placeholder(settings: Settings) -> str:
    """What stands for the key in the examples, where the true one may not be shown or does not matter."""
    return {"user_token": "YOUR_TOKEN", "shared": "PROXY_KEY", "none": "anything"}[settings.gatekeeper]
