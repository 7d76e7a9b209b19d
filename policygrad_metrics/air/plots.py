"""Pictures of forecasts: a week, the weeks around it, and reliability."""

from __future__ import annotations

import dataclasses
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
from policygrad_metrics.study.plots import Picture, picture
from policygrad_metrics.study.records import Predictions, Run
from policygrad_metrics.study.style import DARK, FONT, LIGHT, MIDDLE, STYLE, WIDTH, shortened

#: Bins of a reliability curve with fewer hours than this are not drawn.
FEWEST_HOURS = 20
#: Days of the short and of the long picture of a series, by hours and by days.
SHORT, LONG = {"hour": 7, "day": 60}, {"hour": 56, "day": 730}
_MISSING = "#ffffff"
#: Height of a strip of hours, for names of three lines.
_STRIP = 0.42
#: Line style and colour of up to three methods; they differ in grey as well.
_LINES = (("--", DARK), (":", MIDDLE), ("-.", "#50565c"))


def draw_forecasts(
    task: ForecastTask, methods: Sequence[str], runs: Sequence[Run]
) -> list[Picture]:
    """Return the pictures that a forecast adds to those of a study.

    Args:
        task: What was forecast.
        methods: Which are shown, the one that the validation part chose first.
        runs: All runs, with their predictions.
    """
    by_method = {method: _predictions(runs, method) for method in methods}
    by_method = {method: found for method, found in by_method.items() if found}
    if not by_method:
        return []
    title, step = title_of(task.pollutant), task.step
    names = " and ".join(name.replace("_", " ") for name in by_method)
    first = {method: found[0] for method, found in by_method.items()}
    for one in _predictions(runs, PERSISTENCE)[:1]:
        # The last known level as it is, whatever a tuned decision would make of it.
        first[PERSISTENCE] = dataclasses.replace(one, tuned=one.plain)
    short = choose_days(task, SHORT[step])
    long = choose_days(task, LONG[step], around=short)
    what = f"{title}, and the level of each {step} as it was and as it was forecast"
    span = "A week" if step == "hour" else f"{SHORT[step]} days"
    return [
        picture(
            "week",
            f"{span} of the test {step}s, chosen for its many levels: {what} (first seed, tuned "
            "decisions; persistence as it is).",
            draw_days(task, first, short, SHORT[step]),
        ),
        picture(
            "series",
            f"{_days(task, long)} days around it: {what}.",
            draw_days(task, first, long, _days(task, long)),
        ),
        picture(
            "reliability",
            f"How often a level came where it was given a probability: {names}, all runs. On the "
            f"diagonal a probability means what it says; bins below {FEWEST_HOURS} {step}s are not "
            "drawn.",
            draw_reliability(task, by_method),
        ),
    ]


def _days(task: ForecastTask, places: np.ndarray) -> int:
    days = task.hours[task.parts.test][places].astype("datetime64[D]")
    return int((days[-1] - days[0]).astype(int)) + 1


def _predictions(runs: Sequence[Run], method: str) -> list[Predictions]:
    return [run.predictions for run in runs if run.method == method and run.predictions is not None]


def choose_days(task: ForecastTask, count: int, around: np.ndarray | None = None) -> np.ndarray:
    """Return places among the test hours: so many days from a midnight on, in order of time.

    Of all such stretches the one with the most different levels, of those the one with the most
    hours, of those the first; no forecast is looked at.

    Args:
        task: What was forecast.
        count: How many days.
        around: Places that are to lie in the middle, instead.
    """
    hours, levels = task.hours[task.parts.test], task.dataset.y[task.parts.test]
    days = (hours.astype("datetime64[D]") - hours[0].astype("datetime64[D]")).astype(int)
    last = max(1, int(days[-1]) + 2 - count)
    if around is not None:
        middle = int(days[around].mean()) - count // 2
        first = min(max(middle, 0), last - 1)
        return np.flatnonzero((days >= first) & (days < first + count))
    best, chosen = (-1, -1), np.arange(0)
    for first in range(last):
        found = np.flatnonzero((days >= first) & (days < first + count))
        merit = (len(np.unique(levels[found])), len(found))
        if len(found) and merit > best:
            best, chosen = merit, found
    return chosen


def draw_days(
    task: ForecastTask, forecasts: dict[str, Predictions], week: np.ndarray, count: int
) -> Figure:
    """Draw concentrations over bands of level colours, and below them a strip per forecast.

    Args:
        task: What was forecast.
        forecasts: Method -> forecasts of the test hours.
        week: Places among the test hours, in order of time.
        count: How many days there is room for.
    """
    test = task.parts.test[week]
    hours, values = task.hours[test], task.concentration[test]
    start = hours[0].astype("datetime64[D]")
    a_day = 24 if task.step == "hour" else 1
    days = (hours - start).astype(int) / a_day
    colours = aqi.colours(task.scale, task.pollutant)
    strips = {"truth": task.dataset.y[test]}
    strips |= {method: np.asarray(found.tuned)[week] for method, found in forecasts.items()}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.9 + _STRIP * len(strips)), layout="constrained")
        top, below = figure.subplots(
            2, 1, sharex=True, height_ratios=[2.6, _STRIP * len(strips)], squeeze=True
        )
        high = 1.1 * float(values.max())
        draw_bands(top, task.scale, task.pollutant, high, alpha=0.3)
        top.set(xlim=(0, count), ylim=(0, high))
        width = 1.5 if count <= SHORT[task.step] else 0.8
        for method, style in zip(forecasts, _LINES, strict=False):
            predicted = forecasts[method].values
            if predicted is not None and method != PERSISTENCE:
                line, colour = style
                name = method.replace("_", " ")
                top.plot(
                    *_broken(days, predicted[week], a_day), line, color=colour, lw=width, label=name
                )
        top.plot(*_broken(days, values, a_day), color="black", lw=width, label="truth")
        if len(top.get_lines()) > 1:
            figure.legend(
                handles=top.get_lines(),
                loc="outside upper center",
                ncols=2,
                frameon=False,
                fontsize=FONT - 3,
            )
        top.set_ylabel(f"{title_of(task.pollutant)}, {task.unit}")
        place = (hours - start).astype(int)
        _strips(below, strips, place, colours, (count, a_day))
        ticks = range(0, count + 1, max(1, count // 7))
        below.set_xticks(ticks, [str(start + day)[5:] for day in ticks])
        below.set_xlabel(_years(start, count, task.zone), fontsize=FONT - 2)
    return figure


def _strips(
    axes: Any,
    strips: dict[str, np.ndarray],
    place: np.ndarray,
    colours: tuple[str, ...],
    room: tuple[int, int],
) -> None:
    """A row of colours for each series of levels; `room` is days, and steps in each."""
    count, a_day = room
    cells = np.ones([len(strips), count * a_day, 3]) * to_rgb(_MISSING)
    for row, levels in enumerate(strips.values()):
        cells[row, place] = np.array([to_rgb(colours[level]) for level in levels])
    extent = (0, count, len(strips) - 0.5, -0.5)
    axes.imshow(cells, aspect="auto", extent=extent, interpolation="nearest")
    for row in range(1, len(strips)):
        axes.axhline(row - 0.5, color="white", lw=2)
    axes.set_yticks(
        range(len(strips)), [textwrap.fill(name.replace("_", " "), width=16) for name in strips]
    )
    axes.tick_params(axis="x", labelsize=FONT - 3)
    axes.tick_params(axis="y", labelsize=FONT - 3, length=0)
    axes.spines[:].set_visible(False)


def draw_bands(axes: Any, scale: str, pollutant: str, high: float, alpha: float) -> None:
    """Colour the levels of a scale up to a concentration."""
    ends = [0.0, *aqi.edges(scale, pollutant).tolist(), np.inf]
    for low, end, colour in zip(ends[:-1], ends[1:], aqi.colours(scale, pollutant), strict=True):
        if low < high:
            axes.axhspan(low, min(end, high), color=colour, alpha=alpha, lw=0)


def _broken(days: np.ndarray, values: np.ndarray, a_day: int) -> tuple[np.ndarray, np.ndarray]:
    """The line with a gap wherever hours are missing."""
    gaps = np.flatnonzero(np.diff(days) > 1.5 / a_day) + 1
    return np.insert(days, gaps, np.nan), np.insert(values.astype(float), gaps, np.nan)


def _years(start: np.datetime64, count: int, zone: str) -> str:
    """The year or years, and whose clock it is.

    >>> _years(np.datetime64("2014-12-28"), 7, "UTC+08:00")
    '2014 and 2015, UTC+08:00'
    """
    years = dict.fromkeys(str(day)[:4] for day in (start, start + count - 1))
    return f"{' and '.join(years)}, {zone or 'time as in the file'}"


def draw_reliability(task: ForecastTask, forecasts: dict[str, list[Predictions]]) -> Figure:
    """Draw a panel per level: probability given, against how often the level came."""
    names, K = task.dataset.class_names, len(task.dataset.class_names)
    colours = aqi.colours(task.scale, task.pollutant)
    truth = task.dataset.y[task.parts.test]
    columns = min(2 if K < 7 else 3, K)
    lines = -(-K // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.9 + 1.9 * lines), layout="constrained")
        panels = [*figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flat]
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
        for axes in panels[K:]:
            axes.set_axis_off()
        figure.legend(
            handles=handles, loc="outside upper center", ncols=2, frameon=False, fontsize=FONT - 2
        )
        figure.supxlabel("probability given", fontsize=FONT)
        figure.supylabel(f"share of {task.step}s at that level", fontsize=FONT)
    return figure
