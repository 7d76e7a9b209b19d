"""Replicas that train together: their epochs, their early stopping, and what became of them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.losses.surrogate import SurrogateLoss
from policygrad_metrics.policies import Policy
from policygrad_metrics.rewards import Reward
from policygrad_metrics.training.inputs import Examples
from policygrad_metrics.training.optimizer import Update
from policygrad_metrics.training.order import filled_batches
from policygrad_metrics.training.program import Loss, Program, State
from policygrad_metrics.training.records import Replica, Trained, TrainingSettings
from policygrad_metrics.training.stopping import EarlyStopping
from policygrad_metrics.training.weights import Layout

#: Called after each epoch with its number and the rewards of the replicas in training.
OnEpoch = Callable[[int, dict[int, float]], None]


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What is to be trained.

    Args:
        model: the network; its own weights are not read.
        update: of the optimizer.
        policy: reads decisions off the outputs.
        reward: scores decisions on the validation part; its `multilabel` is set.
        examples: the data sets.
        replicas: all replicas.
        hyper: hyper-parameters that differ between replicas, `[R, ...]`.
        settings: how the replicas are trained.
        first: a replica's state before the first step.
        columns: D, of the outputs.
        label_sets: label sets that the loss draws in each step.
    """

    model: keras.Model
    update: Update
    policy: Policy
    reward: Reward
    examples: Examples
    replicas: tuple[Replica, ...]
    hyper: Mapping[str, np.ndarray]
    settings: TrainingSettings
    first: Callable[[Replica], State]
    columns: int
    label_sets: int

    @property
    def batch_shape(self) -> tuple[int, int]:
        """Batches per epoch, and rows per batch."""
        batches = -(-self.examples.train_rows // self.settings.batch_size)
        return batches, -(-self.examples.train_rows // batches)


class Stack:
    """Trains replicas of a plan, all together or one at a time.

    Args:
        plan: what is to be trained.
        build_loss: takes the hyper-parameters that differ between replicas.
        stacked: whether replicas train together; if not, `begin` takes a single one.
        compiled: whether XLA compiles the steps.
    """

    def __init__(
        self, plan: Plan, build_loss: Callable[[Any], Loss], *, stacked: bool, compiled: bool
    ):
        self.plan = plan
        self.program = Program(plan.model, plan.update, stacked=stacked, compiled=compiled)
        losses = lambda _: SurrogateLoss("cross_entropy", policy=plan.policy), build_loss
        self._train = [self.program.function(self.program.trainer(loss)) for loss in losses]
        self._apply = self.program.function(self.program.apply)
        self._outputs = tf.function(functools.partial(self._outputs_of_rows), autograph=False)
        self._judge = tf.function(functools.partial(self._judge_outputs), autograph=False)
        self._keep = tf.function(functools.partial(_keep), autograph=False)

    def begin(self, places: list[int]) -> None:
        """Take these replicas of the plan, as they are before the first step."""
        settings, examples = self.plan.settings, self.plan.examples
        self._places = places
        self._replicas = [self.plan.replicas[place] for place in places]
        self._which = np.array([examples.which[place] for place in places], np.int32)
        self._settings = {
            "seed": self._packed([np.int32(replica.seed) for replica in self._replicas]),
            "hyper": {name: self._packed(v[places]) for name, v in self.plan.hyper.items()},
        }
        states = [self.plan.first(replica) for replica in self._replicas]
        self._state = tf.nest.map_structure(lambda *each: self._packed(each), *states)
        self._best = (self._state.weights, self._state.others)
        self._stopping = EarlyStopping(
            len(places),
            settings.patience,
            waits_from=settings.warm_epochs - 1,
            lengths=settings.lengths and [settings.lengths[place] for place in places],
        )
        self._epochs, self._diverged = np.zeros(len(places), int), np.zeros(len(places), bool)
        self._history: list[dict[str, list[float]]] = [
            {"loss": [], "val_reward": []} for _ in places
        ]

    def compile(self) -> None:
        """Trace, compile and try the loss on one batch, and forget the outcome."""
        self._epoch(self._train[1], batches=1)

    def train(self, on_epoch: OnEpoch | None = None) -> list[Trained]:
        """Train until every replica has ended; `seconds` of what is returned are zero."""

        def one(epoch):
            warm = epoch < self.plan.settings.warm_epochs
            self._state, report = self._epoch(
                self._train[0 if warm else 1], self.plan.batch_shape[0]
            )
            trained = self._book(**report)
            if on_epoch is not None:
                on_epoch(epoch, trained)
            return report["reward"], report["finite"]

        self._stopping.run(self.plan.settings.epochs, one, self._remember)
        return self._results()

    def _packed(self, each):
        return tf.constant(np.stack(each) if self.program.stacked else each[0])

    def _epoch(self, train, batches):
        """The state after so many batches, and loss, reward and finite, each `[R]`."""
        plan, examples = self.plan, self.plan.examples
        orders = [
            examples.which[place] * examples.train_rows
            + filled_batches(
                plan.replicas[place].seed,
                self._stopping.epoch,
                examples.train_rows,
                *plan.batch_shape,
            )
            for place in self._places
        ]
        data, count = (examples.x_train, examples.y_train), tf.constant(batches)
        total = tf.zeros(self._settings["seed"].shape)
        state, total = train(self._settings, self._state, data, self._packed(orders), count, total)
        outputs = self._of_part("valid", state.weights, state.others)
        loss = total / tf.cast(count, tf.float32)
        report = self._judge(self._which, outputs, state.weights, loss)
        found = {name: value.numpy() for name, value in report.items()}
        if self.plan.reward.ranks:
            found["reward"] = self._score_rankings(outputs.numpy())
        return state, found

    def _of_part(self, part, weights, others):
        """The outputs `[R, N, D]` on the part "valid" or "test".

        One function serves both parts, as its arguments say where a part lies: a further one would
        be traced and compiled once more.
        """
        start, count = self.plan.examples.rest[part]
        first = self._packed(start + self._which * count)
        return self._outputs(first, tf.constant(count), weights, others)

    def _outputs_of_rows(self, first, count, weights, others):
        """In batches, so that hidden layers need the memory of one batch."""
        (_, rows), x, D = self.plan.batch_shape, self.plan.examples.x_rest, self.plan.columns

        def apply(begin):
            # The last batch is filled up with the last row.
            numbers = tf.minimum(begin + tf.range(rows), count - 1)
            return self._apply(weights, others, tf.gather(x, first[..., tf.newaxis] + numbers))

        shape = tf.TensorSpec([*first.shape, rows, D], tf.float32)
        parts = tf.map_fn(apply, tf.range(0, count, rows), fn_output_signature=shape)
        R = len(self._places)
        parts = tf.transpose(tf.reshape(parts, [-1, R, rows, D]), [1, 0, 2, 3])
        return tf.reshape(parts, [R, -1, D])[:, :count]

    def _judge_outputs(self, which, outputs, weights, loss):
        finite = tf.math.is_finite(loss) & tf.reduce_all(tf.math.is_finite(weights), axis=-1)
        report = {"loss": loss, "reward": self._score(outputs, which), "finite": finite}
        return {name: tf.reshape(value, [-1]) for name, value in report.items()}

    def _score_rankings(self, outputs):
        """Rewards `[R]` of scores `[R, N, 1]`; of such that are not finite it does not matter."""
        scores, truth = np.nan_to_num(outputs[..., 0]), self.plan.examples.y_valid
        pairs = zip(self._which, scores, strict=True)
        return np.array([self.plan.reward(truth[which], one) for which, one in pairs])

    def _score(self, outputs, which):
        if self.plan.reward.ranks:
            return tf.zeros(tf.shape(which))
        policy, truth = self.plan.policy, self.plan.examples.y_valid
        labels = policy.predict(outputs)
        # The sigmoid policy, for one, has two classes and one column of outputs.
        score = functools.partial(self.plan.reward, num_classes=policy.layout(outputs).num_classes)
        if len(truth) == 1:
            return score(truth[0], labels)
        return tf.map_fn(
            lambda pair: score(tf.gather(truth, pair[0]), pair[1]),
            (which, labels),
            fn_output_signature=tf.float32,
        )

    def _book(self, loss, reward, finite):
        """Note an epoch; returns the rewards of the replicas that trained and stayed finite."""
        active, trained = self._stopping.active, {}
        self._epochs += active
        self._diverged |= active & ~finite
        for r in np.flatnonzero(active & finite):
            self._history[r]["loss"].append(float(loss[r]))
            self._history[r]["val_reward"].append(float(reward[r]))
            trained[self._places[r]] = float(reward[r])
        return trained

    def _remember(self, better):
        """Keep the present weights of the replicas that became better."""
        now = (self._state.weights, self._state.others)
        self._best = now if better.all() else self._keep(tf.constant(better), now, self._best)

    def _results(self):
        valid, test = (self._of_part(part, *self._best).numpy() for part in ("valid", "test"))
        best = tf.nest.map_structure(lambda t: t.numpy(), self._best)
        if not self.program.stacked:
            best = tf.nest.map_structure(lambda array: array[np.newaxis], best)
        weights, others = best
        layout, steps = Layout(self.plan.model), self._epochs * self.plan.batch_shape[0]
        return [
            Trained(
                seed=replica.seed,
                best_epoch=int(self._stopping.best_epoch[r]),
                history=self._history[r],
                valid_outputs=valid[r],
                test_outputs=test[r],
                weights=layout.for_model(weights[r], [value[r] for value in others]),
                diverged=bool(self._diverged[r]),
                steps=int(steps[r]),
                seconds=0.0,
                reward_evaluations=int(self._epochs[r] + steps[r] * self.plan.label_sets),
                stacked=self.program.stacked,
            )
            for r, replica in enumerate(self._replicas)
        ]


def _keep(better, new, old):
    """The new values of the replicas that became better, the old ones of the others."""

    def choose(new, old):
        return tf.where(tf.reshape(better, [-1] + [1] * (new.shape.rank - 1)), new, old)

    return tf.nest.map_structure(choose, new, old)
