"""The picture of a `GradientReport`."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from policygrad_metrics.study.style import DARK, MIDDLE, STYLE

_GRID = "#e6e8ea"
#: What float32 leaves of an error of nothing.
_NOTHING = 1e-13


def draw_report(records: list[dict[str, Any]], setting: dict[str, Any]) -> Figure:
    """Draw each estimator's error, split into variance and squared bias, and its time.

    Args:
        records: see `GradientReport`.
        setting: see `GradientReport`.
    """
    rows = sorted(records, key=lambda r: r["error"])
    names = [r["estimator"].replace("_", " ") for r in rows]
    places = range(len(rows))
    with mpl.rc_context({**STYLE, "font.size": 10}):
        figure = Figure(figsize=(8.4, 1.8 + 0.3 * len(rows)), layout="constrained")
        error, time = figure.subplots(1, 2, width_ratios=[2.2, 1], sharey=True)
        total = [max(r["error"], _NOTHING) for r in rows]
        error.hlines(places, _NOTHING / 3, total, color=_GRID, linewidth=4, zorder=0)
        error.plot(total, places, "o", color=DARK, label="mean squared error")
        seen = [
            (r["bias"] ** 2, place)
            for place, r in enumerate(rows)
            if r["bias"] > 2.0 * r["bias_noise"] and r["bias"] ** 2 > _NOTHING
        ]
        if seen:
            squares, at = zip(*seen, strict=True)
            error.plot(squares, at, "D", color=MIDDLE, markerfacecolor="white", markersize=5,
                       label="of which squared bias")  # fmt: skip
        error.set_xscale("log")
        error.set_xlim(_NOTHING / 3, 3 * max(total))
        error.set_yticks(places, names)
        error.invert_yaxis()
        error.set_xlabel("relative to the squared norm of the true gradient")
        figure.legend(loc="outside lower left", ncols=2, frameon=False)
        time.plot([r["milliseconds"] for r in rows], places, "s", color=DARK)
        time.set_xlim(left=0.0)
        time.set_xlabel("milliseconds a gradient")
        for axes in (error, time):
            axes.grid(axis="x", color=_GRID)
            axes.set_axisbelow(True)
        figure.suptitle(
            f"{setting['reward']}, {setting['sites']} sites, {setting['classes']} classes; truth: "
            f"{setting['truth']}",
            fontsize=10,
        )
    return figure
