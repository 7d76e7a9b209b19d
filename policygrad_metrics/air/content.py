"""The tables that the report of a forecast adds to those of the study."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from policygrad_metrics.air import ForecastTask
from policygrad_metrics.air.scores import (
    LEVEL_METRICS,
    best_on_validation,
    level_counts,
    level_metrics,
    mean_absolute_error,
)
from policygrad_metrics.study.grid import Grid, Text
from policygrad_metrics.study.plan import TUNED, about_members
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.statistics import Interval, mean_interval
from policygrad_metrics.study.table import COLUMNS, REFERENCE, Summary, method_text, score_text

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


def protocol(*, refit: bool, members: int = 1) -> list[str]:
    """Return how the report describes the comparison, a sentence or two a line.

    >>> len(protocol(refit=True)) - len(protocol(refit=False))
    1
    """
    return [*_PROTOCOL, *([_REFIT] * refit), *about_members(members)]


def forecast_grids(task: ForecastTask, summary: Summary, runs: Sequence[Run]) -> list[Grid]:
    """Return the tables that a forecast adds to those of a study.

    Args:
        task: What was forecast.
        summary: The study's table.
        runs: All runs, with their predictions.
    """
    grids = [level_grid(task, summary, runs, column) for column in COLUMNS]
    shown = chosen_methods(runs)
    if shown:
        grids.append(counts_grid(task, runs, shown[0]))
        grids.append(counts_grid(task, runs, shown[0], or_worse=True))
    chosen = chosen_grid(task, runs)
    return [*grids, chosen] if chosen else grids


def chosen_methods(runs: Sequence[Run]) -> list[str]:
    """Return the method with the best tuned decision on the validation part, and one beside it.

    Beside it stands cross-entropy, or where there is none the next best.
    """
    methods = list(dict.fromkeys(run.method for run in runs if not run.diverged))
    found = []
    for others in (methods, [REFERENCE], methods):
        left = [name for name in others if name in methods and name not in found]
        best = best_on_validation(runs, left, "tuned")
        found += [best] if best and len(found) < 2 else []
    return found


def answer(task: ForecastTask, runs: Sequence[Run], reward: str) -> str:
    """Return what came out, in one sentence.

    Args:
        task: What was forecast.
        runs: All runs.
        reward: What the methods were trained and chosen for.
    """
    shown = chosen_methods(runs)
    if not shown:
        return ""
    right, near, score = _shares(runs, shown[0], "tuned")
    when = f"{task.horizon} {task.step}{'s' * (task.horizon > 1)} ahead"
    text = (
        f"{when if task.horizon else 'From the weather alone'}, {shown[0]}, chosen on the "
        f"validation part, tells the right level in {right:.1%} of {len(task.parts.test):,} test "
        f"{task.step}s, and the right one or one next to it in {near:.1%} (test {reward} "
        f"{score:.3f}, tuned decision)"
    )
    if any(run.method == "persistence" for run in runs) and shown[0] != "persistence":
        right, _, score = _shares(runs, "persistence", "plain")
        text += f"; the last known level is right in {right:.1%} ({reward} {score:.3f})"
    return f"{text}."


def _shares(runs: Sequence[Run], method: str, column: str) -> tuple[float, float, float]:
    """Shares of the test hours at the right level, and within one level; the test reward."""
    own = [run for run in runs if run.method == method and not run.diverged]
    metrics = [level_metrics(getattr(run, f"confusion_{column}")) for run in own]
    return (
        statistics.fmean(one["accuracy"] for one in metrics),
        statistics.fmean(one["within one level"] for one in metrics),
        statistics.fmean(getattr(run, column) for run in own),
    )


def counts_grid(
    task: ForecastTask, runs: Sequence[Run], method: str, *, or_worse: bool = False
) -> Grid:
    """Return how each level was forecast by one method, means over its runs.

    Args:
        task: What was forecast.
        runs: All runs.
        method: The method.
        or_worse: Whether a level stands for itself and all worse ones.
    """
    own = [run.confusion_tuned for run in runs if run.method == method and run.confusion_tuned]
    names = task.dataset.class_names
    rows = []
    for level in range(int(or_worse), len(names)):
        counts = [level_counts(confusion, level, or_worse=or_worse) for confusion in own]
        cells = [Text(f"{names[level]}{' or worse' if or_worse else ''}")]
        for name in counts[0]:
            mean = statistics.fmean(one[name] for one in counts)
            cells.append(Text(_share(mean) if name in ("recall", "precision") else f"{mean:,.0f}"))
        rows.append(tuple(cells))
    header = ("level", f"{task.step}s", *[name for name in counts[0] if name != "hours"])
    what = "each level or worse" if or_worse else "each level"
    return Grid(
        f"{task.dataset.name}: {what} as {method} forecast it, tuned decision",
        header,
        tuple(rows),
        "Means over the seeds; the method is the one that the validation part chooses.",
    )


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


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
        valid = statistics.median(getattr(run, f"valid_{column}") for run in own)
        cells = [title, method, f"{valid:.3f}"]
        for name in LEVEL_METRICS:
            values = sorted(one[name] for one in metrics)
            spread = f"[{values[0]:.3f},\u00a0{values[-1]:.3f}]"
            cells.append(f"{statistics.median(values):.3f} {spread}")
        rows.append(tuple(map(Text, cells)))
    header = ("decision", "method", "validation reward", *LEVEL_METRICS)
    below = (
        "For each kind of decision, the policy gradient with the best mean validation reward; "
        "median over the seeds, and the lowest and highest. The test part has no say in it."
    )
    title = f"{task.dataset.name}: the policy gradient chosen on the validation part"
    return Grid(title, header, tuple(rows), below)


def _over_runs(values: Sequence[float], text: Callable[[Interval], str]) -> str:
    if not values:
        return "-"
    # Equal values differ from their mean in the last bit, which is no interval.
    return text(mean_interval([values[0]] if min(values) == max(values) else list(values)))


def _concentration_text(interval: Interval) -> str:
    half = (interval.high - interval.low) / 2
    return f"{interval.estimate:.1f}" + (f" ± {half:.1f}" if half > 0 else "")
