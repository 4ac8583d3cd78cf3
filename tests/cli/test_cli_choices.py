"""The options that say what is done to records: several names, one by one or with commas."""

from __future__ import annotations

import canary
import pytest

from asyncimport import EVENTS, USERS, ConfigError
from asyncimport.cli.choices import RunChoices, TreatmentChoices, listed


@pytest.mark.parametrize(
    ("given", "names"), [(None, []), ([], []), (["a"], ["a"]), (["a,b", "c"], ["a", "b", "c"]), ([" a , ,"], ["a"])]
)
def test_names_are_given_one_by_one_or_with_commas(given: list[str] | None, names: list[str]) -> None:
    assert listed(given) == names


def test_they_become_options_of_the_run_and_are_none_where_they_are_not_given() -> None:
    options = RunChoices(order_by=["phone,third_id"], deduplicate=["phone"], uuid_from=["order_id"]).options()
    assert options["order_by"] == ["phone", "third_id"]
    assert (options["deduplicate"], options["uuid_from"]) == (["phone"], ["order_id"])
    assert {"order_by", "deduplicate", "uuid_from"}.isdisjoint(RunChoices().options())


def test_a_dry_run_takes_those_that_change_what_is_sent() -> None:
    treated = TreatmentChoices(deduplicate=["eventKey"], uuid_from=["order_id"]).treatment().of(EVENTS)
    assert [part.name for part in treated.deduplicate] == ["eventKey"]
    assert treated.recipe is not None
    with canary.raises(ConfigError, match="users take no uuid"):
        TreatmentChoices(uuid_from=["order_id"]).treatment().of(USERS)
