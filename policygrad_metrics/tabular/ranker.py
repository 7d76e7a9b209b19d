"""A ranker trained on the ranking of each query's rows, as scikit-learn has estimators."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Self

import keras
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from policygrad_metrics.core.checks import check_whole
from policygrad_metrics.estimators import Estimator
from policygrad_metrics.losses.policy_gradient import DEFAULT_CROSS_ENTROPY
from policygrad_metrics.policies import PlackettLuce
from policygrad_metrics.rewards import Reward, get_reward
from policygrad_metrics.tabular.arguments import check_hidden, check_training
from policygrad_metrics.tabular.ensemble import Ensemble
from policygrad_metrics.tabular.networks import ListNetwork
from policygrad_metrics.tabular.program import Recipe
from policygrad_metrics.tabular.rows import BLOCK, Rows
from policygrad_metrics.training.network import Network
from policygrad_metrics.training.optimizer import Schedule, read_optimizer

#: Fewer held-out lists than this say too little of when to stop, and are better trained on.
LEAST_HELD_OUT = 10


@dataclasses.dataclass(eq=False, repr=False)
class PolicyGradientRanker(BaseEstimator):
    """A network that scores rows, trained on how it ranks the rows of each query.

        loss = 1 - E[R(y, order)] + cross_entropy * CE

    with the order drawn from a Plackett-Luce policy on the scores, and R a reward of rankings such
    as NDCG@10. The gradient of named rewards is exact. CE is ListNet's for grades, binary for 0/1.

    Args:
        reward: a name of a reward of rankings ("ndcg@10", "average_precision", ...), or a
            `Reward` that ranks, such as `pgm.rewards.RankingReward(function)`.
        gradient_estimator: "auto", "exact", "reinforce", or an `Estimator`.
        cross_entropy: weight of the cross-entropy that is mixed in.
        hidden: sizes of the hidden layers.
        epochs: how often all lists are trained on.
        batch_size: lists a step.
        optimizer: a name that Keras knows, or a Keras optimizer.
        learning_rate: None for the optimizer's own.
        early_stopping: return to the epoch whose reward is best on held-out lists, where those are
            at least 10.
        validation_fraction: the share of the lists that is held out.
        patience: epochs without a better one, after which training stops.
        random_state: a seed or a generator.
        verbose: 1 prints a line each epoch.

    Attributes:
        n_features_in_, feature_names_in_: as scikit-learn has them.
        n_iter_: epochs that were trained.
        history_: "loss", and with early stopping "val_<reward>", for each epoch.
        reward_: the reward.
        network_: the network as a Keras model, from features `[N, F]` to scores `[N, 1]`.

    Raises:
        ValueError: (in `fit`) an argument is not allowed, `y` holds what the reward does not read,
            no list has two rows, or training diverges.

    >>> rng = np.random.default_rng(0)
    >>> X, query = rng.normal(size=(600, 3)), np.repeat(np.arange(60), 10)
    >>> grades = np.clip(np.round(X[:, 0] + 2.0), 0, 4)
    >>> ranker = PolicyGradientRanker(epochs=20, learning_rate=0.01, random_state=0)
    >>> ranker.fit(X, grades, group=query).score(X, grades, group=query) > 0.95
    True
    """

    reward: str | Reward = "ndcg@10"
    _: dataclasses.KW_ONLY
    gradient_estimator: str | Estimator = "auto"
    cross_entropy: float = DEFAULT_CROSS_ENTROPY
    hidden: tuple[int, ...] = (64, 64)
    epochs: int = 100
    batch_size: int | None = 64
    optimizer: str | keras.optimizers.Optimizer = "adam"
    learning_rate: float | Schedule | None = None
    early_stopping: bool = False
    validation_fraction: float = 0.1
    patience: int = 20
    random_state: Any = None
    verbose: int = 0

    def fit(self, X: Any, y: Any, group: Any = None, sample_weight: Any = None) -> Self:
        """Train on rows X with grades y.

        Args:
            X: numbers `[N, F]`, an array or a data frame.
            y: grades `[N]` of 0 or more, or 0 and 1; larger is to come first.
            group: `[N]`, the list (query, day, customer) that each row belongs to: numbers or
                texts, in any order. None takes all rows as one list. From counts, as LightGBM has
                them: `np.repeat(np.arange(len(counts)), counts)`.
            sample_weight: `[N]`, not negative, or None; rows of weight 0 are not there.
        """
        self._check_arguments()
        X, y = validate_data(self, X, y, dtype=np.float32, y_numeric=True)
        reward = self._reward(y)
        rule, learning_rate = read_optimizer(self.optimizer, self.learning_rate)
        lists = _Lists.of(group, len(y))
        if lists.length < 2:
            raise ValueError(
                "group gives every row a list of its own, and a list of one row has one order. "
                "Give rows of a query the same value, or leave group out for one list."
            )
        weight = np.ones(len(y))
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        x, y, weight = (lists.padded(np.asarray(each, np.float32)) for each in (X, y, weight))
        rows = Rows(x, y, None if (weight == 1.0).all() else weight)
        recipe = Recipe(
            network=ListNetwork(check_hidden(self.hidden), lists.length),
            optimizer=rule,
            features=X.shape[1],
            outputs=lists.length,
            num_classes=1,
            label_columns=None,
            policy=PlackettLuce(graded=reward.graded),
            reward=reward,
            gradient_estimator=self.gradient_estimator,
            cross_entropy=self.cross_entropy,
        )
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        learner, held_out = Ensemble(recipe, [seed], learning_rate), None
        if self.early_stopping:
            chosen = learner.held_out(rows, self.validation_fraction)
            rows, held_out = rows.without(chosen, LEAST_HELD_OUT)
        patience = None if held_out is None else self.patience
        self.history_ = learner.train(
            rows, held_out, self.epochs, self.batch_size, patience, self.verbose
        )
        self.history_.pop("val_cross_entropy", None)
        self.n_iter_ = len(self.history_["loss"])
        self.reward_ = reward
        self._weights = learner.keras_network().get_weights()
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Scores `[N]` of rows; the highest of a list comes first."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float32)
        network, size = self.network_, max(1, BLOCK // X.shape[1])
        blocks = [np.asarray(network(X[i : i + size])) for i in range(0, len(X), size)]
        return np.concatenate(blocks)[:, 0]

    def score(self, X: Any, y: Any, group: Any = None, sample_weight: Any = None) -> float:
        """The mean reward of the lists; arguments as for `fit`."""
        scores = self.predict(X)
        lists = _Lists.of(group, len(scores))
        weight = np.ones(len(scores)) if sample_weight is None else np.asarray(sample_weight)
        for argument, values in (("y", np.asarray(y)), ("sample_weight", weight)):
            if values.shape != scores.shape:
                raise ValueError(
                    f"{argument} must have one value for each of the {len(scores)} rows; it has "
                    f"shape {values.shape}."
                )
        y, weight = (lists.padded(np.asarray(each, np.float64)) for each in (y, weight))
        return float(self.reward_(y, lists.padded(scores.astype(np.float64)), weight))

    @property
    def network_(self) -> keras.Model:
        """The fitted network as a Keras model of its own."""
        check_is_fitted(self)
        sizes = [len(kernel) for kernel in self._weights[::2]]  # hidden may be set anew after fit
        network = Network(tuple(sizes[1:])).build(sizes[0], 1, seed=0)
        network.set_weights(self._weights)
        return network

    def __sklearn_is_fitted__(self) -> bool:
        return "_weights" in vars(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def _reward(self, y):
        reward: Any = get_reward(self.reward)
        if not reward.ranks:
            raise ValueError(
                f"reward={self.reward!r} scores labels, and a ranker needs a reward of rankings, "
                'such as "ndcg@10" or "average_precision". For labels there is '
                "PolicyGradientClassifier."
            )
        reward.check_truth(np.asarray(y))
        return reward

    def _check_arguments(self):
        if isinstance(self.hidden, Callable):
            raise ValueError(
                "hidden must be sizes of layers such as (64, 64); networks of your own are trained "
                "on lists by PolicyGradientLoss in Keras."
            )
        check_hidden(self.hidden)
        check_whole("epochs", self.epochs, 1)
        check_whole("batch_size", self.batch_size, 1, or_none=True)
        check_training(self)


@dataclasses.dataclass(frozen=True)
class _Lists:
    """Which list each row is in, and at which place there."""

    number: np.ndarray
    place: np.ndarray
    length: int

    @classmethod
    def of(cls, group: Any, rows: int) -> _Lists:
        """Of the group of each row, in the rows' order within a list.

        >>> _Lists.of(["b", "a", "b"], 3).padded(np.array([1.0, 2.0, 3.0])).tolist()
        [[2.0, 0.0], [1.0, 3.0]]
        """
        group = np.zeros(rows, int) if group is None else np.asarray(group)
        if group.shape != (rows,):
            way_out = ""
            if group.ndim == 1 and np.issubdtype(group.dtype, np.integer) and group.sum() == rows:
                way_out = " These are counts: np.repeat(np.arange(len(group)), group)."
            raise ValueError(
                f"group must name the list of each of the {rows} rows; it has shape "
                f"{group.shape}.{way_out}"
            )
        if any(one is None or one != one for one in group.tolist()):
            raise ValueError("group holds None or NaN: give rows without a list one of their own.")
        _, number, counts = np.unique(group, return_inverse=True, return_counts=True)
        order = np.argsort(number, kind="stable")
        place = np.empty(rows, int)
        place[order] = np.arange(rows) - np.repeat(np.cumsum(counts) - counts, counts)
        return cls(number, place, int(counts.max(initial=0)))

    def padded(self, values: np.ndarray) -> np.ndarray:
        """Values `[N, ...]` as lists `[Q, L, ...]`, with zeros behind the shorter ones."""
        lists = np.zeros([self.number.max() + 1, self.length, *values.shape[1:]], values.dtype)
        lists[self.number, self.place] = values
        return lists
