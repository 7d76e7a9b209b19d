"""The forecasts of one station: every method trained, kept and reported."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from policygrad_metrics.air import ForecastTask, predictions
from policygrad_metrics.air.content import (
    Forecasts,
    chosen_grid,
    describe,
    level_grid,
    protocol,
)
from policygrad_metrics.air.forecasters import forecaster_names
from policygrad_metrics.air.plots import draw_forecasts
from policygrad_metrics.air.settings import AirSettings, task_fingerprint
from policygrad_metrics.air.train import Job, train_job
from policygrad_metrics.data import prepare
from policygrad_metrics.study.compare import Study
from policygrad_metrics.study.content import content, summaries
from policygrad_metrics.study.evaluate import Scorer
from policygrad_metrics.study.plots import draw_all
from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.report import write_pages
from policygrad_metrics.study.runs import RunStore
from policygrad_metrics.study.table import Summary


def plan(settings: AirSettings, task: ForecastTask) -> list[Job]:
    """Return what is to be trained.

    Args:
        settings: What was asked.
        task: `settings.task()`.

    Raises:
        ValueError: A method or the reward is not known or does not suit levels.
    """
    dataset = task.dataset
    names = forecaster_names(settings.study.methods, task.horizon)
    scorer = Scorer.of(settings.reward, dataset.task, len(dataset.class_names))
    scorer.score(dataset.y, dataset.y)
    arrays = prepare(dataset, task.parts)
    epochs = settings.study.epochs_for(dataset)
    return [Job(task, arrays, scorer, name, epochs) for name in names]


def forecast(
    settings: AirSettings,
    jobs: Sequence[Job],
    directory: Path,
    *,
    resume: bool = True,
    progress: Progress | None = None,
) -> Study:
    """Train what is missing, and report.

    Args:
        settings: What was asked.
        jobs: `plan(settings, settings.task())`.
        directory: Where to write.
        resume: Go on from the runs in the directory, or move them aside.
        progress: Is told how far it is.

    Raises:
        StudyError: The directory is in use, cannot be written, or was made with other settings.
    """
    progress = progress or Progress()
    record = _record(settings, jobs)
    name, seeds = jobs[0].task.dataset.name, settings.study.run_seeds
    kept: dict[tuple[str, int], predictions.Predictions] = {}
    with RunStore.open(directory, record, resume=resume) as store:
        for job in jobs:
            for seed in seeds:
                found = predictions.load(predictions.path_of(directory, job.method, seed))
                if found is not None and (name, job.method, seed) in store.runs:
                    kept[job.method, seed] = found
            missing = [seed for seed in seeds if not _is_done(store, kept, name, job.method, seed)]
            share = 1 / len(jobs)
            progress.advance(share * (1 - len(missing) / len(seeds)))
            if not missing:
                continue
            progress.working_on(job.method)
            for run, made in train_job(job, settings, missing, progress, share / len(seeds)):
                # First the forecasts: a run that is on record has them.
                if made is not None:
                    predictions.save(predictions.path_of(directory, run.method, run.seed), made)
                    kept[run.method, run.seed] = made
                store.append(run)
        methods = {job.method for job in jobs}
        runs = tuple(r for r in store.runs.values() if r.method in methods and r.seed in seeds)
        tables = summaries(record, runs)
        html, markdown = _report(directory, record, tables[0], jobs[0].task, runs, kept)
    return Study(directory, tuple(tables), runs, record, html, markdown)


def _is_done(store: RunStore, kept: Forecasts, data: str, method: str, seed: int) -> bool:
    run = store.runs.get((data, method, seed))
    return run is not None and (run.diverged or (method, seed) in kept)


def _record(settings: AirSettings, jobs: Sequence[Job]) -> dict[str, Any]:
    job = jobs[0]
    study = dataclasses.replace(settings.study, methods=tuple(job.method for job in jobs))
    settings = dataclasses.replace(settings, study=study)
    print_of_task = task_fingerprint(job.task)
    return {
        "command": settings.command(),
        "chosen_data": [job.task.dataset.name],
        "methods": list(study.methods),
        "protocol": protocol(refit=settings.refit),
        "fixed": settings.fixed(),
        "data": {
            job.task.dataset.name: describe(job.task, job.epochs, settings.reward, print_of_task)
        },
    }


def _report(
    directory: Path,
    record: Mapping[str, Any],
    summary: Summary,
    task: ForecastTask,
    runs: Sequence[Run],
    forecasts: Forecasts,
) -> tuple[Path, Path]:
    shown = content(record, [summary])
    one = shown["sets"][0]
    levels = [level_grid(task, summary, runs, forecasts, column) for column in ("plain", "tuned")]
    first, *rest = one["tables"]
    chosen = chosen_grid(task, runs)
    own_tables = [*levels, chosen] if chosen else levels
    shown["sets"] = [{**one, "tables": (first, *own_tables, *rest)}]
    shown["title"] = f"Forecasts of {task.dataset.title}, {task.dataset.name}"
    drawn = draw_all(summary, runs, task.dataset.class_names, multilabel=False)
    usual = [picture for picture in drawn if picture.name != "confusion"]
    own = draw_forecasts(task, summary, runs, forecasts)
    return write_pages(directory, shown, {task.dataset.name: [*own, *usual]})
