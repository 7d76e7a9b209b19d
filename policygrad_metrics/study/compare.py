"""The comparison itself: every method on every data set with every seed, fairly.

Fairness, for every method on a data set: the same network with the same first weights per seed,
the same order of the data per seed, the same epochs and steps; a split of its own for each seed
where the rows may be shuffled; weights and decisions chosen on the validation part; the test
part read once, at the end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from policygrad_metrics.study.cases import Cases
from policygrad_metrics.study.content import published_grids, summaries
from policygrad_metrics.study.grid import Grid
from policygrad_metrics.study.overall import Overall, all_overall
from policygrad_metrics.study.overview import overall_grid
from policygrad_metrics.study.plan import Job, plan, settings_record
from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.report import write_reports
from policygrad_metrics.study.runs import RunStore
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.study.table import Summary
from policygrad_metrics.study.train import train_job
from policygrad_metrics.study.workers import Todo, processes_for, train_in_processes

__all__ = ["Study", "compare", "plan"]


@dataclasses.dataclass(frozen=True)
class Study:
    """What a comparison gave.

    Args:
        directory: Where the runs and reports are.
        tables: One per data set.
        runs: All runs of the comparison.
        settings: As in `settings.json`.
        html: Path of the HTML report.
        markdown: Path of the Markdown report.
        overall: Each column over all data sets, if there are several.
        more: What else is shown as tables: published figures, and over all data sets.
    """

    directory: Path
    tables: tuple[Summary, ...]
    runs: tuple[Run, ...]
    settings: Mapping[str, Any]
    html: Path
    markdown: Path
    overall: tuple[Overall, ...] = ()
    more: tuple[Grid, ...] = ()


def compare(
    settings: StudySettings,
    jobs: Sequence[Job],
    directory: Path,
    *,
    resume: bool = True,
    progress: Progress | None = None,
    workers: int | None = 0,
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

    Raises:
        StudyError: The directory is in use, cannot be written, or was made with other settings; a
            worker ended.
    """
    progress = progress or Progress()
    ran = tuple(dict.fromkeys(job.method.name for job in jobs))
    settings = dataclasses.replace(settings, methods=ran)
    record = settings_record(settings, jobs)
    with RunStore.open(directory, record, resume=resume) as store:
        if store.repaired:
            progress.say(f"a torn last line of {store.repaired} bytes was removed from the runs.")
        todos = [_todo(job, settings, store, 1 / len(jobs)) for job in jobs]
        progress.advance(1 - sum(todo.share for todo in todos))
        todos = [todo for todo in todos if todo.missing]
        processes = processes_for(todos, workers)
        train = train_in_processes if processes else _train_here
        for run in train(todos, settings, processes, progress):
            store.append(run)
        keys = {(job.dataset.name, job.method.name) for job in jobs}
        runs = tuple(run for run in store.runs.values() if (run.data, run.method) in keys)
        html, markdown = write_reports(directory, record, runs)
    tables = summaries(record, runs)
    over = tuple(all_overall(tables, runs))
    more = (*published_grids(record, tables), *map(overall_grid, over))
    return Study(directory, tuple(tables), runs, record, html, markdown, over, more)


def _todo(job: Job, settings: StudySettings, store: RunStore, share: float) -> Todo:
    missing = tuple(
        seed
        for seed in settings.run_seeds
        if (job.dataset.name, job.method.name, seed) not in store.runs
    )
    return Todo(job, missing, share * len(missing) / settings.seeds)


def _train_here(
    todos: Sequence[Todo], settings: StudySettings, processes: int, progress: Progress
) -> Iterator[Run]:
    """As `train_in_processes`, in this process."""
    del processes
    cases: Cases | None = None
    for job, missing, share in ((todo.job, todo.missing, todo.share) for todo in todos):
        if cases is None or cases.dataset is not job.dataset:
            cases = Cases(job.dataset, settings)
        progress.working_on(job.label)
        yield from train_job(job, settings, cases, missing, progress, share / len(missing))
