"""What was measured of the estimators: records, a table and a picture."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from policygrad_metrics.study.style import DARK, MIDDLE, STYLE

#: Column of the table -> key of the record.
_COLUMNS = {
    "error": "error",
    "bias": "bias",
    "variance": "variance",
    "cosine": "cosine",
    "signal/noise": "signal_to_noise",
    "ms": "milliseconds",
    "calls": "reward_calls",
    "flipped": "flipped_sets",
    "soft": "soft_scores",
}


@dataclasses.dataclass(frozen=True)
class GradientReport:
    """Estimators side by side on one batch.

    Args:
        records: a dictionary for each estimator, see `measure_gradients`; `reward_calls` are
            label sets scored, `flipped_sets` those of which all relabellings of one site were,
            `soft_scores` scorings of soft labels; all for one gradient.
        skipped: name -> why an estimator cannot serve the reward.
        setting: reward, sites, classes, draws, seed, E[R] and where the truth comes from.
    """

    records: list[dict[str, Any]]
    skipped: dict[str, str]
    setting: dict[str, Any]

    def table(self) -> str:
        """The records as an aligned Markdown table, the smallest error first."""
        rows = [["estimator", *_COLUMNS]]
        for record in sorted(self.records, key=lambda r: r["error"]):
            cells = [_cell(record, key) for key in _COLUMNS.values()]
            rows.append([record["estimator"] + ("" if record["unbiased"] else " (biased)"), *cells])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"| {' | '.join(_aligned(row, widths))} |" for row in rows]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        return "\n".join([lines[0], f"| {' | '.join(rule)} |", *lines[1:]])

    def figure(self) -> Any:
        """The picture, a `matplotlib.figure.Figure`."""
        return draw_report(self.records, self.setting)

    def save(self, folder: str | Path) -> tuple[Path, Path]:
        """Write `gradients.json` and `gradients.png` into a folder; return their paths."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        data, picture = folder / "gradients.json", folder / "gradients.png"
        data.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n", encoding="utf-8")
        self.figure().savefig(picture, dpi=150)
        return data, picture


def _cell(record, key):
    value = record[key]
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    if key == "bias" and value <= 2.0 * record["bias_noise"]:
        return "-"  # no more than its own noise
    if key == "cosine":
        return f"{value:.3f}"
    return "0" if value == 0.0 else f"{value:.{1 if abs(math.log10(value)) > 2 else 2}g}"


def _aligned(row, widths):
    first, *rest = widths
    return [row[0].ljust(first), *(c.rjust(w) for c, w in zip(row[1:], rest, strict=True))]


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
