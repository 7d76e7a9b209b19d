"""A station's levels to forecast: features, levels and three parts in order of time."""

from __future__ import annotations

import dataclasses

import numpy as np

from policygrad_metrics import aqi
from policygrad_metrics.air.clock import show
from policygrad_metrics.air.features import make_features, spans_of, used_columns
from policygrad_metrics.air.names import title_of
from policygrad_metrics.air.published import published, to_days
from policygrad_metrics.air.station import Station
from policygrad_metrics.data import Dataset, Split
from policygrad_metrics.data.splits import PARTS

#: The last shares of the hours that validate and test unless dates are given.
VALID, TEST = 0.2, 0.2
MOST_HORIZON = 24 * 14
#: A larger correlation with the concentration is no weather's.
_SUSPICIOUS = 0.9


@dataclasses.dataclass(frozen=True, eq=False)
class ForecastTask:
    """What is forecast, and from what; N hours whose concentration is known.

    Args:
        dataset: Features and levels, an ordinal task.
        parts: Rows that train, validate and test, one after the other.
        hours: datetime64[h] `[N]`, the hours forecast; datetime64[D] of days.
        concentration: float64 `[N]`, in the scale's unit.
        last_known: float64 `[N]`, the newest concentration when the forecast is made; NaN at
            horizon 0.
        scale: Key of the air-quality scale.
        pollutant: The pollutant.
        unit: Of the concentrations.
        horizon: Hours (or days) ahead; 0 is from the weather alone.
        zone: Of the clock, "UTC+08:00"; "" if it is not known.
        columns: The columns that features are made of.
    """

    dataset: Dataset
    parts: Split
    hours: np.ndarray
    concentration: np.ndarray
    last_known: np.ndarray
    scale: str
    pollutant: str
    unit: str
    horizon: int
    zone: str
    columns: tuple[str, ...]

    @property
    def step(self) -> str:
        """What a step in time is called: "hour" or "day"."""
        return "day" if np.datetime_data(self.hours.dtype)[0] == "D" else "hour"

    @property
    def persistence(self) -> np.ndarray:
        """The level of the last known value, int `[N]`; of horizons above 0 only."""
        return aqi.level(self.last_known, self.scale, self.pollutant).astype(int)


def forecast_task(
    station: Station,
    scale: str = "us_epa_2024",
    *,
    horizon: int = 24,
    reward: str = "exact_bin",
    valid_from: str | None = None,
    test_from: str | None = None,
    average: str | None = None,
    daily: str | None = None,
) -> ForecastTask:
    """Return the levels of a station as a forecasting task.

    Args:
        station: The station.
        scale: A key of `aqi.scales()`.
        horizon: Hours ahead (of days: days); 0 tells the level from the weather of the hour itself.
        reward: What forecasts are to maximise.
        valid_from: First day or hour of the validation part, "2013-01-01"; by default a fifth.
        test_from: First day or hour of the test part; by default the last fifth.
        average: Levels of "nowcast" values, of running means of "24" or "8" hours, or of the
            averaging time of the "scale"; None for those of the hours themselves.
        daily: Of an hourly station the "max" or the "mean" of each day; None for its hours.

    Raises:
        ValueError: An unknown scale, one without this pollutant, another kind of unit, a horizon
            out of range, dates that leave a part empty, or no feature.
    """
    station = levels_station(station, scale, average, daily)
    columns = tuple(name for found in used_columns(station, horizon) for name in found)
    _check_horizon(station, horizon, columns)
    values = station.concentration
    features = make_features(station, horizon)
    rows, notes = _rows(station, features.last_known, horizon)
    notes = [*station.notes, *notes, *_known_when(station, horizon)]
    hours = station.hours[rows]
    levels = aqi.level(values[rows], scale, station.pollutant).astype(np.int64)
    names = aqi.names(scale, station.pollutant)
    parts = _parts(hours, valid_from, test_from)
    notes += _lost_levels(station, levels, parts, names, scale)
    dataset = Dataset(
        name=station.name,
        title=f"{title_of(station.pollutant)} levels of {scale}, {_ahead(station, horizon)}",
        numeric=features.numeric[rows],
        categorical=features.categorical[rows],
        numeric_names=features.numeric_names,
        categorical_names=features.categorical_names,
        y=levels,
        class_names=names,
        task="ordinal",
        reward=reward,
        time_ordered=True,
        notes=tuple(notes),
    )
    last = features.last_known[rows]
    about = scale, station.pollutant, station.unit, horizon, station.zone, columns
    return ForecastTask(dataset, parts, hours, values[rows], last, *about)


def levels_station(station: Station, scale: str, average: str | None, daily: str | None) -> Station:
    """Return the station whose concentrations are forecast; arguments as for `forecast_task`."""
    station = published(station, scale, average)
    return to_days(station, daily) if daily is not None and not station.is_daily else station


def _ahead(station: Station, horizon: int) -> str:
    step = station.step
    return (
        f"{horizon} {step}{'s' * (horizon > 1)} ahead" if horizon else "from weather and calendar"
    )


def _check_horizon(station: Station, horizon: int, columns: tuple[str, ...]) -> None:
    whole = isinstance(horizon, int) and not isinstance(horizon, bool)
    if not whole or not 0 <= horizon <= MOST_HORIZON:
        raise ValueError(
            f"horizon must be a whole number of hours from 0 to {MOST_HORIZON}, got {horizon!r}."
        )
    if not horizon and not columns:
        telling = ", ".join(map(repr, sorted(station.telling)))
        names = f" ({telling} by name tell concentrations; weather=, --weather)" if telling else ""
        raise ValueError(
            "horizon=0 tells the level from the weather, but the file has no weather column"
            f"{names}; give a horizon of 1 hour or more."
        )


def _rows(station: Station, last_known: np.ndarray, horizon: int) -> tuple[np.ndarray, list[str]]:
    """The hours that can be forecast, and how many more are known but cannot."""
    known, notes = ~np.isnan(station.concentration), []
    step = station.step
    if horizon:
        stale = known & np.isnan(last_known)
        known &= ~stale
        if stale.any():
            one = f"1 {step} is left out: when it is forecast"
            many = f"{int(stale.sum())} {step}s are left out: when they are forecast"
            notes.append(
                f"{one if stale.sum() == 1 else many}, no value of the "
                f"{spans_of(station).most_age} {step}s before is known."
            )
    rows = np.flatnonzero(known)
    if len(rows) < 10:
        raise ValueError(
            f"only {len(rows)} {step}s can be forecast {horizon} {step}s ahead; at least 10 are "
            "needed."
        )
    return rows, notes


def _known_when(station: Station, horizon: int) -> list[str]:
    """What was known at the time of forecasting, and the columns it is made of."""
    telling = [name for name in (*station.weather, *station.texts) if name in station.telling]
    weather = [name for name in (*station.weather, *station.texts) if name not in station.telling]
    named = ", ".join(map(repr, telling))
    word, notes = station.step, []
    if not horizon:
        notes.append(f"known: weather of the {word} and before, the calendar; no concentration.")
        if telling:
            notes.append(
                f"not used, as their names tell concentrations or an index: {named}; what is "
                "weather among them can be named with weather= (--weather)."
            )
    else:
        notes.append(
            f"known: concentrations and weather up to {horizon} {word[0]} before the {word} "
            "forecast, and the calendar; no later weather."
        )
        if telling:
            notes.append(f"known of earlier {word}s only, as concentrations: {named}.")
    notes.append(f"weather: {', '.join(map(repr, weather)) or 'no column'}.")
    return notes + ([] if horizon else _suspects(station, weather))


def _suspects(station: Station, weather: list[str]) -> list[str]:
    """Columns that count as weather but follow the concentration as no weather does."""
    notes = []
    for name in weather:
        values = station.weather.get(name, np.full(len(station.hours), np.nan))
        both = ~np.isnan(values) & ~np.isnan(station.concentration)
        if both.sum() > 2 and min(values[both].std(), station.concentration[both].std()) > 0:
            r = float(np.corrcoef(values[both], station.concentration[both])[0, 1])
            if abs(r) > _SUSPICIOUS:
                notes.append(
                    f"{name!r} counts as weather, but follows the concentration (correlation "
                    f"{r:.2f}): leave it out if it is measured from it (--drop {name!r})."
                )
    return notes


def _parts(hours: np.ndarray, valid_from: str | None, test_from: str | None) -> Split:
    N = len(hours)
    second = _row(hours, "test_from", test_from, round((1 - TEST) * N))
    share = (1 - VALID - TEST) / (1 - TEST)
    first = _row(hours, "valid_from", valid_from, round(share * second))
    if not 0 < first < second < N:
        sizes = max(first, 0), max(second - first, 0), N - second
        raise ValueError(
            f"valid_from={valid_from!r} and test_from={test_from!r} leave parts of "
            f"{'/'.join(map(str, sizes))} hours (training/validation/test); each needs some. The "
            f"hours go from {show(hours[0])} to {show(hours[-1])}."
        )
    rows = np.arange(N)
    return Split(rows[:first], rows[first:second], rows[second:])


def _row(hours: np.ndarray, argument: str, start: str | None, otherwise: int) -> int:
    if start is None:
        return otherwise
    try:
        moment = np.datetime64(start.strip().replace(" ", "T")).astype(hours.dtype)
    except ValueError as error:
        raise ValueError(
            f"{argument} must be a date or hour such as 2014-01-01, got {start!r}."
        ) from error
    return int(np.searchsorted(hours, moment))


def _lost_levels(
    station: Station, levels: np.ndarray, parts: Split, names: tuple[str, ...], scale: str
) -> list[str]:
    """Notes of the levels that a part lacks; there must be two at least."""
    step = station.step
    if levels.min() == levels.max():
        raise ValueError(
            f"all {len(levels)} {step}s are at level {names[levels[0]]!r} of {scale!r}: there is "
            "nothing to tell apart; choose another scale."
        )
    notes = []
    for part, rows in zip(PARTS, (parts.train, parts.valid, parts.test), strict=True):
        counts = np.bincount(levels[rows], minlength=len(names))
        lost = [repr(name) for name, count in zip(names, counts, strict=True) if not count]
        if lost:
            notes.append(f"the {part} part has no {step} at level {', '.join(lost)}.")
    return notes
