"""The words by which providers name their errors: whose fault each is, and the HTTP status it stands for.

One table for all of them, since no word means two things. `error.code` and `error.type` of the OpenAI and the Anthropic
families, Anthropic's `details.error_code`, Google's `status` and `details[].reason` and Amazon's exceptions stand side
by side. The status is the one that the provider would have used outside a stream.

Sources: the types of the official packages of OpenAI (`ResponseError`, `SessionTurnError`, `Run`) and Anthropic
(`ErrorType`, `ErrorDetails`), the error pages of the providers, the servers' own code (vLLM, llama.cpp, Ollama), and
public bug reports. A test compares the table with the packages that are installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Fault(Enum):
    """The party that causes an error."""

    CALLER = "caller"  # of this request: it would fail everywhere
    KEY = "key"  # the key is not let in
    MONEY = "money"  # what its account may spend is spent
    RATE = "rate"  # its organisation sends too much at present
    MODEL = "model"  # this key may not use this model, or the model does not exist
    UPSTREAM = "upstream"  # the provider fails, or has no room


@dataclass(frozen=True, slots=True)
class Code:
    fault: Fault
    status: int


def _all(fault: Fault, status: int, words: str) -> dict[str, Code]:
    return dict.fromkeys(words.split(), Code(fault, status))


CODES: dict[str, Code] = {
    # OpenAI: the error pages, the `ResponseError`s of the Responses API, the errors of runs and of sessions
    **_all(Fault.KEY, 401, "invalid_api_key account_deactivated no_organization ip_not_authorized"),
    **_all(Fault.KEY, 403, "access_terminated organization_deactivated"),
    **_all(
        Fault.MONEY,
        429,
        "insufficient_quota billing_hard_limit_reached credit_balance_exhausted usage_limit_exceeded"
        " organization_usage_limit_exceeded organization_spend_limit_exceeded project_spend_limit_exceeded"
        " billing_not_active quota_exceeded",
    ),
    **_all(Fault.RATE, 429, "rate_limit_exceeded rate_limit_error requests tokens slow_down rate_limited"),
    **_all(Fault.MODEL, 404, "model_not_found model_not_available"),
    **_all(Fault.UPSTREAM, 500, "server_error internal_error internal_server_error sandbox_error connection_failed"),
    **_all(Fault.UPSTREAM, 503, "server_is_overloaded server_overloaded service_unavailable_error flex_unavailable"),
    **_all(Fault.UPSTREAM, 504, "request_timeout"),
    **_all(
        Fault.CALLER,
        400,
        "invalid_prompt invalid_image invalid_image_format invalid_base64_image invalid_image_url image_too_large"
        " image_too_small image_parse_error image_content_policy_violation invalid_image_mode image_file_too_large"
        " unsupported_image_media_type empty_image_file failed_to_download_image image_file_not_found"
        " data_residency_mismatch bio_policy cyber_policy misalignment_policy_violation vector_store_timeout"
        " content_policy_violation content_filter moderation_blocked context_length_exceeded max_output_tokens"
        " string_above_max_length array_above_max_length invalid_request invalid_encrypted_content unsupported_file"
        " invalid_file executor_version_incompatible active_turn_not_steerable previous_response_not_found"
        " unsupported_parameter unsupported_value invalid_value invalid_type missing_required_parameter"
        " unknown_parameter invalid_function_parameters response_already_completed"
        " http_error external_connector_error",
    ),
    **_all(Fault.CALLER, 404, "resource_not_found response_not_found unknown_url"),
    # Anthropic: the types, then the codes in `details`
    **_all(Fault.KEY, 401, "authentication_error"),
    **_all(Fault.MONEY, 402, "billing_error"),
    **_all(Fault.UPSTREAM, 529, "overloaded_error"),
    **_all(Fault.UPSTREAM, 500, "api_error"),
    **_all(Fault.UPSTREAM, 504, "timeout_error"),
    **_all(Fault.CALLER, 413, "request_too_large request_body_too_large_after_decoding"),
    **_all(Fault.CALLER, 409, "conflict_error memory_path_conflict_error memory_precondition_failed_error"),
    **_all(Fault.KEY, 400, "organization_on_hold"),
    **_all(
        Fault.MONEY,
        429,
        "enforced_spend_limit_reached contract_spend_limit_reached linked_organization_spend_limit_reached",
    ),
    **_all(Fault.MONEY, 402, "linked_organization_billing_unavailable"),
    **_all(Fault.RATE, 429, "ramp_limit_exceeded"),
    **_all(
        Fault.CALLER,
        400,
        "image_dimensions_too_large tool_name_conflict tool_reference_unresolved available_tools_limit_exceeded"
        " request_body_encoding_invalid request_body_encoding_unsupported",
    ),
    # Azure OpenAI
    **_all(Fault.MODEL, 404, "DeploymentNotFound"),
    **_all(Fault.CALLER, 400, "ResponsibleAIPolicyViolation OperationNotSupported"),
    # Google: gRPC statuses, then the reasons of `ErrorInfo`
    **_all(Fault.CALLER, 400, "INVALID_ARGUMENT OUT_OF_RANGE"),
    **_all(Fault.KEY, 401, "UNAUTHENTICATED ACCESS_TOKEN_EXPIRED"),
    **_all(Fault.KEY, 400, "API_KEY_INVALID"),
    **_all(Fault.KEY, 403, "CONSUMER_SUSPENDED CONSUMER_INVALID API_KEY_SERVICE_BLOCKED SERVICE_DISABLED"),
    **_all(Fault.MONEY, 403, "BILLING_DISABLED"),
    **_all(Fault.RATE, 429, "RESOURCE_EXHAUSTED RATE_LIMIT_EXCEEDED"),
    **_all(Fault.UPSTREAM, 500, "INTERNAL UNKNOWN ABORTED"),
    **_all(Fault.UPSTREAM, 503, "UNAVAILABLE MODEL_CAPACITY_EXHAUSTED"),
    **_all(Fault.UPSTREAM, 504, "DEADLINE_EXCEEDED"),
    # Amazon Bedrock
    **_all(Fault.RATE, 429, "ThrottlingException"),
    **_all(Fault.KEY, 403, "UnrecognizedClientException ExpiredTokenException InvalidSignatureException"),
    **_all(Fault.UPSTREAM, 500, "InternalServerException ModelStreamErrorException"),
    **_all(Fault.UPSTREAM, 503, "ServiceUnavailableException ModelNotReadyException"),
    **_all(Fault.CALLER, 400, "ValidationException"),
    **_all(Fault.CALLER, 424, "ModelErrorException"),
    # Groq, Mistral, DashScope and the servers that people run themselves
    **_all(Fault.KEY, 400, "organization_restricted"),
    **_all(Fault.MODEL, 404, "model_decommissioned model_permission_blocked_org model_permission_blocked_project"),
    **_all(Fault.MODEL, 400, "invalid_model model_terms_required"),
    **_all(Fault.RATE, 429, "service_tier_capacity_exceeded"),
    **_all(Fault.CALLER, 400, "json_validate_failed tool_use_failed data_inspection_failed DataInspectionFailed"),
    **_all(Fault.CALLER, 400, "BadRequestError exceed_context_size_error"),
    **_all(Fault.UPSTREAM, 500, "InternalServerError"),
    **_all(Fault.UPSTREAM, 503, "unavailable_error ServiceUnavailableError engine_overloaded_error"),
}

# Words that say no more than the status beside them: they stand for a status where there is none, and show no cause.
VAGUE: dict[str, int] = {
    "invalid_request_error": 400,
    "permission_error": 403,
    "permissions_error": 403,
    "permission_denied": 403,
    "permission-denied": 403,
    "PERMISSION_DENIED": 403,
    "AccessDeniedException": 403,
    "FAILED_PRECONDITION": 400,
    "not_found_error": 404,
    "NotFoundError": 404,
    "NOT_FOUND": 404,
    "ResourceNotFoundException": 404,
}


def status_of(word: str) -> int | None:
    """The HTTP status that a word stands for; None for a word that is not known."""
    code = CODES.get(word)
    return code.status if code is not None else VAGUE.get(word)
