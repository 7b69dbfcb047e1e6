"""The YAML file of upstreams is read strictly, and its mistakes say where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.config.settings import Secret, SettingsError, UpstreamSpec, load

SECRET = "sk-do-not-show-this-0123456789"
PLAIN = f"name: a, dialect: openai, base_url: 'https://a.example/v1', keys: [{SECRET}]"


def read(tmp_path: Path, text: str, **environ: str) -> tuple[UpstreamSpec, ...]:
    file = tmp_path / "upstreams.yaml"
    file.write_text(text)
    return load(environ={"UPSTREAMS_FILE": str(file), **environ}, dotenv=None).upstreams


def mistakes(tmp_path: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text, **environ)
    assert SECRET not in str(caught.value)
    return caught.value.mistakes


def test_an_upstream_with_every_field(tmp_path: Path) -> None:
    text = """
upstreams:
  - name: university
    dialect: [openai, anthropic]
    base_url: https://llm.example.org/v1/
    keys: [k1, k2]
    models: [m1, m2]
    slots: 4
    rpm: 500
    tpm: 100000
    itpm: 80000
    otpm: 20000
    rpd: 10000
    organisation: physics
    owner: the dean
    groups: [staff]
    monthly_cap_usd: 12.5
"""
    assert read(tmp_path, text) == (
        UpstreamSpec(
            name="university",
            dialects=("openai", "anthropic"),
            base_url="https://llm.example.org/v1",
            keys=(Secret("k1"), Secret("k2")),
            models=("m1", "m2"),
            slots=4,
            rpm=500,
            tpm=100_000,
            itpm=80_000,
            otpm=20_000,
            rpd=10_000,
            organisation="physics",
            owner="the dean",
            groups=("staff",),
            monthly_cap_micro_usd=12_500_000,
        ),
    )


def test_an_upstream_with_what_is_needed_takes_the_slots_of_the_settings(tmp_path: Path) -> None:
    (upstream,) = read(tmp_path, f"upstreams: [{{{PLAIN}}}]", KEY_SLOTS="5")
    assert (upstream.slots, upstream.models, upstream.rpm) == (5, (), None)


def test_a_key_may_stand_in_the_environment_or_in_the_env_file(tmp_path: Path) -> None:
    text = "upstreams: [{name: a, dialect: anthropic, base_url: 'https://a.example/v1', key_env: THE_KEY}]"
    assert read(tmp_path, text, THE_KEY="k1, k2")[0].keys == (Secret("k1"), Secret("k2"))
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"THE_KEY=k3\nUPSTREAMS_FILE={tmp_path / 'upstreams.yaml'}\n")
    assert load(environ={}, dotenv=dotenv).upstreams[0].keys == (Secret("k3"),)


def test_upstreams_of_the_file_stand_beside_those_of_the_environment(tmp_path: Path) -> None:
    upstreams = read(tmp_path, f"upstreams: [{{{PLAIN}}}]", OPENAI_KEY="k")
    assert [each.name for each in upstreams] == ["openai", "a"]


def test_an_empty_list_is_no_mistake(tmp_path: Path) -> None:
    assert read(tmp_path, "upstreams: []") == ()


@pytest.mark.parametrize(
    ("field", "mistake"),
    [
        ("rpm: many", "rpm: expected a whole number from 1 to 1000000000000"),
        ("rpm: 0", "rpm: expected a whole number from 1 to 1000000000000"),
        ("rpm: true", "rpm: expected a whole number from 1 to 1000000000000"),
        ("rpm: 1.5", "rpm: expected a whole number from 1 to 1000000000000"),
        ("slots: 0", "slots: expected a whole number from 1 to 10000"),
        ("models: m1", "models: expected a list of texts"),
        ("models: [m1, 2]", "models: expected a text"),
        ("owner: ''", "owner: expected a text"),
        ("monthly_cap_usd: lots", "monthly_cap_usd: expected US dollars such as 25 or 2.50"),
        ("monthly_cap_usd: -1", "monthly_cap_usd: expected US dollars such as 25 or 2.50"),
    ],
)
def test_a_wrong_value_is_reported_with_its_place(tmp_path: Path, field: str, mistake: str) -> None:
    other = PLAIN.replace("name: a", "name: b").replace(SECRET, "k2")
    text = f"upstreams: [{{{other}}}, {{{PLAIN}, {field}}}]"
    assert mistakes(tmp_path, text) == [f"upstreams[1].{mistake}"]


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("dialect: openai", "dialect: chatgpt", "dialect: expected openai, anthropic or [openai, anthropic]"),
        ("dialect: openai", "dialect: []", "dialect: expected openai, anthropic or [openai, anthropic]"),
        ("dialect: openai", "dialect: [openai, openai]", "dialect: expected openai, anthropic or [openai, anthropic]"),
        ("https:", "http:", "base_url: expected an address such as"),
        ("'https://a.example/v1'", "7", "base_url: expected an address such as"),
        (f"[{SECRET}]", "[]", "keys: expected at least one key"),
        (f"[{SECRET}]", SECRET, "keys: expected a list of texts"),
        (f"[{SECRET}]", f"['{SECRET} x']", "keys: expected a key without spaces"),
        (f"keys: [{SECRET}]", "key_env: NOT_SET", "key_env: expected the name of a variable that holds a key"),
    ],
)
def test_a_wrong_field_that_is_needed_is_reported(tmp_path: Path, old: str, new: str, mistake: str) -> None:
    (found,) = mistakes(tmp_path, f"upstreams: [{{{PLAIN.replace(old, new)}}}]")
    assert found.startswith(f"upstreams[0].{mistake}")


def test_all_mistakes_of_all_upstreams_are_reported_together(tmp_path: Path) -> None:
    found = mistakes(tmp_path, "upstreams: [{rpm: x}, 7]", PORT="x")
    assert found == [
        "PORT: expected a whole number from 0 to 65535",
        "upstreams[0].rpm: expected a whole number from 1 to 1000000000000",
        "upstreams[0].name: expected, but missing",
        "upstreams[0].dialect: expected, but missing",
        "upstreams[0].base_url: expected, but missing",
        "upstreams[0]: expected either keys or key_env",
        "upstreams[1]: expected fields such as name, dialect, base_url and keys",
    ]


def test_an_unknown_field_is_reported_without_its_name_because_that_may_be_a_key(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, f"upstreams: [{{{PLAIN}, {SECRET}: 1}}]")
    assert found.startswith("upstreams[0]: unknown field; the fields are name, dialect, base_url, keys")


def test_keys_and_key_env_together_are_refused(tmp_path: Path) -> None:
    text = f"upstreams: [{{{PLAIN}, key_env: K}}]"
    assert mistakes(tmp_path, text, K="k") == ["upstreams[0]: expected either keys or key_env"]


def test_a_name_used_twice_is_reported(tmp_path: Path) -> None:
    text = f"upstreams: [{{{PLAIN.replace('name: a', 'name: openai')}}}]"
    assert mistakes(tmp_path, text, OPENAI_KEY="k") == ["upstream openai: the name is used twice"]


def test_a_key_of_two_upstreams_is_reported(tmp_path: Path) -> None:
    text = f"upstreams: [{{{PLAIN}}}, {{{PLAIN.replace('name: a', 'name: b').replace('a.example', 'b.example')}}}]"
    (found,) = mistakes(tmp_path, text)
    assert found == f"upstream b: the key {Secret(SECRET).fingerprint} is named twice"


@pytest.mark.parametrize("text", ["", "[]", "upstream: []", "upstreams: {}", "upstreams: []\nmore: 1", SECRET])
def test_a_file_without_its_one_list_is_refused(tmp_path: Path, text: str) -> None:
    assert mistakes(tmp_path, text) == ["UPSTREAMS_FILE: expected one field `upstreams` with a list"]


@pytest.mark.parametrize(
    "text", [f"upstreams: [\n{SECRET}", f"upstreams:\n  - name: {SECRET}\n    name: b\n", "!!python/name:os.system"]
)
def test_a_file_that_is_no_plain_yaml_is_reported_by_its_line(tmp_path: Path, text: str) -> None:
    (found,) = mistakes(tmp_path, text)
    assert found.startswith("UPSTREAMS_FILE line ")


def test_a_file_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="UPSTREAMS_FILE: expected a readable text file in UTF-8"):
        load(environ={"UPSTREAMS_FILE": str(tmp_path)}, dotenv=None)


def test_an_upstream_has_a_kind_names_and_headers_of_its_own(tmp_path: Path) -> None:
    text = f"""
upstreams:
  - name: azure
    dialect: openai
    base_url: https://campus.openai.azure.com
    keys: [{SECRET}]
    kind: azure
    api_version: 2024-10-21
    names: {{gpt-5: my-deployment}}
    headers: {{X-Title: campus, OpenAI-Organization: {{env: THE_ORG}}}}
"""
    (upstream,) = read(tmp_path, text, THE_ORG="org-1")
    assert (upstream.kind, upstream.api_version, upstream.names) == ("azure", "2024-10-21", ("gpt-5=my-deployment",))
    assert upstream.models == ("gpt-5",)  # Azure lists what could be deployed
    assert upstream.headers == (("openai-organization", Secret("org-1")), ("x-title", Secret("campus")))
    assert "org-1" not in repr(upstream) and "campus" not in repr(upstream.headers)


@pytest.mark.parametrize(
    ("more", "mistake"),
    [
        ("kind: aws", "upstreams[0].kind: expected one of openai, "),
        ("kind: anthropic", "upstreams[0].kind: anthropic speaks anthropic"),
        ("kind: azure", "upstreams[0].models: expected, because azure lists what could be deployed; or `names`"),
        ("api_version: preview", "upstreams[0].api_version: expected nothing, only azure has one"),
        ("api_version: 'a b'", "upstreams[0].api_version: expected a version such as 2024-10-21 or preview"),
        ("names: [a]", "upstreams[0].names: expected names of models"),
        ("names: {a: 5}", "upstreams[0].names: expected names of models"),
        ("headers: {Authorization: x}", "upstreams[0].headers: expected names of headers, none that names a key"),
        ("headers: {Content-Length: '1'}", "upstreams[0].headers: expected names of headers, none that names a key"),
        ("headers: {'X Y': x}", "upstreams[0].headers: expected names of headers"),
        ("headers: {X-Y: \"a\\r\\nb: c\"}", "upstreams[0].headers: expected each header once, with a value in ASCII"),
        ("headers: {X-Y: {env: NOT_THERE}}", "upstreams[0].headers: expected each header once"),
        ("headers: {X-Y: a, x-y: b}", "upstreams[0].headers: expected each header once"),
    ],
)  # fmt: skip
def test_mistakes_about_kinds_say_where_they_are(tmp_path: Path, more: str, mistake: str) -> None:
    found = mistakes(tmp_path, f"upstreams: [{{{PLAIN}, {more}}}]")
    assert len(found) == 1
    assert found[0].startswith(mistake)


def test_a_key_may_stand_twice_for_two_organisations(tmp_path: Path) -> None:
    one, two = (
        f"{{{PLAIN.replace('name: a', f'name: {name}')}, headers: {{OpenAI-Organization: {name}}}}}"
        for name in ("a", "b")
    )
    assert len(read(tmp_path, f"upstreams: [{one}, {two}]")) == 2
    same = f"{{{PLAIN.replace('name: a', 'name: b')}, headers: {{X-Title: b, OpenAI-Organization: a}}}}"
    assert len(mistakes(tmp_path, f"upstreams: [{one}, {same}]")) == 1
