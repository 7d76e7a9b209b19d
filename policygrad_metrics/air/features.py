"""What a forecaster may know: lags, trailing means, weather, calendar.

Every feature is first formed *at* an hour from that hour and those before it, then moved forward
by the horizon, so that the row of hour t holds what was known at t - horizon. The calendar of t
itself is known beforehand. At horizon 0 nothing is used that tells a concentration: the level is
told from the weather of the hour and of the days before alone.

Nothing is filled: a mean is taken of the hours that are known, and is NaN where fewer than half of
them are.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from policygrad_metrics.air.names import title_of
from policygrad_metrics.air.station import Station


@dataclasses.dataclass(frozen=True)
class Spans:
    """How far back features look, in steps of time.

    Args:
        unit: The letter of a step.
        weather_means: Of the trailing means of the weather.
        means: Of those of the concentration.
        changes: Over which the weather's changes are taken. They help to forecast, so horizon 0 has
            none.
        lags: Steps before the forecast whose concentrations are features, besides the last.
        most_age: The largest age of the last known concentration.
    """

    unit: str
    weather_means: tuple[int, ...]
    means: tuple[int, ...]
    changes: tuple[int, ...]
    lags: tuple[int, ...]
    most_age: int


HOURS = Spans("h", (6, 24, 72), (3, 6, 12, 24, 72), (3, 6, 12, 24), (1, 2, 3, 5, 11, 23), 24)
DAYS = Spans("d", (3, 7, 30), (2, 3, 7, 14, 30), (1, 2, 3, 7), (1, 2, 3, 6, 13), 7)


def spans_of(station: Station) -> Spans:
    """Return how far back the features of a station look."""
    return DAYS if station.is_daily else HOURS


def used_columns(station: Station, horizon: int) -> tuple[dict[str, np.ndarray], ...]:
    """Return the columns of numbers and of texts that features are made of.

    Args:
        station: The station.
        horizon: Steps ahead; at 0 none that tells a concentration.
    """
    gone = station.telling if not horizon else frozenset()
    return tuple(
        {name: values for name, values in columns.items() if name not in gone}
        for columns in (station.weather, station.texts)
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Features:
    """One row for each hour of the station.

    Args:
        numeric: float64 `[N, F]`, NaN where it is not known.
        numeric_names: F names.
        categorical: texts `[N, C]`.
        categorical_names: C names.
        last_known: float64 `[N]`, the newest concentration at the time of forecasting, NaN if it
            is too old; all NaN at horizon 0.
    """

    numeric: np.ndarray
    numeric_names: tuple[str, ...]
    categorical: np.ndarray
    categorical_names: tuple[str, ...]
    last_known: np.ndarray


def make_features(station: Station, horizon: int) -> Features:
    """Return the features of every hour (or day), forecast `horizon` of them before.

    Args:
        station: The station.
        horizon: Steps ahead; 0 for the weather alone.
    """
    spans = spans_of(station)
    unit = spans.unit
    weather, categories = used_columns(station, horizon)
    known = dict(weather)
    for name, values in weather.items():
        for hours in spans.weather_means:
            known[f"{name}, mean of {hours} {unit}"] = trailing_mean(values, hours)
        for hours in spans.changes if horizon else ():
            known[f"{name}, change over {hours} {unit}"] = values - moved(values, hours)
    for name, cells in categories.items():
        for text in sorted(set(cells) - {""}):
            # Missing texts count as missing, not as "another text".
            is_text = np.where(cells == "", np.nan, cells == text).astype(np.float64)
            for hours in spans.weather_means:
                known[f"{name}={text}, share of {hours} {unit}"] = trailing_mean(is_text, hours)
    last = np.full(len(station.hours), np.nan)
    if horizon:
        last, age = last_known(station.concentration, spans.most_age)
        known |= _concentrations(station, last, spans)
        known[f"{'days' if station.is_daily else 'hours'} since the last value"] = age
    numeric = {name: moved(values, horizon) for name, values in known.items()}
    numeric |= _calendar(station.hours)
    texts = [moved(cells, horizon) for cells in categories.values()]
    return Features(
        numeric=np.stack([*numeric.values()], axis=1),
        numeric_names=tuple(numeric),
        categorical=np.stack(texts, axis=1) if texts else np.empty([len(last), 0], object),
        categorical_names=tuple(categories),
        last_known=moved(last, horizon),
    )


def _concentrations(station: Station, last: np.ndarray, spans: Spans) -> dict[str, np.ndarray]:
    title, values = title_of(station.pollutant), station.concentration
    found = {f"log {title}, last known": np.log1p(last)}
    for lag in spans.lags:
        found[f"log {title}, {lag} {spans.unit} before"] = np.log1p(moved(values, lag))
    for steps in spans.means:
        name = f"log {title}, mean of {steps} {spans.unit}"
        found[name] = np.log1p(trailing_mean(values, steps))
    return found


def moved(values: np.ndarray, hours: int) -> np.ndarray:
    """Return the values that many hours earlier; the first are not known.

    >>> moved(np.array([1.0, 2.0, 3.0]), 1)
    array([nan,  1.,  2.])
    >>> moved(np.array([1.0, 2.0]), 6)
    array([nan, nan])
    """
    result = np.full_like(values, "" if values.dtype == object else np.nan)
    result[hours:] = values[: max(len(values) - hours, 0)]
    return result


def trailing_mean(values: np.ndarray, hours: int) -> np.ndarray:
    """Return the mean of what is known of an hour and those before, `hours` in all.

    NaN where fewer than half are known.

    >>> trailing_mean(np.array([1.0, 3.0, np.nan, np.nan]), 2)
    array([ 1.,  2.,  3., nan])
    """
    known = ~np.isnan(values)
    # Summed around the first value, so that few digits are lost over years of hours; around the
    # mean of all, what comes later would move the last digit.
    start = float(values[known][0]) if known.any() else 0.0
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values - start, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    first = np.maximum(np.arange(1, len(values) + 1) - hours, 0)
    total, count = sums[1:] - sums[first], counts[1:] - counts[first]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(2 * count >= hours, start + total / count, np.nan)


def last_known(values: np.ndarray, most_age: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the newest known value at each step, and its age; NaN if there is none.

    >>> last_known(np.array([np.nan, 5.0, np.nan]), 24)
    (array([nan,  5.,  5.]), array([nan,  0.,  1.]))
    """
    hours = np.arange(len(values))
    newest = np.maximum.accumulate(np.where(np.isnan(values), -1, hours))
    age = np.where(newest >= 0, hours - newest, np.nan)
    usable = (newest >= 0) & (hours - newest <= most_age)
    return np.where(usable, values[newest], np.nan), np.where(usable, age, np.nan)


def _calendar(hours: np.ndarray) -> dict[str, np.ndarray]:
    """Hour, season and weekend of the target hour itself."""
    days = hours.astype("datetime64[D]")
    of_day = ((hours - days) / np.timedelta64(1, "h")).astype(int)
    of_year = (days - days.astype("datetime64[Y]")).astype(int)
    day, year = 2 * np.pi * of_day / 24, 2 * np.pi * of_year / 365.25
    weekday = (days.astype(int) + 3) % 7  # 1970 began on a Thursday
    # Of days the hour is always the same.
    clock = (
        {}
        if np.datetime_data(hours.dtype)[0] == "D"
        else {
            "hour, sine": np.sin(day),
            "hour, cosine": np.cos(day),
        }
    )
    return {
        **clock,
        "season, sine": np.sin(year),
        "season, cosine": np.cos(year),
        "weekend": (weekday >= 5).astype(np.float64),
    }
