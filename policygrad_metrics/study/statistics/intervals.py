"""Confidence intervals: Student's t, the bootstrap, and the interquartile mean's stratified one."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from policygrad_metrics.core.checks import choose
from policygrad_metrics.study.statistics._inputs import Floats, check_level, numbers
from policygrad_metrics.study.statistics._resampling import (
    block_size,
    blocks,
    check_resampling,
    percentiles,
)

_BOOTSTRAPS = {"bca": "BCa", "percentile": "percentile"}


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
        level: confidence, in (.5, 1).

    Returns:
        The interval; its bounds are NaN for a single value.

    Raises:
        ValueError: `values` is empty, not a vector, or not finite; `level` is out of range.

    >>> mean_interval([1.0, 2.0, 3.0]).format(3)
    '2.000 [-0.484, 4.484]'
    """
    from scipy import stats

    sample, level = numbers("values", values, 1), check_level(level)
    mean = float(sample.mean())
    if sample.size == 1:
        return Interval(mean, math.nan, math.nan, level)
    error = float(sample.std(ddof=1)) / math.sqrt(sample.size)
    half = float(stats.t.ppf((1 + level) / 2, sample.size - 1)) * error
    return Interval(mean, mean - half, mean + half, level)


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[..., ArrayLike] = np.mean,
    *,
    level: float = 0.95,
    resamples: int = 9999,
    seed: int,
    method: str = "bca",
) -> Interval:
    """Return a statistic of one sample with its bootstrap interval (`scipy.stats.bootstrap`).

    `"percentile"` takes the quantiles `(1 -+ level) / 2` of the statistic over resamples drawn with
    replacement; `"bca"` shifts them for bias and skewness. Source: Efron (1987), "Better bootstrap
    confidence intervals". Where BCa is not defined (the statistic does not change when any one
    value is left out), the percentile interval is given. Both are too narrow for a handful of
    values.

    Args:
        values: `[N]` independent numbers.
        statistic: `f(sample, axis)`, or `f(sample)`, which is slower: one call per resample.
        level: confidence, in (.5, 1).
        resamples: number of bootstrap samples.
        seed: of the resampling.
        method: `"bca"` or `"percentile"`.

    Returns:
        The interval; its bounds are NaN for a single value, and equal when all values are equal.

    Raises:
        ValueError: `values`, `level`, `resamples`, `seed` or `method` is not allowed.

    >>> bootstrap_interval([1.0, 2.0, 3.0, 4.0, 9.0], seed=0).estimate
    3.8
    """
    from scipy import stats

    sample, level = numbers("values", values, 1), check_level(level)
    generator = check_resampling(resamples, seed)
    method = choose("method", method, _BOOTSTRAPS)
    estimate = float(np.asarray(statistic(sample)))
    if sample.size == 1:
        return Interval(estimate, math.nan, math.nan, level)
    if np.ptp(sample) == 0:
        return Interval(estimate, estimate, estimate, level)
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # Announces the NaN bounds that are dealt with below.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            (sample,),
            statistic,
            n_resamples=resamples,
            batch=block_size(sample.size),
            confidence_level=level,
            method=_BOOTSTRAPS[method],
            rng=generator,
        )
    low, high = (float(bound) for bound in result.confidence_interval)
    if math.isnan(low) or math.isnan(high):
        low, high = percentiles(result.bootstrap_distribution, level)
    return Interval(estimate, low, high, level)


def interquartile_mean(values: ArrayLike, axis: int | None = None) -> Floats:
    """Return the mean of the middle half of the values.

    The `floor(N / 4)` smallest and as many of the largest are left out; more robust than the mean,
    and uses more of the data than the median. Source: Agarwal et al. (2021), "Deep reinforcement
    learning at the edge of the statistical precipice".

    Args:
        values: any shape, `[runs, data sets]` for a study.
        axis: the axis that is averaged; all numbers together when None.

    Returns:
        An array without that axis; of no dimensions when `axis` is None.

    Raises:
        ValueError: `values` is empty or not finite.

    >>> float(interquartile_mean([0.0, 1.0, 2.0, 100.0]))
    1.5
    """
    array = numbers("values", values, np.ndim(values))
    flat = array.reshape(-1) if axis is None else np.moveaxis(array, axis, -1)
    cut = flat.shape[-1] // 4
    return np.sort(flat, axis=-1)[..., cut : flat.shape[-1] - cut].mean(axis=-1)


def interquartile_mean_interval(
    values: ArrayLike, *, level: float = 0.95, resamples: int = 9999, seed: int
) -> Interval:
    """Return the interquartile mean of a study with its stratified bootstrap interval.

    Runs are drawn with replacement within each data set, never across: the data sets are fixed,
    and the interval speaks of other seeds on the same data sets. Percentile interval, source:
    Agarwal et al. (2021).

    Args:
        values: `[runs, data sets]`, scores on a common scale.
        level: confidence, in (.5, 1).
        resamples: number of bootstrap samples.
        seed: of the resampling.

    Returns:
        The interval; its bounds are NaN for a single run.

    Raises:
        ValueError: `values` is not a finite table, or another argument is out of range.

    >>> interquartile_mean_interval([[0.5, 0.9], [0.7, 0.9]], seed=0).format(2)
    '0.80 [0.70, 0.80]'
    """
    table, level = numbers("values", values, 2), check_level(level)
    generator = check_resampling(resamples, seed)
    estimate = float(interquartile_mean(table))
    if table.shape[0] == 1:
        return Interval(estimate, math.nan, math.nan, level)
    draws = np.empty(resamples)
    for block in blocks(resamples, table.size):
        size = block.stop - block.start
        rows = generator.integers(table.shape[0], size=(size, *table.shape))
        sampled = np.take_along_axis(table[np.newaxis], rows, axis=1)
        draws[block] = interquartile_mean(sampled.reshape(size, -1), axis=1)
    return Interval(estimate, *percentiles(draws, level), level)
