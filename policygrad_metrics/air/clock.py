"""Rows placed on a clock: every hour, or every day, from the first to the last."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

#: Steps without a row that are a long gap: more than features and averages look back together.
LONG = 96
_UNITS = {"hour": "h", "day": "D"}


class Clock(NamedTuple):
    """Every step `[N]` in time, the place in it of each row, its name, and notes."""

    steps: np.ndarray
    places: np.ndarray
    step: str
    notes: list[str]


def place_on_clock(
    times: np.ndarray,
    step: str = "hour",
    duplicates: str | None = None,
    apart: str = "",
    *,
    newest: bool = False,
) -> Clock:
    """Return the clock of a series.

    Args:
        times: datetime64[s] `[N]`, of the rows.
        step: "hour", or "day" for rows of days; rows of several times of day are hours.
        duplicates: "first" or "mean" of the rows of one step; None refuses them.
        apart: What would tell such rows apart, for the message.
        newest: Whether the steps behind the last long gap alone must have rows, for a forecast.

    Raises:
        ValueError: Rows are not at whole hours, a step occurs twice, or most have no row.
    """
    if len(np.unique(times - times.astype("datetime64[D]"))) > 1:
        step = "hour"
    steps, notes = _whole(times, step, averaged=duplicates == "mean")
    order = np.argsort(steps, kind="stable")
    repeated = steps[order][1:] == steps[order][:-1]
    if repeated.any():
        count = int(repeated.sum())
        rows = f"{count} {'row repeats' if count == 1 else 'rows repeat'} the {step}"
        first = show(steps[order][1:][repeated][0])
        if duplicates is None:
            raise ValueError(
                f"{rows} of another one, {'at' if count == 1 else 'the first'} {first}; "
                f"keep one row for each {step}{f', with {apart}' if apart else ''} (several "
                "stations: --station NAME; several pollutants: --where COLUMN=VALUE; local clocks "
                "repeat an hour in autumn: --duplicates first, or mean)."
            )
        kept = "the first counts" if duplicates == "first" else "their mean counts"
        notes.append(f"{rows} of another one: {kept}.")
    every = np.arange(steps.min(), steps.max() + 1)
    back = int((np.diff(steps) < np.timedelta64(0, _UNITS[step])).sum())
    if back:
        notes.append(f"the rows were not in order of time ({back} steps back): they were sorted.")
    known: Any = np.unique(steps)
    lost = len(every) - len(known)
    first = _after_gap(known) if newest else every[0]
    asked = every[every >= first]
    gone = len(asked) - int((known >= first).sum())
    if gone > len(asked) / 2:
        way_out = "" if step == "day" or newest else " (--step day for a file of days)"
        raise ValueError(
            f"{gone} of the {len(asked)} {step}s from {show(asked[0])} to {show(asked[-1])} have "
            f"no row; {'an hourly' if step == 'hour' else 'a daily'} series is needed{way_out}."
        )
    span = f"{len(every)} {step}s from {show(every[0])} to {show(every[-1])}"
    notes.append(
        f"{span}; {lost} of them have no row and count as missing."
        if lost
        else f"{span}, a row each."
    )
    return Clock(every, (steps - every[0]).astype(int), step, notes)


def _after_gap(known: Any) -> np.datetime64:
    """Return the first step behind the last gap that no feature of the newest step looks across.

    Args:
        known: The steps that have a row, sorted, each once.
    """
    ends = np.flatnonzero(np.diff(known).astype(int) > LONG)
    return known[ends[-1] + 1] if len(ends) else known[0]


def _whole(times: np.ndarray, step: str, *, averaged: bool) -> tuple[np.ndarray, list[str]]:
    steps = times.astype(f"datetime64[{_UNITS[step]}]")
    odd = np.flatnonzero(times != steps)
    if step == "day" or not len(odd):
        return steps, []
    late = np.unique(times - steps)
    if len(late) == 1:
        minutes = int(late[0] / np.timedelta64(60, "s"))
        return steps, [f"all rows are {minutes} minutes past the hour: they count as that hour."]
    if averaged:
        return steps, [f"{len(odd)} rows are not at a whole hour: they count to the hour begun."]
    raise ValueError(
        f"{len(odd)} rows are not at a whole hour, the first "
        f"{str(times[odd[0]]).replace('T', ' ')}; --duplicates mean takes the mean of each hour's "
        "rows."
    )


def spread(values: np.ndarray, clock: Clock, duplicates: str | None = None) -> np.ndarray:
    """Return the values of the rows on the clock, NaN or "" where there is no row.

    >>> clock = Clock(np.arange(3), np.array([0, 0, 2]), "hour", [])
    >>> spread(np.array([1.0, 3.0, 5.0]), clock, "mean")
    array([ 2., nan,  5.])
    """
    N = len(clock.steps)
    if duplicates == "mean" and values.dtype != object:
        return means_of(values, clock.places, N)
    result = np.full(N, "" if values.dtype == object else np.nan, dtype=values.dtype)
    # The last to be written stays: of the rows of one step the first.
    result[clock.places[::-1]] = values[::-1]
    return result


def means_of(values: np.ndarray, places: np.ndarray, N: int, least: float = 1) -> np.ndarray:
    """Return the mean of the known values at each of N places, NaN where fewer than `least` are.

    >>> means_of(np.array([1.0, 3.0, np.nan]), np.array([0, 0, 1]), 2)
    array([ 2., nan])
    """
    known = ~np.isnan(values)
    counts = np.bincount(places[known], minlength=N)
    sums = np.bincount(places[known], values[known], minlength=N)
    return np.where(counts >= least, sums / np.maximum(counts, 1), np.nan)


def show(step: np.datetime64) -> str:
    """Return an hour or a day as people write it.

    >>> show(np.datetime64("2014-01-01T05")), show(np.datetime64("2014-01-01"))
    ('2014-01-01 05:00', '2014-01-01')
    """
    if np.datetime_data(step.dtype)[0] == "D":
        return str(step)
    return str(step.astype("datetime64[m]")).replace("T", " ")
