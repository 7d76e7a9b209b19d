"""One replica's training step, stacked over replicas and compiled, a whole epoch a call.

Everything is written for a single replica. `_over_replicas` turns it into all of them at once:
`tf.vectorized_map` gives every tensor a leading axis of R replicas, so that matrix products become
batched ones. (Measured: of this, matrix products stacked by hand, and a Python loop over replicas
inside one graph, this is as fast as any under XLA, and it compiles in a quarter of the loop's time
because the loss is compiled once, not R times.)
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from policygrad_metrics.core.draws import keyed_by
from policygrad_metrics.core.sites import Tensor
from policygrad_metrics.estimators.quadrature import stacked
from policygrad_metrics.losses.base import SiteLoss
from policygrad_metrics.losses.policy_gradient import PolicyGradientLoss
from policygrad_metrics.policies import Policy
from policygrad_metrics.rewards import Reward

Loss = Callable[..., Tensor]

#: Adam's constants, Keras's defaults (Kingma & Ba 2015).
DECAY_MEAN, DECAY_SQUARE, EPSILON = 0.9, 0.999, 1e-7


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """What all replicas have in common.

    Args:
        model: the network; its own weights are not read.
        policy: reads decisions off the outputs.
        reward: scores them on the validation part; its `multilabel` is set.
        x_train, y_train: the data, of S data sets one below the other: replica r's rows start
            where its data set's do.
        x_rest: validation parts one below the other, then test parts.
        rest: of "valid" and "test", where the first data set's rows start in `x_rest` and how many
            rows each data set has.
        y_valid: `[S, N]`, multi-label `[S, N, L]`.
        rows: examples per batch.
        columns: D, columns of the outputs.
        shared: hyper-parameters on which all replicas agree.
    """

    model: keras.Model
    policy: Policy
    reward: Reward
    x_train: Tensor
    y_train: Tensor
    x_rest: Tensor
    rest: Mapping[str, tuple[int, int]]
    y_valid: Tensor
    rows: int
    columns: int
    shared: Mapping[str, Any]

    @property
    def data_sets(self) -> int:
        """S, the number of data sets."""
        return len(self.y_valid)


class Program:
    """The compiled functions that train R replicas for an epoch and apply them.

    Args:
        task: what the replicas have in common.
        stacked: whether to stack replicas; if not, R must be 1.
        compiled: whether XLA compiles the steps; it cannot compile Python functions.
    """

    def __init__(self, task: Task, *, stacked: bool, compiled: bool):
        self.task = task
        self.stacked = stacked
        self.compiled = compiled
        self._apply = self._function(self._apply_batch)
        self._outputs = tf.function(self._outputs_of_rows, autograph=False)
        self._judge = tf.function(self._judge_outputs, autograph=False)
        self._shapes = [tuple(v.shape) for v in task.model.trainable_variables]

    def _function(self, body):
        return tf.function(body, autograph=False, jit_compile=self.compiled)

    def epoch(self, build_loss: Callable[[dict[str, Any]], Loss]) -> Callable[..., Any]:
        """A function that trains for one epoch and validates.

            (settings, state, best, best_reward, active, order, batches) -> (state, best, report)

        All but the last have a leading axis of replicas: `settings["which"]` is the data set of
        each, `best` are the weights and other variables of the best epoch, `active` says which
        replicas have not ended, `order [R, batches, rows]` holds row numbers of `x_train`. Only
        the first `batches` batches are trained on. The report holds loss, reward and healthy,
        each `[R]`.
        """
        train = self._function(lambda *args: self._train(build_loss, *args))

        def run(settings, state, best, best_reward, active, order, batches):
            which = settings["which"]
            replica = {name: value for name, value in settings.items() if name != "which"}
            state, loss = train(replica, state, order, batches)
            now = [state["weights"], state["others"]]
            outputs = self.outputs("valid", which, *now)
            best, report = self._judge(which, outputs, now, loss, best, best_reward, active)
            return state, best, report

        return run

    def outputs(self, part: str, which: Tensor, weights: Tensor, others: list[Tensor]) -> Tensor:
        """The outputs `[R, N, D]` on the part "valid" or "test".

        One function serves both, as its arguments say where the part lies: a further one would be
        traced and compiled once more.
        """
        start, count = (tf.constant(number) for number in self.task.rest[part])
        return self._outputs(start, count, which, weights, others)

    def _outputs_of_rows(self, start, count, which, weights, others):
        """In batches, so that hidden layers need the memory of one batch."""
        R, rows, D = weights.shape[0], self.task.rows, self.task.columns
        first = start + which[:, tf.newaxis] * count

        def apply(begin):
            # The last batch is filled up with the last row.
            numbers = tf.minimum(begin + tf.range(rows), count - 1)
            return self._apply(weights, others, tf.gather(self.task.x_rest, first + numbers))

        parts = tf.map_fn(
            apply,
            tf.range(0, count, rows),
            fn_output_signature=tf.TensorSpec([R, rows, D], tf.float32),
        )
        return tf.reshape(tf.transpose(parts, [1, 0, 2, 3]), [R, -1, D])[:, :count]

    def _judge_outputs(self, which, outputs, now, loss, best, best_reward, active):
        """Score an epoch's outputs and keep the weights of the replicas that became better."""
        reward = self._score(outputs, which)
        finite = tf.reduce_all(tf.math.is_finite(now[0]), axis=1)
        healthy = tf.math.is_finite(loss) & finite
        better = active & healthy & (reward >= best_reward)
        best = tf.nest.map_structure(lambda new, old: _choose(better, new, old), now, best)
        return best, {"loss": loss, "reward": reward, "healthy": healthy}

    def _apply_batch(self, weights, others, x):
        def one(own, other, batch):
            own = self._as_variables(own)
            return self.task.model.stateless_call(own, other, batch, training=False)[0]

        return self._over_replicas(one, weights, others, x)

    def _over_replicas(self, one, *args):
        with stacked():
            return self._stacked(one, *args)

    def _stacked(self, one, *args):
        if self.stacked:
            # AutoGraph would read all of Keras, for nothing. Draws have no stacked form and go
            # through a loop, without a warning for each.
            body = tf.autograph.experimental.do_not_convert(lambda packed: one(*packed))
            return tf.vectorized_map(body, args, warn=False)
        single = one(*tf.nest.map_structure(lambda t: t[0], args))
        return tf.nest.map_structure(lambda t: tf.expand_dims(t, 0), single)

    def _train(self, build_loss, settings, state, order, batches):
        def step(i, state, total):
            rows = tf.gather(order, i, axis=1)
            state, loss = self._over_replicas(
                lambda *args: self._step(build_loss, *args), settings, state, rows
            )
            return i + 1, state, total + loss

        start = (0, state, tf.zeros(order.shape[0]))
        _, state, total = tf.while_loop(lambda i, *_: i < batches, step, start)
        return state, total / tf.cast(batches, tf.float32)

    def _step(self, build_loss, setting, state, rows):
        """One replica's step: `(state, loss)`."""
        loss_of = build_loss({**self.task.shared, **setting["hyper"]})
        x, y = tf.gather(self.task.x_train, rows), tf.gather(self.task.y_train, rows)
        weights = state["weights"]
        with tf.GradientTape() as tape, keyed_by(tf.stack([setting["seed"], state["step"]])):
            tape.watch(weights)
            outputs, others, penalties = self.task.model.stateless_call(
                self._as_variables(weights), state["others"], x, training=True, return_losses=True
            )
            finite = tf.constant(True)
            if not (self.compiled and _notices_bad_outputs(loss_of)):
                finite = tf.reduce_all(tf.math.is_finite(outputs))
                outputs = tf.where(finite, outputs, 0.0)
            if isinstance(loss_of, PolicyGradientLoss):
                loss, loss_state = loss_of.stateless_call(y, outputs, tuple(state["loss_state"]))
            else:
                loss, loss_state = loss_of(y, outputs), state["loss_state"]
            total = tf.add_n([loss, *penalties])
            gradient = tape.gradient(
                total, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
        updated = _adam(state, gradient, setting["learning_rate"])
        after = {**updated, "others": others, "loss_state": list(loss_state)}
        return after, tf.where(finite, total, float("nan"))

    def _as_variables(self, weights):
        """One replica's weights, kept as one row, in the shapes of the model's variables."""
        sizes = [math.prod(shape) for shape in self._shapes]
        parts = tf.split(weights, sizes)
        return [tf.reshape(part, shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def _score(self, outputs, which):
        labels = self.task.policy.predict(outputs)
        # The sigmoid policy, for one, has two classes and one column of outputs.
        score = functools.partial(
            self.task.reward, num_classes=self.task.policy.num_classes(outputs)
        )
        truth = self.task.y_valid
        if self.task.data_sets == 1:
            return score(truth[0], labels)
        return tf.map_fn(
            lambda pair: score(tf.gather(truth, pair[0]), pair[1]),
            (which, labels),
            fn_output_signature=tf.float32,
        )


def _notices_bad_outputs(loss):
    """Whether `loss` is NaN by itself, under XLA, where outputs are not finite.

    Ours are; elsewhere they raise, which would end all replicas. Other losses may not notice.
    """
    return isinstance(loss, SiteLoss)


def _choose(mask, new, old):
    return tf.where(tf.reshape(mask, [-1] + [1] * (new.shape.rank - 1)), new, old)


def _adam(state, gradient, learning_rate):
    """Adam as Keras has it: `w -= rate * mean / (sqrt(square) + epsilon)`, bias-corrected."""
    step = state["step"] + 1
    t = tf.cast(step, tf.float32)
    rate = learning_rate * tf.sqrt(1.0 - DECAY_SQUARE**t) / (1.0 - DECAY_MEAN**t)
    mean = state["mean"] + (gradient - state["mean"]) * (1.0 - DECAY_MEAN)
    square = state["square"] + (gradient * gradient - state["square"]) * (1.0 - DECAY_SQUARE)
    weights = state["weights"] - rate * mean / (tf.sqrt(square) + EPSILON)
    return {"weights": weights, "mean": mean, "square": square, "step": step}
