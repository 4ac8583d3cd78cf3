"""How width, latency and rate go over time, as pictures in `docs/performance/`: `python -m benchmarks.pictures`.

Needs matplotlib: `pip install 'asyncimport[report]'`.
"""

import sys
from collections import Counter
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from benchmarks.simulated import Case, Run, named, simulate

try:
    from matplotlib.figure import Figure
    from PIL import Image
except ImportError:
    sys.exit("The pictures are drawn by matplotlib, which is not installed: pip install 'asyncimport[report]'")

FOLDER: Final = Path(__file__).parent.parent / "docs" / "performance"
_LOOK_EVERY_S: Final = 0.1
_SEED: Final = 0
#: So few keep a picture below 60 kB.
_COLOURS: Final = 128
_OURS, _SERVER, _BAD, _EACH = "#1f5fa8", "#7a7a7a", "#c8372d", "#9dbfe3"


@frozen(kw_only=True)
class Picture:
    """A case, how many clients, and what the server can take, drawn as steps (from second, value)."""

    file: str
    case: Case
    clients: int
    title: str
    #: Requests at the same time that it takes and that keep it busy; batches a second.
    takes: tuple[tuple[float, float], ...] = ()
    busy: tuple[tuple[float, float], ...] = ()
    rate: tuple[tuple[float, float], ...] = ()


_QUOTA, _FALLS = named("quota 20/s"), named("32 workers, 4 from second 5 to 35, 503 above twice as many")
_BUSY, _SILENT = named("8 workers, 503 above 16"), named("8 workers, silence above 16")
_EIGHT: Final = {"takes": ((0.0, 16.0),), "busy": ((0.0, 8.0),), "rate": ((0.0, 40.0),)}
PICTURES: Final = (
    Picture(file="busy-1", case=_BUSY, clients=1, title="8 workers, 503 above 16 requests: one client", **_EIGHT),
    Picture(file="busy-4", case=_BUSY, clients=4, title="8 workers, 503 above 16 requests: four clients", **_EIGHT),
    Picture(
        file="silent-16", case=_SILENT, clients=16, title="8 workers, silence above 16 requests: 16 clients", **_EIGHT
    ),
    Picture(
        file="quota-4",
        case=_QUOTA,
        clients=4,
        title="A quota of 20 requests a second, 429 above it: four clients",
        rate=((0.0, 20.0),),
    ),
    Picture(
        file="falls-1",
        case=_FALLS,
        clients=1,
        title="32 workers, 4 of them from second 5 to 35, 503 above twice as many: one client",
        takes=((0.0, 64.0), (5.0, 8.0), (35.0, 64.0)),
        busy=((0.0, 32.0), (5.0, 4.0), (35.0, 32.0)),
        rate=((0.0, 160.0), (5.0, 20.0), (35.0, 160.0)),
    ),
)


def draw(picture: Picture) -> None:
    """Simulate and write one picture."""
    run = simulate(picture.case, picture.clients, _SEED, look_every_s=_LOOK_EVERY_S)
    figure = Figure(figsize=(8, 6.2), layout="constrained")
    widths, latency, rate = figure.subplots(3, 1, sharex=True)
    figure.suptitle(picture.title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    _draw_widths(widths, picture, run)
    _draw_latency(latency, run)
    _draw_rate(rate, picture, run)
    rate.set_xlabel("seconds (virtual)")
    rate.set_xlim(0, run.took_s * 1.01)
    for axes in (widths, latency, rate):
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)
    FOLDER.mkdir(exist_ok=True)
    with BytesIO() as drawn:
        figure.savefig(drawn, dpi=100)
        Image.open(drawn).convert("RGB").quantize(_COLOURS).save(FOLDER / f"{picture.file}.png", optimize=True)


def _draw_widths(axes: Any, picture: Picture, run: Run) -> None:
    at = [moment for moment, _ in run.widths]
    axes.plot(at, [sum(widths) for _, widths in run.widths], color=_OURS, lw=1.3, label="width, all clients")
    if picture.clients > 1:
        for number, of_client in enumerate(zip(*(widths for _, widths in run.widths), strict=True)):
            axes.plot(at, of_client, color=_EACH, lw=0.7, label="each client" if number == 0 else None)
    _steps(axes, picture.takes, run, ls="--", label="the server takes")
    _steps(axes, picture.busy, run, ls=":", label="keeps all workers busy")
    axes.set_ylabel("requests\nat the same time")


def _draw_latency(axes: Any, run: Run) -> None:
    at, latencies = zip(*run.platform.latencies, strict=True)
    axes.plot(at, latencies, ".", ms=2, color=_OURS, label="an accepted batch")
    axes.set_ylabel("latency, s")


def _draw_rate(axes: Any, picture: Picture, run: Run) -> None:
    _a_second(axes, (at for at, _ in run.platform.latencies), run, color=_OURS, lw=1.3, label="accepted")
    _a_second(axes, run.platform.failures, run, color=_BAD, lw=1.0, label="sent in vain")
    _steps(axes, picture.rate, run, ls="--", label="the server can do")
    axes.set_ylabel("requests a second")


def _a_second(axes: Any, moments: Iterable[float], run: Run, **look: Any) -> None:
    """How many of these fell into each second that was whole."""
    counts = Counter(map(int, moments))
    seconds = range(int(run.took_s))
    axes.plot([second + 0.5 for second in seconds], [counts[second] for second in seconds], **look)


def _steps(axes: Any, steps: tuple[tuple[float, float], ...], run: Run, **look: Any) -> None:
    if steps:
        at, values = zip(*steps, (run.took_s, steps[-1][1]), strict=True)
        axes.step(at, values, where="post", color=_SERVER, lw=1.0, **look)


def main() -> None:
    """Draw all."""
    for picture in PICTURES:
        draw(picture)
        print(f"{picture.file}: {(FOLDER / f'{picture.file}.png').stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
