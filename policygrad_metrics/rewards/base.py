"""What a reward is, and the kinds a person can write in a few lines.

    RatioReward(tables)        a ratio of sums over examples          exact expectation
    CountReward(function)      any function of the confusion matrix   local expectation
    ClassCountReward(terms)    a function of sums over classes        local expectation, any K
    BlackBox(function)         any Python function (`black_box.py`)   REINFORCE

A reward knows nothing of networks or policies. Larger is better.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

import tensorflow as tf

from policygrad_metrics.core.batch import Batch, Tensor, canonical_weight, flatten_sites
from policygrad_metrics.core.global_batch import gathered, on_this_replica, over_replicas, own_rows
from policygrad_metrics.rewards.bound import BoundReward, ChoiceRatio
from policygrad_metrics.rewards.bound_counts import ClassCounts, Counts, score_class_terms
from policygrad_metrics.rewards.confusion import cells, confusion_counts, in_float32

#: Label sets are scored from their confusion counts up to so many cells.
MOST_CELLS = 2**24


@dataclasses.dataclass(frozen=True)
class Reward(abc.ABC):
    """A score of label sets against the truth; larger is better.

    Args:
        multilabel: whether the last axis of the sites `[B, L]` holds label columns (0/1 each),
            as scikit-learn's multi-label indicator does, instead of further sites.
    """

    multilabel: bool = dataclasses.field(default=False, kw_only=True)

    #: Whether classes count by something else than their examples, and what a wrong label costs is
    #: told well by its true class: cross-entropy beside it is then weighted by class.
    weighs_classes: ClassVar[bool] = False

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The name that `get_reward` knows, or a readable one."""

    @property
    def aggregation(self) -> str:
        """What adds up over batches: "counts", "examples" (a mean), "scores" or "nothing"."""
        return "counts"

    @property
    def uses_order(self) -> bool:
        """Whether the score changes if classes are numbered otherwise.

        False for rewards of your own: what they do with the numbers cannot be known. A subclass may
        set it to True. Classes that are texts then need an order, see `data.order`.
        """
        return False

    #: Whether it scores a ranking instead of labels (`rankings.py`).
    ranks: ClassVar[bool] = False

    #: Whether it calls Python, which XLA cannot compile.
    calls_python: ClassVar[bool] = False
    #: Whether it reads the costs of each example (`Batch.costs`).
    reads_costs: ClassVar[bool] = False
    #: Whether the last label means "no answer" (`Abstaining`).
    abstains: ClassVar[bool] = False

    @abc.abstractmethod
    def bind(self, batch: Batch) -> BoundReward:
        """The reward of one batch as a function of label sets (see `bound.py`)."""

    def __call__(
        self,
        y_true: Any,
        y_pred: Any,
        sample_weight: Any = None,
        *,
        num_classes: int | None = None,
    ) -> Tensor:
        """Score label sets.

        Args:
            y_true: int `[*sites]`.
            y_pred: int `[S, *sites]`, one or more label sets, or `[*sites]`, a single one.
            sample_weight: `[B]` or `[*sites]`.
            num_classes: K; the largest label plus one (at least 2) if not given.

        Returns:
            float32 `[S]`, or a scalar for a single label set.

        Raises:
            ValueError: shapes do not belong together, or a label lies outside `[0, K)`.

        >>> import policygrad_metrics as pgm
        >>> float(pgm.get_reward("accuracy")([0, 1, 1, 2], [0, 1, 1, 1]))
        0.75
        """
        y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
        single = y_pred.shape.rank == y_true.shape.rank
        if single:
            y_pred = y_pred[None]
        if not y_pred.shape[1:].is_compatible_with(y_true.shape):
            raise ValueError(
                f"y_pred must have shape [S, *sites] with sites of y_true's shape {y_true.shape}; "
                f"it has shape {y_pred.shape}."
            )
        if num_classes is None:
            if not tf.executing_eagerly():
                raise ValueError("num_classes must be given inside a graph.")
            num_classes = max(2, int(tf.reduce_max(y_true)) + 1, int(tf.reduce_max(y_pred)) + 1)
        weight = canonical_weight(sample_weight, y_true)
        batch = Batch(
            flatten_sites(tf.cast(y_true, tf.int32), self.multilabel),
            flatten_sites(weight, self.multilabel),
            num_classes,
            sample_weight is not None,
            multilabel=self.multilabel,
        )
        samples = flatten_sites(tf.cast(y_pred, tf.int32), self.multilabel, lead=1)
        scores = self.score_samples(batch, samples)
        return scores[0] if single else scores

    def score_samples(self, batch: Batch, samples: Tensor) -> Tensor:
        """Rewards `[S]`, float32, of the label sets `[S, N, C]`."""
        return self.bind(batch).score(samples)

    def score_counts(self, confusion: Any) -> Tensor:
        """Score examples of which only the confusion counts are known.

        Args:
            confusion: float32 or float64 `[..., K, K]`, rows the truth; a multi-label reward
                takes a matrix for each label column, `[..., C, 2, 2]`. Whole numbers become
                float64.

        Returns:
            `[...]`, of the type of `confusion`.

        Raises:
            TypeError: the reward is no function of confusion counts.

        One hit and one false alarm beside a million true negatives:

        >>> import policygrad_metrics as pgm
        >>> float(pgm.rewards.Precision().score_counts([[1e6, 1.0], [0.0, 1.0]]))
        0.5
        """
        if self.aggregation != "counts":
            raise TypeError(
                f"reward {self.name!r} is no function of confusion counts. Call it with y_true "
                "and y_pred."
            )
        confusion = tf.convert_to_tensor(confusion)
        if not confusion.dtype.is_floating:
            confusion = tf.cast(confusion, tf.float64)
        return tf.cast(self.of_counts(tf.cast(confusion, tf.float64)), confusion.dtype)

    def score_columns(self, confusion: Tensor) -> Tensor:
        """`score_counts` of `[..., C, K, K]`, where C is 1 unless the reward is multi-label."""
        return self.score_counts(confusion if self.multilabel else confusion[..., 0, :, :])

    def of_counts(self, confusion: Tensor) -> Tensor:
        """`score_counts` in float64.

        Here for any reward that only knows how to bind: each cell is one weighted example.
        """
        K = confusion.shape[-1]
        columns = confusion.shape[-3] if self.multilabel else 1
        lead = tf.shape(confusion)[: confusion.shape.rank - (3 if self.multilabel else 2)]

        def score(table):
            truth, labels, times = cells(tf.cast(table, tf.float32))
            with on_this_replica():  # the counts are those of all replicas
                return self.bind(Batch(truth, times, K, True)).score(labels[None])[0]

        tables = tf.reshape(confusion, [-1, columns, K, K])
        one = tables.shape[0] == 1
        scores = score(tables[0]) if one else tf.vectorized_map(score, tables)
        return tf.cast(tf.reshape(scores, lead), tf.float64)

    def for_multilabel(self) -> Reward:
        """The same reward with label columns."""
        return dataclasses.replace(self, multilabel=True)

    def refuse_multilabel(self) -> None:
        """Raise if the reward is asked for label columns that it has no meaning for."""
        if self.multilabel:
            raise ValueError(
                f"reward {self.name!r} is not defined for multi-label data (nor is it in "
                'scikit-learn). Use "f1_macro", "f1_micro", "f1_samples", "jaccard_macro", '
                '"accuracy" or "hamming".'
            )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Reward:
        """The inverse of `get_config`."""
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in config.items()
        }
        return cls(**fields)


class ConfusionReward(Reward):
    """A reward that computes itself from confusion counts."""

    @abc.abstractmethod
    def of_counts(self, confusion: Tensor) -> Tensor:
        """`score_counts` in float64, where `aggregation` is "counts"."""

    def score_samples(self, batch, samples):
        tables = (samples.shape[0] or 1) * samples.shape[-1]
        if self.aggregation != "counts" or tables * batch.num_classes**2 > MOST_CELLS:
            return super().score_samples(batch, samples)
        confusion = over_replicas(
            confusion_counts(batch.y_true, samples, batch.weight, batch.num_classes)
        )
        return tf.cast(self.score_columns(confusion), tf.float32)


def require_counts(reward: Reward, example: str) -> None:
    """Raise if a reward that another is made of is no function of confusion counts.

    Args:
        reward: what was given.
        example: a name that would do.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(reward, ConfusionReward) or reward.aggregation != "counts":
        raise TypeError(
            f"reward must be one of confusion counts, got {reward.name!r}; give a name such as "
            f"{example!r}."
        )


@dataclasses.dataclass(frozen=True)
class RatioReward(Reward):
    """Your own ratio of sums over examples, differentiated exactly.

        R = (n0 + sum_i n[i, a_i]) / (d0 + sum_i d[i, a_i])

    Args:
        tables: `f(y_true int32 [N], weight [N], num_classes) -> (n, d, n0, d0)` with n and d
            broadcastable to `[N, K]`, weights included, d and d0 not negative.
        label: name shown in logs.
        zero_division: value wherever the denominator is 0, a finite number.

    The share of the total cost that is spent on false alarms, say:

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> def hit_rate(y_true, weight, num_classes):
    ...     chosen = tf.one_hot(1, num_classes) * weight[:, None]
    ...     return chosen * tf.one_hot(y_true, num_classes), chosen, 0.0, 0.0
    >>> float(pgm.rewards.RatioReward(hit_rate)([0, 1, 1], [1, 1, 0]))
    0.5
    """

    tables: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor, Any, Any]]
    label: str = ""
    zero_division: float = 0.0

    def __post_init__(self):
        if not math.isfinite(self.zero_division):
            raise ValueError(
                f"zero_division must be a finite number; it is {self.zero_division!r}. It is part "
                "of every expectation: say what 0/0 counts."
            )

    @property
    def name(self):
        return self.label or getattr(self.tables, "__name__", "ratio_reward")

    def bind(self, batch):
        self.refuse_multilabel()
        # n0 and d0 may be any function of all examples.
        y_true, weight = (x[:, 0] for x in gathered(batch.y_true, batch.weight))
        n, d, n0, d0 = self.tables(y_true, weight, batch.num_classes)
        n, d = (_rows(tf.convert_to_tensor(x, tf.float32), batch.num_classes) for x in (n, d))
        return ChoiceRatio(
            n if n.shape[0] == 1 else own_rows(n, batch.y_true),
            d if d.shape[0] == 1 else own_rows(d, batch.y_true),
            n0,
            d0,
            zero_division=self.zero_division,
            count_unit=None,
            d0_positive=False,
            vanishes=False,
        )


@dataclasses.dataclass(frozen=True)
class CountReward(ConfusionReward):
    """Your own function of the confusion matrix, in TensorFlow operations.

    Args:
        function: `confusion float32 [..., K, K] -> [...]`; rows are the truth, columns the labels.
        label: name shown in logs.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> def worse_side(confusion):
    ...     recall = tf.linalg.diag_part(confusion) / tf.reduce_sum(confusion, -1)
    ...     return tf.reduce_min(recall, -1)
    >>> float(pgm.rewards.CountReward(worse_side)([0, 0, 1, 1], [0, 0, 0, 1]))
    0.5
    """

    function: Callable[[Tensor], Tensor]
    label: str = ""

    @property
    def name(self):
        return self.label or getattr(self.function, "__name__", "count_reward")

    def bind(self, batch):
        self.refuse_multilabel()
        return Counts(in_float32(self.function), batch, self.name)

    def of_counts(self, confusion):
        self.refuse_multilabel()
        return in_float32(self.function)(confusion)


@dataclasses.dataclass(frozen=True)
class ClassCountReward(ConfusionReward):
    """Your own function of sums over classes: as cheap with 1000 classes as with two.

        R = combine(sum_k terms(hits_k, predicted_k, true_k))

    Args:
        terms: `(hits, predicted, true)`, each float32 `[..., K]` as shares of the total weight,
            to `[..., K, F]`.
        combine: `[..., F] -> [...]`; None adds up, and makes the expectation exact (estimator
            "poisson_binomial").
        label: name shown in logs.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> def squared_gap(hits, predicted, true):  # how far the label frequencies are off
    ...     return ((predicted - true) ** 2)[..., None]
    >>> reward = pgm.rewards.ClassCountReward(squared_gap, lambda sums: -sums[..., 0])
    >>> float(reward([0, 0, 1, 1], [0, 0, 0, 1]))
    -0.125
    """

    terms: Callable[[Tensor, Tensor, Tensor], Tensor]
    combine: Callable[[Tensor], Tensor] | None = None
    label: str = ""
    weighs_classes = True

    @property
    def name(self):
        return self.label or getattr(self.terms, "__name__", "class_count_reward")

    def bind(self, batch):
        self.refuse_multilabel()
        return ClassCounts(*self._functions, batch, additive=self.combine is None)

    def of_counts(self, confusion):
        self.refuse_multilabel()
        return score_class_terms(*self._functions, confusion)

    @property
    def _functions(self):
        combine = _added_up if self.combine is None else in_float32(self.combine)
        return in_float32(self.terms), combine


def _rows(table, num_classes):
    """A table that broadcasts to `[N, K]`, as one of `[N or 1, K]`."""
    while table.shape.rank < 2:
        table = table[None]
    return table * tf.ones([1, num_classes])


def _added_up(sums):
    return tf.reduce_sum(sums, axis=-1)
