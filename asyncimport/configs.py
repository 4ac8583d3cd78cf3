"""How an import treats its records: the `publicParams` of a request. Checked when built; sources: PLATFORM.md (E)."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Any

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


def _is_a(kind: type[Any]) -> Any:
    """A validator that takes exactly the members of one kind, and says what it takes."""

    def check(config: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, kind):
            takes = (
                f"a member of {kind.__name__}, such as {kind.__name__}.{next(iter(kind)).name}"
                if issubclass(kind, IntEnum)
                else kind.__name__
            )
            raise ConfigError(f"{type(config).__name__}.{attribute.name} takes {takes}, got {type(value).__name__}")
        if isinstance(value, str) and not is_unicode(value):
            raise ConfigError(
                f"{type(config).__name__}.{attribute.name} holds a lone surrogate, which UTF-8 cannot carry"
            )

    return check


def _optional(kind: type[Any]) -> Any:
    return attrs.validators.optional(_is_a(kind))


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


@frozen(kw_only=True)
class UserImportConfig(Config):
    """The import of users, v1. `is_matching` and `import_mode` are required; fuzzy matching needs `identify_way`.

    Raises:
        ConfigError: a value of another type, or fuzzy matching without `identify_way`.
    """

    is_matching: bool = field(validator=_is_a(bool), metadata={"wire": "isMatching"})
    import_mode: ImportMode = field(validator=_is_a(ImportMode), metadata={"wire": "importMode"})
    matching_type: MatchingType | None = field(
        default=None, validator=_optional(MatchingType), metadata={"wire": "matchingType"}
    )
    identify_way: IdentifyWay | None = field(
        default=None, validator=_optional(IdentifyWay), metadata={"wire": "identifyWay"}
    )
    #: Documented: gzh, workwechat, YOUZAN, EZR, contentminiapp, contenthome; an open set, sent as given.
    accurate_match_type: str | None = field(
        default=None, validator=_optional(str), metadata={"wire": "accurateMatchType"}
    )
    accurate_match_value: str | None = field(
        default=None, validator=_optional(str), metadata={"wire": "accurateMatchValue"}
    )

    def __attrs_post_init__(self) -> None:
        """Hold the rule over two fields (PLATFORM.md users v1, E)."""
        if self.matching_type is MatchingType.FUZZY and self.identify_way is None:
            raise ConfigError(
                "fuzzy matching needs identify_way: IdentifyWay.UNIONID_FIRST or IdentifyWay.USER_ID_FIRST"
            )


@frozen(kw_only=True)
class EventImportConfig(Config):
    """The import of events, v2. Both are optional; the document's own example sends both.

    Raises:
        ConfigError: a value of another type.
    """

    matching_type: MatchingType | None = field(
        default=None, validator=_optional(MatchingType), metadata={"wire": "matchingType"}
    )
    is_matching: bool | None = field(default=None, validator=_optional(bool), metadata={"wire": "isMatching"})
