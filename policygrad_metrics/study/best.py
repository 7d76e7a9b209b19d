"""Methods that are the best of others by the validation part: runs made of the runs of others."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

from policygrad_metrics.study.plan import Job
from policygrad_metrics.study.records import Run


def with_parts(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs that train something: instead of a best one those that it is the best of."""
    found: dict[tuple[str, str], Job] = {}
    for job in jobs:
        trained = [Job(job.cases, part) for part in job.method.parts] or [job]
        for one in trained:
            found.setdefault((one.dataset.name, one.method.name), one)
    # The methods of a data set share what was prepared for it.
    order = {name: number for number, name in enumerate(job.dataset.name for job in jobs)}
    return sorted(found.values(), key=lambda job: order[job.dataset.name])


def best_runs(
    jobs: Sequence[Job], seeds: Sequence[int], runs: Mapping[tuple[str, str, int], Run]
) -> Iterator[Run]:
    """Yield the runs of best methods that are missing.

    Args:
        jobs: All jobs of the comparison.
        seeds: Those of the comparison.
        runs: What there is, by key; with the runs of all parts.
    """
    for job in jobs:
        for seed in seeds if job.method.best_of else ():
            name, data = job.method.name, job.dataset.name
            if (data, name, seed) not in runs:
                yield best_run(name, [runs[data, part, seed] for part in job.method.best_of])


def best_run(name: str, parts: Sequence[Run]) -> Run:
    """Return the run of the method that takes the better part, for either decision by itself.

    Args:
        name: Of the method. Of tuned decisions one that keeps the constraints is the better.
        parts: The runs of a data set and seed, of which the first of equal ones is taken.

    >>> network = Run("air", "network", 0, plain=0.5, valid_plain=0.6, tuned=0.7, valid_tuned=0.7)
    >>> trees = Run("air", "trees", 0, plain=0.4, valid_plain=0.8, tuned=0.6, valid_tuned=0.7)
    >>> best = best_run("best", [network, trees])
    >>> best.method, best.plain, best.tuned
    ('best', 0.4, 0.7)
    """
    plain = max(parts, key=lambda run: _score(run.valid_plain))
    tuned = max(parts, key=lambda run: (run.kept, _score(run.valid_tuned)))
    predictions = plain.predictions
    if predictions is not None and tuned.predictions is not None:
        predictions = dataclasses.replace(predictions, tuned=tuned.predictions.tuned)
    return dataclasses.replace(
        plain,
        method=name,
        tuned=tuned.tuned,
        valid_tuned=tuned.valid_tuned,
        confusion_tuned=tuned.confusion_tuned,
        broken_tuned=tuned.broken_tuned,
        kept=tuned.kept,
        decision=f"{tuned.method}: {tuned.decision}" if tuned.decision else "",
        trial_tuned=tuned.trial_tuned,
        steps=sum(run.steps for run in parts),
        seconds=sum(run.seconds for run in parts),
        reward_evaluations=sum(run.reward_evaluations for run in parts),
        predictions=predictions,
    )


def _score(value: float | None) -> float:
    return -math.inf if value is None else value
