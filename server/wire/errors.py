"""Everything that fairgate refuses, and whose fault it is.

One class per answer. The docstring *is* the message that the caller reads, so that code, catalogue and documentation
cannot differ. A refusal knows its status and its words for both dialects; `openai.py` and `anthropic.py` shape it.

`retriable = False` becomes `x-should-retry: false`: the official SDKs repeat every 408, 409, 429 and >= 500 twice by
themselves, which must not happen to a request that may have been billed or that cannot succeed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class Refusal(Exception):
    """An error that the caller gets instead of an answer."""

    status: ClassVar[int]
    anthropic_status: ClassVar[int | None] = None  # where Anthropic's number differs
    kind: ClassVar[str] = "invalid_request_error"  # OpenAI's `error.type`
    anthropic_kind: ClassVar[str] = "invalid_request_error"  # Anthropic's `error.error.type`
    code: ClassVar[str]
    retriable: bool = True
    retry_after: float | None = None  # seconds
    headers: Mapping[str, str] = {}  # for the caller beside the usual ones
    limit: str = ""  # which of the operator's limits is reached, in words, where it is one

    def __init__(self, param: str | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(type(self).__name__)
        self.param = param
        if retry_after is not None:
            self.retry_after = retry_after

    @classmethod
    def template(cls) -> str:
        """The words as they stand above, with <param> where the name of a parameter goes."""
        return " ".join((cls.__doc__ or "").split())

    @property
    def message(self) -> str:
        """The words for the caller. They never contain a value that the caller or an upstream sent."""
        words = self.template().replace("<param>", self.param or "")
        return f"{words.removesuffix('.')}: {self.limit}." if self.limit else words


class ClientError(Refusal):
    """The request is at fault, and its caller can correct it."""

    status = 400


class GatewayBusy(Refusal):
    """There is no capacity now: neither the request nor the provider is at fault."""

    status = 503
    anthropic_status = 529
    kind = "server_error"
    anthropic_kind = "overloaded_error"


class UpstreamError(Refusal):
    """The provider failed, or the gateway did."""

    status = 502
    kind = "server_error"
    anthropic_kind = "api_error"
    retriable = False


class InvalidJson(ClientError):
    """The request body is not valid JSON."""

    code = "invalid_json"


class ByteOrderMark(InvalidJson):
    """The request body begins with a byte order mark (BOM): send it in UTF-8 without one."""


class TooComplex(ClientError):
    """The request body is nested too deeply or has too many elements."""

    code = "json_too_complex"


class MissingParameter(ClientError):
    """Missing required parameter: '<param>'."""

    code = "missing_required_parameter"


class BodyOfAnotherRoute(MissingParameter):
    """Missing required parameter: '<param>'. A body like this belongs to another route."""

    def __init__(self, param: str | None = None, *, route: str = "") -> None:
        super().__init__(param)
        self._route = route

    @property
    def message(self) -> str:
        return super().message.replace("another route", self._route or "another route")


class InvalidValue(ClientError):
    """Invalid value for '<param>'."""

    code = "invalid_value"


class Untranslatable(ClientError):
    """'<param>' cannot be passed on to this model, whose provider speaks another dialect."""

    code = "not_translatable"

    def __init__(self, param: str | None = None, *, why: str = "") -> None:
        super().__init__(param)
        self.limit = why


class InOwnWords(ClientError):
    """The operator may say it in other words."""

    def __init__(self, param: str | None = None, *, words: str = "") -> None:
        super().__init__(param)
        self._words = words

    @property
    def message(self) -> str:
        return self._words or super().message


class PromptRejected(InOwnWords):
    """The request was rejected by the gateway's content rules."""

    code = "prompt_rejected"


class OriginBlocked(InOwnWords):
    """This web site may not use the gateway."""

    status = 403
    kind = "permission_error"
    anthropic_kind = "permission_error"
    code = "origin_blocked"


class UnknownHost(ClientError):
    """This gateway is not called so. Its operator names it in PUBLIC_URL or HOST_NAMES."""

    status = 421
    kind = "permission_error"
    anthropic_kind = "permission_error"
    code = "unknown_host"


class ContextTooLong(ClientError):
    """The prompt has more tokens than this gateway accepts."""

    code = "context_length_exceeded"


class StatefulDisabled(ClientError):
    """'<param>' is not available: this gateway keeps nothing at providers, because its keys are shared. Send the whole
    conversation, with store: false and include: reasoning.encrypted_content, and files in the request itself."""

    code = "stateful_disabled"


class NothingKept(ClientError):
    """Nothing is kept here for later: the keys of this gateway are shared, and its operator has not permitted that
    providers keep answers. Send the whole conversation, with store: false and include: reasoning.encrypted_content."""

    status = 404
    anthropic_kind = "not_found_error"
    code = "stateful_disabled"


class NoConversations(ClientError):
    """No provider that you may use here keeps conversations. Send the whole conversation with each request."""

    status = 404
    anthropic_kind = "not_found_error"
    code = "no_conversations"


class TextsAreLogged(ClientError):
    """Your group keeps what its members send, so a conversation is made without items: send these with the request that
    they are for."""

    status = 403
    kind = "permission_error"
    anthropic_kind = "permission_error"
    code = "texts_are_logged"


class StillRunning(ClientError):
    """This response is still being made: cancel it, and delete it when it has ended."""

    status = 409
    code = "still_running"
    retriable = False


class InvalidKey(ClientError):
    """Invalid or missing API key."""

    status = 401
    anthropic_kind = "authentication_error"
    code = "invalid_api_key"
    headers = {"WWW-Authenticate": "Bearer"}

    def __init__(self, param: str | None = None, *, retry_after: float | None = None, hint: str = "") -> None:
        super().__init__(param, retry_after=retry_after)
        self._hint = hint

    @property
    def message(self) -> str:
        return f"{super().message} {self._hint}".rstrip()


class PermissionDenied(ClientError):
    """You may not do this."""

    status = 403
    kind = "permission_error"
    anthropic_kind = "permission_error"
    code = "permission_denied"


class AdministratorsOnly(PermissionDenied):
    """This is for administrators. Log in with ADMIN_KEY, or the operator runs `fairgate user change NAME --admin`."""


class UnknownModel(ClientError):
    """The model does not exist or you may not use it. GET /v1/models lists those that you may use."""

    status = 404
    anthropic_kind = "not_found_error"
    code = "model_not_found"

    def __init__(self, *, route: str = "") -> None:
        """`route`: where the model is served, if it is in another dialect."""
        super().__init__("model")
        self._route = route

    @property
    def message(self) -> str:
        hint = f" It speaks another dialect here: ask at {self._route}." if self._route else ""
        return super().message + hint


class ToolNotPriced(ClientError):
    """'<param>' asks for a tool of the provider that has no price here, and your budget cannot be charged for it."""

    status = 403
    kind = "permission_error"
    anthropic_kind = "permission_error"
    code = "tool_not_priced"


class ToolNotBounded(ClientError):
    """'<param>' asks for a tool of the provider that may be called any number of times, and your budget has an end."""

    status = 403
    kind = "permission_error"
    anthropic_kind = "permission_error"
    code = "tool_not_bounded"


class ModelNotPriced(ClientError):
    """The gateway has no price for this model, so it may not be used."""

    status = 403
    kind = "permission_error"
    anthropic_kind = "permission_error"
    code = "model_not_priced"

    def __init__(self) -> None:
        super().__init__("model")


class UpstreamRejected(ClientError):
    """The upstream rejected this request."""

    status = 403
    kind = "permission_error"
    anthropic_kind = "permission_error"
    code = "upstream_rejected"


class UnknownId(ClientError):
    """The referenced object does not exist or is not yours."""

    status = 404
    anthropic_kind = "not_found_error"
    code = "unknown_id"


class UnreadableContent(ClientError):
    """The encrypted content cannot be read any more: the organisation that made it does not serve here. Leave the items
    with encrypted_content out, and send store: false with include: reasoning.encrypted_content to get new ones."""

    code = "invalid_encrypted_content"  # OpenAI's word for it: clients know what to do


class UnknownUrl(ClientError):
    """Unknown request URL. The base URL is this host's address, with /v1 for OpenAI's dialect, without for Anthropic's,
    and no slash at the end."""

    status = 404
    anthropic_kind = "not_found_error"
    code = "unknown_url"


class MethodNotAllowed(ClientError):
    """Method not allowed."""

    status = 405
    code = "method_not_allowed"


class NotListed(MethodNotAllowed):
    """Kept answers are not listed here: a provider's list shows what all people have made with a key. Ask for each by
    its id."""


class UpgradeRequired(ClientError):
    """There are no WebSockets here: send the same request by POST, with stream: true for its events."""

    status = 426
    code = "websocket_not_supported"
    retriable = False
    headers = {"Upgrade": "HTTP/1.1"}  # RFC 9110, 15.5.22: a 426 says which protocol is spoken instead


class TooLarge(ClientError):
    """The request body is too large."""

    status = 413
    anthropic_kind = "request_too_large"
    code = "request_too_large"


class TooManyTokens(ClientError):
    """The prompt has more tokens than any key for this model may take in a minute."""

    status = 413
    anthropic_kind = "request_too_large"
    code = "too_many_tokens"
    retriable = False


class UnsupportedMedia(ClientError):
    """Content-Type must be application/json (curl -d says something else: add -H 'Content-Type: application/json');
    Content-Encoding, if any, gzip, deflate, zstd or br."""

    status = 415
    code = "unsupported_media_type"


class RateLimited(ClientError):
    """Rate limit reached."""

    status = 429
    kind = "rate_limit_error"
    anthropic_kind = "rate_limit_error"
    code = "rate_limit_exceeded"
    retry_after = 1.0


class TooManyInBackground(RateLimited):
    """You have too many responses in the background: wait until some of them have ended."""

    retry_after = 15.0


class TooMuchAtOnce(RateLimited):
    """Your requests hold too many bytes here at once: send fewer or smaller ones until some of them have ended."""

    code = "too_many_bytes"
    retry_after = 5.0


class TooManyAtOnce(RateLimited):
    """Too many requests of your address are under way at once."""

    code = "too_many_requests"
    retry_after = 5.0


class WaitTooLong(ClientError):
    """The wait would be longer than you allowed."""

    status = 429
    kind = "rate_limit_error"
    anthropic_kind = "rate_limit_error"
    code = "wait_too_long"


class InsufficientQuota(ClientError):
    """You exceeded your current quota."""

    status = 429
    anthropic_status = 402
    kind = "insufficient_quota"
    anthropic_kind = "billing_error"
    code = "insufficient_quota"
    retriable = False


class QueueFull(GatewayBusy):
    """The queue is full."""

    code = "queue_full"
    retry_after = 5.0


class BodiesFull(GatewayBusy):
    """The gateway holds as many bytes of requests as it may. Smaller requests are taken first."""

    code = "bodies_full"
    retry_after = 5.0


class QueueTimeout(GatewayBusy):
    """The request waited too long in the queue."""

    code = "queue_timeout"
    retry_after = 30.0


class NoKey(GatewayBusy):
    """No upstream capacity is available for this model."""

    code = "no_upstream_key"
    retry_after = 30.0


class PoolAway(GatewayBusy):
    """The gateway's queue is restarting."""

    code = "queue_restarting"
    retry_after = 2.0


class Draining(GatewayBusy):
    """The gateway is restarting."""

    code = "draining"
    retry_after = 1.0
    headers = {"Connection": "close"}


class Maintenance(GatewayBusy):
    """The gateway is closed for maintenance."""

    code = "maintenance"
    retry_after = 60.0


class Cancelled(GatewayBusy):
    """An administrator ended this request."""

    code = "cancelled"
    retriable = False


class AccountingUnavailable(GatewayBusy):
    """The gateway cannot account for requests at the moment."""

    code = "accounting_unavailable"
    retry_after = 5.0


class UpstreamUnreachable(UpstreamError):
    """The upstream could not be reached."""

    code = "upstream_unreachable"
    retriable = True  # nothing was sent, so nothing was billed


class BadAnswer(UpstreamError):
    """The upstream gave an invalid answer."""

    code = "upstream_bad_response"


class AnswerTooLong(UpstreamError):
    """The answer is longer than this gateway passes on."""

    code = "answer_too_long"


class UpstreamTimeout(UpstreamError):
    """The upstream did not answer in time."""

    status = 504
    anthropic_kind = "timeout_error"
    code = "upstream_timeout"


class Disconnected(UpstreamError):
    """The upstream connection was lost; the answer is incomplete."""

    code = "upstream_disconnected"


class InternalError(UpstreamError):
    """The gateway had an internal error."""

    status = 500
    code = "internal_error"
