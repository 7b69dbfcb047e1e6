"""The operator's view of a start: an address, at the first start a token, and two ways to ask.

The example is one that works: a chat model that a living key serves and that has a price (`example.py`), on the route
that it speaks. Where there is none, the banner says so and how to find out why, and shows no command that must fail.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path

from server.auth.accounts import RESERVED, AccountError, Accounts
from server.bootstrap.example import Example
from server.config.settings import Settings

FIRST_PERSON = "me"

_DEMO = (
    "Demo: no upstream is named, so a small model on this machine answers.\n"
    "To use your own, write OPENAI_KEY=... or ANTHROPIC_KEY=... into a file named .env and start again.\n\n"
)
_TOKEN = "Your token, shown only now: {token}\n\n"  # noqa: S105 - a line of text
_TROUBLE = (
    "The store is in trouble: {trouble}.\nIf this is its first start, make a person and a token when it is well:\n"
    "{python} -m server user create {person}\n{python} -m server token create {person}\n\n"
)
_PAGES = "Log in with it at {place}/login. To administer there, too: {how}\n\n"
_CHAT = """\
Ask in a shell:

curl {url}/v1/chat/completions -H {bearer} -H 'Content-Type: application/json' -d {body}

Ask in Python (pip install openai):

from openai import OpenAI
client = OpenAI(base_url={base_url}, api_key={api_key})
print(client.chat.completions.create(model={model}, messages=[{message}]).choices[0].message.content)
"""
_MESSAGES = """\
Ask in a shell:

curl {url}/v1/messages -H {bearer} -H 'Content-Type: application/json' -H 'anthropic-version: 2023-06-01' -d {body}

Ask in Python (pip install anthropic):

from anthropic import Anthropic
client = Anthropic(base_url={root}, api_key={api_key})
print(client.messages.create(model={model}, max_tokens=256, messages=[{message}]).content[0].text)
"""
_NO_EXAMPLE = (
    "There is no chat model to show an example with: no key answers, no model has a price, or a group decides who may "
    "use it.\nAsk every key with: {python} -m server key check\n"
)


async def first_token(accounts: Accounts) -> str | None:
    """A token for the first person; None if there are people already. Names that the gateway keeps are no people."""
    if any(person.name not in RESERVED for person in await accounts.people()):
        return None
    try:
        await accounts.create_person(FIRST_PERSON)
    except AccountError:  # another process was first
        return None
    _, token = await accounts.create_token(FIRST_PERSON, "first")
    return token


def banner(
    settings: Settings,
    url: str,
    token: str | None,
    example: Example | None,
    *,
    trouble: str = "",
    python: str = "python",
) -> str:
    """The lines to show at a start. `url` is where it listens; `token` is one just made, else None.

    `trouble`: why no token could be made. `python`: what starts this interpreter in the operator's shell.
    """
    place = settings.public_url or url
    known = _ways(place, token or _placeholder(settings), example) if example else _NO_EXAMPLE.format(python=python)
    return "".join(
        (
            f"{settings.title} is ready: {place}/\n\n",
            _DEMO if settings.wants_demo else "",
            _TOKEN.format(token=token) + _pages(settings, place, python) if token else "",
            _TROUBLE.format(trouble=trouble, python=python, person=FIRST_PERSON) if trouble else "",
            known,
        )
    )


def python_of_the_shell() -> str:
    """`python` where that starts this interpreter, else its path: `make run` does not activate its environment."""
    here = Path(sys.executable)
    if shutil.which("python") == str(here):
        return "python"
    return shlex.quote(str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here))


def _pages(settings: Settings, place: str, python: str) -> str:
    """Where the first person logs in, and how an operator comes to the pages for administrators."""
    make = f"{python} -m server user change {FIRST_PERSON} --admin --yes"
    return _PAGES.format(place=place, how="log in with ADMIN_KEY." if settings.admin_key else make)


def _ways(place: str, key: str, example: Example) -> str:
    """Two ways to ask the example's model, each of which can be pasted as it is."""
    message = {"role": "user", "content": "Hello"}
    bound = {} if example.dialect == "openai" else {"max_tokens": 256}
    return (_CHAT if example.dialect == "openai" else _MESSAGES).format(
        url=place,
        bearer=shlex.quote(f"Authorization: Bearer {key}"),
        body=shlex.quote(json.dumps({"model": example.model, **bound, "messages": [message]})),
        base_url=json.dumps(f"{place}/v1"),
        root=json.dumps(place),
        api_key=json.dumps(key),
        model=json.dumps(example.model),
        message=json.dumps(message),
    )


def _placeholder(settings: Settings) -> str:
    """A stand-in for the key in the examples, where the true one may not be shown or does not matter."""
    return {"user_token": "YOUR_TOKEN", "shared": "PROXY_KEY", "none": "anything"}[settings.gatekeeper]
