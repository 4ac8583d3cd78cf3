"""Where the platform is: the base URL and the paths under it, checked once and fixed for the life of a client.

The token goes to this address, so the form is narrow: what two URL parsers could read differently is refused.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from asyncimport.errors import ConfigError
from asyncimport.resources import RESOURCES, Resource, is_plain_path

#: ASCII only (an international name in its xn-- form), no user info, no query, no fragment, no escapes.
_URL: Final = re.compile(r"(https?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?((?:/[A-Za-z0-9._~-]+)*)/?")
#: The token call (PLATFORM.md, E).
TOKEN_PATH: Final = "/app/getOrgAccessToken"  # noqa: S105 -- a path
_MAX_PORT: Final = 65_535
_MAX_LABEL: Final = 63


@frozen(kw_only=True)
class Address:
    """A checked base URL, without a slash at its end, and the paths that replace a resource's own."""

    base_url: str
    host: str
    paths: Mapping[str, str] = field(hash=False)

    def url_of(self, resource: Resource) -> str:
        """Where a resource's batches are posted."""
        return self.base_url + self.paths.get(resource.name, resource.path)

    @property
    def token_url(self) -> str:
        """Where tokens are had."""
        return self.base_url + self.paths.get("token", TOKEN_PATH)


def read_address(base_url: str, endpoints: Mapping[str, str] | None, *, allow_insecure_http: bool) -> Address:
    """Check a base URL and the user's own paths, by resource name or `token`.

    Raises:
        ConfigError: anything but https (http to loopback, or when allowed), or a path that is more than a path.
    """
    if base_url == "":
        raise ConfigError("no base URL: set base_url= or ASYNCIMPORT_BASE_URL")
    match = _URL.fullmatch(base_url) if isinstance(base_url, str) else None
    if match is None or ".." in base_url or not _is_port(match[3]) or not _is_host(match[2]):
        raise ConfigError(
            "the base URL must look like https://host/path, without user, query, fragment, escapes or '..'; "
            "set base_url= or ASYNCIMPORT_BASE_URL"
        )
    scheme, host = match[1], match[2]
    if scheme == "http" and not (allow_insecure_http or _is_loopback(host)):
        raise ConfigError(
            f"the base URL names {host} with http, which would show the token to the network: use https, "
            "or HttpOptions(allow_insecure_http=True) where the network is yours"
        )
    paths = dict(endpoints or {})
    known = [*(resource.name for resource in RESOURCES), "token"]
    for name, path in paths.items():
        if name not in known:
            raise ConfigError(f"endpoints names {name!r}: it takes {', '.join(known)}")
        if not is_plain_path(path):
            raise ConfigError(
                f"endpoints[{name!r}] must be a plain path under the base URL, such as /audience/info/batchAdd"
            )
    return Address(base_url=base_url.rstrip("/"), host=host, paths=paths)


def _is_host(host: str) -> bool:
    """Whether a name could be looked up: labels of 1 to 63 characters (RFC 1035)."""
    return host.startswith("[") or all(0 < len(label) <= _MAX_LABEL for label in host.split("."))


def _is_port(port: str | None) -> bool:
    return port is None or 1 <= int(port) <= _MAX_PORT


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
