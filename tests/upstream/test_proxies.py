"""Which proxy a request goes through, how proxies are named, and what a request's head says to one."""

from __future__ import annotations

import pytest

from server.httpclient.addresses import Origin, target_of
from server.httpclient.proxies import Proxies, Proxy, parse_exemptions, parse_proxy
from server.httpclient.request_head import request_head

OUT, PLAIN = Proxy("proxy.campus", 3128), Proxy("proxy.campus", 3129)


@pytest.mark.parametrize(
    ("exempt", "url", "direct"),
    [
        ("", "https://api.openai.com/v1", False),
        ("*", "https://api.openai.com/v1", True),
        ("openai.com", "https://api.openai.com/v1", True),
        (".openai.com", "https://openai.com/v1", True),
        ("*.openai.com", "https://api.openai.com/v1", True),
        ("OpenAI.com", "https://API.openai.com/v1", True),
        ("penai.com", "https://api.openai.com/v1", False),
        ("api.openai.com:8443", "https://api.openai.com/v1", False),
        ("api.openai.com:443", "https://api.openai.com/v1", True),
        ("other.org, openai.com", "https://api.openai.com/v1", True),
        ("other.org openai.com", "https://api.openai.com/v1", True),
        ("10.0.0.0/8", "https://10.1.2.3/v1", True),
        ("10.0.0.0/8", "https://11.1.2.3/v1", False),
        ("10.0.0.0/8", "https://api.openai.com/v1", False),
        ("10.1.2.3", "https://10.1.2.3:8000/v1", True),
        ("10.1.2.3:443", "https://10.1.2.3:8000/v1", False),
        ("fd00::/8", "https://[fd00::1]/v1", True),
        ("[fd00::1]:8000", "https://[fd00::1]:8000/v1", True),
        ("", "https://localhost:8000/v1", True),
        ("", "https://127.0.0.1:8000/v1", True),
        ("", "https://[::1]:8000/v1", True),
    ],
)
def test_which_servers_are_reached_directly(exempt: str, url: str, direct: bool) -> None:
    proxies = Proxies(OUT, PLAIN, parse_exemptions(exempt))
    assert proxies.of(target_of(url).origin) == (None if direct else OUT)


def test_each_scheme_has_its_proxy() -> None:
    assert Proxies(OUT, PLAIN).of(Origin(False, "a.org", 80)) == PLAIN
    assert Proxies(OUT).of(Origin(False, "a.org", 80)) is None
    assert Proxies().of(Origin(True, "a.org", 443)) is None


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("", None),
        ("http://proxy.campus:3128", OUT),
        ("http://proxy.campus:3128/", OUT),
        ("proxy.campus:3128", OUT),
        ("http://proxy.campus", Proxy("proxy.campus", 80)),
        ("http://[fd00::1]:3128", Proxy("fd00::1", 3128)),
        ("http://ann:pass@proxy.campus:3128", Proxy("proxy.campus", 3128, "Basic YW5uOnBhc3M=")),
        ("http://ann:p%40ss%3A@proxy.campus:3128", Proxy("proxy.campus", 3128, "Basic YW5uOnBAc3M6")),
        ("http://ann@proxy.campus:3128", Proxy("proxy.campus", 3128, "Basic YW5uOg==")),
    ],
)
def test_how_a_proxy_is_named(text: str, proxy: Proxy | None) -> None:
    assert parse_proxy(text) == proxy


@pytest.mark.parametrize(
    "text",
    [
        "https://proxy.campus:3128",
        "socks5://proxy.campus",
        "http://",
        "http://x:99999",
        "http://x/path",
        "http://x?q=1",
    ],
)
def test_what_is_no_proxy_of_ours_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected http://proxy.example.org:3128"):
        parse_proxy(text)


def test_no_repr_shows_a_password() -> None:
    proxy = parse_proxy("http://ann:geheim@proxy.campus:3128")
    assert proxy is not None
    assert proxy.authorization[6:] not in repr(Proxies(proxy, proxy))


@pytest.mark.parametrize("text", ["a.org:port", "a.org:", "a:b:c:d.org:x"])
def test_a_wrong_exemption_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected names, addresses or networks"):
        parse_exemptions(text)


@pytest.mark.parametrize(
    ("url", "origin", "path", "authority"),
    [
        ("https://a.org/v1/x?y=1", Origin(True, "a.org", 443), "/v1/x?y=1", "a.org"),
        ("http://A.org:80", Origin(False, "a.org", 80), "/", "a.org"),
        ("https://a.org:80/v1", Origin(True, "a.org", 80), "/v1", "a.org:80"),
        ("http://[::1]:8000/v1", Origin(False, "::1", 8000), "/v1", "[::1]:8000"),
        ("https://a.org?x=1", Origin(True, "a.org", 443), "/?x=1", "a.org"),
        ("https://b\u00fccher.example/v1", Origin(True, "xn--bcher-kva.example", 443), "/v1", "xn--bcher-kva.example"),
    ],
)
def test_an_address_is_read(url: str, origin: Origin, path: str, authority: str) -> None:
    target = target_of(url)
    assert (target.origin, target.path, target.origin.authority) == (origin, path, authority)


@pytest.mark.parametrize(
    "url",
    [
        *("", "a.org/v1", "ftp://a.org/", "https:///v1", "https://a.org/a b", "https://a.org/a\r\nX: y", "https://a.org/#f"),
        *("https://ann:pass@a.org/", "https://a.org:99999/", "https://a.org:x/", "https://a.org\\@b.org/", "https://a.org/\u00fc"),
        "https://a.org/\x00",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected|[Pp]ort|invalid"):
        target_of(url)


def test_the_head_of_a_request() -> None:
    target = target_of("https://a.org/v1/x?y=1")
    head = request_head("POST", target, {"Authorization": "Bearer x", "Content-Type": "application/json"}, 2)
    assert head == (
        b"POST /v1/x?y=1 HTTP/1.1\r\nHost: a.org\r\nAuthorization: Bearer x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\n\r\n"
    )
    assert b"Content-Length: 0" in request_head("POST", target, {}, 0)
    assert b"Content-Length" not in request_head("GET", target, {}, 0)


def test_a_proxy_that_reads_the_request_gets_the_whole_address_and_its_credential() -> None:
    head = request_head("GET", target_of("http://a.org:8000/v1"), {}, 0, "Basic eDp5")
    assert head == b"GET http://a.org:8000/v1 HTTP/1.1\r\nHost: a.org:8000\r\nProxy-Authorization: Basic eDp5\r\n\r\n"
    assert b"Proxy-Authorization" not in request_head("GET", target_of("http://a.org/"), {}, 0, "")


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {"X": "a\r\nY: b"}),
        ("POST", {"X": "a\nb"}),
        ("POST", {"X\r\nY": "b"}),
        ("POST", {"X": "a\rb"}),
        ("POST", {"X": "a\x00b"}),
        ("POST", {"content-Length": "3"}),
        ("POST", {"Transfer-Encoding": "chunked"}),
        ("POST", {"Host": "b.org"}),
        ("GET /x HTTP/1.1\r\nX: y\r\n", {}),
    ],
)
def test_a_header_that_would_break_out_of_its_line_is_never_sent(method: str, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        request_head(method, target_of("https://a.org/"), headers, 3)
