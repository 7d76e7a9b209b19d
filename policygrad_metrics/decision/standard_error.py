"""How sure it is that one decision beats another on the same data."""

from __future__ import annotations

import numpy as np

from policygrad_metrics.decision.scorer import Scorer

GROUPS = 20


def grouped(size: int, groups: int, *, series: bool = False) -> np.ndarray:
    """Return the group of each row, `[N]`: dealt by one shuffle, or of a series blocks in time.

    >>> grouped(5, 2, series=True).tolist()
    [0, 0, 0, 1, 1]
    """
    if series:
        return np.arange(size) * groups // size
    return np.random.default_rng(0).permutation(size) % groups


def error_of_gain(
    scorer: Scorer, before: np.ndarray, after: np.ndarray, *, series: bool = False
) -> float:
    """Standard error of `score(after) - score(before)`, by a jackknife that leaves out groups.

        se^2 = (G - 1) / G  sum_g (gain_g - mean gain)^2,      gain_g without the examples of g

    with G = 20 groups of examples (Efron & Tibshirani 1993); by hand, as SciPy has no jackknife. It
    is the error over other data of as many examples, independent of each other, whose classes are
    drawn as well: so groups are dealt at random, always by the same shuffle. (Groups with equal
    shares of every class would give the error for given classes, which is less: half of it where
    the truth decides a gain.) Neighbours in a series depend on each other, so its groups are blocks
    in time (Kuensch 1989).

    Args:
        scorer: scores labels of N examples.
        before: labels `[N, C]`.
        after: other labels `[N, C]`.
        series: whether the examples are in order of time.

    >>> from policygrad_metrics.rewards import get_reward
    >>> truth = np.repeat([0, 1], 50)[:, None]
    >>> scorer = Scorer(get_reward("accuracy"), truth, None, 2)
    >>> better = np.where(np.random.default_rng(0).random((100, 1)) < 0.3, truth, 0)
    >>> round(error_of_gain(scorer, np.zeros_like(truth), better), 3)
    0.03
    """
    N = len(scorer.truth)
    groups = min(GROUPS, N)
    if groups < 2:
        return 0.0
    group = grouped(N, groups, series=series)

    def scores(labels):
        if scorer.by_counts:
            tables = scorer.group_tables(labels, group, groups)
            return scorer.of_tables(_sums_of_others(tables))
        kept = [group != g for g in range(groups)]
        return np.array([scorer.of_rows(rows).score(labels[rows]) for rows in kept])

    gains = scores(after) - scores(before)
    spread = gains - gains.mean()
    return float(np.sqrt((groups - 1) / groups * np.sum(spread**2)))


def _sums_of_others(x: np.ndarray) -> np.ndarray:
    """Sums of all rows but one, for each; added up, since a difference would round."""
    zero = np.zeros_like(x[:1])
    before = np.cumsum(np.concatenate([zero, x[:-1]]), axis=0)
    behind = np.cumsum(np.concatenate([zero, x[:0:-1]]), axis=0)[::-1]
    return before + behind
