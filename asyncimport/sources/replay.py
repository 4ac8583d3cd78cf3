"""The file of rejects as a source: its records once more, after they were repaired, with the ids and times they had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from attrs import evolve, field, frozen

from asyncimport.errors import ConfigError
from asyncimport.rejects import STATES
from asyncimport.sources.input import Input
from asyncimport.sources.jsonl_file import JsonlFile, JsonLines, read_jsonl
from asyncimport.sources.origin import File
from asyncimport.unreadable import Unreadable

#: Keys of a line that say which import it was of.
_OF_IMPORT: Final = ("resource", "params")
_NO_LINE: Final = Unreadable(rule="is no line of a rejects file: it takes an object with record and state")
_NO_RECORD: Final = Unreadable(rule="holds no record to send: write the repaired one under record, as an object")


@frozen(kw_only=True)
class ReplayFile(JsonlFile):
    """A file of rejects as a source of records; each iteration opens it anew."""

    KIND: ClassVar[str] = "replay"

    #: The states of lines that are sent; others are passed over.
    states: tuple[str, ...]
    #: The resource and the `publicParams` of the first line; empty where the file has none.
    resource: str = ""
    params: Mapping[str, Any] = field(factory=dict)

    def identity(self) -> dict[str, str | int]:
        return super().identity() | {"reading": ",".join(sorted(self.states))}

    def _lines(self, file: Input) -> JsonLines:
        return ReplayLines(file, self)


class ReplayLines(JsonLines):
    """One reading of a file of rejects."""

    __slots__ = ("_source",)

    def __init__(self, file: Input, source: ReplayFile) -> None:
        super().__init__(file)
        self._source = source

    def __next__(self) -> Any:
        """The next record; `Unreadable` for a line that has none.

        Raises:
            SourceError: the file cannot be read on, or `interrupt` was called.
        """
        while True:
            line = super().__next__()
            if isinstance(line, Unreadable):
                return line
            if not isinstance(line, dict) or "record" not in line or line.get("state") not in STATES:
                return _NO_LINE
            if line["state"] in self._source.states:
                return self._record(line)

    def _record(self, line: dict[str, Any]) -> Any:
        if any(line.get(key) != getattr(self._source, key) for key in _OF_IMPORT):
            return evolve(_NO_LINE, rule="is of another import than the first line: replay each from a file of its own")
        record = line["record"]
        if not isinstance(record, dict):
            return _NO_RECORD
        for name in ("uuid", "time"):
            if line.get(name) is not None and record.get(name) is None:
                record[name] = line[name]
        return record


def replay(file: File, *, states: Iterable[str] = STATES) -> ReplayFile:
    """Read records from a file that `rejects=` wrote: those in `states` (rejected, unconfirmed, unsent; all by default).

    A record is taken as it stands in the file, so that it can be repaired there. An event that was never stamped gets
    the `uuid` and the `time` that it would have been sent with, so that replaying the same file twice does not make two
    events of one. Lines must all be of one resource and config, which `resource` and `params` name; the others, and lines
    that hold no record, are rejected by their line.

    Raises:
        ConfigError: the file cannot be opened, or a state is none.
    """
    chosen = tuple(states) if not isinstance(states, str) else (states,)
    unknown = [state for state in chosen if state not in STATES]
    if unknown or not chosen:
        raise ConfigError(f"states takes some of {', '.join(STATES)}")
    lines = read_jsonl(file)
    first = _first(lines)
    return ReplayFile(
        path=lines.path,
        origin=lines.origin,
        reading=lines.reading,
        states=chosen,
        resource=first.get("resource", "") if isinstance(first.get("resource"), str) else "",
        params=first.get("params", {}) if isinstance(first.get("params"), dict) else {},
    )


def _first(file: JsonlFile) -> Mapping[str, Any]:
    """The first line that can be read."""
    if file.is_stream:
        raise ConfigError(f"{file.origin.name} comes only once: save it as a file to replay it")
    lines = iter(file)
    try:
        return next((line for line in lines if isinstance(line, dict)), {})
    finally:
        lines.close()
