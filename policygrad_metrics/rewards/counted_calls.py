"""A Python function of the confusion matrix: every change of one label in K^2 (K - 1) + 1 calls.

A change takes an example of cell (t, a) to cell (t, c). All examples of a cell (with the same
weight, if there are weights) share the result, so that a batch has at most K^2 (K - 1) different
changes, whatever its size.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Batch
from policygrad_metrics.rewards.bound import BoundReward
from policygrad_metrics.rewards.confusion import confusion_counts
from policygrad_metrics.rewards.python_calls import Calls

#: Most calls for one batch before an error is raised instead.
CALL_BUDGET = 200_000

#: Two rewards of one confusion matrix may differ by this much, as a share: rounding.
ROUNDING = 1e-5


@dataclasses.dataclass(frozen=True)
class CountedCalls(BoundReward):
    """R = function(labels), of which only the confusion matrix matters.

    Args:
        calls: calls the function.
        batch: truth and weights, with one column.
    """

    calls: Calls
    batch: Batch

    def score(self, samples):
        def evaluate(y, a, w, tables):
            self._check_promise(y, a, w, tables)
            return self._of_tables(tables).astype(np.float32)

        scores = tf.numpy_function(evaluate, self._inputs(samples), tf.float32)
        return tf.ensure_shape(scores, samples.shape[:1])

    def marginal_rewards(self, samples):
        def evaluate(y, a, w, tables):
            self._check_promise(y, a, w, tables)
            return self._marginal_rewards(y, a, w, tables).astype(np.float32)

        rewards = tf.numpy_function(evaluate, self._inputs(samples), tf.float32)
        return tf.ensure_shape(rewards, [*samples.shape, self.batch.num_classes])

    def _inputs(self, samples):
        y_true, weight = self.batch.y_true, self.batch.weight
        tables = confusion_counts(y_true, samples, weight, self.batch.num_classes)[:, 0]
        return [y_true[:, 0], samples[..., 0], weight[:, 0], tables]

    def _of_tables(self, tables):
        """Rewards `[M]` of confusion matrices `[M, K, K]`."""
        return self.calls([self._cells(table) for table in tables])

    def _cells(self, table):
        truth, y_pred = np.nonzero(table)
        return self._arguments(
            truth.astype(np.int32), y_pred.astype(np.int32), table[truth, y_pred]
        )

    def _arguments(self, y, a, w):
        """What the function is called with: weighted examples if it takes weights."""
        if self.calls.takes_weight:
            return y, a, w
        times = np.rint(w).astype(np.int64)
        if np.abs(times - w).max(initial=0.0) > 1e-6:
            raise ValueError(
                f"the function of reward {self.calls.name!r} takes no sample_weight=, and the "
                "weights of this batch are no whole numbers, so it cannot be called on the "
                "weighted confusion matrix. Give the function a sample_weight argument."
            )
        return np.repeat(y, times), np.repeat(a, times)

    def _marginal_rewards(self, y, a, w, tables):
        S, N, K = *a.shape, self.batch.num_classes
        # Examples that a change treats alike: the same truth, label and weight.
        members, groups = [], []
        for s in range(S):
            rows = np.stack([y, a[s], w], axis=1).astype(np.float64)
            different, member = np.unique(rows, axis=0, return_inverse=True)
            members.append(member.reshape(N))
            groups.append(different)
        self._check_budget(sum(map(len, groups)) * (K - 1))
        flips = [tables]
        for table, different in zip(tables, groups, strict=True):
            flipped = np.repeat(table[None], len(different) * K, axis=0)
            flipped = flipped.reshape(len(different), K, K, K)
            g, (t, was) = np.arange(len(different)), different[:, :2].astype(int).T
            # What is left of a sum of weights is zero where the others are zero, to the last bit.
            flipped[g, :, t, was] -= different[:, 2:]
            flipped[g[:, None], np.arange(K), t[:, None], np.arange(K)] += different[:, 2:]
            flipped[g, was] = table  # no change, to the last bit
            flips.append(flipped.reshape(-1, K, K))
        values = self._of_tables(np.concatenate(flips))
        ends = S + np.cumsum([0, *(len(different) * K for different in groups)])
        rewards = np.empty([S, N, K])
        for s in range(S):
            gain = values[ends[s] : ends[s + 1]] - values[s]
            rewards[s] = gain.reshape(-1, K)[members[s]]
        return rewards[:, :, None, :]

    def _check_budget(self, calls):
        if calls > CALL_BUDGET:
            weights = " with as many different sample weights" if self.batch.weighted else ""
            raise ValueError(
                f"the local expectation of {self.calls.name!r} with "
                f"K={self.batch.num_classes} classes{weights} may take {calls:,} calls for this "
                f"batch, more than {CALL_BUDGET:,}. "
                'Use fewer samples, gradient_estimator="reinforce", or '
                'ControlVariate("f1_macro") with '
                "whatever reward resembles yours."
            )

    def _check_promise(self, y, a, w, tables):
        """Score rearrangements of the first label sets: equal matrices must be equal rewards.

        Raises:
            ValueError: they are not.
        """
        if "counts" in self.calls.known:
            return
        rng = np.random.default_rng(0)
        for y_pred, of_cells in zip(a[:2], self._of_tables(tables[:2]), strict=True):
            for rearranged in (y_pred, *(self._exchanged(rng, y, y_pred, w) for _ in range(2))):
                order = np.arange(len(y)) if rearranged is y_pred else rng.permutation(len(y))
                example = tuple(x[order] for x in (y, rearranged, w))
                plain = example if self.batch.weighted else example[:2]
                if self.batch.weighted:
                    plain = self._arguments(*plain)
                value = Calls(self.calls.function, self.calls.name)([plain])[0]
                if abs(value - of_cells) > ROUNDING * max(abs(value), abs(of_cells), 1e-3):
                    raise ValueError(
                        f"counts=True promises that reward {self.calls.name!r} depends on the "
                        "confusion matrix alone, but two label sets with the same confusion "
                        f"matrix are worth {of_cells:.9g} and {value:.9g}: it depends on the "
                        "order of the examples or on which of them are right, has noise of its "
                        "own, or ignores its sample_weight. Use counts=False; ControlVariate "
                        "makes up for much of it."
                    )
        self.calls.known.add("counts")

    @staticmethod
    def _exchanged(rng, y, y_pred, w):
        """Labels exchanged at random among examples of the same truth and weight."""
        exchanged = y_pred.copy()
        _, group = np.unique(np.stack([y, w], axis=1), axis=0, return_inverse=True)
        for g in range(group.max(initial=-1) + 1):
            where = np.flatnonzero(group.ravel() == g)
            exchanged[where] = y_pred[rng.permutation(where)]
        return exchanged
