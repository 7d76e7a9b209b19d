"""Skill scores of forecasts of an event, which is class 1 of two.

With hits h, misses m, false alarms f and right rejections r of a confusion matrix. Forecasters'
other names are aliases: probability of detection is recall, the critical success index Jaccard's,
the Heidke skill score Cohen's kappa, and the false alarm ratio is 1 - precision, so that as a
reward it is precision. `at_or_above` makes the event "level k or above" of ordered classes.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from policygrad_metrics.core.global_batch import over_replicas
from policygrad_metrics.core.sums import class_totals
from policygrad_metrics.rewards.base import ConfusionReward
from policygrad_metrics.rewards.bound import ChoiceRatio
from policygrad_metrics.rewards.bound_counts import Counts
from policygrad_metrics.rewards.confusion import ratio


class EventReward(ConfusionReward):
    """A reward of two classes, of which class 1 is the event."""

    weighs_classes = True

    def check_classes(self, num_classes: int) -> None:
        """Raise unless there are two classes."""
        self.refuse_multilabel()
        if num_classes != 2:
            raise ValueError(
                f"reward {self.name!r} scores an event, class 1 of two, but there are "
                f"K={num_classes} classes. Of ordered classes "
                f'pgm.rewards.at_or_above("{self.name}", level) makes "this level or above" the '
                'event; "gerrity" is the mean over all levels of one such score.'
            )


@dataclasses.dataclass(frozen=True)
class EquitableThreatScore(EventReward):
    """The equitable threat score, Gilbert's skill score: Jaccard's index less what chance hits.

        ETS = (h - c) / (h + m + f - c),   c = (h + m) (h + f) / (h + m + f + r)

    Given the truth, numerator and denominator are sums over examples: its expectation is exact.

    Args:
        zero_division: its value where there is no event, foretold or true, or nothing else.

    >>> import policygrad_metrics as pgm
    >>> float(pgm.rewards.EquitableThreatScore()([0, 0, 1, 1], [0, 1, 1, 1]))
    0.3333333432674408
    """

    zero_division: float = 0.0

    def __post_init__(self):
        if not -1.0 / 3.0 <= self.zero_division <= 1.0:
            raise ValueError(
                f"zero_division must be a number from -1/3 to 1; it is {self.zero_division!r}."
            )

    @property
    def name(self):
        return "equitable_threat_score"

    def of_counts(self, confusion):
        self.check_classes(confusion.shape[-1])
        total = tf.reduce_sum(confusion, axis=[-2, -1])
        (rejected, alarms), (missed, hits) = (
            tf.unstack(row, axis=-1) for row in tf.unstack(confusion, axis=-2)
        )
        # h - c over the total, without cancellation.
        beyond_chance = hits * rejected - missed * alarms
        wrong = (missed + alarms) * total
        return ratio(beyond_chance, beyond_chance + wrong, self.zero_division)

    def bind(self, batch):
        self.check_classes(batch.num_classes)
        true = over_replicas(class_totals(batch.y_true, batch.weight, 2))
        other_share, share = tf.unstack(tf.math.divide_no_nan(true, tf.reduce_sum(true)))
        event = tf.cast(batch.y_true, tf.float32)  # [N, 1]
        none = tf.zeros_like(event)
        # Of events a missed one adds to what is left of them in the denominator.
        called = event * other_share - (1.0 - event) * share
        return ChoiceRatio(
            n=batch.weight * tf.concat([none, called], axis=1),
            d=batch.weight * tf.concat([event * share, (1.0 - event) * other_share], axis=1),
            n0=0.0,
            d0=true[1] * other_share,
            zero_division=self.zero_division,
            count_unit=None,
            d0_positive=True,
        )


@dataclasses.dataclass(frozen=True)
class SEDI(EventReward):
    """The symmetric extremal dependence index, for rare events (Ferro, Stephenson 2011).

        SEDI = (log F - log H - log(1 - F) + log(1 - H)) / (log F + log H + log(1 - F) + log(1 - H))

    with the hit rate H = h / (h + m) and the false alarm rate F = f / (f + r). Where a logarithm is
    infinite it is the limit: 1 if every event is hit or there is no false alarm, -1 if no event is
    hit or everything else is a false alarm, the mean of these where two hold. Where the truth has
    one class only it is 0. So a forecast that is perfect in one kind is worth as much as in both:
    on batches with few events train on another score. The expectation is exact for up to 1,024
    unweighted examples, and a local expectation beyond.

    >>> import policygrad_metrics as pgm
    >>> y_true, y_pred = [1, 1, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0]
    >>> round(float(pgm.rewards.SEDI()(y_true, y_pred)), 4)
    0.359
    """

    @property
    def name(self):
        return "sedi"

    def of_counts(self, confusion):
        self.check_classes(confusion.shape[-1])
        return _sedi(confusion)

    def bind(self, batch):
        self.check_classes(batch.num_classes)
        return Counts(_sedi, batch, self.name)


def _sedi(confusion):
    true = tf.reduce_sum(confusion, axis=-1, keepdims=True)
    rates = ratio(confusion, tf.broadcast_to(true, tf.shape(confusion)))
    infinite = rates <= 0.0
    logs = tf.math.log(tf.where(infinite, tf.ones_like(rates), rates))
    signs = tf.constant([[-1.0, 1.0], [1.0, -1.0]], confusion.dtype)

    def summed(x):
        return tf.reduce_sum(x, axis=[-2, -1])

    ends = tf.cast(infinite, confusion.dtype)
    inside = ratio(-summed(logs * signs), -summed(logs))
    value = tf.where(summed(ends) > 0.0, ratio(summed(ends * signs), summed(ends)), inside)
    return tf.where(tf.reduce_all(true > 0.0, axis=[-2, -1]), value, tf.zeros_like(value))
