"""`train_table`: from a table to a model that is judged and can be saved."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from policygrad_metrics.core.checks import choose
from policygrad_metrics.data import Preparation, Prepared
from policygrad_metrics.data.frames import is_frame
from policygrad_metrics.decision import DecisionTuner
from policygrad_metrics.rewards import get_reward
from policygrad_metrics.study.evaluate import Outcome, Scorer, standing, tuned_decision
from policygrad_metrics.study.methods import METHODS, Method
from policygrad_metrics.study.plan import Job, about_constraints, about_members, plan
from policygrad_metrics.study.progress import Progress
from policygrad_metrics.study.records import Run
from policygrad_metrics.study.train import fit_predictors, outcome_of, task_info, train_networks
from policygrad_metrics.study.trained.card import (
    Card,
    about_folds,
    confusion_grids,
    fold_grids,
    how_to_use,
    importance_grid,
    score_grid,
)
from policygrad_metrics.study.trained.decider import Decider
from policygrad_metrics.study.trained.drift import Ranges
from policygrad_metrics.study.trained.folds import (
    compare_methods,
    cross_validated,
    diverged,
    rows_to_choose_by,
)
from policygrad_metrics.study.trained.judge import bootstrap_interval, importances
from policygrad_metrics.study.trained.linear import is_linear, one_layer
from policygrad_metrics.study.trained.models import Models, Networks, Trees
from policygrad_metrics.study.trained.request import Request, read_request
from policygrad_metrics.study.trained.schema import Schema
from policygrad_metrics.study.trained.table import TrainedTable
from policygrad_metrics.study.words import options

#: Of which `method="best"` takes the one with the best cross-validated reward.
CANDIDATES = (
    "logistic_regression",
    "cross_entropy",
    "policy_gradient",
    "boosting_cross_entropy",
    "boosting_policy_gradient",
)
_BEST = "best"


def train_table(
    source: Any,
    target: str | Sequence[str],
    *,
    method: str = "policy_gradient",
    progress: Progress | None = None,
    **how: Any,
) -> TrainedTable:
    """Train a method on a table, tune its decision, and judge it on test rows.

    The table is read, prepared and split as `compare` does it for its first seed.

    Args:
        source: A CSV file, a Parquet file, a frame of pandas, polars or Arrow, or a dict of
            columns.
        target: The column to predict, or several 0/1 columns.
        method: One whose model can be saved: those that train a network, logistic regressions,
            those that grow LightGBM's trees, or "best" for the one of `CANDIDATES` with the best
            cross-validated reward.
        progress: Is told how far it is.
        how: Fields of `TableFile`, of `StudySettings` (such as `reward`, `subject_to`, `seed` or
            `epochs`), and of `data.Reading`. With `folds=K` the card has the score of a K-fold
            cross-validation over all rows, too; its K models are not kept, and the one that is
            stays as it is without folds.

    Raises:
        ValueError: An argument is out of range, the method cannot be saved, or the table cannot be
            used.

    >>> table = {"x": np.arange(200.0) % 17, "y": np.where(np.arange(200) % 17 > 11, "high", "low")}
    >>> model = train_table(table, "y", epochs=30, hidden=(8,), learning_rate=0.03)
    >>> model.predict({"x": [1, 16]}).tolist()
    ['low', 'high']
    """
    asked = read_request(source, target, method, how)
    return fit_table(asked, jobs_of(asked), progress or Progress())


def jobs_of(asked: Request) -> dict[str, Job]:
    """Return the job of each method that may be taken.

    Raises:
        ValueError: The method cannot be saved, or it, the reward or a constraint does not suit the
            table.
    """
    methods = _methods(asked.method)
    settings = dataclasses.replace(asked.settings, methods=methods, seeds=1, folds=None)
    if settings.reward is not None and get_reward(settings.reward).ranks:
        raise ValueError(
            f"reward={settings.reward!r} (--reward) scores a ranking, and this model gives labels: "
            "take a reward of labels, such as f1. `policygrad compare` and "
            "PolicyGradientClassifier take rankings."
        )
    return {job.method.name: job for job in plan(settings, [asked.dataset])}


def _methods(method: str) -> tuple[str, ...]:
    """The methods that may be taken; errors as for `train_table`."""
    if method == _BEST:
        return tuple(name for name in CANDIDATES if METHODS[name].installed)
    found = METHODS[choose("method", method, [*METHODS, _BEST])]
    if not can_be_saved(found):
        raise ValueError(
            f"method={method!r} (--method) has no model that can be saved without code in it: "
            "choose one that trains a network (cross_entropy, policy_gradient, ...), "
            "logistic_regression, boosting_policy_gradient or another boosting_ method, or best. "
            "`policygrad compare` compares all of them."
        )
    return (method,)


def can_be_saved(method: Method) -> bool:
    """Return whether a method's model is made of networks, is linear, or LightGBM's trees."""
    if method.tuning == "expected_f" or method.best_of:
        return False
    return method.trains_network or method.needs == "lightgbm" or is_linear(method)


def fit_table(asked: Request, jobs: Mapping[str, Job], progress: Progress) -> TrainedTable:
    """Train what was asked for.

    Args:
        asked: What `read_request` returns.
        jobs: What `jobs_of` returns.
        progress: Is told how far it is.
    """
    dataset, settings, folds = asked.dataset, asked.settings, asked.settings.folds or 0
    each = 0.9 / (folds + 1)  # a fold takes as long as the model that is kept
    compared = _compared(asked, jobs, progress.part(0.7 * each))
    job = jobs[max(compared, key=compared.__getitem__, default=next(iter(jobs)))]
    progress.working_on(job.label)
    models, tuner = fit_models(job, settings.seed, progress.part((0.3 if compared else 1) * each))
    rows = job.cases.split(settings.seed)
    decider = Decider(Preparation.fit(dataset, rows.train), models, tuner.rule_, dataset.task)
    runs: list[Run] = []
    if folds:
        judged = dataclasses.replace(settings, methods=tuple(jobs))
        runs = cross_validated(dataset, judged, progress.part(folds * each))
    progress.working_on(f"{dataset.name}: test rows")
    card = _card(asked, job, decider, tuner, compared, runs)
    schema = Schema.of(dataset, asked.file.target, asked.columns, asked.reading)
    names = schema.numeric, schema.categorical
    ranges = Ranges.of(names, dataset.numeric[rows.train], dataset.categorical[rows.train])
    progress.advance(0.1)
    return TrainedTable(schema, decider, ranges, card)


def _compared(asked: Request, jobs: Mapping[str, Job], progress: Progress) -> dict[str, float]:
    """Method -> score, of several that one is chosen from."""
    if len(jobs) == 1:
        return {}
    parts = next(iter(jobs.values())).cases.split(asked.settings.seed)
    settings = dataclasses.replace(asked.settings, methods=tuple(jobs))
    return compare_methods(rows_to_choose_by(asked.dataset, parts), settings, progress)


def fit_models(job: Job, seed: int, progress: Progress) -> tuple[Models, DecisionTuner]:
    """Return the models of the best trial and the decision that is tuned for them.

    Args:
        job: Method and data set.
        seed: Of the run.
        progress: Is told how far it is.

    Raises:
        ValueError: Training diverged.
    """
    arrays, task = job.cases[seed], job.dataset.task
    found: Any
    if job.method.trains_network:
        head, groups = train_networks(job, {seed: arrays}, progress)
        found = [(outcome_of(head, group), group) for group in groups[seed]]
    else:
        head, found = None, fit_predictors(job, arrays, seed)
        if is_linear(job.method):  # decided by what will be saved, in its float32
            found = [_as_networks(model, arrays, task) for _, model in found]
        progress.advance(1.0)
    trials = [(_tuner(job, outcome, arrays.y_valid), model) for outcome, model in found if outcome]
    if not trials:
        raise diverged(job.method.name)
    tuner, model = max(trials, key=lambda trial: standing(trial[0]))
    if isinstance(model, Networks):
        return model, tuner
    if head is None:
        return Trees(model.trees_.text, model.trees_.start, task), tuner
    features, outputs = arrays.x_train.shape[1], task_info(job, arrays).outputs
    policies = None if head.reads is None else [head.reads(one) for one in model]
    models = [head.model(one, features, outputs) for one in model]
    return Networks(models, task, policies), tuner


def _as_networks(model: Any, arrays: Prepared, task: str) -> tuple[Outcome, Networks]:
    made = Networks([one_layer(model, arrays.x_train.shape[1], task)], task)
    valid, test = (made.probabilities(x) for x in (arrays.x_valid, arrays.x_test))
    return Outcome(valid, test), made


def _tuner(job: Job, outcome: Outcome, y_valid: np.ndarray) -> DecisionTuner:
    method = job.method
    return tuned_decision(job.cases.scorer, method.decision, method.tuning, outcome.valid, y_valid)


def _card(
    asked: Request,
    job: Job,
    decider: Decider,
    tuner: DecisionTuner,
    compared: Mapping[str, float],
    runs: Sequence[Run],
) -> Card:
    scorer, dataset, seed = job.cases.scorer, asked.dataset, asked.settings.seed
    rows = job.cases.split(seed)
    chances = decider.probabilities(dataset.numeric[rows.test], dataset.categorical[rows.test])
    y_test = dataset.y[rows.test]
    tuned, plain = decider.decide(chances), scorer.decide(chances, job.method.decision)
    grids = judged(scorer, y_test, {"as saved": tuned, "most probable class": plain})
    multilabel = dataset.task == "multilabel"
    counts = scorer.confusion(y_test, tuned)
    reward, target = job.cases.reward, ", ".join(asked.file.target)
    drops = importances(decider, scorer, dataset, rows.test, seed)
    score = grids.rows[0][1].text
    on_folds = fold_grids(runs, reward, asked.settings.folds)
    tables = (
        grids,
        *on_folds,
        *confusion_grids(counts, dataset.class_names, multilabel),
        importance_grid(drops, reward),
    )
    columns = len(dataset.numeric_names) + len(dataset.categorical_names)
    sizes = f"{len(rows.train)}/{len(rows.valid)}/{len(rows.test)}"
    return Card(
        title=f"{target} of {dataset.name}, by {job.method.name}",
        lead=f"Predicts {target} ({', '.join(dataset.class_names)}) from "
        f"{columns} column{'s' * (columns != 1)}, to maximise "
        f"{reward}: {score} on rows that were kept apart"
        + (f", {on_folds[0].rows[0][1].text} by cross-validation." if on_folds else "."),
        tables=tables,
        method=(
            f"{job.method.name}: {job.method.summary} ({job.method.paper}).",
            *_about_choice(compared, scorer),
            *about_folds(runs, asked.settings.folds, len(dataset), bool(compared)),
            f"{len(dataset)} rows; {sizes} of them trained, validated and tested"
            + (", one after the other in time." if scorer.series else f" (seed {seed})."),
            f"Decision, tuned on the validation rows for {reward}: {tuner.rule_.describe()}.",
            *about_constraints(asked.settings.subject_to)[:1],
            *about_members(asked.settings.members),
        ),
        limits=_limits(asked),
        use=how_to_use(target),
        command=_command(asked),
        notes=tuple(dataset.notes),
    )


def judged(scorer: Scorer, y_test: np.ndarray, labels: Mapping[str, np.ndarray]) -> Any:
    """Return the table of the test scores of several decisions: the reward, then constrained rates.

    Args:
        scorer: How labels are scored.
        y_test: The truth.
        labels: Name of a decision -> its labels.
    """
    scorers = {scorer.reward.name: scorer}
    for one in scorer.constraints.items if scorer.constraints else ():
        scorers[str(one)] = dataclasses.replace(scorer, reward=one.reward)
    scores = {
        name: [bootstrap_interval(one, y_test, found) for found in labels.values()]
        for name, one in scorers.items()
    }
    return score_grid(scores, [*labels], len(y_test))


def _about_choice(compared: Mapping[str, float], scorer: Scorer) -> list[str]:
    if not compared:
        return []
    where = "on the validation rows" if scorer.series else "over five folds of all but test rows"
    ranked = sorted(compared.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{name} {value:.3f}" for name, value in ranked)
    return [f"Chosen by the reward of tuned decisions {where}: {shown}."]


def _limits(asked: Request) -> tuple[str, ...]:
    dataset, horizon = asked.dataset, asked.dataset.horizon
    rare = [f"{n} ({c} rows)" for n, c in zip(dataset.class_names, dataset.counts, strict=True)
            if c < 50]  # fmt: skip
    return (
        "For rows of the kind that it was trained on. policygrad predict reports rows outside "
        "the training range, unknown texts and columns that have drifted: where it does, judge the "
        "model anew on rows whose truth is known.",
        "The test score is that of one split; the interval tells how other test rows would differ, "
        "not how another training would"
        + (", which that of the cross-validation does." if asked.settings.folds else "."),
        *([f"Little was seen of {', '.join(rare)}."] if rare else []),
        *([f"A prediction is of the label {horizon} rows after its row."] if horizon else []),
        "Nobody has looked at whom its errors fall upon: compare error rates between groups before "
        "it decides about people.",
    )


def _command(asked: Request) -> str:
    if is_frame(asked.file.path):
        given = {"method": asked.method, **asked.how}
        words = ", ".join(f"{name}={value!r}" for name, value in given.items())
        return f"pgm.study.train_table(frame, {asked.file.target!r}, {words})"
    words = ["policygrad", "train", *asked.file.words()[2:], "--method", asked.method]
    words += options(asked.settings, "reward", "subject_to", "seed", "test_share", "folds")
    return shlex.join([*words, *asked.settings.training_words(), "--out", "model"])
