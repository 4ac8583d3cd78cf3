"""The wire form of the common record, in C: a struct made of it, and a guard that looks at what structs let pass.

What is doubted comes back as None, and the reference (`copy_record`) finds it good after all or says what is wrong. So
nothing here explains, and nothing may be taken that the reference refuses, lone surrogates and subclasses of text aside, which
the encoder refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from attrs import define, field, frozen
from msgspec import DecodeError, convert
from msgspec.json import Decoder

from asyncimport.guard import Form, Guard, guard_of, guard_of_many
from asyncimport.shape import Shape
from asyncimport.structs import Names, RecordStruct, struct_of


@frozen(kw_only=True)
class Reading:
    """How records of one form are made structs: one by one, or many at once. Either gives None in doubt."""

    of: Callable[[Any], Any]
    of_all: Callable[[Sequence[Any]], list[Any] | None]


def reading(shape: Shape, config: object, form: Form) -> Reading:
    """The reading of records that are written so."""
    kinds: frozenset[type[Any]] = frozenset({shape.record, dict}) if form is Form.TYPED else frozenset({dict})
    wire, via = struct_of(shape.record, Names.WIRE), struct_of(shape.record, Names.PYTHON)
    return Reading(
        of=_converter(form, guard_of(shape, config, form), via, wire, _is_one_of(kinds)),
        of_all=_converter(form, guard_of_many(shape, config, form), _list_of(via), _list_of(wire), _are_of(kinds)),
    )


def _list_of(struct: type[RecordStruct]) -> Any:
    return list[struct]  # type: ignore[valid-type] # a type made at run time


def _is_one_of(kinds: frozenset[type[Any]]) -> Callable[[Any], bool]:
    return lambda given: type(given) in kinds


def _are_of(kinds: frozenset[type[Any]]) -> Callable[[Any], bool]:
    return lambda given: kinds.issuperset(map(type, given))


def _converter(
    form: Form, guard: Callable[[Any, Any], bool], via: Any, wire: Any, is_ours: Callable[[Any], bool]
) -> Callable[[Any], Any]:
    """From what is given to the structs of type `wire`. It must be of our classes or plain dicts: structs take any object and
    any mapping, and read a subclass past its own methods.
    """
    make = _maker(form, via, wire)

    def converted(given: Any) -> Any:
        try:
            made = make(given) if is_ours(given) else None
            return made if made is not None and guard(given, made) else None
        except Exception:  # noqa: BLE001 -- no such record, or a mapping of the user's, which may raise anything: the reference asks again
            return None

    return converted


def _maker(form: Form, via: Any, wire: Any) -> Callable[[Any], Any]:
    """From what is given to structs, unguarded. It raises when a struct cannot be made of it."""
    of_objects = partial(convert, type=wire, from_attributes=True)
    if form is Form.PYTHON:
        return lambda given: of_objects(convert(given, via))
    return of_objects if form is Form.TYPED else partial(convert, type=wire)


#: Lines in a row that no struct could be made of, before a source's lines are no longer tried.
_MISSES: Final = 16


@define
class Quick:
    """Records of one source: mostly they are written alike, so the form of the last one is tried first."""

    _shape: Shape
    _config: object
    _readings: list[Reading] = field(init=False)
    #: The structs of records that are all written like the last one; None when one of them is in doubt.
    of_all: Callable[[Sequence[Any]], list[Any] | None] = field(init=False)
    #: The struct of a record that is written like the last one, or None in doubt.
    of_alike: Callable[[Any], Any] = field(init=False)
    _decode: Callable[[bytes], Any] = field(init=False)
    _guard: Guard = field(init=False)
    _misses: int = 0

    def __attrs_post_init__(self) -> None:
        """Begin with any form."""
        self._readings = [reading(self._shape, self._config, form) for form in (Form.WIRE, Form.PYTHON, Form.TYPED)]
        self._expect(self._readings[0])
        self._decode = Decoder(struct_of(self._shape.record, Names.WIRE)).decode
        self._guard = guard_of(self._shape, self._config, Form.LINE)

    def of_line(self, line: bytes) -> Any:
        """The struct of a record that is a JSON object with wire names, or None in doubt; in one step from text to struct."""
        if self._misses == _MISSES:
            return None
        try:
            made = self._decode(line)
        except (DecodeError, UnicodeDecodeError, RecursionError):
            self._misses += 1
            return None
        self._misses = 0
        return made if self._guard(made, made) else None

    def _expect(self, reading: Reading) -> None:
        self.of_all, self.of_alike = reading.of_all, reading.of

    def of_other(self, record: Any) -> Any:
        """The struct of a record that is written in another way, as the following will be then; None in doubt."""
        for reading in self._readings:
            wire = None if reading.of is self.of_alike else reading.of(record)
            if wire is not None:
                self._expect(reading)
                return wire
        return None
