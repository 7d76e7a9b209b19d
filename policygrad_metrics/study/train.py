"""One method on one data set: from a job to its runs (floor 5)."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from policygrad_metrics.data import Prepared, prepare, split
from policygrad_metrics.methods import TaskInfo, trial_hyperparameters
from policygrad_metrics.study.evaluate import evaluate, probabilities
from policygrad_metrics.study.plan import Job
from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.training import Network, Replica, train_replicas


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
    dataset = job.dataset
    if dataset.time_ordered and job.method.build is not None:
        # One split, so one compiled program for all seeds. All are trained even if some are
        # known: only the same stack gives the same numbers to the last bit.
        arrays = prepare(dataset, split(dataset, settings.seed))
        share *= len(missing) / settings.seeds
        runs = _train_networks(job, settings, arrays, settings.run_seeds, progress, share)
        yield from (run for run in runs if run.seed in missing)
        return
    for seed in missing:
        arrays = prepare(dataset, split(dataset, seed))
        if job.method.build is None:
            yield _fit_predictor(job, settings, arrays, seed)
            progress.advance(share)
        else:
            yield from _train_networks(job, settings, arrays, [seed], progress, share)


def _info(job: Job, arrays: Prepared) -> TaskInfo:
    scorer = job.scorer
    return TaskInfo.of(scorer.task, job.reward, arrays.y_train, scorer.num_classes)


def _train_networks(
    job: Job,
    settings: StudySettings,
    arrays: Prepared,
    seeds: Sequence[int],
    progress: Progress,
    share: float,
) -> list[Run]:
    info, method = _info(job, arrays), job.method
    hyper = trial_hyperparameters(settings.seed, method, 0)
    learning_rate = settings.learning_rate * hyper.pop("learning_rate_scale")
    each = share * len(seeds) / job.epochs
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        trained = train_replicas(
            Network(settings.hidden),
            lambda values: method.loss(info, values),
            job.scorer.reward,
            info.task,
            arrays,
            [Replica(seed, learning_rate, hyper) for seed in seeds],
            epochs=job.epochs,
            batch_size=settings.batch_size,
            warm_start=method.warm_start,
            num_classes=info.num_classes,
            on_epoch=lambda *_: progress.advance(each),
        )
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        progress.say(f"{job.label}: {message}")
    runs = []
    for one in trained:
        scores: dict[str, Any] = {}
        if not one.diverged:
            valid, test = (
                probabilities(outputs, info.task)
                for outputs in (one.valid_outputs, one.test_outputs)
            )
            scores = evaluate(
                job.scorer, method.decision, valid, arrays.y_valid, test, arrays.y_test
            )
        runs.append(
            Run(
                data=job.dataset.name,
                method=method.name,
                seed=one.seed,
                diverged=one.diverged,
                best_epoch=one.best_epoch + 1,
                history=one.history,
                steps=one.steps,
                seconds=one.seconds,
                reward_evaluations=one.reward_evaluations,
                **scores,
            )
        )
    return runs


def _fit_predictor(job: Job, settings: StudySettings, arrays: Prepared, seed: int) -> Run:
    info, method = _info(job, arrays), job.method
    start = time.perf_counter()
    model = method.model(info, trial_hyperparameters(settings.seed, method, 0), seed)
    model.fit(arrays.x_train, arrays.y_train)
    valid, test = (np.asarray(model.predict_proba(x)) for x in (arrays.x_valid, arrays.x_test))
    seconds = time.perf_counter() - start
    if info.task == "binary":
        valid, test = valid[:, 1], test[:, 1]
    scores = evaluate(job.scorer, method.decision, valid, arrays.y_valid, test, arrays.y_test)
    return Run(data=job.dataset.name, method=method.name, seed=seed, seconds=seconds, **scores)
