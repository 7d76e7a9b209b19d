"""A regressor trained on the levels of its values, as scikit-learn has regressors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import column_or_1d

from policygrad_metrics import aqi
from policygrad_metrics.decision import DecisionTuner
from policygrad_metrics.losses.policy_gradient import DEFAULT_CROSS_ENTROPY
from policygrad_metrics.policies import BinnedRegression
from policygrad_metrics.rewards import Reward
from policygrad_metrics.tabular.base import TabularEstimator
from policygrad_metrics.tabular.level_target import LevelTarget
from policygrad_metrics.tabular.reward_estimator import probabilities
from policygrad_metrics.tabular.rows import Rows


@dataclasses.dataclass(eq=False, repr=False)
class PolicyGradientLevelRegressor(RegressorMixin, TabularEstimator):
    """A network for tables that predicts a value and is judged by its level.

        loss = 1 - E[R(level of y, a)] + log_likelihood * NLL + cross_entropy * CE

    with a the level of a value drawn around the predicted one, as `BinnedRegression` has it. The
    truth is a number (a concentration in ug/m3, say), what counts is its level (that of the AQI).
    Everything else is as for `PolicyGradientClassifier`, whose arguments these are.

    Args:
        edges: the inner ends of the levels, increasing, in the target's units; a value on an edge
            is in the lower level.
        scale: instead of edges an air-quality standard, a key of `pgm.aqi.scales()` such as
            "taiwan". Targets are then concentrations in the unit of its column, not negative.
        pollutant: of the scale.
        reward: a name such as "exact_bin", "within_1_bin" or "cohen_kappa_quadratic", a `Reward`,
            or a function `f(y_true, y_pred) -> float` of levels 0 .. K-1.
        noise: "normal" or "logistic", around the predicted value.
        logarithm: whether the noise is on log(1 + value); "auto": with a scale.
        gradient_estimator: "auto", "exact", "local_expectation", "reinforce", or an `Estimator`.
        cross_entropy: weight of the levels' cross-entropy that is mixed in.
        log_likelihood: weight of the values' likelihood that is mixed in. It is what keeps the
            value itself good: with 0 nothing says where within a level it lies.
        running_counts, hidden, epochs, batch_size, optimizer, learning_rate, early_stopping, \
validation_fraction, patience: as for the classifier; each level has its share of a batch.
        tune_decision: choose cut-points for `predict_level` by the reward on the held-out rows, if
            they gain more than one standard error there (see `DecisionTuner`).
        class_weight: None, "balanced", or weights by level.
        members: as for the classifier; level probabilities are the mean of the members', and
            `predict` is the mean of their values.
        warm_start, random_state, verbose: as for the classifier.

    Attributes:
        n_features_in_, feature_names_in_, n_iter_, history_, reward_, network_, tuner_: as for
            the classifier.
        policy_: the `BinnedRegression`, placed at the mean and the spread of the training targets;
            of several members a `policies.Mixture` of it.

    Raises:
        ValueError: (in `fit`) an argument is not allowed, edges and scale are both given or both
            missing, `y` holds NaN, a negative concentration or a single level, or training
            diverges.

    >>> X = np.linspace(0.0, 1.0, 200)[:, None]
    >>> y = 100.0 * X[:, 0]
    >>> model = PolicyGradientLevelRegressor([35.0, 75.0], learning_rate=0.01, random_state=0)
    >>> model.fit(X, y).predict_level([[0.1], [0.5], [0.9]]).tolist()
    [0, 1, 2]
    """

    _target_options: ClassVar[dict[str, Any]] = {"y_numeric": True}

    edges: Any = None
    _: dataclasses.KW_ONLY
    scale: str | aqi.Scale | None = None
    pollutant: str = "pm25"
    reward: str | Reward | Callable[..., float] = "exact_bin"
    noise: str = "normal"
    logarithm: bool | str = "auto"
    cross_entropy: float = 0.0
    log_likelihood: float = DEFAULT_CROSS_ENTROPY

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on these rows once, going on from where training is.

        Args:
            X: as for `fit`.
            y: as for `fit`; at the first call their mean and spread place the outputs.
            sample_weight: as for `fit`.
        """

        def learn_target(y, first):
            return self._same_target(None if first else self._target)

        return self._train_once(X, y, sample_weight, learn_target)

    def predict(self, X: Any) -> np.ndarray:
        """Values `[N]`, in the target's units: of several members the mean of their values."""
        outputs = self._outputs(X)
        values = np.asarray(self.policy_.location(outputs))
        return values if self._target.lowest is None else np.maximum(values, self._target.lowest)

    def predict_level(self, X: Any, scale: str | aqi.Scale | None = None) -> np.ndarray:
        """The decision, int64 `[N]`: the likeliest level, or that of the tuned cut-points.

        Near an edge it may differ from the level of `predict`, the middle of the distribution.

        Args:
            X: as for `fit`.
            scale: another standard, on whose levels the same concentrations are then read.
        """
        logits = self._level_logits(X, scale)
        if self.tuner_ is None or scale is not None:
            return logits.argmax(axis=-1)
        return self.tuner_.predict(probabilities(logits))

    def predict_level_proba(self, X: Any, scale: str | aqi.Scale | None = None) -> np.ndarray:
        """The probability of each level, `[N, K]`; arguments as for `predict_level`.

        (scikit-learn's regressors may not have a `predict_proba`.)
        """
        return probabilities(self._level_logits(X, scale))

    def reward_score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The reward of `predict_level`; `score` is R^2 of the values, as for all regressors."""
        labels = self.predict_level(X)
        truth = self._target.levels(self._target.encode(column_or_1d(y)))
        K = self._target.num_classes
        return float(self.reward_(truth, labels, sample_weight, num_classes=K))

    def _learn_target(self, y: Any, known: LevelTarget | None, given: Any) -> LevelTarget:
        del given
        target = self._same_target(known)
        levels = np.unique(target.levels(target.encode(y)))
        if len(levels) < 2:
            raise ValueError(
                f"y must hold at least two levels; all values are in level {levels[0]} of the "
                f"edges {list(target.policy.edges)}. A reward of one level says nothing: are they "
                "in the units of y?"
            )
        return target

    def _same_target(self, known: LevelTarget | None) -> LevelTarget:
        target = LevelTarget.of(self.edges, self.scale, self.pollutant, self.noise, self.logarithm)
        if known is not None and known != target:
            raise ValueError(
                "edges, scale, pollutant, noise and logarithm must stay as they were when fitting "
                f"goes on; the edges were {list(known.policy.edges)} and are "
                f"{list(target.policy.edges)}. Fit a clone."
            )
        return target

    def _policy_for(self, target: LevelTarget, rows: Rows) -> BinnedRegression:
        return target.placed(rows.y, rows.weight)

    def _likelihood(self) -> float:
        return self.log_likelihood

    def _balanced_by(self, target: LevelTarget, y: Any) -> np.ndarray:
        return target.levels(y)

    def _tuned(self, rows: Rows) -> DecisionTuner:
        tuner = DecisionTuner(self.reward_, ordinal=True, one_standard_error=True)
        probs = probabilities(np.asarray(self.policy_.logits(self._learner.outputs(rows.x))))
        return tuner.fit(probs, self._target.levels(rows.y), rows.weight)

    def _level_logits(self, X, scale):
        outputs = self._outputs(X)
        policy = self.policy_ if scale is None else self.policy_.on_scale(scale, self.pollutant)
        return np.asarray(policy.logits(outputs))
