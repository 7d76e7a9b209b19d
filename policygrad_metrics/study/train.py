"""One method on one data set: from a job to its runs."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from policygrad_metrics.data import Prepared
from policygrad_metrics.study.evaluate import Outcome, evaluate_trials, probabilities
from policygrad_metrics.study.methods import LEARNING_RATE, TaskInfo, trial_hyperparameters
from policygrad_metrics.study.plan import Job
from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.training import (
    Network,
    Replica,
    Trained,
    train_replicas,
)

#: What the trainer hands to a loss beside the method's hyper-parameters.
_CLASS_WEIGHT = "class_weight"


def train_job(
    job: Job,
    settings: StudySettings,
    missing: Sequence[int],
    progress: Progress,
    share: float,
) -> Iterator[Run]:
    """Train the missing seeds and yield their runs as they finish.

    Args:
        job: Method and data set.
        settings: Network, seeds and the like.
        missing: The seeds that have no run yet.
        progress: Is told how far it is.
        share: What one run counts for in it.
    """
    cases = job.cases
    if not job.method.trains_network:
        parts_of = cases.last_labels if job.method.reads == "last_label" else cases.__getitem__
        for seed in missing:
            yield _fit_predictor(job, settings, parts_of(seed), seed)
            progress.advance(share)
        return
    for stack in cases.stacks():
        wanted = [seed for seed in stack if seed in missing]
        if wanted:
            # All of a stack are trained even if some are known: only the same stack gives the
            # same numbers to the last bit.
            parts = {seed: cases[seed] for seed in stack}
            runs = _train_networks(job, settings, parts, progress, share * len(wanted))
            yield from (run for run in runs if run.seed in wanted)


def _info(job: Job, arrays: Prepared) -> TaskInfo:
    scorer = job.scorer
    return TaskInfo.of(scorer.task, job.reward, arrays.y_train, scorer.num_classes)


def _trials(job: Job, settings: StudySettings) -> list[dict[str, float]]:
    """The hyper-parameters of all trials; one where there is nothing to choose."""
    found = [trial_hyperparameters(settings.seed, job.method, t) for t in range(settings.trials)]
    return found if found[0] else found[:1]


def _train_networks(
    job: Job,
    settings: StudySettings,
    parts: Mapping[int, Prepared],
    progress: Progress,
    share: float,
) -> list[Run]:
    """All seeds and trials of a method as one stack."""
    method, trials = job.method, _trials(job, settings)
    infos = {seed: _info(job, arrays) for seed, arrays in parts.items()}
    info = next(iter(infos.values()))

    def build_loss(values: dict[str, Any]) -> Any:
        own = values.pop(_CLASS_WEIGHT)
        return method.loss(dataclasses.replace(info, own_class_weight=own), values)

    replicas = [
        Replica(
            seed,
            settings.learning_rate * trial[LEARNING_RATE],
            {
                **{name: value for name, value in trial.items() if name != LEARNING_RATE},
                _CLASS_WEIGHT: infos[seed].class_weight,
            },
        )
        for seed in parts
        for trial in trials
    ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        trained = train_replicas(
            Network(settings.hidden, cumulative=method.cumulative),
            build_loss,
            job.scorer.reward,
            info.task,
            [parts[replica.seed] for replica in replicas],
            replicas,
            epochs=job.epochs,
            batch_size=settings.batch_size,
            warm_start=method.warm_start,
            num_classes=info.num_classes,
            on_epoch=lambda *_: progress.advance(share / job.epochs),
        )
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        progress.say(f"{job.label}: {message}")
    return [
        _run(job, seed, arrays, [one for one in trained if one.seed == seed])
        for seed, arrays in parts.items()
    ]


def _scores(job: Job, outcomes: Sequence[Outcome | None], arrays: Prepared) -> dict[str, Any]:
    method, truths = job.method, (arrays.y_valid, arrays.y_test)
    return evaluate_trials(job.scorer, method.decision, outcomes, *truths, tuning=method.tuning)


def _run(job: Job, seed: int, arrays: Prepared, trained: Sequence[Trained]) -> Run:
    """The run of one seed: the best of its trials, and the cost of them all."""
    task = job.scorer.task
    outcomes = [
        None
        if one.diverged
        else Outcome(probabilities(one.valid_outputs, task), probabilities(one.test_outputs, task))
        for one in trained
    ]
    scores = _scores(job, outcomes, arrays)
    shown = trained[scores.get("trial_plain", 0)]
    return Run(
        data=job.dataset.name,
        method=job.method.name,
        seed=seed,
        diverged=not scores,
        best_epoch=shown.best_epoch + 1,
        history=shown.history,
        steps=sum(one.steps for one in trained),
        seconds=sum(one.seconds for one in trained),
        reward_evaluations=sum(one.reward_evaluations for one in trained),
        **scores,
    )


def _fit_predictor(job: Job, settings: StudySettings, arrays: Prepared, seed: int) -> Run:
    info, method = _info(job, arrays), job.method
    start = time.perf_counter()
    outcomes = []
    for trial in _trials(job, settings):
        model = method.model(info, trial, seed)
        model.fit(arrays.x_train, arrays.y_train)
        valid, test = (np.asarray(model.predict_proba(x)) for x in (arrays.x_valid, arrays.x_test))
        if info.task == "binary":
            valid, test = valid[:, 1], test[:, 1]
        outcomes.append(Outcome(valid, test))
    seconds = time.perf_counter() - start
    scores = _scores(job, outcomes, arrays)
    return Run(data=job.dataset.name, method=method.name, seed=seed, seconds=seconds, **scores)
