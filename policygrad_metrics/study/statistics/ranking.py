"""Methods ranked over data sets: Friedman's test and Nemenyi's critical difference."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from policygrad_metrics.core.checks import check_whole
from policygrad_metrics.study.statistics._inputs import (
    Floats,
    batch_of,
    check_level,
    check_resampling,
    numbers,
)


def ranks(scores: ArrayLike) -> Floats:
    """Return the methods' ranks on every data set: 1 for the highest score, ties share their mean.

    NaN stands for a method that diverged; it is ranked after all others, and several of them share.
    Scores tie when they are equal to the last bit; round them before if they carry noise.

    Args:
        scores: `[data sets, methods]`, larger is better.

    Returns:
        `[data sets, methods]`; every row adds up to K (K + 1) / 2.

    Raises:
        ValueError: `scores` is not a table, is empty, or has an infinite number.

    >>> ranks([[0.9, 0.7, 0.9], [0.5, float("nan"), 0.6]])
    array([[1.5, 3. , 1.5],
           [2. , 3. , 1. ]])
    """
    from scipy import stats

    table = numbers("scores", scores, 2, allow_nan=True)
    return stats.rankdata(np.where(np.isnan(table), np.inf, -table), axis=1)


def average_ranks(scores: ArrayLike) -> Floats:
    """Return each method's mean rank over the data sets (see `ranks`).

    Source: Friedman (1937); for classifiers Demsar (2006), "Statistical comparisons of classifiers
    over multiple data sets".

    Args:
        scores: `[data sets, methods]`, larger is better, NaN for a method that diverged.

    Returns:
        `[methods]`, 1 for a method that is best everywhere.

    Raises:
        ValueError: `scores` is not a table, is empty, or has an infinite number.

    >>> average_ranks([[0.9, 0.7, 0.8], [0.5, 0.4, 0.6]])
    array([1.5, 3. , 1.5])
    """
    return ranks(scores).mean(axis=0)


def friedman_permutation(ranks: ArrayLike, *, resamples: int = 9999, seed: int) -> float:
    """Return the p-value of Friedman's statistic by permutation, valid for few data sets too.

    If all methods are alike, every order of the ranks within a data set is as likely. The p-value
    is the share of orders whose average ranks spread at least as much: of all orders where there
    are at most `resamples`, else p = (1 + hits) / (1 + resamples) of so many random ones.
    Chi-square and F are limits of many data sets: two that rank two methods alike, a coin's chance,
    have an F of infinity. Sources: Friedman (1937); Phipson and Smyth (2010), "Permutation P-values
    should never be zero".

    Args:
        ranks: `[N data sets, K methods]` as the function `ranks` gives them, both at least 2.
        resamples: number of random orders.
        seed: of those draws.

    >>> friedman_permutation([[1, 2], [1, 2]], seed=0)
    0.5
    """
    from scipy import stats

    table, generator = _checked_ranks(ranks), check_resampling(resamples, seed)

    def spread(*rows: Floats, axis: int) -> Floats:
        # Ranks are multiples of one half, so that these sums are exact.
        return np.square(np.sum(rows, axis=0)).sum(axis=axis)

    found = stats.permutation_test(
        tuple(table),
        spread,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=int(resamples),
        batch=batch_of(table.size),
        alternative="greater",
        rng=generator,
    )
    return float(found.pvalue)


def _checked_ranks(ranks: ArrayLike) -> Floats:
    from scipy import stats

    table = numbers("ranks", ranks, 2)
    N, K = table.shape
    if N < 2 or K < 2:
        raise ValueError(
            f"ranks must have at least 2 data sets and 2 methods; got {N} and {K}. "
            "With one data set compare by sign_flip or nadeau_bengio."
        )
    wrong = np.any(stats.rankdata(table, axis=1) != table, axis=1)
    if wrong.any():
        raise ValueError(
            f"ranks must hold in each row the ranks 1 to {K}, ties sharing their mean; got "
            f"{table[wrong][0].tolist()} in row {int(wrong.argmax())}. "
            "Pass scores through the function `ranks` first."
        )
    return table


def critical_difference(n_methods: int, n_datasets: int, level: float = 0.95) -> float:
    """Return Nemenyi's critical difference of two average ranks.

        CD = q / sqrt(2) * sqrt(K (K + 1) / (6 N))

    q is the `level` quantile of the studentized range of K normal values with infinite degrees of
    freedom. Methods whose average ranks differ by at least CD differ significantly, all pairs taken
    together. Source: Nemenyi (1963); Demsar (2006), section 3.2.2.

    Args:
        n_methods: K, at least 2.
        n_datasets: N, at least 1.
        level: confidence in (.5, 1); Demsar's alpha is 1 - level.

    Returns:
        The difference, in ranks.

    Raises:
        ValueError: a number is not whole or too small, or `level` is out of range.

    >>> round(critical_difference(4, 14), 2)
    1.25
    """
    from scipy import stats

    level = check_level(level)
    check_whole("n_methods", n_methods, 2)
    check_whole("n_datasets", n_datasets, 1)
    quantile = float(stats.studentized_range.ppf(level, n_methods, np.inf))
    return quantile / math.sqrt(2) * math.sqrt(n_methods * (n_methods + 1) / (6 * n_datasets))


def cliques(average_ranks: ArrayLike, cd: float) -> tuple[tuple[int, ...], ...]:
    """Return the groups of methods that the critical difference cannot tell apart.

    A group is a run of methods, best first, whose first and last average ranks differ by less than
    `cd`; only groups of two or more that lie in no larger one are given. They are the bars of the
    critical-difference picture (Demsar 2006, section 3.2.4).

    Args:
        average_ranks: `[methods]`.
        cd: the critical difference, in ranks, larger than 0.

    Returns:
        Groups of positions in `average_ranks`, best first; none when all methods differ.

    Raises:
        ValueError: `average_ranks` is empty or not finite, or `cd` is not positive.

    >>> cliques([3.143, 2.0, 2.893, 1.964], cd=1.12)
    ((3, 1, 2), (2, 0))
    """
    values = numbers("average_ranks", average_ranks, 1)
    if not (math.isfinite(cd) and cd > 0):
        raise ValueError(f"cd must be positive; got {cd!r}. Compute it with critical_difference.")
    order = np.argsort(values, kind="stable")
    ends = np.searchsorted(values[order], values[order] + cd, side="left")
    groups, covered = [], 0
    for start, end in enumerate(ends.tolist()):
        if end > covered and end - start >= 2:
            groups.append(tuple(order[start:end].tolist()))
        covered = max(covered, end)
    return tuple(groups)
