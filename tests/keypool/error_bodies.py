"""What providers really answer in place of an answer, and what has to come of it.

Each row is one error as a provider sends it: from its documentation, from the source of its server, from the types of
its official package, or from a public bug report, as `source` says. Identifiers in it are made up.
"""

# ruff: noqa: E501
# fmt: off

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from keypool.health import KeyEvent
from keypool.verdict import (
    CALLERS_FAULT,
    DROPPED,
    FORBIDDEN,
    NO_MODEL,
    NO_MONEY,
    PERHAPS_NO_MONEY,
    REFUSED,
    TOO_MUCH,
    Verdict,
)

DOCS, SDK, CODE, REPORT = "documentation", "official package", "source of the server", "public bug report"
RATE = Verdict(KeyEvent.RATE_LIMITED, sure=True)
ITS_WORDS = "upstream's words"  # relayed with the true status, and scrubbed
OURS = "upstream_rejected"  # with the true status, in our words
NO_KEY, BAD, UNKNOWN_MODEL = "no_upstream_key", "upstream_bad_response", "model_not_found"


@dataclass(frozen=True)
class Row:
    """`hears`: the code that its caller gets when no other key has helped."""

    name: str
    status: int
    body: bytes
    verdict: Verdict
    hears: str
    source: str
    headers: Mapping[str, str] = field(default_factory=dict)


HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>cloudflare</body>\r\n</html>\r\n"
FIREWALL = b"<!DOCTYPE html><title>Attention Required! | Cloudflare</title><h1>Sorry, you have been blocked</h1>"


def body(**error: Any) -> bytes:
    return orjson.dumps({"error": error})


def openai(message: str, kind: str | None = "invalid_request_error", code: Any = None, param: str | None = None) -> bytes:
    return body(message=message, type=kind, param=param, code=code)


def anthropic(kind: str, message: str, error_code: str = "") -> bytes:
    details = {"details": {"error_code": error_code}} if error_code else {}
    error = {"type": kind, "message": message, **details}
    return orjson.dumps({"type": "error", "error": error, "request_id": "req_011CS"})


def flat(message: str, kind: str, code: Any = None, param: str | None = None) -> bytes:
    return orjson.dumps({"object": "error", "message": message, "type": kind, "param": param, "code": code})


def google(status: int, kind: str, message: str, reason: str = "", delay: str = "") -> bytes:
    """Gemini's OpenAI-compatible endpoint wraps its error in a list."""
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
    details += [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}] if delay else []
    return orjson.dumps([{"error": {"code": status, "message": message, "status": kind, "details": details}}])


def openrouter(code: int, message: str, **metadata: Any) -> bytes:
    return orjson.dumps({"error": {"message": message, "code": code, "metadata": metadata}, "user_id": "user_2abcDEF01234567"})


def refused(name: str, status: int, text: bytes, source: str, **more: Any) -> Row:
    return Row(name, status, text, REFUSED, NO_KEY, source, **more)


def poor(name: str, status: int, text: bytes, source: str, verdict: Verdict = NO_MONEY) -> Row:
    return Row(name, status, text, verdict, NO_KEY, source)


def busy(name: str, status: int, text: bytes, source: str, verdict: Verdict = RATE, **more: Any) -> Row:
    return Row(name, status, text, verdict, NO_KEY, source, **more)


def lacks(name: str, status: int, text: bytes, source: str) -> Row:
    return Row(name, status, text, NO_MODEL, UNKNOWN_MODEL, source)


def forbids(name: str, text: bytes, source: str, **more: Any) -> Row:
    return Row(name, 403, text, FORBIDDEN, OURS, source, **more)


def fails(name: str, status: int, text: bytes, source: str, **more: Any) -> Row:
    hears = NO_KEY if status in (503, 529) or status == 520 else BAD
    return Row(name, status, text, DROPPED, hears, source, **more)


def callers(name: str, status: int, text: bytes, source: str, hears: str = ITS_WORDS, **more: Any) -> Row:
    return Row(name, status, text, CALLERS_FAULT, hears, source, **more)


def too_much(name: str, status: int, text: bytes, source: str) -> Row:
    return Row(name, status, text, TOO_MUCH, ITS_WORDS, source)


OPENAI = (
    refused("wrong key", 401, openai("Incorrect API key provided: sk-pr****abcd.", code="invalid_api_key"), REPORT),
    refused("not a member", 401, openai("You must be a member of an organization to use the API."), DOCS),
    refused("account deactivated", 401, openai("The OpenAI account has been deactivated.", None, "account_deactivated"), REPORT),
    refused("access terminated", 403, openai("Your access was terminated due to violation of our policies.", "access_terminated"), REPORT),
    refused("address not allowed", 401, openai("Your request IP is not authorized.", code="ip_not_authorized"), DOCS),
    poor("quota", 429, openai("You exceeded your current quota.", "insufficient_quota", "insufficient_quota"), DOCS),
    poor("billing not active", 429, openai("Your account is not active.", "billing_not_active", "billing_not_active"), DOCS),
    poor("hard limit of billing", 400, openai("Billing hard limit has been reached", code="billing_hard_limit_reached"), REPORT),
    poor("credit balance", 429, openai("No credits.", "insufficient_quota", "credit_balance_exhausted"), SDK),
    poor("usage of the organisation", 429, openai("Limit.", "insufficient_quota", "organization_usage_limit_exceeded"), SDK),
    poor("spending of the organisation", 429, openai("Limit.", None, "organization_spend_limit_exceeded"), SDK),
    poor("spending of the project", 429, openai("Limit.", None, "project_spend_limit_exceeded"), SDK),
    poor("usage", 429, openai("Limit.", None, "usage_limit_exceeded"), SDK),
    busy("requests per minute", 429, openai("Rate limit reached for gpt-4o on requests per min (RPM).", "requests", "rate_limit_exceeded"), DOCS),
    busy("tokens per minute", 429, openai("Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29900, Requested 900.", "tokens", "rate_limit_exceeded"), DOCS),
    busy("too quick a rise", 429, openai("Slow down.", "rate_limit_error", "slow_down"), DOCS),
    too_much("more than the whole limit", 429, openai("Request too large for gpt-4o in organization org-abcdefghijklmnop on tokens per min (TPM): Limit 30000, Requested 45000. The input or output tokens must be reduced in order to run successfully.", "tokens", "rate_limit_exceeded"), REPORT),
    lacks("no such model", 404, openai("The model `gpt-9` does not exist or you do not have access to it.", code="model_not_found"), REPORT),
    lacks("model not in the project", 403, openai("Project `proj_x` does not have access to model `gpt-4o`", code="model_not_found"), REPORT),
    lacks("model, by its parameter", 404, openai("Unknown model.", param="model"), REPORT),
    forbids("country", openai("Country, region, or territory not supported", "request_forbidden", "unsupported_country_region_territory"), DOCS),
    forbids("missing scopes", openai("You have insufficient permissions for this operation. Missing scopes: model.request."), REPORT),
    callers("prompt of a caller", 404, openai("Prompt with id 'pmpt_model' not found."), REPORT),
    callers("item of a caller", 404, openai("Item with id 'rs_abc' not found.", param="input"), REPORT),
    callers("model of a tool", 404, openai("The model `x` does not exist.", code="model_not_found", param="tools[0].model"), REPORT),
    callers("previous response", 400, openai("Previous response not found.", code="previous_response_not_found", param="previous_response_id"), REPORT),
    callers("cipher of another organisation", 400, openai("The encrypted content could not be verified.", code="invalid_encrypted_content"), REPORT),
    callers("context", 400, openai("This model's maximum context length is 8192 tokens.", code="context_length_exceeded"), DOCS),
    callers("parameter", 400, openai("Invalid value: 'x'.", code="invalid_value", param="messages[0].role"), DOCS),
    callers("picture by policy", 400, openai("Your request was rejected by our safety system.", "image_generation_user_error", "moderation_blocked"), REPORT),
    callers("content policy", 400, openai("Rejected.", code="content_policy_violation"), REPORT),
    callers("tools of a server that refuses", 424, openai("Error retrieving tool list from MCP server: 'x'. Http status code: 401 (Unauthorized)", "external_connector_error", "http_error", "tools"), REPORT),
    callers("path", 404, openai("Invalid URL (POST /v1/nothing)"), REPORT),
    fails("server error", 500, openai("The server had an error while processing your request.", "server_error"), DOCS),
    fails("overloaded", 503, openai("The engine is currently overloaded, please try again later.", "server_error"), DOCS),
    fails("overloaded, by its code", 503, openai("Overloaded.", "service_unavailable_error", "server_is_overloaded"), DOCS),
    fails("page of a front", 502, HTML, REPORT),
)

ANTHROPIC = (
    refused("wrong key", 401, anthropic("authentication_error", "invalid x-api-key"), DOCS),
    refused("organisation disabled", 400, anthropic("invalid_request_error", "This organization has been disabled."), REPORT),
    refused("organisation disabled, 403", 403, anthropic("permission_error", "This organization has been disabled."), REPORT),
    refused("organisation on hold", 400, anthropic("invalid_request_error", "Held.", "organization_on_hold"), SDK),
    poor("credit", 400, anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."), REPORT, PERHAPS_NO_MONEY),
    poor("own spending limit", 400, anthropic("invalid_request_error", "You have reached your specified API usage limits. You will regain access on 2026-02-01 at 00:00 UTC."), REPORT, PERHAPS_NO_MONEY),
    poor("billing", 402, anthropic("billing_error", "There is an issue with your billing or payment."), DOCS),
    poor("limit of its tier", 429, anthropic("rate_limit_error", "Reached.", "enforced_spend_limit_reached"), SDK),
    poor("limit of its contract", 429, anthropic("rate_limit_error", "Reached.", "contract_spend_limit_reached"), SDK),
    busy("rate", 429, anthropic("rate_limit_error", "This request would exceed your organization's rate limit of 30,000 input tokens per minute."), DOCS),
    busy("rise of use", 429, anthropic("rate_limit_error", "Ramp.", "ramp_limit_exceeded"), SDK, Verdict(KeyEvent.RATE_LIMITED, rest=9.0, sure=True), headers={"retry-after": "9"}),
    too_much("long context not booked", 429, anthropic("rate_limit_error", "Extra usage is required for long context requests."), REPORT),
    lacks("no such model", 404, anthropic("not_found_error", "model: claude-9"), REPORT),
    forbids("no permission", anthropic("permission_error", "Your API key does not have permission to use the specified resource."), DOCS),
    callers("file of a caller", 404, anthropic("not_found_error", "File not found: file_011model"), DOCS),
    callers("context", 400, anthropic("invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum"), REPORT),
    callers("too large", 413, anthropic("request_too_large", "Request exceeds the maximum size"), DOCS),
    callers("two changes at once", 409, anthropic("conflict_error", "Conflict."), SDK),
    fails("error", 500, anthropic("api_error", "Internal server error"), DOCS),
    fails("overloaded", 529, anthropic("overloaded_error", "Overloaded"), DOCS),
    fails("took too long", 504, anthropic("timeout_error", "Request timed out"), DOCS),
)

AZURE = (
    refused("wrong key", 401, body(code="401", message="Access denied due to invalid subscription key or wrong API endpoint."), REPORT),
    lacks("no such deployment", 404, body(code="DeploymentNotFound", message="The API deployment for this resource does not exist."), REPORT),
    callers("no such path", 404, body(code="404", message="Resource not found"), REPORT),
    callers("content filter", 400, body(message="The response was filtered due to the prompt triggering Azure OpenAI's content management policy.", type=None, param="prompt", code="content_filter", status=400, innererror={"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}}), REPORT),
    busy("rate", 429, body(code="429", message="Requests to the ChatCompletions_Create Operation have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 24 seconds."), REPORT, Verdict(KeyEvent.RATE_LIMITED, rest=24.0, sure=True), headers={"retry-after": "24"}),
    forbids("network rules", body(code="403", message="Access denied due to Virtual Network/Firewall rules."), REPORT),
    fails("no room", 503, body(code="ServiceUnavailable", message="The server is currently unable to handle the request."), DOCS),
)

OPENROUTER = (
    refused("wrong key", 401, openrouter(401, "User not found."), REPORT),
    poor("no credit", 402, openrouter(402, "Insufficient credits. Add more using https://openrouter.ai/settings/credits"), REPORT),
    poor("can afford nothing", 402, openrouter(402, "This request requires more credits, or fewer max_tokens. You requested up to 100 tokens, but can only afford 0."), REPORT),
    too_much("fewer tokens", 402, openrouter(402, "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 30104."), REPORT),
    busy("credit of what runs", 402, openrouter(402, "Held.", limit_source="openrouter_in_flight_budget"), DOCS, Verdict(KeyEvent.RATE_LIMITED, rest=3.0, sure=True), headers={"retry-after": "3"}),
    busy("rate of a provider behind it", 429, openrouter(429, "Provider returned error", raw="x is temporarily rate-limited upstream.", provider_name="X"), REPORT),
    callers("moderation", 403, openrouter(403, "Your chosen model requires moderation.", reasons=["violence"], flagged_input="...", provider_name="X"), DOCS),
    callers("guardrail", 403, openrouter(403, "Blocked by guardrail."), DOCS),
    callers("no provider for these parameters", 404, openrouter(404, "No endpoints found that support tool use."), REPORT),
    callers("bad request", 400, openrouter(400, "x/y is not a valid model ID"), REPORT),
    fails("took too long", 408, openrouter(408, "Your request timed out"), DOCS),
    fails("model is down", 502, openrouter(502, "Provider returned error", provider_name="X"), DOCS),
    fails("no provider", 503, openrouter(503, "No instances available"), DOCS),
)

XAI = (
    callers("forbidden content", 403, orjson.dumps({"code": "permission-denied", "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"}), REPORT),
    callers("forbidden content, with its account", 403, orjson.dumps({"code": "The caller does not have permission to execute the specified operation", "error": "Content violates usage guidelines. Team: 01234567-89ab-cdef-0123-456789abcdef, API key ID: 01234567-89ab-cdef-0123-456789abcdef, Model: grok-4, Failed check: SAFETY_CHECK_TYPE_BIO"}), REPORT),
    forbids("wrong credentials", orjson.dumps({"code": "permission-denied", "error": "Access to the chat endpoint is denied. Please ensure you are using the correct credentials"}), REPORT),
    refused("wrong key, with 400", 400, orjson.dumps({"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***aa."}), REPORT),
    lacks("no such model", 404, orjson.dumps({"code": "Some requested entity was not found", "error": "The model grok-9 does not exist or your team does not have access to it."}), REPORT),
    busy("rate", 429, orjson.dumps({"code": "Some resource has been exhausted", "error": "Too many requests for team."}), REPORT),
)

GOOGLE = (
    refused("wrong key", 400, google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", "API_KEY_INVALID"), REPORT),
    refused("no credential", 401, google(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."), REPORT),
    refused("project suspended", 403, google(403, "PERMISSION_DENIED", "Consumer has been suspended.", "CONSUMER_SUSPENDED"), DOCS),
    refused("service not enabled", 403, google(403, "PERMISSION_DENIED", "Gemini API has not been used in project 1 before.", "SERVICE_DISABLED"), REPORT),
    poor("billing disabled", 403, google(403, "PERMISSION_DENIED", "This API method requires billing.", "BILLING_DISABLED"), REPORT),
    busy("rate", 429, google(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", delay="34.07s"), REPORT, Verdict(KeyEvent.RATE_LIMITED, rest=34.07, sure=True)),
    busy("rate of Vertex", 429, google(429, "RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later."), DOCS),
    lacks("no such model", 404, google(404, "NOT_FOUND", "models/gemini-9 is not found for API version v1main, or is not supported for generateContent."), REPORT),
    lacks("no such model at Vertex", 404, google(404, "NOT_FOUND", "Publisher Model `projects/p/locations/l/publishers/google/models/x` was not found or your project does not have access to it."), REPORT),
    callers("argument", 400, google(400, "INVALID_ARGUMENT", "Request contains an invalid argument."), REPORT),
    callers("place", 400, google(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), REPORT),
    forbids("no permission", google(403, "PERMISSION_DENIED", "The caller does not have permission"), DOCS),
    fails("overloaded", 503, google(503, "UNAVAILABLE", "The model is overloaded. Please try again later."), REPORT),
    fails("no capacity", 503, google(503, "UNAVAILABLE", "No capacity available for model on the server", "MODEL_CAPACITY_EXHAUSTED"), REPORT),
    fails("internal", 500, google(500, "INTERNAL", "An internal error has occurred."), REPORT),
    fails("deadline", 504, google(504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."), DOCS),
)

OTHERS = (
    refused("mistral, wrong key", 401, orjson.dumps({"detail": "Unauthorized"}), REPORT),
    busy("mistral, rate", 429, flat("Rate limit exceeded", "rate_limited", "1300"), REPORT),
    busy("mistral, capacity of the tier", 429, flat("Service tier capacity exceeded for this model.", "service_tier_capacity_exceeded", "3505"), REPORT),
    lacks("mistral, no such model", 400, flat("Invalid model: x", "invalid_model", "1500"), REPORT),
    callers("mistral, message", 400, flat("Assistant message must have either content or tool_calls, but not both.", "invalid_request_error"), REPORT),
    callers("mistral, fields", 422, orjson.dumps({"object": "error", "message": {"detail": [{"loc": ["body", "messages"]}]}}), REPORT),
    refused("groq, wrong key", 401, openai("Invalid API Key", code="invalid_api_key"), REPORT),
    refused("groq, organisation restricted", 400, openai("Organization has been restricted.", code="organization_restricted"), REPORT),
    lacks("groq, model withdrawn", 400, openai("The model `x` has been decommissioned and is no longer supported.", code="model_decommissioned"), REPORT),
    lacks("groq, model blocked", 403, openai("The model `x` is blocked at the organization level.", "permissions_error", "model_permission_blocked_org"), REPORT),
    callers("groq, too large", 413, openai("Request too large for model `x` in organization `org_01abcdefghijkl` on tokens per minute (TPM): Limit 6000, Requested 9000", "tokens", "rate_limit_exceeded"), REPORT),
    callers("groq, tool", 400, openai("Failed to call a function.", code="tool_use_failed"), REPORT),
    poor("deepseek, balance", 402, openai("Insufficient Balance", "unknown_error", "invalid_request_error"), REPORT),
    refused("deepseek, wrong key", 401, openai("Authentication Fails (no such user)", "authentication_error", "invalid_request_error"), REPORT),
    callers("deepseek, content", 400, openai("Content Exists Risk", code="invalid_request_error"), REPORT),
    callers("dashscope, content", 400, openai("Input data may contain inappropriate content.", code="data_inspection_failed"), REPORT),
    callers("moonshot, content", 400, openai("The request was rejected because it was considered high risk", "content_filter", 400, "prompt"), REPORT),
    callers("together, context, as 403", 403, openai("Input token count + max_tokens must be less than the context length of the model", "invalid_request_error"), DOCS),
    lacks("vllm, no such model", 404, openai("The model `x` does not exist.", "NotFoundError", 404, "model"), CODE),
    lacks("vllm, no such model, older", 404, flat("The model `x` does not exist.", "NotFoundError", 404), CODE),
    callers("vllm, context", 400, flat("This model's maximum context length is 8192 tokens.", "BadRequestError", 400), CODE),
    callers("vllm, its caller's fault as 500", 500, flat("unexpected tool", "BadRequestError", 400), REPORT),
    fails("vllm, engine dead", 500, openai("EngineCore encountered an issue.", "InternalServerError", 500), CODE),
    lacks("ollama, no such model", 404, openai('model "llama9" not found, try pulling it first', "api_error"), CODE),
    lacks("ollama, not the compatible path", 404, orjson.dumps({"error": "model 'llama9' not found"}), CODE),
    fails("ollama, no memory", 500, openai("model requires more system memory (8.0 GiB) than is available", "api_error"), REPORT),
    fails("llama.cpp, loading", 503, body(code=503, message="Loading model", type="unavailable_error"), CODE),
    callers("llama.cpp, context", 400, body(code=400, message="the request exceeds the available context size", type="exceed_context_size_error", n_ctx=4096), CODE),
    refused("llama.cpp, wrong key", 401, body(message="Invalid API Key", type="authentication_error", code=401), CODE),
    busy("bedrock, throttled", 429, b'{"message":"Too many requests, please wait before trying again."}', DOCS, headers={"x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/"}),
    refused("bedrock, token expired", 403, b'{"message":"The security token included in the request is expired"}', DOCS, headers={"x-amzn-errortype": "ExpiredTokenException"}),
    forbids("bedrock, model not requested", b'{"message":"You don\'t have access to the model with the specified model ID."}', REPORT, headers={"x-amzn-errortype": "AccessDeniedException"}),
    callers("bedrock, argument", 400, b'{"__type":"com.amazon.coral#ValidationException","message":"Malformed input request."}', DOCS),
    fails("bedrock, not ready", 503, b'{"message":"Bedrock is unable to process your request."}', DOCS, headers={"x-amzn-errortype": "ServiceUnavailableException"}),
)

ODD = (
    refused("401 with a page", 401, HTML, REPORT),
    refused("401 with nothing", 401, b"", REPORT),
    poor("402 with a page", 402, HTML, REPORT),
    poor("402 with nothing", 402, b"", REPORT),
    busy("429 with a text for an error", 429, b'{"error":"Too Many Requests"}', REPORT),
    busy("429 with a page", 429, HTML, REPORT),
    busy("429 with nothing", 429, b"", REPORT),
    callers("403 of a firewall", 403, FIREWALL, REPORT, OURS, headers={"content-type": "text/html"}),
    callers("403 of a firewall without a type", 403, FIREWALL, REPORT, OURS),
    forbids("403 with nothing", b"", REPORT),
    callers("413 of a front", 413, HTML, REPORT, OURS),
    callers("404 of a front", 404, HTML, REPORT, OURS),
    callers("400 with nothing", 400, b"", REPORT, OURS),
    callers("405", 405, b"", REPORT, OURS),
    callers("415", 415, b"[]", REPORT, OURS),
    callers("422 of a compatible server", 422, b'{"detail":[{"loc":["body","messages"],"msg":"field required"}]}', CODE),
    fails("503 with nothing", 503, b"", REPORT),
    fails("520 of a front", 520, b"error code: 520", REPORT),
)

PROVIDERS = {
    "openai": OPENAI,
    "anthropic": ANTHROPIC,
    "azure": AZURE,
    "openrouter": OPENROUTER,
    "xai": XAI,
    "google": GOOGLE,
    "others": OTHERS,
    "odd": ODD,
}
ROWS = {f"{provider}: {row.name}": row for provider, rows in PROVIDERS.items() for row in rows}
