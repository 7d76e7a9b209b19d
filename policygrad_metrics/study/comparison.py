"""The comparison itself: every method on every data set with every seed, fairly.

Fairness, for every method on a data set: the same network with the same first weights per seed,
the same order of the data per seed, the same epochs and steps; a split of its own for each seed
where the rows may be shuffled; weights and decisions chosen on the validation part; the test
part read once, at the end.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from policygrad_metrics.study.best import best_runs, with_parts
from policygrad_metrics.study.cases import Cases
from policygrad_metrics.study.content import Extras, overall_grid, published_grids
from policygrad_metrics.study.grid import Grid
from policygrad_metrics.study.one_table import read_arguments
from policygrad_metrics.study.plan import Job, plan, settings_record
from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.report import Reports, write_reports
from policygrad_metrics.study.runs import RunStore
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.study.train import train_job
from policygrad_metrics.study.workers import (
    Todo,
    processes_for,
    train_elsewhere,
    train_in_processes,
)

__all__ = ["Study", "compare", "compare_table", "plan"]


@dataclasses.dataclass(frozen=True)
class Study(Reports):
    """The result of a comparison: its reports, what they say, and where it comes from.

    Args:
        directory: Where the runs and reports are.
        runs: All runs of the comparison.
        settings: As in `settings.json`.
        more: What else is shown as tables: published figures, and over all data sets.
    """

    directory: Path
    runs: tuple[Run, ...]
    settings: Mapping[str, Any]
    more: tuple[Grid, ...]


def compare(
    settings: StudySettings,
    jobs: Sequence[Job],
    directory: Path,
    *,
    resume: bool = True,
    progress: Progress | None = None,
    workers: int | None = 0,
    executor: Executor | None = None,
    extras: Extras | None = None,
) -> Study:
    """Train what is missing, and report.

    Args:
        settings: What was asked.
        jobs: `plan(settings, settings.datasets())`.
        directory: Where to write.
        resume: Go on from the runs in the directory, or move them aside.
        progress: Is told how far it is.
        workers: In how many other processes to train: 0 for none but this one, None for as many as
            there are cores if there is much to do. They start Python anew, so a script that asks
            for them must be importable (`if __name__ == "__main__":`).
        executor: Trains instead, such as that of `study.workers.cluster`; `workers` is then how
            many jobs it is given at a time, None or 0 for all. Its processes need nothing but this
            package.
        extras: What the reports of such data contain beyond the usual.

    Raises:
        StudyError: The directory is in use, cannot be written, or was made with other settings; a
            worker ended.
    """
    progress = progress or Progress()
    ran = tuple(dict.fromkeys(job.method.name for job in jobs))
    settings = dataclasses.replace(settings, methods=ran)
    record = settings_record(settings, jobs)
    if extras is not None:
        record = extras.added_to(record)
    keeps = settings.keeps_predictions
    with RunStore.open(directory, record, resume=resume, predictions=keeps) as store:
        if store.repaired:
            progress.say(f"a torn last line of {store.repaired} bytes was removed from the runs.")
        trained = with_parts(jobs)
        whole = sum(job.work for job in trained)
        todos = [_todo(job, settings, store, job.work / whole) for job in trained]
        progress.advance(1 - sum(todo.share for todo in todos))
        todos = [todo for todo in todos if todo.missing]
        for run in _train(todos, progress, workers, executor):
            store.append(run)
        for run in list(best_runs(jobs, settings.run_seeds, store.runs)):
            store.append(run)
        keys = {(job.dataset.name, job.method.name) for job in jobs}
        runs = tuple(run for run in store.runs.values() if run.key[:2] in keys)
        made = write_reports(directory, record, runs, extras)
    more = (*published_grids(record, made.tables), *map(overall_grid, made.overall))
    return Study(**vars(made), directory=directory, runs=runs, settings=record, more=more)


def compare_table(
    source: Any,
    target: str | Sequence[str],
    directory: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
    workers: int | None = 0,
    **how: Any,
) -> Study:
    """Compare methods on a table, or go on from the runs in the directory.

    Args:
        source: A CSV file, a Parquet file, a frame of pandas, polars or Arrow, or a dict of
            columns.
        target: The column to predict, or several 0/1 columns.
        directory: Where to write the runs and the reports.
        progress, workers: As for `compare`.
        how: Fields of `TableFile`, of `StudySettings` (such as `methods`, `seeds`, `reward` or
            `subject_to`), and of `data.Reading`.

    Raises:
        ValueError: An argument is out of range, or the table cannot be used.
        StudyError: As for `compare`.

    >>> import tempfile
    >>> x = [number % 17 for number in range(200)]
    >>> table = {"x": x, "y": ["high" if one > 11 else "low" for one in x]}
    >>> with tempfile.TemporaryDirectory() as out:
    ...     found = compare_table(table, "y", out, methods=("majority", "logistic_regression"))
    ...     [row.method for row in found.tables[0].rows]
    ['logistic_regression', 'majority']
    """
    settings = read_arguments("compare_table", source, target, how)
    jobs = plan(settings, settings.datasets())
    return compare(settings, jobs, Path(directory), progress=progress, workers=workers)


def _todo(job: Job, settings: StudySettings, store: RunStore, share: float) -> Todo:
    missing = tuple(
        seed
        for seed in settings.run_seeds
        if (job.dataset.name, job.method.name, seed) not in store.runs
    )
    return Todo(job, missing, share * len(missing) / settings.seeds)


def _train(
    todos: Sequence[Todo], progress: Progress, workers: int | None, executor: Executor | None
) -> Iterator[Run]:
    if executor is not None:
        return train_elsewhere(todos, executor, progress, at_once=workers or None)
    if processes := processes_for(todos, workers):
        return train_in_processes(todos, processes, progress)
    return _train_here(todos, progress)


def _train_here(todos: Sequence[Todo], progress: Progress) -> Iterator[Run]:
    last: Cases | None = None
    for todo in todos:
        if last is not None and last is not todo.job.cases:
            last.forget()
        last = todo.job.cases
        progress.working_on(todo.job.label)
        yield from train_job(todo.job, todo.missing, progress.part(todo.share))
