"""The settings of a forecast."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from policygrad_metrics.air import ForecastTask, forecast_task, read_station
from policygrad_metrics.data import Dataset
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.study.words import options

#: The forecasts that need no network of this package, then what it adds.
PRINCIPAL = (
    "persistence",
    "majority",
    "logistic_regression",
    "gradient_boosting",
    "cross_entropy",
    "policy_gradient",
    "policy_gradient_pure",
    "cumulative_link",
    "concentration_likelihood",
    "concentration_policy_gradient",
    "concentration_policy_gradient_likelihood",
)


@dataclasses.dataclass(frozen=True)
class StationFile:
    """A station's file, and what to forecast of it.

    Args:
        path: The file, as the person wrote it.
        scale: A key of `aqi.scales()`.
        horizon: Hours ahead; 0 is from the weather alone.
        pollutant, unit, pollutant_column, time, drop: As for `air.read_station`.
        valid_from, test_from: As for `air.forecast_task`.

    >>> " ".join(StationFile("air.csv", drop=("CO",)).words())
    'policygrad aqi air.csv --drop CO --scale us_epa_2024 --horizon 24'
    """

    path: str
    scale: str = "us_epa_2024"
    horizon: int = 24
    pollutant: str = "pm25"
    unit: str = "ug/m3"
    pollutant_column: str | None = None
    time: str | None = None
    drop: tuple[str, ...] = ()
    valid_from: str | None = None
    test_from: str | None = None
    #: The report's pictures are of the forecasts.
    keeps_predictions: ClassVar[bool] = True

    def task(self) -> ForecastTask:
        """Read the file; the errors are those of `read_station` and `forecast_task`."""
        station = read_station(
            self.path,
            pollutant=self.pollutant,
            unit=self.unit,
            pollutant_column=self.pollutant_column,
            time=self.time,
            drop=self.drop,
        )
        return forecast_task(
            station,
            self.scale,
            horizon=self.horizon,
            valid_from=self.valid_from,
            test_from=self.test_from,
        )

    def read(self) -> Dataset:
        """Return the data set of the task; the errors are those of `task`."""
        return self.task().dataset

    def words(self) -> list[str]:
        """Return how the command that forecasts it begins."""
        names = ("pollutant", "unit", "pollutant_column", "time", "valid_from", "test_from", "drop")
        changed = [name for name in names if getattr(self, name) != getattr(StationFile, name)]
        words = ["policygrad", "aqi", self.path]
        return words + options(self, *changed) + options(self, "scale", "horizon")

    def fixed(self) -> dict[str, Any]:
        """Return what all runs of one directory must share, beside the study's settings."""
        names = ("scale", "pollutant", "unit", "horizon", "valid_from", "test_from")
        return {name: getattr(self, name) for name in names}


def forecast_settings(station: StationFile, **study: Any) -> StudySettings:
    """Return the settings of a study of forecasts.

    Args:
        station: The file.
        study: Fields of `StudySettings` that are not to have a forecast's defaults.

    Raises:
        ValueError: An argument is out of range.

    >>> forecast_settings(StationFile("air.csv"), seeds=3).command()[:72]
    'policygrad aqi air.csv --scale us_epa_2024 --horizon 24 --reward exact_b'
    """
    defaults = {"reward": "exact_bin", "methods": PRINCIPAL, "dropout": 0.3}
    return StudySettings(**{**defaults, **study}, data=(), table=station)
