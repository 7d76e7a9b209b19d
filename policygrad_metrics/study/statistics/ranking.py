"""Methods ranked over data sets: Friedman's test and Nemenyi's critical difference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

from policygrad_metrics.study.statistics._inputs import Floats, check_level, numbers
from policygrad_metrics.study.statistics._resampling import blocks, check_resampling


@dataclass(frozen=True)
class FriedmanTest:
    """Friedman's chi-square and Iman and Davenport's F, each with its p-value.

    `f_statistic` is infinite when all data sets rank the methods alike.
    """

    chi_square: float
    p_value: float
    f_statistic: float
    f_p_value: float


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


def friedman(ranks: ArrayLike, *, tie_correction: bool = True) -> FriedmanTest:
    """Return Friedman's test of the hypothesis that all methods are alike.

        chi2 = 12 N / (K (K + 1)) * sum_j (R_j - (K + 1) / 2)^2 / C,    K - 1 degrees of freedom
        F    = (N - 1) chi2 / (N (K - 1) - chi2),    K - 1 and (K - 1) (N - 1) degrees of freedom

    R_j is the average rank of method j over N data sets. C = 1 - sum (t^3 - t) / (N (K^3 - K)) over
    groups of t tied methods makes up for ties; Demsar's book-keeping leaves it out (C = 1). F is
    the less conservative and the usual choice. Sources: Friedman (1937); Iman and Davenport (1980);
    Demsar (2006), section 3.2.2.

    Args:
        ranks: `[N data sets, K methods]` as the function `ranks` gives them, both at least 2.
        tie_correction: whether to divide by C.

    Returns:
        Both statistics with their p-values; 0 and 1 when every method is tied everywhere.

    Raises:
        ValueError: fewer than two rows or columns, or a row is not a ranking of K methods.

    >>> result = friedman([[1, 2, 3], [1, 3, 2], [1, 2, 3], [2, 1, 3]])
    >>> round(result.chi_square, 3), round(result.p_value, 3)
    (4.5, 0.105)
    """
    from scipy import stats

    table = _checked_ranks(ranks)
    N, K = table.shape
    centred = table.mean(axis=0) - (K + 1) / 2
    # The variance of untied ranks within a row is (K^2 - 1) / 12; ties make it smaller.
    correction = table.var(axis=1).mean() * 12 / (K**2 - 1) if tie_correction else 1.0
    if correction == 0:
        return FriedmanTest(0.0, 1.0, 0.0, 1.0)
    chi_square = float(12 * N / (K * (K + 1)) * np.square(centred).sum() / correction)
    rest = N * (K - 1) - chi_square
    # Full agreement leaves only rounding of the sums in the denominator.
    f_statistic = (N - 1) * chi_square / rest if rest > 1e-12 * N * K else math.inf
    return FriedmanTest(
        chi_square,
        float(stats.chi2.sf(chi_square, K - 1)),
        f_statistic,
        float(stats.f.sf(f_statistic, K - 1, (K - 1) * (N - 1))),
    )


def friedman_permutation(ranks: ArrayLike, *, resamples: int = 9999, seed: int) -> float:
    """Return the p-value of Friedman's statistic by permutation, valid for few data sets too.

    If all methods are alike, every order of the ranks within a data set is as likely. Of so many
    random orders as `resamples` says, those count whose average ranks spread at least as much:
    p = (1 + hits) / (1 + resamples). Chi-square and F are limits of many data sets: two that rank
    two methods alike, a coin's chance, have an F of infinity. Sources: Friedman (1937); Phipson
    and Smyth (2010), "Permutation P-values should never be zero".

    Args:
        ranks: as for `friedman`.
        resamples: number of random orders.
        seed: of those draws.

    Returns:
        The p-value.

    Raises:
        ValueError: as for `friedman`; or `resamples` or `seed` is out of range.

    >>> round(friedman_permutation([[1, 2], [1, 2]], seed=0), 1)
    0.5
    """
    table, generator = _checked_ranks(ranks), check_resampling(resamples, seed)

    def spread(tables: Floats) -> Floats:
        return np.square(tables.sum(axis=-2)).sum(axis=-1)

    observed, hits = spread(table), 0
    for block in blocks(resamples, table.size):
        size = block.stop - block.start
        orders = generator.permuted(np.broadcast_to(table, (size, *table.shape)), axis=2)
        # Ranks are multiples of one half, so that these sums are exact.
        hits += int(np.count_nonzero(spread(orders) >= observed))
    return (1 + hits) / (1 + resamples)


def _checked_ranks(ranks: ArrayLike) -> Floats:
    from scipy import stats

    table = numbers("ranks", ranks, 2)
    N, K = table.shape
    if N < 2 or K < 2:
        raise ValueError(
            f"ranks must have at least 2 data sets and 2 methods; got {N} and {K}. "
            "With one data set compare by paired_difference."
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
        ValueError: a number is not an integer or too small, or `level` is out of range.

    >>> round(critical_difference(4, 14), 2)
    1.25
    """
    from scipy import stats

    level = check_level(level)
    for argument, value, least in (("n_methods", n_methods, 2), ("n_datasets", n_datasets, 1)):
        if not isinstance(value, Integral) or value < least:
            raise ValueError(
                f"{argument} must be an integer of at least {least}; got {value!r}. "
                "Count the columns and the rows of the table of scores."
            )
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
