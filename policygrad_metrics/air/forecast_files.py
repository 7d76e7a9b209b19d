"""Forecasts of the test hours as CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from policygrad_metrics.air import ForecastTask
from policygrad_metrics.air.clock import show
from policygrad_metrics.study.predictions import Predictions
from policygrad_metrics.study.records import Run
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
    test, K = task.parts.test, len(task.dataset.class_names)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    zone = f" ({task.zone})" if task.zone else ""
    values = [] if found.values is None else [f"forecast, {task.unit}"]
    writer.writerow([
        *(f"time{zone}", f"truth, {task.unit}", "truth, level", "level", "default level", *values),
        *(f"P(level = {k})" for k in range(K)),
        *(f"P(level >= {k})" for k in range(1, K)),
    ])  # fmt: skip
    decided = np.stack([np.asarray(found.tuned), np.asarray(found.plain)], axis=1).tolist()
    # The probabilities of all worse levels are summed from the worst on.
    worse = np.cumsum(found.chances[:, ::-1], axis=1)[:, ::-1]
    for row, (place, hour) in enumerate(zip(test, task.hours[test], strict=True)):
        writer.writerow([
            show(hour),
            f"{task.concentration[place]:g}",
            task.dataset.y[place],
            *decided[row],
            *([] if found.values is None else [f"{found.values[row]:.6g}"]),
            *(f"{chance:.4f}" for chance in found.chances[row]),
            *(f"{min(chance, 1.0):.4f}" for chance in worse[row, 1:]),
        ])  # fmt: skip
    return stream.getvalue()
