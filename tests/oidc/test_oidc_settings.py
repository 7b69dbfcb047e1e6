"""The settings of a login: what may be said, what must be said together, and what fhswf's proxy called it."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.config import oidc_parsers
from server.config.settings import Settings, SettingsError, load
from server.policy.claims import ClaimRules, Condition

ISSUER = "https://id.example.org/realms/main"
LOGIN = {"OIDC_ISSUER": f"{ISSUER}/", "OIDC_CLIENT_ID": "fairgate"}


def read(**environ: str) -> Settings:
    return load(environ=environ, dotenv=None)


def mistakes(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(**environ)
    return caught.value.mistakes


def test_a_login_is_an_issuer_and_our_name_there() -> None:
    settings = read(**LOGIN, OIDC_ADMIN="groups=llm-admins", OIDC_ALGORITHMS="ES256, PS256")
    assert (settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret) == (ISSUER, "fairgate", None)
    assert settings.oidc_admin == Condition("groups", ("llm-admins",))
    assert settings.oidc_algorithms == ("ES256", "PS256")
    assert not settings.oidc_bearer


def test_what_is_missing_is_said() -> None:
    assert mistakes(OIDC_ISSUER=ISSUER) == [
        "OIDC_CLIENT_ID: expected the name of this gateway at the provider, because OIDC_ISSUER is set"
    ]
    everywhere = {**LOGIN, "HOST": "0.0.0.0"}
    assert mistakes(**everywhere) == ["OIDC_REDIRECT_URIS: expected this, or PUBLIC_URL, because OIDC_ISSUER is set"]
    assert read(**everywhere, PUBLIC_URL="https://llm.example.org").oidc_redirect_uris == ()


@pytest.mark.parametrize(
    "value", ["http://id.example.org", "id.example.org", "https://u:p@id.example.org", "https://x?y"]
)
def test_an_issuer_is_reached_by_https_or_within_this_machine(value: str) -> None:
    with pytest.raises(ValueError, match="expected an address"):
        oidc_parsers.issuer(value)
    assert oidc_parsers.issuer("http://127.0.0.1:9400") == "http://127.0.0.1:9400"


def test_redirect_addresses_are_taken_exactly_and_lead_to_the_callback() -> None:
    both = "https://a.example.org/callback, http://localhost:8080/callback"
    assert oidc_parsers.redirect_uris(both) == ("https://a.example.org/callback", "http://localhost:8080/callback")
    for wrong in ("https://a.example.org/", "https://a.example.org/callback/", "http://a.example.org/callback"):
        with pytest.raises(ValueError, match=r"expected (an )?address"):
            oidc_parsers.redirect_uris(wrong)
    assert oidc_parsers.page("https://a.example.org/") == "https://a.example.org/"


@pytest.mark.parametrize("value", ["HS256", "none", "RS256,HS256", "rs256", "", ","])
def test_a_common_secret_cannot_be_an_algorithm(value: str) -> None:
    with pytest.raises(ValueError, match="expected algorithms out of RS256"):
        oidc_parsers.algorithms(value)


@pytest.mark.parametrize("value", ["profile", "openid  profile", 'openid "', "openid\nx"])
def test_scopes_are_words_and_openid_is_among_them(value: str) -> None:
    with pytest.raises(ValueError, match="expected scopes"):
        oidc_parsers.scopes(value)


def test_the_file_of_rules_is_read_at_the_start_and_its_mistakes_are_told_with_all_others(tmp_path: Path) -> None:
    file = tmp_path / "claims.yaml"
    file.write_text("rules: [{when: {a: b}, groups: [g]}]")
    assert read(CLAIMS_FILE=str(file)).claim_rules.groups({"a": "b"}) == ("g",)
    assert read().claim_rules == ClaimRules()
    file.write_text("rules: [x]")
    assert mistakes(CLAIMS_FILE=str(file), PORT="x") == [
        "PORT: expected a whole number from 0 to 65535",
        "rules[0]: expected the fields when and groups, and no other",
    ]


def test_the_names_of_fhswfs_proxy_are_understood_together() -> None:
    theirs = {
        "ISSUER": ISSUER,
        "CLIENT_ID": "llm",
        "CLIENT_SECRET": "a secret of theirs",
        "REDIRECT_URIS": '["https://a.example.org/callback", "https://b.example.org/callback"]',
        "POST_LOGOUT_REDIRECT_URI": "https://ki.example.org",
    }
    settings = read(**theirs)
    assert (settings.oidc_issuer, settings.oidc_client_id, settings.post_logout_uri) == (
        ISSUER, "llm", "https://ki.example.org",
    )  # fmt: skip
    assert settings.oidc_redirect_uris == ("https://a.example.org/callback", "https://b.example.org/callback")
    assert settings.oidc_client_secret is not None
    assert settings.oidc_client_secret.reveal() == theirs["CLIENT_SECRET"]
    one = {**theirs, "REDIRECT_URIS": "", "REDIRECT_URI": "https://a.example.org/callback"}
    assert read(**one).oidc_redirect_uris == ("https://a.example.org/callback",)


@pytest.mark.parametrize("name", ["ISSUER", "CLIENT_ID", "CLIENT_SECRET", "REDIRECT_URI"])
def test_alone_they_may_be_anybodys(name: str) -> None:
    settings = read(**{name: "https://a.example.org/callback"})
    assert (settings.oidc_issuer, settings.oidc_client_id, settings.oidc_redirect_uris) == ("", "", ())
    assert len(settings.notes) == 1
