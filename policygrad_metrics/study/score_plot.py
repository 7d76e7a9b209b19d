"""The picture of the scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from policygrad_metrics.study.statistics import Interval
from policygrad_metrics.study.style import DARK, FONT, GONE, LIGHT, STYLE, WIDTH, row_label
from policygrad_metrics.study.table import Row, Summary

#: Column -> its marker, the marker's face, and how far it stands from the method's line.
_MARKS = {"plain": ("o", "white", -0.16), "tuned": ("s", DARK, 0.16)}


def draw_scores(summary: Summary) -> Figure:
    """Draw mean test scores with intervals, the best method on top.

    A method far below all others becomes an arrow at the edge, so that the others can be told
    apart.
    """
    rows = summary.rows
    left, right = _limits(rows)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.5 + 0.52 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        for column, title in summary.columns.items():
            marker, face, shift = _MARKS[column]
            axes.plot([], [], marker, color=DARK, markerfacecolor=face, label=title)
            for place, row in enumerate(rows):
                score = getattr(row, column).score
                if score is not None:
                    color = GONE if row.diverged else DARK
                    style = {"color": color, "markerfacecolor": "white" if row.diverged else face}
                    shifted = place + shift * (len(summary.columns) > 1)
                    _draw_score(axes, score, shifted, left, marker, style)
        for row in rows:
            if row.method == summary.reference and row.tuned.score is not None:
                axes.axvline(row.tuned.score.estimate, color=LIGHT, linestyle="--", zorder=0)
        axes.set_yticks(range(len(rows)), [row_label(row) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(left, right)
        # The label belongs to the figure: beside long names the axes are too narrow for it.
        figure.supxlabel(f"test {summary.reward}, mean and 95 % interval", fontsize=FONT)
        axes.grid(axis="x", color="#e6e8ea")
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper right", ncols=2, frameon=False, handletextpad=0.2)
    return figure


def _draw_score(
    axes: Any, score: Interval, place: float, left: float, marker: str, style: dict[str, Any]
) -> None:
    if score.estimate < left:
        axes.annotate(
            f"{score.estimate:.3f}",
            (left, place),
            (28, 0),
            textcoords="offset points",
            va="center",
            fontsize=FONT - 2,
            arrowprops={"arrowstyle": "->", "color": style["color"]},
        )
        return
    bounds = [[score.estimate - score.low], [score.high - score.estimate]]
    known = not math.isnan(score.low)
    axes.errorbar(
        score.estimate,
        place,
        xerr=bounds if known else None,
        fmt=marker,
        markersize=6.5,
        capsize=3,
        **style,
    )


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    """The ends of the score axis: without methods whose absence would halve it."""
    drawn = [row for row in rows if row.plain.score or row.tuned.score]
    found = sorted(map(_extent, drawn), reverse=True)
    if not found:
        return 0.0, 1.0
    while len(found) > 2 and _width(found[:-1]) < _width(found) / 2:
        found.pop()
    low, high = min(e[0] for e in found), max(e[1] for e in found)
    margin = max(0.06 * (high - low), 0.01)
    return low - margin, high + margin


def _width(extents: Sequence[tuple[float, float]]) -> float:
    return max(high for _, high in extents) - min(low for low, _ in extents)


def _extent(row: Row) -> tuple[float, float]:
    """The least and the largest number drawn for a method; its bounds, if there are any."""
    scores = [cell.score for cell in (row.plain, row.tuned) if cell.score is not None]
    numbers = [x for s in scores for x in (s.estimate, s.low, s.high) if not math.isnan(x)]
    return min(numbers), max(numbers)
