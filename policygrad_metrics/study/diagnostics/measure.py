"""Every estimator on one batch, a toy problem if there is none at hand.

Measured are bias, variance, direction, time and reward calls.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.estimators import Estimator
from policygrad_metrics.policies import Policy
from policygrad_metrics.policies.reading import Reading, read_batch
from policygrad_metrics.rewards import Reward, get_reward
from policygrad_metrics.study.diagnostics.lineup import lineup
from policygrad_metrics.study.diagnostics.report import GradientReport
from policygrad_metrics.study.diagnostics.truth import find_truth

#: Share of the last class of the toy problem.
_RAREST = 0.02
#: Timed calls of an estimator that draws nothing.
_TIMED = 32


@dataclasses.dataclass
class Calls:
    """What an estimate asked of the reward.

    Args:
        scored: label sets.
        flipped: label sets of which all relabellings of one site were scored, in closed form.
        soft: sets of soft labels.
    """

    scored: int = 0
    flipped: int = 0
    soft: int = 0


#: Method of a bound reward -> the counter of its label sets.
_COUNTERS = {"score": "scored", "marginal_rewards": "flipped", "soft_score": "soft"}


@dataclasses.dataclass(frozen=True)
class CountedReward(Reward):
    """A reward that counts what is asked of it while a graph is built or run eagerly.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> calls = Calls()
    >>> reward = CountedReward(pgm.get_reward("f1"), calls)
    >>> reinforce = pgm.estimators.Reinforce(samples=4, baseline="greedy")
    >>> _ = reinforce(tf.zeros([3, 2]), reward, [0, 1, 1], seed=0)
    >>> calls
    Calls(scored=5, flipped=0, soft=0)
    """

    inner: Reward
    calls: Calls

    @property
    def name(self):
        return self.inner.name

    @property
    def aggregation(self):
        return self.inner.aggregation

    def bind(self, batch):
        bound = self.inner.bind(batch)
        counted = copy.copy(bound)
        for method, counter in _COUNTERS.items():
            object.__setattr__(counted, method, self._counting(getattr(bound, method), counter))
        return counted

    def _counting(self, method: Callable[[Any], Any], counter: str) -> Callable[[Any], Any]:
        def call(sets):
            setattr(self.calls, counter, getattr(self.calls, counter) + sets.shape[0])
            return method(sets)

        return call


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How much is drawn.

    Args:
        samples: S of the estimators that are given by name.
        draws: gradients drawn of each.
        warm_up: unmeasured draws for those that learn (moving averages, REBAR, RELAX).
        seed: of all draws.

    Raises:
        ValueError: `draws` is not a whole number, at least 2.
    """

    samples: int = 16
    draws: int = 256
    warm_up: int = 256
    seed: int = 0

    def __post_init__(self):
        if int(self.draws) != self.draws or self.draws < 2:
            raise ValueError(f"draws must be a whole number, at least 2; it is {self.draws}.")


@dataclasses.dataclass(frozen=True)
class _Batch:
    """What every estimator is given."""

    logits: Any
    reward: Reward
    labels: Any
    weight: Any

    def estimate(self, estimator, seed, state, reward=None):
        return estimator(
            self.logits,
            reward or self.reward,
            self.labels,
            sample_weight=self.weight,
            seed=seed,
            state=state,
        )


def measure_gradients(
    y_true: Any,
    outputs: Any,
    reward: str | Reward | Any,
    *,
    policy: str | Policy = "auto",
    estimators: Iterable[str] | Mapping[str, Estimator] | None = None,
    truth: str | Estimator | Any = "auto",
    sample_weight: Any = None,
    progress: Callable[[str], None] | None = None,
    **sampling: int,
) -> GradientReport:
    """Set estimators of the policy gradient side by side on one batch.

    With G the true gradient with respect to the logits, g one draw of an estimator and m the mean
    over draws, relative to |G|:

        bias = |m - G|      variance = E|g - m|^2      error = E|g - G|^2
        signal_to_noise = |m| / sqrt(E|g - m|^2)       cosine = mean of cos(g, G)

    all but the last two divided by |G| or |G|^2. The bias has its own noise taken off
    (`bias^2 = |m - G|^2 - variance / draws`, 0 where that is negative); `bias_noise` is what noise
    alone would show.

    Args:
        y_true: as for `PolicyGradientLoss`, `[*sites]` and so on.
        outputs: the network's outputs on the batch, at any moment of training: `model(x)`.
        reward: a name, a `Reward` or a Python function.
        policy: as for `PolicyGradientLoss`.
        estimators: names, or a dictionary of name to `Estimator`; None for all that can serve
            the reward. "reinforce_none", "reinforce_greedy" and so on name its baselines.
        truth: "auto" (the exact gradient, else enumeration, else local expectation with so many
            samples that its own error, `truth_error`, is small), an `Estimator`, or the gradient
            itself, shaped like the logits.
        sample_weight: as in Keras.
        progress: called with each estimator's name before it is measured.
        **sampling: `samples`, `draws`, `warm_up` and `seed`, see `Sampling`.

    Returns:
        A `GradientReport`.

    Raises:
        ValueError: unknown names, bad shapes or values, or a true gradient of zero.
        TypeError: no truth is known for this reward at this size; the message names the way out.

    >>> import policygrad_metrics as pgm
    >>> y_true, logits = pgm.study.diagnostics.toy_problem(12, 2)
    >>> report = pgm.study.diagnostics.measure_gradients(
    ...     y_true, logits, "accuracy", estimators=["exact", "coma"], samples=4, draws=64
    ... )
    >>> [row["estimator"] for row in report.records]
    ['exact', 'coma']
    >>> report.records[0]["error"] < 1e-9 < report.records[1]["error"]
    True
    """
    drawn = Sampling(**sampling)
    reward = get_reward(reward)
    read = read_batch(Reading(policy), y_true, outputs, sample_weight)
    logits = tf.stop_gradient(read.policy.logits(read.outputs))
    sites = tf.shape(logits)[:-1]
    batch = _Batch(
        logits,
        reward.for_multilabel() if read.multilabel else reward,
        tf.reshape(read.y_true, sites),
        tf.reshape(read.weight, sites) if read.weighted else None,
    )
    chosen = lineup(estimators, drawn.samples)
    known = find_truth(truth, batch, drawn.seed)
    if not np.any(known.gradient):
        raise ValueError(
            "the true gradient is zero, so nothing can be measured relative to it: the policy "
            "is already certain everywhere, or the reward does not depend on the labels."
        )
    records, skipped = [], {}
    for name, estimator in chosen.items():
        if progress:
            progress(name)
        try:
            calls = _count_calls(batch, estimator, drawn.seed)
        except (TypeError, ValueError) as error:
            if estimators is not None:
                raise
            skipped[name] = str(error)
        else:
            measured = _measure(estimator, batch, known.gradient, drawn)
            records.append({"estimator": name, **measured, **calls})
    setting = {
        "reward": reward.name,
        "sites": int(np.prod(read.y_true.shape)),
        "classes": read.num_classes,
        "draws": drawn.draws,
        "seed": drawn.seed,
        "expected_reward": known.value,
        "truth": known.name,
        "truth_error": known.error,
    }
    return GradientReport(records, skipped, setting)


def _count_calls(batch, estimator, seed):
    """What one estimate asks of the reward, by the names of the records."""
    calls = Calls()
    counted = CountedReward(batch.reward, calls, multilabel=batch.reward.multilabel)
    batch.estimate(estimator, [seed, 0], estimator.initial_state(), counted)
    return {
        "reward_calls": calls.scored,
        "flipped_sets": calls.flipped,
        "soft_scores": calls.soft,
    }


def _measure(estimator, batch, truth, drawn):
    """The numbers of one estimator."""

    @tf.function(autograph=False)
    def run(key, state):
        estimate = batch.estimate(estimator, key, state)
        return estimate.gradient, estimate.state

    state = tuple(tf.constant(x, tf.float32) for x in estimator.initial_state())
    for step in range(drawn.warm_up if state else 1):
        _, state = run(tf.constant([drawn.seed + 1, step]), state)
    # One gradient of an estimator that draws nothing says all; the others are for its time.
    count = drawn.draws if estimator.stochastic else 1
    mean, squares, cosines, seconds = np.zeros_like(truth), 0.0, 0.0, []
    norm = float(np.linalg.norm(truth))
    for draw in range(count if estimator.stochastic else _TIMED):
        key = tf.constant([drawn.seed + 2, draw])
        start = time.perf_counter()
        gradient, state = run(key, state)
        gradient = gradient.numpy().astype(np.float64)
        seconds.append(time.perf_counter() - start)
        if draw < count:
            mean += gradient / count
            squares += float(((gradient - truth) ** 2).sum()) / count
            length = float(np.linalg.norm(gradient))
            cosines += float((gradient * truth).sum()) / (length * norm) / count if length else 0.0
    off = float(((mean - truth) ** 2).sum())
    variance = max(squares - off, 0.0) * count / max(count - 1, 1)
    return {
        "samples": getattr(estimator, "samples", None),
        "unbiased": estimator.unbiased,
        "bias": math.sqrt(max(off - variance / count, 0.0)) / norm,
        "bias_noise": math.sqrt(variance / count) / norm,
        "variance": variance / norm**2,
        "error": squares / norm**2,
        "cosine": cosines,
        "signal_to_noise": float(np.linalg.norm(mean) / math.sqrt(variance)) if variance else None,
        "milliseconds": 1e3 * float(np.median(seconds)),
    }


def toy_problem(batch: int, num_classes: int, *, seed: int = 0) -> tuple[np.ndarray, Tensor]:
    """A truth whose last class is rare, and standard normal logits.

    The last class has 2 % of the examples; the others are equally frequent. Every class has an
    example if B >= K.

    Args:
        batch: B.
        num_classes: K.
        seed: of the logits.

    Returns:
        `(y_true int [B], logits float32 [B, K])`.

    >>> y_true, logits = toy_problem(50, 3)
    >>> np.bincount(y_true).tolist(), logits.shape.as_list()
    ([25, 24, 1], [50, 3])
    """
    prior = np.full(num_classes, (1 - _RAREST) / (num_classes - 1))
    prior[-1] = _RAREST
    counts = np.maximum(1, np.round(prior * batch)).astype(int)
    while counts.sum() != batch and batch >= num_classes:
        counts[np.argmax(counts)] += np.sign(batch - counts.sum())
    y_true = np.repeat(np.arange(num_classes), counts)[:batch]
    normal = np.random.default_rng(seed).normal(size=(batch, num_classes))
    return y_true, tf.constant(normal, tf.float32)
