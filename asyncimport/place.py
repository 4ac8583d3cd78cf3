"""Where a record stands in the file or table that it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
from attrs import frozen


@frozen(kw_only=True)
class Place:
    """Coordinates of a record in its source; None is what the source does not have, or cannot tell."""

    #: The line on which it begins, from 1, and its first byte in the file, from 0.
    line: int | None = None
    offset: int | None = None
    #: The row group of a Parquet file or the record batch of an Arrow file, and the row in it, each from 0.
    row_group: int | None = None
    row: int | None = None

    @property
    def words(self) -> str:
        """As a message names it; empty where nothing is known."""
        if self.line is not None:
            return f"line {self.line}"
        if self.row is None:
            return ""
        return f"row {self.row}" if self.row_group is None else f"row group {self.row_group}, row {self.row}"

    def to_dict(self) -> dict[str, int | None]:
        """All coordinates, in plain values."""
        return attrs.asdict(self)


#: Of a source that cannot tell.
NOWHERE: Final = Place()


def place_of(told: Mapping[str, Any]) -> Place:
    """The place whose `to_dict` is among other values."""
    return Place(**{field.name: told.get(field.name) for field in attrs.fields(Place)})
