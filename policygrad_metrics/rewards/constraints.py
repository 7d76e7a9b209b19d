"""Constraints: floors and ceilings on rewards.

    at_least("precision", 0.9)                  precision >= 0.9
    at_most("false_positive_rate", 0.01)        false positive rate <= 0.01
    at_least("recall", 0.8, pos_label=2)        recall of class 2 >= 0.8
    at_most("equal_opportunity_gap", 0.05, groups=2)

A gap is the largest difference of a rate between two groups of examples (Hardt, Price, Srebro
2016). So every constraint is one or more inequalities between rates of confusion counts, each of
the form `sum_t a_t rate_t <= b`.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import re
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from policygrad_metrics.core.checks import check_whole, choose
from policygrad_metrics.rewards.abstaining import AnsweredRate
from policygrad_metrics.rewards.base import Reward
from policygrad_metrics.rewards.levels import MeanGain
from policygrad_metrics.rewards.ratios import AveragedReward
from policygrad_metrics.rewards.registry import (
    COMPLEMENT_ALIASES,
    COMPLEMENTS,
    get_reward,
    reward_names,
    reward_of_rate,
)

SENSES = (">=", "<=")
#: What people write for them.
_SENSE_OF = {">": ">=", "=>": ">=", "≥": ">=", "<": "<=", "=<": "<=", "≤": "<="}
_TEXT = re.compile(
    r"\s*(?P<name>[\w.]+)\s*(?:\[\s*(?P<label>.+?)\s*\])?\s*(?P<sense>>=|<=|=>|=<|[<>≥≤])"
    r"\s*(?P<bound>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(?P<percent>%?)\s*"
)


@dataclasses.dataclass(frozen=True)
class PredictedRate(MeanGain):
    """The share of examples that are labelled as one class: coverage, the selection rate.

    Args:
        label: the class.

    >>> float(PredictedRate()([0, 1, 1, 1], [0, 1, 0, 0]))
    0.25
    """

    label: int = 1

    @property
    def name(self):
        return "predicted_positive_rate"

    @property
    def uses_order(self):
        return True

    def refuse_multilabel(self):
        """Of label columns it is the share of all labels that are 1."""

    def gain_table(self, num_classes):
        if self.label >= num_classes:
            raise ValueError(f"there is no class {self.label}: classes are 0 to {num_classes - 1}.")
        return tf.tile(tf.one_hot([self.label], num_classes), [num_classes, 1])


#: Rates that nobody maximises, by the names of confusion matrices and fairness.
RATES: dict[str, Callable[[], Reward]] = {
    "predicted_positive_rate": PredictedRate,
    "answered_rate": AnsweredRate,
}
#: Other names of rates.
RATE_ALIASES = {
    "coverage": "predicted_positive_rate",
    "selection_rate": "predicted_positive_rate",
    "equal_opportunity_gap": "recall_gap",
    "demographic_parity_gap": "predicted_positive_rate_gap",
    "predictive_parity_gap": "precision_gap",
}


@dataclasses.dataclass(frozen=True)
class Constraint:
    """A floor or a ceiling of a reward; made by `at_least`, `at_most` or of a text.

    Args:
        reward: one of confusion counts.
        sense: ">=" or "<=".
        bound: a finite number.
        complement: whether 1 minus the reward is bounded, as for a false positive rate.
        pos_label: the class whose rate is meant; None for that of the reward's name.
        groups: the number of groups, if the largest difference between two of them is meant.
        name: of the rate as it was written, for messages and tables.
    """

    reward: Reward
    sense: str
    bound: float
    complement: bool = False
    pos_label: Any = None
    groups: int | None = None
    name: str = ""

    def __str__(self) -> str:
        of_class = "" if self.pos_label is None else f"[{self.pos_label}]"
        return f"{self.name or self.reward.name}{of_class} {self.sense} {self.bound:g}"

    def of_class(self, index: Callable[[Any], int]) -> Constraint:
        """The constraint with its class as a number.

        Args:
            index: gives the number of a class.
        """
        if self.pos_label is None:
            return self
        if isinstance(self.reward, AveragedReward):
            one = (index(self.pos_label),)
            chosen = {"average": "macro", "labels": one, "class_weights": None}
        elif isinstance(self.reward, PredictedRate):
            chosen = {"label": index(self.pos_label)}
        else:
            raise ValueError(
                f"pos_label={self.pos_label!r} of the constraint {str(self)!r} needs a rate of one "
                'class, such as "recall", "precision", "f1", "false_positive_rate" or "coverage".'
            )
        reward: Any = dataclasses.replace(self.reward, **chosen)
        name = f"{self.name or self.reward.name}[{self.pos_label}]"
        return dataclasses.replace(self, reward=reward, pos_label=None, name=name)


def at_least(
    reward: str | Reward, bound: float, *, pos_label: Any = None, groups: int | None = None
) -> Constraint:
    """A floor: the reward must be at least `bound`.

    Args:
        reward: a name or a `Reward`; also "false_positive_rate", "false_negative_rate",
            "false_discovery_rate", "error_rate", "predicted_positive_rate" ("coverage"), and
            any of them with "_gap" behind it, the largest difference between two groups
            ("equal_opportunity_gap" is that of recall, "demographic_parity_gap" that of the
            predicted positive rate).
        bound: a finite number.
        pos_label: the class that is meant, for rates of one class.
        groups: the number of groups of a gap.

    Raises:
        ValueError: the name is not known; the bound is beyond what any decision reaches; a gap
            without groups, or groups without a gap; the reward is no function of confusion counts.

    >>> str(at_least("precision", 0.9))
    'precision >= 0.9'
    >>> at_least("precision", 1.5)
    Traceback (most recent call last):
    ValueError: the constraint 'precision >= 1.5' cannot be kept: precision is at most 1...
    """
    return _constraint(reward, ">=", bound, pos_label, groups)


def at_most(
    reward: str | Reward, bound: float, *, pos_label: Any = None, groups: int | None = None
) -> Constraint:
    """A ceiling: the rate must be at most `bound`; arguments as for `at_least`.

    >>> str(at_most("false_positive_rate", 0.01))
    'false_positive_rate <= 0.01'
    """
    return _constraint(reward, "<=", bound, pos_label, groups)


def get_constraint(constraint: str | Constraint) -> Constraint:
    """A constraint of a text: "precision >= 0.9", "precision >= 90%", "recall[2] >= 0.8".

    Raises:
        ValueError: the text is none.
        TypeError: it is neither a text nor a `Constraint`.

    >>> get_constraint("precision>=0.9") == at_least("precision", 0.9)
    True
    """
    if isinstance(constraint, Constraint):
        return constraint
    if not isinstance(constraint, str):
        raise TypeError(
            "subject_to must hold constraints, at_least(reward, bound) or at_most(reward, bound), "
            f"or texts such as 'precision >= 0.9'; it holds {constraint!r}."
        )
    found = _TEXT.fullmatch(constraint)
    if found is None:
        raise ValueError(
            f"subject_to={constraint!r} is no constraint. Write REWARD>=NUMBER or REWARD<=NUMBER, "
            "such as precision>=0.9, and the class in brackets: recall[malignant]>=0.8. Several "
            "constraints are a list."
        )
    name, sense, bound = found["name"], found["sense"], found["bound"]
    label: Any = found["label"]
    if sense not in SENSES:
        raise ValueError(
            f"subject_to={constraint!r} has the sign {sense!r}; a rate may be at its bound. Write "
            f"{constraint.replace(sense, _SENSE_OF[sense]).strip()!r}."
        )
    if label is not None and re.fullmatch(r"-?\d+", label):
        label = int(label)
    return _constraint(name, sense, float(bound) / (100.0 if found["percent"] else 1.0), label)


def _constraint(reward, sense, bound, pos_label=None, groups=None):
    names = (getattr(reward, attribute, None) for attribute in ("name", "__name__"))
    typed = reward if isinstance(reward, str) else next(filter(None, names), repr(reward))
    if not isinstance(bound, numbers.Real) or not math.isfinite(bound):
        raise ValueError(f"bound of the constraint on {typed} must be a number; it is {bound!r}.")
    name = RATE_ALIASES.get(reward, reward) if isinstance(reward, str) else reward
    gap = isinstance(name, str) and name.endswith("_gap")
    text = f"{typed} {sense} {bound:g}"
    found, complement = _rate(name.removesuffix("_gap") if gap else name, typed, text)
    constraint = Constraint(found, sense, float(bound), complement, pos_label, groups, typed)
    if gap != (groups is not None):
        raise ValueError(
            f"the constraint '{constraint}' "
            + ("needs groups=, the number of groups." if gap else "has groups= but is no gap.")
            + ' The largest difference between two of G groups is at_most("recall_gap", 0.05, '
            "groups=G)."
        )
    if found.aggregation != "counts" or found.calls_python:
        raise ValueError(
            f"the constraint '{constraint}' is on a reward that is no function of confusion counts "
            "in TensorFlow, so its rate cannot be kept. "
            + ("Bound a rate of labels." if found.ranks else "Write it as a CountReward.")
        )
    if gap:
        check_whole("groups", groups, 2)
        if sense == ">=" or bound < 0.0:
            raise ValueError(f"the constraint '{constraint}' must be at_most a number, 0 or more.")
    else:
        _check_reach(constraint)
    return constraint


def _rate(name, typed, text) -> tuple[Reward, bool]:
    """The reward of a name, and whether what is meant is 1 minus it."""
    if not isinstance(name, str):
        return get_reward(name), False
    name = RATE_ALIASES.get(name, name)
    if name in RATES:
        return RATES[name](), False
    reward = reward_of_rate(name)
    try:
        return get_reward(reward or name), reward is not None
    except (TypeError, ValueError) as error:
        if " is not known" in str(error):
            rates = [*RATES, *RATE_ALIASES, *COMPLEMENTS, *COMPLEMENT_ALIASES]
            choose(f"subject_to={text!r}: rate", typed, [*reward_names(), *rates])
        raise ValueError(f"subject_to={text!r}: {error}") from error


#: All right, all wrong, and one label for all: `[4, 1, 2, 2]`.
_EXTREMES = (
    (((1.0, 0.0), (0.0, 1.0)),),
    (((0.0, 1.0), (1.0, 0.0)),),
    (((0.0, 1.0), (0.0, 1.0)),),
    (((1.0, 0.0), (1.0, 0.0)),),
)


def _check_reach(constraint):
    """Raise if no labels of two classes reach the bound."""
    reward = constraint.reward
    of_class = isinstance(reward, AveragedReward | PredictedRate)
    if reward.uses_order and not of_class:
        return  # what can be reached depends on the number of classes
    if isinstance(reward, AveragedReward):
        reward = dataclasses.replace(reward, labels=None, class_weights=None)
    values = reward.score_columns(tf.constant(_EXTREMES, tf.float64)).numpy()
    values = 1.0 - values if constraint.complement else values
    floor = constraint.sense == ">="
    best = float(values.max() if floor else values.min())
    if (constraint.bound > best) if floor else (constraint.bound < best):
        raise ValueError(
            f"the constraint '{constraint}' cannot be kept: {constraint.name} is at "
            f"{'most' if floor else 'least'} {best:g}. Move the bound."
        )
