"""Pictures of a comparison, for grey paper and for a telephone.

Matplotlib's `Figure` alone, no `pyplot`, so that nothing global changes. Every picture is narrow,
with letters that can still be read at half its width, and tells its parts apart by marker, line
and place before it does by colour. The same runs give the same bytes.
"""

from __future__ import annotations

import dataclasses
import io
import math
import re
import textwrap
import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from policygrad_metrics.study.records import Run
from policygrad_metrics.study.score_plot import draw_scores
from policygrad_metrics.study.style import DARK, FONT, MIDDLE, STYLE, WIDTH, short_label, shortened
from policygrad_metrics.study.table import Row, Summary

#: The cells of a confusion matrix of more classes show no numbers.
MOST_NUMBERED = 10
#: The most points of a curve: its panel is about a hundred dots wide.
MOST_POINTS = 75
#: Letters of a line of a panel's title.
LONGEST_TITLE = 24
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


@dataclasses.dataclass(frozen=True)
class Picture:
    """A drawn picture.

    Args:
        name: What it is called among the pictures of a data set.
        alt: A sentence that says what it shows.
        svg: Its content.
        file: Its path relative to the reports, once that is known.
        wide: Whether it is wider than a page and scrolls.
    """

    name: str
    alt: str
    svg: str
    file: str = ""
    wide: bool = False


def picture(name: str, alt: str, figure: Figure) -> Picture:
    """Return the figure as SVG, without a date."""
    stream = io.BytesIO()
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # A letter that the font lacks becomes a box; the tables of the report show it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None})
    # The SVG repeats names in comments. XML allows no control characters there.
    svg = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]", "", stream.getvalue().decode())
    svg = re.sub(r"\n +", "\n", svg)
    return Picture(name, alt, re.sub(r'(?<= d=")[^"]*', _in_hundredths, svg))


def _in_hundredths(path: re.Match[str]) -> str:
    """Round the numbers of a path to hundredths of a point: more digits only fill the file."""
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", path[0])


def draw_all(
    summary: Summary,
    runs: Sequence[Run],
    class_names: Sequence[str],
    *,
    multilabel: bool,
    colours: Sequence[str] | None = None,
    shown: Sequence[str] = (),
) -> list[Picture]:
    """Return the pictures of one data set: scores, learning curves, confusion matrices.

    Args:
        summary: Its table.
        runs: The runs of the study.
        class_names: K class names, multi-label: L label names.
        multilabel: Whether confusion matrices are one per label.
        colours: "#RRGGBB" of each class, if classes have colours.
        shown: Methods of which confusions are drawn; by default the best one and the reference.
    """
    own = [run for run in runs if run.data == summary.data]
    pictures = [
        picture(
            "scores",
            f"Test {summary.reward} of every method on {summary.data}, with 95 % intervals; the "
            "numbers are those of the table.",
            draw_scores(summary),
        )
    ]
    trained = [row for row in summary.rows if any(r.history for r in own if r.method == row.method)]
    if trained:
        pictures.append(
            picture(
                "learning",
                f"Validation {summary.reward} after each epoch on {summary.data}: the mean of the "
                "runs and the band from the lowest to the highest. The first epochs may lie below."
                + " Epochs that break a constraint are left out."
                * bool(summary.subject_to),
                draw_learning(trained, own, summary),
            )
        )
    rows = [row for name in shown for row in summary.rows if row.method == name]
    rows = rows or best_and_reference(summary, own)
    if rows:
        pictures.append(
            picture(
                "confusion",
                f"Test confusion of {' and '.join(row.method for row in rows)} on "
                f"{summary.data}, tuned decisions, all runs added up; the shade is a share of the "
                f"row{', in the colour of the class predicted' if colours else ''}.",
                draw_confusions(rows, own, class_names, multilabel=multilabel, colours=colours),
            )
        )
    return pictures


def draw_learning(rows: Sequence[Row], runs: Sequence[Run], summary: Summary) -> Figure:
    """Draw a small panel per method: validation reward by epoch, the reference dashed behind."""
    columns = min(2, len(rows))
    lines = math.ceil(len(rows) / columns)
    titles = [textwrap.fill(short_label(row), LONGEST_TITLE) for row in rows]
    breaks = [title.count("\n") for title in titles]
    more = sum(max(breaks[start : start + columns]) for start in range(0, len(rows), columns))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.7 + 1.65 * lines + 0.16 * more), layout="constrained")
        panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flat
        reference = _band(_curves(runs, summary.reference)) if summary.reference else None
        bands = [_band(_curves(runs, row.method)) for row in rows]
        key: dict[str, Any] = {}
        for axes, title, row, band in zip(panels, titles, rows, bands, strict=False):
            epochs, low, middle, high = band
            if reference is not None and row.method != summary.reference:
                (line,) = axes.plot(reference[0], reference[2], color="#6b7075", ls="--", lw=1.1)
                key[str(summary.reference).replace("_", " ")] = line
            key["lowest to highest"] = axes.fill_between(
                epochs, low, high, color=MIDDLE, alpha=0.3, lw=0
            )
            (key["mean of the runs"],) = axes.plot(epochs, middle, color=DARK, lw=1.8)
            axes.set_title(title, fontsize=FONT - 1, loc="left")
            axes.grid(color="#e6e8ea")
            axes.set_ylim(*_reward_limits(bands))
        free = panels[len(rows) :]
        for place, axes in enumerate(free, start=len(rows)):
            axes.set_axis_off()
            panels[place - columns].tick_params(labelbottom=True)
            axes.legend([*key.values()], [*key], loc="center", frameon=False, fontsize=FONT - 1)
        dashed = f"; dashed: {summary.reference.replace('_', ' ')}" if summary.reference else ""
        figure.supxlabel("epoch" if len(free) else f"epoch{dashed}", fontsize=FONT)
        figure.supylabel(f"validation {summary.reward}", fontsize=FONT)
    return figure


def _curves(runs: Sequence[Run], method: str) -> np.ndarray:
    """Validation rewards `[runs, epochs]`, NaN where a run had stopped."""
    found = [run.history["val_reward"] for run in runs if run.method == method and run.history]
    curves = np.full([len(found), max(map(len, found), default=0)], np.nan)
    for curve, values in zip(curves, found, strict=True):
        curve[: len(values)] = [math.nan if value is None else value for value in values]
    return curves


def _band(curves: np.ndarray) -> np.ndarray:
    """Epoch, lowest, mean and highest value; of several epochs together where there are many."""
    size = -(-curves.shape[1] // MOST_POINTS)
    found = [
        (start + (block.shape[1] + 1) / 2, np.nanmin(block), np.nanmean(block), np.nanmax(block))
        for start in range(0, curves.shape[1], size)
        if not np.isnan(block := curves[:, start : start + size]).all()
    ]
    return np.array(found).reshape(-1, 4).T


def _reward_limits(bands: Sequence[np.ndarray]) -> tuple[float | None, float | None]:
    """The ends of the reward axis: of all but the first tenth of the epochs, in which all rise."""
    later = [band[1:, band.shape[1] // 10 :] for band in bands if band.size]
    if not later:
        return None, None
    low, high = min(x.min() for x in later), max(x.max() for x in later)
    margin = max(0.05 * (high - low), 0.01)
    return float(low - margin), float(high + margin)


def best_and_reference(summary: Summary, runs: Sequence[Run]) -> list[Row]:
    """Return the best method and the reference; the next best where the reference is the best."""
    counted = {run.method for run in runs if run.confusion_tuned is not None}
    rows = [row for row in summary.rows if row.method in counted]
    chosen = rows[:1] + [row for row in rows[1:] if row.method == summary.reference]
    return chosen if len(chosen) > 1 else rows[:2]


def tuned_confusion(runs: Sequence[Run], method: str) -> np.ndarray:
    """Return the test confusion of the tuned decisions, all runs of a method added up."""
    own = [run.confusion_tuned for run in runs if run.method == method and run.confusion_tuned]
    return np.sum(own, axis=0)


def draw_confusions(
    rows: Sequence[Row],
    runs: Sequence[Run],
    class_names: Sequence[str],
    *,
    multilabel: bool,
    colours: Sequence[str] | None = None,
) -> Figure:
    """Draw one matrix below the other, in shares of each true class, with counts of all runs."""
    K = len(class_names)
    names = columns = [shortened(name) for name in class_names]
    if colours:
        names, columns = [f"{name}  {k}" for k, name in enumerate(names)], list(map(str, range(K)))
    with mpl.rc_context(STYLE):
        height = 1.5 + max(1.3, min(0.42 * K, 4.2))
        figure = Figure(figsize=(WIDTH, height * len(rows)), layout="constrained")
        panels = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
        for axes, row in zip(panels, rows, strict=True):
            counts = tuned_confusion(runs, row.method)
            if multilabel:
                # Per label: not there and not given, wrongly given, missed, found.
                counts = counts.reshape(K, 2, 2)
                totals = counts.sum(axis=2).repeat(2, axis=1)
                counts, columns = counts.reshape(K, 4), ["rightly not", "false", "missed", "found"]
            else:
                totals = counts.sum(axis=1, keepdims=True)
                axes.set_xlabel("predicted")
            _matrix(axes, counts, counts / np.maximum(totals, 1), names, columns, colours)
            axes.set_title(
                f"{short_label(row)}, tuned decision", loc="right", pad=14, fontsize=FONT
            )
            axes.set_ylabel("label" if multilabel else "true")
    return figure


def _matrix(
    axes: Any,
    counts: np.ndarray,
    shares: np.ndarray,
    rows: list[str],
    columns: list[str],
    colours: Sequence[str] | None,
) -> None:
    paint = np.array([to_rgb(colour) for colour in colours or ["black"] * len(columns)])
    cells = 1 - shares[..., None] * (1 - paint)
    axes.imshow(cells, aspect="auto")
    crowded = max(map(len, columns)) * len(columns) > 34
    axes.set_xticks(
        range(len(columns)),
        columns,
        rotation=40 if crowded else 0,
        ha="right" if crowded else "center",
        rotation_mode="anchor" if crowded else "default",
    )
    axes.set_yticks(range(len(rows)), rows)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#d9dcdf", lw=0.6)
    axes.tick_params(which="minor", length=0)
    for place, colour in enumerate(colours or ()):
        strip = Rectangle((place - 0.5, -0.68), 1, 0.14, color=colour, lw=0, clip_on=False)
        axes.add_patch(strip)
    if max(counts.shape) > MOST_NUMBERED:
        return
    for (row, column), count in np.ndenumerate(counts):
        axes.text(
            column,
            row,
            f"{count:.0f}",
            ha="center",
            va="center",
            fontsize=FONT - 2 if max(counts.shape) > 4 else FONT,
            color="white" if cells[row, column] @ _LUMINANCE < 0.4 else "black",
        )
