"""The Keras loss that trains on the reward itself."""

from __future__ import annotations

import dataclasses
import numbers
import weakref
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.core._compat import places_in_compile, under_xla
from policygrad_metrics.core.batch import Tensor, flatten_sites
from policygrad_metrics.core.checks import choose
from policygrad_metrics.core.draws import as_seed, fold_in
from policygrad_metrics.core.global_batch import (
    check_strategy,
    replica_seed,
    replicas,
    shared_gradient,
)
from policygrad_metrics.estimators import (
    Estimator,
    Reinforce,
    get_estimator,
    strongest_estimator,
)
from policygrad_metrics.losses.base import (
    SiteLoss,
    check_replicas,
    in_plain_graph,
    nan_if_invalid,
    policy_of,
)
from policygrad_metrics.losses.lagrangian import WINDOW, Lagrangian
from policygrad_metrics.losses.lists import check_weights, list_cross_entropy, refuse_of_labels
from policygrad_metrics.losses.mixing import cross_entropy, minus_entropy, reward_weights
from policygrad_metrics.losses.running_counts import (
    empty_counts,
    estimate_beside,
    refuse_second_output,
    window_of,
)
from policygrad_metrics.losses.serialization import (
    deserialize_constraints,
    deserialize_estimator,
    deserialize_reward,
    plain_number,
    serialize_constraint,
    serialize_estimator,
    serialize_reward,
)
from policygrad_metrics.losses.state import Memory, if_valid, on_gradient
from policygrad_metrics.policies import BinnedRegression, Policy
from policygrad_metrics.policies.reading import mean_over_sites
from policygrad_metrics.rewards import Reward, get_reward
from policygrad_metrics.rewards.inequalities import Constraints

#: Weight of cross-entropy in the default loss; measured, see benchmarks/notes/results.md.
DEFAULT_CROSS_ENTROPY = 0.3
#: From so many classes on, and of rankings, the expected reward is XLA's program in any graph.
MANY_CLASSES = 32
#: What the classes weigh in that cross-entropy.
CROSS_ENTROPY_WEIGHTS = ("reward", "equal")
#: What a weight may be besides a number and a tensor, so that a callback can change it.
_VARIABLES = (tf.Variable, keras.Variable)


def _is_zero(value):
    """Whether a term can be left out; a tensor's value is not known in a graph."""
    return isinstance(value, numbers.Real) and not value


def _check_factor(argument, value):
    number = isinstance(value, numbers.Real) and 0.0 <= float(value) < float("inf")
    if not (number or tf.is_tensor(value) or isinstance(value, _VARIABLES)):
        raise ValueError(f"{argument} must be a finite number, 0 or more; it is {value!r}.")


@keras.saving.register_keras_serializable(package="policygrad_metrics")
class PolicyGradientLoss(SiteLoss):
    """Minus the expected reward of labels drawn from the network's policy.

        loss = 1 - E[R(y, a)] + cross_entropy * CE - entropy * H + log_likelihood * NLL

    E is over labels a drawn independently for each site from the policy; CE is the mean
    cross-entropy and H the mean entropy of the policy, in nats. The gradient of E[R] comes from
    the estimator: exact for sums of ratios (every F, Jaccard, precision, recall, accuracy and
    kappa), by local expectation for other functions of the confusion matrix, by REINFORCE for
    any other function (Williams 1992). The reward is scored on the batch, so batches should hold
    several examples of every class (256 is a good size); where they cannot, `running_counts` helps.

    Args:
        reward: a name that scikit-learn users know ("f1", "f1_macro", "accuracy",
            "cohen_kappa_quadratic", ...), a `Reward`, or a function `f(y_true, y_pred) -> float`.
            "average_precision", "ndcg@10" and others score rankings: docs/rankings.md.
        policy: "auto" (one output column: sigmoid; several: softmax; rankings: plackett_luce),
            "softmax", "sigmoid", "cumulative_link", or a `Policy`.
        gradient_estimator: "auto" (the strongest that the reward allows), "exact",
            "local_expectation", "reinforce", or an `Estimator`.
        cross_entropy: weight of the cross-entropy that is mixed in (Ranzato 2016). It carries a
            fresh network to where the reward has a gradient; benchmarks/notes/results.md has what
            was measured. 0 trains on the reward alone.
        cross_entropy_weights: "reward" weighs each class in the cross-entropy by what its right
            labels are worth to the reward (`reward_weights`), for rewards in which classes count
            by something else than their examples (every F, Jaccard, precision, recall; MCC,
            G-mean, balanced accuracy, AMAE) and estimators without much noise (not REINFORCE).
            To a ranking positives and negatives count alike. "equal", and else: plain.
        entropy: weight of the policy's entropy, which keeps it exploring.
        running_counts: True takes the gradient of the reward of the batch *and* of running
            counts of earlier batches, so that a batch without a rare class knows of it; a number
            is the window, in examples (True: 512). The reported value stays the batch's own.
            The counts are part of the loss's `variables` and of its config, so a saved model
            brings them along. Rewards that are means over examples need and use none.
        subject_to: constraints, such as `at_least("precision", 0.9)` or "precision >= 0.9", or
            several of them. Their expected rates are kept by a Lagrangian (`lagrangian.py`) on
            running counts, whose window is that of `running_counts` or else 1024 examples. Its
            multipliers are part of `variables`. The reported value is that without constraints.
            What a rate is of the *decisions* is for `DecisionTuner(subject_to=)` to keep. For
            constraints on groups the last column of y_true is the group of each example.
        log_likelihood: weight of NLL, the mean of `-log_density` of the target values: with
            `BinnedRegression` it keeps the predicted concentration itself good.
        seed: of the sampling estimators. Draws are keyed by the seed and the outputs
            themselves: nothing is counted, so validation cannot disturb training.
        from_logits: as in Keras, but True by default: say False for a network that ends with a
            softmax or a sigmoid.
        ignore_class: as in Keras, the number (255, -1) of sites without truth, which then weigh 0.
        reduction: as in Keras. The value is per batch; "sum" multiplies it by the batch size.
        name: as in Keras.

    `sample_weight`, `class_weight` and masks enter the counts: weight 2 is the example twice.

    Raises:
        ValueError: unknown names; a weight below 0, or of the log-likelihood for a policy without
            values; a running_counts for a Python reward or under tf.distribute; labels outside the
            classes; outputs that are NaN or do not fit the policy; a Python reward inside XLA;
            constraints that no labels keep, that contradict each other or are on a black box.
            Under XLA (Keras's default where there is a GPU) values cannot be checked by an error:
            a label outside the classes gives a NaN loss and a zero gradient. NaN inputs give a NaN
            loss too, but also spoil the weights, as the gradient of a kernel contains its inputs.
            `StopOnBadBatch` turns both into an error that names the batch.

    With `BinnedRegression` and a learned scale keep some cross-entropy or log-likelihood: the
    reward alone is content with a scale of zero, which makes the policy a hard step again.

    >>> import keras, policygrad_metrics as pgm
    >>> loss = pgm.PolicyGradientLoss("accuracy", cross_entropy=0.0)
    >>> float(loss([0, 1], [[0.0, 0.0], [0.0, 0.0]]))
    0.5
    """

    def __init__(
        self,
        reward: str | Reward | Any,
        policy: str | Policy = "auto",
        gradient_estimator: str | Estimator = "auto",
        cross_entropy: float = DEFAULT_CROSS_ENTROPY,
        entropy: float = 0.0,
        seed: int = 0,
        reduction: str = "sum_over_batch_size",
        name: str = "policy_gradient_loss",
        dtype: Any = None,
        log_likelihood: float = 0.0,
        running_counts: bool | float | None = None,
        cross_entropy_weights: str = "reward",
        from_logits: bool = True,
        subject_to: Any = None,
        ignore_class: int | None = None,
    ):
        check_strategy()
        self.reward = get_reward(deserialize_reward(reward))
        self.reads_costs, self.abstains = self.reward.reads_costs, self.reward.abstains
        given, constraints = deserialize_constraints(subject_to), None
        if subject_to is not None:
            constraints = Constraints.of(given, abstains=self.abstains)
        groups = constraints.groups if constraints and constraints.groups > 1 else None
        how = reduction, dtype, from_logits, groups, ignore_class
        super().__init__(policy_of(self.reward, policy), name, *how)
        self.subject_to = constraints and constraints.items
        refuse_of_labels(self.reward, entropy or None, running_counts, subject_to)
        self.gradient_estimator: Any = gradient_estimator
        if gradient_estimator != "auto":
            self.gradient_estimator = get_estimator(deserialize_estimator(gradient_estimator))
        self.cross_entropy, self.entropy = cross_entropy, entropy
        self.log_likelihood = log_likelihood
        for argument in ("cross_entropy", "entropy", "log_likelihood"):
            _check_factor(argument, getattr(self, argument))
        if not (_is_zero(log_likelihood) or isinstance(self.policy, BinnedRegression)):
            raise ValueError(
                f"log_likelihood={log_likelihood!r} needs a policy that predicts a value, "
                f"BinnedRegression; policy={policy!r} predicts labels only: use cross_entropy=."
            )
        self.cross_entropy_weights = choose(
            "cross_entropy_weights", cross_entropy_weights, CROSS_ENTROPY_WEIGHTS
        )
        self.seed = seed
        self.running_counts = running_counts
        self._window = window_of(running_counts)
        self._lagrangian: Lagrangian | None = None
        if constraints is not None:
            self._lagrangian = Lagrangian(constraints, self._window or WINDOW)
        if running_counts is not None and self.reward.aggregation == "nothing":
            raise ValueError(
                f"running_counts={running_counts!r} keeps confusion counts, but the reward "
                f"{self.reward.name!r} is a Python function of examples: write it as a "
                "CountReward, or leave running_counts=None."
            )
        self._memory = Memory(self.initial_state)
        self._met: Any = weakref.WeakKeyDictionary()
        #: What "auto" means for batches of each shape: shorter than asking the estimators' cache.
        self._strongest: dict[tuple, Estimator] = {}

    @tf.autograph.experimental.do_not_convert
    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch; weights enter the counts instead of scaling the result."""
        if self._window is not None or self._lagrangian is not None:
            refuse_second_output(self._met, y_pred, places_in_compile(self))
        return super().__call__(y_true, y_pred, sample_weight)

    @property
    def variables(self) -> list[Any]:
        """What the loss remembers from one training step to the next."""
        return list(self._memory.variables)

    def restore(self, values: Sequence[Any]) -> None:
        """Take back what `variables` held."""
        self._memory.restore(values)

    def initial_state(self, num_classes: int | None = None, columns: int = 1) -> tuple[Any, ...]:
        """What the estimator (a moving average, say), running counts and multipliers start from.

        Args:
            num_classes: K; None for counts that take their size from the first batch.
            columns: label columns.
        """
        estimator = () if self.gradient_estimator == "auto" else self.gradient_estimator
        state = estimator and estimator.initial_state()
        if self._window is not None:
            state = (*state, empty_counts(num_classes, columns))
        if self._lagrangian is not None:
            state = (*state, *self._lagrangian.initial_state(num_classes, columns))
        return state

    def stateless_call(
        self, y_true: Any, y_pred: Any, state: tuple[Any, ...], sample_weight: Any = None
    ) -> tuple[Tensor, tuple]:
        """The loss and the next state, with nothing assigned (as Keras's layers have it).

        Args:
            y_true: as for `call`.
            y_pred: as for `call`.
            state: `initial_state()`, or what the previous call returned.
            sample_weight: as for `__call__`.
        """
        batch = self.read(y_true, y_pred, sample_weight)
        loss, after = self._loss(batch, state)
        return nan_if_invalid(loss, batch), after

    def batch_loss(self, batch):
        """`1 - E[R]` and the terms that are mixed in, of one batch: the one of all replicas."""
        if self._window is not None and replicas() > 1:
            about = "is not available under a tf.distribute strategy: use larger global batches"
            raise ValueError(f"running_counts= {about} instead.")
        check_replicas(self.reduction, self._memory.variables)
        assign = self._memory.assign if self._memory.keeps else None
        return shared_gradient(self._loss(batch, self._memory.read(batch), assign)[0])

    def _loss(self, batch, state, assign=None):
        """The loss and the next state, which goes to `assign` if a gradient is taken."""
        state = state and self._memory.sized(state, batch)
        fixed = tf.stop_gradient(batch.logits)
        value, slope, new = self._scored(batch, fixed, state)
        after = tuple(if_valid(batch.valid, *pair) for pair in zip(new, state, strict=True))
        logits = on_gradient(batch.logits, assign, after) if assign and after else batch.logits
        # A plane through the value with the gradient as slope. TensorFlow never frees the graphs
        # that tf.custom_gradient was traced in, which a study of many programs would notice.
        loss = value + tf.reduce_sum(slope * (logits - fixed))
        if not _is_zero(self.log_likelihood):
            density = batch.policy.log_density(batch.targets, batch.outputs)
            # An invalid value has weight 0 here, or the whole loss becomes NaN (`nan_if_invalid`).
            invalid = batch.policy.invalid_labels(batch.targets, batch.outputs)
            density = flatten_sites(tf.where(invalid, 0.0, density), batch.multilabel)
            loss -= self.log_likelihood * mean_over_sites(density, batch)
        if self.reward.ranks and not _is_zero(self.cross_entropy):
            alike = self.cross_entropy_weights == "reward"
            loss += self.cross_entropy * list_cross_entropy(batch, alike)
        return loss, after

    def _scored(self, batch, logits, state):
        """`1 - E[R]` and what is mixed in, the gradient `[N, C, K]` and the next state."""
        reward = self.reward.for_multilabel() if batch.multilabel else self.reward
        estimator = self._estimator(batch, reward)

        def score(logits, y_true, weight, state):
            here = dataclasses.replace(batch, logits=logits, y_true=y_true, weight=weight)
            own, multipliers = state, ()
            if self._lagrangian is not None:
                own, multipliers = state[:-2], state[-2:]
            estimate = self._estimate(here, reward, estimator, own)
            gain = estimate.gradient
            if self._lagrangian is not None:
                constraint_gain, multipliers = self._lagrangian.step(here, multipliers)
                gain += constraint_gain
            value, slope = 1.0 - estimate.value, -gain
            for factor, term in self._mixed_in(here, estimator, gain):
                value, slope = value + factor * term.value, slope + factor * term.gradient
            slope = tf.where(batch.valid, slope, 0.0)
            return value, slope, (*estimate.state, *multipliers)

        exact_ranking = self.reward.ranks and not estimator.stochastic
        pays = (exact_ranking or batch.num_classes >= MANY_CLASSES) and not self.reward.calls_python
        if pays and in_plain_graph():  # of Keras's training step on a CPU
            check_weights(reward, batch.weight)
            score = tf.function(score, autograph=False, jit_compile=True)
        return score(logits, batch.y_true, batch.weight, state)

    def _mixed_in(self, batch, estimator, gain):
        """What is mixed into a loss of labels: pairs of a factor and its `Estimate`."""
        if self.reward.ranks:
            return
        if not _is_zero(self.cross_entropy):
            weights: Any = 1.0
            if (
                self.cross_entropy_weights == "reward"
                and self.reward.weighs_classes
                and not isinstance(estimator, Reinforce)
            ):
                weights = reward_weights(batch, gain)
            yield self.cross_entropy, cross_entropy(batch, weights, self.abstains)
        if not _is_zero(self.entropy):
            yield self.entropy, minus_entropy(batch, self.abstains)

    def _estimator(self, batch, reward):
        if self.gradient_estimator != "auto":
            return self.gradient_estimator
        plain = not batch.weighted and self._window is None and replicas() == 1
        sites = batch.y_true.shape.num_elements() if plain else None
        shape = (batch.num_classes, batch.columns, batch.multilabel, sites)
        if shape not in self._strongest:
            self._strongest[shape] = strongest_estimator(
                reward,
                batch.num_classes,
                multilabel_columns=batch.columns or 1,
                unweighted_sites=sites,
            )
        return self._strongest[shape]

    def _estimate(self, batch, reward, estimator, state):
        if reward.calls_python and under_xla():
            raise ValueError(
                f"reward {reward.name!r} is a Python function, which XLA cannot compile: use "
                "model.compile(..., jit_compile=False)."
            )
        seed = None
        if estimator.stochastic:
            seed = replica_seed(fold_in(as_seed(self.seed), batch.logits))
        own, counts = (state, ()) if self._window is None else (state[:-1], state[-1:])

        def score(reward):
            return estimator.of_batch(batch, reward, seed=seed, state=own)

        if not counts or reward.aggregation != "counts":
            estimate = score(reward)
            return estimate._replace(state=(*estimate.state, *counts))
        return estimate_beside(score, reward, batch, counts[0], self._window)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; functions of your own must be registered with Keras."""
        return {
            **super().get_config(),
            **self._memory.get_config(),
            "running_counts": self.running_counts,
            "subject_to": self.subject_to and list(map(serialize_constraint, self.subject_to)),
            "reward": serialize_reward(self.reward),
            "gradient_estimator": serialize_estimator(self.gradient_estimator),
            "cross_entropy": plain_number(self.cross_entropy),
            "cross_entropy_weights": self.cross_entropy_weights,
            "entropy": plain_number(self.entropy),
            "log_likelihood": plain_number(self.log_likelihood),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PolicyGradientLoss:
        """The inverse of `get_config`, counts and multipliers included."""
        arguments = {key: value for key, value in config.items() if key != "memory"}
        loss = cls(**arguments)
        if "memory" in config:
            loss.restore([np.asarray(value, np.float32) for value in config["memory"]])
        return loss
