"""The hours that the rows of a station file belong to."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

import numpy as np

from policygrad_metrics.core.checks import choose
from policygrad_metrics.data.cells import to_numbers, to_times

#: The columns that tell the time in the UCI files of Beijing's stations.
UCI_TIME = ("year", "month", "day", "hour")


def read_hours(
    columns: Mapping[str, Sequence[str]], time: str | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the hour of every row, datetime64[h] `[N]`, and the columns that told it.

    Args:
        columns: Name -> cells.
        time: A column of dates and times in ISO 8601; None for year, month, day, hour.

    Raises:
        ValueError: There is no such column, or a row is not at a whole hour.

    >>> columns = {"at": ["2014-01-01 00:00", "2014-01-01T01:00"]}
    >>> read_hours(columns, "at")[0].astype(str).tolist()
    ['2014-01-01T00', '2014-01-01T01']
    """
    if time is not None:
        choose("time", time, columns)
        return _from_texts(time, columns[time]), (time,)
    lost = [name for name in UCI_TIME if name not in columns]
    if lost:
        raise ValueError(
            f"the file has no column {', '.join(map(repr, lost))}: name the column that holds date "
            f"and hour with time= (--time). Its columns: {', '.join(map(repr, columns))}."
        )
    return _from_numbers(columns), UCI_TIME


def _from_numbers(columns: Mapping[str, Sequence[str]]) -> np.ndarray:
    fields = []
    for name in UCI_TIME:
        numbers = to_numbers(columns[name])
        if numbers is None or not (np.isfinite(numbers) & (numbers == np.rint(numbers))).all():
            raise ValueError(f"column {name!r} must hold a whole number in every row.")
        fields.append(numbers.astype(int).tolist())
    hours, wrong = [], []
    for row in zip(*fields, strict=True):
        try:
            hours.append(datetime.datetime(*row))
        except ValueError:
            wrong.append(row)
    if wrong:
        year, month, day, hour = wrong[0]
        raise ValueError(
            f"year, month, day, hour are no hour of any day in {len(wrong)} rows, the first "
            f"{year}-{month}-{day} {hour} h; hours go from 0 to 23."
        )
    return np.array(hours, "datetime64[h]")


def _from_texts(name: str, cells: Sequence[str]) -> np.ndarray:
    exact = to_times(f"time={name!r}", cells)
    hours = exact.astype("datetime64[h]")
    odd = np.flatnonzero(exact != hours)
    if len(odd):
        raise ValueError(
            f"time={name!r}: {len(odd)} rows are not at a whole hour, the first "
            f"{cells[odd[0]]!r}; average them to hours first."
        )
    return hours


def place_on_clock(hours: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return every hour from the first to the last `[N]`, each row's place in it, and notes.

    Raises:
        ValueError: An hour occurs twice, or most hours have no row.
    """
    order = np.argsort(hours, kind="stable")
    repeated = hours[order][1:] == hours[order][:-1]
    if repeated.any():
        first = hours[order][1:][repeated][0]
        raise ValueError(
            f"{int(repeated.sum())} rows repeat the hour of another one, the first {show(first)}; "
            "keep one row for each hour (one station a file; local clocks repeat an hour in "
            "autumn: use UTC)."
        )
    every = np.arange(hours.min(), hours.max() + 1)
    notes = []
    back = int((np.diff(hours) < np.timedelta64(0, "h")).sum())
    if back:
        notes.append(f"the rows were not in order of time ({back} steps back): they were sorted.")
    lost = len(every) - len(hours)
    if lost > len(every) / 2:
        raise ValueError(
            f"{lost} of the {len(every)} hours from {show(every[0])} to {show(every[-1])} have no "
            "row; an hourly series is needed."
        )
    span = f"{len(every)} hours from {show(every[0])} to {show(every[-1])}"
    notes.append(
        f"{span}; {lost} of them have no row and count as missing."
        if lost
        else f"{span}, a row each."
    )
    return every, (hours - every[0]).astype(int), notes


def show(hour: np.datetime64) -> str:
    """Return an hour as people write it.

    >>> show(np.datetime64("2014-01-01T05"))
    '2014-01-01 05:00'
    """
    return str(hour.astype("datetime64[m]")).replace("T", " ")
