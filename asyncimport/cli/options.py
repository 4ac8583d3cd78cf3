"""The options that say what is imported, in groups: what each takes, and the value of the package that it comes to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from attrs import evolve, frozen

from asyncimport.cli.metered import Metered
from asyncimport.configs import EventImportConfig, IdentifyWay, ImportMode, MatchingType, UserImportConfig
from asyncimport.errors import ConfigError
from asyncimport.records import Record
from asyncimport.sources import ColumnMapping, CsvOptions, open_source, read_mapping
from asyncimport.sources.cells import number_or_text
from asyncimport.sources.mapping import Constant

_INPUT: Final = "Input"
IMPORT: Final = "What the platform is told"
#: A value of `--args` that stands for all columns which are neither fields nor named otherwise.
ALL_OTHERS: Final = "*"
_TYPED: Final = re.compile(r"(?P<column>.*):(?P<type>auto|text|number)")
_CUSTOM: Final = re.compile(r"(?P<column>.+?)=(?P<id>-?[0-9]*)(?::(?P<name>.*))?")


class Format(StrEnum):
    """How a file is written."""

    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    ARROW = "arrow"


class Empty(StrEnum):
    """What an empty cell is."""

    ABSENT = "absent"
    KEEP = "keep"


class Mode(StrEnum):
    """How users are imported."""

    FULL = "full"
    PARTIAL = "partial"


class Matching(StrEnum):
    """How users are recognised."""

    NONE = "none"
    EXACT = "exact"
    FUZZY = "fuzzy"


class Way(StrEnum):
    """The order of identities in fuzzy matching."""

    UNIONID = "unionid-first"
    USER_ID = "user-id-first"


MATCHING_TYPES: Final = {Matching.NONE: None, Matching.EXACT: MatchingType.EXACT, Matching.FUZZY: MatchingType.FUZZY}
WAYS: Final = {None: None, Way.UNIONID: IdentifyWay.UNIONID_FIRST, Way.USER_ID: IdentifyWay.USER_ID_FIRST}
MODES: Final = {Mode.FULL: ImportMode.FULL, Mode.PARTIAL: ImportMode.PARTIAL}


@frozen(kw_only=True)
class InputOptions:
    """The file, and how its columns become fields."""

    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="CSV, TSV or JSON Lines, also packed by gzip or zstd, Parquet or Arrow; [bold]-[/bold] is standard input, a URL is "
            "opened by fsspec.",
        ),
    ]
    format: Annotated[
        Format | None,
        typer.Option("--format", rich_help_panel=_INPUT, help="How the file is written; by its name, when not given."),
    ] = None
    encoding: Annotated[
        str, typer.Option("--encoding", rich_help_panel=_INPUT, help="Text encoding of CSV and TSV, such as gb18030.")
    ] = "utf-8-sig"
    delimiter: Annotated[
        str | None,
        typer.Option("--delimiter", rich_help_panel=_INPUT, help="What parts the cells; found when not given."),
    ] = None
    quote: Annotated[
        str | None,
        typer.Option(
            "--quote",
            rich_help_panel=_INPUT,
            help="What stands around cells that hold a delimiter, \" when not given; '' is nothing.",
        ),
    ] = None
    escape: Annotated[
        str | None,
        typer.Option("--escape", rich_help_panel=_INPUT, help="What takes the meaning from the character after it."),
    ] = None
    header: Annotated[
        str | None,
        typer.Option(
            "--header", metavar="COLUMN,COLUMN", rich_help_panel=_INPUT, help="The columns of a file without header."
        ),
    ] = None
    mapping_file: Annotated[
        Path | None,
        typer.Option(
            "--mapping",
            metavar="FILE",
            rich_help_panel=_INPUT,
            help="A TOML file that maps columns to fields. What the options below say of the same column, field or "
            "setting counts instead.",
        ),
    ] = None
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="COLUMN=FIELD", rich_help_panel=_INPUT, help="This column fills this field. Repeatable."
        ),
    ] = None
    constants: Annotated[
        list[str] | None,
        typer.Option(
            "--const",
            metavar="FIELD=VALUE",
            rich_help_panel=_INPUT,
            help="The field has this value in every record. Repeatable.",
        ),
    ] = None
    custom: Annotated[
        list[str] | None,
        typer.Option(
            "--custom",
            metavar="COLUMN=ID:NAME",
            rich_help_panel=_INPUT,
            help="This column is the custom field with this configId and configName; either may be left out. Repeatable.",
        ),
    ] = None
    separator: Annotated[
        str | None,
        typer.Option(
            "--separator",
            rich_help_panel=_INPUT,
            help="What parts several values in one cell of a custom field; when not given, |.",
        ),
    ] = None
    arguments: Annotated[
        list[str] | None,
        typer.Option(
            "--args",
            metavar="COLUMN,COLUMN",
            rich_help_panel=_INPUT,
            help="These columns go into eventargs, as in [bold]price:number,sku:text[/bold]; without a type, what is "
            "plainly written as a number is one. [bold]'*'[/bold] takes all columns that are no fields. Repeatable.",
        ),
    ] = None
    ignore_unknown: Annotated[
        bool, typer.Option("--ignore-unknown", rich_help_panel=_INPUT, help="Leave out columns that are no fields.")
    ] = False
    empty: Annotated[
        Empty | None,
        typer.Option(
            "--empty",
            rich_help_panel=_INPUT,
            help="An empty cell: the field is absent (when not given, too), or sent as empty text.",
        ),
    ] = None

    def source(self, record: type[Record], of_file: ColumnMapping | None = None) -> Metered:
        """The file as a source of such records; `of_file` is what the mapping file had in it, where that was read.

        Raises:
            ConfigError: it cannot be read, or a column and the mapping do not fit.
        """
        source = open_source(
            self.file,
            record,
            format=None if self.format is None else self.format.value,
            mapping=self.mapping(of_file),
            **self.dialect(),
        )
        return Metered(source)

    def dialect(self) -> CsvOptions:
        """How cells are written, as far as it is said."""
        options = CsvOptions(encoding=self.encoding)
        if self.delimiter is not None:
            options["delimiter"] = _delimiter(self.delimiter)
        if self.quote is not None:
            options["quotechar"] = self.quote or None
        if self.escape is not None:
            options["escapechar"] = self.escape
        if self.header is not None:
            options["header"] = self.header.split(",")
        return options

    def mapping(self, of_file: ColumnMapping | None = None) -> ColumnMapping | None:
        """The mapping asked for, by the file and by options; None when none is.

        Raises:
            ConfigError: an option cannot be read, names something twice, or the file cannot be read.
        """
        if of_file is None and self.mapping_file is not None:
            of_file = read_mapping(self.mapping_file)
        mapping = self._added_to(of_file or ColumnMapping())
        return None if mapping == ColumnMapping() else mapping

    def _added_to(self, given: ColumnMapping) -> ColumnMapping:
        """The same with what the options say: of a column or field that they name they alone count."""
        columns = dict(_mapped(text) for text in self.columns or ())
        for text in self.custom or ():
            column, field = _custom_field(text)
            if column in columns:
                raise ConfigError(f"column {column[:40]!r} is mapped twice: leave one --map or --custom")
            columns[column] = field
        constants = dict(_constant(text) for text in self.constants or ())
        _refuse_repeated("--map and --custom", len(columns), len(self.columns or ()) + len(self.custom or ()))
        _refuse_repeated("--const", len(constants), len(self.constants or ()))
        arguments, rest = self._arguments()
        named = {*columns, *arguments}
        return evolve(
            given,
            columns=_without(given.columns, named) | columns,
            constants={**given.constants, **constants},
            identities=[each for each in given.identities if each.column not in named],
            custom_fields=[each for each in given.custom_fields if each.column not in named],
            arguments=_without(given.arguments, named) | arguments,
            rest=rest or given.rest,
            empty=given.empty if self.empty is None else self.empty.value,
            separator=given.separator if self.separator is None else self.separator,
        )

    def _arguments(self) -> tuple[dict[str, str], str | None]:
        named = [name for text in self.arguments or () for name in text.split(",") if name]
        typed = {}
        for name in named:
            found = _TYPED.fullmatch(name)
            typed[found["column"] if found else name] = found["type"] if found else "auto"
        _refuse_repeated("--args", len(typed), len(named))
        if typed.get(ALL_OTHERS, "auto") != "auto":
            raise ConfigError("--args '*' takes no type: name the columns that need one")
        takes_all = typed.pop(ALL_OTHERS, None) is not None
        if takes_all and self.ignore_unknown:
            raise ConfigError("--args '*' takes the columns that --ignore-unknown leaves out: give one of them")
        return typed, "arguments" if takes_all else "ignore" if self.ignore_unknown else None


def _delimiter(text: str) -> str:
    """One character; backslash and t, as a shell hands it over, is a tab."""
    if not text:
        raise ConfigError("--delimiter takes one character; leave it out to have it found")
    return "\t" if text == "\\t" else text


def _mapped(text: str) -> tuple[str, str]:
    """Column and field, at the last equals sign: a column of the user's may hold some, a field holds none."""
    column, _, field = text.rpartition("=")
    if not (column and field):
        raise ConfigError(f"--map {text[:60]!r} cannot be read: write it as COLUMN=FIELD")
    return column, field


def _without(part: Mapping[str, Any], named: set[str]) -> dict[str, Any]:
    return {column: value for column, value in part.items() if column not in named}


def _constant(text: str) -> tuple[str, Constant]:
    """Field and value, at the first equals sign. The value may be empty, for a mapping that keeps what is empty.

    An argument that is plainly written as a number is one, as in a cell: a shell knows texts only.
    """
    field, sign, value = text.partition("=")
    if not (field and sign):
        raise ConfigError(f"--const {text[:60]!r} cannot be read: write it as FIELD=VALUE")
    return field, number_or_text(value) if field.startswith("eventargs.") else value


def _custom_field(text: str) -> tuple[str, str]:
    """Column and custom field, at the first equals sign that a configId or a colon follows."""
    found = _CUSTOM.fullmatch(text)
    if found is None or not (found["id"] or found["name"]):
        raise ConfigError(
            f"--custom {text[:60]!r} cannot be read: write it as COLUMN=configId:configName, as in Tier=12:Level"
        )
    return found["column"], f"customFields.{found['id']}.{found['name'] or ''}"


def _refuse_repeated(options: str, kept: int, given: int) -> None:
    if kept != given:
        raise ConfigError(f"{options}: the same name is given twice: leave one of them")


def check_way(matching: Matching, identify_way: Way | None) -> None:
    """Hold the options of fuzzy matching together.

    Raises:
        ConfigError: the order of identities is missing.
    """
    if matching is Matching.FUZZY and identify_way is None:
        raise ConfigError("--matching fuzzy needs --identify-way unionid-first or user-id-first")


#: What users v1 and events v1 are asked alike.
MatchingOption = Annotated[
    Matching, typer.Option("--matching", rich_help_panel=IMPORT, help="How users are recognised.")
]
WayOption = Annotated[
    Way | None,
    typer.Option("--identify-way", rich_help_panel=IMPORT, help="Order of identities; required with fuzzy."),
]
AppKindOption = Annotated[
    str | None,
    typer.Option("--accurate-match-type", rich_help_panel=IMPORT, help="Kind of app for exact matching, such as gzh."),
]
AppIdOption = Annotated[
    str | None,
    typer.Option("--accurate-match-value", rich_help_panel=IMPORT, help="Id of the app for exact matching."),
]


@frozen(kw_only=True)
class UserOptions:
    """publicParams of users."""

    mode: Annotated[
        Mode,
        typer.Option(
            "--mode",
            rich_help_panel=IMPORT,
            help="Import mode. Required: the platform does not say what either does to fields that are absent.",
        ),
    ]
    matching: MatchingOption = Matching.NONE
    identify_way: WayOption = None
    accurate_match_type: AppKindOption = None
    accurate_match_value: AppIdOption = None

    def config(self) -> UserImportConfig:
        """The config of the import.

        Raises:
            ConfigError: options that do not go together.
        """
        check_way(self.matching, self.identify_way)
        return UserImportConfig(
            is_matching=self.matching is not Matching.NONE,
            import_mode=MODES[self.mode],
            matching_type=MATCHING_TYPES[self.matching],
            identify_way=WAYS[self.identify_way],
            accurate_match_type=self.accurate_match_type,
            accurate_match_value=self.accurate_match_value,
        )


@frozen(kw_only=True)
class CheckedUserOptions(UserOptions):
    """The same for a dry run: no record is judged by the mode, so it may be left out."""

    mode: Annotated[
        Mode, typer.Option("--mode", rich_help_panel=IMPORT, help="Import mode; decides nothing in a dry run.")
    ] = Mode.PARTIAL


@frozen(kw_only=True)
class EventOptions:
    """publicParams of events."""

    matching: Annotated[
        Matching, typer.Option("--matching", rich_help_panel=IMPORT, help="How users are recognised.")
    ] = Matching.NONE

    def config(self) -> EventImportConfig:
        """The config of the import."""
        is_matching = None if self.matching is Matching.NONE else True
        return EventImportConfig(matching_type=MATCHING_TYPES[self.matching], is_matching=is_matching)
