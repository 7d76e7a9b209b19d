"""What comes next at a station: levels, probabilities, alerts and the highest level of the day."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from policygrad_metrics import aqi
from policygrad_metrics.air.clock import show
from policygrad_metrics.air.forecast_files import at_least, chance_columns
from policygrad_metrics.air.station import Station
from policygrad_metrics.air.trained import Forecaster
from policygrad_metrics.data.text_file import csv_text
from policygrad_metrics.decision.rules import PluginGain
from policygrad_metrics.study.grid import Grid, Text


@dataclasses.dataclass(frozen=True, eq=False)
class Outlook:
    """The forecasts that a station's newest hours allow.

    Args:
        station: What is known.
        scale: Key of the air-quality scale.
        hours: The hours (or days) forecast, datetime64 `[H]`.
        chances: Probabilities of the levels `[H, K]`.
        levels: The level that the tuned decision names, int `[H]`.
        values: Concentrations `[H]`, NaN of models that forecast none.
        alerts: The level to warn of, int `[H]`; None if nobody asked.
    """

    station: Station
    scale: str
    hours: np.ndarray
    chances: np.ndarray
    levels: np.ndarray
    values: np.ndarray
    alerts: np.ndarray | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the levels."""
        return aqi.names(self.scale, self.station.pollutant)

    @property
    def at_least(self) -> np.ndarray:
        """P(level >= k), `[H, K]`."""
        return at_least(self.chances)

    @property
    def _time(self) -> str:
        return f"time ({self.station.zone})" if self.station.zone else "time"

    def text(self) -> str:
        """Return the forecasts as CSV, a line for each hour."""
        named, chances = chance_columns(self.chances)
        alert = [] if self.alerts is None else ["alert"]
        header = [self._time, "level", "name", *alert, f"forecast, {self.station.unit}", *named]
        rows = [
            [
                show(hour), self.levels[row], self.names[self.levels[row]],
                *([] if self.alerts is None else [self.alerts[row]]),
                "" if np.isnan(self.values[row]) else f"{self.values[row]:.6g}",
                *chances[row],
            ]
            for row, hour in enumerate(self.hours)
        ]  # fmt: skip
        return csv_text([header, *rows])

    def grid(self) -> Grid:
        """Return the forecasts as a table."""
        K, alert = self.chances.shape[1], [] if self.alerts is None else ["alert"]
        likely = [f"P(>= {k})" for k in range(1, K)]
        rows = [
            tuple(map(Text, (
                show(hour), f"{self.levels[row]} {self.names[self.levels[row]]}",
                *([] if self.alerts is None else [str(self.alerts[row])]),
                "-" if np.isnan(self.values[row]) else f"{self.values[row]:.0f}",
                *(f"{one:.2f}" for one in self.at_least[row, 1:]),
            )))
            for row, hour in enumerate(self.hours)
        ]  # fmt: skip
        header = (self._time, "level", *alert, self.station.unit, *likely)
        below = f"After {show(self.station.hours[-1])}, the newest {self.station.step} of the file."
        unlike = int((self.levels != self.chances.argmax(axis=1)).sum())
        if unlike:
            below += (
                f" In {unlike} of {len(rows)} rows the level is not the most probable one: the "
                "decision is tuned for the reward of the model card."
            )
        return Grid(f"{self.station.name}: what comes", header, tuple(rows), below)

    def days(self) -> list[DayMaximum]:
        """Return the highest level of today and of tomorrow, of the day of the newest hour.

        Of hours that are over the level counts, of others the forecast.
        """
        if self.station.is_daily:
            return []
        today = self.station.hours[-1].astype("datetime64[D]")
        return [self._day(day) for day in (today, today + 1)]

    def _day(self, day: np.datetime64) -> DayMaximum:
        station, K = self.station, self.chances.shape[1]
        past = (station.hours.astype("datetime64[D]") == day) & ~np.isnan(station.concentration)
        known = aqi.level(station.concentration[past], self.scale, station.pollutant).astype(int)
        ahead = self.hours.astype("datetime64[D]") == day
        highest = max([*known, *self.levels[ahead]], default=None)
        over = (known[:, None] >= np.arange(K)).any(axis=0)
        chances = self.at_least[ahead]
        low = np.maximum(chances.max(axis=0, initial=0.0), over)
        high = np.maximum(1.0 - np.prod(1.0 - chances, axis=0), over)
        return DayMaximum(day, highest, int(past.sum()), int(ahead.sum()), low, high)


@dataclasses.dataclass(frozen=True, eq=False)
class DayMaximum:
    """The highest level of a day's hours.

    Args:
        day: The day.
        level: The highest of the levels known and forecast; None if there is none.
        known: How many hours are known.
        forecast: How many are forecast.
        low: P(highest level >= k) `[K]` if the forecast hours rise and fall together.
        high: The same if they were independent; the truth is between.
    """

    day: np.datetime64
    level: int | None
    known: int
    forecast: int
    low: np.ndarray
    high: np.ndarray

    def words(self, names: Sequence[str], warned: int) -> str:
        """Return it as a sentence, with the probability of a level or a worse one."""
        if self.level is None:
            return f"{self.day}: no hour is known or forecast."
        low, high = self.low[warned], self.high[warned]
        return (
            f"{self.day}: highest level {self.level} ({names[self.level]}), of {self.known} hours "
            f"known and {self.forecast} forecast; P(level >= {warned}) {low:.2f} to {high:.2f}."
        )


def look_ahead(
    forecaster: Forecaster,
    path: Any,
    *,
    cost: Sequence[Sequence[float]] | None = None,
    floor: Mapping[int, float] | None = None,
) -> Outlook:
    """Forecast what comes after the end of a station's file.

    Args:
        forecaster: The models.
        path: The file, laid out as that of the training.
        cost: `K` rows (what comes) of `K` costs (what is warned of): the alert is the level of
            least expected cost.
        floor: Level -> probability: the alert is the highest of these levels k of which
            P(level >= k) is as large; 0 if none is.

    Raises:
        ValueError: Cost and floor do not fit the levels, or the file cannot be used.
    """
    station = forecaster.read(path)
    horizons = [*forecaster.deciders]
    found = [forecaster.chances(station, horizon) for horizon in horizons]
    chances = np.stack([one for one, _ in found])
    both = zip(forecaster.deciders.values(), chances, strict=True)
    made = Outlook(
        station=station,
        scale=forecaster.file.scale,
        hours=station.hours[-1] + np.array(horizons),
        chances=chances,
        levels=np.array([decider.decide(one[None])[0] for decider, one in both]),
        values=np.array([np.nan if value is None else value for _, value in found]),
    )
    return dataclasses.replace(made, alerts=alerts_of(made, cost, floor))


def alerts_of(
    found: Outlook, cost: Sequence[Sequence[float]] | None, floor: Mapping[int, float] | None
) -> np.ndarray | None:
    """Return the level to warn of at each hour; arguments and errors as for `look_ahead`."""
    K = found.chances.shape[1]
    if cost is not None and floor is not None:
        raise ValueError("cost (--cost) and floor (--floor) both decide about alerts: give one.")
    if cost is not None:
        widths = [len(row) for row in cost]
        if widths != [K] * K:
            raise ValueError(
                f"cost (--cost) must be {K} rows (the level that comes) of {K} costs (the level "
                f"that is warned of), got rows of {widths} costs."
            )
        if not np.isfinite(cost).all():
            raise ValueError("cost (--cost) must hold finite numbers alone; some are not.")
        gains = tuple(tuple(-float(one) for one in row) for row in cost)
        return PluginGain((gains,)).decide(found.chances[:, None, :])[:, 0]
    if floor is None:
        return None
    alerts = np.zeros(len(found.hours), int)
    for level, chance in sorted(floor.items()):
        if not 0 < level < K or not 0.0 < chance <= 1.0:
            raise ValueError(
                f"floor (--floor) must be levels from 1 to {K - 1} with probabilities above 0, "
                f"3=0.2, got {level}={chance}."
            )
        alerts[found.at_least[:, level] >= chance] = level
    return alerts
