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
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.estimators.quadrature import stacked
from policygrad_metrics.policies import Policy
from policygrad_metrics.rewards import Reward
from policygrad_metrics.training.inputs import Examples
from policygrad_metrics.training.optimizer import Update
from policygrad_metrics.training.step import Loss, Step, take_steps
from policygrad_metrics.training.weights import Layout


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """What all replicas have in common.

    Args:
        model: the network; its own weights are not read.
        update: of the optimizer.
        policy: reads decisions off the outputs.
        reward: scores them on the validation part; its `multilabel` is set.
        examples: the data sets.
        rows: examples per batch.
        columns: D, columns of the outputs.
        shared: hyper-parameters on which all replicas agree.
    """

    model: keras.Model
    update: Update
    policy: Policy
    reward: Reward
    examples: Examples
    rows: int
    columns: int
    shared: Mapping[str, Any]


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
        self.keep = tf.function(self._keep, autograph=False)
        self._layout = Layout(task.model)
        self._step = Step(task.model, task.update, compiled=compiled)

    def _function(self, body):
        return tf.function(body, autograph=False, jit_compile=self.compiled)

    def epoch(self, build_loss: Callable[[dict[str, Any]], Loss]) -> Callable[..., Any]:
        """A function that trains for one epoch and validates.

            (settings, state, order, batches) -> (state, report)

        The first three have a leading axis of replicas: `settings["which"]` is the data set of
        each, `order [R, batches, rows]` holds row numbers of `x_train`. Only the first `batches`
        batches are trained on. The report holds loss, reward and healthy, each `[R]`.
        """
        train = self._function(lambda *args: self._train(build_loss, *args))

        def run(settings, state, order, batches):
            which = settings["which"]
            replica = {name: value for name, value in settings.items() if name != "which"}
            state, loss = train(replica, state, order, batches)
            outputs = self.outputs("valid", which, state.weights, state.others)
            return state, self._judge(which, outputs, state.weights, loss)

        return run

    def outputs(self, part: str, which: Tensor, weights: Tensor, others: list[Tensor]) -> Tensor:
        """The outputs `[R, N, D]` on the part "valid" or "test".

        One function serves both, as its arguments say where the part lies: a further one would be
        traced and compiled once more.
        """
        start, count = (tf.constant(number) for number in self.task.examples.rest[part])
        return self._outputs(start, count, which, weights, others)

    def _outputs_of_rows(self, start, count, which, weights, others):
        """In batches, so that hidden layers need the memory of one batch."""
        R, rows, D = weights.shape[0], self.task.rows, self.task.columns
        first = start + which[:, tf.newaxis] * count

        def apply(begin):
            # The last batch is filled up with the last row.
            numbers = tf.minimum(begin + tf.range(rows), count - 1)
            return self._apply(
                weights, others, tf.gather(self.task.examples.x_rest, first + numbers)
            )

        parts = tf.map_fn(
            apply,
            tf.range(0, count, rows),
            fn_output_signature=tf.TensorSpec([R, rows, D], tf.float32),
        )
        return tf.reshape(tf.transpose(parts, [1, 0, 2, 3]), [R, -1, D])[:, :count]

    def _judge_outputs(self, which, outputs, weights, loss):
        finite = tf.reduce_all(tf.math.is_finite(weights), axis=1)
        healthy = tf.math.is_finite(loss) & finite
        return {"loss": loss, "reward": self._score(outputs, which), "healthy": healthy}

    def _keep(self, better, new, old):
        """The new values of the replicas that became better, the old ones of the others."""
        return tf.nest.map_structure(lambda a, b: _choose(better, a, b), new, old)

    def _apply_batch(self, weights, others, x):
        def one(own, other, batch):
            own = self._layout.split(own)
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
        x, y = self.task.examples.x_train, self.task.examples.y_train

        def step(setting, state, rows):
            loss_of = build_loss({**self.task.shared, **setting["hyper"]})
            return self._step(
                loss_of, setting["seed"], state, tf.gather(x, rows), tf.gather(y, rows)
            )

        def alone(setting, state, order):
            return take_steps(
                lambda state, i: step(setting, state, order[i]), state, tf.zeros([]), batches
            )

        def together(state, i):
            return self._over_replicas(step, settings, state, tf.gather(order, i, axis=1))

        if self.stacked:
            state, total = take_steps(together, state, tf.zeros(order.shape[0]), batches)
        else:
            state, total = self._over_replicas(alone, settings, state, order)
        return state, total / tf.cast(batches, tf.float32)

    def _score(self, outputs, which):
        labels = self.task.policy.predict(outputs)
        # The sigmoid policy, for one, has two classes and one column of outputs.
        score = functools.partial(
            self.task.reward, num_classes=self.task.policy.num_classes(outputs)
        )
        truth = self.task.examples.y_valid
        if len(truth) == 1:
            return score(truth[0], labels)
        return tf.map_fn(
            lambda pair: score(tf.gather(truth, pair[0]), pair[1]),
            (which, labels),
            fn_output_signature=tf.float32,
        )


def _choose(mask, new, old):
    return tf.where(tf.reshape(mask, [-1] + [1] * (new.shape.rank - 1)), new, old)
