"""What is trained: the methods that suit each data set; and how the reports describe it."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from policygrad_metrics.core.checks import choose
from policygrad_metrics.data import Dataset
from policygrad_metrics.data.order import known_order, no_order
from policygrad_metrics.decision import can_tune
from policygrad_metrics.decision.scorer import adds_up_counts
from policygrad_metrics.rewards import get_reward
from policygrad_metrics.rewards.constraints import get_constraint
from policygrad_metrics.study.cases import Cases
from policygrad_metrics.study.methods import METHODS, Method
from policygrad_metrics.study.settings import (
    DEFAULT_DATA,
    PRINCIPAL,
    QUICK,
    WHY_DEFAULT,
    StudySettings,
)
from policygrad_metrics.study.suites import SUITES
from policygrad_metrics.surrogates import RANKING_SURROGATES


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """One method on one data set, all seeds; it can travel to another process.

    Args:
        cases: The data set and its parts for every seed, shared by the jobs of a data set.
        method: The method.
    """

    cases: Cases
    method: Method

    @property
    def dataset(self) -> Dataset:
        """The data set."""
        return self.cases.dataset

    @property
    def settings(self) -> StudySettings:
        """The settings that it was planned with."""
        return self.cases.settings

    @property
    def work(self) -> float:
        """About how long a run takes, compared with others: a network's compiling and its steps."""
        settings, rows = self.settings, len(self.dataset)
        if not self.method.trains_network:
            return 100 + rows / 20
        return 2000 + self.cases.epochs * (1 + rows / settings.batch_size) * (
            settings.trials * settings.members
        )

    @property
    def label(self) -> str:
        """What to call it while it runs."""
        return f"{self.dataset.name}: {self.method.name}"


#: The ways of tuning that know no constraints.
UNCONSTRAINED = ("frank_wolfe", "expected_f")
#: What "tuned decision" means.
TUNED = (
    '"tuned" ones were chosen on the validation part for the same reward, and are used where they '
    "gain more than one standard error there (a jackknife's; else the default decision stays). Of "
    "fewer than 200 rows they must also gain on rows left out of tuning, and of fewer than 20 the "
    "default decision stays."
)
_DECISIONS = (
    "Default decisions are the most probable class, or above one half (of methods that "
    f"train the expected level: its nearest level); {TUNED}"
)
_RANKINGS = (
    "The score is that of the ranking by the positive class's score; no decision is taken. The "
    "losses of rankings, the policy gradient among them, take each batch as one list."
)
_LIBAUC = (
    "The libauc_ methods are trained in PyTorch by LibAUC's optimisers: networks of 64 and 64 "
    "units, steps of 128 positives and 128 negatives, 40 epochs and 600 steps at least, whatever "
    "the settings of the other networks."
)
#: How the reports describe the comparison; see `protocol`.
_PROTOCOL = (
    "Every method trains the same network (cumulative links, clm, corn: the same hidden layers, "
    "but fewer outputs), with the same first weights and the same order of the data for a seed, "
    "for the same number of epochs with Adam.",
    "{splits}",
    "{trials}",
    "The weights kept are those of the epoch with the best validation reward, the last of equal "
    "ones; so are the trees of the boosting_ methods, which grow alike but for their loss.",
    "{decisions}",
    "The test part was read once, at the end.",
    "On one data set: ± is half the 95 % interval of the mean by Student's t; with random splits "
    "or folds the variance is Nadeau and Bengio's, because the parts share rows. Differences are "
    "paired by seed; p by Nadeau and Bengio's corrected t-test, or for a series by the exact "
    "sign-flip test; Holm's correction over the methods. Seeds are no independent data sets: all "
    "this speaks of that data set only.",
    "Over data sets, each counted once: mean ranks with Friedman's test (by permutation) and "
    "Nemenyi's critical difference; Wilcoxon's exact signed-rank test against the reference, with "
    "Holm's correction over the methods; probability of improvement and interquartile mean with "
    "stratified bootstrap intervals. The matrix of every two methods has no correction.",
    "A method of which any run diverged is ranked last.",
    "The tests were fixed before any data was seen.",
)


def protocol(settings: StudySettings) -> list[str]:
    """Return how a comparison with these settings is done, a sentence or two each.

    >>> protocol(StudySettings(data=("iris",), seeds=10, folds=5))[1][:36]
    'Rows are split by stratified 5-fold '
    >>> protocol(StudySettings(data=("iris",), reward="roc_auc"))[4][:32]
    'The score is that of the ranking'
    """
    parts = "/".join(f"{100 * share:.4g}" for share in settings.fractions)
    splits = (
        f"Rows are split {parts} into training, validation and test part: at random and "
        "stratified, a new split for every seed"
        if settings.folds is None
        else f"Rows are split by stratified {settings.folds}-fold cross-validation, a fold for "
        "every seed; a fifth of the rows outside the test fold validates"
    )
    trials = (
        "Every method has the default settings of its hyper-parameters, the same on all data."
        if settings.trials == 1
        else f"Every method tries {settings.trials} settings of its hyper-parameters and of the "
        "learning rate for every seed, its defaults first, the others drawn from fixed ranges by "
        "(first seed, method, number); for each column the one with the best validation reward "
        "counts, and no other is scored on the test part."
    )
    ranks = settings.reward is not None and get_reward(settings.reward).ranks
    chosen = [WHY_DEFAULT] if settings.words == DEFAULT_DATA and not settings.has_tables else []
    words = {
        "splits": f"{splits}; a series is split by time, the same split for every seed.",
        "trials": trials,
        "decisions": _RANKINGS if ranks else _DECISIONS,
    }
    lines = (line.format(**words) for line in _PROTOCOL)
    about = about_constraints(settings.subject_to)
    if any(name.startswith("libauc_") for name in settings.methods):
        about = [_LIBAUC, *about]
    return [*chosen, *lines, *about, *about_members(settings.members)]


def about_constraints(subject_to: Sequence[str]) -> list[str]:
    """Return what the report says of decisions under constraints; nothing without any."""
    if not subject_to:
        return []
    return [
        f"Tuned decisions are subject to {', '.join(subject_to)}: of all that keep this on the "
        "validation part by one standard error of each rate the one with the best reward there; if "
        "none does, the nearest (of several trials likewise). A default decision that breaks it "
        "never stays. The methods of the policy gradient family are trained under the same "
        "constraints (a Lagrangian on expected rates), all others without. The weights of networks "
        "are those of the best epoch of all whose default decisions keep them on the validation "
        "part, else of the nearest; learning curves leave out the other epochs. Trees stop by the "
        "reward alone.",
        '"Broken by" is how far the worst constraint is missed on the test part, 0 or less if all '
        "are kept, as a mean over the runs. A method that breaks one on average stands below all "
        "that keep them, whatever its reward; over several data sets it is last on that one.",
    ]


def about_members(members: int) -> list[str]:
    """Return what the report says of runs of several networks; nothing of a single one."""
    if members == 1:
        return []
    return [
        f"Each run of a method that trains a network is the mean of {members} networks: of their "
        "probabilities, and of the values they predict. Each of them has first weights and an "
        "order of the data of its own, the same for every method, and keeps the weights of its own "
        "best epoch; learning curves are the first one's."
    ]


@dataclasses.dataclass(frozen=True)
class Menu:
    """The methods that can be asked for, and which of them "principal" and "quick" stand for.

    >>> MENU.names(["focal", "cross_entropy"])
    ('focal', 'cross_entropy')
    """

    methods: Mapping[str, Method]
    principal: tuple[str, ...]
    quick: tuple[str, ...] = ()

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The words that stand for several methods."""
        quick = {"quick": self.quick} if self.quick else {}
        return {"principal": self.principal, **quick, "all": tuple(self.methods)}

    def names(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return names of methods, those of groups spelled out.

        Raises:
            ValueError: A name is not known; the nearest known one is offered.
        """
        groups = self.groups
        for word in words:
            choose("methods", word, [*self.methods, *groups])
        return tuple(dict.fromkeys(name for word in words for name in groups.get(word, (word,))))


MENU = Menu(METHODS, PRINCIPAL, QUICK)


def plan(
    settings: StudySettings,
    datasets: Sequence[Dataset],
    *,
    menu: Menu = MENU,
    cases_of: Callable[[Dataset, StudySettings], Cases] = Cases,
) -> list[Job]:
    """Return what is to be trained; methods that do not suit a task are left out.

    A method that was asked for by name must suit some data set; those of a group need not.

    Args:
        settings: What was asked.
        datasets: `settings.datasets()`.
        menu: The methods to choose from.
        cases_of: Makes the parts of a data set.

    Raises:
        ValueError: A method or the reward is not known, a method does not suit any data set, or
            the reward or a constraint does not fit one of them or needs an order that its classes
            have not, or its rows cannot be split so.
    """
    names = menu.names(settings.methods)
    jobs: list[Job] = []
    for dataset in datasets:
        cases = cases_of(dataset, settings)
        try:
            cases.scorer.score(dataset.y, dataset.y)
        except ValueError as error:
            raise ValueError(f"data {dataset.name!r} ({dataset.task}): {error}") from error
        _check_order(cases)
        _check_counts(cases)
        if settings.refit and not dataset.time_ordered:
            raise ValueError(f"refit=True is for series; {dataset.name!r} is none: leave it out.")
        cases.split(settings.seed)  # raises now what would stop the training
        chosen = [menu.methods[name] for name in names]
        jobs += [Job(cases, method) for method in chosen if _suits(method, cases)]
    # Nobody asked for the methods of a group.
    named = () if settings.methods == menu.principal else settings.methods
    _check_used(settings, datasets, [name for name in named if name not in menu.groups], jobs)
    return _installed(jobs, settings)


def _installed(jobs: list[Job], settings: StudySettings) -> list[Job]:
    """The jobs whose methods can run here; one asked for by name must."""
    lost = {job.method.name: job.method for job in jobs if not job.method.installed}
    why = f"they need {', '.join(dict.fromkeys(one.how_to_install for one in lost.values()))}"
    if named := [name for name in lost if name in settings.methods]:
        raise ValueError(f"methods must not be {', '.join(named)} here; {why}.")
    if lost:
        warnings.warn(f"methods {', '.join(lost)} are left out; {why}.", stacklevel=3)
    return [job for job in jobs if job.method.name not in lost]


def _check_order(cases: Cases) -> None:
    """Raise if the reward needs an order that the classes of the data set have not."""
    names = list(cases.dataset.class_names)
    rewards = {f"reward {cases.reward!r}": cases.scorer.reward}
    for one in map(get_constraint, cases.subject_to):
        if one.pos_label is None:  # that of a single class needs no order
            rewards[f"constraint {str(one)!r}"] = one.reward
    for user, reward in rewards.items():
        if cases.dataset.task == "multiclass" and reward.uses_order and known_order(names) != names:
            raise no_order(user, f"data {cases.dataset.name!r}", names)


def _check_counts(cases: Cases) -> None:
    """Raise if there are constraints but the reward is no function of confusion counts."""
    if cases.scorer.constraints is not None and not adds_up_counts(cases.scorer.reward):
        raise ValueError(
            f"subject_to (--subject-to) needs a reward of confusion counts; {cases.reward!r} of "
            f"data {cases.dataset.name!r} is none: give another, reward= (--reward)."
        )


def _check_used(
    settings: StudySettings, datasets: Sequence[Dataset], named: Sequence[str], jobs: Sequence[Job]
) -> None:
    for kind, asked, found in (
        ("method", named, {job.method.name for job in jobs}),
        ("data set", [d.name for d in datasets], {job.dataset.name for job in jobs}),
    ):
        lost = [name for name in asked if name not in found]
        if lost:
            rewards = {dataset.name: settings.reward or dataset.reward for dataset in datasets}
            limited = settings.subject_to or any(one.subject_to for one in datasets)
            under = " under constraints" if limited else ""
            tasks = ", ".join(sorted({f"{d.task} for {rewards[d.name]}" for d in datasets}))
            raise ValueError(
                f"{kind} {lost[0]!r} has nothing to do: no method that was asked for suits it "
                f"(tasks of the data: {tasks}{under}); "
                "see `policygrad methods`, or leave it out."
            )


def _suits(method: Method, cases: Cases) -> bool:
    scorer = cases.scorer
    known = method.reads == "features" or cases.last_known is not None
    tunable = scorer.reward.ranks or can_tune(method.tuning, scorer.reward, scorer.num_classes)
    if scorer.constraints is not None:
        tunable &= method.tuning not in UNCONSTRAINED
    return known and tunable and scorer.task in method.tasks


def settings_record(settings: StudySettings, jobs: Sequence[Job]) -> dict[str, Any]:
    """Return the content of `settings.json`: all that the reports need in addition to the runs.

    Args:
        settings: What was asked, with the methods of the jobs.
        jobs: What `plan` gives.
    """
    datasets = {job.dataset.name: job for job in jobs}
    return {
        "command": settings.command(),
        "chosen_data": [*datasets],
        "methods": list(dict.fromkeys(job.method.name for job in jobs)),
        "families": {job.method.name: job.method.family for job in jobs},
        "protocol": protocol(settings),
        "fixed": settings.fixed(),
        "data": {name: _describe(job, jobs, settings) for name, job in datasets.items()},
        "published": SUITES[settings.suite].published if settings.suite else {},
    }


def _describe(job: Job, jobs: Sequence[Job], settings: StudySettings) -> dict[str, Any]:
    dataset, parts = job.dataset, job.cases.split(settings.seed)
    ran = {other.method.name for other in jobs if other.dataset is dataset}
    # Of labels it goes without saying that losses of rankings are left out.
    silent = () if job.cases.scorer.reward.ranks else RANKING_SURROGATES
    left = [name for name in settings.methods if name not in ran and name not in silent]
    notes = [*dataset.notes, *parts.notes]
    if left:
        notes.append(f"left out, as not for such data: {', '.join(left)}.")
    own = {}
    if dataset.subject_to and not settings.subject_to:
        own["subject_to"] = [*dataset.subject_to]
        notes += about_constraints(dataset.subject_to)
    return {
        "title": dataset.title,
        **own,
        "task": dataset.task,
        "reward": job.cases.reward,
        "ranks": job.cases.scorer.reward.ranks,
        "rows": len(dataset),
        "features": len(dataset.numeric_names) + len(dataset.categorical_names),
        "class_names": list(dataset.class_names),
        "counts": list(dataset.counts),
        "parts": [len(parts.train), len(parts.valid), len(parts.test)],
        "epochs": job.cases.epochs,
        "time_ordered": dataset.time_ordered,
        "horizon": dataset.horizon,
        "notes": notes,
        "fingerprint": job.cases.fingerprint,
    }
