"""What a method is, and what it may know of a task."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Self

import numpy as np

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.checks import choose
from policygrad_metrics.rewards import Reward, get_reward
from policygrad_metrics.rewards.constraints import Constraint

TASKS = ("binary", "multiclass", "ordinal", "multilabel", "ranking")
#: Those with labels to decide on.
ANY_TASK = frozenset(TASKS) - {"ranking"}
#: Those of what gives each example a probability, whatever it is for.
EVERY_TASK = frozenset(TASKS)

#: Packages that only some methods need: their names, and the extras that bring them.
EXTRAS = {"lightgbm": ("LightGBM", "boosting"), "libauc": ("LibAUC", "bench")}

#: `loss(y_true, outputs, sample_weight=None) -> scalar`, on logits.
Loss = Callable[..., Tensor]


@dataclasses.dataclass(frozen=True)
class TaskInfo:
    """What a loss may know of the data: nothing but their kind and the training part's counts.

    Args:
        task: "binary" or "ranking" (outputs `[B, 1]`), "multiclass" or "ordinal" (`[B, K]`), or
            "multilabel" (`[B, L]`).
        reward: what is to be maximised, a name or a `Reward`.
        num_classes: K; 2 for binary and multi-label.
        columns: L for multi-label, else 1.
        class_counts: rows of each class in the training part; multi-label: rows that carry each
            label. Empty if not known: weighted losses then count each batch.
        rows: of the training part; by default the sum of class_counts.
        subject_to: constraints that policy gradients are trained under, their classes as numbers.
        own_class_weight: weights to use instead of those that class_counts give, such as a tensor
            that holds those of one replica among many.

    Raises:
        ValueError: the task or reward is not known, or the numbers do not fit the task.

    >>> TaskInfo("binary", "f1", class_counts=(90, 10)).outputs
    1
    """

    task: str
    reward: str | Reward
    num_classes: int = 2
    columns: int = 1
    class_counts: tuple[int, ...] = ()
    rows: int = 0
    subject_to: tuple[Constraint, ...] = ()
    own_class_weight: Any = dataclasses.field(default=None, compare=False)

    def __post_init__(self) -> None:
        choose("task", self.task, TASKS)
        get_reward(self.reward)
        several = self.task in ("multiclass", "ordinal")
        if self.num_classes < 2 or (not several and self.num_classes > 2):
            raise ValueError(
                f"num_classes must be 2 for binary, multi-label and ranking tasks, else 2 or more; "
                f"it is {self.num_classes} for task={self.task!r}."
            )
        if self.columns < 1 or (self.task != "multilabel" and self.columns > 1):
            raise ValueError(
                f"columns must be 1, or for multi-label the number of labels; it is {self.columns} "
                f"for task={self.task!r}."
            )
        expected = self.columns if self.task == "multilabel" else self.num_classes
        if self.class_counts and len(self.class_counts) != expected:
            raise ValueError(
                f"class_counts must be {expected} numbers for this task; they are "
                f"{self.class_counts}."
            )
        if self.task == "multilabel" and self.class_counts and self.rows < max(self.class_counts):
            raise ValueError(
                "rows must be given with the class_counts of a multi-label task and not be fewer; "
                f"it is {self.rows}."
            )

    @classmethod
    def of(cls, task: str, reward: str | Reward, y_train: Any, num_classes: int) -> Self:
        """Return the information about training labels.

        Args:
            task: as for the class.
            reward: as for the class.
            y_train: labels `[N]`, multi-label `[N, L]`.
            num_classes: K; for multi-label 2.

        >>> TaskInfo.of("ordinal", "accuracy", [0, 2, 2], 3).class_counts
        (1, 0, 2)
        """
        y = np.asarray(y_train)
        if task == "multilabel":
            counts = tuple(int(n) for n in y.sum(axis=0))
            return cls(task, reward, 2, y.shape[1], counts, len(y))
        counts = tuple(np.bincount(y, minlength=num_classes).tolist())
        return cls(task, reward, num_classes, 1, counts, len(y))

    @property
    def outputs(self) -> int:
        """Output columns of the network."""
        if self.task == "multilabel":
            return self.columns
        return 1 if self.task in ("binary", "ranking") else self.num_classes

    @property
    def policy(self) -> str:
        """The name of the policy that reads the outputs."""
        return "softmax" if self.task in ("multiclass", "ordinal") else "sigmoid"

    @property
    def average(self) -> str:
        """How surrogates average: "binary" if the reward scores class 1 of two only."""
        binary = getattr(get_reward(self.reward), "average", None) == "binary"
        return "binary" if binary and self.task == "binary" else "macro"

    @property
    def class_weight(self) -> Any:
        """`N / (K N_k)`, `[K]` (multi-label `[L, 2]`), 0 for empty classes; None if not known."""
        if self.own_class_weight is not None:
            return self.own_class_weight
        if not self.class_counts:
            return None
        counts = np.asarray(self.class_counts, np.float64)
        if self.task == "multilabel":
            counts = np.stack([self.rows - counts, counts], axis=-1)
        total = counts.sum(axis=-1, keepdims=True) / self.num_classes
        return np.where(counts > 0, total / np.maximum(counts, 1.0), 0.0)


@dataclasses.dataclass(frozen=True)
class Choice:
    """A hyper-parameter: its default and the fixed range that trials are drawn from.

    Args:
        default: what trial 0 takes.
        low: least value.
        high: largest value.
        log: whether to draw uniformly in the logarithm.

    Raises:
        ValueError: not low <= default <= high, or low <= 0 with log.

    >>> Choice(1.0, 0.1, 10.0, log=True).at(0.25)
    0.316228
    """

    default: float
    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low <= self.default <= self.high or (self.log and self.low <= 0.0):
            raise ValueError(f"low <= default <= high must hold (low > 0 with log); got {self}.")

    def at(self, share: float) -> float:
        """The value this share of the way from low to high, to six digits."""
        if self.log:
            value = math.exp(math.log(self.low) + share * math.log(self.high / self.low))
        else:
            value = self.low + share * (self.high - self.low)
        return float(f"{min(max(value, self.low), self.high):.6g}")


@dataclasses.dataclass(frozen=True)
class Method:
    """One row of the table.

    Args:
        name: for the command line and the tables.
        summary: one line.
        family: "cross-entropy", "surrogate", "policy gradient", "relaxation", "keras loss",
            "level regression", "scikit-learn", "boosted trees" or "trivial".
        paper: where it is from.
        tasks: which of `TASKS` it suits.
        build: `(info, hyper) -> loss` for a network; hyper-parameters may be scalar tensors (one
            per replica). The loss runs eagerly, in graphs and under XLA.
        predictor: `(info, hyper, seed) -> estimator` for methods that train no network: `fit(x,
            y)` and `predict_proba(x)`, `[N, K]` or, multi-label, `[N, L]`.
        head: `(cases) -> study.train.Head` for a network that learns something else than
            the task's labels, which has no other hyper-parameter than the learning rate.
        best_of: names of other methods of its table, of which it is for each data set, seed and
            decision the one with the best validation reward; it trains nothing itself.
        hyperparameters: name -> default and range.
        warm_start: share of the epochs that is first spent on plain cross-entropy.
        levels: how the network ends, see `training.Network`; where it is given, the loss reads log
            probabilities of the levels.
        decision: the default decision, a name of `decision.plain_rule`.
        tuning: how it is tuned, a method of `DecisionTuner`.
        reads: "features", or "last_label": the label last known at each row, `[N, 1]`, instead of
            features; for series only.
        predicts_values: whether the predictor's `predict(x)` gives the numbers that labels are cut
            from.
        validates: whether the predictor's `fit(x, y, x_valid, y_valid)` chooses its length by the
            validation part, and `refit(x, y)` keeps that length.
        needs: a package of `EXTRAS`, without which the method is left out.
        table: The module whose `METHODS` holds it; by that it travels to other processes.
    """

    name: str
    summary: str
    family: str
    paper: str
    tasks: frozenset[str]
    build: Callable[[TaskInfo, Mapping[str, Any]], Loss] | None = None
    predictor: Callable[[TaskInfo, Mapping[str, Any], int], Any] | None = None
    head: Callable[[Any], Any] | None = None
    best_of: tuple[str, ...] = ()
    hyperparameters: Mapping[str, Choice] = dataclasses.field(default_factory=dict)
    warm_start: float = 0.0
    levels: str | None = None
    decision: str = "arg_max"
    tuning: str = "auto"
    reads: str = "features"
    predicts_values: bool = False
    validates: bool = False
    needs: str | None = None
    table: str = "policygrad_metrics.study.methods"

    def __post_init__(self) -> None:
        if [self.build, self.predictor, self.head, self.best_of or None].count(None) != 3:
            raise ValueError(
                f"method {self.name!r} must have one of build=, predictor=, head= and best_of=."
            )

    def __reduce_ex__(self, protocol: Any) -> Any:
        if getattr(import_module(self.table), "METHODS", {}).get(self.name) is self:
            return _of_table, (self.table, self.name)
        return super().__reduce_ex__(protocol)

    @property
    def installed(self) -> bool:
        """Whether what it needs is installed."""
        return self.needs is None or find_spec(self.needs) is not None

    @property
    def how_to_install(self) -> str:
        """What it needs and how to get that, in words."""
        name, extra = EXTRAS[self.needs or ""]
        return f"{name} (pip install policygrad-metrics[{extra}])"

    @property
    def trains_network(self) -> bool:
        """Whether there is something to compile and to train for epochs."""
        return self.predictor is None and not self.best_of

    @property
    def parts(self) -> list[Method]:
        """The methods that it is the best of."""
        return [_of_table(self.table, name) for name in self.best_of]

    @property
    def defaults(self) -> dict[str, float]:
        """The hyper-parameters of trial 0."""
        return {name: choice.default for name, choice in self.hyperparameters.items()}

    def loss(self, info: TaskInfo, hyper: Mapping[str, Any] | None = None) -> Loss:
        """Build the loss of a network.

        Args:
            info: the task.
            hyper: values for some of `hyperparameters`; the rest take their defaults.
                "learning_rate_scale" is the trainer's and not read here.

        Raises:
            ValueError: the method trains no network or does not suit the task, or a
                hyper-parameter is unknown.
        """
        if self.build is None:
            raise ValueError(f"method {self.name!r} trains no network; use its predictor.")
        return self.build(info, self._complete(info, hyper))

    def model(self, info: TaskInfo, hyper: Mapping[str, Any] | None = None, seed: int = 0) -> Any:
        """Build the model of a method without a network; arguments and errors as for `loss`."""
        if self.predictor is None:
            raise ValueError(f"method {self.name!r} trains a network; use its loss.")
        return self.predictor(info, self._complete(info, hyper), seed)

    def _complete(self, info: TaskInfo, hyper: Mapping[str, Any] | None) -> dict[str, Any]:
        if info.task not in self.tasks:
            raise ValueError(
                f"method {self.name!r} suits {', '.join(sorted(self.tasks))} tasks; this one is "
                f"{info.task}."
            )
        for name in hyper or {}:
            choose(
                f"hyper-parameter of {self.name!r}", name, [*self.hyperparameters, LEARNING_RATE]
            )
        found = {**self.defaults, **(hyper or {})}
        return {name: found[name] for name in self.hyperparameters}


def _of_table(table: str, name: str) -> Method:
    return import_module(table).METHODS[name]


#: Name of the hyper-parameter that every network has and its trainer reads.
LEARNING_RATE = "learning_rate_scale"
