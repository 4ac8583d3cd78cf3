import json
import re
from pathlib import Path
from typing import Any

import canary
import pytest

from asyncimport.emulator import (
    Delay,
    Emulator,
    FaultFileError,
    FaultPlan,
    Html,
    Ok,
    Poison,
    Quota,
    ResetAfter,
    Status,
    Truncate,
    faultfile,
    parse_faults,
    read_faults,
)
from asyncimport.emulator.faults import KINDS, kind_of


def test_the_documented_example_is_read() -> None:
    example = re.search(r"\n    \{\n.*?\n    \}\n", faultfile.__doc__ or "", re.DOTALL)
    assert example is not None
    plan = parse_faults(example.group().encode())
    assert plan == FaultPlan(
        standing=(Quota(per_s=20, retry_after="1"), Poison(on="users", where={"thirdId": "13"})),
        script=(
            (Ok(),),
            (Status(status=503, headers={"Retry-After": "2"}),),
            (Delay(seconds=0.1), ResetAfter(on="events")),
        ),
        rates=(faultfile.Rate(share=0.2, seed=1, faults=(Truncate(), Html(committed=True))),),
    )


FIELDS: dict[str, dict[str, Any]] = {
    "delay": {"seconds": 1},
    "token_expires_after": {"requests": 1},
    "status": {"status": 500, "body": "x"},
    "envelope": {"code": "300"},
    "partial_commit": {"first": 1},
    "poison": {"where": {"a": 1.5, "b": True}},
    "overload": {"above": 1},
    "silent_drop": {"above": 1},
    "quota": {"per_s": 1},
    "bucket": {"per_s": 1},
    "workers": {"count": 1, "service_s": 0.1},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_written(kind: str) -> None:
    (fault,) = parse_faults(json.dumps({"standing": [{"kind": kind, **FIELDS.get(kind, {})}]}).encode()).standing
    assert kind_of(fault) == kind


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        ([], "the fault file: must be an object"),
        ({"faults": []}, "the fault file: no such key as faults"),
        ({"standing": {}}, "standing: must be an array"),
        ({"standing": [1]}, "standing[0]: must be an object"),
        ({"standing": [{"kind": "ok"}, {"kind": "flood"}]}, "standing[1].kind: must be one of ok, delay"),
        ({"standing": [{"kind": "delay"}]}, "is missing @ standing[0].seconds"),
        ({"standing": [{"kind": "delay", "seconds": "1"}]}, "must be int or float @ standing[0].seconds"),
        ({"standing": [{"kind": "delay", "seconds": -1}]}, "'seconds' must be >= 0"),
        ({"standing": [{"kind": "quota", "per_s": True}]}, "must be int @ standing[0].per_s"),
        ({"standing": [{"kind": "quota", "per_s": 1, "burst": 1}]}, "no such key as burst @ standing[0]"),
        ({"standing": [{"kind": "hang", "on": "coupons"}]}, "standing[0]: no endpoint is named 'coupons'"),
        ({"script": [[]]}, "script[0]: there must be at least one fault"),
        ({"script": [[{"kind": "ok"}, {"kind": "no"}]]}, "script[0][1].kind: must be one of"),
        ({"script": [{"kind": "overload", "above": 1}]}, "script[0]: Overload watches all requests"),
        ({"rates": [{"share": 2, "seed": 1, "faults": [{"kind": "ok"}]}]}, "rates[0].share: must be a number"),
        ({"rates": [{"share": 0.2, "faults": [{"kind": "ok"}]}]}, "rates[0].seed: must be an integer"),
        ({"rates": [{"share": 0.2, "seed": 1}]}, "rates[0].faults: must be an array"),
        ({"rates": [{"share": 0.2, "seed": 1, "faults": [{}]}]}, "rates[0].faults[0].kind: must be one of"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_faulty_entry_is_named(plan: Any, sentence: str) -> None:
    with canary.raises(FaultFileError) as caught:
        parse_faults(json.dumps(plan).encode())
    assert sentence in str(caught.value)


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text("{")
    with canary.raises(FaultFileError, match="the fault file is no JSON"):
        read_faults(path)


async def test_an_installed_plan_replaces_what_was_set() -> None:
    platform = Emulator()
    platform.faults.add(Status(status=500))
    platform.faults.script([Status(status=500)])
    plan = parse_faults(
        b'{"script": [{"kind": "ok"}], "rates": [{"share": 1, "seed": 1, "faults": [{"kind": "hang"}]}]}'
    )
    plan.install(platform.faults)
    assert [kind_of(fault) for _ in range(2) if (fault := platform.faults.deal("users").strike)] == ["hang"]
