"""Forecasts of the test hours as CSV files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from policygrad_metrics.air import ForecastTask
from policygrad_metrics.air.clock import show
from policygrad_metrics.data.text_file import csv_text
from policygrad_metrics.study.records import Predictions, Run
from policygrad_metrics.study.runs import make_directory, write_atomically

FOLDER = "forecasts"


def write_forecasts(task: ForecastTask, runs: Sequence[Run], directory: Path) -> Path:
    """Write a file for each method, of its first seed, and return their folder.

    Args:
        task: What was forecast.
        runs: All runs, with their predictions.
        directory: Where the reports are.

    Raises:
        StudyError: The disk is full or the directory cannot be written.
    """
    folder = directory / FOLDER
    make_directory(folder, running=True)
    first: dict[str, Predictions] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        if run.predictions is not None:
            first.setdefault(run.method, run.predictions)
    for method, found in first.items():
        write_atomically(folder / f"{method}.csv", forecast_table(task, found), running=True)
    return folder


def forecast_table(task: ForecastTask, found: Predictions) -> str:
    """Return the forecasts of the test hours as CSV.

    Columns: time; concentration and level as they were; the level forecast, by the tuned and by
    the default decision; the concentration forecast, by methods that give one; the probability P of
    each level, and of each level or a worse one.

    Args:
        task: What was forecast.
        found: The forecasts.
    """
    test = task.parts.test
    named, chances = chance_columns(found.chances)
    zone = f" ({task.zone})" if task.zone else ""
    values = [] if found.values is None else [f"forecast, {task.unit}"]
    header = [
        f"time{zone}", f"truth, {task.unit}", "truth, level", "level", "default level", *values,
        *named,
    ]  # fmt: skip
    decided = np.stack([np.asarray(found.tuned), np.asarray(found.plain)], axis=1).tolist()
    rows = [
        [
            show(hour),
            f"{task.concentration[place]:g}",
            task.dataset.y[place],
            *decided[row],
            *([] if found.values is None else [f"{found.values[row]:.6g}"]),
            *chances[row],
        ]
        for row, (place, hour) in enumerate(zip(test, task.hours[test], strict=True))
    ]
    return csv_text([header, *rows])


def chance_columns(chances: np.ndarray) -> tuple[list[str], list[list[str]]]:
    """Return the columns of a CSV of levels: their names, and the cells of each row.

    >>> chance_columns(np.array([[0.5, 0.5]]))
    (['P(level = 0)', 'P(level = 1)', 'P(level >= 1)'], [['0.5000', '0.5000', '0.5000']])
    """
    K = chances.shape[1]
    names = [f"P(level = {k})" for k in range(K)] + [f"P(level >= {k})" for k in range(1, K)]
    both = np.hstack([chances, at_least(chances)[:, 1:]])
    return names, [[f"{chance:.4f}" for chance in row] for row in both]


def at_least(chances: np.ndarray) -> np.ndarray:
    """Return P(level >= k) `[N, K]`, summed from the worst level on."""
    return np.minimum(np.cumsum(chances[:, ::-1], axis=1)[:, ::-1], 1.0)
