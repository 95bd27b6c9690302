"""The results as a picture: bars for what a proxy costs, adds and holds.

It is drawn by Matplotlib, which comes with the extra ``bench``.  The background is white and the
text is text, so that it is readable wherever a page shows it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .processes import BenchError
from .report import DIRECT, Result

_OURS: Final = "#b5472f"
_OTHERS: Final = "#5b7c99"


@dataclass(frozen=True, slots=True)
class _Panel:
    title: str
    work: str
    figure: str


_PANELS: Final = (
    _Panel("CPU µs per event (S10k)", "S10k", "cpu_us"),
    _Panel("CPU µs per request (U)", "U", "cpu_us"),
    _Panel("CPU µs per event, TLS upstream (S10k-tls)", "S10k-tls", "cpu_us"),
    _Panel("CPU µs per request of 200 KB (U200)", "U200", "cpu_us"),
    _Panel("Latency added to an event, p99 in ms (S10k)", "S10k", "added_p99_ms"),
    _Panel("Memory per held stream in KiB (H)", "H", "pss_kib"),
)


def check() -> None:
    """Raise `BenchError` if there is no Matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise BenchError("--svg needs Matplotlib: pip install '.[bench]'") from error


def bars(results: Sequence[Result], work: str, figure: str) -> list[tuple[str, float]]:
    """Proxy and value of one figure, those that are known and can stand on a logarithmic scale."""
    found = [
        (result.proxy, result.value(figure))
        for result in results
        if result.work.name == work and result.proxy != DIRECT
    ]
    return [(proxy, value) for proxy, value in found if not math.isnan(value) and value > 0]


def label(value: float, _: object = None) -> str:
    """A value in three digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def draw(results: Sequence[Result], path: Path) -> None:
    """Write the picture to `path`; panels without a figure are left out."""
    check()
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    panels = [(panel, bars(results, panel.work, panel.figure)) for panel in _PANELS]
    panels = [(panel, values) for panel, values in panels if values]
    if not panels:
        raise BenchError(f"--svg {path}: there is nothing to draw in the works of this run")
    rows = math.ceil(len(panels) / 2)
    # Text stays text; the same figures make the same file.
    style = {"svg.fonttype": "none", "svg.hashsalt": "bench", "font.family": "sans-serif"}
    with matplotlib.rc_context(style):
        picture = Figure(figsize=(11, 0.8 + 3 * rows), layout="constrained", facecolor="white")
        FigureCanvasSVG(picture)
        picture.suptitle(
            "Less is better; the scales are logarithmic", fontsize=10, x=0.01, ha="left"
        )
        places = picture.subplots(rows, 2, squeeze=False).flat
        for place in places[len(panels) :]:
            place.set_axis_off()
        for place, (panel, values) in zip(places, panels, strict=False):
            names = [proxy for proxy, _ in values]
            colours = [_OURS if name.startswith("gateway") else _OTHERS for name in names]
            drawn = place.barh(names, [value for _, value in values], color=colours)
            place.bar_label(drawn, fmt=label, padding=3, fontsize=9)
            place.set_title(panel.title, fontsize=10, loc="left")
            place.set_xscale("log")
            place.xaxis.set_major_formatter(label)
            place.xaxis.set_minor_formatter("")
            place.margins(x=0.15)
            place.invert_yaxis()
            place.spines[["top", "right"]].set_visible(False)
            place.tick_params(labelsize=9)
        try:
            picture.savefig(path, format="svg", metadata={"Date": None})
        except OSError as error:
            raise BenchError(f"--svg {path}: cannot be written: {error}") from error
