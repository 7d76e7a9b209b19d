"""One method on one task: from a job to its runs and forecasts (floor 5)."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from policygrad_metrics.air import ForecastTask
from policygrad_metrics.air_study.forecasters import PERSISTENCE
from policygrad_metrics.air_study.predictions import Predictions
from policygrad_metrics.air_study.settings import AirSettings
from policygrad_metrics.data import Prepared
from policygrad_metrics.decision import DecisionTuner
from policygrad_metrics.methods import METHODS, TaskInfo, trial_hyperparameters
from policygrad_metrics.study.evaluate import Scorer, decide, probabilities
from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.records import Run
from policygrad_metrics.training import Network, Replica, train_replicas

Made = tuple[Run, Predictions | None]


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """One method on the task, all seeds."""

    task: ForecastTask
    arrays: Prepared
    scorer: Scorer
    method: str
    epochs: int


def train_job(
    job: Job, settings: AirSettings, missing: Sequence[int], progress: Progress, share: float
) -> Iterator[Made]:
    """Train the missing seeds and yield their runs, with the forecasts of those that finished.

    Args:
        job: Method and task.
        settings: Network, seeds and the like.
        missing: The seeds that have no run yet.
        progress: Is told how far it is.
        share: What one run counts for in it.
    """
    if job.method == PERSISTENCE:
        made = _repeated(job, missing, _persistence(job), _last_known(job))
    elif METHODS[job.method].build is None:
        made = _repeated(job, missing, _fit(job, settings), None)
    else:
        # All are trained even if some are known: only the same stack gives the same numbers.
        share *= len(missing) / settings.study.seeds
        made = _train_networks(job, settings, settings.study.run_seeds, progress, share)
        yield from (one for one in made if one[0].seed in missing)
        return
    progress.advance(share * len(missing))
    yield from made


def _evaluated(
    job: Job,
    run: Run,
    decision: str,
    valid: np.ndarray,
    test: np.ndarray,
    concentration: np.ndarray | None = None,
) -> Made:
    scorer, y_valid, y_test = job.scorer, job.arrays.y_valid, job.arrays.y_test
    K = scorer.num_classes
    tuner = DecisionTuner(scorer.reward, ordinal=True).fit(valid, y_valid)
    plain, tuned = decide(test, scorer.task, K, decision), tuner.predict(test)
    run = dataclasses.replace(
        run,
        plain=scorer.score(y_test, plain),
        tuned=scorer.score(y_test, tuned),
        valid_plain=scorer.score(y_valid, decide(valid, scorer.task, K, decision)),
        valid_tuned=float(tuner.score_),
        confusion_plain=scorer.confusion(y_test, plain),
        confusion_tuned=scorer.confusion(y_test, tuned),
        decision=tuner.rule_.describe(),
    )
    return run, Predictions(
        chances=test.astype(np.float32),
        plain=plain.astype(np.int8),
        tuned=tuned.astype(np.int8),
        concentration=None if concentration is None else concentration.astype(np.float32),
    )


def _repeated(
    job: Job,
    seeds: Sequence[int],
    made: tuple[np.ndarray, np.ndarray, float],
    concentration: np.ndarray | None,
) -> Iterator[Made]:
    """The runs of a method that no seed changes: there is one split."""
    valid, test, seconds = made
    decision = METHODS[job.method].decision if job.method in METHODS else "arg_max"
    run, predictions = _evaluated(
        job, _run(job, 0, seconds=seconds), decision, valid, test, concentration
    )
    for seed in seeds:
        yield dataclasses.replace(run, seed=seed), predictions


def _run(job: Job, seed: int, **fields: Any) -> Run:
    return Run(data=job.task.dataset.name, method=job.method, seed=seed, **fields)


def _persistence(job: Job) -> tuple[np.ndarray, np.ndarray, float]:
    certain = np.eye(job.scorer.num_classes)[job.task.persistence]
    return certain[job.task.parts.valid], certain[job.task.parts.test], 0.0


def _last_known(job: Job) -> np.ndarray:
    return job.task.last_known[job.task.parts.test]


def _info(job: Job, settings: AirSettings) -> TaskInfo:
    return TaskInfo.of(job.scorer.task, settings.reward, job.arrays.y_train, job.scorer.num_classes)


def _fit(job: Job, settings: AirSettings) -> tuple[np.ndarray, np.ndarray, float]:
    start = time.perf_counter()
    method, seed = METHODS[job.method], settings.study.seed
    model = method.model(_info(job, settings), trial_hyperparameters(seed, method, 0), seed)
    model.fit(job.arrays.x_train, job.arrays.y_train)
    valid, test = (model.predict_proba(x) for x in (job.arrays.x_valid, job.arrays.x_test))
    return valid, test, time.perf_counter() - start


def _train_networks(
    job: Job, settings: AirSettings, seeds: Sequence[int], progress: Progress, share: float
) -> Iterator[Made]:
    study, method = settings.study, METHODS[job.method]
    info = _info(job, settings)
    hyper = trial_hyperparameters(study.seed, method, 0)
    learning_rate = study.learning_rate * hyper.pop("learning_rate_scale")
    each = share * len(seeds) / job.epochs
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        trained = train_replicas(
            Network(study.hidden, dropout=settings.dropout),
            lambda values: method.loss(info, values),
            job.scorer.reward,
            info.task,
            job.arrays,
            [Replica(seed, learning_rate, hyper) for seed in seeds],
            epochs=job.epochs,
            batch_size=study.batch_size,
            warm_start=method.warm_start,
            num_classes=info.num_classes,
            on_epoch=lambda *_: progress.advance(each),
        )
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        progress.say(f"{job.method}: {message}")
    for one in trained:
        run = _run(
            job,
            one.seed,
            diverged=one.diverged,
            best_epoch=one.best_epoch + 1,
            history=one.history,
            steps=one.steps,
            seconds=one.seconds,
            reward_evaluations=one.reward_evaluations,
        )
        if one.diverged:
            yield run, None
            continue
        valid, test = (
            probabilities(outputs, info.task) for outputs in (one.valid_outputs, one.test_outputs)
        )
        yield _evaluated(job, run, method.decision, valid, test)
