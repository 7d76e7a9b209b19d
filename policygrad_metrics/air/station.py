"""One station's hourly file: a pollutant, weather, and what is missing."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from policygrad_metrics.air.clock import place_on_clock, read_hours, show
from policygrad_metrics.aqi import check_units
from policygrad_metrics.core.checks import choose
from policygrad_metrics.data.cells import to_number, to_numbers
from policygrad_metrics.data.reading import read_cells

#: Pollutants as the scales name them -> how people write them.
TITLES = {"pm25": "PM2.5", "pm10": "PM10", "o3": "O3", "no2": "NO2", "so2": "SO2", "co": "CO"}
#: A column of more different texts is not used as weather.
MOST_TEXTS = 24
_ROW_NUMBERS = ("No", "column 1")
_FACTORS = {("ug/m3", "mg/m3"): 1e-3, ("ppb", "ppm"): 1e-3}


@dataclasses.dataclass(frozen=True, eq=False)
class Station:
    """Every hour from the first to the last, one after the other.

    Args:
        name: Short name, of the file.
        pollutant: A key of `TITLES`.
        unit: Of the concentrations.
        hours: datetime64[h] `[N]`, without a gap.
        concentration: float64 `[N]`, NaN where it is not known.
        weather: Name -> float64 `[N]`, NaN where it is not known.
        texts: Name -> texts `[N]`, such as a wind direction; "" where it is not known.
        notes: What was missing, left out or put in order.
    """

    name: str
    pollutant: str
    unit: str
    hours: np.ndarray
    concentration: np.ndarray
    weather: Mapping[str, np.ndarray]
    texts: Mapping[str, np.ndarray]
    notes: tuple[str, ...] = ()


def read_station(
    path: str | os.PathLike[str],
    *,
    pollutant: str = "pm25",
    unit: str = "ug/m3",
    pollutant_column: str | None = None,
    time: str | None = None,
    drop: Sequence[str] = (),
) -> Station:
    """Read an hourly file in the UCI Beijing layout, or with columns that you name.

    Missing values stay missing: nothing is filled. Other pollutants, row numbers and columns
    of one value are left out and named in the notes; all other columns are weather.

    Args:
        path: A CSV file with a header row, compressed if its name ends in .gz.
        pollutant: "pm25", "pm10", "o3", "no2", "so2" or "co".
        unit: Of the file's concentrations: "ug/m3", "mg/m3", "ppb" or "ppm".
        pollutant_column: Its column; by default the one that is named after it.
        time: The column of dates and hours; by default year, month, day, hour.
        drop: Columns to leave out.

    Raises:
        ValueError: A name is not known (the nearest is offered), an hour occurs twice, the
            values look like another unit, are constant, negative or no numbers.
        OSError: The file cannot be read.
    """
    choose("pollutant", pollutant, TITLES)
    columns, _ = read_cells(path)
    hours, used = read_hours(columns, time)
    column = _column_of(columns, pollutant, pollutant_column)
    for name in drop:
        choose("drop", name, columns)
    every, places, notes = place_on_clock(hours)
    concentration = _concentration(column, columns[column], hours, pollutant, unit)
    gone = {*used, column, *drop, *_ROW_NUMBERS}
    weather, texts, more = _weather({k: v for k, v in columns.items() if k not in gone})
    on_clock = {name: _spread(values, places, len(every)) for name, values in weather.items()}
    spread = _spread(concentration, places, len(every))
    notes += [_missing(column, spread, "these hours are neither predicted nor scored."), *more]
    notes += [
        _missing(name, values, "their features are marked as missing.")
        for name, values in on_clock.items()
        if np.isnan(values).any()
    ]
    return Station(
        name=Path(path).name.split(".")[0] or "station",
        pollutant=pollutant,
        unit=unit,
        hours=every,
        concentration=spread,
        weather=on_clock,
        texts={name: _spread(cells, places, len(every)) for name, cells in texts.items()},
        notes=tuple(notes),
    )


def convert_unit(values: np.ndarray, unit: str, wanted: str) -> np.ndarray:
    """Return concentrations in another unit of the same kind.

    Raises:
        ValueError: One is a mass and the other a share of the air.

    >>> convert_unit(np.array([0.5]), "mg/m3", "ug/m3")
    array([500.])
    """
    if unit == wanted:
        return values
    for (small, large), factor in _FACTORS.items():
        if (unit, wanted) == (small, large):
            return values * factor
        if (unit, wanted) == (large, small):
            return values / factor
    raise ValueError(
        f"unit={unit!r} cannot be turned into the scale's {wanted!r}: one is a mass, the other a "
        "share of the air, and temperature and pressure lie between. Convert the file first."
    )


def _plain(name: str) -> str:
    """Lower case without signs, and without a unit in brackets: "PM2.5 (ug/m3)" is "pm25"."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"[(\[].*", "", name).lower())


def _column_of(columns: Mapping[str, Sequence[str]], pollutant: str, asked: str | None) -> str:
    if asked is not None:
        return choose("pollutant_column", asked, columns)
    found = [name for name in columns if _plain(name) == pollutant]
    if len(found) == 1:
        return found[0]
    several = ", ".join(map(repr, found)) if found else "no column"
    raise ValueError(
        f"the file has {several} named after {TITLES[pollutant]}: name the one to "
        f"predict with pollutant_column= (--pollutant-column). Its columns: "
        f"{', '.join(map(repr, columns))}."
    )


def _concentration(
    column: str, cells: Sequence[str], hours: np.ndarray, pollutant: str, unit: str
) -> np.ndarray:
    values = to_numbers(cells)
    if values is None:
        wrong = [row for row, cell in enumerate(cells) if cell and to_number(cell) is None]
        raise ValueError(
            f"column {column!r} must hold numbers or NA; {len(wrong)} cells are neither, the first "
            f"{cells[wrong[0]]!r} at {show(hours[wrong[0]])}."
        )
    known = values[~np.isnan(values)]
    if not len(known):
        raise ValueError(f"column {column!r} holds no number at all.")
    if (known < 0).any():
        row = int(np.flatnonzero(values < 0)[0])
        raise ValueError(
            f"column {column!r} holds {int((known < 0).sum())} negative values, the first "
            f"{values[row]:g} at {show(hours[row])}; write NA where nothing was measured, and 0 "
            "where an instrument reads just below."
        )
    if known.min() == known.max():
        raise ValueError(
            f"column {column!r} is {known[0]:g} in all {len(known)} hours: a constant series has "
            "nothing to forecast; is it the right column?"
        )
    try:
        check_units(known, pollutant, unit)
    except ValueError as error:
        raise ValueError(
            f"column {column!r}: {error} On the command line unit= is --unit."
        ) from error
    return values


def _weather(
    columns: Mapping[str, Sequence[str]],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], list[str]]:
    weather, texts, left = {}, {}, {}
    for name, cells in columns.items():
        different = set(cells) - {""}
        numbers = to_numbers(cells)
        if _plain(name) in TITLES:
            left[name] = "another pollutant"
        elif len(different) < 2:
            left[name] = "one value only"
        elif numbers is not None:
            weather[name] = numbers
        elif len(different) <= MOST_TEXTS:
            texts[name] = np.array(cells, dtype=object)
        else:
            left[name] = f"{len(different)} different texts"
    notes = [f"column {name!r} is not used: {why}." for name, why in left.items()]
    return weather, texts, notes


def _spread(values: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    nothing = "" if values.dtype == object else np.nan
    spread = np.full(size, nothing, dtype=values.dtype)
    spread[places] = values
    return spread


def _missing(name: str, values: np.ndarray, then: str) -> str:
    unknown = np.isnan(values)
    if not unknown.any():
        return f"{name!r} is known in every hour."
    ends = np.flatnonzero(np.diff(np.concatenate([[False], unknown, [False]]).astype(int)))
    longest = int((ends[1::2] - ends[::2]).max())
    return (
        f"{name!r} is missing in {int(unknown.sum())} of {len(values)} hours "
        f"({unknown.mean():.1%}), at most {longest} in a row; {then}"
    )
