"""The mapping of a file as a journal keeps it: with its content, so that an import can go on when the file is gone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from asyncimport.errors import ConfigError, JournalError
from asyncimport.sources import ColumnMapping, read_mapping


@frozen(kw_only=True)
class FileMapping:
    """What a mapping file had in it when it was read."""

    file: Path
    content: ColumnMapping

    def plain(self) -> dict[str, Any]:
        """As plain JSON values; of the content `mapping_of` makes the same again."""
        return {"file": f"{self.file}", "content": asdict(self.content, value_serializer=_as_json)}

    def check_unchanged(self, journal: str) -> None:
        """Hold the file, where it is still there, against what it had in it.

        Raises:
            JournalError: it says something else now. To go on with what the journal keeps would surprise whoever
                changed it, and to go on with something else would read the records another way.
        """
        if not os.access(self.file, os.F_OK):
            return
        try:
            is_same = read_mapping(self.file) == self.content
        except ConfigError:
            is_same = False
        if not is_same:
            raise JournalError(
                f"the mapping {self.file} is another than the one that the import of the journal {journal} was begun "
                "with: put that back, or move the file away to go on with what the journal keeps of it"
            )


def _as_json(_: object, __: object, value: Any) -> Any:
    """JSON has lists only, and what comes back from it is compared."""
    return list(value) if isinstance(value, tuple) else value


def file_mapping(path: Path) -> FileMapping:
    """Read a mapping file.

    Raises:
        ConfigError: as `read_mapping`.
    """
    return FileMapping(file=path.absolute(), content=read_mapping(path))


def stored_mapping(plain: Mapping[str, Any] | None) -> FileMapping | None:
    """What `FileMapping.plain` made, as a value again.

    Raises:
        ConfigError: another version of the command made it.
    """
    from asyncimport.sources.mapping_file import mapping_of  # noqa: PLC0415 -- only resume needs it

    return None if plain is None else FileMapping(file=Path(plain["file"]), content=mapping_of(plain["content"]))
