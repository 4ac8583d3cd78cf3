from __future__ import annotations

from typing import Any

import attrs
import canary
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncimport.address import read_address
from asyncimport.errors import ConfigError
from asyncimport.resources import EVENTS, USERS

BASE = "https://integrate.rabbitpre.com/api/open"


@pytest.mark.parametrize(
    ("base_url", "host", "users_url"),
    [
        (BASE, "integrate.rabbitpre.com", f"{BASE}/audience/info/batchAdd"),
        (f"{BASE}/", "integrate.rabbitpre.com", f"{BASE}/audience/info/batchAdd"),
        ("https://h.example", "h.example", "https://h.example/audience/info/batchAdd"),
        ("https://h.example:8443/a-b/v1.0", "h.example", "https://h.example:8443/a-b/v1.0/audience/info/batchAdd"),
        ("https://xn--fiqs8s.example", "xn--fiqs8s.example", "https://xn--fiqs8s.example/audience/info/batchAdd"),
        ("https://[2001:db8::1]:1", "[2001:db8::1]", "https://[2001:db8::1]:1/audience/info/batchAdd"),
        ("http://127.0.0.1:65535", "127.0.0.1", "http://127.0.0.1:65535/audience/info/batchAdd"),
        ("http://127.8.8.8", "127.8.8.8", "http://127.8.8.8/audience/info/batchAdd"),
        ("http://localhost:8080", "localhost", "http://localhost:8080/audience/info/batchAdd"),
        ("http://[::1]", "[::1]", "http://[::1]/audience/info/batchAdd"),
    ],
)
def test_a_base_url_gives_the_address_of_each_resource(base_url: str, host: str, users_url: str) -> None:
    address = read_address(base_url, None, allow_insecure_http=False)
    assert (address.host, address.url_of(USERS)) == (host, users_url)
    assert address.url_of(EVENTS) == users_url.replace("/audience/info/batchAdd", "/event/v2/batchAdd")
    assert address.token_url == users_url.replace("/audience/info/batchAdd", "/app/getOrgAccessToken")


S3_TRICKS = {
    "no-scheme": "integrate.rabbitpre.com/api",
    "relative": "//h.example/api",
    "ftp": "ftp://h.example",
    "file": "file:///etc/passwd",
    "capitals": "HTTPS://h.example",
    "no-host": "https://",
    "no-host-but-path": "https:///api",
    "user": "https://good.example@evil.example/api",
    "user-and-password": "https://user:pw@h.example/api",
    "empty-user": "https://@h.example",
    "query": f"{BASE}?a=1",
    "empty-query": f"{BASE}?",
    "fragment": f"{BASE}#x",
    "dots": f"{BASE}/../admin",
    "dots-at-the-end": f"{BASE}/..",
    "encoded-dots": f"{BASE}/%2e%2e/admin",
    "encoded-slash": f"{BASE}/a%2fb",
    "backslash": "https://good.example\\@evil.example",
    "backslash-path": f"{BASE}\\..\\admin",
    "double-slash": f"{BASE}//evil.example",
    "semicolon": f"{BASE};x=1",
    "port-0": "https://h.example:0",
    "port-65536": "https://h.example:65536",
    "port-long": "https://h.example:443443",
    "port-empty": "https://h.example:",
    "port-letters": "https://h.example:https",
    "port-negative": "https://h.example:-1",
    "port-arabic": "https://h.example:٤٤٣",
    "blank-before": f" {BASE}",
    "newline-after": f"{BASE}\n",
    "cr-lf-within": "https://h.example\r\nX-Evil: 1/",
    "tab": "https://h.exa\tmple",
    "nul": "https://h.example\0.evil.example",
    "full-width": "https://ｈ.example",
    "full-width-dot": "https://h。example",
    "full-width-slash": "https://h.example／evil",
    "not-ascii": "https://平台.example",
    "kelvin": "https://\u212a.example",
    "underscore-user": "https://h_.example",
    "ipv6-open": "https://[::1",
    "ipv6-zone": "https://[fe80::1%25eth0]",
    "two-hosts": "https://h.example,evil.example",
}


def test_no_address_at_all_is_asked_for() -> None:
    with canary.raises(ConfigError, match="no base URL: set base_url= or ASYNCIMPORT_BASE_URL"):
        read_address("", None, allow_insecure_http=False)


@pytest.mark.breakage("address: take user info, query, fragment and any host")
@pytest.mark.parametrize("base_url", S3_TRICKS.values(), ids=S3_TRICKS.keys())
@pytest.mark.parametrize("allow_insecure_http", [True, False], ids=["insecure", "secure"])
def test_s3_what_could_be_read_in_two_ways_is_refused(base_url: str, allow_insecure_http: bool) -> None:
    with canary.raises(ConfigError, match=r"the base URL must look like https://host/path") as caught:
        read_address(base_url, None, allow_insecure_http=allow_insecure_http)
    assert "ASYNCIMPORT_BASE_URL" in str(caught.value)


def test_a_base_url_that_is_wrong_is_not_repeated_in_the_error() -> None:
    with canary.raises(ConfigError):
        read_address(f"https://user:{canary.PERSON}@h.example", None, allow_insecure_http=False)


@pytest.mark.parametrize("base_url", [None, 7, b"https://h.example"], ids=repr)
def test_a_base_url_that_is_no_text_is_refused(base_url: Any) -> None:
    with canary.raises(ConfigError, match="the base URL must look like"):
        read_address(base_url, None, allow_insecure_http=False)


@pytest.mark.parametrize(
    "host",
    [
        "h.example",
        "10.0.0.1",
        "0.0.0.0",
        "0x7f.1",
        "127.1",
        "2130706433",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "[::]",
        "[::ffff:10.0.0.1]",
    ],
)
def test_http_is_for_loopback_or_when_allowed(host: str) -> None:
    with canary.raises(ConfigError, match="would show the token to the network"):
        read_address(f"http://{host}/api", None, allow_insecure_http=False)
    assert read_address(f"http://{host}/api", None, allow_insecure_http=True).host == host


@pytest.mark.breakage("address: take any text for a path")
@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "audience/info",
        "/a/../b",
        "/..",
        "/a?b=1",
        "/a#b",
        "/a%2fb",
        "/a%2e%2e",
        "//evil.example/a",
        "https://evil.example/a",
        "/a//b",
        "/a/",
        "/a b",
        "/a\r\nb",
        "/a\n",
        "/a\\b",
        "/a@b",
        "/a;b",
        "/导入",
        None,
        7,
        b"/a",
    ],
    ids=repr,
)
@pytest.mark.parametrize("name", ["users", "token"])
def test_g20_a_path_that_is_more_than_a_path_is_refused(path: Any, name: str) -> None:
    with canary.raises(ConfigError, match=rf"endpoints\['{name}'\] must be a plain path"):
        read_address(BASE, {name: path}, allow_insecure_http=False)


def test_the_users_own_paths_replace_the_documented_ones_and_no_others() -> None:
    address = read_address(BASE, {"users": "/import/user/batchAdd", "token": "/v2/token"}, allow_insecure_http=False)
    assert address.url_of(USERS) == f"{BASE}/import/user/batchAdd"
    assert address.token_url == f"{BASE}/v2/token"
    assert address.url_of(EVENTS) == f"{BASE}/event/v2/batchAdd"


def test_an_address_is_fixed_once_it_is_read() -> None:
    endpoints = {"users": "/mine"}
    address = read_address(BASE, endpoints, allow_insecure_http=False)
    endpoints["users"] = "/theirs"
    assert address.url_of(USERS) == f"{BASE}/mine"
    with canary.raises(attrs.exceptions.FrozenInstanceError):
        address.base_url = "https://evil.example"  # type: ignore[misc] # the point
    assert hash(address) == hash(attrs.evolve(address))


@given(st.text())
def test_whatever_is_accepted_is_ascii_and_names_its_host_once(tail: str) -> None:
    try:
        address = read_address(f"https://h.example{tail}", None, allow_insecure_http=False)
    except ConfigError:
        return
    assert address.base_url.isascii()
    assert "@" not in address.base_url
    assert address.base_url.startswith(f"https://{address.host}")
    assert address.host.startswith("h.example")
