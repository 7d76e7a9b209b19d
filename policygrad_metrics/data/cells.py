"""Text cells as numbers or times."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import numpy as np


def to_numbers(cells: Sequence[str]) -> np.ndarray | None:
    """Return the cells as float64 `[N]`, NaN for missing and infinite ones; None if one is text.

    >>> to_numbers(["1", "", "2.5e1"])
    array([ 1., nan, 25.])
    >>> to_numbers(["1", "one"]) is None
    True
    """
    if "_" in "".join(cells):  # see `to_number`
        return None
    try:
        numbers = np.array([cell or "nan" for cell in cells], dtype=object).astype(np.float64)
    except ValueError:
        return None
    numbers[np.isinf(numbers)] = np.nan
    return numbers


def to_number(cell: str) -> float | None:
    """Return one cell as a number; None if it is text, as is 1_000, which Python would take."""
    if "_" in cell:
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def to_times(argument: str, cells: Sequence[str], *, local: bool = False) -> np.ndarray:
    """Return dates and times as datetime64[us] `[N]`, those with a time zone in UTC.

    Args:
        argument: What names the column, for errors.
        cells: Dates and times in ISO 8601 (2014-12-31 23:00).
        local: Whether those with a time zone stay as their own clocks show them.

    Raises:
        ValueError: A cell is no time, or only some have a time zone.
    """
    times = []
    for row, cell in enumerate(cells, start=1):
        try:
            times.append(datetime.datetime.fromisoformat(cell))
        except ValueError as error:
            raise ValueError(
                f"{argument} must hold dates and hours in ISO 8601 in every row, such as "
                f"2014-12-31 23:00; row {row} below the header holds {cell!r}. pandas.to_datetime "
                "reads most other ways of writing them."
            ) from error
    aware = {time.tzinfo is not None for time in times}
    if len(aware) > 1:
        raise ValueError(f"{argument}: some rows have a time zone and some have not.")
    if aware == {True}:
        zoned = times if local else [time.astimezone(datetime.UTC) for time in times]
        times = [time.replace(tzinfo=None) for time in zoned]
    return np.array(times, "datetime64[us]")
