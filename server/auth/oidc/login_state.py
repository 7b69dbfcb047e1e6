"""A login on its way to the provider and back: what the browser keeps for us meanwhile.

The cookie is sealed and lasts ten minutes. It holds the state, which comes back with the answer, so that an answer is
only taken from the browser that asked; the nonce, which comes back inside the id token; and the verifier (PKCE, RFC
7636), without which the code is worthless to a thief. Each may be used once; that is noted in the store.

A browser may begin several: a restarted one opens all its tabs at once. So each has a cookie of its own, named by the
beginning of its state, and there are never more than `MOST`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from dataclasses import asdict, dataclass, field
from urllib.parse import urlencode

from server.crypto import Seal

SECONDS = 600
LONGEST = 4096  # characters of a cookie
MOST = 8  # attempts of one browser: all cookies have to fit into the header of each request
NAMED_BY = 12  # characters of the state

_NAME = re.compile(rf"[A-Za-z0-9_-]{{{NAMED_BY}}}")


@dataclass(frozen=True, slots=True)
class LoginState:
    """One login that was begun. `next`: our own path, where the person wanted to go."""

    redirect_uri: str
    next: str
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)

    def address(self, endpoint: str, client_id: str, scopes: str) -> str:
        """Where the browser is sent to."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": self.redirect_uri,
            "scope": scopes,
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return with_query(endpoint, query)

    def sealed(self, seal: Seal, now: int) -> str:
        """The value of the cookie."""
        return seal.close(json.dumps(asdict(self)).encode(), now).decode()


def name_of(state: str) -> str:
    """The name of the attempt with this state; empty if it cannot be one of ours."""
    name = state[:NAMED_BY]
    return name if _NAME.fullmatch(name) else ""


def attempt_of(cookie: str | None, seal: Seal, now: int) -> LoginState | None:
    """The attempt in a cookie, unless it is none of ours or too old."""
    if not cookie or len(cookie) > LONGEST:
        return None
    content = seal.open(cookie.encode("utf-8", "replace"), now, SECONDS)
    return LoginState(**json.loads(content)) if content is not None else None


def with_query(address: str, query: dict[str, str]) -> str:
    """The address with these parameters behind those that it has."""
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"
