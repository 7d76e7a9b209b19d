"""Confidence intervals: Student's t, and the bootstrap within data sets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from policygrad_metrics.study.statistics._inputs import (
    Floats,
    batch_of,
    check_level,
    check_resampling,
    numbers,
)


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval; NaN bounds where the data give none.

    >>> Interval(0.8123, 0.79, 0.8346, 0.95).format(3)
    '0.812 [0.790, 0.835]'
    """

    estimate: float
    low: float
    high: float
    level: float

    def format(self, digits: int = 3) -> str:
        """Return `estimate [low, high]` with the given number of decimals.

        Bounds that do not exist are dashes, and a zero never carries a minus sign.

        >>> Interval(-0.0001, float("nan"), float("nan"), 0.95).format(2)
        '0.00 [-, -]'
        """
        shown = [
            f"{value:z.{digits}f}" if math.isfinite(value) else "-"
            for value in (self.estimate, self.low, self.high)
        ]
        return f"{shown[0]} [{shown[1]}, {shown[2]}]"


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Return the mean with Student's t interval.

        mean +- t_{(1 + level) / 2, N - 1} * s / sqrt(N),    s^2 with N - 1 in its denominator

    Source: Student (1908), "The probable error of a mean". Exact for normal values.

    Args:
        values: `[N]` independent numbers, for example one score per seed.
        level: confidence.

    Returns:
        The interval; its bounds are NaN for a single value.

    >>> mean_interval([1.0, 2.0, 3.0]).format(3)
    '2.000 [-0.484, 4.484]'
    """
    sample, level = numbers("values", values, 1), check_level(level)
    mean = float(sample.mean())
    if sample.size == 1:
        return Interval(mean, math.nan, math.nan, level)
    error = float(sample.std(ddof=1)) / math.sqrt(sample.size)
    return around(mean, error, sample.size - 1, level)


def around(mean: float, error: float, freedom: int, level: float) -> Interval:
    """Return Student's t interval of a mean with a standard error."""
    from scipy import stats

    half = float(stats.t.ppf((1 + level) / 2, freedom)) * error
    return Interval(mean, mean - half, mean + half, level)


def interquartile_mean_interval(
    values: ArrayLike, *, level: float = 0.95, resamples: int = 9999, seed: int
) -> Interval:
    """Return the interquartile mean of a study with its stratified bootstrap interval.

    The interquartile mean leaves out the `floor(N / 4)` smallest and as many of the largest of all
    N scores. Runs are drawn with replacement within each data set, never across: the data sets are
    fixed, and the interval speaks of other seeds on the same data sets. Percentile interval,
    source: Agarwal et al. (2021), "Deep reinforcement learning at the edge of the statistical
    precipice".

    Args:
        values: `[runs, data sets]`, scores on a common scale.
        level: confidence.
        resamples: number of bootstrap samples.
        seed: of the resampling.

    Returns:
        The interval; its bounds are NaN for a single run.

    >>> interquartile_mean_interval([[0.5, 0.9], [0.7, 0.9]], seed=0).format(2)
    '0.80 [0.70, 0.80]'
    """
    from scipy import stats

    table = numbers("values", values, 2)

    def middle(*sets: Floats, axis: int = -1) -> Floats:
        return np.asarray(stats.trim_mean(np.concatenate(sets, axis), 0.25, axis))

    return _bootstrap(table.T, middle, table.size, level, resamples, seed)


def probability_of_improvement(
    a: ArrayLike, b: ArrayLike, *, level: float = 0.95, resamples: int = 9999, seed: int
) -> Interval:
    """Return the chance that a run of `a` beats a run of `b`, unpaired, averaged over data sets.

        P = mean_d mean_ij ([a_id > b_jd] + [a_id = b_jd] / 2)

    Per data set this is the Mann-Whitney statistic over the number of pairs. The interval is the
    percentile interval of a bootstrap that draws runs within each data set and method; it has no
    width where every run of one beats every run of the other. Source: Agarwal et al. (2021).

    Args:
        a: `[runs of a]` or `[runs of a, data sets]` scores.
        b: `[runs of b]` or `[runs of b, data sets]` scores, the same data sets.
        level: confidence.
        resamples: number of bootstrap samples.
        seed: of the resampling.

    Returns:
        The interval; its bounds are NaN when both methods have a single run.

    >>> probability_of_improvement([3, 4], [1, 3], seed=0).estimate
    0.875
    """
    left, right = _runs_by_sets("a", a), _runs_by_sets("b", b)
    sets = left.shape[1]
    if sets != right.shape[1]:
        raise ValueError(
            f"a and b must have the same data sets (columns); got {sets} and {right.shape[1]}. "
            "Leave out those that only one method has."
        )

    def wins(*samples: Floats, axis: int = -1) -> Floats:
        ours = np.stack(samples[:sets], axis=-2)[..., :, np.newaxis]
        theirs = np.stack(samples[sets:], axis=-2)[..., np.newaxis, :]
        return ((ours > theirs) + 0.5 * (ours == theirs)).mean(axis=(-3, -2, -1))

    each = sets * left.shape[0] * right.shape[0]
    return _bootstrap([*left.T, *right.T], wins, each, level, resamples, seed)


def _bootstrap(
    samples: Sequence[Floats] | Floats,
    statistic: Callable[..., Floats],
    numbers_each: int,
    level: float,
    resamples: int,
    seed: int,
) -> Interval:
    """The percentile interval of a statistic of samples that are resampled one by one."""
    from scipy import stats

    level, generator = check_level(level), check_resampling(resamples, seed)
    estimate = float(statistic(*samples))
    if all(sample.size == 1 for sample in samples):
        return Interval(estimate, math.nan, math.nan, level)
    result = stats.bootstrap(
        # SciPy wants two values: a value twice is resampled to itself, as one would be.
        tuple(np.repeat(sample, 2) if sample.size == 1 else sample for sample in samples),
        statistic,
        n_resamples=int(resamples),
        batch=batch_of(numbers_each),
        vectorized=True,
        confidence_level=level,
        method="percentile",
        rng=generator,
    )
    low, high = result.confidence_interval
    return Interval(estimate, float(low), float(high), level)


def _runs_by_sets(argument: str, values: ArrayLike) -> Floats:
    if np.ndim(values) == 1:
        return numbers(argument, values, 1)[:, np.newaxis]
    return numbers(argument, values, 2)
