"""Settings: one table, read from three places, with all mistakes reported at once and no secret shown."""

from __future__ import annotations

from datetime import UTC
from operator import attrgetter
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from server.config import parsers, settings_docs
from server.config.settings import SETTINGS, Secret, Setting, Settings, SettingsError, UpstreamSpec, load
from server.ledger.limits import words
from server.wire.filters import Caps

SECRET = "sk-do-not-show-this-0123456789"


def mistakes(environ: dict[str, str], dotenv: Path | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(environ=environ, dotenv=dotenv)
    return caught.value.mistakes


def test_without_anything_all_settings_have_their_defaults() -> None:
    assert load(environ={}, dotenv=None) == Settings()


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("HOST=::1\nPORT=1\nTITLE=of the file\n")
    settings = load({"HOST": "localhost", "PORT": None}, environ={"HOST": "127.0.0.2", "PORT": "2"}, dotenv=file)
    assert (settings.host, settings.port, settings.title) == ("localhost", 2, "of the file")


def test_an_empty_value_is_no_value(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("PORT=7\nTITLE=\n")
    settings = load(environ={"PORT": " ", "OPENAI_KEY": ""}, dotenv=file)
    assert (settings.port, settings.title, settings.openai_key) == (7, "fairgate", ())


def test_a_dollar_in_the_file_is_a_dollar(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("TITLE=a${HOME}b\n")
    assert load(environ={}, dotenv=file).title == "a${HOME}b"


def test_a_missing_file_is_no_mistake(tmp_path: Path) -> None:
    assert load(environ={}, dotenv=tmp_path / ".env") == Settings()


def test_a_broken_file_is_reported_by_its_line_and_not_by_its_text(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"PORT=1\n'{SECRET}\n")
    assert mistakes({}, file) == [".env line 2: expected NAME=value"]


def test_a_file_in_another_encoding_is_reported(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"TITLE=Universit\xe4t\n")
    assert mistakes({}, file) == [".env: expected a readable text file in UTF-8"]


def test_all_mistakes_are_reported_together() -> None:
    wrong = {"PORT": "eighty", "DEMO": "maybe", "MAX_BODY_BYTES": "8 apples", "GATEKEEPER": "shared"}
    assert mistakes(wrong) == [
        "PORT: expected a whole number from 0 to 65535",
        "DEMO: expected one of auto, on, off",
        "MAX_BODY_BYTES: expected a size of at least 1KiB such as 8MiB",
        "PROXY_KEY: expected 16 characters or more, because GATEKEEPER is shared",
    ]


FREE_TEXT = {
    *("HOST", "TITLE", "PUBLIC_URL", "UPSTREAMS_FILE", "OPENAI_MODELS", "ANTHROPIC_MODELS", "JOURNAL", "PRICES_FILE"),
    *("REJECT_PHRASES", "REJECT_PHRASES_FILE", "REJECT_MESSAGE", "BLOCKED_ORIGINS", "BLOCK_MESSAGE"),
    *("OIDC_CLIENT_ID", "LOGIN_NAME_CLAIM", "CLAIMS_FILE", "SPOOL_FOLDER", "NO_PROXY", "UPSTREAM_CA_FILE"),
}


@pytest.mark.parametrize("setting", [each for each in SETTINGS if each.name not in FREE_TEXT], ids=attrgetter("name"))
def test_no_mistake_and_no_repr_shows_a_secret_wherever_it_was_put(setting: Setting) -> None:
    for end in ("", " ", "\n", ",ü", "@", "@http://example.org", "@https://[", f",{SECRET}"):
        try:
            shown = repr(load(environ={setting.name: SECRET + end + "."}, dotenv=None))
        except SettingsError as error:
            shown = f"{error} {error!r}"
        assert SECRET not in shown


@pytest.mark.parametrize(
    ("text", "value"),
    [("8MiB", 8 << 20), ("64 KiB", 64 << 10), ("1gib", 1 << 30), ("500000", 500_000), ("2048B", 2048)],
)
def test_sizes_are_written_with_binary_units(text: str, value: int) -> None:
    assert parsers.size(text) == value


@pytest.mark.parametrize("text", ["", "8MB", "1023", "-1", "1.5MiB", "9999GiB", "٨MiB", "1e6"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parsers.size(text)


def test_origins_are_written_as_browsers_write_them() -> None:
    assert parsers.origins("https://Chat.example.org/, app://obsidian.md ,http://[::1]:3000,*") == (
        *("https://chat.example.org", "app://obsidian.md", "http://[::1]:3000", "*"),
    )
    assert parsers.origins("https://*.example.edu:8443") == ("https://*.example.edu:8443",)
    assert parsers.origins("") == ()
    stars = ("https://*.org", "https://*", "https://a.*.example.org", "https://*example.org", "*://a.example.org")
    for wrong in ("chat.example.org", "https://a.example/path", "null", "https://a b", *stars):
        with pytest.raises(ValueError, match="expected origins"):
            parsers.origins(wrong)


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "90s", "1e9"])
def test_a_duration_is_seconds_of_at_most_a_day(text: str) -> None:
    with pytest.raises(ValueError, match="expected seconds"):
        parsers.seconds(text)


@pytest.mark.parametrize("text", ["", "80.5", "65536", "-1", "1_0", "٣", "0x50"])
def test_a_whole_number_is_ascii_digits_within_its_range(text: str) -> None:
    with pytest.raises(ValueError, match="expected a whole number from 0 to 65535"):
        parsers.whole(0, 65535)(text)


@pytest.mark.parametrize("text", ["https://api.example.com/v1", "http://127.0.0.1:9/v1", "http://[::1]:9/v1/"])
def test_an_upstream_is_reached_by_https_or_within_this_machine(text: str) -> None:
    assert parsers.base_url(text) == text.rstrip("/")


@pytest.mark.parametrize(
    "text",
    [
        *("", "api.example.com", "ftp://example.com", "https://", "https://[::1", "https://example.com:99999"),
        *("https://u:p@example.com", "https://example.com/v1?a=b", "https://example.com/#", "https://exa mple.com"),
        *("http://api.example.com/v1", "http://10.0.0.1/v1", "http://127.0.0.1.example.com/v1", "https://exämple.com"),
    ],
)
def test_any_other_address_of_an_upstream_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected an address such as"):
        parsers.base_url(text)


@pytest.mark.parametrize(("text", "value"), [("25", 25_000_000), ("2.50", 2_500_000), ("0.000001", 1), ("0", 0)])
def test_dollars_become_whole_micro_dollars(text: str, value: int) -> None:
    assert parsers.micro_usd(text) == value


@pytest.mark.parametrize("text", ["", "-1", "NaN", "Infinity", "0.0000001", "1,5", "1e30"])
def test_dollars_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected US dollars"):
        parsers.micro_usd(text)


def test_keys_of_one_provider_are_one_upstream() -> None:
    settings = load(environ={"OPENAI_KEY": "a, b,", "OPENAI_MODELS": "m1,m2", "KEY_SLOTS": "3"}, dotenv=None)
    assert settings.upstreams == (
        UpstreamSpec(
            name="openai",
            dialects=("openai",),
            base_url="https://api.openai.com/v1",
            keys=(Secret("a"), Secret("b")),
            models=("m1", "m2"),
            slots=3,
        ),
    )


def test_a_key_may_say_where_it_belongs() -> None:
    settings = load(environ={"ANTHROPIC_KEY": "a,b@http://127.0.0.1:5/v1,c@http://127.0.0.1:5/v1"}, dotenv=None)
    assert [(each.name, each.base_url, len(each.keys)) for each in settings.upstreams] == [
        ("anthropic", "https://api.anthropic.com/v1", 1),
        ("anthropic-2", "http://127.0.0.1:5/v1", 2),
    ]


def test_a_key_named_twice_is_reported_by_its_fingerprint() -> None:
    (mistake,) = mistakes({"OPENAI_KEY": f"{SECRET},{SECRET}"})
    assert mistake == f"upstream openai: the key {Secret(SECRET).fingerprint} is named twice"


@pytest.mark.parametrize(
    ("demo", "key", "wanted"),
    [("auto", "", True), ("auto", "k", False), ("on", "k", True), ("off", "", False)],
)
def test_the_demo_runs_when_asked_for_or_when_there_is_nothing_else(demo: str, key: str, wanted: bool) -> None:
    assert load(environ={"DEMO": demo, "OPENAI_KEY": key}, dotenv=None).wants_demo is wanted


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org"])
def test_an_open_gatekeeper_is_refused_where_others_can_reach_it(host: str) -> None:
    (mistake,) = mistakes({"GATEKEEPER": "none", "HOST": host})
    assert mistake.startswith("GATEKEEPER: none would let any caller use your keys")
    assert load(environ={"GATEKEEPER": "none", "HOST": host, "ALLOW_PUBLIC": "yes"}, dotenv=None).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_an_open_gatekeeper_is_fine_within_this_machine(host: str) -> None:
    assert load(environ={"GATEKEEPER": "none", "HOST": host}, dotenv=None).gatekeeper == "none"


STRONG = "b3e1c0a97d5f4826b3e1c0a97d5f4821"
TOO_WEAK = "expected 16 characters or more that are hard to guess; `openssl rand -hex 32` makes one"


@pytest.mark.parametrize(
    "weak", ["sunshine", "x" * 64, "sunshine" * 8, "change-me-to-something-long-and-random-please"]
)
@pytest.mark.parametrize("name", ["ADMIN_KEY", "PROXY_KEY", "TOKEN_PEPPER", "MASTER_KEYS"])
def test_a_secret_that_can_be_guessed_is_refused_with_the_remedy(name: str, weak: str) -> None:
    (mistake,) = mistakes({name: weak})
    assert mistake.startswith(f"{name}: expected ")
    assert "makes one" in mistake
    assert weak not in mistake
    assert load(environ={name: STRONG}, dotenv=None) != Settings()


def test_a_shared_key_has_at_least_16_characters() -> None:
    assert mistakes({"GATEKEEPER": "shared", "PROXY_KEY": STRONG[:15]})
    assert load(environ={"GATEKEEPER": "shared", "PROXY_KEY": STRONG[:16]}, dotenv=None).proxy_key == Secret(
        STRONG[:16]
    )


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret(SECRET)
    assert f"{secret} {secret!r} {[secret]}" == "*** *** [***]"
    assert (secret.reveal(), secret.last4, len(secret.fingerprint)) == (SECRET, "6789", 8)
    assert Secret("short").last4 == "****"
    assert secret != SECRET
    assert {secret} == {Secret(SECRET)}


@pytest.mark.parametrize("name", settings_docs.GENERATED)
def test_what_is_written_from_the_table_is_up_to_date(name: str) -> None:
    assert (settings_docs.ROOT / name).read_text(encoding="utf-8") == settings_docs.GENERATED[name](), "run `make docs`"


def test_docs_writes_exactly_the_generated_files(tmp_path: Path) -> None:
    settings_docs.write(tmp_path)
    written = {str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file()}
    assert written == set(settings_docs.GENERATED)


def test_the_example_file_changes_nothing_until_it_is_edited(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(settings_docs.env_example())
    assert load(environ={}, dotenv=file) == Settings()


@pytest.mark.parametrize("setting", SETTINGS, ids=attrgetter("name"))
def test_every_setting_has_a_section_help_and_an_example_that_can_be_read(setting: Setting) -> None:
    assert setting.section
    assert setting.help.endswith(".")
    setting.parse(setting.example or setting.default)


class TestStore:
    @pytest.mark.parametrize(
        "url", ["sqlite:///a.db", "sqlite:////var/a.db", "mongodb://u:p@h:1/d?tls=true", "mongodb+srv://h/d"]
    )
    def test_it_is_a_file_or_mongodb(self, url: str) -> None:
        assert load(environ={"STORE_URL": url, "TOKEN_PEPPER": SECRET}, dotenv=None).store_url == url

    def test_mongodb_needs_a_pepper_that_outlives_this_machine(self) -> None:
        (mistake,) = mistakes({"STORE_URL": "mongodb://h/d"})
        assert mistake.startswith("TOKEN_PEPPER: expected with MongoDB")

    @pytest.mark.parametrize(
        "url", ["a.db", "sqlite:///", "sqlite:///a/", "postgres://h/d", "mongodb://", "mongodb://h d"]
    )
    def test_anything_else_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match="expected sqlite:///file"):
            parsers.store_url(url)

    def test_its_password_is_in_no_repr_and_in_no_message(self) -> None:
        known = {"STORE_URL": f"mongodb://u:{SECRET}@h/d", "TOKEN_PEPPER": "a pepper for tests, of 32 letters or more"}
        assert SECRET not in repr(load(environ=known, dotenv=None))
        assert SECRET not in str(mistakes({"STORE_URL": f"mongo://u:{SECRET}@h/d"}))

    @pytest.mark.parametrize(
        ("environ", "folder"),
        [
            ({}, "fairgate.db.journal"),
            ({"STORE_URL": "sqlite:////var/lib/fairgate/f.db"}, "/var/lib/fairgate/f.db.journal"),
            ({"STORE_URL": "mongodb://h/d"}, "fairgate-journal"),
            ({"STORE_URL": "mongodb://h/d", "JOURNAL": "/j"}, "/j"),
        ],
    )
    def test_the_journal_is_kept_beside_it_if_there_is_a_beside(self, environ: dict[str, str], folder: str) -> None:
        assert load(environ={"TOKEN_PEPPER": SECRET, **environ}, dotenv=None).journal_folder == Path(folder)


class TestMoney:
    def test_limits_are_read_as_sentences(self) -> None:
        assert [words(each) for each in load(environ={"LIMITS": "5 usd/day"}, dotenv=None).limits] == ["5.00 USD a day"]
        (mistake,) = mistakes({"LIMITS": SECRET})
        assert mistake.startswith("LIMITS: expected limits such as")

    def test_an_allowance_is_counted_in_micro_dollars(self) -> None:
        assert load(environ={"OUTAGE_ALLOWANCE_USD": "0.25"}, dotenv=None).outage_allowance_usd == 250_000

    @pytest.mark.parametrize("text", ["1e999999", "-1e999999", "1e-999999"])
    def test_numbers_beyond_all_bounds_are_mistakes_and_no_crash(self, text: str) -> None:
        assert mistakes({"OUTAGE_ALLOWANCE_USD": text}) == [
            "OUTAGE_ALLOWANCE_USD: expected US dollars such as 25 or 2.50"
        ]

    def test_a_time_zone_has_a_name(self) -> None:
        assert load(environ={"TIMEZONE": "utc"}, dotenv=None).timezone is UTC
        assert load(environ={"TIMEZONE": "Europe/Berlin"}, dotenv=None).timezone == ZoneInfo("Europe/Berlin")

    @pytest.mark.parametrize("name", ["Berlin", "Europe", "+01:00", "/etc/passwd", "../UTC", "Europe/Berlin\0"])
    def test_another_time_zone_is_refused(self, name: str) -> None:
        assert mistakes({"TIMEZONE": name}) == ["TIMEZONE: expected a time zone such as Europe/Berlin, or UTC"]

    def test_caps_are_set_by_dialect(self) -> None:
        settings = load(environ={"MAX_CONTEXT_TOKENS_OPENAI": "9", "MAX_OUTPUT_TOKENS_ANTHROPIC": "8"}, dotenv=None)
        assert settings.caps == {"openai": Caps(9, 0), "anthropic": Caps(0, 8)}


class TestContentRules:
    def test_phrases_come_from_the_row_and_from_the_file(self, tmp_path: Path) -> None:
        file = tmp_path / "phrases.txt"
        file.write_text("from, the file\n\n  a{2,3}h  \n")
        environ = {"REJECT_PHRASES": 'one, "two, too",', "REJECT_PHRASES_FILE": str(file)}
        settings = load(environ=environ, dotenv=None)
        assert settings.phrases.patterns == ("one", "two, too", "from, the file", "a{2,3}h")
        assert settings.phrases.hit(["AAH"])

    def test_a_count_that_its_comma_would_take_apart_is_a_mistake(self) -> None:
        assert mistakes({"REJECT_PHRASES": "x{2,3}"}) == [
            'REJECT_PHRASES: expected "quotes" around a pattern that holds a comma'
        ]
        assert load(environ={"REJECT_PHRASES": '"x{2,3}"'}, dotenv=None).reject_phrases == ("x{2,3}",)

    def test_a_wrong_pattern_is_named_by_its_number(self, tmp_path: Path) -> None:
        file = tmp_path / "phrases.txt"
        file.write_text(f"fine\n({SECRET}\n")
        for environ in ({"REJECT_PHRASES": f"fine,({SECRET}"}, {"REJECT_PHRASES_FILE": str(file)}):
            (mistake,) = mistakes(environ)
            assert "pattern 2: expected RE2" in mistake
            assert SECRET not in mistake

    def test_a_file_that_cannot_be_read_is_reported(self, tmp_path: Path) -> None:
        (tmp_path / "latin").write_bytes(b"Universit\xe4t")
        for file in (tmp_path, tmp_path / "none", tmp_path / "latin"):
            wrong = mistakes({"REJECT_PHRASES_FILE": str(file)})
            assert wrong == ["REJECT_PHRASES_FILE: expected a readable text file in UTF-8"]


def test_networks_are_written_as_prefixes_or_addresses() -> None:
    networks = load(environ={"USER_HEADER_NETWORKS": "10.0.0.0/8, ::1"}, dotenv=None).user_header_networks
    assert [str(network) for network in networks] == ["10.0.0.0/8", "::1/128"]
    for wrong in ("10.0.0.1/8", "10/8/1", "example.org"):
        assert mistakes({"USER_HEADER_NETWORKS": wrong})[0].startswith(
            "USER_HEADER_NETWORKS: expected networks such as"
        )


def test_the_admin_key_has_at_least_16_characters() -> None:
    assert mistakes({"ADMIN_KEY": STRONG[:15]}) == [f"ADMIN_KEY: {TOO_WEAK}"]
    assert load(environ={"ADMIN_KEY": STRONG[:16]}, dotenv=None).admin_key == Secret(STRONG[:16])
