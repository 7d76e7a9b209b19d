"""A black box's gradient by way of a reward that resembles it."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.draws import independent_labels
from policygrad_metrics.core.global_batch import over_replicas
from policygrad_metrics.estimators.base import (
    Estimate,
    Problem,
    SamplingEstimator,
    policy_gradient,
)
from policygrad_metrics.estimators.exact import ExactExpectation, has_exact_expectation
from policygrad_metrics.estimators.reinforce import score_gradient
from policygrad_metrics.rewards.base import Reward
from policygrad_metrics.rewards.confusion import confusion_counts
from policygrad_metrics.rewards.registry import get_reward

#: The proxy that is made of the confusion counts.
LEARNED = "learned"

#: Classes up to which K (K - 1) coefficients are learned.
MOST_CLASSES = 16

#: Share of each proxy's variance that is added to it before solving for the coefficients.
RIDGE = 1e-3

#: Standard deviation below which a proxy counts as constant; rewards are of the order of one.
MOVES = 1e-6

#: Observations left over per fit before a coefficient is trusted at all.
SPARE = 4.0


@dataclasses.dataclass(frozen=True)
class ControlVariate(SamplingEstimator):
    """Leave-one-out on what a proxy does not explain, and the proxy's own gradient exactly.

        gradient = c grad E[P] + 1/S sum_s (R(a_s) - c P(a_s) - b_s) (one_hot(a_s) - p)

    with b_s the mean of R - c P over the other label sets. P is a reward whose expectation is
    exact and that resembles R: macro-F1 for a business's own F1, a cost matrix for a tiered
    cost. With correlation r between R and P the variance is 1 - r^2 of leave-one-out's: 25 times
    less at 0.98. P need not resemble R for the estimate to be right.

    The coefficient of sample s is fitted *without* sample s, by least squares on the other label
    sets of this step and on past steps: it does not depend on a_s, so the estimate is unbiased.
    It is shrunk by as much as its own uncertainty calls for (James & Stein 1961), down to zero
    for a proxy that explains nothing. Several proxies share the work.

    "learned" is linear in the confusion counts, its K (K - 1) coefficients learned from the
    rewards that training observes. It is a proxy for those who have none to name, and better at
    once with a named one beside it: `ControlVariate(("f1_macro", "learned"))`.

    Control variates for score functions: Paisley, Blei & Jordan 2012; Ranganath, Gerrish & Blei
    2014; with exact expectations Gu et al. 2016 (MuProp) and 2017 (Q-Prop).

    Args:
        proxy: a reward's name, a `Reward`, "learned", or a tuple of these. Rewards must be ratios
            of sums over examples (`gradient_estimator="exact"` serves them).
        samples: S, the reward calls of a step; at least 2. A coefficient that has seen nothing
            but its own step wants 8.
        coefficient: "fitted", or a number for each named proxy.
        decay: of what past steps taught, in [0, 1); 0 knows only this step, and keeps no state.

    >>> import numpy as np, tensorflow as tf, policygrad_metrics as pgm
    >>> def rounded(y_true, y_pred):
    ...     return round(float(np.mean(y_true == y_pred)), 1)
    >>> logits, y_true = tf.zeros([50, 2]), tf.range(50) % 2
    >>> estimator = pgm.estimators.ControlVariate("accuracy")
    >>> estimate = estimator(logits, pgm.rewards.BlackBox(rounded), y_true, seed=1)
    >>> estimate.gradient.shape.as_list()
    [50, 2]
    """

    proxy: str | Reward | tuple[str | Reward, ...] = LEARNED
    samples: int = 16
    coefficient: Literal["fitted"] | float | tuple[float, ...] = "fitted"
    decay: float = 0.95

    def __post_init__(self):
        if isinstance(self.proxy, list):
            object.__setattr__(self, "proxy", tuple(self.proxy))
        if isinstance(self.coefficient, list):
            object.__setattr__(self, "coefficient", tuple(self.coefficient))
        for proxy in self._proxies:
            if proxy != LEARNED and not isinstance(proxy, Reward):
                get_reward(proxy)
        if self.samples < 2 or int(self.samples) != self.samples:
            raise ValueError(f"samples must be a whole number, at least 2; it is {self.samples}.")
        if not 0.0 <= self.decay < 1.0:
            raise ValueError(f"decay must lie in [0, 1); it is {self.decay}.")
        if self.coefficient != "fitted" and (
            isinstance(self.coefficient, str)
            or LEARNED in self._proxies
            or np.size(self.coefficient) != len(self._proxies)
        ):
            raise ValueError(
                'coefficient must be "fitted", or one number for each named proxy (those of '
                f'"learned" are always fitted); it is {self.coefficient!r} for {self.proxy!r}.'
            )

    @property
    def _proxies(self):
        return self.proxy if isinstance(self.proxy, tuple) else (self.proxy,)

    def get_config(self):
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def initial_state(self):
        if self.coefficient != "fitted" or not self.decay:
            return ()
        # How many proxies "learned" adds is known when the classes are.
        size = 0 if LEARNED in self._proxies else len(self._proxies)
        return (np.zeros([size, size], np.float32), np.zeros([size], np.float32), 0.0, 0.0)

    def check(self, problem):
        self._problems(problem)
        K = problem.batch.logits.shape[-1]
        if LEARNED in self._proxies and K > MOST_CLASSES:
            raise ValueError(
                f'proxy="learned" has K (K - 1) coefficients and serves up to {MOST_CLASSES} '
                f'classes; there are {K}. Name a proxy, such as "f1_macro".'
            )

    def _problems(self, problem):
        """Each named proxy on the same batch."""
        batch, problems = problem.batch, []
        for proxy in self._proxies:
            if proxy == LEARNED:
                continue
            reward = get_reward(proxy)
            if problem.reward.multilabel:
                reward = reward.for_multilabel()
            bound = reward.bind(batch)
            if not has_exact_expectation(bound):
                raise TypeError(
                    f"proxy {reward.name!r} is no sum of ratios of sums over examples, so its own "
                    'gradient is not known exactly. Use a proxy such as "f1_macro", "accuracy", '
                    'a cost matrix or a RatioReward, or "learned".'
                )
            problems.append(Problem(batch, reward, bound))
        return problems

    def draw(self, problem, seed):
        return independent_labels(problem.probs, self.samples, seed)

    def estimate_from(self, problem, samples, state):
        rewards = problem.bound.score(samples)  # [S]
        named = self._problems(problem)
        values = [proxy.bound.score(samples)[:, None] for proxy in named]  # [S, 1] each
        exact = [ExactExpectation().estimate(proxy, seed=None, state=()) for proxy in named]
        expected = [one.value[None] for one in exact]
        cells = Cells(problem) if LEARNED in self._proxies else None
        if cells:
            values.append(cells.shares(samples))
            expected.append(cells.expected())
        values, expected = tf.concat(values, axis=1), tf.concat(expected, axis=0)  # [S, F], [F]

        fitted, state = self._coefficients(rewards, values, state)  # [S, F]
        explained = tf.reduce_sum(fitted * (values - expected), axis=1)
        advantage = _leave_one_out(rewards) - tf.reduce_sum(fitted * _leave_one_out(values), 1)
        gradient = score_gradient(problem.probs, samples, advantage)
        mean = tf.reduce_mean(fitted, axis=0)
        for place, one in enumerate(exact):
            gradient += mean[place] * one.gradient
        if cells:
            gradient += cells.gradient(mean[len(exact) :])
        return Estimate(tf.reduce_mean(rewards - explained), gradient, state)

    def _coefficients(self, rewards, values, state):
        """Coefficients `[S, F]`, of which each row knows nothing of its own sample."""
        if self.coefficient != "fitted":
            fixed = tf.reshape(tf.constant(self.coefficient, tf.float32), [1, -1])
            return fixed + 0.0 * values, ()
        past = _Moments.of_state(state, values.shape[1]).times(self.decay)
        others = past.plus(_Moments.of_others(rewards, values))
        state = past.plus(_Moments.of_samples(rewards, values)).state() if self.decay else ()
        return others.coefficients(), state


def _leave_one_out(x):
    """Each of S values less the mean of the others."""
    samples = tf.cast(tf.shape(x)[0], tf.float32)
    return (x - tf.reduce_mean(x, axis=0)) * samples / (samples - 1.0)


@dataclasses.dataclass(frozen=True)
class _Moments:
    """Sums of squares and products about the mean of a step, or of several with their own means.

    Args:
        gram: `[..., F, F]`, of the proxies.
        cross: `[..., F]`, of the proxies and the reward.
        total: `[...]`, of the reward.
        count: how many independent observations that is worth.
    """

    gram: Tensor
    cross: Tensor
    total: Tensor
    count: Tensor

    @classmethod
    def of_state(cls, state, size):
        if not state:
            zero = tf.constant(0.0)
            return cls(tf.zeros([size, size]), tf.zeros([size]), zero, zero)
        gram, cross, total, count = (tf.convert_to_tensor(x, tf.float32) for x in state)
        # The state of a learned proxy is empty before the first step.
        missing = size - tf.shape(cross)[0]
        gram = tf.pad(gram, [[0, missing], [0, missing]])
        cross = tf.pad(cross, [[0, missing]])
        return cls(
            tf.ensure_shape(gram, [size, size]), tf.ensure_shape(cross, [size]), total, count
        )

    @classmethod
    def of_samples(cls, rewards, values):
        r, d = rewards - tf.reduce_mean(rewards), values - tf.reduce_mean(values, axis=0)
        samples = tf.cast(tf.shape(rewards)[0], tf.float32)
        return cls(tf.einsum("sf,sg->fg", d, d), tf.einsum("s,sf->f", r, d),
                   tf.reduce_sum(r * r), samples - 1.0)  # fmt: skip

    @classmethod
    def of_others(cls, rewards, values):
        """The same without sample s, for every s: a leading axis S.

        Summed anew: taking the own sample back out would leave its rounding behind.
        """
        others = 1.0 - tf.eye(tf.shape(rewards)[0])
        count = tf.cast(tf.shape(rewards)[0], tf.float32) - 1.0
        r = others * (rewards - (others @ rewards[:, None]) / count)  # [S, S]
        away = values - (others @ values)[:, None] / count  # [S, S, F]
        d = tf.expand_dims(others, axis=-1) * away
        return cls(tf.einsum("sof,sog->sfg", d, d), tf.einsum("so,sof->sf", r, d),
                   tf.reduce_sum(r * r, axis=1), count - 1.0)  # fmt: skip

    def times(self, factor):
        return _Moments(*(factor * x for x in self.state()))

    def plus(self, other):
        return _Moments(*(a + b for a, b in zip(self.state(), other.state(), strict=True)))

    def state(self):
        return self.gram, self.cross, self.total, self.count

    def coefficients(self):
        """Ridge regression of the reward on the proxies, shrunk by its own uncertainty."""
        size = float(self.cross.shape[-1])
        squares: Any = tf.linalg.diag_part(self.gram)
        # A proxy that does not move but for rounding explains nothing.
        moves = squares > MOVES**2 * tf.maximum(self.count, 1.0)
        scale: Any = tf.where(moves, tf.math.rsqrt(tf.maximum(squares, 1e-30)), 0.0)
        correlation = self.gram * scale[..., :, None] * scale[..., None, :]
        ridge = correlation + RIDGE * tf.eye(self.cross.shape[-1])
        cross = tf.expand_dims(self.cross * scale, axis=-1)
        fitted = tf.linalg.cholesky_solve(tf.linalg.cholesky(ridge), cross)[..., 0] * scale
        explained = tf.reduce_sum(fitted * self.cross, axis=-1)
        # What is left estimates the noise, and size * noise of what is explained is luck.
        left = self.count - size
        noise = tf.maximum(self.total - explained, 0.0) / tf.maximum(left, 1.0)
        signal = tf.maximum(explained - size * noise, 0.0)
        error = noise * size * self.count / tf.maximum(left - 1.0, 1.0)
        trust: Any = tf.math.divide_no_nan(signal, signal + error)
        trust = tf.where(left - 1.0 >= SPARE, trust, 0.0)
        return fitted * tf.expand_dims(trust, axis=-1)


class Cells:
    """The confusion counts of a batch, as shares of its weight, without those of right labels.

    Right labels are what is left of each row, which the batch fixes.
    """

    def __init__(self, problem: Problem):
        self.probs = problem.probs
        K = problem.batch.logits.shape[-1]
        self.wrong = np.flatnonzero(~np.eye(K, dtype=bool))
        weight = problem.batch.weight
        self.y_true = problem.batch.y_true
        self.share = tf.math.divide_no_nan(weight, over_replicas(tf.reduce_sum(weight)))
        self.truth = tf.one_hot(self.y_true, K) * self.share[..., None]  # [N, C, K]

    def shares(self, samples: Tensor) -> Tensor:
        """`[S, K (K - 1)]` of label sets `[S, N, C]`."""
        K = self.probs.shape[-1]
        counts = over_replicas(confusion_counts(self.y_true, samples, self.share, K))
        cells = tf.cast(tf.reduce_sum(counts, axis=1), tf.float32)
        return tf.gather(tf.reshape(cells, [-1, K * K]), self.wrong, axis=1)

    def expected(self) -> Tensor:
        """Their expectation, `[K (K - 1)]`."""
        cells = over_replicas(tf.einsum("nct,nca->ta", self.truth, self.probs))
        return tf.gather(tf.reshape(cells, [-1]), self.wrong)

    def gradient(self, coefficients: Any) -> Tensor:
        """The gradient `[N, C, K]` of what is expected of their sum with coefficients."""
        K = self.probs.shape[-1]
        table = tf.linalg.matvec(tf.one_hot(self.wrong, K * K), coefficients, transpose_a=True)
        gains = tf.einsum("nct,ta->nca", self.truth, tf.reshape(table, [K, K]))
        return policy_gradient(self.probs, gains)
