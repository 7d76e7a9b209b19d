"""What a person asks of a forecast, and the command that asks it again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
from typing import Any

from policygrad_metrics.air import ForecastTask, forecast_task, read_station
from policygrad_metrics.data.target import number_text
from policygrad_metrics.study.settings import StudySettings, TableFile, fingerprint, join_names

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
class AirSettings:
    """Everything a forecast depends on.

    Args:
        path: The station's file, as the person wrote it.
        scale: A key of `aqi.scales()`.
        horizon: Hours ahead; 0 is from the weather alone.
        pollutant, unit, pollutant_column, time, drop: As for `air.read_station`.
        valid_from, test_from: As for `air.forecast_task`.
        dropout: Share of the hidden units that are dropped while training.
        refit: Whether every method, once its epochs are chosen, is trained anew on training and
            validation part together.
        study: Methods, reward, seeds and network; `AirSettings.of` makes it.
    """

    path: str
    study: StudySettings
    scale: str = "us_epa_2024"
    horizon: int = 24
    pollutant: str = "pm25"
    unit: str = "ug/m3"
    pollutant_column: str | None = None
    time: str | None = None
    drop: tuple[str, ...] = ()
    valid_from: str | None = None
    test_from: str | None = None
    dropout: float = 0.3
    refit: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must be a share from 0 to below 1, got {self.dropout!r}.")

    @classmethod
    def of(cls, path: str, study: dict[str, Any], **station: Any) -> AirSettings:
        """Return the settings of a file.

        Args:
            path: The file.
            study: Arguments of `StudySettings` (reward, methods, seeds, epochs, ...).
            station: The other fields.

        Raises:
            ValueError: An argument is out of range.

        >>> AirSettings.of("air.csv", {"seeds": 3}, horizon=1).study.reward
        'exact_bin'
        """
        chosen = {"reward": "exact_bin", "methods": PRINCIPAL, **study}
        table = TableFile(path, (station.get("pollutant", cls.pollutant),))
        return cls(path, StudySettings(**chosen, data=(), table=table), **station)

    @property
    def reward(self) -> str:
        """What forecasts are to maximise."""
        return self.study.reward or "exact_bin"

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
            reward=self.reward,
            valid_from=self.valid_from,
            test_from=self.test_from,
        )

    def fixed(self) -> dict[str, Any]:
        """What all runs of one directory must share, as plain values."""
        names = ("scale", "pollutant", "unit", "horizon")
        names += ("valid_from", "test_from", "dropout", "refit")
        return {**{name: getattr(self, name) for name in names}, **self.study.fixed()}

    def command(self) -> str:
        """Return the shell command that runs this forecast.

        >>> AirSettings.of("air.csv", {"seeds": 2}, horizon=1).command()[:61]
        'policygrad aqi air.csv --scale us_epa_2024 --horizon 1 --rewa'
        """
        words = ["policygrad", "aqi", self.path, "--scale", self.scale]
        words += ["--horizon", str(self.horizon), "--reward", self.reward]
        for name in ("pollutant", "unit", "pollutant_column", "time", "valid_from", "test_from"):
            if getattr(self, name) != getattr(AirSettings, name):
                words += [f"--{name.replace('_', '-')}", getattr(self, name)]
        if self.drop:
            words += ["--drop", join_names(self.drop)]
        study = self.study
        words += ["--methods", ",".join(study.methods)]
        for name in ("seeds", "seed", "epochs", "batch_size"):
            if getattr(study, name) is not None:
                words += [f"--{name.replace('_', '-')}", str(getattr(study, name))]
        words += ["--hidden", ",".join(map(str, study.hidden)) or "none"]
        words += ["--dropout", number_text(self.dropout)]
        words += ["--learning-rate", number_text(study.learning_rate)]
        words += ["--refit"] * self.refit
        return shlex.join(words)


def task_fingerprint(task: ForecastTask) -> str:
    """Return sixteen hexadecimal digits that change with anything a run depends on."""
    digest = hashlib.sha256(fingerprint(task.dataset).encode())
    for array in (task.concentration, task.last_known, task.parts.valid, task.parts.test):
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def directory_name(settings: AirSettings, task: ForecastTask) -> str:
    """Return a name that belongs to these settings and data: other ones get another."""
    text = json.dumps([settings.fixed(), settings.study.methods, task_fingerprint(task)])
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"aqi-{task.dataset.name[:40]}-{settings.horizon}h-{digest}"
