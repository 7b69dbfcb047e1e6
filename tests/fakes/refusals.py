"""The providers' own words when they say no: status, headers and body, as they were seen at OpenAI and Anthropic."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from tests.fakes.fates import Refuse
from tests.fakes.http1 import Headers
from tests.fakes.model import Json, dump

INVALID = "invalid_request_error"
SORRY = (
    "The server had an error while processing your request. Sorry about that! You can retry your request, or contact "
    "us through our help center at help.openai.com if you keep seeing this error. "
    "(Please include the request ID req_fake in your email.)"
)
BAD_GATEWAY = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
)


# Status, message, type, param, code; by the fate's name, or its name and variant.
OPENAI: dict[str, tuple[int, str, str, str | None, str | None]] = {
    "rate_limit requests": (
        429,
        "Rate limit reached for {model} in organization org-fake on requests per min (RPM): Limit 3, Used 3, Requested "
        "1. Please try again in {wait}. Visit https://platform.openai.com/account/rate-limits to learn more.",
        "requests",
        None,
        "rate_limit_exceeded",
    ),
    "rate_limit tokens": (
        429,
        "Rate limit reached for {model} in organization org-fake on tokens per min (TPM): Limit 200000, Used 199990, "
        "Requested 20. Please try again in {wait}. Visit "
        "https://platform.openai.com/account/rate-limits to learn more.",
        "tokens",
        None,
        "rate_limit_exceeded",
    ),
    "insufficient_quota": (
        429,
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
        "insufficient_quota",
        None,
        "insufficient_quota",
    ),
    "billing": (
        429,
        "Your account is not active, please check your billing details on our website.",
        "billing_not_active",
        None,
        "billing_not_active",
    ),
    "revoked": (
        401,
        "Incorrect API key provided: {key}. You can find your API key at https://platform.openai.com/account/api-keys.",
        INVALID,
        None,
        "invalid_api_key",
    ),
    "deactivated": (
        401,
        "The OpenAI account associated with this API key has been deactivated. If you are the owner of this API key, "
        "please check your email for more information.",
        INVALID,
        None,
        "account_deactivated",
    ),
    "model_missing 404": (
        404,
        "The model `{model}` does not exist or you do not have access to it.",
        INVALID,
        None,
        "model_not_found",
    ),
    "model_missing 403": (
        403,
        "Project `proj_fake` does not have access to model `{model}`",
        INVALID,
        None,
        "model_not_found",
    ),
    "context_too_long": (
        400,
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130001 tokens. "
        "Please reduce the length of the messages.",
        INVALID,
        "messages",
        "context_length_exceeded",
    ),
    "overloaded": (503, "The engine is currently overloaded, please try again later", "server_error", None, None),
    "server_error": (500, SORRY, "server_error", None, None),
}
# Status, type, message.
ANTHROPIC: dict[str, tuple[int, str, str]] = {
    "rate_limit requests": (
        429,
        "rate_limit_error",
        "This request would exceed your organization's rate limit of 50 requests per minute (org: fake, model: "
        "{model}). For details, refer to: https://docs.claude.com/en/api/rate-limits.",
    ),
    "rate_limit tokens": (
        429,
        "rate_limit_error",
        "This request would exceed your organization's rate limit of 30,000 input tokens per minute (org: fake, model: "
        "{model}). For details, refer to: https://docs.claude.com/en/api/rate-limits.",
    ),
    "insufficient_quota": (
        400,
        INVALID,
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or "
        "purchase credits.",
    ),
    "billing": (402, "billing_error", "There is an issue with your organization's billing."),
    "revoked": (401, "authentication_error", "invalid x-api-key"),
    "deactivated": (400, INVALID, "This organization has been disabled."),
    "model_missing 404": (404, "not_found_error", "model: {model}"),
    "model_missing 403": (
        403,
        "permission_error",
        "Your API key does not have permission to use the specified resource.",
    ),
    "context_too_long": (400, INVALID, "prompt is too long: 209921 tokens > 200000 maximum"),
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "server_error": (500, "api_error", "Internal server error"),
}


@dataclass(frozen=True, slots=True)
class Said:
    """An answer that is none: what goes onto the wire."""

    status: int
    body: bytes
    headers: Headers
    content_type: str = "application/json"


def say_no(fate: Refuse, dialect: str, key: str, model: str) -> Said:
    """Put a refusal into the provider's shape."""
    if fate.name == "server_error" and fate.variant != "500":
        return _proxy_page(fate.variant)
    if dialect == "anthropic":
        return _anthropic(fate, model)
    return _openai(fate, key, model)


def bad_request(dialect: str, message: str, param: str | None = None) -> Said:
    """400: the request has a fault."""
    if dialect == "anthropic":
        return Said(400, _anthropic_body("invalid_request_error", message), [])
    return Said(400, _openai_body(message, "invalid_request_error", param, None), [])


def unknown_url(dialect: str, method: str, path: str) -> Said:
    """404: there is no such endpoint."""
    if dialect == "anthropic":
        return Said(404, _anthropic_body("not_found_error", "Not Found"), [])
    return Said(404, _openai_body(f"Invalid URL ({method} {path})", "invalid_request_error", None, None), [])


def _openai(fate: Refuse, key: str, model: str) -> Said:
    status, message, kind, param, code = OPENAI.get(f"{fate.name} {fate.variant}") or OPENAI[fate.name]
    shown = f"{key[:8]}{'*' * 12}{key[-4:]}"
    message = message.format(key=shown, model=model, wait=f"{fate.retry_after or 1:g}s")
    if fate.name == "insufficient_quota":
        code = fate.variant
    return Said(status, _openai_body(message, kind, param, code), _openai_headers(fate))


def _openai_headers(fate: Refuse) -> Headers:
    if fate.retry_after is None:
        return []
    return [
        ("retry-after", str(ceil(fate.retry_after))),
        ("retry-after-ms", str(ceil(fate.retry_after * 1000))),
        (f"x-ratelimit-remaining-{fate.variant}", "0"),
        (f"x-ratelimit-reset-{fate.variant}", f"{ceil(fate.retry_after * 1000)}ms"),
    ]


def _anthropic(fate: Refuse, model: str) -> Said:
    status, kind, message = ANTHROPIC.get(f"{fate.name} {fate.variant}") or ANTHROPIC[fate.name]
    headers: Headers = [("x-should-retry", "true" if status in (429, 500, 529) else "false")]
    if fate.retry_after is not None:
        headers += [("retry-after", str(ceil(fate.retry_after)))]
        headers += [(f"anthropic-ratelimit-{fate.variant}-remaining", "0")]
    return Said(status, _anthropic_body(kind, message.format(model=model)), headers)


def _proxy_page(status: str) -> Said:
    title = {"502": "502 Bad Gateway", "503": "503 Service Temporarily Unavailable"}[status]
    return Said(int(status), BAD_GATEWAY.format(title).encode(), [("server", "cloudflare")], "text/html")


def _openai_body(message: str, kind: str, param: str | None, code: str | None) -> bytes:
    return dump({"error": {"message": message, "type": kind, "param": param, "code": code}})


def _anthropic_body(kind: str, message: str) -> bytes:
    error: Json = {"type": kind, "message": message}
    return dump({"type": "error", "error": error, "request_id": "req_fake"})
