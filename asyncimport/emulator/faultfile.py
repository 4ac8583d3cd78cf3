"""Faults from JSON: for the `emulate` command, and for tests whose emulator runs in another process.

An object with up to three keys, each optional:

    {
      "standing": [{"kind": "quota", "per_s": 20, "retry_after": "1"},
                   {"kind": "poison", "on": "users", "where": {"thirdId": "13"}}],
      "script":   [{"kind": "ok"},
                   {"kind": "status", "status": 503, "headers": {"Retry-After": "2"}},
                   [{"kind": "delay", "seconds": 0.1}, {"kind": "reset_after", "on": "events"}]],
      "rates":    [{"share": 0.2, "seed": 1, "faults": [{"kind": "truncate"}, {"kind": "html", "committed": true}]}]
    }

`standing` holds for every request, `script` is met by the next requests, one entry each (a list is several faults at
once), `rates` are seeded mixes. The kinds are the keys of `faults.KINDS`, their fields those of the classes there.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen
from cattrs import BaseValidationError, Converter, ForbiddenExtraKeysError, transform_error

from asyncimport.emulator.faults import KINDS, Fault
from asyncimport.emulator.injector import Faults, check_dealt, check_standing


class FaultFileError(ValueError):
    """The fault file is at fault; the message names the entry and what is wrong with it."""


@frozen(kw_only=True)
class Rate:
    """One seeded mix: this share of the requests meets one of the faults."""

    share: float
    faults: tuple[Fault, ...]
    seed: int


@frozen(kw_only=True)
class FaultPlan:
    """What a fault file says, checked as a whole before any of it holds."""

    standing: tuple[Fault, ...] = ()
    script: tuple[tuple[Fault, ...], ...] = ()
    rates: tuple[Rate, ...] = field(default=())

    def install(self, faults: Faults) -> None:
        """Replace whatever was set by this plan."""
        faults.clear()
        faults.add(*self.standing)
        faults.script(self.script)
        for rate in self.rates:
            faults.rate(rate.share, rate.faults, seed=rate.seed)


def read_faults(path: Path) -> FaultPlan:
    """Read a fault file.

    Raises:
        FaultFileError: the file is no JSON, or an entry of it is wrong.
        OSError: the file cannot be read.
    """
    return parse_faults(path.read_bytes())


def parse_faults(data: bytes) -> FaultPlan:
    """Read a fault file's bytes.

    Raises:
        FaultFileError: the bytes are no JSON, or an entry is wrong.
    """
    try:
        value = json.loads(data)
    except ValueError as error:
        raise FaultFileError(f"the fault file is no JSON: {error}") from None
    plan = _mapping(value, "the fault file", known={"standing", "script", "rates"})
    standing = _list(plan.get("standing", []), "standing")
    script = _list(plan.get("script", []), "script")
    rates = _list(plan.get("rates", []), "rates")
    return FaultPlan(
        standing=tuple(_stand(entry, f"standing[{index}]") for index, entry in enumerate(standing)),
        script=tuple(_step(entry, f"script[{index}]") for index, entry in enumerate(script)),
        rates=tuple(_rate(entry, f"rates[{index}]") for index, entry in enumerate(rates)),
    )


def _stand(entry: object, where: str) -> Fault:
    fault = _fault(entry, where)
    try:
        check_standing([fault])
    except ValueError as error:
        raise FaultFileError(f"{where}: {error}") from None
    return fault


def _step(entry: object, where: str) -> tuple[Fault, ...]:
    if isinstance(entry, list):
        faults = tuple(_fault(one, f"{where}[{index}]") for index, one in enumerate(entry))
    else:
        faults = (_fault(entry, where),)
    try:
        check_dealt(faults)
    except ValueError as error:
        raise FaultFileError(f"{where}: {error}") from None
    return faults


def _rate(entry: object, where: str) -> Rate:
    fields = _mapping(entry, where, known={"share", "faults", "seed"})
    faults = _step(_list(fields.get("faults"), f"{where}.faults"), f"{where}.faults")
    share, seed = fields.get("share"), fields.get("seed")
    if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1:
        raise FaultFileError(f"{where}.share: must be a number between 0 and 1")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise FaultFileError(f"{where}.seed: must be an integer")
    return Rate(share=share, faults=faults, seed=seed)


def _fault(entry: object, where: str) -> Fault:
    fields = dict(_mapping(entry, where, known=None))
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise FaultFileError(f"{where}.kind: must be one of {', '.join(KINDS)}")
    try:
        return _CONVERTER.structure(fields, KINDS[kind])
    except BaseValidationError as error:
        raise FaultFileError("; ".join(transform_error(error, path=where, format_exception=_reason))) from None


def _reason(error: BaseException, _wanted: type | None) -> str:
    if isinstance(error, ForbiddenExtraKeysError):
        return f"no such key as {', '.join(sorted(error.extra_fields))}"
    return "is missing" if isinstance(error, KeyError) else str(error.args[0])


def _mapping(value: object, where: str, *, known: set[str] | None) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise FaultFileError(f"{where}: must be an object")
    strange = sorted(value.keys() - known) if known is not None else []
    if strange:
        raise FaultFileError(f"{where}: no such key as {', '.join(strange)}")
    return value


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise FaultFileError(f"{where}: must be an array")
    return value


def _as_is(*allowed: type) -> Any:
    """Build a hook that takes a JSON value of these types as it is; cattrs would turn "20" into 20."""
    names = " or ".join(one.__name__ for one in allowed)

    def structure(value: Any, _wanted: Any) -> Any:
        if type(value) not in allowed:
            raise TypeError(f"must be {names}")
        return value

    return structure


def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True)
    converter.register_structure_hook(int, _as_is(int))
    converter.register_structure_hook(float, _as_is(int, float))
    converter.register_structure_hook(bool, _as_is(bool))
    converter.register_structure_hook(str, _as_is(str))
    converter.register_structure_hook(str | bytes | None, _as_is(str, type(None)))
    converter.register_structure_hook(str | int | float | bool, _as_is(str, int, float, bool))
    return converter


_CONVERTER = _converter()
