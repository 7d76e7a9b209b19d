"""Further scores of forecasts of levels, beyond the reward they were trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from policygrad_metrics.rewards import get_reward
from policygrad_metrics.study.records import Predictions, Run

#: Heading -> the reward, and the sign that turns it into what the heading says.
LEVEL_METRICS = {
    "accuracy": ("accuracy", 1.0),
    "macro-F1": ("f1_macro", 1.0),
    "quadratic kappa": ("cohen_kappa_quadratic", 1.0),
    "within one level": ("within_1", 1.0),
    "mean level error": ("neg_mean_level_error", -1.0),
}


def level_metrics(confusion: Sequence[Sequence[int]]) -> dict[str, float]:
    """Return the metrics of a confusion matrix, rows the truth.

    Args:
        confusion: Counts `[K][K]`.

    >>> found = level_metrics([[3, 1, 0], [0, 4, 0], [1, 0, 1]])
    >>> found["accuracy"], found["within one level"], found["mean level error"]
    (0.8, 0.9, 0.3)
    """
    counts = np.asarray(confusion, np.float64)
    return {
        # Zero is added so that a zero has no minus.
        heading: round(sign * float(get_reward(name).score_counts(counts)), 6) + 0.0
        for heading, (name, sign) in LEVEL_METRICS.items()
    }


def level_counts(
    confusion: Sequence[Sequence[int]], level: int, *, or_worse: bool = False
) -> dict[str, float]:
    """Return how a level was forecast: hits, misses, false alarms, and the shares they make.

    Args:
        confusion: Counts `[K][K]`, rows the truth.
        level: Which level.
        or_worse: Whether worse levels count as well, in truth and forecast.

    >>> level_counts([[5, 1], [1, 3]], 1)
    {'hours': 4, 'hits': 3, 'misses': 1, 'false alarms': 1, 'recall': 0.75, 'precision': 0.75}
    """
    counts = np.asarray(confusion)
    which = slice(level, None) if or_worse else slice(level, level + 1)
    hours, told = int(counts[which].sum()), int(counts[:, which].sum())
    hits = int(counts[which, which].sum())
    return {
        "hours": hours,
        "hits": hits,
        "misses": hours - hits,
        "false alarms": told - hits,
        "recall": hits / hours if hours else float("nan"),
        "precision": hits / told if told else float("nan"),
    }


def mean_absolute_error(predictions: Predictions | None, concentration: np.ndarray) -> float | None:
    """Return that of the concentration, in its unit; None of a method without one."""
    if predictions is None or predictions.values is None:
        return None
    return float(np.abs(predictions.values - concentration).mean())


def reliability(
    chances: Sequence[np.ndarray], truth: np.ndarray, level: int, bins: int = 10
) -> Mapping[str, np.ndarray]:
    """Return how often a level came where it was given a probability, in equal bins of that.

    Args:
        chances: Level probabilities `[N, K]` of each run; all runs count together.
        truth: Levels `[N]`.
        level: Which level.
        bins: Number of bins; empty ones are left out.

    Returns:
        "given" (mean probability), "came" (share) and "hours" (count, over all runs) of each bin.

    >>> found = reliability([np.array([[0.25, 0.75], [0.15, 0.85]])], np.array([1, 0]), 1, bins=2)
    >>> found["given"].round(2).tolist(), found["came"].tolist(), found["hours"].tolist()
    ([0.8], [0.5], [2])
    """
    given = np.concatenate([one[:, level] for one in chances])
    came = np.tile(truth == level, len(chances))
    place = np.minimum((given * bins).astype(int), bins - 1)
    hours = np.bincount(place, minlength=bins)
    known = hours > 0
    sums = [np.bincount(place, weights=w, minlength=bins)[known] for w in (given, came)]
    return {
        "given": sums[0] / hours[known],
        "came": sums[1] / hours[known],
        "hours": hours[known],
    }


def best_on_validation(
    runs: Sequence[Run], methods: Sequence[str], column: str = "plain"
) -> str | None:
    """Return the method with the best mean validation reward; None if none has any.

    Args:
        runs: Runs of all methods.
        methods: Which may be chosen.
        column: "plain" or "tuned".
    """
    means = {}
    for method in methods:
        found = [getattr(run, f"valid_{column}") for run in runs if run.method == method]
        if found and None not in found:
            means[method] = sum(found) / len(found)
    return max(means, key=lambda method: means[method]) if means else None
