"""The settings of a forecast."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from policygrad_metrics import aqi
from policygrad_metrics.air.layout import StationLayout
from policygrad_metrics.air.names import TITLES, pollutant_of
from policygrad_metrics.air.published import overall_station
from policygrad_metrics.air.station import Station, read_station
from policygrad_metrics.air.task import ForecastTask, forecast_task, levels_station
from policygrad_metrics.aqi.tables import OVERALL
from policygrad_metrics.data import Dataset, Reading
from policygrad_metrics.data.reading import read_cells
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.study.words import options, reading_words

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
class StationFile(StationLayout):
    """A station's file, and what to forecast of it; further fields are those of `StationLayout`.

    Args:
        path: The file, as the person wrote it.
        scale: A key of `aqi.scales()`.
        horizon: Hours ahead (days, with step="day"); 0 is from the weather alone. None is a day.
        pollutant: As for `air.read_station`, or "overall".
        unit, pollutant_column, drop: As for `air.read_station`; several units as
            "ug/m3,co=mg/m3" for the overall index.
        valid_from, test_from, average: As for `air.forecast_task`.
        daily: The same; with step="day" the highest value of a day unless "mean".
        reading: How the file's text is read.

    Raises:
        ValueError: A choice is not known.

    >>> " ".join(StationFile("air.csv", drop=("CO",)).words())
    'policygrad aqi air.csv --drop CO --scale us_epa_2024 --horizon 24'
    """

    path: str
    scale: str = "us_epa_2024"
    horizon: int | None = None
    pollutant: str = "pm25"
    unit: str | None = None
    pollutant_column: str | None = None
    drop: tuple[str, ...] = ()
    valid_from: str | None = None
    test_from: str | None = None
    average: str | None = None
    daily: str | None = None
    reading: Reading = dataclasses.field(default_factory=Reading)
    #: The report's pictures are of the forecasts.
    keeps_predictions: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.horizon is None:
            object.__setattr__(self, "horizon", 24 if self.step == "hour" else 1)
        if self.daily is not None and self.step == "hour":
            raise ValueError("daily (--daily) goes with step='day' (--step day).")

    def task(self) -> ForecastTask:
        """Read the file; the errors are those of `read_station` and `forecast_task`."""
        assert self.horizon is not None
        return forecast_task(
            self._station(),
            self.scale,
            horizon=self.horizon,
            valid_from=self.valid_from,
            test_from=self.test_from,
            **self._levels(),
        )

    def levels_station(self) -> Station:
        """Read the file; the concentrations are those that are forecast."""
        return levels_station(self._station(), self.scale, **self._levels())

    def _levels(self) -> dict[str, Any]:
        """How concentrations become what is forecast."""
        return {
            "average": None if self.pollutant == OVERALL else self.average,
            "daily": (self.daily or "max") if self.step == "day" else None,
        }

    def _station(self) -> Station:
        """The station, of a file of hours by hours."""
        record = aqi.get_scale(self.scale)
        units = self._units()
        if self.pollutant != OVERALL:
            record.column(self.pollutant)
            return self._read(self.pollutant, units.get(self.pollutant, units.get("")))
        if self.pollutant_column is not None:
            raise ValueError(
                "pollutant_column (--pollutant-column) names one pollutant's column; the overall "
                "index takes those that are named after the scale's: rename them."
            )
        columns, _ = read_cells(self.path, self.reading)
        named = {pollutant_of(name) for name in columns if name not in self.drop}
        lost = [TITLES[name] for name in record.pollutants if name not in named]
        stations, faults = {}, {}
        for name in record.pollutants:
            try:
                if name in named:
                    stations[name] = self._read(name, units.get(name, units.get("")))
            except ValueError as error:
                faults[str(error)] = name
        if faults:
            also = f"\n(--drop leaves out a column of {', '.join(faults.values())}.)"
            raise ValueError("\n".join(faults) + also)
        found = overall_station(stations, self.scale, self.average)
        if not lost:
            return found
        note = f"the overall index is without {', '.join(lost)}: the file has no such column."
        return dataclasses.replace(found, notes=(*found.notes, note))

    def _units(self) -> dict[str, str]:
        """Pollutant -> unit; "" for all others."""
        words = [word.partition("=") for word in (self.unit or "").split(",") if word]
        return {name if equals else "": unit if equals else name for name, equals, unit in words}

    def _read(self, pollutant: str, unit: str | None) -> Station:
        return read_station(
            self.path,
            pollutant=pollutant,
            unit=unit,
            pollutant_column=self.pollutant_column,
            drop=self.drop,
            layout=self,
            reading=self.reading,
        )

    def read(self) -> Dataset:
        """Return the data set of the task; the errors are those of `task`."""
        return self.task().dataset

    def words(self) -> list[str]:
        """Return how the command that forecasts it begins."""
        names = [field.name for field in dataclasses.fields(self)]
        changed = [
            name
            for name in names
            if name not in ("path", "scale", "horizon", "reading")
            and getattr(self, name) != getattr(StationFile, name)
        ]
        words = ["policygrad", "aqi", self.path]
        words += [*options(self, *changed), *reading_words(self.reading)]
        return words + options(self, "scale", "horizon")

    def fixed(self) -> dict[str, Any]:
        """Return what all runs of one directory must share, beside the study's settings."""
        names = ("scale", "pollutant", "unit", "horizon", "valid_from", "test_from")
        more = {name: getattr(self, name) for name in ("step", "average", "daily")}
        changed = {k: v for k, v in more.items() if v != getattr(StationFile, k)}
        own = {name: getattr(self, name) for name in names}
        return {**own, "unit": self.unit or "ug/m3", **changed}


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
    if study.get("subject_to"):
        raise ValueError(
            "subject_to is for comparisons of decisions, policygrad compare; a forecast has no "
            "constraints: leave it out, or train with PolicyGradientLoss(subject_to=)."
        )
    defaults = {"reward": "exact_bin", "methods": PRINCIPAL, "dropout": 0.3}
    return StudySettings(**{**defaults, **study}, data=(), files=(station,))
