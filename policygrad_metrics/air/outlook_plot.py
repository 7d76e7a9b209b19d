"""The picture of an outlook: what was measured, what is forecast, and how likely each level is."""

from __future__ import annotations

import io

import matplotlib as mpl
import matplotlib.dates as mdates
import numpy as np
from matplotlib.figure import Figure

from policygrad_metrics import aqi
from policygrad_metrics.air.names import title_of
from policygrad_metrics.air.outlook import Outlook
from policygrad_metrics.air.plots import draw_bands
from policygrad_metrics.study.style import DARK, STYLE

#: Steps before the forecast that are shown.
_BEFORE = 48


def draw_outlook(found: Outlook) -> bytes:
    """Return the picture as PNG."""
    station, names = found.station, found.names
    colours = aqi.colours(found.scale, station.pollutant)
    hours, before = found.hours, station.hours[-_BEFORE:]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 6), layout="constrained", dpi=130)
        top, low = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        top.plot(before, station.concentration[-_BEFORE:], color=DARK, label="measured")
        if not np.isnan(found.values).all():
            top.plot(hours, found.values, "o--", color=DARK, markersize=3, label="forecast")
        lower, upper = top.get_ylim()
        draw_bands(top, found.scale, station.pollutant, 1e6, alpha=0.25)
        top.set_ylim(max(lower, 0), upper)
        top.set_ylabel(f"{title_of(station.pollutant)}, {station.unit}")
        top.legend(loc="upper left", frameon=False)
        width = np.timedelta64(1, "D" if station.is_daily else "h") * 1
        bottom = np.zeros(len(hours))
        for level, (name, colour) in enumerate(zip(names, colours, strict=True)):
            low.bar(hours, found.chances[:, level], width, bottom, color=colour,
                    edgecolor="#d9dcdf", linewidth=0.4, label=f"{level} {name}")  # fmt: skip
            bottom += found.chances[:, level]
        shown = found.chances[np.arange(len(hours)), found.levels] / 2
        below = np.cumsum(found.chances, axis=1) - found.chances
        places = below[np.arange(len(hours)), found.levels] + shown
        low.plot(hours, places, "k.", markersize=4, clip_on=False, zorder=3, label="level forecast")
        low.set_ylim(0, 1)
        low.set_ylabel("probability of each level")
        low.xaxis.set_major_formatter(mdates.ConciseDateFormatter(mdates.AutoDateLocator()))
        figure.legend(*low.get_legend_handles_labels(), loc="outside lower center", ncols=3,
                      frameon=False, fontsize=9)  # fmt: skip
        figure.suptitle(f"{station.name}: {title_of(station.pollutant)} levels of {found.scale}")
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
    return stream.getvalue()
