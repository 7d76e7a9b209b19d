"""Forecasters to keep: one model for each horizon of a station, judged, saved and loaded."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from policygrad_metrics import aqi
from policygrad_metrics.air.comparison import plan
from policygrad_metrics.air.features import Features, make_features
from policygrad_metrics.air.names import title_of
from policygrad_metrics.air.settings import StationFile
from policygrad_metrics.air.station import Station
from policygrad_metrics.air.task import TEST, VALID, ForecastTask
from policygrad_metrics.data import Preparation
from policygrad_metrics.study.grid import Grid, Text
from policygrad_metrics.study.plan import Job
from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.study.trained.card import Card, confusion_grids, read_card
from policygrad_metrics.study.trained.decider import Decider
from policygrad_metrics.study.trained.fit import can_be_saved, fit_models
from policygrad_metrics.study.trained.judge import bootstrap_interval
from policygrad_metrics.study.trained.models import Networks
from policygrad_metrics.study.trained.schema import with_reading
from policygrad_metrics.study.trained.table import (
    check_folder,
    read_folder,
    understood,
    write_folder,
)
from policygrad_metrics.study.words import options

#: Steps that choose the decision of a forecaster that is kept, and that test it, at least.
LEAST = 24
#: What is trained unless a method is named: it gives a concentration as well as levels.
METHOD = "concentration_policy_gradient_likelihood"
_USE = """\
import policygrad_metrics as pgm

forecaster = pgm.air.Forecaster.load("model/")
outlook = pgm.air.look_ahead(forecaster, "station.csv")"""


@dataclasses.dataclass(frozen=True, eq=False)
class Forecaster:
    """Models that forecast a station's levels, one for each horizon.

    Args:
        file: How station files are read, and what is forecast; its path is that of the training.
        deciders: Hours (or days) ahead -> model.
        columns: What the features are made of, beside the concentration.
        card: What is to be known of it.
    """

    file: StationFile
    deciders: Mapping[int, Decider]
    columns: tuple[str, ...]
    card: Card

    def read(self, path: str | os.PathLike[str]) -> Station:
        """Read a file as the one of the training; the errors are those of `read_station`."""
        return dataclasses.replace(self.file, path=str(path), constant=True).levels_station()

    def chances(self, station: Station, horizon: int) -> tuple[np.ndarray, float | None]:
        """Return the probabilities of the levels `[K]` after the station's end, and the value.

        Args:
            station: What is known.
            horizon: Hours ahead, one of `deciders`.

        Raises:
            ValueError: No value is known so shortly before, or columns are missing.
        """
        features = make_features(longer(station, horizon), horizon)
        last = np.array([features.last_known[-1]])
        if np.isnan(last[0]):
            raise ValueError(
                f"{station.name}: no concentration is known shortly before the end, "
                f"{station.hours[-1]}; nothing can be forecast from there."
            )
        self._check_columns(station)
        decider = self.deciders[horizon]
        numeric, texts = _row(features, decider.preparation)
        found = _probabilities(decider, numeric, texts, last)
        return found[0][0], None if found[1] is None else float(found[1][0])

    def _check_columns(self, station: Station) -> None:
        lost = [name for name in self.columns if name not in {**station.weather, **station.texts}]
        if lost:
            raise ValueError(
                f"{station.name}: columns are missing, or hold nothing, that the model was trained "
                f"with: {', '.join(map(repr, lost))}. Give the file the columns of the training "
                "file."
            )

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the models; folder and errors are as for `TrainedTable.save`."""
        check_folder(Path(folder), "station")
        station = dataclasses.asdict(self.file)

        def save(made: Path) -> tuple[dict[str, Any], dict[str, Any]]:
            found = {}
            for horizon, decider in self.deciders.items():
                own = made / _folder(horizon)
                own.mkdir()
                found[str(horizon)] = decider.save(own)
            preparations = {name: one for name, (one, _) in found.items()}
            return {"deciders": preparations}, {name: one for name, (_, one) in found.items()}

        write_folder(Path(folder), save, {"station": station, "columns": self.columns}, self.card)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Forecaster:
        """Return the forecaster of a folder; the errors are as for `TrainedTable.load`."""
        folder = Path(folder)
        about, decisions = read_folder(folder, "station", "policygrad aqi --save")
        with understood(folder):
            deciders = {
                int(name): Decider.load(folder / _folder(int(name)), one, decisions[name])
                for name, one in about["deciders"].items()
            }
            file = StationFile(**with_reading(about["station"]))
            return cls(file, deciders, tuple(about["columns"]), read_card(about["card"]))


def _folder(horizon: int) -> str:
    return f"ahead_{horizon:02d}"


def longer(station: Station, steps: int) -> Station:
    """Return a station with as many steps more, of which nothing is known."""
    hours = np.concatenate([station.hours, station.hours[-1] + np.arange(1, steps + 1)])
    unknown = np.full(steps, np.nan)
    return dataclasses.replace(
        station,
        hours=hours,
        concentration=np.concatenate([station.concentration, unknown]),
        weather={k: np.concatenate([v, unknown]) for k, v in station.weather.items()},
        texts={
            k: np.concatenate([v, np.full(steps, "", object)]) for k, v in station.texts.items()
        },
    )


def _row(features: Features, preparation: Preparation) -> tuple[np.ndarray, np.ndarray]:
    """The last row, its columns in the order of the training."""
    numeric = dict(zip(features.numeric_names, features.numeric[-1], strict=True))
    texts = dict(zip(features.categorical_names, features.categorical[-1], strict=True))
    # A text that a short file lacks has had no share of its hours.
    shares = {name: 0.0 for name in preparation.numeric_names if "=" in name and ", share" in name}
    numeric = {**shares, **numeric}
    names = preparation.numeric_names, preparation.categorical_names
    # Columns of which no cell is filled are left out of a station.
    chosen = [numeric.get(name, np.nan) for name in names[0]]
    named = [texts.get(name, "") for name in names[1]]
    return np.array([chosen]), np.array([named], dtype=object).reshape(1, -1)


def _probabilities(
    decider: Decider, numeric: np.ndarray, texts: np.ndarray, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Probabilities of levels, and concentrations, of rows whose last known value is given."""
    x = decider.preparation.features(numeric, texts)
    models: Any = decider.models
    if isinstance(models, Networks) and models.policies is not None:
        start = np.asarray(models.policies[0].outputs_at(last), np.float32)
        x = np.hstack([x, start[:, None]])
    return models.probabilities(x), models.values(x)


def train_forecaster(
    file: StationFile,
    settings: StudySettings,
    horizons: Sequence[int],
    progress: Progress | None = None,
) -> Forecaster:
    """Train one method for several horizons of a station, and judge it on the test hours.

    Args:
        file: The station, and how its file is read.
        settings: `forecast_settings(file, methods=(name,), ...)`.
        horizons: Hours (or days) ahead, 1 or more.
        progress: Is told how far it is.

    Raises:
        ValueError: The method cannot be saved, a horizon is 0, or the file cannot be used.
    """
    check_station(file, horizons)
    progress, deciders, rows = progress or Progress(), {}, []
    tables: tuple[Grid, ...] = ()
    for number, horizon in enumerate(sorted(set(horizons))):
        task = dataclasses.replace(file, horizon=horizon).task()
        (job,) = plan(settings, task)
        if not can_be_saved(job.method):
            raise ValueError(
                f"method={job.method.name!r} (--methods) has no model that can be saved without "
                f"code in it: choose {METHOD}, cross_entropy, boosting_policy_gradient, ..."
            )
        progress.working_on(f"{job.label}, {horizon} ahead ({number + 1} of {len(horizons)})")
        models, tuner = fit_models(job, settings.seed, progress.part(1 / len(horizons)))
        preparation = Preparation.fit(task.dataset, task.parts.train)
        deciders[horizon] = Decider(preparation, models, tuner.rule_, "ordinal")
        row, tables = _judged(task, job, deciders[horizon])
        rows.append((Text(str(horizon)), *row))
    card = _card(file, settings, task, job, rows, tables)
    return Forecaster(file, deciders, task.columns, card)


def check_station(file: StationFile, horizons: Sequence[int]) -> None:
    """Raise unless forecasters of a file can be trained and judged; all of it before any is.

    Args:
        file: The station.
        horizons: Hours (or days) ahead.

    Raises:
        ValueError: A horizon is 0, the file cannot be used, or is too short.
    """
    if min(horizons) < 1:
        raise ValueError("horizon (--horizon) must be 1 or more to save a forecaster.")
    task = dataclasses.replace(file, horizon=max(horizons)).task()
    sizes = len(task.parts.valid), len(task.parts.test)
    if min(sizes) < LEAST:
        raise ValueError(
            f"{task.dataset.name}: {len(task.hours)} {task.step}s can be forecast {task.horizon} "
            f"{task.step}s ahead, of which {sizes[0]} would choose the decision and {sizes[1]} "
            f"test it; {LEAST} of each are needed. Give a file of "
            f"{round(LEAST / min(VALID, TEST)) + task.horizon} {task.step}s or more whose "
            "concentration is known (or dates that leave as many: valid_from=, test_from=; "
            "--valid-from, --test-from)."
        )


def _judged(
    task: ForecastTask, job: Job, decider: Decider
) -> tuple[tuple[Text, ...], tuple[Grid, ...]]:
    """The cells of a horizon's scores, and its confusions."""
    test, scorer, data = task.parts.test, job.cases.scorer, task.dataset
    last = task.last_known[test]
    chances, _ = _probabilities(decider, data.numeric[test], data.categorical[test], last)
    labels, truth = decider.decide(chances), data.y[test]
    found = [bootstrap_interval(scorer, truth, one) for one in (labels, task.persistence[test])]
    grids = confusion_grids(scorer.confusion(truth, labels), data.class_names, False)
    title = f"Confusion matrix, {task.horizon} {task.step}s ahead"
    return (
        tuple(Text(one.format(3)) for one in found),
        tuple(dataclasses.replace(grid, title=title) for grid in grids),
    )


def _written(horizons: Sequence[int]) -> str:
    """Horizons as the command line takes them.

    >>> _written([1, 2, 3]), _written([1, 6, 24]), _written([24])
    ('1..3', '1,6,24', '24')
    """
    first, last = horizons[0], horizons[-1]
    if len(horizons) > 2 and len(horizons) == last - first + 1:
        return f"{first}..{last}"
    return ",".join(map(str, horizons))


def _card(
    file: StationFile,
    settings: StudySettings,
    task: ForecastTask,
    job: Job,
    rows: Sequence[tuple[Text, ...]],
    tables: Sequence[Grid],
) -> Card:
    step, data = task.step, task.dataset
    reward = job.cases.reward
    scores = Grid(
        f"Test scores, {reward}",
        (f"{step}s ahead", "as saved", "persistence"),
        tuple(rows),
        f"Of {len(task.parts.test)} test {step}s at the longest horizon, which chose nothing; in "
        "brackets 95 % bootstrap intervals, of blocks in time. Persistence: it stays as it was.",
    )
    ahead = _written([int(row[0].text) for row in rows])
    words = [*file.words()[:-2], "--horizon", ahead, "--methods", job.method.name]
    words += options(settings, "reward", "seed")
    title = title_of(task.pollutant)
    return Card(
        title=f"Forecasts of {title} levels of {task.scale} at {data.name}",
        lead=f"Forecasts the level ({', '.join(aqi.names(task.scale, task.pollutant))}) "
        f"{ahead.replace('..', ' to ')} {step}s ahead, to maximise {reward}.",
        tables=(scores, *tables),
        method=(
            f"{job.method.name}: {job.method.summary}; one model for each horizon.",
            f"The first {len(task.parts.train)} {step}s trained, the next {len(task.parts.valid)} "
            f"chose epoch and decision, the last {len(task.parts.test)} tested.",
            "Known is what was measured up to the time of forecasting, and the calendar; no later "
            "weather.",
        ),
        limits=(
            "For this station, or one that is like it: judge it anew elsewhere.",
            "It learnt from past seasons: new sources, a moved instrument or rare episodes are "
            "not in it. It is no substitute for the warning service that is responsible.",
        ),
        use=(
            ("The next hours:", "policygrad forecast model/ station.csv --out outlook", "sh"),
            ("The same in Python:", _USE, "python"),
        ),
        command=shlex.join([*words, *settings.training_words(), "--save", "model"]),
        notes=tuple(data.notes),
    )
