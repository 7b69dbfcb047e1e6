"""Login with OpenID Connect: authorization code, PKCE, state and nonce; in at `begin` and `finish`, out at `farewell`.

What can go wrong has three faces. The browser came with something that does not belong together, or the provider said
no: `LoginRefused`, with words for the person. The provider cannot be asked: `Away`. And the store: `StoreError`. Why a
login was refused stands in the log, without a word of what was sent.
"""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from server.auth.oidc.bearer import OidcBearer
from server.auth.oidc.id_tokens import TokenRefused, Verifier
from server.auth.oidc.login_state import SECONDS, LoginState, attempt_of, name_of, with_query
from server.auth.oidc.provider import CodeRefused, IdentityProvider
from server.auth.oidc.provisioning import Provisioning, Reading
from server.config.oidc_parsers import CALLBACK
from server.config.settings import Settings
from server.config.specs import Secret
from server.crypto import Seal
from server.httpclient.egress import DIRECTLY, Egress
from server.policy.claims import Claims, found, texts
from server.store.base import Person, Store
from web.wording import Wording

log = logging.getLogger("fairgate")

FOR_EVER = 10**9  # seconds: how long a session lasts is the session's to say
LONGEST_HINT = 4096  # characters of an id token that fit into an address

STALE = Wording(
    "This login was begun in another browser, more than ten minutes ago, or is already done. Please begin again."
)
REFUSED = Wording("What your organisation’s login answered could not be used. Please begin again.")
PARTIAL = "the identity provider withholds groups (Entra ID: more than 200), so known rights are kept unchecked"
DISABLED = Wording("You are known here, but your access is closed. Please ask the operator.")


class LoginRefused(Exception):
    """A login came to nothing; `words` are for the person, `answer` is the provider's own word, if it said one."""

    def __init__(self, words: str, answer: str = "") -> None:
        super().__init__(words)
        self.words, self.answer = words, answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The gateway's registration at the provider."""

    issuer: str
    client_id: str
    secret: Secret | None = None
    redirect_uris: tuple[str, ...] = ()
    scopes: str = "openid profile email"
    algorithms: tuple[str, ...] = ("RS256",)
    post_logout_uri: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A person who has come back from the provider. `sealed` is for their session."""

    person: Person
    next: str
    sealed: bytes


class Oidc:
    """One provider's login. `clock` gives monotonic seconds, `wall` UTC milliseconds."""

    def __init__(
        self,
        client: Client,
        reading: Reading,
        store: Store,
        pepper: bytes,
        clock: Callable[[], float],
        wall: Callable[[], int],
        egress: Egress = DIRECTLY,
    ) -> None:
        self._client, self._reading, self._store, self._wall = client, reading, store, wall
        self._provider = IdentityProvider(client.issuer, client.client_id, client.secret, clock, egress=egress)
        self._verifier = Verifier(self._provider, client.client_id, client.algorithms)
        self._people = Provisioning(store, wall)
        self._attempts, self._keepsakes = Seal(pepper, "logins"), Seal(pepper, "logouts")
        self.bearer = OidcBearer(self._verifier, self._reading, self._people, wall)

    async def begin(self, origin: str, next_path: str) -> tuple[str, str, str]:
        """Where to send a browser that asks at this origin (`https://host`), the attempt's name, and what it keeps.

        Raises Away.
        """
        metadata = await self._provider.metadata.get()
        attempt = LoginState(self._redirect_uri(origin), next_path)
        address = attempt.address(metadata.authorization_endpoint, self._client.client_id, self._client.scopes)
        return address, name_of(attempt.state), attempt.sealed(self._attempts, self._wall())

    async def finish(self, answer: Mapping[str, str], cookie: str | None) -> Arrival:
        """The person who has come back with the provider's answer, a query. Raises LoginRefused, Away, StoreError."""
        attempt = await self._attempt(answer, cookie)
        code = await self._code(answer)
        try:
            tokens = await self._provider.exchange(code, attempt.verifier, attempt.redirect_uri)
            id_token = str(tokens.get("id_token") or "")
            claims = await self._verifier.id_token(id_token, attempt.nonce, self._wall() / 1000)
            if self._reading.lacks(claims) and isinstance(tokens.get("access_token"), str):
                claims = await self._verifier.completed(claims, tokens["access_token"])
        except CodeRefused:
            raise _refused("the provider does not take the code") from None
        except TokenRefused as error:
            raise _refused(f"the id token: {error}") from None
        profile = self._reading.complete(self._reading.profile(claims))
        person = await self._people.welcome(profile, self._wall())
        if profile.partial:
            log.warning("%s of person %s", PARTIAL, person.id)
        if person.disabled:
            raise LoginRefused(DISABLED)
        return Arrival(person, attempt.next, self._keepsake(id_token, claims))

    async def farewell(self, sealed: bytes) -> str | None:
        """Where to send a browser whose session is over, so that it is over at the provider, too. Raises Away."""
        kept, end = self._kept(sealed), (await self._provider.metadata.get()).end_session_endpoint
        if kept is None or end is None:
            return None
        query = {"id_token_hint": kept["hint"]} if kept["hint"] else {}
        query["client_id"] = self._client.client_id
        if self._client.post_logout_uri:
            query["post_logout_redirect_uri"] = self._client.post_logout_uri
        return with_query(end, query)

    def described(self, sealed: bytes) -> dict[str, Any] | None:
        """The provider's claims of a person at their login, for the person; None if they logged in another way."""
        kept = self._kept(sealed)
        return kept["user"] if kept else None

    async def close(self) -> None:
        await self._provider.close()

    async def _attempt(self, answer: Mapping[str, str], cookie: str | None) -> LoginState:
        now = self._wall()
        attempt = attempt_of(cookie, self._attempts, now)
        if attempt is None or not _same(answer.get("state", ""), attempt.state):
            raise LoginRefused(STALE)
        if not await self._store.use_once(f"login {attempt.state}", now + SECONDS * 1000):
            raise LoginRefused(STALE)
        return attempt

    async def _code(self, answer: Mapping[str, str]) -> str:
        metadata = await self._provider.metadata.get()
        if answer.get("iss", metadata.issuer if not metadata.names_itself else "") != metadata.issuer:
            raise _refused("the answer is another issuer's")
        if "error" in answer:
            raise LoginRefused(Wording("Your organisation’s login has refused."), answer["error"][:80])
        if not answer.get("code"):
            raise _refused("the answer has no code")
        return answer["code"]

    def _keepsake(self, id_token: str, claims: Claims) -> bytes:
        hint = id_token if len(id_token) <= LONGEST_HINT else ""
        return self._keepsakes.close(json.dumps({"hint": hint, "user": described(claims)}).encode(), self._wall())

    def _kept(self, sealed: bytes) -> dict[str, Any] | None:
        content = self._keepsakes.open(sealed, self._wall(), FOR_EVER) if sealed else None
        return json.loads(content) if content else None

    def _redirect_uri(self, origin: str) -> str:
        """The agreed address on the host that was asked, else the first one; this machine needs no agreement."""
        for uri in self._client.redirect_uris:
            if urlsplit(uri).netloc == urlsplit(origin).netloc:
                return uri
        return self._client.redirect_uris[0] if self._client.redirect_uris else origin + CALLBACK


def oidc_of(
    settings: Settings,
    store: Store,
    pepper: bytes,
    clock: Callable[[], float],
    wall: Callable[[], int],
    egress: Egress = DIRECTLY,
) -> Oidc | None:
    """The login that the settings describe; None if there is none."""
    if not settings.oidc_issuer:
        return None
    own = (settings.public_url + CALLBACK,) if settings.public_url else ()
    client = Client(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        secret=settings.oidc_client_secret,
        redirect_uris=settings.oidc_redirect_uris or own,
        scopes=settings.oidc_scopes,
        algorithms=settings.oidc_algorithms,
        post_logout_uri=settings.post_logout_uri,
    )
    reading = Reading(settings.claim_rules, settings.oidc_admin, settings.login_name_claim)
    return Oidc(client, reading, store, pepper, clock, wall, egress)


def described(claims: Claims) -> dict[str, Any]:
    """The answer of `GET /user`; `affiliations` are the roles by organisation, from `affiliation: ["role@org"]`."""
    affiliations: dict[str, list[str]] = {}
    for each in texts(found(claims, "affiliation")):
        role, at, organisation = each.partition("@")
        if at:
            affiliations.setdefault(organisation, []).append(role)
    plain = {name: claims.get(name) for name in ("name", "email", "sub", "preferred_username")}
    return {**plain, "affiliations": affiliations}


def _same(presented: str, kept: str) -> bool:
    return hmac.compare_digest(presented.encode("utf-8", "replace"), kept.encode())


def _refused(why: str) -> LoginRefused:
    log.warning("a login was refused: %s", why)
    return LoginRefused(REFUSED)
