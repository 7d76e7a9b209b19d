"""Estimators by name, and the strongest one that a reward allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from policygrad_metrics.core.batch import Batch
from policygrad_metrics.core.checks import choose
from policygrad_metrics.core.global_batch import on_this_replica
from policygrad_metrics.estimators.base import Estimator
from policygrad_metrics.estimators.control_variate import ControlVariate
from policygrad_metrics.estimators.delta_method import DeltaMethod
from policygrad_metrics.estimators.enumeration import Enumerate
from policygrad_metrics.estimators.exact import ExactExpectation, has_exact_expectation
from policygrad_metrics.estimators.kept import kept
from policygrad_metrics.estimators.literature import LITERATURE
from policygrad_metrics.estimators.local_expectation import LocalExpectation
from policygrad_metrics.estimators.poisson_binomial import PoissonBinomial
from policygrad_metrics.estimators.reinforce import Reinforce
from policygrad_metrics.estimators.reused_samples import ReusedSamples
from policygrad_metrics.rewards.base import Reward

#: name -> class. To add an estimator, add its file to this folder and its row here.
ESTIMATORS: dict[str, type[Estimator]] = {
    "exact": ExactExpectation,
    "poisson_binomial": PoissonBinomial,
    "delta_method": DeltaMethod,
    "local_expectation": LocalExpectation,
    "reinforce": Reinforce,
    "control_variate": ControlVariate,
    "reused_samples": ReusedSamples,
    "enumerate": Enumerate,
    **LITERATURE,
}


def get_estimator(estimator: str | Estimator | Mapping[str, Any], **arguments: Any) -> Estimator:
    """An estimator from its name and settings, or itself.

    Args:
        estimator: "exact", "local_expectation", "reinforce", "control_variate",
            "reused_samples", "enumerate", one of the literature's ("disarm", "muprop", ...; see
            `estimators/literature`), or an `Estimator`.
        arguments: its settings, such as `samples=` or `baseline=`.

    Raises:
        ValueError: the name is not known; the nearest known one is offered.
        TypeError: it is no name and no estimator.

    >>> get_estimator("reinforce", samples=4).samples
    4
    """
    if isinstance(estimator, Estimator):
        return estimator
    if isinstance(estimator, Mapping):
        return ESTIMATORS[choose("estimator", estimator["estimator"], ESTIMATORS)](
            **estimator["config"]
        )
    if not isinstance(estimator, str):
        raise TypeError(f"estimator must be a name or an Estimator; it is {estimator!r}.")
    return ESTIMATORS[choose("estimator", estimator, ESTIMATORS)](**arguments)


def estimator_config(estimator: Estimator) -> dict[str, Any] | Estimator:
    """An estimator as plain values that `get_estimator` reads back; your own as itself."""
    for name, cls in ESTIMATORS.items():
        if type(estimator) is cls:
            return {"estimator": name, "config": estimator.get_config()}
    return estimator


#: Up to this many sites "auto" takes the distribution of counts; it costs their 1.5th power.
MOST_SITES = 1024


def strongest_estimator(
    reward: Reward,
    num_classes: int,
    *,
    multilabel_columns: int = 1,
    unweighted_sites: int | None = None,
) -> Estimator:
    """What `gradient_estimator="auto"` means: exact, else local expectation, else REINFORCE.

    Args:
        reward: the reward.
        num_classes: K.
        multilabel_columns: label columns C.
        unweighted_sites: sites of a batch without weights, if known: of up to 1024 with two
            classes any function of the confusion matrix has an exact `PoissonBinomial`.

    >>> import policygrad_metrics as pgm
    >>> type(strongest_estimator(pgm.get_reward("f1_macro"), 3)).__name__
    'ExactExpectation'
    >>> type(strongest_estimator(pgm.get_reward("matthews_corrcoef"), 3)).__name__
    'LocalExpectation'
    """
    few = unweighted_sites is not None and unweighted_sites <= MOST_SITES
    return _strongest(reward, num_classes, multilabel_columns, few)


@kept
def reward_of_sites(reward: Reward, multilabel: bool) -> Reward:
    """The reward, ready for label columns if there are any; the same object each time."""
    return reward.for_multilabel() if multilabel else reward


@kept
def _strongest(reward: Reward, num_classes: int, columns: int, few: bool) -> Estimator:
    # It probes the reward, which takes longer than a compiled step.
    truth = tf.zeros([1, columns], tf.int32)
    with on_this_replica():
        costs = tf.zeros([1, num_classes])
        batch = Batch(truth, tf.ones_like(truth, tf.float32), num_classes, costs=costs)
        bound = reward.bind(batch)
    if has_exact_expectation(bound):
        return ExactExpectation()
    if few and num_classes == 2 and bound.has_count_distribution:
        return PoissonBinomial()
    return LocalExpectation() if bound.has_marginal_rewards else Reinforce()
