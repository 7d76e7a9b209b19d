"""The tables that the report of a forecast adds to those of the study."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from policygrad_metrics.air import ForecastTask
from policygrad_metrics.air.scores import (
    LEVEL_METRICS,
    best_on_validation,
    level_metrics,
    mean_absolute_error,
)
from policygrad_metrics.study.grid import Grid, Text
from policygrad_metrics.study.plan import TUNED
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.statistics import Interval, mean_interval
from policygrad_metrics.study.table import COLUMNS, Summary, method_text, score_text

#: How the report describes the comparison.
_PROTOCOL = (
    "The hours are split by time: the first train, the next validate, the last test.",
    "Features hold what was known when the forecast was made, see the notes above; what is missing "
    "gets the training median and a mark that it was missing.",
    "Every network method trains the same hidden layers, below level log-odds, thresholds or a "
    "concentration, with the same first weights and the same order of the hours for a seed, for "
    "the same number of epochs with Adam; the weights kept are those of the epoch with the best "
    "validation reward.",
    f"Default decisions are the most probable level; {TUNED}",
    "The test part was read once, at the end.",
    "± is half the 95 % interval of the mean over the seeds by Student's t: it tells how much the "
    "first weights and the order of the data matter, not how much another year would.",
    "Methods that no seed changes are fitted once.",
    "Differences are paired by seed.",
)
_REFIT = (
    "Once its number of epochs and its tuned decision were chosen, every method was trained anew "
    "on training and validation part together."
)


def protocol(*, refit: bool) -> list[str]:
    """Return how the report describes the comparison, a sentence or two a line.

    >>> len(protocol(refit=True)) - len(protocol(refit=False))
    1
    """
    return [*_PROTOCOL, *([_REFIT] * refit)]


def forecast_grids(task: ForecastTask, summary: Summary, runs: Sequence[Run]) -> list[Grid]:
    """Return the tables that a forecast adds to those of a study.

    Args:
        task: What was forecast.
        summary: The study's table.
        runs: All runs, with their predictions.
    """
    levels = [level_grid(task, summary, runs, column) for column in COLUMNS]
    chosen = chosen_grid(task, runs)
    return [*levels, chosen] if chosen else levels


def level_grid(task: ForecastTask, summary: Summary, runs: Sequence[Run], column: str) -> Grid:
    """Return the table of level metrics, a row per method in the summary's order.

    Args:
        task: What was forecast.
        summary: The study's table.
        runs: All runs, with their predictions.
        column: "plain" or "tuned".
    """
    truth = task.concentration[task.parts.test]
    with_error = column == "plain"
    header = ["method", *LEVEL_METRICS]
    if with_error:
        header.append(f"error of the concentration, {task.unit}")
    rows = []
    for row in summary.rows:
        own = [run for run in runs if run.method == row.method and not run.diverged]
        metrics = [level_metrics(getattr(run, f"confusion_{column}")) for run in own]
        cells = [Text(method_text(row))]
        for name in LEVEL_METRICS:
            cells.append(Text(_over_runs([one[name] for one in metrics], score_text)))
        if with_error:
            errors = [mean_absolute_error(run.predictions, truth) for run in own]
            known = [error for error in errors if error is not None]
            cells.append(Text(_over_runs(known, _concentration_text)))
        rows.append(tuple(cells))
    below = "Means over the seeds."
    if with_error:
        below += (
            " The error of the concentration is its mean absolute error, of methods that forecast "
            "one."
        )
    title = f"{task.dataset.name}: levels of the test hours, {COLUMNS[column]}"
    return Grid(title, tuple(header), tuple(rows), below)


def chosen_grid(task: ForecastTask, runs: Sequence[Run]) -> Grid | None:
    """Return the policy gradient that the validation part chooses, medians over the seeds.

    None if there is no policy gradient among the methods.

    Args:
        task: What was forecast.
        runs: All runs.
    """
    methods = dict.fromkeys(run.method for run in runs if "policy_gradient" in run.method)
    rows = []
    for column, title in COLUMNS.items():
        method = best_on_validation(runs, [*methods], column)
        if method is None:
            return None
        own = [run for run in runs if run.method == method]
        metrics = [level_metrics(getattr(run, f"confusion_{column}")) for run in own]
        cells = [title, method, f"{statistics.median(_valid(own, column)):.3f}"]
        for name in LEVEL_METRICS:
            values = sorted(one[name] for one in metrics)
            cells.append(f"{statistics.median(values):.3f} [{values[0]:.3f}, {values[-1]:.3f}]")
        rows.append(tuple(map(Text, cells)))
    header = ("decision", "method", "validation reward", *LEVEL_METRICS)
    below = (
        "For each kind of decision, the policy gradient with the best mean validation reward; "
        "median over the seeds, and the lowest and highest. The test part has no say in it."
    )
    title = f"{task.dataset.name}: the policy gradient chosen on the validation part"
    return Grid(title, header, tuple(rows), below)


def _valid(runs: Sequence[Run], column: str) -> list[float]:
    return [getattr(run, f"valid_{column}") for run in runs]


def _over_runs(values: Sequence[float], text: Callable[[Interval], str]) -> str:
    if not values:
        return "-"
    # Equal values differ from their mean in the last bit, which is no interval.
    return text(mean_interval([values[0]] if min(values) == max(values) else list(values)))


def _concentration_text(interval: Interval) -> str:
    half = (interval.high - interval.low) / 2
    return f"{interval.estimate:.1f}" + (f" ± {half:.1f}" if half > 0 else "")
