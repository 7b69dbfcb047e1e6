"""Why a request had no answer, or only a part of one: what happened, and what its maker can do. A sentence each.

`OF_OUTCOMES` is for requests that were sent, by how they ended; `OF_CODES` for those that were refused here, by the
code of the answer. Both are whole: a test compares them with all outcomes and all errors that there are.
"""

from __future__ import annotations

from typing import NamedTuple

from web.wording import Wording


class Explanation(NamedTuple):
    """What happened, and what to do about it."""

    what: str
    advice: str


OF_OUTCOMES = {
    "completed": Explanation(Wording("It was answered."), Wording("There is nothing to do.")),
    "cancelled": Explanation(
        Wording(
            "It was stopped before its answer was complete: the client closed the connection or its time was over."
        ),
        Wording(
            "If you did not stop it, raise the timeout of your client, or ask for a stream: its connection stays busy."
        ),
    ),
    "rejected": Explanation(
        Wording("The provider received it and refused it: something in the request itself is not accepted."),
        Wording(
            "Read the provider's error in the answer that your program got, and correct the request. It was not billed."
        ),
    ),
    "failed": Explanation(
        Wording("Every key that was asked failed, so there was no answer."),
        Wording("Send it again. If it fails again, look at the status page: the provider may have an outage."),
    ),
    "cut": Explanation(
        Wording("The answer broke off after it had begun: the connection to the provider was lost."),
        Wording("Send it again. What had come until then is billed, because the provider bills it, too."),
    ),
    "interrupted": Explanation(
        Wording("The gateway stopped in the middle of it. Its cost is an estimate."),
        Wording("Send it again."),
    ),
}

_READ_ON = Wording("Correct the request: the answer that your program got names the field.")
_LATER = Wording("Wait a little, and send it again. The answer says how long in its header Retry-After.")

OF_CODES = {
    "invalid_json": Explanation(
        Wording("The body was not valid JSON."),
        Wording("Check how your program makes the body; an SDK does it for you."),
    ),
    "json_too_complex": Explanation(
        Wording("The body was nested too deeply, or had too many elements."),
        Wording("Send fewer messages or tools at once."),
    ),
    "missing_required_parameter": Explanation(Wording("A field that is required was missing."), _READ_ON),
    "invalid_value": Explanation(Wording("A field had a value that is not allowed."), _READ_ON),
    "not_translatable": Explanation(
        Wording("The model speaks another dialect, and a field cannot be said in it."),
        Wording("Leave the field out, or choose a model that has it."),
    ),
    "prompt_rejected": Explanation(
        Wording("The prompt met a content rule of this gateway."),
        Wording("Ask your operator which rule that is, or put it differently."),
    ),
    "origin_blocked": Explanation(
        Wording("It came from a web site that may not use this gateway."),
        Wording("Ask your operator to add the site's address to ALLOWED_ORIGINS."),
    ),
    "unknown_host": Explanation(
        Wording("It was sent to a name that this gateway does not know as its own."),
        Wording("Use the address that the page “How to use” shows."),
    ),
    "context_length_exceeded": Explanation(
        Wording("The prompt was longer than this gateway accepts."), Wording("Shorten it, or begin a new conversation.")
    ),
    "stateful_disabled": Explanation(
        Wording("It asked for something that the provider keeps, and this gateway keeps nothing there."),
        Wording("Send the whole conversation each time, with “store” set to false."),
    ),
    "no_conversations": Explanation(
        Wording("No provider that you may use here keeps conversations."),
        Wording("Send the whole conversation each time."),
    ),
    "texts_are_logged": Explanation(
        Wording("Your group keeps what its members send, so a conversation is made without items."),
        Wording("Make it empty, and send its items with the requests that they are for."),
    ),
    "still_running": Explanation(
        Wording("The response that it was about had not ended yet."), Wording("Cancel it first, or wait for its end.")
    ),
    "invalid_api_key": Explanation(
        Wording("Its token does not count."),
        Wording("Make a new token on the page “Tokens”, and put it into your program."),
    ),
    "permission_denied": Explanation(
        Wording("Your credential may not do this."),
        Wording("Use another token, or ask your operator for the right to do it."),
    ),
    "model_not_found": Explanation(
        Wording("There is no such model here, or you may not use it."),
        Wording("Choose one of the models on the page “Models”."),
    ),
    "tool_not_priced": Explanation(
        Wording("It asked for a tool of the provider that has no price here."),
        Wording("Leave the tool out, or ask your operator to set its price."),
    ),
    "tool_not_bounded": Explanation(
        Wording("It asked for a tool that the provider may call any number of times, and your budget has an end."),
        Wording("Say in the request how often it may be called, or leave the tool out."),
    ),
    "model_not_priced": Explanation(
        Wording("The model has no price here, so nothing can be charged for it."),
        Wording("Ask your operator to set its price."),
    ),
    "upstream_rejected": Explanation(
        Wording("The provider refused it."),
        Wording("Correct the request, or ask your operator whether the key may use this model."),
    ),
    "unknown_id": Explanation(
        Wording("It named something that does not exist, or is not yours."),
        Wording("Check the id; what others made is not yours."),
    ),
    "invalid_encrypted_content": Explanation(
        Wording("It carried reasoning that another organisation's key encrypted."),
        Wording("Leave the encrypted items out, and send the request again."),
    ),
    "unknown_url": Explanation(
        Wording("The address does not exist."), Wording("Compare the base URL with the one on the page “How to use”.")
    ),
    "method_not_allowed": Explanation(
        Wording("The address does not take this method."), Wording("Use the method that the answer names.")
    ),
    "websocket_not_supported": Explanation(
        Wording("It asked for a WebSocket, and there are none here."),
        Wording("Send the same request by POST, with stream set to true."),
    ),
    "request_too_large": Explanation(
        Wording("The body was larger than this gateway takes."), Wording("Send less at once: smaller files or images.")
    ),
    "too_many_tokens": Explanation(
        Wording("The prompt has more tokens than any key for this model may take in a minute."),
        Wording("Shorten it, or use another model."),
    ),
    "unsupported_media_type": Explanation(
        Wording("The body's type is not one that this address takes."), Wording("Set Content-Type to application/json.")
    ),
    "rate_limit_exceeded": Explanation(Wording("You had used up what you may use in this minute."), _LATER),
    "too_many_bytes": Explanation(
        Wording("Your requests held too many bytes here at once."),
        Wording("Send fewer or smaller ones at the same time."),
    ),
    "too_many_requests": Explanation(
        Wording("Too many requests of your address were under way at once."), Wording("Send fewer at the same time.")
    ),
    "wait_too_long": Explanation(
        Wording("It would have waited longer than it allowed."),
        Wording("Send it again later, or allow a longer wait (X-Max-Wait)."),
    ),
    "insufficient_quota": Explanation(
        Wording("A budget is used up."),
        Wording("Your home page shows which one, and when it begins again. Ask your operator if you need more."),
    ),
    "queue_full": Explanation(Wording("The queue for this model was full."), _LATER),
    "bodies_full": Explanation(Wording("The gateway held as many bytes of requests as it may."), _LATER),
    "queue_timeout": Explanation(
        Wording("It waited as long as it may, and no key became free."),
        Wording("Send it again when the status page shows a shorter wait."),
    ),
    "no_upstream_key": Explanation(
        Wording("No key for this model was healthy."),
        Wording("Look at the status page, and use another model meanwhile. Keys recover by themselves."),
    ),
    "queue_restarting": Explanation(Wording("The gateway's queue was restarting."), _LATER),
    "draining": Explanation(Wording("The gateway was restarting."), _LATER),
    "maintenance": Explanation(
        Wording("The gateway was closed for maintenance."), Wording("The status page says until when.")
    ),
    "cancelled": Explanation(
        Wording("An administrator ended it."), Wording("Ask your operator why, before you send it again.")
    ),
    "accounting_unavailable": Explanation(
        Wording("The gateway could not reach its ledger, and serves nothing that it cannot account for."), _LATER
    ),
    "upstream_unreachable": Explanation(
        Wording("The provider could not be reached."),
        Wording("Wait a little, and send it again. If it lasts, tell your operator."),
    ),
    "upstream_bad_response": Explanation(
        Wording("The provider's answer could not be read."), Wording("Send it again.")
    ),
    "answer_too_long": Explanation(
        Wording("The answer was longer than this gateway passes on."), Wording("Ask for less at once.")
    ),
    "upstream_timeout": Explanation(
        Wording("The provider did not answer in time."), Wording("Send it again, or ask for a stream.")
    ),
    "upstream_disconnected": Explanation(
        Wording("The connection to the provider was lost."), Wording("Send it again.")
    ),
    "internal_error": Explanation(
        Wording("The gateway had an error of its own."),
        Wording("Tell your operator the id of the request: it stands in the log."),
    ),
}

OF_TOKENS = {
    "revoked": Wording("The token was revoked."),
    "expired": Wording("The token has expired."),
    "disabled": Wording("The person of the token is disabled."),
    "network": Wording("The token is not for the network that it came from."),
    "addresses": Wording("The token has been used from as many addresses as it may."),
    "rests": Wording("The token rests until its person logs in again."),
}


_UNKNOWN = Explanation(Wording("It was refused."), Wording("The answer that your program got says why."))


# Codes of ours that a request may end with after it was sent. Others stand for what is refused beforehand, or are the
# provider's: its "rate_limit_exceeded" is not the caller's own.
AFTER_SENDING = frozenset(
    {
        *("upstream_unreachable", "upstream_bad_response", "answer_too_long", "upstream_timeout"),
        *("upstream_disconnected", "no_upstream_key", "queue_full", "queue_timeout", "queue_restarting"),
        *("wait_too_long", "accounting_unavailable", "draining", "cancelled", "tool_not_bounded"),
    }
)


def of_ended(status: str, error: str) -> Explanation:
    """The explanation of a request that was sent: by the code that its client received, or by how it ended."""
    return OF_CODES[error] if status != "rejected" and error in AFTER_SENDING else OF_OUTCOMES[status]


def of_refusal(code: str, detail: str) -> Explanation:
    """The explanation of a refusal. `detail`: the limit, the field, or why a token does not count."""
    known = OF_CODES.get(code, _UNKNOWN)
    if code == "invalid_api_key" and detail in OF_TOKENS:
        return known._replace(what=OF_TOKENS[detail])
    if detail:
        return known._replace(what=Wording("%(what)s It is about: %(detail)s.", what=known.what, detail=detail))
    return known
