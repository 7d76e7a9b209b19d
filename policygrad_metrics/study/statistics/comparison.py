"""Two methods compared: the paired difference, and the chance that one improves on the other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from policygrad_metrics.study.statistics._inputs import (
    Floats,
    check_level,
    clean_differences,
    numbers,
    pairs,
)
from policygrad_metrics.study.statistics._resampling import blocks, check_resampling, percentiles
from policygrad_metrics.study.statistics.hypotheses import sign_flip
from policygrad_metrics.study.statistics.intervals import Interval, bootstrap_interval


@dataclass(frozen=True)
class PairedDifference:
    """Method a against b over N pairs: effect with interval, p, and probability of improvement."""

    effect: Interval
    p_value: float
    exact: bool
    improvement: Interval
    N: int


def paired_difference(
    a: ArrayLike, b: ArrayLike, *, level: float = 0.95, resamples: int = 9999, seed: int
) -> PairedDifference:
    """Return how much `a` is better than `b` when paired by seed and split.

        effect = mean_i (a_i - b_i), with the BCa bootstrap interval over pairs
        p      = the two-sided sign-flip permutation test (`sign_flip`)
        improvement = P(a > b) + P(a = b) / 2 over pairs (`paired_improvement`)

    When the pairs are the seeds of one data set, all of it speaks of that data set only. For splits
    that overlap use `nadeau_bengio`, for several data sets `wilcoxon`.

    Args:
        a: `[N]` scores.
        b: `[N]` scores, paired with `a`.
        level: confidence, in (.5, 1).
        resamples: number of bootstrap samples, and of flips where they cannot be enumerated.
        seed: of the resampling.

    Returns:
        A `PairedDifference`; the bounds of the effect are NaN for a single pair.

    Raises:
        ValueError: the lengths differ, or an argument is empty, not finite or out of range.

    >>> result = paired_difference([0.9, 0.8, 0.7], [0.8, 0.7, 0.5], seed=0)
    >>> round(result.effect.estimate, 3), result.p_value, result.exact, result.improvement.estimate
    (0.133, 0.25, True, 1.0)
    """
    left, right = pairs(a, b)
    differences = clean_differences(left, right)
    effect = bootstrap_interval(differences, level=level, resamples=resamples, seed=seed)
    p_value, exact = sign_flip(left, right, resamples=resamples, seed=seed)
    improvement = paired_improvement(left, right, level)
    return PairedDifference(effect, p_value, exact, improvement, left.size)


def paired_improvement(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Interval:
    """Return the chance that `a` beats its own partner in `b`, ties counting one half.

        w = mean_i ([a_i > b_i] + [a_i = b_i] / 2)
        (w + z^2 / 2N -+ z sqrt(w (1 - w) / N + z^2 / 4N^2)) / (1 + z^2 / N)

    Wilson's score interval, because the bootstrap's has no width when every pair is won. A tie has
    less variance than a win or a loss, so with ties it is on the wide side. Source: Wilson (1927),
    "Probable inference, the law of succession, and statistical inference".

    Args:
        a: `[N]` scores.
        b: `[N]` scores, paired with `a`.
        level: confidence, in (.5, 1).

    Returns:
        The interval, within 0 to 1.

    Raises:
        ValueError: the lengths differ, or an argument is empty, not finite or out of range.

    >>> paired_improvement([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [0] * 10).format(3)
    '1.000 [0.722, 1.000]'
    """
    from scipy import stats

    left, right = pairs(a, b)
    level = check_level(level)
    wins = float(_wins(left, right).mean())
    z2 = float(stats.norm.ppf((1 + level) / 2)) ** 2 / left.size
    centre = wins + z2 / 2
    half = math.sqrt(z2 * (wins * (1 - wins) + z2 / 4))
    # When all pairs are won or lost a bound is the estimate itself, but for rounding.
    low, high = min(wins, (centre - half) / (1 + z2)), max(wins, (centre + half) / (1 + z2))
    return Interval(wins, max(0.0, low), min(1.0, high), level)


def probability_of_improvement(
    a: ArrayLike, b: ArrayLike, *, level: float = 0.95, resamples: int = 9999, seed: int
) -> Interval:
    """Return the chance that a run of `a` beats a run of `b`, unpaired, averaged over data sets.

        P = mean_d mean_ij ([a_id > b_jd] + [a_id = b_jd] / 2)

    Per data set this is the Mann-Whitney statistic over the number of pairs. The interval is the
    percentile interval of a bootstrap that draws runs within each data set and method; it has no
    width where every run of one beats every run of the other. Source: Agarwal et al. (2021), "Deep
    reinforcement learning at the edge of the statistical precipice".

    Args:
        a: `[runs of a]` or `[runs of a, data sets]` scores.
        b: `[runs of b]` or `[runs of b, data sets]` scores, the same data sets.
        level: confidence, in (.5, 1).
        resamples: number of bootstrap samples.
        seed: of the resampling.

    Returns:
        The interval; its bounds are NaN when both methods have a single run.

    Raises:
        ValueError: the data sets differ in number, or an argument is empty, not finite or out of
            range.

    >>> probability_of_improvement([3, 4], [1, 3], seed=0).estimate
    0.875
    """
    left, right = _runs_by_sets("a", a), _runs_by_sets("b", b)
    level = check_level(level)
    generator = check_resampling(resamples, seed)
    if left.shape[1] != right.shape[1]:
        raise ValueError(
            "a and b must have the same data sets (columns); got "
            f"{left.shape[1]} and {right.shape[1]}. Leave out those that only one method has."
        )
    sets = left.shape[1]
    wins = _wins(left.T[:, :, np.newaxis], right.T[:, np.newaxis, :])
    estimate = float(wins.mean())
    if left.shape[0] == right.shape[0] == 1:
        return Interval(estimate, math.nan, math.nan, level)
    draws = np.empty(resamples)
    for block in blocks(resamples, left.size + right.size):
        size = block.stop - block.start
        # How often each run was drawn, as shares, is all that the mean over pairs needs.
        share_a, share_b = (
            generator.multinomial(runs, np.full(runs, 1 / runs), size=(size, sets)) / runs
            for runs in (left.shape[0], right.shape[0])
        )
        against_b = np.einsum("rdi,dij->rdj", share_a, wins)
        draws[block] = np.einsum("rdj,rdj->r", against_b, share_b) / sets
    return Interval(estimate, *percentiles(draws, level), level)


def _wins(a: Floats, b: Floats) -> Floats:
    return (a > b) + 0.5 * (a == b)


def _runs_by_sets(argument: str, values: ArrayLike) -> Floats:
    if np.ndim(values) == 1:
        return numbers(argument, values, 1)[:, np.newaxis]
    return numbers(argument, values, 2)
