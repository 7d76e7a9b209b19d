"""One method on one data set: from a job to its runs."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from policygrad_metrics.data import Prepared
from policygrad_metrics.policies import BinnedRegression
from policygrad_metrics.study.evaluate import Outcome, evaluate_trials, probabilities
from policygrad_metrics.study.methods import LEARNING_RATE, Loss, TaskInfo, trial_hyperparameters
from policygrad_metrics.study.plan import Job
from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.training import (
    Network,
    Replica,
    Trained,
    refit_replicas,
    train_replicas,
)
from policygrad_metrics.training.records import Buildable, Parts

#: What the trainer hands to a loss beside the method's hyper-parameters.
_CLASS_WEIGHT = "class_weight"


@dataclasses.dataclass(frozen=True, eq=False)
class Head:
    """How a method trains a network on a data set, and reads its outputs.

    Args:
        network: The network.
        loss: `(info, hyper) -> loss`.
        read: `trained -> outcome`.
        parts: What the network learns from, made of the data set's parts.
        policy: Reads labels off a network that predicts values; see `train_replicas`.
    """

    network: Buildable
    loss: Callable[[TaskInfo, dict[str, Any]], Loss]
    read: Callable[[Trained], Outcome]
    parts: Callable[[Prepared], Parts] = lambda prepared: prepared
    policy: BinnedRegression | None = None


def train_job(
    job: Job, settings: StudySettings, missing: Sequence[int], progress: Progress, share: float
) -> Iterator[Run]:
    """Train the missing seeds and yield their runs as they finish.

    Args:
        job: Method and data set.
        settings: Network, seeds and the like.
        missing: The seeds that have no run yet.
        progress: Is told how far it is.
        share: What one run counts for in it.
    """
    keeps = settings.keeps_predictions
    train = _train_stacks if job.method.trains_network else _fit_predictors
    for run in train(job, settings, missing, progress, share):
        yield run if keeps else dataclasses.replace(run, predictions=None)


def _fit_predictors(
    job: Job, settings: StudySettings, missing: Sequence[int], progress: Progress, share: float
) -> Iterator[Run]:
    cases, run = job.cases, None
    parts_of = cases.last_labels if job.method.reads == "last_label" else cases.__getitem__
    for seed in missing:
        if job.dataset.time_ordered:  # no seed changes anything: there is one split
            run = run or _fit_predictor(job, settings, parts_of(settings.seed), settings.seed)
        else:
            run = _fit_predictor(job, settings, parts_of(seed), seed)
        yield dataclasses.replace(run, seed=seed)
        progress.advance(share)


def _train_stacks(
    job: Job, settings: StudySettings, missing: Sequence[int], progress: Progress, share: float
) -> Iterator[Run]:
    for stack in job.cases.stacks():
        wanted = [seed for seed in stack if seed in missing]
        if wanted:
            # All of a stack are trained even if some are known: only the same stack gives the
            # same numbers to the last bit.
            parts = {seed: job.cases[seed] for seed in stack}
            runs = _train_networks(job, settings, parts, progress, share * len(wanted))
            yield from (run for run in runs if run.seed in wanted)


def _info(job: Job, arrays: Prepared) -> TaskInfo:
    scorer = job.scorer
    return TaskInfo.of(scorer.task, job.reward, arrays.y_train, scorer.num_classes)


def _trials(job: Job, settings: StudySettings) -> list[dict[str, float]]:
    """The hyper-parameters of all trials; one where there is nothing to choose."""
    found = [trial_hyperparameters(settings.seed, job.method, t) for t in range(settings.trials)]
    return found if found[0] else found[:1]


def _head(job: Job, settings: StudySettings) -> Head:
    method, task = job.method, job.scorer.task
    if method.head is not None:
        return method.head(job, settings)

    def read(one: Trained) -> Outcome:
        return Outcome(
            probabilities(one.valid_outputs, task), probabilities(one.test_outputs, task)
        )

    network = Network(settings.hidden, dropout=settings.dropout, cumulative=method.cumulative)
    return Head(network, method.loss, read)


def _train_networks(
    job: Job,
    settings: StudySettings,
    parts: Mapping[int, Prepared],
    progress: Progress,
    share: float,
) -> list[Run]:
    """All seeds and trials of a method as one stack."""
    head, trials = _head(job, settings), _trials(job, settings)
    infos = {seed: _info(job, arrays) for seed, arrays in parts.items()}
    info = next(iter(infos.values()))
    # What seeds have in common stays one object.
    learned = {id(arrays): head.parts(arrays) for arrays in parts.values()}

    def build_loss(values: dict[str, Any]) -> Any:
        own = values.pop(_CLASS_WEIGHT)
        return head.loss(dataclasses.replace(info, own_class_weight=own), values)

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
    trained = _train(
        job,
        settings,
        progress,
        share,
        [learned[id(parts[replica.seed])] for replica in replicas],
        network=head.network,
        build_loss=build_loss,
        replicas=replicas,
        num_classes=info.num_classes,
        policy=head.policy,
    )
    return [
        _run(job, seed, arrays, head, [one for one in trained if one.seed == seed])
        for seed, arrays in parts.items()
    ]


def _train(
    job: Job,
    settings: StudySettings,
    progress: Progress,
    share: float,
    data: Sequence[Parts],
    **how: Any,
) -> list[Trained]:
    """Train the replicas, twice if they are to be refitted, and say what went otherwise."""
    each = share / job.epochs / (2 if settings.refit else 1)
    how |= {
        "reward": job.scorer.reward,
        "task": job.scorer.task,
        "epochs": job.epochs,
        "batch_size": settings.batch_size,
        "warm_start": job.method.warm_start,
        "on_epoch": lambda *_: progress.advance(each),
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        trained = train_replicas(data=data, **how)
        if settings.refit:
            trained = refit_replicas(data[0], trained, **how)
            # It ends when the longest replica does, before as many epochs as were booked.
            longest = max((one.best_epoch + 1 for one in trained if not one.diverged), default=0)
            progress.advance(each * (job.epochs - longest))
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        progress.say(f"{job.label}: {message}")
    return trained


def _scores(job: Job, outcomes: Sequence[Outcome | None], arrays: Prepared) -> dict[str, Any]:
    method, truths = job.method, (arrays.y_valid, arrays.y_test)
    return evaluate_trials(job.scorer, method.decision, outcomes, *truths, tuning=method.tuning)


def _run(job: Job, seed: int, arrays: Prepared, head: Head, trained: Sequence[Trained]) -> Run:
    """The run of one seed: the best of its trials, and the cost of them all."""
    outcomes = [None if one.diverged else head.read(one) for one in trained]
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
    start = time.perf_counter()
    outcomes = [_fitted(job, settings, arrays, trial, seed) for trial in _trials(job, settings)]
    seconds = time.perf_counter() - start
    scores = _scores(job, outcomes, arrays)
    return Run(data=job.dataset.name, method=job.method.name, seed=seed, seconds=seconds, **scores)


def _fitted(
    job: Job, settings: StudySettings, arrays: Prepared, trial: dict[str, float], seed: int
) -> Outcome:
    info = _info(job, arrays)

    def fit(x: np.ndarray, y: np.ndarray) -> Any:
        return job.method.model(info, trial, seed).fit(x, y)

    def chances(model: Any, x: np.ndarray) -> np.ndarray:
        table = np.asarray(model.predict_proba(x))
        return table[:, 1] if info.task == "binary" else table

    model = fit(arrays.x_train, arrays.y_train)
    valid = chances(model, arrays.x_valid)
    if settings.refit:
        both = (arrays.x_train, arrays.x_valid), (arrays.y_train, arrays.y_valid)
        model = fit(*map(np.concatenate, both))
    values = model.predict(arrays.x_test) if job.method.predicts_values else None
    return Outcome(valid, chances(model, arrays.x_test), values)
