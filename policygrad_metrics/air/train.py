"""One method on one task: from a job to its runs and forecasts."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import special

from policygrad_metrics.air import ForecastTask, concentration
from policygrad_metrics.air.forecasters import PERSISTENCE
from policygrad_metrics.air.predictions import Predictions
from policygrad_metrics.air.settings import AirSettings
from policygrad_metrics.data import Prepared
from policygrad_metrics.decision import DecisionTuner
from policygrad_metrics.study.evaluate import Scorer, decide, probabilities
from policygrad_metrics.study.methods import METHODS, TaskInfo, trial_hyperparameters
from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.records import Run
from policygrad_metrics.training import (
    Network,
    Replica,
    Trained,
    refit_replicas,
    train_replicas,
)

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
    elif job.method in METHODS and METHODS[job.method].build is None:
        made = _repeated(job, missing, _fit(job, settings), None)
    else:
        # All are trained even if some are known: only the same stack gives the same numbers.
        share *= len(missing) / settings.study.seeds
        on_value = job.method in concentration.METHODS
        train = _train_concentrations if on_value else _train_networks
        made = train(job, settings, settings.study.run_seeds, progress, share)
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
    value: np.ndarray | None = None,
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
        concentration=None if value is None else value.astype(np.float32),
    )


def _repeated(
    job: Job,
    seeds: Sequence[int],
    made: tuple[np.ndarray, np.ndarray, float],
    value: np.ndarray | None,
) -> Iterator[Made]:
    """The runs of a method that no seed changes: there is one split."""
    valid, test, seconds = made
    decision = METHODS[job.method].decision if job.method in METHODS else "arg_max"
    run, predictions = _evaluated(job, _run(job, 0, seconds=seconds), decision, valid, test, value)
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
    arrays = job.arrays

    def fitted(x, y):
        model = method.model(_info(job, settings), trial_hyperparameters(seed, method, 0), seed)
        return model.fit(x, y)

    model = fitted(arrays.x_train, arrays.y_train)
    valid = model.predict_proba(arrays.x_valid)
    if settings.refit:
        both = (arrays.x_train, arrays.x_valid), (arrays.y_train, arrays.y_valid)
        model = fitted(*map(np.concatenate, both))
    return valid, model.predict_proba(arrays.x_test), time.perf_counter() - start


def _train_networks(
    job: Job, settings: AirSettings, seeds: Sequence[int], progress: Progress, share: float
) -> Iterator[Made]:
    """A method of the table, on a network of level log-odds or of a cumulative link."""
    study, method = settings.study, METHODS[job.method]
    info = _info(job, settings)
    hyper = trial_hyperparameters(study.seed, method, 0)
    learning_rate = study.learning_rate * hyper.pop("learning_rate_scale")
    trained = _replicas(
        job,
        settings,
        progress,
        share,
        network=Network(study.hidden, dropout=settings.dropout, cumulative=method.cumulative),
        build_loss=lambda values: method.loss(info, values),
        data=job.arrays,
        replicas=[Replica(seed, learning_rate, hyper) for seed in seeds],
        warm_start=method.warm_start,
        num_classes=info.num_classes,
    )
    for one, run in trained:
        valid, test = (
            probabilities(outputs, info.task) for outputs in (one.valid_outputs, one.test_outputs)
        )
        yield (run, None) if one.diverged else _evaluated(job, run, method.decision, valid, test)


def _train_concentrations(
    job: Job, settings: AirSettings, seeds: Sequence[int], progress: Progress, share: float
) -> Iterator[Made]:
    """A method on a network that forecasts the concentration."""
    method = concentration.METHODS[job.method]
    policy = concentration.concentration_policy(job.task, method)
    data = concentration.with_start(job.task, job.arrays, policy)
    loss = method.loss(settings.reward, policy)
    trained = _replicas(
        job,
        settings,
        progress,
        share,
        network=concentration.ConcentrationNetwork(settings.study.hidden, settings.dropout),
        build_loss=lambda values: loss,
        data=data,
        replicas=[Replica(seed, settings.study.learning_rate) for seed in seeds],
        policy=policy,
    )
    for one, run in trained:
        if one.diverged:
            yield run, None
            continue
        reads = policy
        if not method.learns_noise:
            reads = concentration.with_measured_noise(policy, one.valid_outputs, data.y_valid)
        valid, test = (
            special.softmax(reads.logits(outputs).numpy().astype(np.float64), axis=1)
            for outputs in (one.valid_outputs, one.test_outputs)
        )
        value = reads.location(one.test_outputs).numpy()
        yield _evaluated(job, run, "arg_max", valid, test, np.maximum(value, 0.0))


def _replicas(
    job: Job, settings: AirSettings, progress: Progress, share: float, **how: Any
) -> Iterator[tuple[Trained, Run]]:
    """Train, and say what went otherwise; a run still without scores for each replica."""
    each = share * len(how["replicas"]) / job.epochs / (2 if settings.refit else 1)
    how |= {
        "reward": job.scorer.reward,
        "task": job.scorer.task,
        "epochs": job.epochs,
        "batch_size": settings.study.batch_size,
        "on_epoch": lambda *_: progress.advance(each),
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        trained = train_replicas(**how)
        if settings.refit:
            # It ends when the longest replica does, before as many epochs as were booked.
            longest = max((one.best_epoch + 1 for one in trained if not one.diverged), default=0)
            trained = refit_replicas(chosen=trained, **how)
            progress.advance(each * (job.epochs - longest))
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        progress.say(f"{job.method}: {message}")
    for one in trained:
        yield (
            one,
            _run(
                job,
                one.seed,
                diverged=one.diverged,
                best_epoch=one.best_epoch + 1,
                history=one.history,
                steps=one.steps,
                seconds=one.seconds,
                reward_evaluations=one.reward_evaluations,
            ),
        )
