"""The options of the further resources: what the platform is told of an import, as `options.py` has it for users and events."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from attrs import frozen

from asyncimport.cli.options import (
    IMPORT,
    MATCHING_TYPES,
    MODES,
    WAYS,
    AppIdOption,
    AppKindOption,
    Matching,
    MatchingOption,
    Mode,
    WayOption,
    check_way,
)
from asyncimport.configs import EventImportConfigV1, GroupImportConfig, OptType, TagImportConfig, UserImportConfigV2


class Operation(StrEnum):
    """What becomes of the tags or groups."""

    ADD = "add"
    DELETE = "delete"


@frozen(kw_only=True)
class UserV2Options:
    """publicParams of users v2."""

    mode: Annotated[
        Mode,
        typer.Option(
            "--mode",
            rich_help_panel=IMPORT,
            help="Import mode. Required: the platform does not say what either does to fields that are absent.",
        ),
    ]
    matching: Annotated[
        Matching, typer.Option("--matching", rich_help_panel=IMPORT, help="How users are recognised.")
    ] = Matching.NONE

    def config(self) -> UserImportConfigV2:
        """The config of the import."""
        return UserImportConfigV2(import_mode=MODES[self.mode], matching_type=MATCHING_TYPES[self.matching])


@frozen(kw_only=True)
class CheckedUserV2Options(UserV2Options):
    """The same for a dry run: no record is judged by the mode, so it may be left out."""

    mode: Annotated[
        Mode, typer.Option("--mode", rich_help_panel=IMPORT, help="Import mode; decides nothing in a dry run.")
    ] = Mode.PARTIAL


@frozen(kw_only=True)
class EventV1Options:
    """publicParams of events v1."""

    matching: MatchingOption = Matching.NONE
    identify_way: WayOption = None
    accurate_match_type: AppKindOption = None
    accurate_match_value: AppIdOption = None

    def config(self) -> EventImportConfigV1:
        """The config of the import.

        Raises:
            ConfigError: options that do not go together.
        """
        check_way(self.matching, self.identify_way)
        return EventImportConfigV1(
            is_matching=None if self.matching is Matching.NONE else True,
            matching_type=MATCHING_TYPES[self.matching],
            identify_way=WAYS[self.identify_way],
            accurate_match_type=self.accurate_match_type,
            accurate_match_value=self.accurate_match_value,
        )


@frozen(kw_only=True)
class AssignmentOptions:
    """publicParams of an assignment of tags or groups."""

    operation: Annotated[
        Operation,
        typer.Option("--operation", rich_help_panel=IMPORT, help="Whether they are added to users or taken away."),
    ]
    matching: Annotated[
        Matching, typer.Option("--matching", rich_help_panel=IMPORT, help="How users are recognised.")
    ] = Matching.NONE

    @property
    def _opt_type(self) -> OptType:
        return OptType(self.operation.value)


@frozen(kw_only=True)
class TagOptions(AssignmentOptions):
    """publicParams of tags v2."""

    def config(self) -> TagImportConfig:
        """The config of the import."""
        return TagImportConfig(opt_type=self._opt_type, matching_type=MATCHING_TYPES[self.matching])


@frozen(kw_only=True)
class GroupOptions(AssignmentOptions):
    """publicParams of groups v2."""

    def config(self) -> GroupImportConfig:
        """The config of the import."""
        return GroupImportConfig(opt_type=self._opt_type, matching_type=MATCHING_TYPES[self.matching])


_CheckedOperation = Annotated[
    Operation, typer.Option("--operation", rich_help_panel=IMPORT, help="Add or delete; decides nothing in a dry run.")
]


@frozen(kw_only=True)
class CheckedTagOptions(TagOptions):
    """The same for a dry run: no record is judged by the operation, so it may be left out."""

    operation: _CheckedOperation = Operation.ADD


@frozen(kw_only=True)
class CheckedGroupOptions(GroupOptions):
    """The same for a dry run: no record is judged by the operation, so it may be left out."""

    operation: _CheckedOperation = Operation.ADD
