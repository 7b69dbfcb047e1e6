"""Login to the pages by a credential of the API: a gatekeeper token, or `ADMIN_KEY`.

The session may do all that its person may, so a token that was narrowed down on purpose (to models, to
networks, to a short time) begins no session. Failures are counted by address, together with those of the API.
A session ends with the token that began it.
"""

from __future__ import annotations

from server.auth.accounts import EVERYONE, OPERATOR, Accounts
from server.auth.sessions import Sessions
from server.store.base import Store, StoreError
from server.wire.errors import AccountingUnavailable, InvalidKey


async def login_with_token(accounts: Accounts, store: Store, sessions: Sessions, presented: str, address: str) -> str:
    """Begin a session of whose token this is, no longer than the token lasts; returns the cookie.

    Raises InvalidKey, RateLimited, AccountingUnavailable.
    """
    bearer = f"Bearer {presented}"
    caller = await accounts.authenticate(bearer, None, address)
    if caller is EVERYONE:
        raise accounts.denial(caller, bearer, None, address)
    if caller.person_id != OPERATOR.person_id and (caller.token_id is None or caller.terms.narrow):
        raise InvalidKey
    try:
        mine = await store.tokens(caller.person_id) if caller.token_id else []
        until = next((token.expires_at for token in mine if token.id == caller.token_id), None)
        return await sessions.open(caller.person_id, until=until, token_id=caller.token_id)
    except StoreError as error:
        raise AccountingUnavailable from error
