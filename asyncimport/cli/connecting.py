"""Where the platform is and who asks: address, network, and the token from wherever it is kept."""

from __future__ import annotations

import getpass
import os
import ssl
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from attrs import field, frozen

from asyncimport.cli.output import tell
from asyncimport.errors import ConfigError

if TYPE_CHECKING:
    from asyncimport.client import ImportClient
    from asyncimport.credentials import AppCredentials
    from asyncimport.observer import Observer
    from asyncimport.policy import DispatchPolicy
    from asyncimport.transport import HttpOptions

_PANEL: Final = "The platform"
_OTHERS: Final = stat.S_IRGRP | stat.S_IROTH
#: A token has at most 4,096 characters; a file larger than this is another one, given by mistake.
_MAX_FILE_BYTES: Final = 16_384


@frozen(kw_only=True)
class Credentials:
    """A token, or an app; neither leaves both to the client, which looks into the environment. `origin` is for people."""

    token: str | None = field(default=None, repr=False)
    app: AppCredentials | None = None
    origin: str = ""


@frozen(kw_only=True)
class ConnectionOptions:
    """Address, network and credentials."""

    base_url: Annotated[
        str | None,
        typer.Option(
            "--base-url", envvar="ASYNCIMPORT_BASE_URL", rich_help_panel=_PANEL, help="Address of the platform."
        ),
    ] = None
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            rich_help_panel=_PANEL,
            help="A file that holds the token and nothing else. Without it: ASYNCIMPORT_TOKEN, or a prompt.",
        ),
    ] = None
    token: Annotated[
        str | None,
        typer.Option(
            "--token", rich_help_panel=_PANEL, help="The token itself; others can read it in the list of processes."
        ),
    ] = field(default=None, repr=False)
    app_id: Annotated[
        str | None,
        typer.Option("--app-id", rich_help_panel=_PANEL, help="Id of the self-built app that gets its own tokens."),
    ] = None
    app_secret_file: Annotated[
        Path | None,
        typer.Option(
            "--app-secret-file",
            rich_help_panel=_PANEL,
            help="A file that holds the app's secret. Without it: ASYNCIMPORT_APP_SECRET, or a prompt.",
        ),
    ] = None
    app_secret: Annotated[
        str | None,
        typer.Option(
            "--app-secret", rich_help_panel=_PANEL, help="The secret itself; others can read it in the process list."
        ),
    ] = field(default=None, repr=False)
    endpoints: Annotated[
        list[str] | None,
        typer.Option(
            "--endpoint",
            metavar="NAME=PATH",
            rich_help_panel=_PANEL,
            help="Another path under the address for a resource (users, events_v1, …) or for the token. Repeatable.",
        ),
    ] = None
    proxy: Annotated[
        str | None, typer.Option("--proxy", metavar="URL", rich_help_panel=_PANEL, help="A proxy to go through.")
    ] = None
    ca_file: Annotated[
        Path | None,
        typer.Option("--ca-file", rich_help_panel=_PANEL, help="Certificates (PEM) of an authority of your own."),
    ] = None
    allow_insecure_http: Annotated[
        bool,
        typer.Option(
            "--allow-insecure-http", rich_help_panel=_PANEL, help="Allow http to other machines: token in clear text."
        ),
    ] = False

    def client(self, policy: DispatchPolicy, observer: Observer, *, may_ask: bool) -> ImportClient:
        """A client for this platform; `may_ask` says whether a person may be asked for a token or secret.

        Raises:
            ConfigError: an address or credentials that cannot work, or none.
        """
        from asyncimport.client import ImportClient  # noqa: PLC0415 -- aiohttp, which no help needs

        credentials = self.credentials(may_ask=may_ask)
        return ImportClient(
            self.base_url,
            token=credentials.token,
            app=credentials.app,
            policy=policy,
            endpoints=self.paths(),
            http=self.http(),
            observer=observer,
        )

    def credentials(self, *, may_ask: bool) -> Credentials:
        """What was given, else what the environment has, else what a person types.

        Raises:
            ConfigError: several kinds, a file that cannot be read, or half of a pair.
        """
        given = [
            option
            for option, value in (
                ("--token", self.token),
                ("--token-file", self.token_file),
                ("--app-id", self.app_id or self.app_secret or self.app_secret_file),
            )
            if value is not None
        ]
        if len(given) > 1:
            raise ConfigError(f"{' and '.join(given)} are given: give one of them")
        if self.token is not None:
            _warn("--token", "ASYNCIMPORT_TOKEN or --token-file")
            return Credentials(token=self.token, origin="--token")
        if self.token_file is not None:
            return Credentials(
                token=_content(self.token_file, "token-file", "token"), origin=f"--token-file {self.token_file}"
            )
        can_ask = may_ask and _is_watched()
        environment = os.environ.get
        if given or (environment("ASYNCIMPORT_APP_ID") and not environment("ASYNCIMPORT_TOKEN")):
            return self._app(can_ask=can_ask)
        if environment("ASYNCIMPORT_TOKEN") or not can_ask:
            return Credentials()
        return Credentials(token=_asked("Token of the platform (not shown): "), origin="the prompt")

    def _app(self, *, can_ask: bool) -> Credentials:
        from asyncimport.credentials import AppCredentials  # noqa: PLC0415 -- reaches aiohttp, which no help needs

        app_id = self.app_id or os.environ.get("ASYNCIMPORT_APP_ID")
        if not app_id:
            raise ConfigError("an app's secret is given without its id: give --app-id or set ASYNCIMPORT_APP_ID")
        return Credentials(
            app=AppCredentials(app_id=app_id, app_secret=self._secret(can_ask=can_ask)),
            origin="--app-id" if self.app_id else "ASYNCIMPORT_APP_ID",
        )

    def _secret(self, *, can_ask: bool) -> str:
        if self.app_secret is not None and self.app_secret_file is not None:
            raise ConfigError("--app-secret and --app-secret-file are given: give one of them")
        if self.app_secret is not None:
            _warn("--app-secret", "ASYNCIMPORT_APP_SECRET or --app-secret-file")
            return self.app_secret
        if self.app_secret_file is not None:
            return _content(self.app_secret_file, "app-secret-file", "secret")
        if found := os.environ.get("ASYNCIMPORT_APP_SECRET"):
            return found
        if can_ask:
            return _asked("Secret of the app (not shown): ")
        raise ConfigError("an app's id needs its secret: give --app-secret-file or set ASYNCIMPORT_APP_SECRET")

    def http(self) -> HttpOptions:
        """How the network is reached.

        Raises:
            ConfigError: a proxy or a file of certificates that cannot work.
        """
        from asyncimport.transport import HttpOptions  # noqa: PLC0415 -- aiohttp, which no help needs

        return HttpOptions(proxy=self.proxy, ssl=self._context(), allow_insecure_http=self.allow_insecure_http)

    def _context(self) -> ssl.SSLContext | None:
        if self.ca_file is None:
            return None
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except ssl.SSLError:
            fault = "holds no certificates in PEM form"
        except OSError as error:
            fault = f"cannot be read ({error.strerror})"
        raise ConfigError(f"--ca-file {self.ca_file} {fault}")

    def paths(self) -> dict[str, str]:
        """The paths that replace a resource's own, by its name.

        Raises:
            ConfigError: no NAME=PATH.
        """
        pairs = [text.partition("=") for text in self.endpoints or ()]
        if len({name for name, _, _ in pairs}) < len(pairs):
            raise ConfigError("--endpoint: the same name is given twice: leave one of them")
        if not all(name and path for name, _, path in pairs):
            raise ConfigError("--endpoint cannot be read: write it as NAME=PATH, as in users=/audience/info/batchAdd")
        return {name: path for name, _, path in pairs}


@frozen(kw_only=True)
class ResumeConnection(ConnectionOptions):
    """The same where a journal has them already: what is given replaces that; the environment's address does not."""

    base_url: Annotated[
        str | None,
        typer.Option("--base-url", rich_help_panel=_PANEL, help="Address of the platform, instead of the journal's."),
    ] = None


def _warn(option: str, better: str) -> None:
    tell(f"warning: others can read {option} in the list of processes: use {better}")


def _is_watched() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()


def _asked(prompt: str) -> str:
    try:
        return getpass.getpass(prompt, sys.stderr).strip()
    except EOFError:
        fault = "nothing was typed"
    except UnicodeDecodeError:
        fault = "what was typed is no text"
    raise ConfigError(fault)


def _content(file: Path, option: str, what: str) -> str:
    """The one word that a file holds, without blanks around it."""
    try:
        with file.open(encoding="ascii") as opened:
            if os.fstat(opened.fileno()).st_mode & _OTHERS and stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                tell(f"warning: others can read {file}: chmod 600 {file}")
            return opened.read(_MAX_FILE_BYTES).strip()
    except FileNotFoundError:  # not quoted: it may be the token itself, given by mistake
        raise ConfigError(f"--{option} names no file: it takes the path of a file that holds the {what}") from None
    except OSError as error:
        fault = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        fault = "it is no ASCII text"
    raise ConfigError(f"the {what} file {file.name} cannot be read: {fault}")
