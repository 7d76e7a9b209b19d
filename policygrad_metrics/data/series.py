"""Rows that are in order of time, and what is known of a row before its hour."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from policygrad_metrics.core.checks import check_whole, choose
from policygrad_metrics.data.cells import to_numbers, to_times

Columns = dict[str, list[str]]


@dataclasses.dataclass(frozen=True)
class Series:
    """The rows of a table are a series, to be split by time.

    Args:
        column: Numbers, or dates and times in ISO 8601, to sort the rows by; it is no feature.
            None if they are in order.
        horizon: How many rows before a row it is predicted, from what that earlier row holds and
            from the target there; None to predict a row from its own features.

    Raises:
        ValueError: The horizon is no whole number of 1 or more.
    """

    column: str | None = None
    horizon: int | None = None

    def __post_init__(self) -> None:
        check_whole("horizon (--horizon)", self.horizon, 1, or_none=True)

    def sort(self, columns: Columns) -> tuple[Columns, list[str]]:
        """Return the columns with their rows in order of time, and what to know about the order.

        Equal times keep their order.

        Raises:
            ValueError: There is no such column, or a row of it is no time; with a horizon, two rows
                have one time.

        >>> Series("day").sort({"day": ["2014-01-02", "2013-12-31"], "x": ["1", "2"]})[0]["x"]
        ['2', '1']
        """
        if self.column is None:
            kept = {name: list(cells) for name, cells in columns.items()}
            return kept, ["rows were taken to be in order of time."]
        choose("time column (--time-split)", self.column, columns)
        times = _times(self.column, columns[self.column])
        order = np.argsort(times, kind="stable").tolist()
        steps = np.diff(times[order].astype(np.float64))
        equal = np.flatnonzero(steps == 0)
        if self.horizon is not None and len(equal):
            raise ValueError(
                f"time column {self.column!r}: {len(equal)} rows have the time of another one, the "
                f"first {columns[self.column][order[equal[0]]]!r}; horizon={self.horizon} "
                "(--horizon) counts the rows of one series. Keep one row for each time."
            )
        notes = [f"rows are in order of {self.column!r}, which is not a feature."]
        if self.horizon is not None and (odd := int((steps != np.median(steps)).sum())):
            notes.append(
                f"{odd} of {len(steps)} steps of {self.column!r} from row to row are longer or "
                f"shorter than the others: {self.horizon} rows are not the same time everywhere. "
                "`policygrad aqi` counts hours instead."
            )
        return {name: [cells[row] for row in order] for name, cells in columns.items()}, notes


def lagged(columns: Mapping[str, Sequence[str]], targets: Sequence[str], horizon: int) -> Columns:
    """Return the features that are known when a row is predicted: those of an earlier row.

    Args:
        columns: Features and targets, name -> cells `[N]`, in order of time.
        targets: The targets, which become features of their own.
        horizon: How many rows before.

    >>> lagged({"wind": ["a", "b", "c"], "pm": ["1", "2", "3"]}, ["pm"], 2)
    {'wind': ['', '', 'a'], 'pm, 2 rows before': ['', '', '1']}
    """
    return {
        f"{name}, {horizon} rows before" if name in targets else name: [
            *[""] * min(horizon, len(cells)),
            *cells[: max(len(cells) - horizon, 0)],
        ]
        for name, cells in columns.items()
    }


def last_known(known: np.ndarray, horizon: int) -> np.ndarray:
    """Return the last row with a target that is at least `horizon` rows before each row.

    Args:
        known: Whether a row has a target `[N]`.
        horizon: How many rows before.

    Returns:
        int64 `[N]`, -1 where there is none.

    >>> last_known(np.array([False, True, False, True]), 1)
    array([-1, -1,  1,  1])
    """
    last = np.maximum.accumulate(np.where(known, np.arange(len(known)), -1))
    return np.concatenate(
        [np.full(min(horizon, len(known)), -1), last[: max(len(known) - horizon, 0)]]
    )


def _times(name: str, cells: Sequence[str]) -> np.ndarray:
    """Return a column as numbers, or as times."""
    if not all(cells):
        raise ValueError(
            f"time column {name!r} (--time-split): {sum(not c for c in cells)} cells are missing; "
            "every row needs a time."
        )
    numbers = to_numbers(cells)
    if numbers is None or not np.isfinite(numbers).all():
        try:
            return to_times(f"time column {name!r} (--time-split)", cells)
        except ValueError as error:
            raise ValueError(
                f"{error} If the rows are in order, name no column (--time-split alone, and --drop "
                f"'{name}')."
            ) from error
    return numbers
