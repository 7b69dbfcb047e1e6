"""The `.env` of another proxy: each of its names becomes a setting of ours or is left alone for a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.config import legacy_limits
from server.config.legacy_env import RENAMED, REWORDED, UNUSED, translate
from server.config.settings import SETTINGS, Secret, Settings, SettingsError, load
from server.ledger.limits import words

SECRET = "sk-do-not-show-this-0123456789"
OURS = {setting.name for setting in SETTINGS}

OAI_REVERSE_PROXY = """
    ADMIN_KEY ADMIN_WHITELIST AI21_KEY ALLOWED_MODEL_FAMILIES ALLOWED_VISION_SERVICES ALLOW_AWS_LOGGING
    ALLOW_NICKNAME_CHANGES ALLOW_OPENAI_TOOL_USAGE ANTHROPIC_KEY ARGON2_TIME_COST ARGON2_MEMORY_KB ARGON2_PARALLELISM
    ARGON2_HASH_LENGTH AWS_CREDENTIALS AZURE_CREDENTIALS BIND_ADDRESS BLOCKED_ORIGINS BLOCK_MESSAGE BLOCK_REDIRECT
    CAPTCHA_MODE CHECK_KEYS COHERE_KEY COOKIE_SECRET DEEPSEEK_KEY DISABLED_GPT_MODELS DISABLED_MODELS
    DISABLE_USER_STATS EVENT_LOGGING EVENT_LOGGING_TRIM FIREBASE_KEY FIREBASE_RTDB_URL FIREBASE_USERS_REF_NAME
    GATEKEEPER GATEKEEPER_STORE GCP_CREDENTIALS GOOGLE_AI_KEY GOOGLE_KEY GOOGLE_PROXY GOOGLE_SHEETS_KEY
    GOOGLE_SHEETS_SPREADSHEET_ID GROK_KEY HEARTBEAT_INTERVAL_SEC IMAGE_EXPIRY IMAGE_MODEL_RATE_LIMIT IMGBB_KEY
    IP_BLACKLIST LOAD_THRESHOLD LOG_LEVEL MAX_CONTEXT_TOKENS_OPENAI MAX_CONTEXT_TOKENS_ANTHROPIC
    MAX_CONTEXT_TOKENS_GOOGLE MAX_CONTEXT_TOKENS_MISTRAL MAX_HEARTBEAT_SIZE_KB MAX_IPS_AUTO_BAN MAX_IPS_PER_USER
    MAX_OUTPUT_TOKENS MAX_OUTPUT_TOKENS_OPENAI MAX_OUTPUT_TOKENS_ANTHROPIC MAX_OUTPUT_TOKENS_GOOGLE
    MAX_OUTPUT_TOKENS_MISTRAL MIN_HEARTBEAT_SIZE_B MISTRAL_AI_KEY MISTRAL_KEY MODEL_RATE_LIMIT NODE_ENV OPENAI_KEY
    PAGE_BODY PAYLOAD_SCALE_FACTOR PORT POW_CHALLENGE_TIMEOUT POW_DIFFICULTY_LEVEL POW_TOKEN_HOURS POW_TOKEN_MAX_IPS
    POW_TOKEN_PURGE_HOURS PROMPT_INJECTIONS PROMPT_LOGGING PROMPT_LOGGING_BACKEND PROMPT_LOGGING_FILE_PREFIX
    PROXY_ENDPOINT_ROUTE PROXY_KEY QUEUE_MODE QUOTA_DISPLAY_MODE QUOTA_REFRESH_PERIOD REJECT_PHRASES REJECT_MESSAGE
    RESPONSE_ON_UNAUTHORIZED RESTRICTED_MODEL_MESSAGE SERVER_TITLE SERVICE_INFO_PASSWORD SHOW_RECENT_IMAGES
    SHOW_TOKEN_COSTS SIGNING_KEY SPECIAL_HOST SQLITE_DATA_PATH STATIC_SERVICE_INFO TEXT_MODEL_RATE_LIMIT TOGETHER_KEY
    TOKEN_QUOTA_TURBO TOKEN_QUOTA_GPT4_32K TOKEN_QUOTA_CLAUDE TOKEN_QUOTA_CLAUDE_OPUS TRUSTED_PROXIES TURBO_ONLY
    USERS_JSON USER_CONCURRENCY_LIMIT USE_INSECURE_COOKIES RENDER RENDER_GIT_COMMIT RENDER_GIT_BRANCH
    RENDER_GIT_REPO_SLUG RENDER_SERVICE_NAME RENDER_EXTERNAL_URL SPACE_ID SPACE_TITLE SPACE_AUTHOR_NAME SPACE_HOST
    BUILD_INFO HTTP_AGENT_PROXY_URL
    HTTP_AGENT_INTERFACE TOKENS_PUNISHMENT_FACTOR ENABLE_COUNTRY_BLOCKING BLOCKED_COUNTRIES ALLOWED_COUNTRIES
    IPINFO_TOKEN ENABLE_INFO_PAGE_LOGIN SERVICE_INFO_AUTH_MODE LOGIN_IMAGE_URL PROVIDERS_FILE
    USE_REMOTE_TOKEN_COUNTING BLOCKED_MODEL_FAMILIES OPENAI_MODERATION_KEY MODERATION_THRESHOLD_HATE
    ENABLE_ANTI_ABUSE_IP_SPIKE ENABLE_ANTI_ABUSE_24H_FLEX ENABLE_ANTI_ABUSE_14H_CONTINUOUS
"""
THE_OTHERS = """
    CLIENT_ID CLIENT_SECRET REDIRECT_URI REDIRECT_URIS ISSUER API_PREFIX API_URL API_KEY BASE_URL
    POST_LOGOUT_REDIRECT_URI RATE_LIMIT MONGO_URL IGNORE_AUTH IGNORE_DB NODE_EXTRA_CA_CERTS
    OPENAI_API_KEY DB_OPTION DB_TYPE DB_MODULE DB_USERNAME DB_PASSWORD DB_HOST DB_NAME PROXY_SERVER_USER
    PROXY_SERVER_PASS FORWARD_URL FORWARD_TOKEN SPRING_DATASOURCE_URL SERVER_PORT
"""
THEIRS = f"{OAI_REVERSE_PROXY} {THE_OTHERS}".split()
UNUSED_NAMES = [name for names in UNUSED.values() for name in names.split()]
QUOTAS = [legacy_limits.QUOTA + family for family in legacy_limits.FAMILIES]
TABLES = [*RENAMED, *REWORDED, *UNUSED_NAMES, *legacy_limits.RATES, legacy_limits.PERIOD, *QUOTAS]


def read(**environ: str) -> Settings:
    return load(environ=environ, dotenv=None)


def limits(**environ: str) -> list[str]:
    return [words(limit) for limit in read(**environ).limits]


@pytest.mark.parametrize("name", THEIRS)
def test_every_name_of_the_other_projects_is_understood(name: str) -> None:
    open_ended = [each[:-1] for each in UNUSED_NAMES if each.endswith("*")]
    assert name in OURS or name in TABLES or any(map(name.startswith, open_ended))


def test_each_name_stands_in_one_table_once() -> None:
    assert len(TABLES) == len(set(TABLES))


def test_a_name_of_ours_keeps_its_meaning() -> None:
    assert OURS & set(TABLES) == set(REWORDED)
    for name in ("PORT", "OPENAI_KEY", "ANTHROPIC_KEY", "PROXY_KEY", "LOG_LEVEL", "ADMIN_KEY"):
        assert translate({name: "x"}).known == {name: "x"}


def test_what_a_name_becomes_is_a_setting() -> None:
    assert {ours for row in RENAMED.values() for ours in row.ours} <= OURS


def test_whatever_is_given_no_note_holds_a_value() -> None:
    for known in (dict.fromkeys(THEIRS, SECRET), *({name: SECRET} for name in THEIRS)):
        notes = translate(known).notes
        assert not [note for note in notes if SECRET in note or note.endswith("not used, ")]


def test_what_the_operator_s_platform_sets_is_passed_over_in_silence() -> None:
    assert read(RENDER="true", SPACE_ID="x", NODE_ENV="production", PATH="/bin").notes == ()


@pytest.mark.parametrize(
    ("given", "url", "hops"),
    [
        ({"RENDER_EXTERNAL_URL": "https://fairgate-x.onrender.com"}, "https://fairgate-x.onrender.com", 1),
        ({"SPACE_HOST": "owner-space.hf.space"}, "https://owner-space.hf.space", 1),
        ({"SPACE_HOST": "a.hf.space", "PUBLIC_URL": "https://llm.example.org"}, "https://llm.example.org", 1),
        ({"SPACE_HOST": "a.hf.space", "TRUSTED_PROXY_HOPS": "2"}, "https://a.hf.space", 2),
        ({"SPACE_HOST": "a.hf.space", "TRUSTED_PROXY_HOPS": "0"}, "https://a.hf.space", 0),
        ({"SPACE_HOST": "a.hf.space", "TRUSTED_PROXIES": "3"}, "https://a.hf.space", 3),
        ({"RENDER": "true", "SPACE_ID": "a/b"}, "", 0),
        ({}, "", 0),
    ],
)
def test_a_platform_says_where_people_come_and_has_a_proxy_in_front(given: dict[str, str], url: str, hops: int) -> None:
    settings = read(**given)
    assert (settings.public_url, settings.trusted_proxy_hops) == (url, hops)


def test_the_operator_reads_what_a_platform_has_set() -> None:
    assert read(SPACE_HOST="a.hf.space").notes == (
        "SPACE_HOST: a proxy of the platform stands in front, so TRUSTED_PROXY_HOPS is 1",
        "SPACE_HOST: read as PUBLIC_URL",
    )
    assert read(SPACE_HOST="a.hf.space", TRUSTED_PROXY_HOPS="2", PUBLIC_URL="https://b.example").notes == (
        "SPACE_HOST: not used, since PUBLIC_URL is said",
    )


def test_a_platform_s_address_makes_an_open_gateway_public() -> None:
    """Nothing else may say so: a platform's proxy reaches a loopback address in some of them."""
    with pytest.raises(SettingsError, match="ALLOW_PUBLIC"):
        read(GATEKEEPER="none", SPACE_HOST="a.hf.space")


def test_an_address_of_a_platform_that_cannot_be_read_is_a_mistake_by_its_name() -> None:
    with pytest.raises(SettingsError, match=r"PUBLIC_URL \(from RENDER_EXTERNAL_URL\): expected an address"):
        read(RENDER_EXTERNAL_URL="fairgate.onrender.com")


def test_an_env_file_of_oai_reverse_proxy_works(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "OPENAI_KEY=sk-a,sk-b\nGATEKEEPER=proxy_key\nPROXY_KEY=0123456789abcdef\nSERVER_TITLE=Our proxy\nPORT=7860\n"
        "BIND_ADDRESS=127.0.0.2\nTRUSTED_PROXIES=1\nTEXT_MODEL_RATE_LIMIT=4\nMAX_OUTPUT_TOKENS_OPENAI=400\n"
        "REJECT_PHRASES=one,two words\nBLOCKED_ORIGINS=example.com\nLOG_LEVEL=warn\nCHECK_KEYS=true\n"
    )
    settings = load(environ={}, dotenv=file)
    assert (settings.gatekeeper, settings.title, settings.host, settings.port, settings.trusted_proxy_hops) == (
        "shared", "Our proxy", "127.0.0.2", 7860, 1,
    )  # fmt: skip
    assert [len(each.keys) for each in settings.upstreams] == [2]
    assert (settings.max_output_tokens_openai, settings.log_level) == (400, "warning")
    assert [words(limit) for limit in settings.limits] == ["4 requests a minute"]
    assert (settings.phrases.patterns, settings.blocked_origins) == (("one", "two words"), ("example.com",))
    assert "SERVER_TITLE: read as TITLE" in settings.notes
    assert any(note.startswith("CHECK_KEYS: not used, trial keys") for note in settings.notes)


def test_our_own_name_wins_wherever_it_stands(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("TITLE=ours\nLIMITS=1 usd/day\n")
    settings = load(environ={"SERVER_TITLE": "theirs", "MODEL_RATE_LIMIT": "4"}, dotenv=file)
    assert (settings.title, [words(limit) for limit in settings.limits]) == ("ours", ["1.00 USD a day"])
    assert settings.notes == (
        "SERVER_TITLE: not used, since TITLE is said",
        "MODEL_RATE_LIMIT: not used, since LIMITS is said",
    )


def test_one_name_may_become_two() -> None:
    settings = read(MAX_OUTPUT_TOKENS="300", MAX_OUTPUT_TOKENS_ANTHROPIC="400")
    assert (settings.max_output_tokens_openai, settings.max_output_tokens_anthropic) == (300, 400)


def test_a_mistake_names_where_it_was_made_and_not_its_value() -> None:
    with pytest.raises(SettingsError) as caught:
        read(TRUSTED_PROXIES="loopback", MODEL_RATE_LIMIT="many")
    hops, limit = caught.value.mistakes
    assert hops == "TRUSTED_PROXY_HOPS (from TRUSTED_PROXIES): expected a whole number from 0 to 10"
    assert limit.startswith("LIMITS (from MODEL_RATE_LIMIT): expected limits such as")
    assert "many" not in limit


class TestKeys:
    def test_a_client_s_token_is_never_taken_for_a_key_to_share(self) -> None:
        settings = read(OPENAI_API_KEY=SECRET, API_KEY=SECRET, MONGO_URL="mongodb://h/d", SERVER_PORT="1")
        assert (settings.upstreams, settings.port, settings.wants_demo) == ((), 8080, True)
        assert settings.store_url == Settings().store_url
        assert len(settings.notes) == 4

    def test_beside_their_own_names_they_count(self) -> None:
        mongo = {"MONGO_URL": "mongodb://h:1", "TOKEN_PEPPER": SECRET}
        fhswf = read(API_KEY="k", API_URL="https://llm.example.org/v1/", **mongo)
        assert (fhswf.upstreams[0].base_url, fhswf.store_url) == ("https://llm.example.org/v1", "mongodb://h:1")
        readme = read(ISSUER="https://id.example.org", CLIENT_ID="c", CLIENT_SECRET=SECRET, OPENAI_API_KEY="k")
        assert [each.base_url for each in readme.upstreams] == ["https://api.openai.com/v1"]
        flask = read(OPENAI_API_KEY="k", PROXY_SERVER_USER="root", PROXY_SERVER_PASS="0123456789abcdef", DB_OPTION="")
        assert flask.upstreams[0].keys == (Secret("k"),)
        assert flask.admin_key == Secret("0123456789abcdef")

    def test_a_short_password_does_not_become_the_admin_key(self) -> None:
        settings = read(PROXY_SERVER_PASS="secret")
        assert settings.admin_key is None
        assert settings.notes == ("PROXY_SERVER_PASS: not used, ADMIN_KEY has 16 characters or more",)

    @pytest.mark.parametrize("url", ["https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1", ""])
    def test_an_endpoint_is_no_address_but_its_beginning_is(self, url: str) -> None:
        settings = read(FORWARD_TOKEN="k", FORWARD_URL=url, SERVER_PORT="9")
        assert [each.base_url for each in settings.upstreams] == ["https://api.openai.com/v1"]
        assert settings.port == 9


class TestLimits:
    def test_of_two_rates_for_the_same_models_the_newer_name_counts(self) -> None:
        assert limits(MODEL_RATE_LIMIT="9", TEXT_MODEL_RATE_LIMIT="1", IMAGE_MODEL_RATE_LIMIT="2") == [
            "1 request a minute",
            "2 requests a minute for dall-e*, gpt-image*",
        ]

    def test_zero_is_no_limit(self) -> None:
        assert limits(TEXT_MODEL_RATE_LIMIT="0", TOKEN_QUOTA_GPT4O="0") == []

    def test_a_rate_of_fifteen_minutes_is_rounded_up_to_one_of_a_minute(self) -> None:
        assert limits(RATE_LIMIT="100", ISSUER="https://id.example.org") == ["7 requests a minute"]

    def test_a_rate_limit_that_may_be_anybody_s_is_none(self) -> None:
        settings = read(RATE_LIMIT="100")
        assert settings.limits == ()
        assert settings.notes == ("RATE_LIMIT: not used, any program may have it: say LIMITS",)

    @pytest.mark.parametrize(
        ("period", "said"),
        [
            ("daily", "1,000 tokens a day"),
            ("hourly", "24,000 tokens a day"),
            ("0 * * * *", "24,000 tokens a day"),
            ("0 5 * * *", "1,000 tokens a day"),
            ("0 0 * * 1", "1,000 tokens a week"),
            ("0 0 1 * *", "1,000 tokens a month"),
        ],
    )
    def test_a_quota_begins_anew_when_it_did(self, period: str, said: str) -> None:
        assert limits(TOKEN_QUOTA_TURBO="1000", QUOTA_REFRESH_PERIOD=period) == [f"{said} for gpt-3.5-turbo*"]

    @pytest.mark.parametrize("period", ["", "*/7 * 3 * 2"])
    def test_a_quota_without_a_period_that_we_know_is_all_there_is(self, period: str) -> None:
        settings = read(TOKEN_QUOTA_CLAUDE_OPUS="5", QUOTA_REFRESH_PERIOD=period)
        assert [words(limit) for limit in settings.limits] == ["5 tokens in all for claude*opus*"]
        assert settings.notes[-1].startswith("QUOTA_REFRESH_PERIOD: no day, week or month")

    def test_an_unknown_family_is_reported(self) -> None:
        settings = read(TOKEN_QUOTA_AWS_CLAUDE="5", QUOTA_REFRESH_PERIOD="daily")
        assert settings.limits == ()
        assert settings.notes[0].startswith("TOKEN_QUOTA_AWS_CLAUDE: not used, no such family")

    def test_all_quotas_together_can_be_read(self) -> None:
        environ = dict.fromkeys(QUOTAS, "7") | {"QUOTA_REFRESH_PERIOD": "daily", "TEXT_MODEL_RATE_LIMIT": "4"}
        assert len(load(environ=environ, dotenv=None).limits) == len(QUOTAS) + 1

    @pytest.mark.parametrize(
        ("model", "family"),
        [
            ("gpt-4-0613", "GPT4"),
            ("gpt-4-0125-preview", "GPT4_TURBO"),
            ("gpt-4.1-2025-04-14", "GPT41"),
            ("gpt-4.1-mini", "GPT41_MINI"),
            ("gpt-5-2025-08-07", "GPT5"),
            ("o1-mini", "O1_MINI"),
            ("claude-3-5-sonnet-20241022", "CLAUDE"),
            ("claude-opus-4-1", "CLAUDE_OPUS"),
        ],
    )
    def test_a_model_is_of_one_family(self, model: str, family: str) -> None:
        environ = dict.fromkeys(QUOTAS, "7")
        counted = [limit for limit in load(environ=environ, dotenv=None).limits if limit.applies(model, 0)]
        assert [set(limit.family.split()) for limit in counted] == [set(legacy_limits.FAMILIES[family].split())]
