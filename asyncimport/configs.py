"""How an import treats its records: the `publicParams` of a request. Checked when built; sources: PLATFORM.md (E)."""

from __future__ import annotations

from enum import Enum, IntEnum, StrEnum
from typing import Any, Final

import attrs
from attrs import field, frozen

from asyncimport.errors import ConfigError
from asyncimport.fields import is_unicode


class ImportMode(IntEnum):
    """How records are imported; what each does to the fields that a record leaves out is not documented (?)."""

    FULL = 1
    PARTIAL = 2


class MatchingType(IntEnum):
    """How users are recognised: by one named identity, or by several in an order of precedence."""

    EXACT = 1
    FUZZY = 2


class IdentifyWay(IntEnum):
    """The order of identities in fuzzy matching."""

    #: unionid > openid > phone > user id
    UNIONID_FIRST = 1
    #: user id > phone > openid > unionid
    USER_ID_FIRST = 2


class OptType(StrEnum):
    """What an assignment of tags or groups does."""

    ADD = "add"
    DELETE = "delete"


def is_a(kind: type[Any]) -> Any:
    """A validator that takes exactly the values of one type, or the members of one enum, and says what it takes."""

    def check(config: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, kind):
            takes = (
                f"a member of {kind.__name__}, such as {kind.__name__}.{next(iter(kind)).name}"
                if issubclass(kind, Enum)
                else kind.__name__
            )
            raise ConfigError(f"{type(config).__name__}.{attribute.name} takes {takes}, got {type(value).__name__}")
        if isinstance(value, str) and not is_unicode(value):
            raise ConfigError(
                f"{type(config).__name__}.{attribute.name} holds a lone surrogate, which UTF-8 cannot carry"
            )

    return check


def _optional(kind: type[Any]) -> Any:
    return attrs.validators.optional(is_a(kind))


@frozen(kw_only=True)
class Config:
    """Base of the configs: the wire form, and what the record rules ask."""

    @property
    def is_exact(self) -> bool:
        """Whether one named identity decides: records must then name and fill it."""
        return getattr(self, "matching_type", None) is MatchingType.EXACT

    def to_wire(self) -> dict[str, Any]:
        """The `publicParams` object: wire names, plain values, nothing absent."""
        return {
            attribute.metadata["wire"]: _plain(getattr(self, attribute.name))
            for attribute in attrs.fields(type(self))
            if getattr(self, attribute.name) is not None
        }


def _plain(value: object) -> object:
    if isinstance(value, IntEnum):
        return int(value)
    return str.__str__(value) if isinstance(value, str) else value  # of a StrEnum, or any other text, the text


#: What is said of the same parameter of several imports.
_MATCHING_TYPE: Final[dict[str, Any]] = {"validator": _optional(MatchingType), "metadata": {"wire": "matchingType"}}
_IDENTIFY_WAY: Final[dict[str, Any]] = {"validator": _optional(IdentifyWay), "metadata": {"wire": "identifyWay"}}
#: Documented: gzh, workwechat, YOUZAN, EZR, contentminiapp, contenthome; an open set, sent as given.
_MATCH_TYPE: Final[dict[str, Any]] = {"validator": _optional(str), "metadata": {"wire": "accurateMatchType"}}
_MATCH_VALUE: Final[dict[str, Any]] = {"validator": _optional(str), "metadata": {"wire": "accurateMatchValue"}}


def _check_fuzzy(matching_type: MatchingType | None, identify_way: IdentifyWay | None) -> None:
    if matching_type is MatchingType.FUZZY and identify_way is None:
        raise ConfigError("fuzzy matching needs identify_way: IdentifyWay.UNIONID_FIRST or IdentifyWay.USER_ID_FIRST")


@frozen(kw_only=True)
class UserImportConfig(Config):
    """The import of users, v1. `is_matching` and `import_mode` are required; fuzzy matching needs `identify_way`.

    Raises:
        ConfigError: a value of another type, or fuzzy matching without `identify_way`.
    """

    is_matching: bool = field(validator=is_a(bool), metadata={"wire": "isMatching"})
    import_mode: ImportMode = field(validator=is_a(ImportMode), metadata={"wire": "importMode"})
    matching_type: MatchingType | None = field(default=None, **_MATCHING_TYPE)
    identify_way: IdentifyWay | None = field(default=None, **_IDENTIFY_WAY)
    accurate_match_type: str | None = field(default=None, **_MATCH_TYPE)
    accurate_match_value: str | None = field(default=None, **_MATCH_VALUE)

    def __attrs_post_init__(self) -> None:
        """Hold the rule over two fields (E)."""
        _check_fuzzy(self.matching_type, self.identify_way)


@frozen(kw_only=True)
class EventImportConfig(Config):
    """The import of events, v2. Both are optional; the document's own example sends both.

    Raises:
        ConfigError: a value of another type.
    """

    matching_type: MatchingType | None = field(default=None, **_MATCHING_TYPE)
    is_matching: bool | None = field(default=None, validator=_optional(bool), metadata={"wire": "isMatching"})


@frozen(kw_only=True)
class UserImportConfigV2(Config):
    """The import of users, v2. `import_mode` is required.

    Raises:
        ConfigError: a value of another type.
    """

    import_mode: ImportMode = field(validator=is_a(ImportMode), metadata={"wire": "importMode"})
    matching_type: MatchingType | None = field(default=None, **_MATCHING_TYPE)


@frozen(kw_only=True)
class EventImportConfigV1(Config):
    """The import of events, v1. Nothing is required; fuzzy matching needs `identify_way`.

    Raises:
        ConfigError: a value of another type, or fuzzy matching without `identify_way`.
    """

    #: Required in the page's older version, not in its newer one (E, the public wiki).
    is_matching: bool | None = field(default=None, validator=_optional(bool), metadata={"wire": "isMatching"})
    matching_type: MatchingType | None = field(default=None, **_MATCHING_TYPE)
    identify_way: IdentifyWay | None = field(default=None, **_IDENTIFY_WAY)
    accurate_match_type: str | None = field(default=None, **_MATCH_TYPE)
    accurate_match_value: str | None = field(default=None, **_MATCH_VALUE)

    def __attrs_post_init__(self) -> None:
        """Hold the rule over two fields (E)."""
        _check_fuzzy(self.matching_type, self.identify_way)


@frozen(kw_only=True)
class TagImportConfig(Config):
    """The assignment of tags, v2: `opt_type`, which is required, says whether they are added or deleted.

    Raises:
        ConfigError: a value of another type.
    """

    opt_type: OptType = field(validator=is_a(OptType), metadata={"wire": "optType"})
    matching_type: MatchingType | None = field(default=None, **_MATCHING_TYPE)


@frozen(kw_only=True)
class GroupImportConfig(Config):
    """The assignment of groups, v2: `opt_type`, which is required, says whether they are added or deleted.

    Raises:
        ConfigError: a value of another type.
    """

    opt_type: OptType = field(validator=is_a(OptType), metadata={"wire": "optType"})
    matching_type: MatchingType | None = field(default=None, **_MATCHING_TYPE)
