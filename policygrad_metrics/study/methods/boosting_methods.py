"""Boosted trees of LightGBM: the same trees for cross-entropy, weighted and on the reward.

`policy_gradient_best` is the better of these trees and the network, by the validation part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from scipy import special
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from policygrad_metrics.rewards import get_reward
from policygrad_metrics.study.methods.base import ANY_TASK, Choice, Method, TaskInfo
from policygrad_metrics.study.methods.variants import CROSS_ENTROPY
from policygrad_metrics.tabular.boosting import lightgbm_metric, lightgbm_objective
from policygrad_metrics.tabular.boosting_loss import cross_entropy_derivatives
from policygrad_metrics.tabular.rows import Rows
from policygrad_metrics.tabular.trees import Trees, TreeSettings

#: Most trees of a class or label column, and for how many without a better one growing goes on.
TREES, PATIENCE = 150, 40


class BoostedTrees(BaseEstimator):
    """LightGBM's trees, as many as the reward of the validation part asks for.

    Args:
        info: the task.
        loss: "cross_entropy", LightGBM's own objective (of label columns the cross-entropy of
            each), "weighted", the same with every class counting alike, or "policy_gradient", the
            expected reward.
        hyper: the method's hyper-parameters.
        seed: of whatever is drawn.
    """

    def __init__(self, info: TaskInfo, loss: str, hyper: Mapping[str, Any], seed: int):
        self.info = info
        self.loss = loss
        self.hyper = hyper
        self.seed = seed

    def fit(self, x: Any, y: Any, x_valid: Any = None, y_valid: Any = None) -> Self:
        """Grow trees, up to the best round on a validation part, if there is one."""
        return self._grown(TREES, x, y, None if x_valid is None else _rows(x_valid, y_valid))

    def refit(self, x: Any, y: Any) -> Self:
        """Grow as many trees on other rows."""
        return self._grown(self.trees_.rounds, x, y, None)

    def predict_proba(self, x: Any) -> np.ndarray:
        """Return probabilities, float64 `[N, K]` (multi-label `[N, L]`, of label 1)."""
        check_is_fitted(self, "trees_")
        outputs = self.trees_.outputs(np.asarray(x, np.float32))
        if self.info.task == "multilabel":
            return special.expit(outputs)
        if self.info.num_classes == 2:
            outputs = np.hstack([np.zeros_like(outputs), outputs])
        return special.softmax(outputs, axis=1)

    def _grown(self, rounds, x, y, valid):
        settings = TreeSettings(
            n_estimators=rounds,
            num_leaves=round(self.hyper["num_leaves"]),
            learning_rate=self.hyper["learning_rate"],
            reg_lambda=self.hyper["reg_lambda"],
            n_jobs=1,  # the seeds of a study keep the cores busy
            seed=self.seed,
        )
        weight = None
        if self.loss == "weighted" and self.info.task != "multilabel":
            weight = self.info.class_weight[np.asarray(y)]
        metric = lightgbm_metric(get_reward(self.info.reward))
        self.trees_ = Trees(settings, self._objective(y), metric, self.info.num_classes)
        rows = _rows(x, y, weight)
        self.trees_.train(rows, valid, None if valid is None else PATIENCE)
        return self

    def _objective(self, y):
        if self.loss == "policy_gradient":
            mixed_in = self.hyper["cross_entropy"]
            return lightgbm_objective(self.info.reward, cross_entropy=mixed_in, seed=self.seed)
        if self.info.task != "multilabel":
            return "binary" if self.info.num_classes == 2 else "multiclass"
        weights, cells = self.info.class_weight, None
        if self.loss == "weighted":
            cells = np.where(np.asarray(y) > 0, weights[:, 1], weights[:, 0])
        return lambda y, raw, _: cross_entropy_derivatives(y, raw, cells)


def _rows(x, y, weight=None):
    weight = None if weight is None else weight.astype(np.float32)
    return Rows(np.asarray(x, np.float32), np.asarray(y, np.float32), weight)


_TREES = {
    "learning_rate": Choice(0.1, 0.02, 0.5, log=True),
    "num_leaves": Choice(15.0, 4.0, 63.0, log=True),
    "reg_lambda": Choice(0.0, 0.0, 10.0),
}


def _row(loss: str, summary: str, paper: str, **more: Choice) -> Method:
    def predictor(info: TaskInfo, hyper: Mapping[str, Any], seed: int) -> BoostedTrees:
        return BoostedTrees(info, loss, hyper, seed)

    return Method(
        f"boosting_{loss}",
        summary,
        "policy gradient" if loss == "policy_gradient" else "boosted trees",
        paper,
        ANY_TASK,
        predictor=predictor,
        hyperparameters={**_TREES, **more},
        validates=True,
        needs="lightgbm",
    )


_PAPER = "Ke et al. 2017, LightGBM"

ROWS: list[Method] = [
    _row("cross_entropy", "LightGBM's trees on its own objective, stopped by the reward", _PAPER),
    _row("weighted", "the same trees with every class counting alike", _PAPER),
    _row(
        "policy_gradient",
        "the same trees on the expected reward of the whole training part",
        f"Williams 1992; {_PAPER}",
        cross_entropy=CROSS_ENTROPY,
    ),
    Method(
        "policy_gradient_best",
        "policy_gradient or boosting_policy_gradient, whichever validates better",
        "policy gradient",
        f"Williams 1992; {_PAPER}",
        ANY_TASK,
        best_of=("policy_gradient", "boosting_policy_gradient"),
        needs="lightgbm",
    ),
]
