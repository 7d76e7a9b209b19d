"""A station's series as an index is published from: averages, the overall index, daily values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from policygrad_metrics import aqi
from policygrad_metrics.air.averages import CAPTURE, average_of, averaged
from policygrad_metrics.air.clock import means_of
from policygrad_metrics.air.names import TITLES
from policygrad_metrics.air.station import Station
from policygrad_metrics.air.units import convert_unit
from policygrad_metrics.aqi.tables import OVERALL
from policygrad_metrics.core.checks import choose

#: How a day's value is made of its hours.
DAILY = ("max", "mean")


def published(station: Station, scale: str, average: str | None = None) -> Station:
    """Return a station with its concentrations in the scale's unit, averaged.

    Averaged hours stay known themselves, as a column that tells a concentration.

    Args:
        station: The station.
        scale: A key of `aqi.scales()`.
        average: One of `averages.AVERAGES`, or None for the hours themselves.

    Raises:
        ValueError: Another kind of unit without a temperature, averages of days, NowCast of a gas.
    """
    column = aqi.get_scale(scale).column(station.pollutant)
    if station.pollutant == OVERALL:
        return station
    values, how = _published(station, column, average)
    changed = dataclasses.replace(station, concentration=values, unit=column.unit)
    if how is None:
        note = _bands_note(column, station.is_daily)
        return dataclasses.replace(changed, notes=(*station.notes, *note))
    title = f"{TITLES[station.pollutant]}, hourly"
    note = f"{average_words(how)} of {TITLES[station.pollutant]} are predicted, not its hours."
    return dataclasses.replace(
        changed,
        weather={**station.weather, title: station.concentration},
        telling=station.telling | {title},
        notes=(*station.notes, note),
    )


def average_words(how: str) -> str:
    """Return what is averaged.

    >>> average_words("24")
    'means of 24 h (75 % of the hours known)'
    """
    if how == "nowcast":
        return "NowCast values (the US EPA's, of the last 12 h)"
    return f"means of {how} h ({CAPTURE * 100:.0f} % of the hours known)"


def _published(
    station: Station, column: aqi.Column, average: str | None, *, among_others: bool = False
) -> tuple[np.ndarray, str | None]:
    """Concentrations in the column's unit, and how they were averaged."""
    if average is not None and station.is_daily:
        raise ValueError(
            f"average={average!r} (--average) is of hours, and the file has a row for each day: "
            "leave it out."
        )
    how = average_of(average, column, among_others=among_others)
    values = convert_unit(
        station.concentration, station.unit, column.unit, station.pollutant, station.temperature
    )
    return averaged(values, how), how


def _bands_note(column: aqi.Column, daily: bool) -> list[str]:
    if column.averaging == "1 h" or daily:
        return []
    return [
        f"the scale's bands are meant for means of {column.averaging}; on hourly values they "
        "serve as labels only."
    ]


def overall_station(
    stations: Mapping[str, Station], scale: str, average: str | None = None
) -> Station:
    """Return the index over several pollutants of one station, as its concentration.

    Args:
        stations: Pollutant -> the same file, read for it.
        scale: A key of `aqi.scales()`; of one without index values the level itself counts.
        average: As for `published`; NowCast leaves gases to the scale's averaging times.

    Raises:
        ValueError: No pollutant of the scale, otherwise as for `published`.
    """
    record = aqi.get_scale(scale)
    own = {name: one for name, one in stations.items() if name in record.pollutants}
    if not own:
        raise ValueError(
            f"pollutant='overall' needs columns named after pollutants of {scale!r} "
            f"({', '.join(record.pollutants)}); the file has none."
        )
    first = next(iter(own.values()))
    # The first one's own column; those of the others are among its other columns.
    title = TITLES[first.pollutant]
    series, words = {}, []
    for name, one in own.items():
        column = record.column(name)
        series[name], how = _published(one, column, average, among_others=True)
        words.append(TITLES[name] + (f" ({average_words(how)})" if how else " (hours)"))
    found = aqi.overall(series, record)
    decided = {
        TITLES[name]: int((found.pollutant == name).sum())
        for name in own
        if (found.pollutant == name).any()
    }
    notes = [note for one in own.values() for note in one.notes]
    notes += [
        f"the overall index is the highest of {', '.join(words)}, of those known.",
        f"hours that each decides: {', '.join(f'{name} {n}' for name, n in decided.items())}.",
    ]
    return dataclasses.replace(
        first,
        pollutant=OVERALL,
        unit=record.column(OVERALL).unit,
        concentration=found.level if found.index is None else found.index,
        weather={**first.weather, title: first.concentration},
        telling=first.telling | {title},
        notes=tuple(dict.fromkeys(notes)),
    )


def to_days(station: Station, daily: str = "max") -> Station:
    """Return an hourly station by days: what was measured as highest value or mean.

    Days of which less than 75 % of the hours are known are missing. Weather is averaged over what
    is known; of texts the most frequent counts.

    Args:
        station: Hours.
        daily: "max" or "mean".

    Raises:
        ValueError: `daily` is neither.
    """
    choose("daily", daily, DAILY)
    days, place = np.unique(station.hours.astype("datetime64[D]"), return_inverse=True)
    N = len(days)
    values = means_of(station.concentration, place, N, CAPTURE * 24)
    if daily == "max":
        highest = np.full(N, -np.inf)
        np.maximum.at(highest, place, np.nan_to_num(station.concentration, nan=-np.inf))
        values = np.where(np.isnan(values), np.nan, highest)
    word = "highest value" if daily == "max" else "mean"
    known = int((~np.isnan(values)).sum())
    return dataclasses.replace(
        station,
        hours=days,
        concentration=values,
        weather={name: means_of(hours, place, N) for name, hours in station.weather.items()},
        texts={name: _most_frequent(cells, place, N) for name, cells in station.texts.items()},
        notes=(
            *station.notes,
            f"the {word} of each day is predicted: {known} of {N} days have 18 known hours.",
        ),
    )


def _most_frequent(cells: np.ndarray, place: np.ndarray, N: int) -> np.ndarray:
    """Of equally frequent texts the first in the alphabet; "" where none is known."""
    kinds: Sequence[str] = sorted(set(cells) - {""})
    counts = np.stack([np.bincount(place[cells == kind], minlength=N) for kind in kinds])
    found = np.array(kinds, object)[counts.argmax(axis=0)]
    found[counts.sum(axis=0) == 0] = ""
    return found
