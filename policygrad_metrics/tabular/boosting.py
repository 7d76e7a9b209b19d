"""The expected reward as objective and metric of boosted trees, in each library's conventions.

All have the loss and the curvature of `boosting_loss`; only the way to call them differs. None
needs its library to be installed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from policygrad_metrics.estimators import Estimator
from policygrad_metrics.losses.policy_gradient import DEFAULT_CROSS_ENTROPY
from policygrad_metrics.rewards import Reward, get_reward
from policygrad_metrics.tabular.boosting_catboost import catboost_metric, catboost_objective
from policygrad_metrics.tabular.boosting_loss import RewardLoss, reward_of_decisions, whole_labels

__all__ = [
    "catboost_metric",
    "catboost_objective",
    "lightgbm_metric",
    "lightgbm_objective",
    "prior_logits",
    "xgboost_metric",
    "xgboost_objective",
]

#: `(y_true, raw_score, sample_weight) -> ...` of scikit-learn's side, `(raw_score, dataset) -> ...`
#: of the libraries' own `train`.
Objective = Callable[..., tuple[np.ndarray, np.ndarray]]
Metric = Callable[..., Any]


def lightgbm_objective(
    reward: str | Reward | Callable[..., float],
    *,
    cross_entropy: float = DEFAULT_CROSS_ENTROPY,
    gradient_estimator: str | Estimator = "auto",
    y_true: Any = None,
    seed: int = 0,
    subject_to: Any = None,
) -> Objective:
    """The expected reward as `objective` of `LGBMClassifier` or in the parameters of `lgb.train`.

    Labels are whole numbers from 0. Raw scores are log-odds `[N]` of two classes, or logits
    `[N, K]` with `num_class=K`. Start at the class priors with `init_score=prior_logits(...)`,
    and add these to the raw scores that are predicted: LightGBM does not.

    Args:
        reward: As for `PolicyGradientLoss`.
        cross_entropy: c, the weight of the cross-entropy. Without it, trees of a constant
            reward (F1 where no positive is predicted) have nothing to climb.
        gradient_estimator: As for `PolicyGradientLoss`.
        y_true: 0/1 label columns `[N, L]` of the training set (multi-label), which a LightGBM
            data set cannot hold; with `num_class=L`.
        seed: Of estimators that draw label sets.
        subject_to: Constraints as for `PolicyGradientLoss`, but not on groups: their expected rates
            on the training set are kept by multipliers, which move at each call. So each training
            needs an objective of its own.

    Returns:
        `objective(y_true, raw_score, sample_weight=None) -> (gradient, hessian)`, both shaped like
        `raw_score`; also called as `objective(raw_score, dataset)`.

    >>> objective = lightgbm_objective("accuracy", cross_entropy=0.0)
    >>> gradient, hessian = objective(np.array([1.0, 0.0]), np.array([0.0, 2.0]))
    >>> gradient.round(4).tolist(), hessian.round(4).tolist()
    ([-0.25, 0.105], [0.125, 0.0525])
    """
    loss = RewardLoss.of(reward, cross_entropy, gradient_estimator, seed, subject_to)
    return _Objective(loss, _columns(y_true))


def lightgbm_metric(
    reward: str | Reward | Callable[..., float], *, from_logits: bool = True, y_true: Any = None
) -> Callable[..., tuple[str, float, bool]]:
    """The reward of the likeliest labels as `eval_metric` or `feval`, for early stopping.

    Args:
        reward: As for `PolicyGradientLoss`.
        from_logits: Whether LightGBM gives raw scores, as it does for `lightgbm_objective`; False
            for its own objectives, of which it gives probabilities.
        y_true: Label columns `[N, L]` of the validation set (multi-label).

    Returns:
        `metric(y_true, raw_score, sample_weight=None) -> (name, value, True)`; also called as
        `metric(raw_score, dataset)`.

    >>> lightgbm_metric("accuracy")(np.array([1.0, 0.0]), np.array([0.3, 2.0]))
    ('accuracy', 0.5, True)
    """
    return _LightGBMMetric(get_reward(reward), from_logits, _columns(y_true))


def xgboost_objective(
    reward: str | Reward | Callable[..., float],
    *,
    cross_entropy: float = DEFAULT_CROSS_ENTROPY,
    gradient_estimator: str | Estimator = "auto",
    seed: int = 0,
) -> Objective:
    """The expected reward as `objective` of `XGBClassifier` or as `obj` of `xgb.train`.

    Labels are whole numbers from 0, or 0/1 columns `[N, L]`. Margins are log-odds `[N]` of two
    classes, logits `[N, K]`, or log-odds `[N, L]`. Start at the class priors with `base_score`: for
    `xgb.train` it is `prior_logits(...).tolist()`, for two classes of `XGBClassifier` the share of
    class 1; or with a `base_margin` of your own.

    Args:
        reward: As for `PolicyGradientLoss`.
        cross_entropy: As for `lightgbm_objective`.
        gradient_estimator: As for `PolicyGradientLoss`.
        seed: Of estimators that draw label sets.

    Returns:
        `objective(y_true, y_pred, sample_weight=None) -> (gradient, hessian)`, both shaped like
        `y_pred`; also called as `objective(y_pred, matrix)`.

    >>> objective = xgboost_objective("accuracy", cross_entropy=0.0)
    >>> objective(np.array([1.0, 0.0]), np.array([0.0, 2.0]))[0].round(4).tolist()
    [-0.25, 0.105]
    """
    return _Objective(RewardLoss.of(reward, cross_entropy, gradient_estimator, seed))


def xgboost_metric(
    reward: str | Reward | Callable[..., float], *, from_logits: bool = True
) -> Callable[..., float | tuple[str, float]]:
    """The reward of the likeliest labels as `eval_metric` or `custom_metric`.

    XGBoost takes smaller values for better ones: stop early with
    `xgboost.callback.EarlyStopping(rounds, maximize=True)`.

    Args:
        reward: As for `PolicyGradientLoss`.
        from_logits: Whether XGBoost gives margins, as it does for `xgboost_objective`; False for
            its own objectives, of which it gives probabilities.

    Returns:
        `metric(y_true, y_pred, sample_weight=None) -> value`, with `__name__`; called as
        `metric(y_pred, matrix)` it returns `(name, value)`.

    >>> xgboost_metric("accuracy")(np.array([1.0, 0.0]), np.array([0.3, 2.0]))
    0.5
    """
    return _XGBoostMetric(get_reward(reward), from_logits)


def prior_logits(y_true: Any, sample_weight: Any = None, *, num_classes: int = 2) -> np.ndarray:
    """Logits of the class shares, where boosting starts; each class counts one half more.

    Args:
        y_true: Whole numbers `[N]` from 0 to K - 1, or label columns `[N, L]`.
        sample_weight: `[N]`, or None.
        num_classes: K.

    Returns:
        A log-odds, shape `[]`, of two classes; `[K]` of more; `[L]` of label columns.

    >>> prior_logits([0, 0, 0, 1]).round(4).item()  # log(1.5 / 3.5)
    -0.8473
    """
    y = np.asarray(y_true)
    columns = y if y.ndim == 2 or num_classes == 2 else y[:, None] == np.arange(num_classes)
    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    count = weight @ columns + 0.5
    if y.ndim == 1 and num_classes > 2:
        return np.log(count / count.sum())
    return np.log(count / (weight.sum() + 1.0 - count))


@dataclasses.dataclass(frozen=True, eq=False)
class _Objective:
    loss: RewardLoss
    columns: np.ndarray | None = None

    # Both libraries count or read the names of these parameters.
    def __call__(self, y_true, y_pred, sample_weight=None):
        return self.loss.derivatives(*_read(y_true, y_pred, sample_weight, self.columns))


@dataclasses.dataclass(frozen=True, eq=False)
class _Metric:
    reward: Reward
    from_logits: bool
    columns: np.ndarray | None = None

    @property
    def __name__(self):
        return self.reward.name

    def value(self, y_true, y_pred, weight):
        cut = 0.0 if self.from_logits else 0.5
        read = _read(y_true, y_pred, weight, self.columns)
        return reward_of_decisions(self.reward, *read, cut=cut)


class _LightGBMMetric(_Metric):
    def __call__(self, y_true, y_pred, sample_weight=None):
        return self.reward.name, self.value(y_true, y_pred, sample_weight), True


class _XGBoostMetric(_Metric):
    def __call__(self, y_true, y_pred, sample_weight=None):
        value = self.value(y_true, y_pred, sample_weight)
        return (self.reward.name, value) if _is_dataset(y_pred) else value


def _columns(y_true):
    if y_true is None:
        return None
    y = np.asarray(y_true)
    if y.ndim != 2 or not np.isin(y, (0, 1)).all():
        raise ValueError(
            "y_true must be 0/1 label columns [N, L], or None where LightGBM's data set holds the "
            f"labels; it has shape {y.shape}."
        )
    return y.astype(np.int64)


def _is_dataset(x):
    return hasattr(x, "get_label")


def _read(y_true, y_pred, weight, columns):
    """Labels, scores and weights of a call of either kind."""
    if _is_dataset(y_pred):
        dataset, y_pred = y_pred, y_true
        y_true, weight = dataset.get_label(), dataset.get_weight()
    y = whole_labels(y_true) if columns is None else columns
    # XGBoost gives no weights at all where there are none.
    weight = None if weight is None or not len(weight) else np.asarray(weight, np.float64)
    return y, np.asarray(y_pred, np.float64), weight
