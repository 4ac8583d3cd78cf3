"""Run all contenders and store what they gave: `python -m benchmarks.peers [--rounds 3]`. Exit code 1 when a goal is missed."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final

from asyncimport.version import __version__
from benchmarks.peers.compared import DELAY_MS, Aim, Round, Standing, aims, run_round, standings
from benchmarks.peers.events import WIDTH
from benchmarks.results import environment, rounded, shown, write

_PACKAGES: Final = ("aiohttp", "attrs", "msgspec", "orjson", "ujson")
_SPREADS: Final = ("records_per_s", "speed_ratio", "cpu_us_per_record", "cpu_ratio", "peak_rss_mib")


def main() -> int:
    """Run so many rounds, print and store the outcome."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contender")
    parser.add_argument("--records", type=int, default=50_000)
    given = parser.parse_args()
    rounds: list[Round] = [run_round(number, given.records) for number in range(given.rounds)]
    found, asked = standings(rounds), aims(rounds)
    show(found, asked)
    write("peers", stored(found, asked, rounds=given.rounds, records=given.records))
    return int(not all(aim.holds for aim in asked))


def stored(found: Sequence[Standing], asked: Sequence[Aim], *, rounds: int, records: int) -> dict[str, Any]:
    """What is kept of it."""
    return {
        "question": "peers",
        "asks": "How do records/s, CPU and memory compare with what a user could pick instead?",
        "records": records,
        "rounds": rounds,
        "width": WIDTH,
        "server_delay_ms": DELAY_MS,
        "environment": {"asyncimport": __version__, **environment(_PACKAGES)},
        "rows": [_row(standing) for standing in found],
        "goals": [
            {"asks": aim.asks, "goal": str(aim.goal), "found": rounded(aim.found), "holds": aim.holds} for aim in asked
        ],
    }


def _row(standing: Standing) -> dict[str, Any]:
    package = standing.runner.package
    return {
        "contender": standing.runner.name,
        "package": package,
        "version": None if package is None else version(package),
        "settings": standing.runner.settings,
        **{name: rounded(getattr(standing, name)) for name in _SPREADS},
    }


def show(found: Sequence[Standing], asked: Sequence[Aim]) -> None:
    """Print the contenders and the goals."""
    print(f"\n  {'contender':<28}{'records/s':>28}{'x':>7}{'CPU us a record':>26}{'x':>7}{'MiB':>6}")
    for standing in found:
        print(
            f"  {standing.runner.name:<28}{shown(standing.records_per_s):>28}{standing.speed_ratio.median:>7.2f}"
            f"{shown(standing.cpu_us_per_record):>26}{standing.cpu_ratio.median:>7.2f}{standing.peak_rss_mib.median:>6.0f}"
        )
    for aim in asked:
        print(f"  {'pass' if aim.holds else 'MISSED'}: {aim.asks}: {shown(aim.found)}, goal {aim.goal}")


if __name__ == "__main__":
    sys.exit(main())
