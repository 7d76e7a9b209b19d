"""One method on one data set: from a job to its runs."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from policygrad_metrics.data import Prepared
from policygrad_metrics.decision.floors import PENALTY
from policygrad_metrics.policies import BinnedRegression
from policygrad_metrics.study.evaluate import Outcome, evaluate_trials, probabilities
from policygrad_metrics.study.methods import LEARNING_RATE, Loss, TaskInfo, trial_hyperparameters
from policygrad_metrics.study.plan import Job
from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.records import Run
from policygrad_metrics.training import Network, Replica, Trained, refit_replicas, train_replicas
from policygrad_metrics.training.optimizer import own_rate
from policygrad_metrics.training.records import Buildable, Parts

#: The class weights that the trainer gives to a loss beside the method's hyper-parameters.
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
        reads: `trained -> policy` that reads levels off its outputs, where there is a policy.
    """

    network: Buildable
    loss: Callable[[TaskInfo, dict[str, Any]], Loss]
    read: Callable[[Trained], Outcome]
    parts: Callable[[Prepared], Parts] = lambda prepared: prepared
    policy: BinnedRegression | None = None
    reads: Callable[[Trained], BinnedRegression] | None = None

    def model(self, trained: Trained, features: int, outputs: int) -> keras.Model:
        """Return the network with the weights that were kept."""
        if self.policy is not None:  # one more column is where the location starts from
            features, outputs = features + 1, self.policy.output_columns
        model = self.network.build(features, outputs, trained.seed)
        model.set_weights(trained.weights)
        return model


def train_job(job: Job, missing: Sequence[int], progress: Progress) -> Iterator[Run]:
    """Train the missing seeds and yield their runs as they finish.

    Args:
        job: Method and data set.
        missing: The seeds that have no run yet.
        progress: Is told how far this job is.
    """
    keeps = job.settings.keeps_predictions
    train = _train_stacks if job.method.trains_network else _fit_predictors
    for run in train(job, missing, progress):
        yield run if keeps else dataclasses.replace(run, predictions=None)


def _fit_predictors(job: Job, missing: Sequence[int], progress: Progress) -> Iterator[Run]:
    cases, run = job.cases, None
    parts_of = cases.last_labels if job.method.reads == "last_label" else cases.__getitem__
    for seed in missing:
        if run is None or not job.dataset.time_ordered:  # a series has one split for all seeds
            first = job.settings.seed if job.dataset.time_ordered else seed
            run = _fit_predictor(job, parts_of(first), first)
        yield dataclasses.replace(run, seed=seed)
        progress.advance(1 / len(missing))


def _train_stacks(job: Job, missing: Sequence[int], progress: Progress) -> Iterator[Run]:
    for stack in job.cases.stacks():
        wanted = [seed for seed in stack if seed in missing]
        if wanted:
            # All of a stack are trained even if some are known: only the same stack gives the
            # same numbers to the last bit.
            parts = {seed: job.cases[seed] for seed in stack}
            runs = _train_networks(job, parts, progress.part(len(wanted) / len(missing)))
            yield from (run for run in runs if run.seed in wanted)


def task_info(job: Job, arrays: Prepared) -> TaskInfo:
    """Return what a loss may know of the task."""
    scorer = job.cases.scorer
    info = TaskInfo.of(scorer.task, job.cases.reward, arrays.y_train, scorer.num_classes)
    constraints = scorer.constraints
    return dataclasses.replace(info, subject_to=constraints.items if constraints else ())


def _trials(job: Job) -> list[dict[str, float]]:
    """The hyper-parameters of all trials; one where there is nothing to choose."""
    asked = job.settings
    found = [trial_hyperparameters(asked.seed, job.method, t) for t in range(asked.trials)]
    return found if found[0] else found[:1]


def _head(job: Job) -> Head:
    method, asked, task = job.method, job.settings, job.cases.scorer.task
    if method.head is not None:
        return method.head(job.cases)

    def read(one: Trained) -> Outcome:
        return Outcome(
            probabilities(one.valid_outputs, task), probabilities(one.test_outputs, task)
        )

    network = Network(asked.hidden, dropout=asked.dropout, levels=method.levels)
    return Head(network, method.loss, read)


def _train_networks(job: Job, parts: Mapping[int, Prepared], progress: Progress) -> list[Run]:
    head, trained = train_networks(job, parts, progress)
    return [
        _run(job, seed, parts[seed], [outcome_of(head, group) for group in groups], groups)
        for seed, groups in trained.items()
    ]


def train_networks(
    job: Job, parts: Mapping[int, Prepared], progress: Progress
) -> tuple[Head, dict[int, list[list[Trained]]]]:
    """Train all seeds and trials of a method as one stack.

    Args:
        job: Method and data set.
        parts: Seed -> its parts, all of the same shapes.
        progress: Is told how far it is.

    Returns:
        How it was done; seed -> the members of each trial.
    """
    head, trials = _head(job), _trials(job)
    M, rate = job.settings.members, own_rate(job.settings.optimizer, job.settings.learning_rate)
    infos = {seed: task_info(job, arrays) for seed, arrays in parts.items()}
    info = next(iter(infos.values()))
    # Parts that seeds share stay one object, so that the trainer keeps them once.
    learned = {id(arrays): head.parts(arrays) for arrays in parts.values()}

    def build_loss(values: dict[str, Any]) -> Any:
        own = values.pop(_CLASS_WEIGHT)
        return head.loss(dataclasses.replace(info, own_class_weight=own), values)

    replicas = [
        Replica(
            member_seed(seed, member),
            rate and rate * trial[LEARNING_RATE],
            {
                **{name: value for name, value in trial.items() if name != LEARNING_RATE},
                _CLASS_WEIGHT: infos[seed].class_weight,
            },
        )
        for seed in parts
        for trial in trials
        for member in range(M)
    ]
    trained = _train(
        job,
        progress,
        [learned[id(arrays)] for arrays in parts.values() for _ in trials for _ in range(M)],
        network=head.network,
        build_loss=build_loss,
        replicas=replicas,
        num_classes=info.num_classes,
        policy=head.policy,
    )
    groups = [trained[start : start + M] for start in range(0, len(trained), M)]
    each = len(trials)
    return head, {
        seed: groups[place * each : (place + 1) * each] for place, seed in enumerate(parts)
    }


def outcome_of(head: Head, members: Sequence[Trained]) -> Outcome | None:
    """Return what the members of a trial say together; None if one of them diverged."""
    if any(one.diverged for one in members):
        return None
    return Outcome.mean([*map(head.read, members)])


def member_seed(seed: int, member: int) -> int:
    """Return the seed of a member of a run: the run's own for the first, drawn from it for others.

    >>> [member_seed(seed, 0) for seed in range(3)], member_seed(0, 1)
    ([0, 1, 2], 1982462498)
    """
    if member == 0:
        return seed
    return int(np.random.SeedSequence([seed, member]).generate_state(1)[0] >> 1)


def _train(job: Job, progress: Progress, data: Sequence[Parts], **how: Any) -> list[Trained]:
    """Train the replicas, twice if they are to be refitted, and say what went otherwise."""
    settings, epochs = job.settings, job.cases.epochs
    each = 1 / epochs / (2 if settings.refit else 1)
    how |= {
        "reward": job.cases.scorer.floored,
        "task": job.cases.scorer.task,
        "epochs": epochs,
        "batch_size": settings.batch_size,
        "optimizer": settings.optimizer,
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
            progress.advance(each * (epochs - longest))
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        progress.say(f"{job.label}: {message}")
    return trained


def _scores(job: Job, outcomes: Sequence[Outcome | None], arrays: Prepared) -> dict[str, Any]:
    method, truths = job.method, (arrays.y_valid, arrays.y_test)
    return evaluate_trials(
        job.cases.scorer, method.decision, outcomes, *truths, tuning=method.tuning
    )


def _run(
    job: Job,
    seed: int,
    arrays: Prepared,
    outcomes: Sequence[Outcome | None],
    groups: Sequence[Sequence[Trained]],
) -> Run:
    """The run of one seed: the best of its trials, and the cost of all its networks."""
    trained = [one for group in groups for one in group]
    scores = _scores(job, outcomes, arrays)
    shown = groups[scores.get("trial_plain", 0)][0]
    return Run(
        data=job.dataset.name,
        method=job.method.name,
        seed=seed,
        diverged=not scores,
        best_epoch=shown.best_epoch + 1,
        history=_kept_history(shown.history),
        steps=sum(one.steps for one in trained),
        seconds=sum(one.seconds for one in trained),
        reward_evaluations=sum(one.reward_evaluations for one in trained),
        **scores,
    )


def _kept_history(history: Mapping[str, Sequence[float]]) -> dict[str, list[float | None]]:
    """A history with None for the validation reward of epochs that break a constraint."""
    return {
        name: [None if one <= -PENALTY else one for one in values]
        if name == "val_reward"
        else [*values]
        for name, values in history.items()
    }


def _fit_predictor(job: Job, arrays: Prepared, seed: int) -> Run:
    start = time.perf_counter()
    outcomes = [outcome for outcome, _ in fit_predictors(job, arrays, seed)]
    seconds = time.perf_counter() - start
    scores = _scores(job, outcomes, arrays)
    return Run(data=job.dataset.name, method=job.method.name, seed=seed, seconds=seconds, **scores)


def fit_predictors(job: Job, arrays: Prepared, seed: int) -> list[tuple[Outcome, Any]]:
    """Return what each trial of a method without a network says, and the fitted model."""
    return [_fitted(job, arrays, trial, seed) for trial in _trials(job)]


def _fitted(job: Job, arrays: Prepared, trial: dict[str, float], seed: int) -> tuple[Outcome, Any]:
    info = task_info(job, arrays)

    def fit(*parts: np.ndarray) -> Any:
        return job.method.model(info, trial, seed).fit(*parts)

    def chances(model: Any, x: np.ndarray) -> np.ndarray:
        table = np.asarray(model.predict_proba(x))
        return table[:, 1] if info.task in ("binary", "ranking") else table

    train, held_out = (arrays.x_train, arrays.y_train), (arrays.x_valid, arrays.y_valid)
    model = fit(*train, *held_out) if job.method.validates else fit(*train)
    valid = chances(model, arrays.x_valid)
    if job.settings.refit:
        both = [np.concatenate(pair) for pair in zip(train, held_out, strict=True)]
        model = model.refit(*both) if job.method.validates else fit(*both)
    values = model.predict(arrays.x_test) if job.method.predicts_values else None
    return Outcome(valid, chances(model, arrays.x_test), values), model
