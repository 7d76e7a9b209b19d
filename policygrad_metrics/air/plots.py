"""Pictures of forecasts: a week, and reliability."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from policygrad_metrics import aqi
from policygrad_metrics.air import ForecastTask
from policygrad_metrics.air.forecasters import PERSISTENCE
from policygrad_metrics.air.names import title_of
from policygrad_metrics.air.scores import reliability
from policygrad_metrics.study.plots import Picture, best_and_reference, picture
from policygrad_metrics.study.predictions import Predictions
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.style import DARK, FONT, LIGHT, MIDDLE, STYLE, WIDTH, shortened
from policygrad_metrics.study.table import Summary

#: Bins of a reliability curve with fewer hours than this are not drawn.
FEWEST_HOURS = 20
_MISSING = "#ffffff"
#: Height of a strip of hours, for names of three lines.
_STRIP = 0.42
#: Line style and colour of up to three methods; they differ in grey as well.
_LINES = (("--", DARK), (":", MIDDLE), ("-.", "#50565c"))


def draw_forecasts(task: ForecastTask, summary: Summary, runs: Sequence[Run]) -> list[Picture]:
    """Return the pictures that a forecast adds to those of a study.

    Args:
        task: What was forecast.
        summary: The study's table.
        runs: All runs, with their predictions.
    """
    shown = [row.method for row in best_and_reference(summary, runs)]
    if not shown:
        return []
    by_method = {method: _predictions(runs, method) for method in shown}
    week = choose_week(task)
    title = title_of(task.pollutant)
    names = " and ".join(name.replace("_", " ") for name in by_method)
    lines = dict(by_method)
    if PERSISTENCE not in lines:
        persistence = _predictions(runs, PERSISTENCE)
        lines = {**lines, PERSISTENCE: persistence} if persistence else lines
    return [
        picture(
            "week",
            f"A week of the test hours, chosen for its many levels: {title}, and the level of each "
            "hour as it was and as it was forecast (first seed, tuned decisions).",
            draw_week(task, {m: found[0] for m, found in lines.items()}, week),
        ),
        picture(
            "reliability",
            f"How often a level came where it was given a probability: {names}, all runs. On the "
            f"diagonal a probability means what it says; bins below {FEWEST_HOURS} hours are not "
            "drawn.",
            draw_reliability(task, by_method),
        ),
    ]


def _predictions(runs: Sequence[Run], method: str) -> list[Predictions]:
    return [run.predictions for run in runs if run.method == method and run.predictions is not None]


def _wrapped(name: str) -> str:
    return textwrap.fill(name.replace("_", " "), width=16)


def choose_week(task: ForecastTask) -> np.ndarray:
    """Return places among the test hours: seven days from a midnight on, in order of time.

    The week with the most different levels, of those the one with the most hours, of those the
    first; no forecast is looked at.
    """
    hours, levels = task.hours[task.parts.test], task.dataset.y[task.parts.test]
    days = (hours.astype("datetime64[D]") - hours[0].astype("datetime64[D]")).astype(int)
    best, chosen = (-1, -1), np.arange(0)
    for first in range(max(1, int(days[-1]) - 5)):
        week = np.flatnonzero((days >= first) & (days < first + 7))
        merit = (len(np.unique(levels[week])), len(week))
        if len(week) and merit > best:
            best, chosen = merit, week
    return chosen


def draw_week(task: ForecastTask, forecasts: dict[str, Predictions], week: np.ndarray) -> Figure:
    """Draw concentrations over bands of level colours, and below them a strip per forecast.

    Args:
        task: What was forecast.
        forecasts: Method -> forecasts of the test hours.
        week: Places among the test hours, in order of time.
    """
    test = task.parts.test[week]
    hours, values = task.hours[test], task.concentration[test]
    start = hours[0].astype("datetime64[D]")
    days = (hours - start).astype(int) / 24
    colours = aqi.colours(task.scale, task.pollutant)
    strips = {"truth": task.dataset.y[test]}
    strips |= {method: found.tuned[week] for method, found in forecasts.items()}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.9 + _STRIP * len(strips)), layout="constrained")
        top, below = figure.subplots(
            2, 1, sharex=True, height_ratios=[2.6, _STRIP * len(strips)], squeeze=True
        )
        _bands(top, task, values)
        for method, style in zip(forecasts, _LINES, strict=False):
            predicted = forecasts[method].values
            if predicted is not None and method != PERSISTENCE:
                line, colour = style
                name = method.replace("_", " ")
                top.plot(*_broken(days, predicted[week]), line, color=colour, lw=1.4, label=name)
        top.plot(*_broken(days, values), color="black", lw=1.5, label="truth")
        if len(top.get_lines()) > 1:
            figure.legend(
                handles=top.get_lines(),
                loc="outside upper center",
                ncols=2,
                frameon=False,
                fontsize=FONT - 3,
            )
        top.set_ylabel(f"{title_of(task.pollutant)}, {task.unit}")
        cells = np.ones([len(strips), 7 * 24, 3]) * to_rgb(_MISSING)
        place = (hours - start).astype(int)
        for row, levels in enumerate(strips.values()):
            cells[row, place] = np.array([to_rgb(colours[level]) for level in levels])
        below.imshow(
            cells, aspect="auto", extent=(0, 7, len(strips) - 0.5, -0.5), interpolation="nearest"
        )
        for row in range(1, len(strips)):
            below.axhline(row - 0.5, color="white", lw=2)
        below.set_yticks(range(len(strips)), [_wrapped(name) for name in strips])
        below.set_xticks(range(8), [_day(start, day) for day in range(8)])
        below.tick_params(axis="x", labelsize=FONT - 3)
        below.tick_params(axis="y", labelsize=FONT - 3, length=0)
        below.spines[:].set_visible(False)
    return figure


def _bands(axes: Any, task: ForecastTask, values: np.ndarray) -> None:
    high = 1.1 * float(values.max())
    ends = [0.0, *aqi.edges(task.scale, task.pollutant).tolist(), np.inf]
    for low, end, colour in zip(
        ends[:-1], ends[1:], aqi.colours(task.scale, task.pollutant), strict=True
    ):
        if low < high:
            axes.axhspan(low, min(end, high), color=colour, alpha=0.3, lw=0)
    axes.set_ylim(0, high)
    axes.set_xlim(0, 7)


def _broken(days: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The line with a gap wherever hours are missing."""
    gaps = np.flatnonzero(np.diff(days) > 1.5 / 24) + 1
    return np.insert(days, gaps, np.nan), np.insert(values.astype(float), gaps, np.nan)


def _day(start: Any, day: int) -> str:
    return str(start + day)[5:]


def draw_reliability(task: ForecastTask, forecasts: dict[str, list[Predictions]]) -> Figure:
    """Draw a panel per level: probability given, against how often the level came."""
    names, K = task.dataset.class_names, len(task.dataset.class_names)
    colours = aqi.colours(task.scale, task.pollutant)
    truth = task.dataset.y[task.parts.test]
    columns = min(2, K)
    lines = -(-K // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.9 + 1.9 * lines), layout="constrained")
        panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flat
        handles: list[Any] = []
        for level, axes in zip(range(K), panels, strict=False):
            axes.plot([0, 1], [0, 1], color=LIGHT, lw=1.2)
            handles = []
            for (method, found), marker, colour, line in zip(
                forecasts.items(), "os", (DARK, MIDDLE), ("-", "--"), strict=False
            ):
                curve = reliability([one.chances for one in found], truth, level)
                enough = curve["hours"] >= FEWEST_HOURS * len(found)
                handles += axes.plot(
                    curve["given"][enough],
                    curve["came"][enough],
                    line,
                    marker=marker,
                    ms=4,
                    lw=1.2,
                    color=colour,
                    label=method.replace("_", " "),
                )
            axes.set_title(f"{level} {shortened(names[level])}", loc="left", fontsize=FONT - 2)
            axes.add_patch(
                Rectangle((0, 0.94), 1, 0.06, color=colours[level], lw=0, transform=axes.transAxes)
            )
            axes.set(xlim=(0, 1), ylim=(0, 1), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        for axes in list(panels)[K:]:
            axes.set_axis_off()
        figure.legend(
            handles=handles, loc="outside upper center", ncols=2, frameon=False, fontsize=FONT - 2
        )
        figure.supxlabel("probability given", fontsize=FONT)
        figure.supylabel("share of hours at that level", fontsize=FONT)
    return figure
