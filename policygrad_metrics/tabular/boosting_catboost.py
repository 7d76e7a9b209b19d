"""The expected reward as objective and metric of CatBoost.

CatBoost asks its objective for the derivatives of some rows at a time (of 500 or 1,000; for more
than two classes of one), while a reward needs all of them. Its metrics do see all rows, after each
tree. So the metric tells the objective, which works the derivatives out there and looks them up
when it is asked: rows of equal outputs, label and weight have equal derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from policygrad_metrics.estimators import Estimator
from policygrad_metrics.losses.policy_gradient import DEFAULT_CROSS_ENTROPY
from policygrad_metrics.rewards import Reward, get_reward
from policygrad_metrics.tabular.boosting_loss import (
    RewardLoss,
    cross_entropy_derivatives,
    reward_of_decisions,
    whole_labels,
)


def catboost_objective(
    reward: str | Reward | Callable[..., float],
    *,
    cross_entropy: float = DEFAULT_CROSS_ENTROPY,
    gradient_estimator: str | Estimator = "auto",
    seed: int = 0,
) -> CatBoostObjective:
    """The expected reward as `loss_function` of `CatBoostClassifier`, of two classes or more.

    It needs `eval_metric=catboost_metric(reward, objective=objective)`, which tells it the outputs
    of all rows. The first tree is grown on the cross-entropy alone, as nothing has been told yet.
    Of CatBoost's settings it needs `boosting_type="Plain"`, `leaf_estimation_iterations=1` and
    `metric_period=1`, which are what CatBoost chooses on CPUs.

    Args:
        reward: As for `PolicyGradientLoss`.
        cross_entropy: As for `lightgbm_objective`.
        gradient_estimator: As for `PolicyGradientLoss`.
        seed: Of estimators that draw label sets.

    Returns:
        An object with the methods that CatBoost calls.

    >>> objective = catboost_objective("accuracy", cross_entropy=0.0)
    >>> outputs, labels = np.array([0.0, 2.0]), np.array([1.0, 0.0])
    >>> catboost_metric("accuracy", objective=objective).evaluate([outputs], labels, None)
    (0.0, 1.0)
    >>> np.round(objective.calc_ders_range(outputs, labels, None), 4).tolist()
    [[0.25, -0.125], [-0.105, -0.0525]]
    """
    return CatBoostObjective(RewardLoss.of(reward, cross_entropy, gradient_estimator, seed))


def catboost_metric(
    reward: str | Reward | Callable[..., float], *, objective: CatBoostObjective | None = None
) -> CatBoostMetric:
    """The reward of the likeliest labels as `eval_metric` of `CatBoostClassifier`.

    Args:
        reward: As for `PolicyGradientLoss`.
        objective: What `catboost_objective` gave, if it is the `loss_function`.

    Returns:
        An object with the methods that CatBoost calls.
    """
    return CatBoostMetric(get_reward(reward), objective)


class CatBoostObjective:
    """CatBoost's view of a loss: both derivatives of what is to be maximised.

    Args:
        loss: The loss.
    """

    def __init__(self, loss: RewardLoss):
        self._loss = loss
        self._expects_training_rows = True
        #: Outputs before the first tree, the same for all rows.
        self._start: list[float] | None = None
        #: Of two classes sorted keys and derivatives `[N, 2]`; of more derivatives by key.
        self._sorted: tuple[np.ndarray, np.ndarray] | None = None
        self._by_key: dict[tuple[float, ...], tuple[Any, Any]] = {}

    def calc_ders_range(self, approxes: Any, targets: Any, weights: Any) -> np.ndarray:
        """Return the pair of derivatives of each of some rows of two classes."""
        self._expects_training_rows = True
        call = [approxes], targets, weights
        if self._sorted is None:
            return np.stack(self._of_first_tree(*call), axis=1)
        (known, derivatives), keys = self._sorted, _sortable_keys(*call)
        places = np.searchsorted(known, keys).clip(max=len(known) - 1)
        if (known[places] != keys).any():
            raise _not_told()
        return derivatives[places]

    def calc_ders_multi(self, approxes: Any, target: Any, weight: Any) -> tuple[Any, Any]:
        """Return gradient and (diagonal) Hessian of one row of more classes."""
        self._expects_training_rows = True
        call = [[x] for x in approxes], [target], [1.0 if weight is None else weight]
        if self._by_key:
            key = next(_keys(*call))
            if key not in self._by_key:
                raise _not_told()
            first, second = self._by_key[key]
        else:
            first, second = (x[0] for x in self._of_first_tree(*call))
        return list(first), np.diag(second).tolist()

    def tell(self, approxes: Any, target: Any, weight: Any) -> None:
        """Take the outputs of a set of rows; those of the training set come first after a tree."""
        if not self._expects_training_rows:
            return
        self._expects_training_rows = False
        first, second = (-x for x in self._loss.derivatives(*_arrays(approxes, target, weight)))
        if len(approxes) == 1:
            keys = _sortable_keys(approxes, target, weight)
            order = keys.argsort()
            self._sorted = keys[order], np.stack([first, second], axis=1)[order]
        else:
            pairs = zip(first.tolist(), second.tolist(), strict=True)
            self._by_key = dict(zip(_keys(approxes, target, weight), pairs, strict=True))

    def _of_first_tree(self, approxes, targets, weights):
        """The derivatives of the cross-entropy, which no other row enters."""
        y, logits, weight = _arrays(approxes, targets, weights)
        start = logits[:1].ravel().tolist()
        self._start = self._start or start
        if (logits != self._start).any():
            raise _not_told()
        return [-x for x in cross_entropy_derivatives(y, logits, weight)]


class CatBoostMetric:
    """CatBoost's view of the reward of decisions; larger is better.

    Args:
        reward: What the decisions are worth.
        objective: Is told of the outputs, or None.
    """

    def __init__(self, reward: Reward, objective: CatBoostObjective | None):
        self._reward = reward
        self._objective = objective

    def is_max_optimal(self) -> bool:
        """Whether larger is better."""
        return True

    def evaluate(self, approxes: Any, target: Any, weight: Any) -> tuple[float, float]:
        """Return the reward and its weight, 1."""
        if self._objective is not None:
            self._objective.tell(approxes, target, weight)
        return reward_of_decisions(self._reward, *_arrays(approxes, target, weight)), 1.0

    def get_final_error(self, error: float, weight: float) -> float:
        """Return the reward."""
        return error


def _arrays(approxes, targets, weights):
    """Labels, logits and weights of outputs that come column by column."""
    logits = np.array(approxes, np.float64)
    logits = logits[0] if len(logits) == 1 else logits.T
    weight = None if weights is None else np.array(weights, np.float64)
    return whole_labels(targets), logits, weight


def _sortable_keys(approxes, targets, weights):
    """What tells a row's derivatives of two classes: output, and weight, signed by the label."""
    weight = 1.0 if weights is None else np.asarray(weights)
    keys = np.empty(len(targets), np.complex128)  # sorted by the real part, then by the other
    keys.real, keys.imag = approxes[0], np.where(np.asarray(targets) > 0, weight, -weight)
    return keys


def _keys(approxes, targets, weights) -> Iterator[tuple[float, ...]]:
    """What tells a row's derivatives of more classes: its outputs, label and weight."""
    weights = np.ones(len(targets)) if weights is None else weights
    columns = [np.asarray(x, np.float64).tolist() for x in (*approxes, targets, weights)]
    return zip(*columns, strict=True)


def _not_told() -> ValueError:
    return ValueError(
        "catboost_objective was asked for rows that it has not been told of: pass "
        "eval_metric=catboost_metric(reward, objective=objective), with boosting_type='Plain', "
        "leaf_estimation_iterations=1, metric_period=1 and a baseline, if any, that is the same "
        "for all rows. After scikit-learn's clone give both anew."
    )
