"""How sure it is that one decision beats another on the same data (floor 3)."""

from __future__ import annotations

import numpy as np

from policygrad_metrics.decision.scorer import Scorer

GROUPS = 20


def error_of_gain(scorer: Scorer, before: np.ndarray, after: np.ndarray) -> float:
    """Standard error of `score(after) - score(before)`, by a jackknife that leaves out groups.

        se^2 = (G - 1) / G  sum_g (gain_g - mean gain)^2,      gain_g without the examples of g

    with G = 20 groups of examples (Efron & Tibshirani 1993), dealt out in the order of the truth
    so that every group has its share of every class. Nothing is random.

    Args:
        scorer: scores labels of N examples.
        before: labels `[N, C]`.
        after: other labels `[N, C]`.

    >>> from policygrad_metrics.rewards import get_reward
    >>> truth = np.repeat([0, 1], 50)[:, None]
    >>> scorer = Scorer(get_reward("accuracy"), truth, None, 2)
    >>> better = np.where(np.random.default_rng(0).random((100, 1)) < 0.3, truth, 0)
    >>> round(error_of_gain(scorer, np.zeros_like(truth), better), 3)
    0.022
    """
    N = len(scorer.truth)
    groups = min(GROUPS, N)
    if groups < 2:
        return 0.0
    group = np.empty(N, int)
    group[np.lexsort(scorer.truth.T[::-1])] = np.arange(N) % groups
    gains = np.diff(
        [_without_groups(scorer, labels, group, groups) for labels in (before, after)], axis=0
    )
    spread = gains - gains.mean()
    return float(np.sqrt((groups - 1) / groups * np.sum(spread**2)))


def _without_groups(
    scorer: Scorer, labels: np.ndarray, group: np.ndarray, groups: int
) -> np.ndarray:
    """The scores `[G]` of the examples outside each group."""
    parts = [scorer.of_rows(group != g) for g in range(groups)]
    kept = [labels[group != g] for g in range(groups)]
    if scorer.by_counts:
        tables = [part.tables(rows) for part, rows in zip(parts, kept, strict=True)]
        return scorer.of_tables(np.stack(tables))
    return np.array([part.score(rows) for part, rows in zip(parts, kept, strict=True)])
