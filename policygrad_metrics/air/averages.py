"""Averages as indexes are published from: NowCast, and running means of what was measured."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from policygrad_metrics.aqi import Column
from policygrad_metrics.core.checks import choose

#: Share of the hours of a mean, or of a day, that must be known.
CAPTURE = 0.75
AVERAGES = ("nowcast", "24", "8", "scale")
#: Hours that NowCast looks at, and the least weight of an hour against the one after it.
_NOWCAST_HOURS, _LEAST_WEIGHT = 12, 0.5


def _windows(values: np.ndarray, hours: int) -> np.ndarray:
    """The hours up to each, `[N, hours]`, the newest last; NaN before the first."""
    return sliding_window_view(np.concatenate([np.full(hours - 1, np.nan), values]), hours)


def running_mean(values: np.ndarray, hours: int) -> np.ndarray:
    """Return the mean of each hour and those before, NaN where less than 75 % are known.

    >>> running_mean(np.array([1.0, 3.0, 5.0, np.nan, 7.0]), 4)
    array([nan, nan,  3.,  3.,  5.])
    """
    windows = _windows(values, hours)
    known = ~np.isnan(windows)
    counts = known.sum(axis=1)
    sums = np.where(known, windows, 0.0).sum(axis=1)
    return np.where(counts >= CAPTURE * hours, sums / np.maximum(counts, 1), np.nan)


def nowcast(values: np.ndarray) -> np.ndarray:
    """Return the US EPA's NowCast of PM2.5 or PM10 at every hour.

    An hour weighs w times the one after it, w the least of the last 12 hours over the greatest,
    and one half at least. NaN where fewer than two of the last three hours are known.

    Args:
        values: Hourly concentrations `[N]`, NaN where unknown.

    >>> nowcast(np.array([8.0, 8.0, 4.0])).round(3)
    array([  nan, 8.   , 5.714])
    """
    windows = _windows(values, _NOWCAST_HOURS)
    known = ~np.isnan(windows)
    high = np.where(known, windows, -np.inf).max(axis=1)
    low = np.where(known, windows, np.inf).min(axis=1)
    weight = np.maximum(np.divide(low, high, out=np.ones_like(low), where=high > 0), _LEAST_WEIGHT)
    ages = np.arange(_NOWCAST_HOURS)[::-1]
    weights = np.where(known, weight[:, None] ** ages, 0.0)
    sums = (weights * np.where(known, windows, 0.0)).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known[:, -3:].sum(axis=1) >= 2, sums / weights.sum(axis=1), np.nan)


def average_of(average: str | None, column: Column, *, among_others: bool = False) -> str | None:
    """Return how a pollutant is averaged: "nowcast", a number of hours as a text, or None.

    Args:
        average: One of `AVERAGES`, or None.
        column: The pollutant's column of a scale.
        among_others: Whether it is one of several, in which NowCast leaves gases to the scale.

    Raises:
        ValueError: Not one of `AVERAGES`; NowCast of a gas alone.

    >>> column = Column("o3", "ppm", "8 h", (0.054,))
    >>> average_of("scale", column), average_of("24", column)
    ('8', '24')
    """
    if average is None:
        return None
    choose("average", average, AVERAGES)
    particles = column.pollutant in ("pm25", "pm10")
    if average == "nowcast" and not particles and not among_others:
        raise ValueError(
            "average='nowcast' (--average) is for pm25 and pm10; for a gas take the running mean "
            "of its scale, average='scale' (--average scale)."
        )
    if average == "scale" or (average == "nowcast" and not particles):
        hours = column.averaging.removesuffix(" h")
        return hours if hours.isdecimal() and hours != "1" else None
    return average


def averaged(values: np.ndarray, how: str | None) -> np.ndarray:
    """Return the series that levels are told from.

    Args:
        values: Hourly concentrations `[N]`.
        how: As `average_of` gives it.
    """
    if how is None:
        return values
    return nowcast(values) if how == "nowcast" else running_mean(values, int(how))
