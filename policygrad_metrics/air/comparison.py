"""The forecasts of one station: a study of its levels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from policygrad_metrics import aqi
from policygrad_metrics.air import ForecastTask
from policygrad_metrics.air.cases import ForecastCases
from policygrad_metrics.air.content import answer, chosen_methods, forecast_grids, protocol
from policygrad_metrics.air.forecast_files import write_forecasts
from policygrad_metrics.air.forecasters import MENU, forecaster_names
from policygrad_metrics.air.plots import draw_forecasts
from policygrad_metrics.study.comparison import Study, compare
from policygrad_metrics.study.content import Extras
from policygrad_metrics.study.plan import Job
from policygrad_metrics.study.plan import plan as plan_study
from policygrad_metrics.study.settings import StudySettings


def plan(settings: StudySettings, task: ForecastTask) -> list[Job]:
    """Return what is to be trained.

    Args:
        settings: What was asked, `forecast_settings(station)`.
        task: `station.task()`.

    Raises:
        ValueError: A method or the reward is not known or does not suit levels.
    """
    names = forecaster_names(settings.methods, task.horizon)
    notes = (*task.dataset.notes, *_left_out(settings, task))
    task = dataclasses.replace(task, dataset=dataclasses.replace(task.dataset, notes=notes))
    return plan_study(
        dataclasses.replace(settings, methods=names),
        [task.dataset],
        menu=MENU,
        cases_of=lambda dataset, asked: ForecastCases(task, asked),
    )


def forecast(settings: StudySettings, jobs: Sequence[Job], directory: Path, **how: Any) -> Study:
    """Train what is missing, and report.

    Args:
        settings: What was asked.
        jobs: What `plan` gives.
        directory: Where to write.
        how: As for `study.comparison.compare`, and its errors.
    """
    task = cast(ForecastCases, jobs[0].cases).task
    for note in _left_out(settings, task) if how.get("progress") else ():
        how["progress"].say(note)
    extras = Extras(
        title=f"Forecasts of {task.dataset.title}, {task.dataset.name}",
        protocol=protocol(refit=settings.refit, members=settings.members),
        tables=lambda summary, runs: forecast_grids(task, summary, runs),
        pictures=lambda summary, runs: draw_forecasts(task, chosen_methods(runs), runs),
        colours=aqi.colours(task.scale, task.pollutant),
        answer=lambda summary, runs: answer(task, runs, summary.reward),
        shown=lambda summary, runs: chosen_methods(runs),
        features=(*task.dataset.numeric_names, *task.dataset.categorical_names),
    )
    done = compare(settings, jobs, directory, extras=extras, **how)
    write_forecasts(task, done.runs, directory)
    return done


def _left_out(settings: StudySettings, task: ForecastTask) -> list[str]:
    names = forecaster_names(settings.methods, task.horizon)
    lost = [name for name in MENU.names(settings.methods) if name not in names]
    return [
        f"{name} is left out: at horizon 0 nothing is known of earlier concentrations, so there is "
        "no last value."
        for name in lost
    ]
