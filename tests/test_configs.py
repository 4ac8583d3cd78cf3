from __future__ import annotations

from typing import Any

import attrs
import canary
import orjson
import pytest

from asyncimport.configs import (
    Config,
    EventImportConfig,
    EventImportConfigV1,
    GroupImportConfig,
    IdentifyWay,
    ImportMode,
    MatchingType,
    OptType,
    TagImportConfig,
    UserImportConfig,
    UserImportConfigV2,
)
from asyncimport.errors import ConfigError

GOOD: dict[str, Any] = {"is_matching": True, "import_mode": ImportMode.FULL}


@pytest.mark.parametrize(
    ("config", "wire"),
    [
        (UserImportConfig(**GOOD), {"isMatching": True, "importMode": 1}),
        (
            UserImportConfig(
                is_matching=False,
                import_mode=ImportMode.PARTIAL,
                matching_type=MatchingType.FUZZY,
                identify_way=IdentifyWay.USER_ID_FIRST,
                accurate_match_type="gzh",
                accurate_match_value="wx1",
            ),
            {
                "isMatching": False,
                "importMode": 2,
                "matchingType": 2,
                "identifyWay": 2,
                "accurateMatchType": "gzh",
                "accurateMatchValue": "wx1",
            },
        ),
        (EventImportConfig(), {}),
        (
            EventImportConfig(matching_type=MatchingType.EXACT, is_matching=True),
            {"isMatching": True, "matchingType": 1},
        ),
        (UserImportConfigV2(import_mode=ImportMode.PARTIAL), {"importMode": 2}),
        (
            UserImportConfigV2(import_mode=ImportMode.FULL, matching_type=MatchingType.FUZZY),
            {"importMode": 1, "matchingType": 2},
        ),
        (EventImportConfigV1(), {}),
        (
            EventImportConfigV1(
                is_matching=True,
                matching_type=MatchingType.FUZZY,
                identify_way=IdentifyWay.UNIONID_FIRST,
                accurate_match_type="gzh",
                accurate_match_value="wx1",
            ),
            {
                "isMatching": True,
                "matchingType": 2,
                "identifyWay": 1,
                "accurateMatchType": "gzh",
                "accurateMatchValue": "wx1",
            },
        ),
        (TagImportConfig(opt_type=OptType.ADD), {"optType": "add"}),
        (
            TagImportConfig(opt_type=OptType.DELETE, matching_type=MatchingType.EXACT),
            {"optType": "delete", "matchingType": 1},
        ),
        (GroupImportConfig(opt_type=OptType.DELETE), {"optType": "delete"}),
        (
            GroupImportConfig(opt_type=OptType.ADD, matching_type=MatchingType.FUZZY),
            {"optType": "add", "matchingType": 2},
        ),
    ],
    ids=[
        "users-least",
        "users-all",
        "events-least",
        "events-all",
        "users-v2-least",
        "users-v2-all",
        "events-v1-least",
        "events-v1-all",
        "tags-least",
        "tags-all",
        "groups-least",
        "groups-all",
    ],
)
def test_a_config_goes_onto_the_wire_in_plain_values_and_without_nulls(config: Config, wire: dict[str, Any]) -> None:
    assert config.to_wire() == wire
    assert {type(value) for value in config.to_wire().values()} <= {bool, int, str}
    assert orjson.loads(orjson.dumps(config.to_wire())) == wire


@pytest.mark.parametrize(
    ("kind", "given", "name", "takes"),
    [
        (UserImportConfig, GOOD | {"is_matching": 1}, "is_matching", "bool"),
        (UserImportConfig, GOOD | {"is_matching": None}, "is_matching", "bool"),
        (UserImportConfig, GOOD | {"import_mode": 1}, "import_mode", "ImportMode.FULL"),
        (UserImportConfig, GOOD | {"import_mode": "FULL"}, "import_mode", "ImportMode.FULL"),
        (UserImportConfig, GOOD | {"matching_type": 2}, "matching_type", "MatchingType.EXACT"),
        (UserImportConfig, GOOD | {"matching_type": ImportMode.FULL}, "matching_type", "MatchingType.EXACT"),
        (UserImportConfig, GOOD | {"identify_way": True}, "identify_way", "IdentifyWay.UNIONID_FIRST"),
        (UserImportConfig, GOOD | {"accurate_match_type": 1}, "accurate_match_type", "str"),
        (UserImportConfig, GOOD | {"accurate_match_value": b"wx"}, "accurate_match_value", "str"),
        (UserImportConfig, GOOD | {"accurate_match_value": "\ud800"}, "accurate_match_value", "surrogate"),
        (UserImportConfig, GOOD | {"matching_type": MatchingType.FUZZY}, "identify_way", "IdentifyWay.UNIONID_FIRST"),
        (EventImportConfig, {"is_matching": 0}, "is_matching", "bool"),
        (EventImportConfig, {"matching_type": 1}, "matching_type", "MatchingType.EXACT"),
        (UserImportConfigV2, {"import_mode": 1}, "import_mode", "ImportMode.FULL"),
        (UserImportConfigV2, {"import_mode": None}, "import_mode", "ImportMode.FULL"),
        (
            UserImportConfigV2,
            {"import_mode": ImportMode.FULL, "matching_type": 1},
            "matching_type",
            "MatchingType.EXACT",
        ),
        (EventImportConfigV1, {"is_matching": 1}, "is_matching", "bool"),
        (EventImportConfigV1, {"matching_type": MatchingType.FUZZY}, "identify_way", "IdentifyWay.UNIONID_FIRST"),
        (EventImportConfigV1, {"accurate_match_type": 1}, "accurate_match_type", "str"),
        (TagImportConfig, {"opt_type": None}, "opt_type", "a member of OptType, such as OptType.ADD"),
        (TagImportConfig, {"opt_type": "add"}, "opt_type", "a member of OptType, such as OptType.ADD"),
        (TagImportConfig, {"opt_type": OptType.ADD, "matching_type": 1}, "matching_type", "MatchingType.EXACT"),
        (GroupImportConfig, {"opt_type": "delete"}, "opt_type", "a member of OptType, such as OptType.ADD"),
        (GroupImportConfig, {"opt_type": OptType.ADD, "matching_type": True}, "matching_type", "MatchingType.EXACT"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(
    kind: type[Any], given: dict[str, Any], name: str, takes: str
) -> None:
    with canary.raises(ConfigError, match=name) as caught:
        kind(**given)
    assert takes in str(caught.value)


@pytest.mark.parametrize("missing", ["is_matching", "import_mode"])
def test_what_the_platform_requires_has_no_default(missing: str) -> None:
    with canary.raises(TypeError, match=missing):
        UserImportConfig(**{name: value for name, value in GOOD.items() if name != missing})


@pytest.mark.parametrize(
    ("kind", "missing"),
    [(UserImportConfigV2, "import_mode"), (TagImportConfig, "opt_type"), (GroupImportConfig, "opt_type")],
)
def test_what_the_further_resources_require_has_no_default_either(kind: type[Any], missing: str) -> None:
    with canary.raises(TypeError, match=missing):
        kind()


def test_only_exact_matching_makes_records_name_their_identity() -> None:
    fuzzy = attrs.evolve(
        UserImportConfig(**GOOD), matching_type=MatchingType.FUZZY, identify_way=IdentifyWay.UNIONID_FIRST
    )
    assert attrs.evolve(fuzzy, matching_type=MatchingType.EXACT).is_exact
    assert not fuzzy.is_exact
    assert not UserImportConfig(**GOOD).is_exact
    assert not Config().is_exact
    assert EventImportConfigV1(matching_type=MatchingType.EXACT).is_exact
    assert not EventImportConfigV1(matching_type=MatchingType.FUZZY, identify_way=IdentifyWay.UNIONID_FIRST).is_exact


def test_the_documented_values_of_the_enums() -> None:
    assert [(mode.name, mode.value) for mode in ImportMode] == [("FULL", 1), ("PARTIAL", 2)]
    assert [(kind.name, kind.value) for kind in MatchingType] == [("EXACT", 1), ("FUZZY", 2)]
    assert [(way.name, way.value) for way in IdentifyWay] == [("UNIONID_FIRST", 1), ("USER_ID_FIRST", 2)]
    assert [str(kind) for kind in OptType] == ["add", "delete"]


def test_a_string_enum_is_sent_as_its_text() -> None:
    config = UserImportConfig(**GOOD, accurate_match_type=OptType.ADD)
    assert type(config.to_wire()["accurateMatchType"]) is str


def test_a_text_of_a_users_own_class_is_sent_as_text() -> None:
    config = UserImportConfig(**GOOD, accurate_match_type=type("Word", (str,), {})("add"))
    assert type(config.to_wire()["accurateMatchType"]) is str


def test_a_config_cannot_be_changed() -> None:
    with canary.raises(attrs.exceptions.FrozenInstanceError):
        UserImportConfig(**GOOD).is_matching = False  # type: ignore[misc] # the point
