"""Columns of dates as columns of numbers: what a season, a week and a day make of them.

The day itself, as a number, is none of them: every new row would lie beyond those of training.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from policygrad_metrics.data.cells import to_times

_DAY_OR_MONTH_FIRST = re.compile(r"\d\d?[-/.]\d\d?[-/.](\d{4}|\d\d)\b")
#: part -> what it is of times datetime64[us], numbers from 1 to 12, 0 (Monday) to 6, 0 to 24.
PARTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "month": lambda times: times.astype("datetime64[M]").astype(int) % 12 + 1,
    "weekday": lambda times: (times.astype("datetime64[D]").astype(int) + 3) % 7,
    "hour": lambda times: (times - times.astype("datetime64[D]")) / np.timedelta64(1, "h"),
}


def with_dates(
    columns: Mapping[str, Sequence[str]],
) -> tuple[dict[str, Sequence[str]], list[str]]:
    """Return columns with the parts of dates in their place, and what to note of it.

    Args:
        columns: Name -> cells, "" for missing.

    >>> found, notes = with_dates({"x": ["1", "2"], "when": ["2024-02-29 06:30", ""]})
    >>> found
    {'x': ['1', '2'],
     'when: month': ['2', ''], 'when: weekday': ['3', ''], 'when: hour': ['6.5', '']}
    >>> notes
    ["'when' holds dates: month, weekday and hour of it are features."]
    >>> with_dates({"when": ["2024-02-29 06:30+09:00"]})[0]["when: hour"]
    ['6.5']
    """
    found: dict[str, Sequence[str]] = {}
    notes = []
    for name, cells in columns.items():
        times = _times(cells)
        if times is None:
            found[name] = cells
            continue
        parts = {part: _cells(part, times, cells) for part in PARTS}
        if set(parts["hour"]) <= {"0", ""}:
            del parts["hour"]
        found |= {f"{name}: {part}": numbers for part, numbers in parts.items()}
        *others, last = parts
        notes.append(f"{name!r} holds dates: {', '.join(others)} and {last} of it are features.")
    return found, notes


def look_like_other_dates(cells: Sequence[str]) -> bool:
    """Return whether the cells that are not missing are dates that do not begin with the year.

    >>> look_like_other_dates(["31.12.2014 23:00", "", "1.1.2015"]), look_like_other_dates(["a1"])
    (True, False)
    """
    known = [cell for cell in cells if cell]
    return bool(known) and all(map(_DAY_OR_MONTH_FIRST.match, known))


def with_parts(
    columns: Mapping[str, Sequence[str]], features: Iterable[str]
) -> Mapping[str, Sequence[str]]:
    """Return columns and those of the features that are parts of them.

    Raises:
        ValueError: A cell of a column of dates is no date.

    >>> with_parts({"when": ["2024-02-29"]}, ["when: month"])["when: month"]
    ['2']
    """
    more, times = {}, {}
    for feature in features:
        name, _, part = feature.rpartition(": ")
        if feature not in columns and name in columns and part in PARTS:
            if name not in times:
                known = [cell for cell in columns[name] if cell]
                times[name] = to_times(f"column {name!r}", known, local=True)
            more[feature] = _cells(part, times[name], columns[name])
    return {**columns, **more}


def source_of(feature: str) -> str:
    """The column that a feature is made of.

    >>> source_of("when: month"), source_of("x: y")
    ('when', 'x: y')
    """
    name, _, part = feature.rpartition(": ")
    return name if name and part in PARTS else feature


def _times(cells: Sequence[str]) -> np.ndarray | None:
    """The times of all cells that are not missing, or None if they are no dates."""
    known = [cell for cell in cells if cell]
    # A plain number is none, though 20140131 would be read as a date.
    if not known or known[0].isdigit():
        return None
    try:
        return to_times("", known, local=True)
    except ValueError:
        return None


def _cells(part: str, times: np.ndarray, cells: Sequence[str]) -> list[str]:
    """A part of the times in place of the cells that are not missing."""
    numbers = iter(PARTS[part](times))
    return [f"{next(numbers):.12g}" if cell else "" for cell in cells]
