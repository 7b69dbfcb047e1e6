"""The operator's own page: HTML with {tags}, as the OAI Reverse Proxy has it. docs/custom-page.md lists them all.

It is plain substitution from a closed table, once from the beginning to the end. A value is never looked at again, so
no value can hold a tag; an unknown tag stays as it stands; `{{ }}` and `{% %}` mean nothing here. Values are escaped
for the text and the attributes of HTML. Those that are JSON are written so that they can stand in text, in a script
and in an attribute with single quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape
from typing import Any

from web import formatting as words
from web.view import ModelView, StatusView
from web.view_public import AliasView, CustomView, FamilyView

FAMILIES = ("turbo", "gpt4", "gpt432k", "gpt4_turbo", "grok", "google", "mistral", "palm", "ai21", "anthropic")
PROVIDERS = ("openai", "anthropic", "palm", "ai21", "google")
CONFIG = (
    "gatekeeper", "modelRateLimit", "queueMode", "promptLogging", "rejectDisallowed", "rejectMessage", "turboOnly",
    "page_body", "maxContextTokensOpenAI", "maxContextTokensAnthropic", "maxContextTokensGoogle",
    "maxContextTokensMistral", "maxOutputTokensOpenAI", "maxOutputTokensAnthropic", "maxOutputTokensGoogle",
    "maxOutputTokensMistral",
)  # fmt: skip
ABSENT = "Not Available"
CHECKED = "Finished checking keys."
# The names of families in the JSON of the OAI Reverse Proxy, where they differ from those of its tags.
IN_JSON = {"anthropic": "claude", "gpt432k": "gpt4_32k"}

_TAG = re.compile(r"(?<!\{)\{([A-Za-z0-9_.:/@+-]{1,120})\}(?!\})")
_PLAIN = {r"\\": r"\u005c", r"\"": r"\u0022"}
_ESCAPED = re.compile(r"""\\[\\"]""")  # both in one go: the second backslash of two escapes nothing
_HARMLESS = str.maketrans({each: f"\\u{ord(each):04x}" for each in "<>&'=`\u2028\u2029"})


def custom_html(page: str, view: CustomView) -> bytes:
    """The page with every known tag replaced, UTF-8."""
    table = tags(view)
    filled = _TAG.sub(lambda found: table.get(found[1], found[0]), page)
    return filled.encode("utf-8", "replace")


def tags(view: CustomView) -> dict[str, str]:
    """The value of each tag, escaped."""
    text = {**_general(view), **_counts(view), **_config(view), **_ours(view.status)}
    for name, family in _families(view).items():
        text |= {f"{name}:{field}": value for field, value in _family(name, family).items()}
    for model in view.status.models:
        text |= {f"model:{model.name}:{field}": value for field, value in _model(model).items()}
    return {tag: escape(value, quote=True) for tag, value in text.items()} | _documents(view)


# --- the OAI Reverse Proxy's


def _general(view: CustomView) -> dict[str, str]:
    status = view.status
    return {
        "title": status.title,
        "uptime": str(int(status.uptime_seconds)),
        "status": words.checking(status) or CHECKED,
        "build": view.build or ABSENT,
        **{f"endpoints:{name}": address for name, address in _endpoints(status).items()},
        "endpoints:palm": ABSENT,
        "endpoints:ai21": ABSENT,
        "azure:moderatedModels": ABSENT,
        "azure:unmoderatedModels": ABSENT,
    }


def _endpoints(status: StatusView) -> dict[str, str]:
    return {
        "openai": f"{status.base_url}/proxy/openai",
        "anthropic": f"{status.base_url}/proxy/anthropic",
        "universal": status.base_url,
    }


def _counts(view: CustomView) -> dict[str, str]:
    ever = view.status.ever or view.status.today
    return {
        "proompts": str(ever.requests),
        "proomptersNow": str(view.status.people_online or 0),
        "globalTokenCount": str(ever.tokens_in + ever.tokens_out),
        **{f"{name}Keys": str(view.keys.get(name, 0)) for name in PROVIDERS},
        **{f"{name}TokenCount": str(view.tokens_by_provider.get(name, 0)) for name in PROVIDERS},
    }


def _families(view: CustomView) -> dict[str, FamilyView]:
    return {**dict.fromkeys(FAMILIES, FamilyView()), **view.families}


def _family(name: str, family: FamilyView) -> dict[str, str]:
    return {field: str(value) for field, value in _figures(family).items()}


def _figures(family: FamilyView) -> dict[str, int | str]:
    return {
        "activeKeys": family.active,
        "overQuotaKeys": family.exhausted,
        "revokedKeys": family.revoked,
        "disabledKeys": family.disabled,
        "proomptersInQueue": family.waiting,
        # Kinds of keys that this gateway does not distinguish.
        "pozzedKeys": 0,
        "awsKeys": 0,
        "trialKeys": 0,
        "estimatedQueueTime": _wait(family.wait_seconds),
    }


def _wait(seconds: float | None) -> str:
    if seconds is None:
        return ABSENT
    return words.seconds(seconds) if seconds >= 1 else "No wait"


def _config(view: CustomView) -> dict[str, str]:
    # The page itself is not a value that belongs on the page.
    shown = {**view.config, "gatekeeper": view.gatekeeper, "page_body": None}
    return {f"config:{name}": _setting(shown.get(name)) for name in {*CONFIG, *shown}}


def _setting(value: str | int | bool | None) -> str:
    if value is None:
        return ABSENT
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- our own names


def _ours(status: StatusView) -> dict[str, str]:
    today, ever = status.today, status.ever or status.today
    return {
        "base_url": status.base_url,
        "state": status.state,
        "sentence": words.headline(status).sentence,
        "running": str(status.running),
        "waiting": str(status.waiting),
        "people": str(status.people_online or 0),
        "models": ", ".join(model.name for model in status.models),
        "fairness": words.fairness(status),
        "requests_today": str(today.requests),
        "requests": str(ever.requests),
        "tokens_today": str(today.tokens_in + today.tokens_out),
        "tokens": str(ever.tokens_in + ever.tokens_out),
        "cost_today": ABSENT if today.micro_usd is None else words.money(today.micro_usd),
        "cost": ABSENT if ever.micro_usd is None else words.money(ever.micro_usd),
        "now": words.iso(status.now_ms),
        "thanks": ", ".join(status.thanks),
    }


def _model(model: ModelView) -> dict[str, str]:
    return {
        "condition": model.condition,
        "running": str(model.running),
        "waiting": str(model.waiting),
        "wait": words.wait(model),
        "keys": words.keys_in_words(model),
    }


# --- JSON


def _documents(view: CustomView) -> dict[str, str]:
    return {
        "headerHtml": _header(view),
        "user:data": _json([_user(each) for each in view.people]),
        "user:aliases": _json([each.nickname for each in view.people]),
        "JSON": _json(_everything(view)),
    }


def _header(view: CustomView) -> str:
    """The head of the OAI Reverse Proxy's own page, as HTML: the title, and the waits of the families."""
    waits = [
        f"<strong>{escape(name)}:</strong> {escape(_wait(family.wait_seconds))}"
        for name, family in view.families.items()
        if family.wait_seconds is not None
    ]
    queue = f"<h2>Estimated Wait Times</h2>\n<p>{' / '.join(waits)}</p>" if waits else ""
    return f"<h1>{escape(view.status.title)}</h1>\n{queue}"


def _user(person: AliasView) -> Mapping[str, Any]:
    """A person in the fields of the OAI Reverse Proxy. A token, an address or a hash of one stands in none of them."""
    return {
        "alias": person.nickname,
        "type": "normal",
        "promptCount": person.requests,
        "tokenCount": person.tokens,
        "allPromptCount": dict(person.requests_by_model),
        "allTokenCountInput": dict(person.input_by_model),
        "allTokenCountOutput": dict(person.output_by_model),
        "promptLimit": -1,
        "timeLimit": -1,
        "endTimeLimit": -1,
    }


def _everything(view: CustomView) -> Mapping[str, Any]:
    """The figures of the OAI Reverse Proxy's own page, by its names."""
    general, counts, families = _general(view), _counts(view), _families(view)
    return {
        "uptime": int(view.status.uptime_seconds),
        "endpoints": _endpoints(view.status),
        **{name: int(value) for name, value in counts.items()},
        "status": general["status"],
        **{IN_JSON.get(name, name): _figures(family) for name, family in families.items() if name in view.families},
        "config": {name.removeprefix("config:"): value for name, value in sorted(_config(view).items())},
        "build": general["build"],
    }


def _json(value: object) -> str:
    """JSON that ends no script, opens no tag and makes no attribute: quotes inside its texts are \\u0022."""
    return _ESCAPED.sub(lambda found: _PLAIN[found[0]], json.dumps(value)).translate(_HARMLESS)
