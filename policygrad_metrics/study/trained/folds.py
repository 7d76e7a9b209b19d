"""Cross-validation: of the methods that "best" chooses from, and of the one that was asked for."""

from __future__ import annotations

import dataclasses

import numpy as np

from policygrad_metrics.data import Dataset, Split
from policygrad_metrics.study.cases import Cases
from policygrad_metrics.study.plan import plan
from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.study.train import train_job

#: Over which "best" chooses.
_FOLDS = 5


def rows_to_choose_by(dataset: Dataset, parts: Split) -> Dataset:
    """Return the rows that a choice of the method may see: all but the test part, or the series."""
    if dataset.time_ordered:
        return dataset
    return dataset.take(np.sort(np.concatenate([parts.train, parts.valid])))


def compare_methods(
    dataset: Dataset, settings: StudySettings, progress: Progress
) -> dict[str, float]:
    """Return method -> mean reward of tuned decisions over five folds.

    Of a series it is the reward of the validation part. Where constraints are broken on average
    the worst excess counts, below all that keep them.

    Args:
        dataset: What `rows_to_choose_by` returns.
        settings: The methods, and how they are trained.
        progress: Is told how far it is.

    Raises:
        ValueError: A class has a single row.
    """
    column = "valid_tuned" if dataset.time_ordered else "tuned"
    if not dataset.time_ordered:
        least = min((count for count in dataset.counts if count), default=0)
        folds = min(_FOLDS, len(dataset) if dataset.task == "multilabel" else least)
        if folds < 2:
            raise ValueError(
                "method='best' (--method best) cross-validates, which needs two rows of every "
                "class outside the test part: name a method, or leave the rarest class out."
            )
        settings = dataclasses.replace(settings, folds=folds, seeds=folds, test_share=None)
    scores = {}
    for method, runs in _runs(dataset, settings, progress).items():
        if any(run.diverged for run in runs):
            continue
        broken = np.mean([run.broken_tuned or 0.0 for run in runs]) * (column == "tuned")
        mean = float(np.mean([getattr(run, column) for run in runs]))
        scores[method] = mean if broken <= 0.0 else -1e6 * (1 + float(broken))
    return scores


def cross_validated(dataset: Dataset, settings: StudySettings, progress: Progress) -> list[Run]:
    """Return a run for each fold, with nothing of the fold in what is prepared, trained or chosen.

    Of several methods each fold has the run of the one found best without it.

    Args:
        dataset: All rows.
        settings: The folds, the methods, and how they are trained.
        progress: Is told how far it is.

    Raises:
        ValueError: Training diverged on a fold.
    """
    cases, methods = Cases(dataset, settings), settings.methods
    chosen = dict.fromkeys(cases, methods[0])
    several = len(methods) > 1
    for seed in cases if several else ():
        rest = rows_to_choose_by(dataset, cases.split(seed))
        scores = compare_methods(rest, settings, progress.part(0.8 / len(cases)))
        chosen[seed] = max(scores, key=scores.__getitem__, default=methods[0])
    asked = dataclasses.replace(settings, methods=tuple(dict.fromkeys(chosen.values())))
    found = _runs(dataset, asked, progress.part(0.2 if several else 1.0))
    runs = [run for name in found for run in found[name] if chosen[run.seed] == name]
    if any(run.diverged for run in runs):
        raise diverged(methods[0], " on a fold")
    return sorted(runs, key=lambda run: run.seed)


def diverged(method: str, where: str = "") -> ValueError:
    """Return the error of a training whose numbers stopped being finite."""
    return ValueError(
        f"training of {method} diverged{where}: give a smaller learning rate, learning_rate= "
        "(--learning-rate)."
    )


def _runs(dataset: Dataset, settings: StudySettings, progress: Progress) -> dict[str, list[Run]]:
    jobs, found = plan(settings, [dataset]), {}
    for job in jobs:
        progress.working_on(f"{job.label}, cross-validation")
        found[job.method.name] = [*train_job(job, [*job.cases], progress.part(1 / len(jobs)))]
    return found
