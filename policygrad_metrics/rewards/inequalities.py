"""Several constraints as inequalities between rates of confusion counts."""

from __future__ import annotations

import dataclasses
import itertools
import numbers
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.rewards.base import Reward
from policygrad_metrics.rewards.constraints import SENSES, Constraint, get_constraint
from policygrad_metrics.rewards.ratios import AveragedReward


@dataclasses.dataclass(frozen=True)
class Constraints:
    """Several constraints as inequalities `sum_t a[m, t] rate_t <= b[m]`.

    Args:
        items: the constraints, each with its class as a number.
        terms: the rates, a reward and a group (None: all examples).
        slopes: a, `M` rows of `T` numbers.
        bounds: b, `[M]`.
        groups: G; 1 if none is of groups.
    """

    items: tuple[Constraint, ...]
    terms: tuple[tuple[Reward, int | None], ...]
    slopes: tuple[tuple[float, ...], ...]
    bounds: tuple[float, ...]
    groups: int

    @classmethod
    def of(cls, subject_to: Any, index: Callable[[Any], int] | None = None) -> Constraints:
        """Read what a person gives.

        Args:
            subject_to: a constraint or a text, or several of them.
            index: gives the number of a class; None where classes are numbers.

        Raises:
            ValueError: none is given, two contradict each other, numbers of groups differ, or
                a class is not known.
        """
        given = subject_to
        if isinstance(given, str | Constraint) or not isinstance(given, Iterable):
            given = [given]
        items = tuple(get_constraint(one).of_class(index or _class_number) for one in given)
        if not items:
            raise ValueError("subject_to holds no constraint; leave it out, or give at_least(...).")
        _refuse_contradictions(items)
        groups = {one.groups for one in items if one.groups is not None}
        if len(groups) > 1:
            raise ValueError(
                f"the constraints have different numbers of groups, {sorted(groups)}; there is one "
                "column of groups: give all the same groups=."
            )
        terms: list[tuple[Reward, int | None]] = []
        rows: list[tuple[dict[int, float], float]] = []

        def place(reward, group):
            term = (reward, group)
            if term not in terms:
                terms.append(term)
            return terms.index(term)

        for one in items:
            sign = 1.0 if one.sense == "<=" else -1.0
            if one.groups is not None:
                for pair in itertools.permutations(range(one.groups), 2):
                    more, less = (place(one.reward, group) for group in pair)
                    rows.append(({more: 1.0, less: -1.0}, one.bound))
            elif one.complement:  # sign (1 - rate) <= sign bound
                rows.append(({place(one.reward, None): -sign}, sign * (one.bound - 1.0)))
            else:
                rows.append(({place(one.reward, None): sign}, sign * one.bound))
        slopes = tuple(tuple(row.get(t, 0.0) for t in range(len(terms))) for row, _ in rows)
        return cls(items, tuple(terms), slopes, tuple(b for _, b in rows), max({1, *groups}))

    def for_multilabel(self) -> Constraints:
        """The same constraints on label columns."""
        terms = tuple((reward.for_multilabel(), group) for reward, group in self.terms)
        return dataclasses.replace(self, terms=terms)

    def _tables(self, confusion: Tensor) -> Iterator[tuple[Reward, Tensor]]:
        """The reward of each rate and its counts `[..., C, K, K]`, of `[..., G, C, K, K]`."""
        whole = tf.reduce_sum(confusion, axis=-4)
        for reward, group in self.terms:
            yield reward, whole if group is None else confusion[..., group, :, :, :]

    def rates(self, confusion: Tensor) -> Tensor:
        """The rates `[..., T]` of confusion counts `[..., G, C, K, K]`."""
        return tf.stack([self._rate(*one) for one in self._tables(confusion)], axis=-1)

    def _rate(self, reward: Reward, table: Tensor) -> Tensor:
        try:
            return reward.score_columns(table)
        except ValueError as error:
            of_rate = (one for one in self.items if one.reward.name == reward.name)
            text = next(map(str, of_rate), reward.name)
            raise ValueError(
                f"the constraint '{text}' of subject_to does not fit: {error} The rate of one "
                'class is pos_label=, or "precision[1] >= 0.9".'
            ) from error

    def known(self, confusion: Tensor) -> Tensor:
        """Whether there are examples that a rate is a share of, bool `[..., T]`.

        There are none of the recall of a class or a group without a positive example: it is 0
        whatever is decided.
        """
        known = []
        for reward, table in self._tables(confusion):
            true = tf.reduce_sum(table, axis=-1)
            some = tf.reduce_sum(true, axis=[-2, -1]) > 0.0
            if isinstance(reward, AveragedReward):  # what all right labels are worth
                some &= self._rate(reward, tf.linalg.diag(true)) > 0.0
            known.append(some)
        return tf.stack(known, axis=-1)

    def unknown(self, confusion: Tensor) -> list[str]:
        """The rates, in words, that are not known of counts `[G, C, K, K]`."""
        return [
            reward.name + ("" if group is None else f" of group {group}")
            for (reward, group), known in zip(self.terms, self.known(confusion), strict=True)
            if not known
        ]

    def excess(self, confusion: Tensor) -> Tensor:
        """By how much each inequality is violated, `[..., M]`: negative where it is kept."""
        rates = self.rates(confusion)
        slopes = tf.constant(self.slopes, rates.dtype)
        return tf.einsum("...t,mt->...m", rates, slopes) - tf.constant(self.bounds, rates.dtype)

    def judged(self, confusion: Tensor) -> Tensor:
        """Whether all rates of each inequality are known, bool `[..., M]`."""
        free = tf.constant(self.slopes) == 0.0
        return tf.reduce_all(self.known(confusion)[..., None, :] | free, axis=-1)

    def worst_of_each(self, confusion: Tensor) -> list[tuple[Constraint, Tensor]]:
        """Each constraint, and by how much it is violated by counts `[..., G, C, K, K]`."""
        rows = [1 if one.groups is None else one.groups * (one.groups - 1) for one in self.items]
        parts = tf.split(self.excess(confusion), rows, axis=-1)
        worst = [tf.reduce_max(part, axis=-1) for part in parts]
        return list(zip(self.items, worst, strict=True))


def _class_number(label):
    if isinstance(label, numbers.Integral) and not isinstance(label, bool) and int(label) >= 0:
        return int(label)
    raise ValueError(
        f"pos_label={label!r} of a constraint must be the number of a class here, 0 to K - 1: the "
        "loss sees no names. The classifiers take names."
    )


def number_of(names: Sequence[str]) -> Callable[[Any], int]:
    """The function that gives the number of a class of its name, for `Constraints.of`.

    Args:
        names: of the classes, as texts, in the order of their numbers.

    >>> number_of(["benign", "malignant"])("malignant")
    1
    """

    def number(label):
        if str(label) not in names:
            raise ValueError(
                f"subject_to (--subject-to) names a class {label!r} that is not known; the "
                f"classes are {', '.join(names) or 'none, as y holds label columns'}."
            )
        return list(names).index(str(label))

    return number


def _refuse_contradictions(items: Sequence[Constraint]) -> None:
    """Raise if a floor lies above a ceiling of the same rate."""
    for one, other in itertools.permutations(items, 2):
        (rate, sense, bound), (other_rate, other_sense, other_bound) = map(_plainly, (one, other))
        plain = one.groups is None and other.groups is None
        opposed = (sense, other_sense) == SENSES and bound > other_bound
        if plain and opposed and rate == other_rate:
            raise ValueError(
                f"the constraints '{one}' and '{other}' contradict each other: no decision keeps "
                "both. Move one of the bounds."
            )


def _plainly(one: Constraint) -> tuple[Reward, str, float]:
    """The reward of a constraint, its sense and its bound, where one rate may have two names."""
    reward, sense, bound = one.reward, one.sense, one.bound
    if isinstance(reward, AveragedReward) and reward.average == "binary":
        of_one: Any = {"average": "macro", "labels": (1,)}
        reward = dataclasses.replace(reward, **of_one)
    if one.complement:
        sense, bound = SENSES[1 - SENSES.index(sense)], 1.0 - bound
    return reward, sense, bound
