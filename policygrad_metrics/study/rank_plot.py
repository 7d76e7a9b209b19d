"""The critical-difference picture."""

from __future__ import annotations

import math

import matplotlib as mpl
from matplotlib.figure import Figure

from policygrad_metrics.study.overall import Overall
from policygrad_metrics.study.style import DARK, LIGHT, MIDDLE, STYLE, WIDTH


def draw_ranks(found: Overall) -> Figure:
    """Draw the mean ranks, best on top; a bar joins what the critical difference cannot tell apart.

    Demsar's picture (2006) turned on its side, so that twelve names can be read on a telephone.
    """
    standings = found.standings
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.6 + 0.34 * len(standings)), layout="constrained")
        axes = figure.add_subplot()
        worst = max(one.rank for one in standings)
        for place, one in enumerate(standings):
            axes.plot([1, one.rank], [place, place], color=LIGHT, lw=1, zorder=0)
            axes.plot(one.rank, place, "o", color=DARK, markersize=7)
            axes.annotate(
                f"{one.rank:.2f}", (one.rank, place), (7, 0), textcoords="offset points",
                va="center", fontsize=9,
            )  # fmt: skip
        # The bars stand to the right of all numbers, side by side.
        step = 0.055 * worst
        for number, (first, last) in enumerate(found.cliques):
            x = worst + (3.2 + number) * step
            axes.plot(
                [x, x], [first - 0.2, last + 0.2], color=MIDDLE, lw=3.5, solid_capstyle="butt"
            )
        names = [one.method.replace("_", " ") for one in standings]
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0.8, worst + (3.8 + len(found.cliques)) * step)
        axes.set_xticks(range(1, int(worst) + 1, math.ceil(worst / 5)))
        # The label belongs to the figure: beside long names the axes are too narrow for it.
        figure.supxlabel(f"mean rank, {found.title}, {found.data_sets} data sets", fontsize=11)
        figure.suptitle(
            f"joined: closer than the critical\ndifference, {found.critical:.2f} ranks", fontsize=10
        )
    return figure
