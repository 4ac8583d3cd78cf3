"""The options that say how a command is carried out and how it tells about it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from attrs import frozen

from asyncimport.errors import ConfigError
from asyncimport.options import RunOptions
from asyncimport.policy import DispatchPolicy, Rate, Share
from asyncimport.treatment import Treatment, treatment_of

_RUN: Final = "The run"
_OUTPUT: Final = "Output"


class Unknown(StrEnum):
    """What becomes of a batch that was sent and not answered."""

    RESEND = "resend"
    PARK = "park"


Deduplicate = Annotated[
    list[str] | None,
    typer.Option(
        "--deduplicate",
        metavar="FIELD",
        rich_help_panel=_RUN,
        help="Skip a record that holds the same in this field as one not long before. Repeatable, or several with commas: "
        "then in all of them.",
    ),
]
UuidFrom = Annotated[
    list[str] | None,
    typer.Option(
        "--uuid-from",
        metavar="NAME",
        rich_help_panel=_RUN,
        help="Events without a uuid get one made of event key, identities and this field or [bold]eventargs[/bold] key: "
        "the same whenever they are sent again. Repeatable, or several with commas.",
    ),
]


@frozen(kw_only=True)
class TreatmentChoices:
    """What an import would do to records before they are sent, for a dry run."""

    deduplicate: Deduplicate = None
    uuid_from: UuidFrom = None

    def treatment(self) -> Treatment:
        """The same as the library has it."""
        return treatment_of(deduplicate=listed(self.deduplicate), uuid_from=listed(self.uuid_from))


@frozen(kw_only=True)
class RunChoices:
    """How the import is carried out."""

    journal: Annotated[
        Path | None,
        typer.Option(
            "--journal",
            metavar="FILE",
            rich_help_panel=_RUN,
            help="Keep in this file what was done: the same command again, or [bold]asyncimport resume FILE[/bold], goes "
            "on where it was acknowledged.",
        ),
    ] = None
    rejects: Annotated[
        Path | None,
        typer.Option(
            "--rejects",
            metavar="FILE",
            rich_help_panel=_RUN,
            help="Write each record that is not accepted (rejected, unconfirmed or unsent) with its reason to this new file "
            "(JSON Lines, mode 0600).",
        ),
    ] = None
    max_rejected: Annotated[
        str | None,
        typer.Option(
            "--max-rejected",
            metavar="N|P%",
            rich_help_panel=_RUN,
            help="Stop when more records than that are rejected.",
        ),
    ] = None
    deadline: Annotated[
        float | None,
        typer.Option("--deadline", metavar="SECONDS", rich_help_panel=_RUN, help="Stop by itself after this time."),
    ] = None
    on_unknown: Annotated[
        Unknown,
        typer.Option(
            "--on-unknown",
            rich_help_panel=_RUN,
            help="What was sent and not answered: send it again, or leave it unconfirmed.",
        ),
    ] = Unknown.RESEND
    order_by: Annotated[
        list[str] | None,
        typer.Option(
            "--order-by",
            metavar="FIELD",
            rich_help_panel=_RUN,
            help="Never have two records under way that hold the same in this field, so that the last one wins: "
            "[bold]phone[/bold], [bold]identities[/bold]. Repeatable, or several with commas.",
        ),
    ] = None
    deduplicate: Deduplicate = None
    uuid_from: UuidFrom = None
    max_in_flight: Annotated[
        int | None,
        typer.Option(
            "--max-in-flight",
            rich_help_panel=_RUN,
            help="Requests under way at the same time; when it is not given, as many as the platform is well with, up to 32.",
        ),
    ] = None
    requests_per_s: Annotated[
        float | None,
        typer.Option("--requests-per-s", rich_help_panel=_RUN, help="Begin at most so many requests a second."),
    ] = None
    records_per_s: Annotated[
        float | None,
        typer.Option("--records-per-s", rich_help_panel=_RUN, help="Send at most so many records a second."),
    ] = None

    def options(self) -> RunOptions:
        """The options of the run.

        Raises:
            ConfigError: a value that cannot work.
        """
        options = RunOptions(on_unknown=self.on_unknown.value)
        if self.journal is not None:
            options["journal"] = self.journal
        if self.rejects is not None:
            options["rejects"] = self.rejects
        if self.max_rejected is not None:
            options["max_rejected"] = _allowed(self.max_rejected)
        if self.deadline is not None:
            options["deadline"] = self.deadline
        if self.order_by:
            options["order_by"] = listed(self.order_by)
        if self.deduplicate:
            options["deduplicate"] = listed(self.deduplicate)
        if self.uuid_from:
            options["uuid_from"] = listed(self.uuid_from)
        return options

    def policy(self) -> DispatchPolicy:
        """The policy of the client.

        Raises:
            ConfigError: a value that cannot work.
        """
        is_bounded = self.requests_per_s is not None or self.records_per_s is not None
        return DispatchPolicy(
            max_in_flight=self.max_in_flight,
            max_rate=Rate(requests_per_s=self.requests_per_s, records_per_s=self.records_per_s) if is_bounded else None,
        )


@frozen(kw_only=True)
class SpoolChoices(RunChoices):
    """The same of a source that may come only once."""

    spool: Annotated[
        bool,
        typer.Option(
            "--spool",
            rich_help_panel=_RUN,
            help="With a journal, for standard input and pipes: records are on disk there before they count as read.",
        ),
    ] = False

    def options(self) -> RunOptions:
        options = super().options()
        if self.spool and self.journal is None:
            raise ConfigError("--spool keeps records in a journal: give --journal too")
        if self.spool:
            options["spool"] = True
        return options


def listed(given: list[str] | None) -> list[str]:
    """Names that were given one by one or with commas between them."""
    return [name.strip() for some in given or () for name in some.split(",") if name.strip()]


def _allowed(text: str) -> int | Share:
    number = text.removesuffix("%")
    try:
        return Share(float(number) / 100) if number != text else int(number)
    except (ValueError, ConfigError):
        raise ConfigError(
            f"--max-rejected takes a count or a share up to 100%, as in 100 or 1%, got {text[:20]!r}"
        ) from None


@frozen(kw_only=True)
class OutputOptions:
    """What is told, and how."""

    as_json: Annotated[
        bool, typer.Option("--json", rich_help_panel=_OUTPUT, help="Print the report as one JSON document.")
    ] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", rich_help_panel=_OUTPUT, help="No progress.")] = False
    no_color: Annotated[
        bool, typer.Option("--no-color", rich_help_panel=_OUTPUT, help="No color; NO_COLOR does the same.")
    ] = False

    @property
    def color(self) -> bool | None:
        """False when color is refused; None leaves it to the environment."""
        return False if self.no_color else None
