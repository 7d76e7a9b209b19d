"""One station's file: a pollutant, other columns, and what is missing."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from policygrad_metrics.air.clock import Clock, place_on_clock, show, spread
from policygrad_metrics.air.layout import (
    Columns,
    StationLayout,
    kinds_of_rows,
    select_rows,
    unfold_hours,
)
from policygrad_metrics.air.moments import Moments, read_moments
from policygrad_metrics.air.names import TITLES, find_pollutant, tells_concentration, unit_in
from policygrad_metrics.aqi import check_units
from policygrad_metrics.core.checks import choose
from policygrad_metrics.data.cells import to_number, to_numbers
from policygrad_metrics.data.faults import Faults
from policygrad_metrics.data.missing import refuse_likely_codes
from policygrad_metrics.data.reading import Reading, read_cells
from policygrad_metrics.data.written import odd_cells, refuse_odd_cells

#: A column of more different texts is not used.
MOST_TEXTS = 24
_ROW_NUMBERS = ("No", "column 1")


@dataclasses.dataclass(frozen=True, eq=False)
class Station:
    """Every hour (or day) from the first to the last, one after the other.

    Args:
        name: Short name, of the file.
        pollutant: A key of `names.TITLES`, or "overall".
        unit: Of the concentrations.
        hours: datetime64[h] `[N]`, or datetime64[D], without a gap.
        concentration: float64 `[N]`, NaN where it is not known.
        weather: Other columns of numbers: name -> float64 `[N]`, NaN where it is not known.
        texts: Name -> texts `[N]`, such as a wind direction; "" where it is not known.
        telling: Which of these tell a concentration: they may be known of earlier hours only.
        zone: Of the clock, "UTC+08:00"; "" if the file does not tell.
        temperature: Of the air, degrees Celsius, where masses become shares of the air.
        notes: What was missing, left out or put in order.
    """

    name: str
    pollutant: str
    unit: str
    hours: np.ndarray
    concentration: np.ndarray
    weather: Mapping[str, np.ndarray]
    texts: Mapping[str, np.ndarray]
    telling: frozenset[str] = frozenset()
    zone: str = ""
    temperature: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_daily(self) -> bool:
        """Whether the steps in time are days."""
        return np.datetime_data(self.hours.dtype)[0] == "D"

    @property
    def step(self) -> str:
        """What a step in time is called: "hour" or "day"."""
        return "day" if self.is_daily else "hour"


def read_station(
    path: str | os.PathLike[str],
    *,
    pollutant: str = "pm25",
    unit: str | None = None,
    pollutant_column: str | None = None,
    time: str | None = None,
    drop: Sequence[str] = (),
    layout: StationLayout | None = None,
    reading: Reading | None = None,
) -> Station:
    """Read a file in the UCI Beijing layout, or with columns that you name.

    Missing values stay missing: nothing is filled. Row numbers and columns of one value are left
    out and named in the notes. Columns whose names tell a concentration or an index are marked.

    Args:
        path: A CSV file, compressed if its name ends in .gz.
        pollutant: "pm25", "pm10", "o3", "no2", "so2" or "co".
        unit: "ug/m3", "mg/m3", "ppb" or "ppm"; None for the one that the file names, or ug/m3.
        pollutant_column: Its column; by default the one that is named after it.
        time: The column of dates and hours, as in `layout`; by default year, month, day, hour.
        drop: Columns to leave out.
        layout: What else there is to say of the file.
        reading: How its text is read.

    Raises:
        ValueError: All faults of the file, each with the way out.
        OSError: The file cannot be read.
    """
    choose("pollutant", pollutant, TITLES)
    layout = layout or StationLayout()
    if time is not None:
        layout = dataclasses.replace(layout, time=time)
    columns, notes = read_cells(path, reading, drop)
    columns, rows = select_rows(columns, layout)
    columns, unfolded = unfold_hours(columns)
    notes += [*rows, *(["a column for each hour became a row for each."] * unfolded)]
    faults = Faults(str(path))
    with faults.noted():
        for argument, names in (("drop", drop), ("weather", layout.weather)):
            for name in names:
                choose(argument, name, columns)
    columns = {name: cells for name, cells in columns.items() if name not in drop}
    moments, clock = _times(columns, layout, unfolded, faults)
    asked = (pollutant, unit, pollutant_column)
    column, unit, values = _series(columns, asked, moments, layout, faults)
    with faults.noted():  # negative numbers have a fault of their own
        cells = [cell for cell, x in zip(columns.get(column, ()), values, strict=False) if x >= 0]
        refuse_likely_codes({column: cells}, reading.missing if reading is not None else ())
    used = () if moments is None else moments.used
    others = {k: v for k, v in columns.items() if k not in (*used, column, *_ROW_NUMBERS)}
    with faults.noted():
        refuse_odd_cells(others, odd_cells(others))
    faults.stop()
    assert moments is not None
    assert clock is not None
    station = _on_clock(column, values, others, clock, layout)
    return dataclasses.replace(
        station,
        name=Path(path).name.split(".")[0] or "station",
        pollutant=pollutant,
        unit=unit,
        zone=moments.zone,
        temperature=layout.temperature,
        notes=(*notes, *moments.notes, *_negatives_note(column, values, layout), *station.notes),
    )


def _times(
    columns: Columns, layout: StationLayout, unfolded: bool, faults: Faults
) -> tuple[Moments | None, Clock | None]:
    """When the rows are, and their places; None where that has faults."""
    moments = None
    with faults.noted():
        moments = read_moments(columns, layout, unfolded=unfolded)
        apart = kinds_of_rows(columns, moments.used)
        clock = place_on_clock(
            moments.times, layout.step, layout.duplicates, apart, newest=layout.constant
        )
        return moments, clock
    return moments, None


def _series(
    columns: Columns,
    asked: tuple[str, str | None, str | None],
    moments: Moments | None,
    layout: StationLayout,
    faults: Faults,
) -> tuple[str, str, np.ndarray]:
    """The column, unit and numbers of the pollutant; `asked` is its name, unit and column."""
    pollutant, unit, named = asked
    column, values = "", None
    with faults.noted():
        column = find_pollutant(columns, pollutant, named)
        unit = _unit_of(column, unit, columns)
        with faults.noted():
            _check_cells(column, columns[column], moments)
        cells = [cell if to_number(cell) is not None else "" for cell in columns[column]]
        values = to_numbers(cells)
        assert values is not None
        with faults.noted():
            _check_series(column, values[~(values < 0)], pollutant, unit, layout.constant)
        with faults.noted():
            _check_negatives(column, values, layout.negative)
    return column, unit or "", np.empty(0) if values is None else values


def _on_clock(
    column: str, values: np.ndarray, others: Columns, clock: Clock, layout: StationLayout
) -> Station:
    """The station as far as its rows tell."""
    numeric, texts, left = _others(others, 1 if layout.constant else 2)
    values = np.where(values < 0, 0.0 if layout.negative == "zero" else np.nan, values)
    concentration = spread(values, clock, layout.duplicates)
    numbers = {name: spread(cells, clock, layout.duplicates) for name, cells in numeric.items()}
    step, told = clock.step, filter(tells_concentration, [*numeric, *texts])
    notes = [
        *clock.notes,
        _missing(column, concentration, f"these {step}s are neither predicted nor scored.", step),
        *left,
    ]
    notes += [
        _missing(name, found, "their features are marked as missing.", step)
        for name, found in numbers.items()
        if np.isnan(found).any()
    ]
    return Station(
        name="",
        pollutant="",
        unit="",
        hours=clock.steps,
        concentration=concentration,
        weather=numbers,
        texts={name: spread(cells, clock) for name, cells in texts.items()},
        telling=frozenset(told) - {*layout.weather},
        notes=tuple(notes),
    )


def _unit_of(column: str, unit: str | None, columns: Mapping[str, Sequence[str]]) -> str:
    """The unit that was given, or that the name or a column of units gives."""
    named, where = unit_in(column), column
    for name, cells in columns.items() if named is None else ():
        kinds = set(cells) - {""}
        if "unit" in name.lower() and len(kinds) == 1:
            named, where = unit_in(f"({kinds.pop()})"), name
    if unit is not None and named is not None and unit != named:
        raise ValueError(
            f"unit={unit!r} (--unit), but column {where!r} says {named}: leave the option out, or "
            "drop the column (--drop)."
        )
    return unit or named or "ug/m3"


def _check_cells(column: str, cells: Sequence[str], moments: Moments | None) -> None:
    wrong = [row for row, cell in enumerate(cells) if cell and to_number(cell) is None]
    if not wrong:
        return
    codes = ",".join(sorted({cells[row] for row in wrong})[:5])
    raise ValueError(
        f"column {column!r} must hold numbers or NA; in {len(wrong)} of {len(cells)} rows it holds "
        f"neither, first {cells[wrong[0]]!r} {_where(wrong[0], moments)}. If nothing was measured "
        f"there, say --missing '{codes}'."
    )


def _where(row: int, moments: Moments | None) -> str:
    if moments is None:
        return f"in row {row + 1} below the header"
    return f"at {show(moments.times[row])}"


def _check_negatives(column: str, values: np.ndarray, negative: str | None) -> None:
    below = values[values < 0]
    if not len(below):
        return
    positive = values[values > 0]
    most = float(np.median(positive)) if len(positive) else 0.0
    large = below[below < -most]
    if negative is None or len(large):
        codes = ",".join(sorted({f"{value:g}" for value in large})[:3])
        hint = f"{below.min():g} is not small: --missing={codes} if it means none; "
        raise ValueError(
            f"column {column!r} holds {len(below)} negative value{'s' * (len(below) > 1)}, "
            f"the least {below.min():g}; {hint if len(large) else ''}write NA where nothing was "
            "measured, and where an instrument reads just below zero choose negative='zero' or "
            "'missing' (--negative zero|missing)."
        )


def _negatives_note(column: str, values: np.ndarray, layout: StationLayout) -> list[str]:
    below = values[values < 0]
    words = f"negative values, the least {below.min(initial=0):g}, count as {layout.negative}"
    return [f"{column!r}: {len(below)} {words}."] if len(below) else []


def _check_series(
    column: str, values: np.ndarray, pollutant: str, unit: str, constant: bool
) -> None:
    known = values[~np.isnan(values)]
    if not len(known):
        raise ValueError(f"column {column!r} holds no number at all.")
    if known.min() == known.max() and not constant:
        raise ValueError(
            f"column {column!r} is {known[0]:g} in all {len(known)} rows: a constant series has "
            "nothing to forecast; is it the right column?"
        )
    try:
        check_units(known, pollutant, unit)
    except ValueError as error:
        raise ValueError(
            f"column {column!r}: {error} On the command line unit= is --unit."
        ) from error


def _others(
    columns: Mapping[str, Sequence[str]],
    least: int,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], list[str]]:
    numeric: dict[str, np.ndarray] = {}
    texts: dict[str, np.ndarray] = {}
    left: dict[str, list[str]] = {}
    for name, cells in columns.items():
        different = set(cells) - {""}
        numbers = to_numbers(cells)
        if len(different) < least:
            left.setdefault("one value only", []).append(name)
        elif numbers is not None:
            numeric[name] = numbers
        elif len(different) <= MOST_TEXTS:
            texts[name] = np.array(cells, dtype=object)
        else:
            left.setdefault(f"more than {MOST_TEXTS} different texts", []).append(name)
    notes = [
        f"{', '.join(map(repr, names))} {'is' if len(names) == 1 else 'are'} not used: {why}."
        for why, names in left.items()
    ]
    return numeric, texts, notes


def _missing(name: str, values: np.ndarray, then: str, step: str) -> str:
    unknown = np.isnan(values)
    if not unknown.any():
        return f"{name!r} is known in every {step}."
    longest = max(len([*run]) for gap, run in itertools.groupby(unknown) if gap)
    return (
        f"{name!r} is missing in {int(unknown.sum())} of {len(values)} {step}s "
        f"({unknown.mean():.1%}), at most {longest} in a row; {then}"
    )
