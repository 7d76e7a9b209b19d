"""Tests of a paired difference: sign flips, signed ranks, overlapping splits; Holm's correction."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from policygrad_metrics.study.statistics._inputs import (
    Floats,
    batch_of,
    check_level,
    check_resampling,
    clean_differences,
    numbers,
    pairs,
)
from policygrad_metrics.study.statistics.intervals import Interval, around

_MOST_FLIPS_ENUMERATED = 2**16
# The exact distribution takes about N^3 steps: a fifth of a second here.
_MOST_PAIRS_EXACT = 500


@dataclass(frozen=True)
class SignedRankTest:
    """Wilcoxon's test: the rank sums for and against `a`, the two-sided p, and how p was found."""

    rank_sum_a: float
    rank_sum_b: float
    p_value: float
    exact: bool


@dataclass(frozen=True)
class CorrectedTest:
    """Nadeau and Bengio's test: the mean difference with its interval, t, and the two-sided p."""

    difference: Interval
    statistic: float
    p_value: float


def sign_flip(
    a: ArrayLike, b: ArrayLike, *, resamples: int = 9999, seed: int
) -> tuple[float, bool]:
    """Return the two-sided p-value of the paired permutation test, and whether it is exact.

    If `a` and `b` do not differ, each difference is as likely with the other sign:

        p = P(|sum_i s_i d_i| >= |sum_i d_i|),    s_i = +-1 with equal chances

    All flips are enumerated up to 2^16, differences of zero left out; by hand, as
    `scipy.stats.permutation_test` takes a second for 2^16. Beyond that SciPy draws `resamples`
    flips, and p = (1 + hits) / (1 + resamples), which keeps the test valid. Sources: Fisher (1935),
    "The design of experiments", section 21; Phipson and Smyth (2010), "Permutation P-values should
    never be zero".

    Args:
        a: `[N]` scores.
        b: `[N]` scores, paired with `a`.
        resamples: number of flips drawn where they cannot be enumerated.
        seed: of those draws.

    Returns:
        The p-value and True, or its Monte Carlo estimate and False.

    >>> sign_flip([0.9, 0.8, 0.7], [0.8, 0.7, 0.5], seed=0)
    (0.25, True)
    """
    from scipy import stats

    left, right = pairs(a, b)
    generator = check_resampling(resamples, seed)
    differences = clean_differences(left, right)
    differences = differences[differences != 0]
    total = np.abs(differences).sum()

    def size(sums: Floats) -> Floats:
        # The sums come in different orders of rounding; equal ones must count as equal.
        return np.round(np.abs(sums) / total, 12) if total else sums

    if 2.0**differences.size <= _MOST_FLIPS_ENUMERATED:
        sums = np.zeros(1)
        for difference in differences:
            sums = np.concatenate([sums + difference, sums - difference])
        return float(np.mean(size(sums) >= size(differences.sum()))), True
    found = stats.permutation_test(
        (differences,),
        lambda flipped, axis: size(flipped.sum(axis=axis)),
        permutation_type="samples",
        vectorized=True,
        n_resamples=int(resamples),
        batch=batch_of(differences.size),
        alternative="greater",
        rng=generator,
    )
    return float(found.pvalue), False


def wilcoxon(a: ArrayLike, b: ArrayLike) -> SignedRankTest:
    """Return Wilcoxon's signed-rank test over data sets, two-sided.

    The absolute differences are ranked, ties sharing the mean of their ranks; `rank_sum_a` adds up
    the ranks where `a` is larger. Differences of zero take part in the ranking and are then left
    out (Pratt 1959, "Remarks on zeros and ties in the Wilcoxon signed rank procedures"). Given the
    ranks, both signs are equally likely, and the distribution of the rank sum follows exactly, with
    ties too (which `scipy.stats.wilcoxon` has not), by adding one rank after the other; above 500
    differences SciPy's normal approximation is used. Source: Wilcoxon (1945); for classifiers
    Demsar (2006), section 3.1.3, who instead shares the ranks of zeros among both sums.

    Args:
        a: `[data sets]` one score per data set, the mean over its seeds.
        b: `[data sets]` the same of the other method.

    Returns:
        The rank sums and the p-value, which is 1 when no data set tells the methods apart.

    >>> wilcoxon([0.9, 0.8, 0.7, 0.6], [0.8, 0.6, 0.4, 0.6])
    SignedRankTest(rank_sum_a=9.0, rank_sum_b=0.0, p_value=0.25, exact=True)
    """
    from scipy import stats

    differences = clean_differences(*pairs(a, b))
    all_ranks = stats.rankdata(np.abs(differences))
    sum_a = float(all_ranks[differences > 0].sum())
    sum_b = float(all_ranks[differences < 0].sum())
    kept = all_ranks[differences != 0]
    exact = kept.size <= _MOST_PAIRS_EXACT
    smaller = min(sum_a, sum_b)
    if exact:
        # By symmetry the upper tail of the larger sum equals the lower tail of the smaller one.
        tail = float(_rank_sum_distribution(kept)[: round(2 * smaller) + 1].sum())
        p_value = min(1.0, 2 * tail)
    else:
        approximate = stats.wilcoxon(
            differences, zero_method="pratt", correction=False, method="asymptotic"
        )
        p_value = float(np.asarray(approximate)[1])
    return SignedRankTest(sum_a, sum_b, p_value, exact)


def _rank_sum_distribution(ranks: Floats) -> Floats:
    """Return P(sum of a random half of the signs' ranks = j / 2) for every integer j.

    Shared ranks are multiples of one half, hence the doubling.
    """
    doubled = np.round(2 * ranks).astype(np.int64)
    chances = np.zeros(int(doubled.sum()) + 1)
    chances[0] = 1.0
    for rank in doubled:
        shifted = np.zeros_like(chances)
        shifted[rank:] = chances[:-rank]
        chances = (chances + shifted) / 2
    return chances


def nadeau_bengio(
    differences: ArrayLike, test_fraction: float, train_fraction: float, level: float = 0.95
) -> CorrectedTest:
    """Return the corrected resampled t-test, for splits whose training parts overlap.

        t = mean(d) / (s * sqrt(1 / J + test_fraction / train_fraction)),    J - 1 freedoms

    The plain t-test takes J overlapping splits for independent ones and finds differences
    everywhere. Source: Nadeau and Bengio (2003), "Inference for the generalization error". Exact
    for normal differences of which every two are correlated by test / (test + train).

    Args:
        differences: `[J]` differences of two methods' scores, one per split, seeds averaged.
        test_fraction: the part of the data that a split tests on (.1 in 10-fold cross-validation).
        train_fraction: the part of the data that it trains on (.9 there).
        level: confidence of the interval, in (.5, 1).

    Returns:
        The mean difference with its interval, the statistic, and the two-sided p-value; equal
        differences give 1 if they are zero and 0 if they are not.

    Raises:
        ValueError: fewer than two differences or not finite ones; the fractions are not positive or
            add up to more than 1; `level` is out of range.

    >>> nadeau_bengio([0.02, 0.03, 0.01, 0.04], 0.25, 0.75).p_value < 0.15
    True
    """
    from scipy import stats

    sample, level = numbers("differences", differences, 1), check_level(level)
    if sample.size < 2:
        raise ValueError(
            f"differences must be at least two; got {sample.size}. Use more splits than one."
        )
    if not (
        test_fraction > 0 and train_fraction > 0 and test_fraction + train_fraction <= 1 + 1e-9
    ):
        raise ValueError(
            "test_fraction and train_fraction must be positive and add up to at most 1; got "
            f"{test_fraction!r} and {train_fraction!r}. Divide the numbers of rows by their total."
        )
    mean, freedom = float(sample.mean()), sample.size - 1
    scale = math.sqrt(1 / sample.size + test_fraction / train_fraction)
    error = float(sample.std(ddof=1)) * scale
    interval = around(mean, error, freedom, level)
    without_error = math.copysign(math.inf, mean) if mean else 0.0
    statistic = mean / error if error else without_error
    return CorrectedTest(interval, statistic, float(2 * stats.t.sf(abs(statistic), freedom)))


def holm(p_values: ArrayLike) -> Floats:
    """Return p-values adjusted for being several, in the order given.

    With `p_(1) <= ... <= p_(M)`:    adjusted_(i) = max_{j <= i} min(1, (M - j + 1) p_(j))

    Rejecting what is at most alpha keeps the chance of any false rejection at alpha, whatever the
    dependence. Source: Holm (1979), "A simple sequentially rejective multiple test procedure". By
    hand: SciPy has the false discovery rate only.

    Args:
        p_values: `[M]` numbers from 0 to 1.

    Returns:
        `[M]` adjusted p-values, none smaller than it was.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = numbers("p_values", p_values, 1)
    if values.min() < 0 or values.max() > 1:
        raise ValueError(
            f"p_values must lie between 0 and 1; got {values.min():g} to {values.max():g}. "
            "Give the p-values themselves, not percentages or statistics."
        )
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    factors = np.arange(values.size, 0, -1)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, factors * values[order]))
    return adjusted
