"""Which tokens are believed: the matrix of what was forged, replayed, meant for others, or of another time."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.auth.oidc.id_tokens import TokenRefused, Verifier
from server.auth.oidc.provider import IdentityProvider
from server.config.specs import Secret
from server.single_flight import Away
from tests.oidc.idp import (
    CLIENT_ID,
    CLIENT_SECRET,
    NOW,
    Idp,
    broken,
    ec_key,
    ed_key,
    endless,
    forged,
    identity_provider,
    jwk,
    never,
    rsa_key,
    signed,
)

NONCE = "the nonce of this login"
Make = Callable[[Idp], str]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def judge(
    clock: Callable[[], float] = lambda: 1000.0,
    algorithms: tuple[str, ...] = ("RS256",),
    patience: float = 5.0,
    **idp: Any,
) -> AsyncIterator[tuple[Idp, Verifier]]:
    """A provider, and who judges its tokens."""
    async with identity_provider(**idp) as running:
        provider = IdentityProvider(running.url, CLIENT_ID, Secret(CLIENT_SECRET), clock, patience)
        try:
            yield running, Verifier(provider, CLIENT_ID, algorithms)
        finally:
            await provider.close()


def good(idp: Idp, **changes: Any) -> dict[str, Any]:
    return idp.claims(**{"nonce": NONCE, **changes})


def with_claims(**changes: Any) -> Make:
    return lambda idp: signed(good(idp, **changes), rsa_key("one"))


def public_pem() -> bytes:
    return rsa_key("one").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def confused(idp: Idp) -> str:
    """HS256 with the public key as the common secret."""
    unsigned = forged({"alg": "HS256", "kid": "one", "typ": "JWT"}, good(idp)).rstrip(".")
    signature = hmac.digest(public_pem(), unsigned.encode(), "sha256")
    return unsigned + "." + forged({}, {}, signature).split(".")[2]


def cut(idp: Idp) -> str:
    header, _, signature = with_claims()(idp).split(".")
    return f"{header}.{forged({}, good(idp, sub='eve')).split('.')[1]}.{signature}"


ACCEPTED: dict[str, Make] = {
    "a good one": with_claims(),
    "of a provider with one key, without a kid": lambda idp: signed(good(idp), rsa_key("one"), kid=None),
    "expired 29 seconds ago": with_claims(exp=NOW - 29),
    "issued 29 seconds ahead": with_claims(iat=NOW + 29),
    "for us and others, issued to us": with_claims(aud=[CLIENT_ID, "others"], azp=CLIENT_ID),
    "for us alone, in a list": with_claims(aud=[CLIENT_ID]),
    "with times in fractions": with_claims(exp=NOW + 0.5, iat=NOW - 0.5),
}
REFUSED: dict[str, Make] = {
    "no signature (alg none)": lambda idp: forged({"alg": "none", "kid": "one"}, good(idp)),
    "alg None in other letters": lambda idp: forged({"alg": "NoNe", "kid": "one"}, good(idp)),
    "signed with the public key as a password": confused,
    "an algorithm that is not configured": lambda idp: signed(good(idp), rsa_key("one"), algorithm="PS256"),
    "an algorithm that is no text": lambda idp: forged({"alg": ["RS256"], "kid": "one"}, good(idp)),
    "signed by another key under a known name": lambda idp: signed(good(idp), rsa_key("eve")),
    "its key brought along": lambda idp: signed(good(idp), rsa_key("eve"), jwk=jwk(rsa_key("eve"), "one")),
    "its key at an address": lambda idp: signed(good(idp), rsa_key("eve"), jku="https://evil.example/jwks"),
    "claims changed after signing": cut,
    "another audience": with_claims(aud="others"),
    "no audience": with_claims(aud=None),
    "several audiences without azp": with_claims(aud=[CLIENT_ID, "others"]),
    "several audiences, issued to another": with_claims(aud=[CLIENT_ID, "others"], azp="others"),
    "one audience, issued to another": with_claims(azp="others"),
    "another issuer": with_claims(iss="https://evil.example"),
    "no issuer": with_claims(iss=None),
    "another nonce": with_claims(nonce="of another login"),
    "a nonce that is no text": with_claims(nonce=["x"]),
    "no nonce": lambda idp: signed(idp.claims(), rsa_key("one")),
    "no exp": with_claims(exp=None),
    "no iat": with_claims(iat=None),
    "no sub": with_claims(sub=None),
    "an empty sub": with_claims(sub=""),
    "a sub of another kind": with_claims(sub=7),
    "a sub with control characters": with_claims(sub="a\nb"),
    "a sub of 300 characters": with_claims(sub="a" * 300),
    "expired 31 seconds ago": with_claims(exp=NOW - 31),
    "issued 31 seconds ahead": with_claims(iat=NOW + 31),
    "valid from 31 seconds on": with_claims(nbf=NOW + 31),
    "an exp that is no number": with_claims(exp="never"),
    "an exp that is true": with_claims(exp=True),
    "an exp without an end": with_claims(exp=float("inf")),
    "an exp of a thousand digits": with_claims(exp=10**1000),
    "a kid that nobody knows": lambda idp: signed(good(idp), rsa_key("one"), kid="two"),
    "a kid that is a path": lambda idp: signed(good(idp), rsa_key("one"), kid="../../x"),
    "a kid that is no text": lambda idp: forged({"alg": "RS256", "kid": {"$ne": 1}}, good(idp), b"x"),
    "100 KB": with_claims(padding="x" * 100_000),
    "a header of a thousand brackets": lambda idp: "W1tb" * 4000 + ".e30.e30",
    "a critical header that nobody understands": lambda idp: signed(good(idp), rsa_key("one"), crit=["x"], x=1),
    "no token": lambda idp: "",
    "other letters": lambda idp: "é.é.é",
}


@pytest.mark.parametrize("make", ACCEPTED.values(), ids=ACCEPTED)
@pytest.mark.gen_test
async def test_accepted(make: Make) -> None:
    async with judge() as (idp, verifier):
        assert (await verifier.id_token(make(idp), NONCE, NOW))["sub"] == "ada-1"


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
@pytest.mark.gen_test
async def test_refused_and_the_reason_quotes_nothing(make: Make) -> None:
    async with judge() as (idp, verifier):
        with pytest.raises(TokenRefused) as refused:
            await verifier.id_token(make(idp), NONCE, NOW)
        assert not any(word in str(refused.value) for word in ("evil", "eve", "others", "ada", "..", "$ne"))


@pytest.mark.parametrize(
    ("algorithm", "key"), [("PS256", rsa_key), ("RS512", rsa_key), ("ES256", ec_key), ("EdDSA", ed_key)]
)
@pytest.mark.gen_test
async def test_other_algorithms_are_taken_where_they_are_configured(algorithm: str, key: Callable[[str], Any]) -> None:
    others = [jwk(each("other"), f"other {each.__name__}") for each in (rsa_key, ec_key, ed_key)]
    async with judge(algorithms=(algorithm,), keys=[*others, jwk(key("one"), "one")]) as (idp, verifier):
        token = signed(good(idp), key("one"), algorithm=algorithm)
        assert (await verifier.id_token(token, NONCE, NOW))["sub"] == "ada-1"
        with pytest.raises(TokenRefused):
            await verifier.id_token(signed(good(idp), rsa_key("one")), NONCE, NOW)


@pytest.mark.parametrize(
    "keys",
    [
        [jwk(rsa_key("one"), "one", use="enc")],
        [jwk(rsa_key("one"), "one", alg="RS512")],
        [jwk(rsa_key("one"), None)],
        [{"kty": "oct", "k": "c2VjcmV0", "kid": "one"}, {"kty": "RSA", "kid": "one"}, {"kty": []}, None, 7],
    ],
    ids=["for encryption", "for another algorithm", "without this name", "no keys for signatures"],
)
@pytest.mark.gen_test
async def test_a_key_that_is_not_meant_for_it_verifies_nothing(keys: list[Any]) -> None:
    async with judge(keys=[*keys, jwk(rsa_key("other"), "other")]) as (idp, verifier):
        with pytest.raises(TokenRefused):
            await verifier.id_token(with_claims()(idp), NONCE, NOW)


@pytest.mark.gen_test
async def test_without_a_kid_one_of_several_keys_is_not_guessed() -> None:
    async with judge(keys=[jwk(rsa_key("one"), "one"), jwk(rsa_key("two"), "two")]) as (idp, verifier):
        with pytest.raises(TokenRefused):
            await verifier.id_token(signed(good(idp), rsa_key("one"), kid=None), NONCE, NOW)


@pytest.mark.gen_test
async def test_a_thousand_unknown_kids_make_one_request_in_30_seconds() -> None:
    clock = Clock()
    async with judge(clock) as (idp, verifier):
        await verifier.id_token(with_claims()(idp), NONCE, NOW)
        for number in range(1000):
            with pytest.raises(TokenRefused):
                await verifier.verify(forged({"alg": "RS256", "kid": f"k{number}"}, {}, b"x"), NOW)
        assert idp.asked["/jwks"] == 1
        clock.now += 30
        for number in range(1000):
            with pytest.raises(TokenRefused):
                await verifier.verify(forged({"alg": "RS256", "kid": f"k{number}"}, {}, b"x"), NOW)
        assert idp.asked["/jwks"] == 2


@pytest.mark.parametrize("kid", ["two", "one", None], ids=["a new name", "the same name", "no name"])
@pytest.mark.gen_test
async def test_exchanged_keys_are_found_after_30_seconds(kid: str | None) -> None:
    clock = Clock()
    async with judge(clock) as (idp, verifier):
        await verifier.id_token(with_claims()(idp), NONCE, NOW)
        idp.keys = [jwk(rsa_key("two"), kid)]
        token = signed(good(idp), rsa_key("two"), kid=kid)
        with pytest.raises(TokenRefused):
            await verifier.id_token(token, NONCE, NOW)
        clock.now += 30
        await verifier.id_token(token, NONCE, NOW)
        with pytest.raises(TokenRefused):  # and the old key is gone
            await verifier.id_token(with_claims()(idp), NONCE, NOW)


@pytest.mark.parametrize("fault", [broken, endless], ids=["500", "5 MB"])
@pytest.mark.gen_test
async def test_known_keys_serve_on_while_the_provider_fails(fault: Any) -> None:
    clock = Clock()
    async with judge(clock) as (idp, verifier):
        await verifier.id_token(with_claims()(idp), NONCE, NOW)
        idp.faults["/jwks"] = fault
        clock.now += 4000
        with pytest.raises(TokenRefused):
            await verifier.id_token(signed(good(idp), rsa_key("two"), kid="two"), NONCE, NOW)
        await verifier.id_token(with_claims()(idp), NONCE, NOW)
        assert idp.asked["/jwks"] == 2


@pytest.mark.parametrize("fault", [broken, endless], ids=["500", "5 MB"])
@pytest.mark.gen_test
async def test_without_any_keys_the_provider_is_away_and_not_the_token_wrong(fault: Any) -> None:
    async with judge(faults={"/jwks": fault}) as (idp, verifier):
        for _ in range(100):
            with pytest.raises(Away):
                await verifier.id_token(with_claims()(idp), NONCE, NOW)
        assert idp.asked["/jwks"] == 1


@pytest.mark.gen_test
async def test_a_provider_that_does_not_answer_is_away_when_patience_ends() -> None:
    async with judge(patience=0.05, faults={"/jwks": never}) as (idp, verifier):
        with pytest.raises(Away, match="in time"):
            await verifier.id_token(with_claims()(idp), NONCE, NOW)


@pytest.mark.gen_test
async def test_many_who_come_at_once_wait_for_one_request() -> None:
    async with judge() as (idp, verifier):
        token = with_claims()(idp)
        await asyncio.gather(*(verifier.id_token(token, NONCE, NOW) for _ in range(50)))
        assert idp.asked == {"/.well-known/openid-configuration": 1, "/jwks": 1}


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"jwks_uri": "http://evil.example/jwks"},
        {"jwks_uri": "file:///etc/passwd"},
        {"token_endpoint": None},
        {"authorization_endpoint": ["x"]},
    ],
    ids=str,
)
@pytest.mark.gen_test
async def test_a_provider_that_describes_itself_wrongly_is_not_used(discovery: dict[str, Any]) -> None:
    async with judge(discovery=discovery) as (idp, verifier):
        with pytest.raises(Away, match="discovery document"):
            await verifier.id_token(with_claims()(idp), NONCE, NOW)
        assert idp.asked["/jwks"] == 0


BEARERS: dict[str, tuple[dict[str, Any], bool]] = {
    "an id token for us": ({"nonce": "any"}, True),
    "an id token for us and others, issued to others": ({"nonce": "n", "aud": [CLIENT_ID, "o"], "azp": "o"}, False),
    "an id token for others, issued to us": ({"at_hash": "x", "aud": "others", "azp": CLIENT_ID}, False),
    "an access token for us": ({"azp": "a browser program", "scope": "openid"}, True),
    "an access token for another service, issued to us": ({"aud": "account", "azp": CLIENT_ID, "typ": "Bearer"}, True),
    "an older access token of Keycloak": ({"aud": "account", "azp": CLIENT_ID, "typ": "Bearer", "nonce": "n"}, True),
    "an access token for another service": ({"aud": "account", "azp": "others"}, False),
    "expired": ({"exp": NOW - 31}, False),
}


@pytest.mark.parametrize(("changes", "accepted"), BEARERS.values(), ids=BEARERS)
@pytest.mark.gen_test
async def test_as_a_bearer(changes: dict[str, Any], accepted: bool) -> None:
    async with judge() as (idp, verifier):
        token = signed(idp.claims(**changes), rsa_key("one"))
        if accepted:
            assert (await verifier.bearer(token, NOW))["sub"] == "ada-1"
        else:
            with pytest.raises(TokenRefused):
                await verifier.bearer(token, NOW)
