"""From the settings to the wire: models, free checks and logins take one way out; an upstream may have its own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from server.auth.oidc.provider import IdentityProvider
from server.bootstrap.from_settings import egress
from server.config.settings import SettingsError, load
from server.config.specs import Secret, UpstreamSpec
from server.config.upstreams_file import read_upstreams
from server.httpclient.egress import Egress
from server.httpclient.proxies import Exemption, Proxies, Proxy, parse_proxy
from server.keys.prober import Check, check
from server.keys.registry import UpstreamRegistry, pool_key
from server.single_flight import Away
from server.upstream import Patience, Route, Upstreams
from server.wire.endpoints import ENDPOINTS
from server.wire.request import read_request
from tests.upstream.conftest import Run
from tests.upstream.servers import Talk, authority, proxy, serving

ONE, OTHER = Proxy("one.campus", 3128), Proxy("other.campus", 80)
KEY = Secret("sk-do-not-show-0123")
SPEC = UpstreamSpec(
    name="u", dialects=("openai",), base_url="https://api.example.test/v1", keys=(KEY,), models=("m",), ca_file="/x.pem"
)


def way(**environ: str) -> Egress:
    return egress(load(environ=environ, dotenv=None))


def test_which_settings_name_the_proxy() -> None:
    assert way() == Egress()
    assert way(HTTPS_PROXY="one.campus:3128").proxies == Proxies(ONE, None)
    assert way(HTTP_PROXY="http://other.campus").proxies == Proxies(None, OTHER)
    assert way(https_proxy="one.campus:3128", http_proxy="other.campus").proxies == Proxies(ONE, OTHER)
    assert way(https_proxy="other.campus", HTTPS_PROXY="one.campus:3128").proxies == Proxies(ONE)
    assert way(UPSTREAM_PROXY="one.campus:3128", HTTPS_PROXY="other.campus").proxies == Proxies(ONE, ONE)
    assert way(no_proxy="a.org,10.0.0.0/8").proxies.exempt[0] == Exemption("a.org")


def test_a_proxy_in_small_letters_is_no_slip_of_the_hand() -> None:
    environ = {"https_proxy": "one.campus", "http_proxy": "one.campus", "no_proxy": "a.org", "FTP_PROXY": "one.campus"}
    assert load(environ=environ, dotenv=None).slips == ()


@pytest.mark.parametrize("name", ["UPSTREAM_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "UPSTREAM_CA_FILE"])
def test_a_mistake_is_named_and_not_repeated(name: str) -> None:
    with pytest.raises(SettingsError) as error:
        load(environ={name: "socks5://ann:geheim@proxy.campus:no"}, dotenv=None)
    assert error.value.mistakes[0].startswith(f"{name}: expected ")
    assert "geheim" not in str(error.value)


def test_no_setting_shows_a_proxys_password() -> None:
    settings = load(environ={"UPSTREAM_PROXY": "ann:geheim@proxy.campus"}, dotenv=None)
    assert settings.upstream_proxy is not None
    assert settings.upstream_proxy.authorization[6:] not in repr((settings, egress(settings)))


def test_an_upstream_of_the_file_has_its_own_way(tmp_path: Path) -> None:
    own, file = authority(tmp_path, "api.example.test"), tmp_path / "upstreams.yaml"
    entry = "  - {name: %s, dialect: openai, base_url: 'https://api.example.test/v1', keys: [sk-%s-0123456789]%s}\n"
    ways = {"a": f", proxy: 'ann:pass@one.campus:3128', ca_file: {own.file}", "b": ", proxy: none", "c": ""}
    file.write_text("upstreams:\n" + "".join(entry % (name, name, more) for name, more in ways.items()))
    found, mistakes = read_upstreams(file, {}, 8)
    proxied = parse_proxy("ann:pass@one.campus:3128")
    assert mistakes == []
    assert [(each.proxies, each.ca_file) for each in found] == [
        (Proxies(proxied, proxied), own.file),
        (Proxies(), ""),
        (None, ""),
    ]
    file.write_text("upstreams:\n" + entry % ("a", "a", ", proxy: 'https://x', ca_file: /none"))
    assert [line.partition(":")[0] for line in read_upstreams(file, {}, 8)[1]] == [
        "upstreams[0].proxy",
        "upstreams[0].ca_file",
    ]


def test_a_key_that_is_added_to_an_upstream_takes_its_way_and_keeps_none_of_it() -> None:
    registry, added = UpstreamRegistry([replace(SPEC, proxies=Proxies(ONE, ONE))]), Secret("sk-added")
    assert registry.configured[0] == replace(SPEC, keys=(), ca_file="")
    registry.add(registry.configured[0], added)
    assert registry.route(added.fingerprint) == Route(SPEC.base_url, added, Proxies(ONE, ONE), "/x.pem")
    assert registry.keys[added.fingerprint].spec.proxies is None


async def models(talk: Talk) -> None:
    """An upstream that lists one model and answers whatever it is asked."""
    while True:
        await talk.request()
        body = b'{"object": "list", "data": [{"id": "m"}]}'
        await talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


@pytest.mark.parametrize("own", [False, True])
def test_requests_and_free_checks_take_the_way_of_all_or_the_upstreams_own(run: Run, tmp_path: Path, own: bool) -> None:
    body = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
    request = read_request(ENDPOINTS["/v1/chat/completions"], body, "application/json")

    async def test() -> None:
        ca = authority(tmp_path, "api.example.test")
        async with serving(models, ca.server) as served, proxy("ann", "pass") as (between, seen):
            found = parse_proxy(f"ann:pass@127.0.0.1:{between.port}")
            proxies, nowhere = Proxies(found, found), Proxies(ONE, ONE)
            spec = replace(SPEC, base_url=served.url("api.example.test", "/v1"), ca_file=ca.file if own else "")
            registry = UpstreamRegistry([replace(spec, proxies=proxies if own else None)])
            of_all = Egress(nowhere) if own else Egress(proxies, ca.file)
            upstreams = Upstreams(registry.route, Patience(), of_all)
            try:
                assert await check(upstreams, KEY.fingerprint, spec) == Check("ready", "let in", ("m",))
                async with upstreams.send(pool_key(KEY.fingerprint, spec), request, {}, "", lambda: None) as answer:
                    assert answer.status == 200
            finally:
                await upstreams.close()
            assert seen.lines == [f"CONNECT api.example.test:{served.port} HTTP/1.1"] * 2
            assert [head.split(b" ")[1] for head in served.heads] == [b"/v1/models", b"/v1/chat/completions"]

    run(test())


def test_a_login_takes_the_way_of_all(run: Run, tmp_path: Path) -> None:
    async def test() -> None:
        ca = authority(tmp_path, "login.example.test")

        async def discovery(talk: Talk) -> None:
            await talk.request()
            issuer = talk.served.url("login.example.test", "")
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            body = json.dumps({"issuer": issuer} | {name: f"{issuer}/{name}" for name in names}).encode()
            await talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        async with serving(discovery, ca.server) as served, proxy("ann", "p@ss") as (between, seen):
            found = parse_proxy(f"ann:p%40ss@127.0.0.1:{between.port}")
            issuer = served.url("login.example.test", "")
            for ca_file, works in ((ca.file, True), ("", False)):
                way_out = Egress(Proxies(found, found), ca_file)
                provider = IdentityProvider(issuer, "fairgate", None, lambda: 1_000.0, egress=way_out)
                try:
                    assert (await provider.metadata.get()).issuer == issuer
                    assert works
                except Away:
                    assert not works
                finally:
                    await provider.close()
            assert seen.lines == [f"CONNECT login.example.test:{served.port} HTTP/1.1"] * 2

    run(test())
