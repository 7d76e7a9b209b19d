"""A CSV file as text cells, and text cells as numbers or times."""

from __future__ import annotations

import csv
import datetime
import gzip
import math
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

#: Texts of cells whose value is missing.
MISSING = frozenset({"", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "?"})


def read_cells(path: str | os.PathLike[str]) -> dict[str, list[str]]:
    """Return the columns of a CSV file with a header row: name -> cells, missing ones as "".

    Cells and names are stripped of surrounding blanks; blank lines are passed over; a column
    without a name (the index of a data frame) is named "column 1" and so on.

    Args:
        path: A comma-separated UTF-8 file, compressed if its name ends in .gz.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be read.
        ValueError: Not UTF-8, not a table, or no rows; the message names the line.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"path={str(path)!r}: there is no such file.")
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            return _columns(path, file)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"path={str(path)!r} is not UTF-8 text ({error.reason}); "
            "save it as UTF-8 CSV, compressed only as .csv.gz."
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"path={str(path)!r} is not a whole gzip file: {error}.") from error
    except OSError as error:
        raise type(error)(f"path={str(path)!r} cannot be read: {error}.") from error


def _columns(path: Path, file) -> dict[str, list[str]]:
    reader = csv.reader(file, strict=True)
    header: list[str] = []
    rows: list[list[str]] = []
    line = 1  # where the current row starts: quoted cells may run over several lines
    try:
        for row in reader:
            if row and not header:
                header = _header(path, row)
            elif row:
                if len(row) != len(header):
                    raise ValueError(
                        f"path={str(path)!r}, line {line}: {len(row)} cells where the header has "
                        f"{len(header)}; mend that line (quote cells that contain commas)."
                    )
                rows.append([_cell(cell) for cell in row])
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"path={str(path)!r}, line {line}: {error}.") from error
    if not rows:
        what = "only a header row" if header else "nothing"
        raise ValueError(f"path={str(path)!r} holds {what}; a header row and data are needed.")
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}


def _header(path: Path, row: list[str]) -> list[str]:
    names = [name.strip() or f"column {i}" for i, name in enumerate(row, start=1)]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"path={str(path)!r}: column names must differ; repeated: {repeated}.")
    if len(names) == 1:
        raise ValueError(
            f"path={str(path)!r} has one column, {names[0]!r}; features and a target are needed, "
            "separated by commas (not by semicolons or tabs)."
        )
    return names


def _cell(text: str) -> str:
    text = text.strip()
    return "" if text in MISSING else text


def to_numbers(cells: Sequence[str]) -> np.ndarray | None:
    """Return the cells as float64 `[N]`, NaN for missing and infinite ones; None if one is text.

    >>> to_numbers(["1", "", "2.5e1"])
    array([ 1., nan, 25.])
    >>> to_numbers(["1", "one"]) is None
    True
    """
    numbers = np.full(len(cells), np.nan)
    for i, cell in enumerate(cells):
        if cell:
            number = to_number(cell)
            if number is None:
                return None
            numbers[i] = number if math.isfinite(number) else math.nan
    return numbers


def to_number(cell: str) -> float | None:
    """Return one cell as a number; None if it is text, as is 1_000, which Python would take."""
    if "_" in cell:
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def to_times(argument: str, cells: Sequence[str]) -> np.ndarray:
    """Return dates and times as datetime64[us] `[N]`, those with a time zone in UTC.

    Args:
        argument: What names the column, for errors.
        cells: Dates and times in ISO 8601 (2014-12-31 23:00).

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
        times = [time.astimezone(datetime.UTC).replace(tzinfo=None) for time in times]
    return np.array(times, "datetime64[us]")


def time_rank(name: str, cells: Sequence[str]) -> np.ndarray:
    """Return the row numbers in order of time, int64 `[N]`; equal times keep their order.

    Args:
        name: The column, for errors.
        cells: Numbers, or dates and times as `to_times` reads them.

    Raises:
        ValueError: A cell is missing or neither.

    >>> time_rank("day", ["2014-01-02", "2013-12-31"])
    array([1, 0])
    """
    if not all(cells):
        raise ValueError(
            f"time_order={name!r}: {sum(not c for c in cells)} cells are missing; every row "
            "needs a time."
        )
    numbers = to_numbers(cells)
    if numbers is None or not np.isfinite(numbers).all():
        numbers = to_times(f"time_order={name!r}", cells)
    return np.argsort(numbers, kind="stable")
