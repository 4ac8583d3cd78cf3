"""What users write: the records of an import, as plain attrs classes.

Constructors check nothing but the names of their arguments, so that a bad value cannot end the generator that makes
the records: admission checks, and rejects that one record. `record.check(config)` is for the eager. `None` is an
absent field everywhere. Names, types and rules are PLATFORM.md's; a rule without a tag is explicit in a document (E).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from attrs import define, field

from asyncimport.errors import ValidationError
from asyncimport.fields import At, Flag, Int64, JsonList, JsonObject, ListOf, Millis, Problem, Text
from asyncimport.shape import NamesFilled, Needs, NeedsOneOf, ObjectOf, Requirement, copy_record, shape_of, wire

#: The field that each documented identityType names; `uid` stands in the document's own example (E), its field is (I).
IDENTITY_FIELDS: dict[str, str] = {
    "phone": "phone",
    "id": "thirdId",
    "uid": "thirdId",
    "openid": "openid",
    "unionid": "unionid",
}


class Record:
    """Base of the record classes: the eager check, and a repr that shows which fields are filled, never with what."""

    __slots__ = ()
    REQUIREMENTS: ClassVar[tuple[Requirement, ...]] = ()

    def check(self, config: object) -> None:
        """Check the record under a config, as an import would.

        Raises:
            ValidationError: with every breach in `problems`; its message names the places, never a value.
        """
        problems: list[Problem] = []
        copy_record(shape_of(type(self)), self, At(), problems, config)
        if problems:
            raise ValidationError(f"{type(self).__name__}: " + "; ".join(map(str, problems)), problems)

    def __repr__(self) -> str:
        filled = (spec.name for spec in shape_of(type(self)).fields if getattr(self, spec.name) is not None)
        return f"{type(self).__name__}({', '.join(f'{name}=…' for name in filled)})"


@define(kw_only=True, repr=False)
class CustomField(Record):
    """One custom field of a user: its id or name on the platform, and its values (several for multiple choice)."""

    config_id: int | None = field(default=None, metadata=wire("configId", Int64()))
    config_name: str | None = field(default=None, metadata=wire("configName", Text()))
    values: Sequence[str] | None = field(default=None, metadata=wire("values", ListOf(item=Text())))


@define(kw_only=True, repr=False)
class UserProfile(Record):
    """A user of the platform, users v1. With exact matching `identity_type` names the field that identifies him."""

    identity_type: str | None = field(default=None, metadata=wire("identityType", Text()))
    third_id: str | None = field(default=None, metadata=wire("thirdId", Text()))
    openid: str | None = field(default=None, metadata=wire("openid", Text()))
    unionid: str | None = field(default=None, metadata=wire("unionid", Text()))
    phone: str | None = field(default=None, metadata=wire("phone", Text()))
    real_name: str | None = field(default=None, metadata=wire("realName", Text()))
    sex: str | None = field(default=None, metadata=wire("sex", Text(choices=("男", "女"))))
    address: str | None = field(default=None, metadata=wire("address", Text()))
    birthday: str | None = field(default=None, metadata=wire("birthday", Text()))
    remark: str | None = field(default=None, metadata=wire("remark", Text()))
    custom_fields: Sequence[CustomField | Mapping[str, Any]] | None = field(
        default=None, metadata=wire("customFields", ListOf(item=ObjectOf(record=CustomField)))
    )
    REQUIREMENTS: ClassVar[tuple[Requirement, ...]] = (NamesFilled("identityType", IDENTITY_FIELDS),)


@define(kw_only=True, repr=False)
class Identity(Record):
    """One identity of the user a record belongs to; `mpid` is the id of the app that knows him by this identity."""

    identity_value: str | None = field(
        default=None, metadata=wire("identityValue", Text(non_empty=True), required=True)
    )
    identity_type: str | None = field(default=None, metadata=wire("identityType", Text(non_empty=True), required=True))
    platform: str | None = field(default=None, metadata=wire("platform", Text()))
    mpid: str | None = field(default=None, metadata=wire("mpid", Text()))
    is_wechat_ecosystem: bool | None = field(default=None, metadata=wire("isWeChatEcosystem", Flag()))
    REQUIREMENTS: ClassVar[tuple[Requirement, ...]] = (Needs("mpid", "isWeChatEcosystem"),)


#: At least one (E for events v2; I for the other resources, whose table says that they are required).
IDENTITIES: Final = ListOf(item=ObjectOf(record=Identity), min_items=1)


@define(kw_only=True, repr=False)
class Event(Record):
    """What a user did, events v2. A missing `uuid` and a missing `time` are filled when the record is read."""

    identities: Sequence[Identity | Mapping[str, Any]] | None = field(
        default=None, metadata=wire("identities", IDENTITIES, required=True)
    )
    time: int | datetime | None = field(default=None, metadata=wire("time", Millis()))
    uuid: str | None = field(default=None, metadata=wire("uuid", Text(non_empty=True, max_chars=36)))
    event_key: str | None = field(default=None, metadata=wire("eventKey", Text(non_empty=True), required=True))
    intid: str | None = field(default=None, metadata=wire("intid", Text()))
    eventargs: Mapping[str, Any] | None = field(default=None, metadata=wire("eventargs", JsonObject()))


@define(kw_only=True, repr=False)
class UserProfileV2(Record):
    """A user of the platform, users v2: found by his identities, as an event's user is."""

    identities: Sequence[Identity | Mapping[str, Any]] | None = field(
        default=None, metadata=wire("identities", IDENTITIES, required=True)
    )
    real_name: str | None = field(default=None, metadata=wire("realName", Text()))
    sex: str | None = field(default=None, metadata=wire("sex", Text(choices=("男", "女"))))
    address: str | None = field(default=None, metadata=wire("address", Text()))
    birthday: str | None = field(default=None, metadata=wire("birthday", Text()))  # its form: ?
    remark: str | None = field(default=None, metadata=wire("remark", Text()))
    custom_fields: Sequence[CustomField | Mapping[str, Any]] | None = field(
        default=None, metadata=wire("customFields", ListOf(item=ObjectOf(record=CustomField)))
    )


@define(kw_only=True, repr=False)
class EventV1(Record):
    """What a user did, events v1, which is being retired: its user is found by fields of the event itself.

    A missing `uuid` and a missing `time` are filled when the record is read. No field is required but by the config.
    """

    identity_type: str | None = field(default=None, metadata=wire("identityType", Text()))
    third_id: str | None = field(default=None, metadata=wire("thirdId", Text()))
    openid: str | None = field(default=None, metadata=wire("openid", Text()))
    unionid: str | None = field(default=None, metadata=wire("unionid", Text()))
    phone: str | None = field(default=None, metadata=wire("phone", Text()))
    time: int | datetime | None = field(default=None, metadata=wire("time", Millis()))
    uuid: str | None = field(default=None, metadata=wire("uuid", Text(non_empty=True, max_chars=36)))
    event_key: str | None = field(default=None, metadata=wire("eventKey", Text(non_empty=True)))  # not empty: I
    intid: str | None = field(default=None, metadata=wire("intid", Text()))
    eventargs: Mapping[str, Any] | None = field(default=None, metadata=wire("eventargs", JsonObject()))
    #: That exact matching asks for identityType: E. That the field it names must hold something: I.
    REQUIREMENTS: ClassVar[tuple[Requirement, ...]] = (NamesFilled("identityType", IDENTITY_FIELDS),)


@define(kw_only=True, repr=False)
class TagAssignment(Record):
    """Tags that a user gets or loses, tags v2; which of the two, the config's `opt_type` says."""

    identities: Sequence[Identity | Mapping[str, Any]] | None = field(
        default=None, metadata=wire("identities", IDENTITIES, required=True)
    )
    #: What an item has in it: ?. So they are passed on as they are given.
    operate_tags: Sequence[Any] | None = field(default=None, metadata=wire("operateTags", JsonList()))


@define(kw_only=True, repr=False)
class GroupAssignment(Record):
    """Groups that a user comes into or leaves, groups v2; which of the two, the config's `opt_type` says."""

    identities: Sequence[Identity | Mapping[str, Any]] | None = field(
        default=None, metadata=wire("identities", IDENTITIES, required=True)
    )
    #: Names, parted by commas.
    groups: str | None = field(default=None, metadata=wire("groups", Text()))
    #: 1 groups of the company, 2 groups of a department. A string (E, the public wiki).
    category_type: str | None = field(default=None, metadata=wire("categoryType", Text(choices=("1", "2"))))
    #: Where several are given the platform takes wxDeptId before thirdDeptId before deptId.
    dept_id: int | None = field(default=None, metadata=wire("deptId", Int64()))
    third_dept_id: str | None = field(default=None, metadata=wire("thirdDeptId", Text()))
    wx_dept_id: str | None = field(default=None, metadata=wire("wxDeptId", Text()))
    REQUIREMENTS: ClassVar[tuple[Requirement, ...]] = (
        NeedsOneOf("categoryType", "2", ("wxDeptId", "thirdDeptId", "deptId")),
    )
