from __future__ import annotations

import pytest

from asyncimport.configs import EventImportConfig, UserImportConfig
from asyncimport.records import Event, UserProfile
from asyncimport.resources import EVENTS, USERS, Resource
from asyncimport.shape import shape_of


def test_the_table_says_what_the_documents_say() -> None:
    assert [
        Resource(
            name="users",
            path="/audience/info/batchAdd",
            record=UserProfile,
            config=UserImportConfig,
            has_batch_id=True,
            is_stamped=False,
        ),
        Resource(
            name="events",
            path="/event/v2/batchAdd",
            record=Event,
            config=EventImportConfig,
            has_batch_id=False,
            is_stamped=True,
        ),
    ] == [USERS, EVENTS]


@pytest.mark.parametrize("resource", [USERS, EVENTS], ids=lambda resource: resource.name)
def test_what_is_stamped_has_the_fields_for_it(resource: Resource) -> None:
    names = shape_of(resource.record).by_name
    assert resource.is_stamped == ("uuid" in names and "time" in names)
